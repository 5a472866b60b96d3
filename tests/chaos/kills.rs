//! Kills the process at random moments while it takes silences, raised alerts and acknowledgements, fires and resolves
//! a rule, escalates, and sends webhooks of which three of ten are refused.
//!
//! The ledger notes a change only after its answer. A change without an answer may or may not exist, and is not judged.

mod ledger;

use std::{
    collections::HashMap,
    env,
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};

use self::ledger::{Ledger, Stage, Wave};
use crate::{
    process::{Directory, Victim, json as ask, until},
    receiver::{Mode, Receiver},
    report::{Report, Scale},
    victim,
};

/// Silences, and raised alerts, of one process: 200 processes stay below the limit of 10,000 of each.
const MAX_CHANGES: u32 = 40;
/// The time without any accepted webhook after which the notifications that are still due count as lost.
const SETTLE: Duration = Duration::from_mins(1);

pub(crate) fn run(scale: Scale, report: &mut Report) {
    let seed = env::var("CHAOS_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| rand::rng().random::<u32>().into());
    println!("kills: CHAOS_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let receiver = Receiver::start(Mode::RefuseSome);
    let directory = Directory::new("kills");
    let ledger = Mutex::new(Ledger::default());
    let (kills, mut unstarted) = (scale.pick(12, 200), 0);
    for _ in 0..kills {
        ledger.lock().unwrap().turn(&receiver, &mut random);
        let levels = ledger.lock().unwrap().levels();
        let starting = Victim::launch(
            Command::new(env::current_exe().unwrap()),
            "victim",
            &variables(&receiver, &directory, &levels),
        )
        .unwrap();
        if random.random_bool(0.1) {
            thread::sleep(Duration::from_millis(random.random_range(1..200)));
            starting.kill();
            continue;
        }
        match starting.listening() {
            Ok(victim) => {
                ledger.lock().unwrap().check(victim.monitor);
                let life = Duration::from_millis(random.random_range(20..3_000));
                live(victim, &ledger, life);
            }
            Err(error) => {
                println!("kills: {error}");
                unstarted += 1;
            }
        }
    }
    let mut ledger = ledger.into_inner().unwrap();
    report.figure("kills", kills);
    report.exactly("starts that failed", unstarted, 0);
    finish(&mut ledger, &receiver, &directory, report);
}

fn variables(
    receiver: &Receiver,
    directory: &Directory,
    levels: &str,
) -> [(&'static str, String); 3] {
    [
        (victim::RECEIVER, receiver.url()),
        ("OBSERVATORY_DATA_DIR", directory.text()),
        (victim::LEVELS, levels.to_owned()),
    ]
}

/// Changes silences, alerts and acknowledgements until the kill.
fn live(victim: Victim, ledger: &Mutex<Ledger>, life: Duration) {
    let Victim {
        mut process,
        mut commands,
        monitor,
    } = victim;
    let is_over = AtomicBool::new(false);
    let post = |path: &str, body: &Value| ask(monitor, "POST", path, Some(body));
    thread::scope(|scope| {
        scope.spawn(|| {
            for turn in 0..MAX_CHANGES {
                thread::sleep(Duration::from_millis(5));
                let body = json!({
                    "matchers": [format!("alertname=\"unrelated_{turn}\"")], "startsAt": 0,
                    "endsAt": 4_000_000_000_000_i64, "createdBy": "chaos", "comment": "campaign",
                });
                let Some(answer) = post("/api/observatory/silences", &body) else {
                    return;
                };
                let id = answer["silenceID"].as_str().unwrap_or_default().to_owned();
                if turn % 3 == 2 {
                    let path = format!("/api/observatory/silences/{id}");
                    let Some(_) = ask(monitor, "DELETE", &path, None) else {
                        return;
                    };
                    ledger.lock().unwrap().silences.insert(id, true);
                } else {
                    ledger.lock().unwrap().silences.insert(id, false);
                }
            }
        });
        scope.spawn(|| {
            for turn in 0..MAX_CHANGES {
                if turn % 3 == 2 {
                    let Some(name) = ledger.lock().unwrap().begin_resolving() else {
                        continue;
                    };
                    let Some(answer) = commands.ask(&format!("resolve {name}")) else {
                        return;
                    };
                    let stage = if answer == "1" {
                        Stage::Resolved
                    } else {
                        Stage::Lost
                    };
                    ledger.lock().unwrap().set(&name, stage);
                } else {
                    let name = ledger.lock().unwrap().next_name();
                    match commands.ask(&format!("raise {name}")).as_deref() {
                        Some("accepted") => ledger.lock().unwrap().set(&name, Stage::Firing),
                        Some(answer) => panic!("{answer}"),
                        None => return,
                    }
                }
                thread::sleep(Duration::from_millis(10));
            }
        });
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(40));
                let name = ledger.lock().unwrap().to_acknowledge();
                let Some(name) = name else { continue };
                let body = json!({ "matchers": format!("alertname=\"{name}\""), "by": "chaos" });
                let path = "/api/observatory/alerts/acknowledge";
                let answer = crate::process::request(
                    monitor,
                    "POST",
                    path,
                    Some(&body),
                    Duration::from_secs(10),
                );
                match answer {
                    Ok((200, _)) => ledger.lock().unwrap().acknowledged(&name),
                    // The alert has just been resolved.
                    Ok(_) => {}
                    Err(_) => return,
                }
            }
        });
        thread::sleep(life);
        process.kill();
        is_over.store(true, Ordering::Relaxed);
    });
}

