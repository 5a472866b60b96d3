//! Fills the three columns of the report, and checks that they agree.

use std::sync::atomic::{AtomicU64, Ordering};

use super::exposition::Scrape;
use super::join::Join;
use super::{Report, Row};
use crate::client::ClientResults;
use crate::ledger::{Ledger, Outcome, Totals};

/// The prefix of all metrics, set by `monitor.rs`.
const PREFIX: &str = "llm_router_";

/// Compares the client's results, the ledger and `/metrics`.
pub(crate) fn compare(memory: Option<&ClientResults>, ledger: &Ledger, scrape: &Scrape) -> Report {
    let mut comparison = Comparison {
        scrape,
        report: Report::default(),
    };
    let join = memory.map(|memory| Join::new(memory, ledger));
    comparison.inferences(join.as_ref(), ledger);
    comparison.tokens(join.as_ref(), ledger);
    comparison.cache_and_routing(join.as_ref(), ledger);
    comparison.responses(join.as_ref(), ledger);
    comparison.nothing_in_flight(ledger);
    if let (Some(memory), Some(join)) = (memory, &join) {
        comparison.requests(memory, join);
    }
    comparison.report
}

struct Comparison<'a> {
    scrape: &'a Scrape,
    report: Report,
}

impl Comparison<'_> {
    fn inferences(&mut self, join: Option<&Join>, ledger: &Ledger) {
        for outcome in Outcome::ALL {
            let client = join.map(|join| match outcome {
                Outcome::Success => join.completed,
                Outcome::Error => join.failed,
                Outcome::Timeout => join.timed_out,
                Outcome::Cancelled => join.hung_up,
            });
            let labels = [("status", outcome.name())];
            let sum = sum(ledger, Some(outcome), |totals| totals.inferences);
            self.row(
                &format!("inferences, {}", outcome.name()),
                client,
                sum,
                ("model_inference_total", &labels),
            );
            for model in ledger.models() {
                let labels = [("model_id", model), ("status", outcome.name())];
                let inferences = ledger.totals(model, outcome).inferences;
                self.equal(inferences, ("model_inference_total", &labels));
            }
        }
        let all = sum(ledger, None, |totals| totals.inferences);
        self.equal(all, ("model_inference_total", &[]));
    }

    fn tokens(&mut self, join: Option<&Join>, ledger: &Ledger) {
        let client = join.map(|join| join.output_tokens);
        let metric = "tokens_generated_total";
        self.row(
            "output tokens",
            client,
            sum(ledger, None, output_tokens),
            (metric, &[]),
        );
        self.per_model(ledger, metric, output_tokens);

        let client = join.map(|join| join.prompt_tokens);
        let metric = "prompt_tokens_total";
        self.row(
            "prompt tokens",
            client,
            sum(ledger, None, prompt_tokens),
            (metric, &[]),
        );
        self.per_model(ledger, metric, prompt_tokens);

        if let Some(join) = join {
            self.report.rows.push(Row {
                name: "output tokens of completed requests".to_owned(),
                client: Some(join.completed_tokens),
                ledger: join.ledger_completed_tokens,
                metrics: None,
            });
        }
    }

    fn per_model(&mut self, ledger: &Ledger, metric: &str, count: fn(Totals) -> u64) {
        for model in ledger.models() {
            let by_outcome = Outcome::ALL.map(|outcome| count(ledger.totals(model, outcome)));
            self.equal(by_outcome.iter().sum(), (metric, &[("model_id", model)]));
        }
    }

    fn cache_and_routing(&mut self, join: Option<&Join>, ledger: &Ledger) {
        let load = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        let cache = "cache_operations_total";
        let hits = join.map(|join| join.cache_hits);
        self.row(
            "cache hits",
            hits,
            load(&ledger.cache_hits),
            (cache, &[("status", "hit")]),
        );
        self.row(
            "cache misses",
            None,
            load(&ledger.cache_misses),
            (cache, &[("status", "miss")]),
        );
        let decisions = load(&ledger.routing_decisions);
        self.row(
            "routing decisions",
            None,
            decisions,
            ("routing_decisions_total", &[]),
        );
    }

    fn responses(&mut self, join: Option<&Join>, ledger: &Ledger) {
        let responses = ledger.responses();
        for (status_code, count) in &responses {
            let client = join.map(|join| join.status_codes.get(status_code).copied().unwrap_or(0));
            let label = status_code.to_string();
            self.row(
                &format!("http {label}"),
                client,
                *count,
                ("http_requests_total", &[("status_code", &label)]),
            );
        }
        self.equal(responses.values().sum(), ("http_requests_total", &[]));
    }

    fn nothing_in_flight(&mut self, ledger: &Ledger) {
        let open = ledger.open_exchanges();
        self.row(
            "in flight at the end",
            None,
            open as u64,
            ("active_inferences", &[]),
        );
        if open > 0 {
            self.report.broken.push(format!(
                "{open} responses were still open when the run ended"
            ));
        }
    }

    fn requests(&mut self, memory: &ClientResults, join: &Join) {
        let ends = join
            .ends_of_disconnected
            .iter()
            .map(|(end, count)| format!("{count} {end}"))
            .collect::<Vec<_>>();
        if join.hung_up > 0 {
            self.report.notes.push(format!(
                "the client disconnected from {}; in the ledger: {}",
                join.hung_up,
                ends.join(", ")
            ));
        }
        if memory.delayed > 0 {
            let note = format!(
                "{} requests were sent late, because too many were in flight",
                memory.delayed
            );
            self.report.notes.push(note);
        }
        if memory.unrecorded > 0 {
            let note = format!(
                "{} requests are missing in the client column: only the first million are recorded",
                memory.unrecorded
            );
            self.report.notes.push(note);
        }
        if let Some(first) = &join.first_disagreement {
            let broken = format!(
                "client and ledger disagree on {} requests, first: {first}",
                join.disagreements
            );
            self.report.broken.push(broken);
        }
    }

    /// Adds a row whose ledger and metrics must be equal.
    fn row(
        &mut self,
        name: &str,
        client: Option<u64>,
        ledger: u64,
        series: (&str, &[(&str, &str)]),
    ) {
        let metrics = Some(self.equal(ledger, series));
        self.report.rows.push(Row {
            name: name.to_owned(),
            client,
            ledger,
            metrics,
        });
    }

    /// Checks that the series of a metric sum up to the ledger's count; returns their sum.
    fn equal(&mut self, ledger: u64, (metric, labels): (&str, &[(&str, &str)])) -> f64 {
        let name = format!("{PREFIX}{metric}");
        // A series that never counted may be absent; an empty sum is -0.0.
        let sum = self
            .scrape
            .select(&name, labels)
            .map(|sample| sample.value)
            .sum::<f64>()
            + 0.0;
        #[expect(clippy::cast_precision_loss, reason = "the exposition holds floats")]
        let expected = ledger as f64;
        #[expect(
            clippy::float_cmp,
            reason = "whole numbers, which must be equal exactly"
        )]
        if sum != expected {
            let labels = labels
                .iter()
                .map(|(label, value)| format!("{label}={value:?}"))
                .collect::<Vec<_>>();
            self.report.broken.push(format!(
                "{name}{{{}}} is {sum}, the ledger has {ledger}",
                labels.join(",")
            ));
        }
        sum
    }
}

