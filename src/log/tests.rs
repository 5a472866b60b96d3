//! Tests of log lines without traces.

use std::{fmt, io::Write, sync::Mutex};

use tracing::{field, info, info_span};
use tracing_subscriber::{Registry, layer::Layered, prelude::*};

use super::*;
use crate::privacy::RedactionConfig;

#[derive(Clone, Default)]
pub(crate) struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Buffer {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

pub(crate) fn redaction() -> Arc<Redaction> {
    let redaction = Redaction::new(&RedactionConfig::default(), None);
    Arc::new(redaction.unwrap())
}

/// Returns the lines that a log layer above `below` writes.
pub(crate) fn written<B, L>(below: B, log: impl FnOnce(Buffer) -> L, work: impl FnOnce()) -> String
where
    B: Layer<Registry> + Send + Sync,
    L: Layer<Layered<B, Registry>> + Send + Sync,
{
    let buffer = Buffer::default();
    let log = log(buffer.clone());
    let subscriber = tracing_subscriber::registry().with(below).with(log);
    tracing::subscriber::with_default(subscriber, work);
    let bytes = buffer.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

/// Returns the lines in a format, without traces.
fn logged(format: LogFormat, work: impl FnOnce()) -> String {
    let layer = |writer| layer_to(writer, &redaction(), NoIds, (format, false));
    written(tracing_subscriber::layer::Identity::new(), layer, work)
}

pub(crate) fn work() {
    info!("outside");
    info_span!("step", prompt = "a s3cret", number = 7).in_scope(|| {
        info!(
            completion = "a s3cret",
            key = "sk-abcdef0123456789",
            "inside"
        );
        info!("mail ann@example.org");
    });
}

#[test]
fn a_line_shows_fields_and_spans_and_no_content() {
    let text = logged(LogFormat::Pretty, work);
    assert!(text.contains("step{prompt=[withheld] number=7}"), "{text}");
    assert!(
        text.contains("inside completion=[withheld] key=[masked]"),
        "{text}"
    );
    assert!(
        !text.contains("s3cret") && !text.contains("example.org") && !text.contains("trace_id"),
        "{text}"
    );
}

#[test]
fn a_line_contains_no_line_breaks_and_no_terminal_controls_of_values() {
    let text = logged(LogFormat::Pretty, || {
        info!(evil = "x\nINFO forged", "red \x1b[31m, title \u{9b}0;t\x07");
    });
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(!text.trim_end().contains(char::is_control), "{text:?}");
    assert!(text.contains(r"evil=x\nINFO forged"), "{text}");
}

#[test]
fn json_keys_have_a_fixed_order_and_spans_have_their_fields() {
    let text = logged(LogFormat::Json, || {
        info_span!("request", route = "/v1/chat", prompt = "a s3cret").in_scope(|| {
            info_span!("step", number = 7, share = 0.5, name = "n").in_scope(|| {
                info!(
                    zebra = true,
                    apple = -1,
                    nothing = f64::NAN,
                    "mail ann@example.org"
                );
            });
        });
    });
    let (timestamp, rest) = text.split_once(r#","level""#).unwrap();
    assert!(timestamp.starts_with(r#"{"timestamp":""#) && timestamp.ends_with("Z\""));
    let step = r#"{"name":"step","number":7,"share":0.5,"field.name":"n"}"#;
    let request = r#"{"name":"request","route":"/v1/chat","prompt":"[withheld]"}"#;
    let expected = [
        r#":"INFO","target":"llm_observatory::log::tests","message":"mail [masked]","#,
        r#""fields":{"zebra":true,"apple":-1,"nothing":"NaN"},"#,
        &format!("\"span\":{step},\"spans\":[{request},{step}]}}\n"),
    ];
    assert_eq!(rest, expected.concat());
}

#[test]
fn a_json_line_has_the_name_that_the_code_gives_to_the_event() {
    let text = logged(LogFormat::Json, || {
        tracing::info!(name: "token", answer = 42, "one");
        tracing::info!("two");
    });
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["name"], "token");
    // A number is no content.
    assert_eq!(lines[0]["fields"]["answer"], 42);
    assert_eq!(lines[1].get("name"), None);
}

#[test]
fn a_card_is_masked_as_a_number_and_other_numbers_stay() {
    let text = logged(LogFormat::Json, || {
        let _span = info_span!("pay", card = 4_111_111_111_111_111_i64).entered();
        info!(
            card = 4_111_111_111_111_111_u64,
            at = 1_732_480_000_000_000_003_i64,
            tokens = 512
        );
    });
    let fields = r#""fields":{"card":"[masked]","at":1732480000000000003,"tokens":512}"#;
    assert!(text.contains(fields), "{text}");
    assert!(!text.contains("41111"), "{text}");
}

#[test]
fn fields_that_are_recorded_later_are_redacted_and_shown_in_later_lines() {
    let work = || {
        let span = info_span!(
            "step",
            number = 7,
            note = tracing::field::Empty,
            prompt = tracing::field::Empty,
        );
        info!(parent: &span, "one");
        info!(parent: &span, "two");
        span.record("note", "ask ann@example.org");
        span.record("prompt", "a s3cret");
        span.record("number", 8);
        info!(parent: &span, "three");
    };
    let text = logged(LogFormat::Pretty, work);
    let shown: Vec<_> = text
        .lines()
        .map(|line| {
            line.split_once("step{")
                .unwrap()
                .1
                .split_once('}')
                .unwrap()
                .0
        })
        .collect();
    let later = "number=8 note=ask [masked] prompt=[withheld]";
    assert_eq!(shown, ["number=7", "number=7", later]);
    let text = logged(LogFormat::Json, work);
    let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let expected = serde_json::json!({
        "name": "step", "number": 8, "note": "ask [masked]", "prompt": "[withheld]",
    });
    assert_eq!(last["span"], expected);
}

#[test]
fn a_span_that_is_recorded_on_repeatedly_stays_small() {
    let count = |span: &tracing::Span| {
        tracing::dispatcher::get_default(|dispatch| {
            let registry: &Registry = dispatch.downcast_ref().unwrap();
            let span = registry.span(&span.id().unwrap()).unwrap();
            spans::stored_field_count(&span)
        })
    };
    logged(LogFormat::Pretty, || {
        let span = info_span!("worker", done = 0, note = tracing::field::Empty);
        for done in 0..10_000 {
            span.record("done", done);
            span.record("note", "still there");
        }
        assert_eq!(count(&span), 2);
    });
}

/// `cargo test --release --all-features --lib -- --ignored --nocapture cost_of_a_line`
#[test]
#[ignore = "a measurement"]
fn cost_of_a_line_and_of_a_span_without_one() {
    fn took(layer: impl Layer<Registry> + Send + Sync, lines: usize) -> std::time::Duration {
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            let mut rounds: Vec<_> = (0..200)
                .map(|_| {
                    let start = std::time::Instant::now();
                    for _ in 0..100 {
                        let route = "/v1/chat/completions";
                        info_span!("request", route, model_id = "gpt-4o", tokens = 512).in_scope(
                            || (0..lines).for_each(|_| info!(attempt = 1, "sent upstream")),
                        );
                    }
                    start.elapsed() / 100
                })
                .collect();
            rounds.sort();
            rounds[100]
        })
    }
    let ours = |format| layer_to(io::sink, &redaction(), NoIds, (format, false));
    let theirs = || tracing_subscriber::fmt::layer().with_writer(io::sink);
    for lines in [0, 1, 10] {
        eprintln!(
            "{lines} lines: tracing-subscriber {:?}, pretty {:?}, JSON {:?}",
            took(theirs(), lines),
            took(ours(LogFormat::Pretty), lines),
            took(ours(LogFormat::Json), lines),
        );
    }
}

#[test]
fn lines_of_many_threads_in_one_span_each_show_all_fields() {
    let text = logged(LogFormat::Pretty, || {
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        for _ in 0..50 {
            let span = info_span!("step", note = "ann@example.org", number = 7);
            let line = || {
                tracing::dispatcher::with_default(&dispatch, || info!(parent: &span, "line"));
            };
            std::thread::scope(|scope| {
                scope.spawn(line);
                scope.spawn(line);
            });
        }
    });
    assert_eq!(
        text.matches("step{note=[masked] number=7}").count(),
        100,
        "{text}"
    );
}

#[test]
fn a_value_whose_debug_panics_is_withheld_and_the_line_is_written() {
    struct Panics;
    impl fmt::Debug for Panics {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("no")
        }
    }
    for format in [LogFormat::Pretty, LogFormat::Json] {
        let text = logged(format, || {
            let span = info_span!("step", made = ?Panics, later = tracing::field::Empty);
            span.record("later", tracing::field::debug(Panics));
            info!(parent: &span, value = ?Panics, "still here");
        });
        assert!(text.contains("still here"), "{text}");
        assert_eq!(
            text.matches("[withheld]").count(),
            if format == LogFormat::Json { 5 } else { 3 }
        );
    }
}

#[test]
fn two_threads_that_record_first_on_one_span_do_not_deadlock() {
    let layer = |writer| layer_to(writer, &redaction(), NoIds, (LogFormat::Pretty, false));
    let turns = 300;
    let text = written(tracing_subscriber::layer::Identity::new(), layer, || {
        for _ in 0..turns {
            let span = info_span!("step", a = field::Empty, b = field::Empty);
            let both = std::sync::Barrier::new(2);
            let dispatch = tracing::dispatcher::get_default(Clone::clone);
            std::thread::scope(|scope| {
                for name in ["a", "b"] {
                    let (span, both, dispatch) = (&span, &both, &dispatch);
                    scope.spawn(move || {
                        tracing::dispatcher::with_default(dispatch, || {
                            both.wait();
                            span.record(name, 7);
                            span.in_scope(|| info!("inside"));
                        });
                    });
                }
            });
            span.in_scope(|| info!("last"));
        }
    });
    let whole = text
        .lines()
        .filter(|line| line.contains("last") && line.contains("a=7") && line.contains("b=7"));
    assert_eq!(whole.count(), turns);
}
