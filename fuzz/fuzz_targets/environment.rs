//! Reads environment variables: no panic, an error that names its variable, and no secret in an error or in `Debug`.
//!
//! Each line of the input is a number of a variable, a space and its value.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use llm_observatory::Config;

/// Every variable that `docs/configuration.md` names.
static NAMES: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let text = include_str!("../../docs/configuration.md");
    let quoted = text.split('`').skip(1).step_by(2);
    let is_name = |name: &&str| {
        let is_letter = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        name.contains('_') && name.chars().all(is_letter)
    };
    let mut names: Vec<_> = quoted.filter(is_name).collect();
    names.sort_unstable();
    names.dedup();
    names
});

/// The variables whose values no output may show.
const SECRETS: [&str; 4] = [
    "OBSERVATORY_TOKEN",
    "PAGERDUTY_ROUTING_KEY",
    "SLACK_WEBHOOK_URL",
    "SMTP_PASS",
];

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let lines = text.lines().filter_map(|line| {
        let (number, value) = line.split_once(' ')?;
        let name = NAMES.get(number.parse::<usize>().ok()?)?;
        // The system refuses the byte 0.
        (!value.contains('\0')).then_some((*name, value))
    });
    let variables: Vec<(&str, &str)> = lines.collect();
    for (name, value) in &variables {
        // SAFETY: the process has a single thread.
        unsafe { std::env::set_var(name, value) };
    }
    let shown = match Config::load() {
        Ok(config) => {
            config.validate().unwrap();
            format!("{config:?}")
        }
        Err(error) => error.to_string(),
    };
    for (name, value) in &variables {
        let is_hidden = value.len() < 12 || !shown.contains(value);
        assert!(
            !SECRETS.contains(name) || is_hidden,
            "{name}={value:?}: {shown}"
        );
        // SAFETY: the process has a single thread.
        unsafe { std::env::remove_var(name) };
    }
});
