//! Writes messages to standard error or to a writer of the application.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, IsTerminal as _, Write},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::task::spawn_blocking;

use super::{
    Built, ChannelContext, ChannelSpec, FailureClass, Message, MessageStatus, Notifier,
    NotifyError, NotifyFuture, Reason, Receipt,
    content::{MAX_LABELS, lines, one_line},
    payload,
    template::{Escape, Slot, TemplateFiles, Templates},
};
use crate::alerting::{RoutingError, Severity};
use crate::runtime::lock;
use crate::settings::setters;

/// Characters of a title, a label or another text from outside.
const MAX_FOREIGN_CHARS: usize = 300;
/// Alerts of one message that are written out.
const MAX_ALERTS: usize = 20;
/// Characters of a template's text.
const MAX_TEXT_CHARS: usize = 16_384;

/// The text that a template can replace.
const SLOTS: [Slot; 1] = [Slot::new("text", Escape::Plain)];

/// A console channel: lines on standard error.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ConsoleOptions {
    /// A template for `text`; see `docs/alert-templates.md`.
    pub templates: BTreeMap<String, String>,
    /// Files whose templates this channel's templates can call. Default: the files of the configuration.
    #[serde(skip)]
    pub template_files: TemplateFiles,
}

/// Writes each message as a few lines.
#[derive(Clone)]
pub struct Console {
    writer: Arc<Mutex<dyn Write + Send>>,
    /// True if a thread is writing: a full pipe or a stopped terminal holds it up.
    is_writing: Arc<AtomicBool>,
    is_coloured: bool,
    templates: Templates,
}

impl ConsoleOptions {
    /// Creates the default options.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            templates: BTreeMap::new(),
            template_files: TemplateFiles::none(),
        }
    }

    setters! {
        /// Sets the files whose templates this channel's templates can call.
        with_template_files(files: TemplateFiles) { self.template_files = files }

        /// Replaces a text by a template.
        with_template(text: impl Into<String>, source: impl Into<String>) {
            self.templates.insert(text.into(), source.into())
        }
    }

    /// Builds the notifier of the channel with this name.
    ///
    /// # Errors
    /// If a template does not parse.
    pub fn build(&self, name: &str) -> Result<Vec<Arc<dyn Notifier>>, RoutingError> {
        let mut console = Console::stderr();
        console.templates = Templates::new(name, &SLOTS, &self.templates, &self.template_files)?;
        Ok(vec![Arc::new(console)])
    }
}

impl Console {
    /// Creates a channel that writes to standard error, with colours on a terminal.
    #[must_use]
    pub fn stderr() -> Self {
        Self {
            writer: Arc::new(Mutex::new(io::stderr())),
            is_writing: Arc::default(),
            is_coloured: io::stderr().is_terminal(),
            templates: Templates::default(),
        }
    }

    /// Creates a channel that writes to this writer, without colours.
    #[must_use]
    pub fn writer(writer: impl Write + Send + 'static) -> Self {
        Self {
            writer: Arc::new(Mutex::new(writer)),
            is_writing: Arc::default(),
            is_coloured: false,
            templates: Templates::default(),
        }
    }

    /// Replaces the text by a template; see `docs/alert-templates.md`.
    ///
    /// # Errors
    /// If the template does not parse.
    pub fn with_template(mut self, source: impl Into<String>) -> Result<Self, RoutingError> {
        let sources = BTreeMap::from([("text".to_owned(), source.into())]);
        self.templates = Templates::new("console", &SLOTS, &sources, &TemplateFiles::default())?;
        Ok(self)
    }

    fn text(&self, message: &Message) -> String {
        let rendered = self.templates.render(message);
        let mut text = rendered.get("text").map_or_else(
            || render(message, self.is_coloured),
            |text| lines(text, MAX_TEXT_CHARS) + "\n",
        );
        if !rendered.note.is_empty() {
            text.extend(["  ", &rendered.note, "\n"]);
        }
        text
    }

