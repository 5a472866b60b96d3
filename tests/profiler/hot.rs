//! A program with known hot functions, and the profiles of it in each format.

use std::{
    hint::black_box,
    io::Read as _,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use crate::{alone, get, get_text, observatory};

macro_rules! hot {
    ($($name:ident = $share:literal)*) => {$(
        #[inline(never)]
        fn $name(unit: u64) -> u64 {
            let mut sum = unit;
            for step in 0..$share * unit {
                sum = black_box(sum.wrapping_mul(31) ^ step);
            }
            sum
        }
    )*};
}

hot! {
    hot_seventy = 70
    hot_twenty = 20
    hot_ten = 10
}

/// Threads that spend 70 %, 20 % and 10 % of their time in three functions.
pub(crate) struct Hot {
    is_stopped: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Hot {
    pub(crate) fn start(threads: u64) -> Self {
        let is_stopped = Arc::new(AtomicBool::new(false));
        let start = |seed: u64| {
            let is_stopped = Arc::clone(&is_stopped);
            thread::spawn(move || {
                let mut random = seed;
                while !is_stopped.load(Ordering::Relaxed) {
                    // The length of a turn varies, so that the turns do not run in step with the kernel's ticks.
                    random = random
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    let unit = 50 + (random >> 33) % 400;
                    black_box(hot_seventy(unit) ^ hot_twenty(unit) ^ hot_ten(unit));
                }
            })
        };
        let threads = (1..=threads).map(start).collect();
        Self {
            is_stopped,
            threads,
        }
    }
}

impl Drop for Hot {
    fn drop(&mut self) {
        self.is_stopped.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("arithmetic");
        }
    }
}

const NAMES: [(&str, f64); 3] = [
    ("hot_seventy", 70.0),
    ("hot_twenty", 20.0),
    ("hot_ten", 10.0),
];

/// Returns the samples of each hot function in the folded form.
fn samples(folded: &str) -> [f64; 3] {
    let weight = |line: &str| -> f64 {
        let (_, weight) = line.rsplit_once(' ').expect("a weight");
        weight.parse().expect("a number")
    };
    NAMES.map(|(name, _)| {
        let lines = folded.lines().filter(|line| line.contains(name));
        lines.map(weight).sum()
    })
}

#[test]
fn the_shares_of_known_hot_functions_are_within_five_points_over_five_runs() {
    let _alone = alone();
    let observatory = observatory(|_| ());
    let _hot = Hot::start(2);
    let mut totals = [0.0; 3];
    let mut runs = 0;
    // A busy machine gives the process less CPU time: with 1,500 samples, five points are four standard deviations.
    while runs < 5 || (totals.iter().sum::<f64>() < 1500.0 && runs < 30) {
        let (status, folded) =
            get_text(&observatory, "/debug/pprof/profile?seconds=1&format=folded");
        assert_eq!(status, 200, "{folded}");
        for (total, more) in totals.iter_mut().zip(samples(&folded)) {
            *total += more;
        }
        runs += 1;
    }
    let all: f64 = totals.iter().sum();
    println!("{totals:?} in {runs} runs");
    assert!(all > 300.0, "too few samples: {totals:?}");
    for ((name, expected), total) in NAMES.iter().zip(totals) {
        let share = 100.0 * total / all;
        assert!(
            (share - expected).abs() <= 5.0,
            "{name}: {share:.1} %, not {expected} %"
        );
    }
}

#[test]
fn every_format_names_the_hot_functions_and_the_summary_counts_the_samples() {
    let _alone = alone();
    let observatory = observatory(|_| ());
    let _hot = Hot::start(1);
    let profile = |format: &str| {
        let path = format!("/debug/pprof/profile?seconds=0.5&format={format}");
        let (status, body) = get(&observatory, &path);
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        body
    };
    let svg = String::from_utf8(profile("svg")).expect("text");
    assert!(svg.contains("<svg") && svg.contains("hot_seventy"), "{svg}");
    let json: serde_json::Value = serde_json::from_slice(&profile("json")).expect("JSON");
    let number = |key: &str| json[key].as_f64().expect("a number");
    assert!(
        number("cpu_seconds") > 0.1 && number("samples") > 10.0,
        "{json}"
    );
    assert!(
        number("handler_seconds") < 0.03 * number("cpu_seconds"),
        "{json}"
    );
    assert_eq!(json["root"]["value"], json["samples"]);
    assert!(
        json["notes"][0]
            .as_str()
            .is_some_and(|note| note.contains("CPU-seconds"))
    );
    let mut raw = Vec::new();
    let compressed = profile("pprof");
    flate2::read::GzDecoder::new(compressed.as_slice())
        .read_to_end(&mut raw)
        .expect("gzip");
    let names = String::from_utf8_lossy(&raw);
    assert!(names.contains("hot_seventy") && names.contains("nanoseconds"));
    go_tool_pprof(&compressed);
}

/// Lets `go tool pprof` read the profile, where Go is installed.
fn go_tool_pprof(profile: &[u8]) {
    if Command::new("go").arg("version").output().is_err() {
        println!("skipped: go is not installed");
        return;
    }
    let file = std::env::temp_dir().join(format!("profile-{}.pb.gz", std::process::id()));
    std::fs::write(&file, profile).expect("a file");
    let output = Command::new("go")
        .args(["tool", "pprof", "-top", "-nodecount=200"])
        .arg(&file)
        .output()
        .expect("go tool pprof");
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}");
    assert!(
        output.status.success() && text.contains("hot_seventy"),
        "{output:?}"
    );
    std::fs::remove_file(file).expect("the file");
}
