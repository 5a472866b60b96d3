//! Log lines that name the trace they belong to, and say no more of it than an exporter may.
//!
//! Every event inside a span gets `trace_id` and `span_id`; one of a trace that is not kept, too, with the id that is
//! sent on. Fields of events and spans go through the redaction that spans go through.

mod fields;
mod json;
mod layer;

use std::{fmt, io, sync::Arc, time::SystemTime};

use opentelemetry::trace::SpanContext;
use tracing::{Event, Subscriber};
use tracing_subscriber::{
    Layer,
    fmt::{
        FmtContext, FormatEvent, FormatFields, MakeWriter,
        format::{Format, Writer},
    },
    registry::LookupSpan,
};

pub(super) use self::fields::printed;
use self::{fields::Fields, layer::LogLayer};
use super::{
    gate::{self, Sampled},
    redaction::Redaction,
    sampling::HeadSampler,
};
use crate::config::LogFormat;

/// What log lines need to know of traces.
#[derive(Clone)]
pub(super) struct Lines {
    pub(super) sampled: Arc<Sampled>,
    pub(super) sampler: Arc<HeadSampler>,
    pub(super) redaction: Arc<Redaction>,
}

/// Writes an event as a line.
struct Line {
    lines: Lines,
    format: LogFormat,
    text: Format,
}

impl Lines {
    /// A layer that writes log lines to standard error.
    pub(super) fn layer<S>(&self, format: LogFormat, is_ansi: bool) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'l> LookupSpan<'l>,
    {
        self.layer_to(io::stderr, format, is_ansi)
    }

    fn layer_to<S, W>(&self, writer: W, format: LogFormat, is_ansi: bool) -> LogLayer<S, W>
    where
        S: Subscriber + for<'l> LookupSpan<'l>,
        W: for<'w> MakeWriter<'w> + 'static,
    {
        let is_ansi = is_ansi && format == LogFormat::Pretty;
        let line = Line {
            lines: self.clone(),
            format,
            text: Format::default().with_ansi(is_ansi),
        };
        LogLayer {
            inner: tracing_subscriber::fmt::layer()
                .event_format(line)
                .fmt_fields(Fields::new(Arc::clone(&self.redaction)))
                .with_writer(writer)
                .with_ansi(is_ansi),
            redaction: Arc::clone(&self.redaction),
            sampled: Arc::clone(&self.sampled),
            // A line of JSON names the spans around it, and no more of them.
            shows_spans: format == LogFormat::Pretty,
        }
    }
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'l> LookupSpan<'l>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let ids = layer::ids_of_line().or_else(|| {
            let span = context.parent_span()?;
            gate::ids_of(&span, &self.lines.sampled, &self.lines.sampler)
        });
        match self.format {
            LogFormat::Json => {
                let spans = context.event_scope().into_iter().flatten();
                let spans: Vec<_> = spans.map(|span| span.name()).collect();
                let line = json::line(
                    event,
                    &spans,
                    ids.as_ref(),
                    &self.lines.redaction,
                    SystemTime::now(),
                );
                writeln!(out, "{line}")
            }
            LogFormat::Pretty => {
                let mut line = String::new();
                self.text
                    .format_event(context, Writer::new(&mut line), event)?;
                write!(out, "{}", line.trim_end_matches('\n'))?;
                if let Some(ids) = ids {
                    write!(out, " {}", Ids(&ids))?;
                }
                writeln!(out)
            }
        }
    }
}

/// The ids behind a line for people.
struct Ids<'i>(&'i SpanContext);

