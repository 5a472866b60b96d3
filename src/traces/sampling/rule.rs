//! Selects the sampling ratio of a trace by the name and the fields of its first span.
//!
//! The name of a span may stand in `otel.name`. Rules also match the names that the application has mapped its span names
//! and field names to.

use std::fmt;

use tracing::{
    field::{Field, Visit},
    span::Attributes,
};

use super::Ratio;
use crate::{log::printed, observation::Mapping, privacy::Glob, traces::SamplingRule};

/// The ratio of traces whose first span matches.
#[derive(Debug)]
pub(super) struct Rule {
    span: Option<Glob>,
    route: Option<Glob>,
    model: Option<Glob>,
    ratio: Ratio,
}

impl Rule {
    pub(super) fn new(rule: &SamplingRule) -> Self {
        let pattern = |text: &Option<String>| text.as_deref().map(Glob::new);
        Self {
            span: pattern(&rule.span),
            route: pattern(&rule.route),
            model: pattern(&rule.model),
            ratio: Ratio::new(rule.ratio),
        }
    }

    fn matches(&self, span: &Candidate<'_>) -> bool {
        let meets = |pattern: &Option<Glob>, values: &[Option<&str>]| {
            let mut values = values.iter().flatten();
            let matches = |pattern: &Glob| values.any(|value| pattern.matches(value));
            pattern.as_ref().is_none_or(matches)
        };
        meets(
            &self.span,
            &[Some(span.span), span.known_span, span.name.as_deref()],
        ) && meets(&self.route, &[span.route.as_deref()])
            && meets(&self.model, &[span.model.as_deref()])
    }
}

/// The ratio of the first rule that matches.
pub(super) fn first_match(
    rules: &[Rule],
    mapping: &Mapping,
    attributes: &Attributes<'_>,
) -> Option<Ratio> {
    let mut found = Candidate::new(attributes.metadata().name(), mapping);
    attributes.record(&mut found);
    let rule = rules.iter().find(|rule| rule.matches(&found))?;
    Some(rule.ratio)
}

/// The properties of a span that rules match.
struct Candidate<'m> {
    mapping: &'m Mapping,
    span: &'m str,
    known_span: Option<&'m str>,
    name: Option<String>,
    route: Option<String>,
    model: Option<String>,
}

impl<'m> Candidate<'m> {
    fn new(span: &'m str, mapping: &'m Mapping) -> Self {
        Self {
            mapping,
            span,
            known_span: mapping.spans.get(span).map(String::as_str),
            name: None,
            route: None,
            model: None,
        }
    }

    fn place(&mut self, field: &Field) -> Option<&mut Option<String>> {
        let name = field.name();
        match self.mapping.fields.get(name).map_or(name, String::as_str) {
            "otel.name" => Some(&mut self.name),
            "http.route" | "route" | "url.path" | "rpc.method" => Some(&mut self.route),
            "model_id" | "gen_ai.request.model" | "llm.model_name" => Some(&mut self.model),
            _ => None,
        }
    }
}

impl Visit for Candidate<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if let Some(place) = self.place(field) {
            place.get_or_insert_with(|| value.to_owned());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if let Some(place) = self.place(field) {
            // `%value` prints without quotes, `?"text"` with quotes.
            place.get_or_insert_with(|| printed(value).trim_matches('"').to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::{Span, info_span};
    use tracing_subscriber::{Layer, layer::Context, prelude::*};

    use super::*;

    /// Keeps the share of the last span.
    struct Shares(Vec<Rule>, Mapping, Arc<Mutex<Option<Ratio>>>);

    impl<S: tracing::Subscriber> Layer<S> for Shares {
        fn on_new_span(
            &self,
            attributes: &Attributes<'_>,
            _: &tracing::span::Id,
            _: Context<'_, S>,
        ) {
            *self.2.lock().unwrap() = first_match(&self.0, &self.1, attributes);
        }
    }

    /// The share of traces that begin with this span.
    fn share(rules: &[SamplingRule], mapping: &Mapping, span: fn() -> Span) -> Option<f64> {
        let found = Arc::default();
        let rules_made = rules.iter().map(Rule::new).collect();
        let shares = Shares(rules_made, mapping.clone(), Arc::clone(&found));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(shares), || {
            drop(span());
        });
        let found = found.lock().unwrap();
        let mut shares = rules.iter().map(|rule| rule.ratio);
        shares.find(|share| *found == Some(Ratio::new(*share)))
    }

    #[test]
    fn the_first_rule_that_matches_counts() {
        let rules = [
            SamplingRule::new(0.0).with_route("/health*"),
            SamplingRule::new(1.0)
                .with_model("gpt-4o")
                .with_span("chat"),
        ];
        let of = |span| share(&rules, &Mapping::default(), span);
        assert_eq!(
            of(|| info_span!("GET", http.route = "/health/live")),
            Some(0.0)
        );
        assert_eq!(of(|| info_span!("chat", model_id = "gpt-4o")), Some(1.0));
        assert_eq!(of(|| info_span!("chat", model_id = "gpt-4o-mini")), None);
        assert_eq!(of(|| info_span!("chat", route = "/v1/chat")), None);
    }

    #[test]
    fn rules_see_the_names_that_others_see() {
        let rules = [
            SamplingRule::new(0.1).with_model("gpt-4o"),
            SamplingRule::new(0.2).with_route("llm.Router/*"),
            SamplingRule::new(0.3).with_span("nightly*"),
            SamplingRule::new(0.4).with_span("inference"),
        ];
        let mapping = Mapping::default()
            .with_span("generate", "inference")
            .with_field("llm", "model_id");
        let of = |span| share(&rules, &mapping, span);
        assert_eq!(of(|| info_span!("a", llm = "gpt-4o")), Some(0.1));
        assert_eq!(of(|| info_span!("a", llm.model_name = "gpt-4o")), Some(0.1));
        assert_eq!(
            of(|| info_span!("grpc_request", rpc.method = "llm.Router/Chat")),
            Some(0.2)
        );
        // As `with_span` makes them.
        assert_eq!(
            of(|| info_span!("custom", otel.name = "nightly_report")),
            Some(0.3)
        );
        assert_eq!(of(|| info_span!("generate")), Some(0.4));
        assert_eq!(of(|| info_span!("other", otel.name = "x")), None);
    }
}
