//! The report of the example router under wrk.

use super::Report;
use crate::{Failure, router};

/// The maximum cost of everything on without load.
const MAX_IDLE_CPU_PERCENT: f64 = 0.5;
const MAX_IDLE_MEGABYTES: f64 = 15.0;

impl Report {
    pub(crate) fn router(&mut self) -> Result<(), Failure> {
        router::build()?;
        self.section("The router, from off to everything on", "router");
        self.line(format_args!("The example router (`{BUILD}`) under wrk with 128 connections, each request a streamed answer of 64 tokens; 12 turns of 2 s for each configuration, in alternating order. The CPU time is that of the router's process, the threads of the observatory included. Off is the same code, compiled in.\n", BUILD = router::BUILD));
        for (speed, meaning) in router::LOADS {
            self.line(format_args!("Speed {speed}: {meaning}.\n"));
            self.line("| configuration | per second | CPU per request, µs | CPU / off | throughput / off |\n|---|---:|---:|---:|---:|");
            let compared = router::compare(speed)?;
            for own in &compared {
                self.line(format_args!(
                    "| {} | {:.0} | {:.1} | {:.3} | {:.3} |",
                    own.name, own.per_second, own.cpu_microseconds, own.cpu, own.throughput
                ));
            }
            self.line("");
            for own in compared {
                if let Some(max) = own.target {
                    self.target(
                        format_args!("{}: at most {max} × the CPU time of off", own.name),
                        format_args!("× {:.2}", own.cpu),
                        own.cpu.value <= max,
                    );
                }
            }
            self.line("");
        }
        let idle = router::idle()?;
        self.target(
            format_args!(
                "everything on without load: at most {MAX_IDLE_CPU_PERCENT} % of a core over off"
            ),
            format_args!("{:.2} %", idle.cpu_percent),
            idle.cpu_percent <= MAX_IDLE_CPU_PERCENT,
        );
        self.target(
            format_args!("everything on without load: at most {MAX_IDLE_MEGABYTES} MB over off"),
            format_args!("{:.1} MB", idle.resident_megabytes),
            idle.resident_megabytes <= MAX_IDLE_MEGABYTES,
        );
        Ok(())
    }
}
