//! Damages the files of the data directory between two runs, and deletes the directory during a run.

use std::{fs, path::Path, time::Duration};

use rand::{Rng as _, RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};

use crate::{
    process::{Directory, Victim, json as ask, until},
    receiver::{Mode, Receiver},
    report::{Report, Scale},
    victim,
};

/// The number of silences in the store.
const SILENCES: usize = 20;
/// The time in which a process delivers an alert.
const DELIVERY: Duration = Duration::from_secs(10);

pub(crate) fn run(scale: Scale, report: &mut Report) {
    let receiver = Receiver::start(Mode::Accept);
    let template = Directory::new("template");
    fill(&receiver, &template);
    let cases = scale.pick(10, 170);
    let mut random = StdRng::seed_from_u64(7);
    let mut results = Results::default();
    for case in 0..cases {
        let directory = Directory::new("damage");
        copy(template.path(), directory.path());
        let damage = damage(directory.path(), case, &mut random);
        if let Err(error) = results.judge(&receiver, &directory, case) {
            println!("damage: case {case} ({damage}): {error}");
        }
    }
    report.figure("damaged stores", cases);
    report.exactly("processes that started", results.started, cases);
    report.exactly(
        "processes that delivered a new alert",
        results.delivered,
        cases,
    );
    report.exactly("processes that kept a new silence", results.kept, cases);
    report.exactly("panics", results.panics, 0);
    report.figure("stores that were renamed", results.renamed);
    report.exactly(
        "renamed stores without a log line",
        results.renamed - results.logged,
        0,
    );
    report.figure(
        "silences of the damaged stores that were read",
        results.silences,
    );
    deleted(&receiver, report);
}

#[derive(Default)]
struct Results {
    started: usize,
    delivered: usize,
    kept: usize,
    panics: usize,
    renamed: usize,
    logged: usize,
    silences: usize,
}

impl Results {
    fn judge(
        &mut self,
        receiver: &Receiver,
        directory: &Directory,
        case: usize,
    ) -> Result<(), String> {
        let mut victim = start(receiver, directory)?;
        self.started += 1;
        self.silences += silences(&victim).min(SILENCES);
        let id = silence(&victim).ok_or("a new silence is refused")?;
        let name = format!("after_{case}");
        victim.ask(&format!("raise {name}")).ok_or("no answer")?;
        let is_delivered = until(DELIVERY, || receiver.has("/hook", &name, "firing"));
        self.delivered += usize::from(is_delivered);
        victim.process.kill();
        let log = victim.process.log();
        self.panics += log.matches("panicked").count();
        let names = fs::read_dir(directory.path()).map_err(|error| error.to_string())?;
        let is_renamed = names
            .flatten()
            .any(|entry| entry.file_name().to_string_lossy().contains("damaged"));
        self.renamed += usize::from(is_renamed);
        self.logged += usize::from(is_renamed && log.contains("damaged"));
        let again = start(receiver, directory)?;
        let is_kept = listed(&again).iter().any(|known| known["id"] == id);
        self.kept += usize::from(is_kept);
        match (is_delivered, is_kept) {
            (true, true) => Ok(()),
            _ => Err(format!("delivered: {is_delivered}, kept: {is_kept}: {log}")),
        }
    }
}

fn start(receiver: &Receiver, directory: &Directory) -> Result<Victim, String> {
    let variables = [
        (victim::RECEIVER, receiver.url()),
        ("OBSERVATORY_DATA_DIR", directory.text()),
    ];
    Victim::start("victim", &variables)
}

/// Fills a store with silences, raised alerts and their history.
fn fill(receiver: &Receiver, directory: &Directory) {
    let mut victim = start(receiver, directory).unwrap();
    for _ in 0..SILENCES {
        silence(&victim).unwrap();
    }
    for number in 0..20 {
        victim.ask(&format!("raise filled_{number}")).unwrap();
    }
    assert!(until(DELIVERY, || {
        (0..20).all(|number| receiver.has("/hook", &format!("filled_{number}"), "firing"))
    }));
    // The last deliveries are stored.
    std::thread::sleep(Duration::from_secs(1));
}

fn silence(victim: &Victim) -> Option<Value> {
    let body = json!({
        "matchers": ["alertname=\"unrelated\""], "startsAt": 0,
        "endsAt": 4_000_000_000_000_i64, "createdBy": "chaos", "comment": "campaign",
    });
    let path = "/api/observatory/silences";
    ask(victim.monitor, "POST", path, Some(&body)).map(|answer| answer["silenceID"].clone())
}

fn listed(victim: &Victim) -> Vec<Value> {
    let all = ask(victim.monitor, "GET", "/api/observatory/silences", None);
    all.and_then(|all| all.as_array().cloned())
        .unwrap_or_default()
}

fn silences(victim: &Victim) -> usize {
    listed(victim).len()
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().flatten() {
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Damages the largest file of a directory; returns the kind of damage.
fn damage(directory: &Path, case: usize, random: &mut StdRng) -> String {
    let files = fs::read_dir(directory).unwrap().flatten();
    let file = files
        .max_by_key(|entry| entry.metadata().unwrap().len())
        .unwrap()
        .path();
    let mut bytes = fs::read(&file).unwrap();
    let length = bytes.len();
    let text = match case % 8 {
        0 => {
            let flips = random.random_range(1..64);
            for _ in 0..flips {
                let at = random.random_range(0..length);
                bytes[at] ^= 1 << random.random_range(0..8);
            }
            format!("{flips} flipped bits")
        }
        1 => {
            let cut = random.random_range(0..length);
            bytes.truncate(cut);
            format!("truncated to {cut} of {length} bytes")
        }
        2 => {
            let page = random.random_range(0..length / 4096) * 4096;
            bytes[page..page + 4096].fill(0);
            format!("page at {page} zeroed")
        }
        3 => {
            let at = random.random_range(0..512);
            bytes[at] ^= 0xff;
            format!("byte {at} of the header inverted")
        }
        4 => {
            bytes.clear();
            "empty".to_owned()
        }
        5 => {
            random.fill_bytes(&mut bytes);
            "random bytes".to_owned()
        }
        6 => {
            let page = random.random_range(0..length / 4096) * 4096;
            random.fill_bytes(&mut bytes[page..page + 4096]);
            format!("page at {page} random")
        }
        _ => {
            fs::remove_file(&file).unwrap();
            return "deleted".to_owned();
        }
    };
    fs::write(&file, bytes).unwrap();
    text
}

/// Deletes the data directory of a running process.
fn deleted(receiver: &Receiver, report: &mut Report) {
    let directory = Directory::new("deleted");
    let mut victim = start(receiver, &directory).unwrap();
    silence(&victim).unwrap();
    fs::remove_dir_all(directory.path()).unwrap();
    victim.ask("raise after_deletion").unwrap();
    let is_delivered = until(DELIVERY, || {
        receiver.has("/hook", "after_deletion", "firing")
    });
    report.holds(
        "deleted while running: a new alert is delivered",
        is_delivered,
    );
    let path = directory.text();
    let is_said = until(Duration::from_secs(25), || {
        victim.process.log().contains(&path)
    });
    report.holds("deleted while running: a log line names the path", is_said);
    let is_accepted = until(DELIVERY, || silence(&victim).is_some());
    report.holds("deleted while running: a silence is accepted", is_accepted);
    victim.process.kill();
    let again = start(receiver, &directory).unwrap();
    report.holds(
        "deleted while running: the next process has the silences",
        silences(&again) >= 1,
    );
}