    /// Writes on a blocking thread, so that a slow reader holds up no other channel.
    async fn write(&self, text: String) -> io::Result<()> {
        if self.is_writing.swap(true, Ordering::AcqRel) {
            return Err(io::Error::other(
                "the output does not accept the previous message",
            ));
        }
        let (writer, is_writing) = (Arc::clone(&self.writer), Arc::clone(&self.is_writing));
        let written = spawn_blocking(move || {
            let mut writer = lock(&writer);
            let written = writer
                .write_all(text.as_bytes())
                .and_then(|()| writer.flush());
            drop(writer);
            is_writing.store(false, Ordering::Release);
            written
        });
        written.await.unwrap_or_else(|error| {
            // The application's writer has panicked.
            self.is_writing.store(false, Ordering::Release);
            Err(io::Error::other(error))
        })
    }
}

impl Notifier for Console {
    fn notify<'a>(&'a self, message: &'a Message) -> NotifyFuture<'a> {
        Box::pin(async move {
            match self.write(self.text(message)).await {
                Ok(()) => Ok(Receipt::new("written")),
                Err(error) => {
                    Err(NotifyError::new(FailureClass::Other, error.to_string()).retryable())
                }
            }
        })
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console")
            .field("is_coloured", &self.is_coloured)
            .finish_non_exhaustive()
    }
}

fn render(message: &Message, is_coloured: bool) -> String {
    let colour = match (message.status, message.severity) {
        (MessageStatus::Resolved, _) => "32",
        (MessageStatus::Firing, Severity::Critical | Severity::Error) => "31",
        (MessageStatus::Firing, Severity::Warning) => "33",
        (MessageStatus::Firing, Severity::Info) => "36",
    };
    let title = plain(&message.title());
    let title = if is_coloured {
        format!("\x1b[1;{colour}m{title}\x1b[0m")
    } else {
        title
    };
    let mut text = format!("{title}: {}\n", reason(message));
    for alert in message.alerts.iter().take(MAX_ALERTS) {
        let own = alert.alert.labels.iter().filter(|label| {
            message.common_labels.get(label.name()).map(String::as_str) != Some(label.value())
        });
        let own: Vec<String> = own
            .take(MAX_LABELS)
            .map(|label| format!("{}={:?}", plain(label.name()), plain(label.value())))
            .collect();
        let time = match alert.status {
            MessageStatus::Firing => format!("since {}", payload::time(alert.alert.starts_at)),
            MessageStatus::Resolved => format!("until {}", payload::time(alert.alert.ends_at)),
        };
        let summary = alert
            .alert
            .annotations
            .get("summary")
            .map_or("", String::as_str);
        let parts = [
            alert.status.as_str(),
            &time,
            &own.join(" "),
            &plain(summary),
        ]
        .map(str::to_owned)
        .into_iter()
        .filter(|part| !part.is_empty());
        text.push_str("  ");
        text.push_str(&parts.collect::<Vec<_>>().join("  "));
        text.push('\n');
    }
    let more = message.alerts.len().saturating_sub(MAX_ALERTS) + message.truncated_alerts;
    if more > 0 {
        text.extend(["  and ", &more.to_string(), " more\n"]);
    }
    text
}

fn reason(message: &Message) -> String {
    match &message.reason {
        Reason::New => "new".to_owned(),
        Reason::Changed => "more alerts have joined".to_owned(),
        Reason::SomeResolved => "some alerts have resolved".to_owned(),
        Reason::AllResolved => "resolved".to_owned(),
        Reason::Repeat => "still firing".to_owned(),
        Reason::Escalation => format!(
            "not acknowledged, escalation step {}",
            message.escalation_step
        ),
        Reason::Acknowledged { by, comment } => {
            format!("acknowledged by {}: {}", plain(by), plain(comment))
        }
        Reason::Fallback { channel } => format!("{} could not deliver it", plain(channel)),
        Reason::Test => "a test".to_owned(),
    }
}

