//! Parses any text as a rule file: no panic, and an exported file has the same rules.

#![no_main]

use libfuzzer_sys::fuzz_target;
use llm_observatory::alerting::{export_rules, parse_rule_file};

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let Ok(groups) = parse_rule_file("rules.yml", &text) else {
        return;
    };
    let exported = export_rules(&groups);
    let again = parse_rule_file("exported.yml", &exported.yaml);
    let again = again.unwrap_or_else(|error| panic!("{text:?}: {error}\n{}", exported.yaml));
    assert_eq!(export_rules(&again).yaml, exported.yaml, "{text:?}");
});
