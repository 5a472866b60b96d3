//! Opens millions of inferences on several threads, and compares the metrics with their number.

use std::time::Duration;

use crate::{
    process::{Victim, request},
    report::{Report, Scale},
};

const THREADS: usize = 4;

pub(crate) fn run(scale: Scale, report: &mut Report) {
    let spans: usize = scale.pick(100_000, 10_000_000);
    let mut victim = Victim::start("victim", &[]).unwrap();
    victim
        .ask(&format!("spans {} {THREADS}", spans / 10))
        .unwrap();
    let before = victim.process.resident_mib();
    let took: f64 = victim
        .ask(&format!("spans {spans} {THREADS}"))
        .and_then(|took| took.parse().ok())
        .unwrap();
    let grown = victim.process.resident_mib() - before;
    let (_, text) = request(
        victim.monitor,
        "GET",
        "/metrics",
        None,
        Duration::from_secs(10),
    )
    .unwrap();
    let sum = |name: &str, label: &str| -> usize {
        let lines = text.lines().filter(|line| {
            let of_name = line.strip_prefix(name);
            of_name.is_some_and(|rest| rest.starts_with('{') && rest.contains(label))
        });
        let values = lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
        values.sum::<f64>() as usize
    };
    let all = spans + spans / 10;
    report.figure("spans", all);
    report.exactly(
        "inferences counted",
        sum("llm_router_model_inference_total", ""),
        all,
    );
    report.exactly(
        "failed inferences counted",
        sum("llm_router_model_inference_total", "status=\"error\""),
        all / 10,
    );
    report.exactly(
        "output tokens counted",
        sum("llm_router_tokens_generated_total", ""),
        all * 5,
    );
    report.exactly(
        "open inferences at the end",
        sum("llm_router_active_inferences", ""),
        0,
    );
    report.figure(
        "microseconds per span",
        format!("{:.2}", took * 1e6 / spans as f64),
    );
    report.at_most("growth of the resident memory in MiB", grown, 16.0);
}
