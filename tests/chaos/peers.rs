//! Lets the receivers of webhooks and spans misbehave, and come back.

use std::{thread, time::Duration};

use crate::{
    process::{Victim, request, until},
    receiver::{Mode, Receiver},
    report::{Report, Scale},
    slow::Prober,
    victim,
};

/// The time in which delivery resumes.
const RESUME: Duration = Duration::from_mins(2);
/// The number of alerts for each behaviour.
const ALERTS: usize = 10;
/// The number of spans for each behaviour.
const SPANS: usize = 2_000;

pub(crate) fn run(scale: Scale, report: &mut Report) {
    let (hooks, spans) = (Receiver::start(Mode::Accept), Receiver::start(Mode::Accept));
    let variables = [
        (victim::RECEIVER, hooks.url()),
        (victim::SPANS, spans.url()),
    ];
    let mut victim = Victim::start("victim", &variables).unwrap();
    victim.ask("raise warm").unwrap();
    victim.ask(&format!("spans {SPANS} 2")).unwrap();
    assert!(until(RESUME, || hooks.has("/hook", "warm", "firing")));
    assert!(until(RESUME, || !spans.accepted().is_empty()));
    let prober = Prober::start(victim.monitor, scale);
    let before = victim.process.resident_mib();
    let (mut slowest, mut names) = (0.0_f64, Vec::new());
    for mode in Mode::BAD {
        hooks.behave(mode);
        spans.behave(mode);
        for number in 0..ALERTS {
            let name = format!("{mode:?}_{number}");
            victim.ask(&format!("raise {name}")).unwrap();
            names.push(name);
        }
        let took = victim.ask(&format!("spans {SPANS} 2"));
        let took: f64 = took.and_then(|took| took.parse().ok()).unwrap();
        slowest = slowest.max(took * 1e6 / SPANS as f64);
        thread::sleep(Duration::from_secs(scale.pick(2, 60)));
    }
    let grown = victim.process.resident_mib() - before;
    let early = count(&hooks, &names, "firing");
    let received = spans.accepted().len();
    hooks.behave(Mode::Accept);
    spans.behave(Mode::Accept);
    victim.ask(&format!("spans {SPANS} 2")).unwrap();
    let has_resumed = until(RESUME, || spans.accepted().len() > received);
    until(RESUME, || count(&hooks, &names, "firing") == names.len());
    for name in &names {
        victim.ask(&format!("resolve {name}")).unwrap();
    }
    until(RESUME, || count(&hooks, &names, "resolved") == names.len());
    report.figure("behaviours", format!("{:?}", Mode::BAD));
    report.exactly("alerts delivered before the return", early, 0);
    report.exactly(
        "alerts delivered after the return",
        count(&hooks, &names, "firing"),
        names.len(),
    );
    report.exactly(
        "resolved notifications delivered",
        count(&hooks, &names, "resolved"),
        names.len(),
    );
    report.holds("spans arrive again", has_resumed);
    let (mut kept, mut made) = (0, SPANS * (Mode::BAD.len() + 2));
    until(RESUME, || {
        let (_, text) = request(
            victim.monitor,
            "GET",
            "/metrics",
            None,
            Duration::from_secs(10),
        )
        .unwrap();
        let of = |line: &str| line.starts_with("observatory_spans_total{exporter=\"otlp\"");
        let values = text.lines().filter(|line| of(line));
        kept = values
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
            .sum::<f64>() as usize;
        made = made.max(kept);
        kept == made
    });
    report.exactly(
        "spans exported, dropped or failed, of those made",
        kept,
        made,
    );
    report.figure(
        "slowest span in microseconds, as a mean of a behaviour",
        slowest as u64,
    );
    report.at_most("growth of the resident memory in MiB", grown, 100.0);
    prober.finish(report, "peers");
}

fn count(hooks: &Receiver, names: &[String], status: &str) -> usize {
    let has = |name: &&String| hooks.has("/hook", name, status);
    names.iter().filter(has).count()
}
