//! A whole observatory with alerts, a manual clock, and a channel that records its messages.
#![cfg(feature = "alerting")]

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use llm_observatory::{
    Config, Inference, InferenceEnd, ManualClock, Model, Observatory, Outcome,
    alerting::{AlertState, Channel, Message, Notifier, NotifyFuture, Receipt},
    query::engine::Value,
};

/// A channel that records its messages.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mailbox(pub(crate) Arc<Mutex<Vec<Message>>>);

impl Notifier for Mailbox {
    fn notify<'a>(&'a self, message: &'a Message) -> NotifyFuture<'a> {
        self.0.lock().unwrap().push(message.clone());
        Box::pin(async { Ok(Receipt::new("kept")) })
    }
}

impl Mailbox {
    pub(crate) fn titles(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().map(Message::title).collect()
    }
}

pub(crate) struct Watched {
    pub(crate) observatory: Observatory,
    pub(crate) clock: ManualClock,
    pub(crate) mailbox: Mailbox,
    pub(crate) layer: Option<llm_observatory::ObservatoryLayer<tracing_subscriber::Registry>>,
}

pub(crate) fn watched(config: Config) -> Watched {
    let mailbox = Mailbox::default();
    let channel = Channel::new(mailbox.clone());
    watched_through(config, channel, mailbox)
}

/// Builds an observatory like [`watched`], with a channel of the test.
pub(crate) fn watched_through(config: Config, channel: Channel, mailbox: Mailbox) -> Watched {
    let clock = ManualClock::new();
    let (layer, observatory) = Observatory::builder(config.without_server())
        .clock(clock.clock())
        .channel("mailbox", channel)
        .build()
        .unwrap();
    Watched {
        observatory,
        clock,
        mailbox,
        layer: Some(layer),
    }
}

/// The default configuration without the console, so that all notifications pass the mailbox. The health checks do not
/// alert on the load of the machine that runs the tests, and their results do not expire within a test.
pub(crate) fn quiet() -> Config {
    let mut config = Config::default();
    config.health.interval = Duration::from_hours(24);
    config.health.thresholds.cpu_percent = 100.0;
    config.health.thresholds.memory_percent = 100.0;
    config.health.thresholds.disk_percent = 100.0;
    config.alerting.channels.clear();
    config
}

impl Watched {
    /// Advances the clock by ten seconds, the tick, and waits until the tick and all that follows from it are done.
    pub(crate) fn tick(&self) {
        self.clock.advance(Duration::from_secs(10));
        let now = self.clock.clock().wall();
        self.until("a tick", || {
            let age = "time() - timestamp(observatory_build_info)";
            match self.observatory.query(age, now).unwrap().value {
                Value::Vector(samples) => samples.first().is_some_and(|s| s.point.value == 0.0),
                _ => false,
            }
        });
        // Waits for the rounds of evaluation and delivery, which poll every few milliseconds.
        std::thread::sleep(Duration::from_millis(12));
    }

    pub(crate) fn pass(&self, time: Duration) {
        for _ in 0..time.as_secs() / 10 {
            self.tick();
        }
    }

    /// Ticks until the condition holds: on a busy machine, an evaluation may see a tick later than usual.
    pub(crate) fn tick_until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        for _ in 0..60 {
            if is_so() {
                return;
            }
            self.tick();
        }
        panic!(
            "{what} did not come; notified so far: {:?}",
            self.mailbox.titles()
        );
    }

    pub(crate) fn until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let patience = Instant::now() + Duration::from_secs(20);
        while !is_so() {
            assert!(
                Instant::now() < patience,
                "{what} did not come; told so far: {:?}",
                self.mailbox.titles()
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub(crate) fn infer(&self, outcome: Outcome, count: usize) {
        for _ in 0..count {
            self.observatory.record_inference(Inference {
                model: Model::new("gpt-4o", "chat", "vllm"),
                end: InferenceEnd {
                    outcome,
                    ..InferenceEnd::default()
                },
                ..Inference::default()
            });
        }
    }

    pub(crate) fn state_of(&self, rule: &str) -> Option<AlertState> {
        let active = self.observatory.alerts().active();
        let found = active
            .iter()
            .find(|alert| alert.labels.get("alertname") == Some(rule));
        found.map(|alert| alert.state)
    }
}