/// Lets the last process send its notifications, and counts the losses.
fn finish(ledger: &mut Ledger, receiver: &Receiver, directory: &Directory, report: &mut Report) {
    let levels = ledger.levels();
    let victim = Victim::start("victim", &variables(receiver, directory, &levels));
    let mut victim = victim.unwrap();
    ledger.check(victim.monitor);
    settle(receiver, || {
        ledger.see(receiver);
        ledger.waves.iter().all(Wave::is_seen)
    });
    for (n, wave) in ledger.waves.iter_mut().enumerate() {
        wave.end();
        victim.ask(&format!("level {n} 0"));
    }
    settle(receiver, || {
        ledger.see(receiver);
        ledger.is_settled(receiver)
    });
    let waves = &ledger.waves;
    let count = |is_so: fn(&&Wave) -> bool| waves.iter().filter(is_so).count();
    report.figure("silences accepted", ledger.silences.len());
    report.exactly("silences lost", ledger.lost_silences.len(), 0);
    report.figure("alerts raised", ledger.raised.len());
    report.exactly("raised alerts lost", ledger.lost_alerts.len(), 0);
    report.exactly("resolutions lost", ledger.risen_alerts.len(), 0);
    report.figure("acknowledgements accepted", ledger.acknowledgements);
    report.exactly(
        "acknowledgements lost",
        ledger.lost_acknowledgements.len(),
        0,
    );
    report.figure("alerts of the rule", waves.len());
    report.exactly(
        "resolved notifications while the rule fired",
        count(|wave| wave.is_resolved_falsely),
        0,
    );
    report.figure("webhooks refused", receiver.refused());
    report.figure("webhooks accepted", receiver.accepted().len());
    report.exactly(
        "notifications lost",
        ledger.missing(receiver).len() + count(|wave| !wave.is_done()),
        0,
    );
    let (duplicates, foreign) = duplicates(receiver);
    report.figure("exact duplicates", duplicates);
    report.exactly("duplicates with another dedup key", foreign, 0);
    let aside = std::fs::read_dir(directory.path()).unwrap();
    let aside = aside
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().contains("damaged"));
    report.exactly("stores found damaged", aside.count(), 0);
    ledger.explain(receiver);
}

/// Waits until a condition holds, as long as webhooks are accepted: the refused ones delay the others.
fn settle(receiver: &Receiver, mut is_settled: impl FnMut() -> bool) {
    let mut accepted = usize::MAX;
    while receiver.accepted().len() != accepted {
        accepted = receiver.accepted().len();
        if until(SETTLE, || {
            is_settled() || receiver.accepted().len() != accepted
        }) && is_settled()
        {
            return;
        }
    }
}

/// Counts the accepted requests that equal an earlier request, and among them those with another dedup key.
fn duplicates(receiver: &Receiver) -> (usize, usize) {
    let mut seen: HashMap<(String, Vec<u8>), String> = HashMap::new();
    let (mut duplicates, mut foreign) = (0, 0);
    for request in receiver.accepted().iter() {
        let key = (request.path.clone(), request.raw.clone());
        match seen.get(&key) {
            Some(dedup_key) => {
                duplicates += 1;
                foreign += usize::from(*dedup_key != request.dedup_key);
            }
            None => {
                seen.insert(key, request.dedup_key.clone());
            }
        }
    }
    (duplicates, foreign)
}
