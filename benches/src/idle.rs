//! Measures the CPU time of an observatory in a service without load, by thread.

use std::{fs, net::SocketAddr, thread, time::Duration};

use llm_observatory::{Config, Observatory};
use tracing_subscriber::{layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::Failure;

const TIME: Duration = Duration::from_mins(1);
/// The kernel's unit of CPU time in `stat`: `USER_HZ`, 100 on every architecture of Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// Prints the share of a core that each thread uses.
pub(crate) fn measure() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let config = Config::default().with_listen(SocketAddr::from(([127, 0, 0, 1], 0)));
    let (layer, observatory) = {
        let _runtime = runtime.enter();
        Observatory::builder(config).build()?
    };
    tracing_subscriber::registry().with(layer).init();
    // The first ticks create the series.
    thread::sleep(Duration::from_secs(12));
    let before = cpu_ticks()?;
    thread::sleep(TIME);
    let after = cpu_ticks()?;
    println!("| thread | % of a core |\n|---|---:|");
    let mut sum = 0;
    for (thread, ticks) in after {
        let then = before.iter().find(|(known, _)| *known == thread);
        let used = ticks - then.map_or(0, |(_, ticks)| *ticks);
        sum += used;
        println!("| {thread} | {:.3} |", percent(used));
    }
    println!("| all | {:.3} |", percent(sum));
    observatory.shutdown_blocking();
    Ok(())
}

fn percent(ticks: u64) -> f64 {
    ticks as f64 / TICKS_PER_SECOND / TIME.as_secs_f64() * 100.0
}

/// Returns the CPU time of each thread, by id and name.
fn cpu_ticks() -> Result<Vec<(String, u64)>, Failure> {
    let mut threads = Vec::new();
    for task in fs::read_dir("/proc/self/task")? {
        let Ok(stat) = fs::read_to_string(task?.path().join("stat")) else {
            // The thread has ended.
            continue;
        };
        let (head, tail) = stat.rsplit_once(") ").ok_or("a stat without a name")?;
        let fields: Vec<&str> = tail.split(' ').collect();
        let [user, system] =
            [11, 12].map(|place| fields.get(place).and_then(|text| text.parse::<u64>().ok()));
        threads.push((
            head.replace(" (", " "),
            user.ok_or("no user time")? + system.ok_or("no system time")?,
        ));
    }
    Ok(threads)
}
