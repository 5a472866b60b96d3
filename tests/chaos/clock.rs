//! Steps the wall clock of a running process with libfaketime: alerts that fire stay so, new alerts are delivered, and
//! queries have wall time.

use std::fmt::Write as _;
use std::{
    env, fs,
    path::PathBuf,
    process::Command,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::{
    process::{Directory, Victim, json as ask, until},
    receiver::{Mode, Receiver},
    report::{Report, Scale},
    victim,
};

/// The steps in seconds from the true time, in order: each but the first is a step from the one before.
const SHORT: [i64; 4] = [0, 3_600, 0, -3_600];
const LONG: [i64; 10] = [0, 5, 0, -5, 0, 3_600, 0, -3_600, 0, 31_536_000];
/// The time in which an alert is delivered.
const DELIVERY: Duration = Duration::from_secs(15);

pub(crate) fn run(scale: Scale, report: &mut Report) {
    let Some(library) = library() else {
        let is_ci = env::var("CI").is_ok_and(|value| value == "true");
        assert!(
            !is_ci,
            "libfaketime is missing: apt-get install libfaketime"
        );
        println!("skipped: libfaketime is missing: apt-get install libfaketime");
        return;
    };
    let receiver = Receiver::start(Mode::Accept);
    let directory = Directory::new("clock");
    let file = directory.path().join("now");
    let step = |seconds: i64| fs::write(&file, format!("{seconds:+}\n")).unwrap();
    step(0);
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .env("LD_PRELOAD", library)
        .env("FAKETIME_TIMESTAMP_FILE", &file)
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let variables = [
        (victim::RECEIVER, receiver.url()),
        (victim::LEVELS, "0=1".to_owned()),
    ];
    let starting = Victim::launch(command, "victim", &variables).unwrap();
    let mut victim = starting.listening().unwrap();
    victim.ask("raise held").unwrap();
    let fires = |name: &str| until(DELIVERY, || receiver.has("/hook", name, "firing"));
    assert!(fires("held") && fires("wave0"), "{}", victim.process.log());

    let steps = scale.pick(&SHORT[..], &LONG[..]);
    let (mut wrong_time, mut gaps, mut silent, mut unresolved) = (0, 0, 0, 0);
    for (number, seconds) in steps.iter().enumerate().skip(1) {
        step(*seconds);
        thread::sleep(Duration::from_secs(scale.pick(3, 20)));
        let now = query(&victim, "time()").unwrap_or(f64::NAN);
        let expected = true_seconds() + *seconds as f64;
        wrong_time += usize::from((now - expected).abs() >= 2.0 || now.is_nan());
        gaps += usize::from(query(&victim, "chaos_level{n=\"0\"}") != Some(1.0));
        let name = format!("wave{number}");
        victim.ask(&format!("level {number} 1")).unwrap();
        silent += usize::from(!fires(&name));
        victim.ask(&format!("level {number} 0")).unwrap();
        let is_resolved = until(DELIVERY, || receiver.has("/hook", &name, "resolved"));
        unresolved += usize::from(!is_resolved);
    }
    let count = steps.len() - 1;
    report.figure("steps in seconds from the true time", format!("{steps:?}"));
    report.exactly(
        "steps after which time() is not the wall clock",
        wrong_time,
        0,
    );
    report.exactly("steps after which a query finds no sample", gaps, 0);
    report.exactly("steps after which a new alert is not delivered", silent, 0);
    report.exactly("steps after which an alert does not resolve", unresolved, 0);
    let resolved = ["held", "wave0"].map(|name| receiver.has("/hook", name, "resolved"));
    report.exactly(
        "firing alerts that a step resolved, of 2",
        resolved
            .into_iter()
            .filter(|is_resolved| *is_resolved)
            .count(),
        0,
    );
    let firings = |name: &str| {
        let accepted = receiver.accepted();
        let all = accepted.iter().filter(|request| request.path == "/hook");
        all.flat_map(|request| {
            request
                .alerts()
                .map(|(alert, status, _)| (alert, status.to_owned()))
        })
        .filter(|(alert, status)| alert == name && status == "firing")
        .count()
    };
    report.exactly(
        "firing notifications of the alert that stays",
        firings("wave0"),
        1,
    );
    let warnings = victim.process.log().matches("clock").count();
    report.figure(
        format!("log lines about the clock, of {count} steps"),
        warnings,
    );
}

fn library() -> Option<PathBuf> {
    let given = env::var_os("CHAOS_FAKETIME").map(PathBuf::from);
    let known = [
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
        "/usr/lib64",
    ];
    let known = known.map(|folder| PathBuf::from(folder).join("faketime/libfaketimeMT.so.1"));
    given.into_iter().chain(known).find(|path| path.is_file())
}

fn true_seconds() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs_f64()
}

/// Returns the value of an instant query with one result.
fn query(victim: &Victim, query: &str) -> Option<f64> {
    let encoded = query.bytes().fold(String::new(), |mut text, byte| {
        write!(text, "%{byte:02x}").unwrap();
        text
    });
    let answer = ask(
        victim.monitor,
        "GET",
        &format!("/api/v1/query?query={encoded}"),
        None,
    )?;
    let result = &answer["data"]["result"];
    // A scalar is the pair itself; a vector has one element.
    let pair = match answer["data"]["resultType"].as_str()? {
        "scalar" => result,
        _ => &result[0]["value"],
    };
    pair[1].as_str()?.parse().ok()
}