fn sum(ledger: &Ledger, outcome: Option<Outcome>, count: impl Fn(Totals) -> u64) -> u64 {
    let outcomes = Outcome::ALL
        .into_iter()
        .filter(|candidate| outcome.is_none_or(|outcome| outcome == *candidate));
    let totals = outcomes.flat_map(|outcome| {
        ledger
            .models()
            .map(move |model| ledger.totals(model, outcome))
    });
    totals.map(count).sum()
}

fn output_tokens(totals: Totals) -> u64 {
    totals.output_tokens
}

fn prompt_tokens(totals: Totals) -> u64 {
    totals.prompt_tokens
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::cli::Speed;
    use crate::models::load_upstream;

    /// Runs one successful inference of 5 tokens, and returns the rules that `metrics` breaks.
    async fn check(metrics: &str) -> Vec<String> {
        let speed: Speed = "1".parse().unwrap();
        let models = load_upstream(&["m".to_owned()], speed).await;
        let ledger = Arc::new(Ledger::new(&models));
        let mut account = ledger.open(&models[0], None, 2);
        account.add_output(5);
        account.end(Outcome::Success);
        drop(account);
        compare(None, &ledger, &Scrape::parse(metrics).unwrap()).broken
    }

    const RIGHT: &str = "llm_router_model_inference_total{model_id=\"m\",status=\"success\"} 1\n\
        llm_router_tokens_generated_total{model_id=\"m\"} 5\n\
        llm_router_prompt_tokens_total{model_id=\"m\"} 2\n\
        llm_router_active_inferences{model_id=\"m\"} 0\n";

    #[tokio::test]
    async fn correct_metrics_break_no_rule() {
        assert_eq!(check(RIGHT).await, Vec::<String>::new());
    }

    #[tokio::test]
    async fn each_wrong_number_is_named() {
        for (right, wrong, named) in [
            ("success\"} 1", "success\"} 2", "model_inference_total"),
            ("success", "error", "model_inference_total"),
            ("} 5", "} 4", "tokens_generated_total"),
            ("} 2", "} 3", "prompt_tokens_total"),
            ("} 0", "} 1", "active_inferences"),
            ("m\"} 5", "n\"} 5", "tokens_generated_total{model_id=\"m\"}"),
        ] {
            let broken = check(&RIGHT.replace(right, wrong)).await;
            assert!(
                broken.iter().any(|rule| rule.contains(named)),
                "{wrong}: {broken:?}"
            );
        }
    }
}