/// Returns a text from outside as one short line: a label may have control characters or be a megabyte long.
fn plain(text: &str) -> String {
    one_line(text, MAX_FOREIGN_CHARS)
}

impl ChannelSpec for ConsoleOptions {
    fn missing(&self) -> Option<&'static str> {
        None
    }

    fn receivers(&self, context: &ChannelContext<'_>) -> Result<Built, RoutingError> {
        let mut options = self.clone();
        options.template_files = self.template_files.or_default(context.template_files);
        options.build(context.name).map(Built::Notifiers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        alerting::{Alert, MessageAlert},
        query::Labels,
    };

    #[test]
    fn a_message_is_a_few_lines_that_no_label_can_forge() {
        let labels = [
            ("alertname", "Slow"),
            ("model_id", "a\nb\x1b[2J"),
            ("severity", "error"),
        ];
        let mut alert = Alert::new(Labels::from_pairs(labels), 0);
        alert
            .annotations
            .insert("summary".to_owned(), "too\rslow".to_owned());
        let other = Alert::new(
            Labels::from_pairs([("alertname", "Slow"), ("severity", "error")]),
            0,
        );
        let alerts =
            [alert, other].map(|alert| MessageAlert::new(Arc::new(alert), MessageStatus::Firing));
        let message = Message::new("all", "k").with_alerts(alerts.to_vec());
        assert_eq!(
            render(&message, false),
            "[FIRING:2] Slow (error): new\n  \
             firing  since 1970-01-01T00:00:00Z  model_id=\"a b\u{fffd}[2J\"  too slow\n  \
             firing  since 1970-01-01T00:00:00Z\n"
        );
        assert!(render(&message, true).starts_with("\x1b[1;31m[FIRING:2]"));
    }

    #[test]
    fn a_foreign_text_of_any_length_is_a_line_that_can_be_read() {
        let mut message = super::super::content::tests::hostile();
        // The alert shares no label with the others.
        message.common_labels.clear();
        let text = render(&message, false);
        assert!(text.chars().count() < 4_000, "{}", text.chars().count());
        assert!(
            !text.contains('\u{202e}') && text.contains("שלום"),
            "{text}"
        );
        assert_eq!(text.lines().count(), 2, "{text}");
    }

    #[test]
    fn a_channel_of_the_configuration_has_its_template() {
        let options = ConsoleOptions::new().with_template("text", "{{ .Receiver }}");
        assert_eq!(options.build("console").unwrap().len(), 1);
        let error = ConsoleOptions::new().with_template("txt", "");
        let error = error.build("console").unwrap_err().to_string();
        assert!(
            error.starts_with("channel \"console\": templates: \"txt\""),
            "{error}"
        );
    }

    #[test]
    fn a_template_replaces_the_text_and_its_failure_is_noted() {
        let console = |source: &str| {
            let console = Console::stderr().with_template(source).unwrap();
            console.text(&Message::test("all", 0))
        };
        let text = console("{{ .Receiver }}\x1b[2J") + &console("{{ .Nothing.At.All }}");
        assert!(text.starts_with("all\u{fffd}[2J\n"), "{text}");
        assert!(text.contains("[FIRING:1] ObservatoryTest (info)"), "{text}");
        assert!(text.contains("\n  A template failed: "), "{text}");
    }

    /// A writer that blocks until the sender is dropped.
    struct Stuck(std::sync::mpsc::Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // An end of the sender's is an end.
            let _ = self.0.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn output_that_nobody_reads_holds_up_no_other_channel() {
        let (free, held) = std::sync::mpsc::channel();
        let stuck = Console::writer(Stuck(held));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            let message = Message::test("all", 0);
            let wait = std::time::Duration::from_millis(20);
            let first = tokio::time::timeout(wait, stuck.notify(&message)).await;
            assert!(first.is_err(), "it waits on a thread of its own");
            let second = stuck.notify(&message).await.unwrap_err();
            assert!(second.is_retryable, "{second:?}");
        });
        drop(free);
    }
}