impl fmt::Display for Ids<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "trace_id={} span_id={}",
            self.0.trace_id(),
            self.0.span_id()
        )
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tracing::{info, info_span};
    use tracing_subscriber::prelude::*;

    use super::*;
    use crate::{Config, clock::Clock, config::TracesConfig, metrics::Registry, traces::Traces};

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is logged in a format, where this share of traces is kept.
    fn logged(format: LogFormat, ratio: f64, work: impl FnOnce()) -> String {
        let config = Config::default()
            .with_traces(TracesConfig::default())
            .with_sampling_ratio(ratio);
        let registry = Registry::new(crate::RegistryOptions::default()).unwrap();
        let traces = Traces::new(&config, &registry, &[]).unwrap();
        let buffer = Buffer::default();
        let out = buffer.clone();
        let log = traces.lines.layer_to(move || out.clone(), format, false);
        let layer = crate::ObservatoryLayer::new(crate::FnSink::new(|_| ()))
            .with_gate(traces.gate(Clock::system()));
        let subscriber = tracing_subscriber::registry().with(layer).with(log);
        tracing::subscriber::with_default(subscriber, work);
        let bytes = buffer.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn work() {
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
    fn every_line_inside_a_span_names_one_trace_kept_or_not_and_no_content() {
        for ratio in [0.0, 1.0] {
            let text = logged(LogFormat::Pretty, ratio, work);
            let ids: Vec<_> = text
                .lines()
                .map(|line| line.split_once("trace_id=").map(|(_, ids)| ids))
                .collect();
            assert!(
                ids[0].is_none() && ids[1].is_some() && ids[1] == ids[2],
                "{text}"
            );
            assert!(text.contains("step{prompt=[withheld] number=7}"), "{text}");
            assert!(
                text.contains("inside completion=[withheld] key=[masked]"),
                "{text}"
            );
            assert!(
                !text.contains("s3cret") && !text.contains("example.org"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_line_cannot_be_made_to_look_like_two_or_to_command_a_terminal() {
        let text = logged(LogFormat::Pretty, 1.0, || {
            info!(evil = "x\nINFO forged", "red \x1b[31m, title \u{9b}0;t\x07");
        });
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(!text.trim_end().contains(char::is_control), "{text:?}");
        assert!(text.contains(r"evil=x\nINFO forged"), "{text}");
    }

    #[test]
    fn a_filter_that_hides_the_span_does_not_hide_its_trace() {
        let config = Config::default()
            .with_traces(TracesConfig::default())
            .with_sampling_ratio(1.0);
        let registry = Registry::new(crate::RegistryOptions::default()).unwrap();
        let traces = Traces::new(&config, &registry, &[]).unwrap();
        let buffer = Buffer::default();
        let out = buffer.clone();
        let log = traces
            .lines
            .layer_to(move || out.clone(), LogFormat::Pretty, false)
            .with_filter(tracing_subscriber::filter::LevelFilter::WARN);
        let layer = crate::ObservatoryLayer::new(crate::FnSink::new(|_| ()))
            .with_gate(traces.gate(Clock::system()));
        let subscriber = tracing_subscriber::registry().with(layer).with(log);
        tracing::subscriber::with_default(subscriber, || {
            info_span!("step").in_scope(|| tracing::warn!("short"));
        });
        let bytes = buffer.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains("short trace_id="), "{text}");
    }

    #[test]
    fn a_line_of_json_has_the_same() {
        for ratio in [0.0, 1.0] {
            let text = logged(LogFormat::Json, ratio, work);
            let lines: Vec<serde_json::Value> = text
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            assert!(lines[0].get("trace_id").is_none());
            let inside = &lines[1];
            assert_eq!(inside["trace_id"].as_str().unwrap().len(), 32);
            assert_eq!(inside["trace_id"], lines[2]["trace_id"]);
            assert_eq!(
                (inside["message"].as_str(), inside["level"].as_str()),
                (Some("inside"), Some("INFO"))
            );
            assert_eq!(inside["fields"]["completion"], "[withheld]");
            assert_eq!(inside["fields"]["key"], "[masked]");
            assert_eq!(inside["spans"], serde_json::json!(["step"]));
            assert_eq!(lines[2]["message"], "mail [masked]");
            assert!(inside["timestamp"].as_str().unwrap().ends_with('Z'));
        }
    }

    #[test]
    fn what_is_recorded_later_is_in_the_lines_after_it_and_judged_as_well() {
        let text = logged(LogFormat::Pretty, 1.0, || {
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
            info!(parent: &span, "three");
        });
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
        let later = "number=7 note=ask [masked] prompt=[withheld]";
        assert_eq!(shown, ["number=7", "number=7", later]);
    }

    #[test]
    fn lines_of_many_threads_in_one_span_each_show_all_of_it() {
        let text = logged(LogFormat::Pretty, 1.0, || {
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
    fn a_value_that_cannot_be_printed_is_withheld_and_the_line_stays() {
        struct Panics;
        impl fmt::Debug for Panics {
            fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                panic!("no")
            }
        }
        let text = logged(
            LogFormat::Pretty,
            1.0,
            || info!(value = ?Panics, "still here"),
        );
        assert!(text.contains("still here value=[withheld]"), "{text}");
    }
}
