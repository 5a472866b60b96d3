//! Blocks every worker of the application's runtime: metrics, health, silences and alerts must not depend on it.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    process::{Victim, until},
    receiver::{Mode, Receiver},
    report::{Report, Scale},
    slow::Prober,
    victim,
};

pub(crate) fn run(scale: Scale, report: &mut Report) {
    let receiver = Receiver::start(Mode::Accept);
    let mut victim = Victim::start("victim", &[(victim::RECEIVER, receiver.url())]).unwrap();
    let time = Duration::from_secs(scale.pick(4, 60));
    victim.ask(&format!("block {}", time.as_millis())).unwrap();
    let (prober, start) = (Prober::start(victim.monitor, scale), Instant::now());
    victim.ask("raise while_blocked").unwrap();
    let is_delivered = until(time, || receiver.has("/hook", "while_blocked", "firing"));
    thread::sleep(time.saturating_sub(start.elapsed()));
    report.figure("seconds with every worker blocked", time.as_secs());
    report.holds(
        "an alert raised meanwhile is delivered meanwhile",
        is_delivered,
    );
    prober.finish(report, "blocked");
}
