mod blocking;
mod channel_test;

use std::{
    collections::{BTreeMap, VecDeque},
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::oneshot, task::JoinHandle, time::Instant};

use super::*;
use crate::{
    alerting::{
        Alert, ChannelTraits, DeliveryOutcome, DispatchOptions, Escalation, FailureClass,
        HistoryQuery, Message, Notifier, NotifyError, NotifyFuture, Receipt, Receiver, Route,
        Routing,
    },
    query::Labels,
};

const BASE: i64 = 1_800_000_000_000;
const MINUTE: u64 = 60;

/// The behavior of a fake service for one message.
#[derive(Clone, Debug)]
enum Answer {
    Accept,
    Refuse(NotifyError),
    Hang,
    Panic,
}

/// A fake remote service with scripted answers that records its attempts.
#[derive(Clone, Debug)]
struct FakeService {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    default_answer: Answer,
    attempts: Arc<Mutex<Vec<(u64, String)>>>,
    start: Instant,
}

impl FakeService {
    fn new(default_answer: Answer) -> Self {
        Self {
            answers: Arc::default(),
            default_answer,
            attempts: Arc::default(),
            start: Instant::now(),
        }
    }

    fn first(self, answers: impl IntoIterator<Item = Answer>) -> Self {
        self.answers.lock().unwrap().extend(answers);
        self
    }

    /// Returns the time in seconds and the title of every attempt.
    fn attempts(&self) -> Vec<(u64, String)> {
        self.attempts.lock().unwrap().clone()
    }

    fn titles(&self) -> Vec<String> {
        self.attempts()
            .into_iter()
            .map(|(_, title)| title)
            .collect()
    }
}

impl Notifier for FakeService {
    fn notify<'a>(&'a self, message: &'a Message) -> NotifyFuture<'a> {
        let attempt = (self.start.elapsed().as_secs(), message.title());
        self.attempts.lock().unwrap().push(attempt);
        let next = self.answers.lock().unwrap().pop_front();
        let answer = next.unwrap_or_else(|| self.default_answer.clone());
        Box::pin(async move {
            match answer {
                Answer::Accept => Ok(Receipt::new("200 OK")),
                Answer::Refuse(error) => Err(error),
                Answer::Hang => std::future::pending().await,
                Answer::Panic => panic!("a bug in the notifier"),
            }
        })
    }
}

struct Running {
    notifications: Notifications,
    stepped_ms: Arc<AtomicI64>,
    stop: oneshot::Sender<()>,
    done: JoinHandle<()>,
}

impl Running {
    fn start(options: NotificationOptions, channels: &[(&str, Channel)]) -> Self {
        let channels = channels.iter();
        // The fake services wait in paused time, which threads of their own would not follow.
        let channels = channels
            .map(|(name, channel)| ((*name).to_owned(), channel.clone().on_shared_thread()));
        Self::with_channels(options, channels.collect())
    }

    /// Starts without changing the threads of the channels.
    fn with_channels(options: NotificationOptions, channels: BTreeMap<String, Channel>) -> Self {
        let start = Instant::now();
        let stepped_ms = Arc::new(AtomicI64::new(0));
        let by_ms = Arc::clone(&stepped_ms);
        let time: TimeSource = Arc::new(move || {
            BASE + start.elapsed().as_millis() as i64 + by_ms.load(Ordering::Relaxed)
        });
        let (notifications, runner) =
            Notifications::open(options, channels, Vec::new(), time).unwrap();
        let (stop, stopped) = oneshot::channel();
        let done = tokio::spawn(runner.run(async move {
            let _ = stopped.await;
            None
        }));
        Self {
            notifications,
            stepped_ms,
            stop,
            done,
        }
    }

    /// Steps the clock.
    fn step(&self, by_ms: i64) {
        self.notifications.shift(by_ms, || {
            self.stepped_ms.fetch_add(by_ms, Ordering::Relaxed);
        });
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.done.await.unwrap();
    }

    fn fire(&self, rule: &str) {
        self.put(rule, i64::MAX);
    }

    fn put(&self, rule: &str, ends_at: i64) {
        let labels = Labels::from_pairs([("alertname", rule), ("severity", "error")]);
        let mut alert = Alert::new(labels, BASE);
        alert.ends_at = ends_at;
        self.notifications.put(vec![alert]);
    }
}

fn to_channels(channels: &[&str]) -> NotificationOptions {
    let routing = Routing::to_receiver(Receiver::new("all", channels.iter().copied()))
        .with_route(Route::to("all").with_group_by(["alertname"]));
    NotificationOptions::new(routing)
}

/// A directory path that is removed at the end of the test.
struct DataDir(PathBuf);

impl DataDir {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("observatory-delivery-{}", uuid::Uuid::new_v4())))
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
        let _ = std::fs::remove_file(&self.0);
    }
}

#[tokio::test]
async fn a_flush_returns_after_the_changes_are_on_the_disk_or_says_why_not() {
    let data = DataDir::new();
    let options = to_channels(&[]).with_data_dir(&data.0);
    let silence = |running: &Running, comment: &str| {
        let request =
            crate::alerting::SilenceRequest::until(i64::MAX, "a=b").because("ann", comment);
        running.notifications.set_silence(request).unwrap();
    };
    let running = Running::start(options.clone(), &[]);
    silence(&running, "kept");
    running.notifications.save_state("gone", b"1".to_vec());
    running.notifications.flush().await.unwrap();
    running.notifications.remove_state("gone");
    running.notifications.save_state("kept", b"2".to_vec());
    running.notifications.flush().await.unwrap();
    // A copy of the file is the state after a crash at this moment.
    let copy = DataDir::new();
    std::fs::create_dir(&copy.0).unwrap();
    std::fs::copy(data.0.join("alerting.redb"), copy.0.join("alerting.redb")).unwrap();
    let after_crash = Running::start(to_channels(&[]).with_data_dir(&copy.0), &[]);
    assert_eq!(after_crash.notifications.silences()[0].comment, "kept");
    assert_eq!(after_crash.notifications.saved_state("gone"), None);
    assert_eq!(after_crash.notifications.saved_state("kept").unwrap(), b"2");
    after_crash.stop().await;
    let handle = running.notifications.clone();
    running.stop().await;
    assert_eq!(handle.flush().await, Err(NotDurable::Stopped));
    let in_memory = Running::start(to_channels(&[]), &[]);
    let flushed = in_memory.notifications.flush().await;
    assert_eq!(flushed, Err(NotDurable::NoDataDirectory));
    let file = DataDir::new();
    std::fs::write(&file.0, "a file where a directory should be").unwrap();
    let degraded = Running::start(to_channels(&[]).with_data_dir(&file.0), &[]);
    silence(&degraded, "in memory");
    let error = degraded
        .notifications
        .flush()
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains(&file.0.display().to_string()), "{error}");
    assert_eq!(degraded.notifications.silences().len(), 1);
}

async fn advance(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

fn busy() -> Answer {
    Answer::Refuse(NotifyError::new(FailureClass::ServerError, "503").retryable())
}

fn directory(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("observatory-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    path
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_hangs_delays_no_other() {
    let (failing, healthy) = (
        FakeService::new(Answer::Hang),
        FakeService::new(Answer::Accept),
    );
    let channels = [
        ("failing", Channel::new(failing.clone())),
        ("healthy", Channel::new(healthy.clone())),
    ];
    let running = Running::start(to_channels(&["failing", "healthy"]), &channels);
    running.fire("slow");
    running.fire("down");
    advance(31).await;
    let mut titles = healthy.titles();
    titles.sort();
    assert_eq!(
        titles,
        ["[FIRING:1] down (error)", "[FIRING:1] slow (error)"]
    );
    assert!(healthy.attempts().iter().all(|(second, _)| *second == 30));
    advance(10 * MINUTE).await;
    let counts = running.notifications.counts();
    assert_eq!(counts.channels["healthy"].sent, 2);
    assert!(counts.channels["failing"].failed[&FailureClass::DeadlineExceeded] >= 2);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_retryable_failure_is_retried_until_the_service_accepts() {
    let peer = FakeService::new(Answer::Accept).first([busy(), busy(), busy()]);
    let running = Running::start(
        to_channels(&["peer"]),
        &[("peer", Channel::new(peer.clone()))],
    );
    running.fire("slow");
    advance(60).await;
    assert_eq!(peer.attempts().len(), 4);
    let record = &running.notifications.history(&HistoryQuery::default())[0];
    assert_eq!(record.deliveries[0].attempts, 4);
    let answer = "200 OK".to_owned();
    assert_eq!(
        record.deliveries[0].outcome,
        DeliveryOutcome::Accepted { answer }
    );
    assert_eq!(running.notifications.counts().outbox_depth, 0);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn retry_after_delays_every_message_of_the_channel() {
    let limited = NotifyError::new(FailureClass::RateLimited, "429")
        .retryable()
        .after(Some(Duration::from_secs(70)));
    let peer = FakeService::new(Answer::Accept).first([Answer::Refuse(limited)]);
    let running = Running::start(
        to_channels(&["peer"]),
        &[("peer", Channel::new(peer.clone()))],
    );
    running.fire("slow");
    running.fire("down");
    advance(3 * MINUTE).await;
    let seconds: Vec<u64> = peer
        .attempts()
        .into_iter()
        .map(|(second, _)| second)
        .collect();
    assert_eq!(seconds, [30, 100, 100]);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_beyond_the_deadline_causes_the_fallback_at_once() {
    let limited = NotifyError::new(FailureClass::RateLimited, "429")
        .retryable()
        .after(Some(Duration::from_hours(24)));
    let peer = FakeService::new(Answer::Accept).first([Answer::Refuse(limited)]);
    let backup = FakeService::new(Answer::Accept);
    let traits = ChannelTraits::default().with_fallback("backup");
    let channels = [
        ("peer", Channel::new(peer.clone()).with_traits(traits)),
        ("backup", Channel::new(backup.clone())),
    ];
    let running = Running::start(to_channels(&["peer"]), &channels);
    running.fire("slow");
    advance(MINUTE).await;
    running.fire("down");
    advance(MINUTE).await;
    // The requested day is limited to an hour, which is longer than the five minutes of a delivery.
    let rules = ["[FIRING:1] slow (error)", "[FIRING:1] down (error)"];
    assert_eq!(backup.titles(), rules);
    assert_eq!(peer.attempts().len(), 1);
    advance(70 * MINUTE).await;
    assert!(peer.titles().len() >= 3, "{:?}", peer.attempts());
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_final_rejection_is_not_retried_but_causes_the_fallback() {
    let refusal = NotifyError::new(FailureClass::ClientError, "400 Bad Request: no");
    let (primary, backup) = (
        FakeService::new(Answer::Refuse(refusal)),
        FakeService::new(Answer::Accept),
    );
    let traits = ChannelTraits::default().with_fallback("backup");
    let channels = [
        ("primary", Channel::new(primary.clone()).with_traits(traits)),
        ("backup", Channel::new(backup.clone())),
    ];
    let running = Running::start(to_channels(&["primary"]), &channels);
    running.fire("slow");
    advance(MINUTE).await;
    assert_eq!((primary.attempts().len(), backup.attempts().len()), (1, 1));
    let record = &running.notifications.history(&HistoryQuery::default())[0];
    let failed = DeliveryOutcome::Failed {
        reason: "clientError".to_owned(),
        error: "400 Bad Request: no".to_owned(),
    };
    assert_eq!(record.deliveries[0].outcome, failed);
    assert_eq!(record.deliveries[1].destination, "backup");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_a_notifier_fails_only_its_message() {
    let peer = FakeService::new(Answer::Accept).first([Answer::Panic]);
    let running = Running::start(
        to_channels(&["peer"]),
        &[("peer", Channel::new(peer.clone()))],
    );
    running.fire("slow");
    // The next flush sends the message again.
    advance(6 * MINUTE).await;
    assert_eq!(peer.attempts().len(), 2);
    let counts = running.notifications.counts();
    assert_eq!(counts.channels["peer"].failed[&FailureClass::Other], 1);
    assert_eq!(counts.channels["peer"].sent, 1);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn notifications_in_the_outbox_at_shutdown_are_sent_after_the_next_start() {
    let directory = directory("outbox");
    let options = to_channels(&["peer"]).with_data_dir(&directory);
    let failing = FakeService::new(busy());
    let running = Running::start(options.clone(), &[("peer", Channel::new(failing.clone()))]);
    running.fire("slow");
    running
        .notifications
        .save_state("rules", b"pending".to_vec());
    advance(40).await;
    assert!(!failing.attempts().is_empty());
    running.stop().await;

    let healthy = FakeService::new(Answer::Accept);
    let running = Running::start(options, &[("peer", Channel::new(healthy.clone()))]);
    advance(1).await;
    assert_eq!(healthy.titles(), ["[FIRING:1] slow (error)"]);
    assert_eq!(
        running.notifications.saved_state("rules").unwrap(),
        b"pending"
    );
    let records = running.notifications.history(&HistoryQuery::default());
    assert_eq!((records.len(), records[0].deliveries.len()), (1, 1));
    // The alert was notified after the restart, so its resolved notification is sent too.
    running.put("slow", BASE + 1);
    advance(6 * MINUTE).await;
    assert_eq!(healthy.titles()[1..], ["[RESOLVED] slow (error)"]);
    running.stop().await;
    std::fs::remove_dir_all(directory).unwrap();
}

#[tokio::test(start_paused = true)]
async fn every_attempt_has_the_creation_time_of_the_message() {
    #[derive(Clone, Debug, Default)]
    struct Times(Arc<Mutex<Vec<i64>>>);

    impl Notifier for Times {
        fn notify<'a>(&'a self, message: &'a Message) -> NotifyFuture<'a> {
            let mut times = self.0.lock().unwrap();
            times.push(message.created_at);
            let is_first = times.len() == 1;
            Box::pin(async move {
                let busy = NotifyError::new(FailureClass::ServerError, "503").retryable();
                if is_first {
                    Err(busy)
                } else {
                    Ok(Receipt::new("ok"))
                }
            })
        }
    }

    let times = Times::default();
    let running = Running::start(
        to_channels(&["peer"]),
        &[("peer", Channel::new(times.clone()))],
    );
    running.fire("slow");
    advance(60).await;
    assert_eq!(*times.0.lock().unwrap(), [BASE + 30_000; 2]);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_second_process_with_the_same_directory_is_an_error() {
    let directory = directory("locked");
    let options = to_channels(&["peer"]).with_data_dir(&directory);
    let channels = BTreeMap::from([(
        "peer".to_owned(),
        Channel::new(FakeService::new(Answer::Accept)),
    )]);
    let time: TimeSource = Arc::new(|| BASE);
    let first = Notifications::open(
        options.clone(),
        channels.clone(),
        Vec::new(),
        Arc::clone(&time),
    );
    let second = Notifications::open(options, channels, Vec::new(), time).unwrap_err();
    assert!(
        second.to_string().contains("is in use by process"),
        "{second}"
    );
    drop(first);
    std::fs::remove_dir_all(directory).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_step_of_the_clock_moves_neither_attempts_nor_deadlines() {
    for by_ms in [0, 3_600_000, -3_600_000] {
        let service = FakeService::new(busy());
        let channel = Channel::new(service.clone());
        let running = Running::start(to_channels(&["hook"]), &[("hook", channel)]);
        running.fire("slow");
        for _ in 0..8 {
            advance(MINUTE).await;
            running.step(by_ms);
        }
        let failed = running.notifications.counts().channels["hook"]
            .failed
            .clone();
        let history = running.notifications.history(&HistoryQuery::default());
        let record = history.last().unwrap();
        let age = record.deliveries[0].at - record.starts_at;
        assert!(
            (4 * 60_000..=6 * 60_000).contains(&age),
            "{by_ms}: {record:?}"
        );
        // The first message fails after five minutes; the delays between attempts are random.
        assert_eq!(failed, BTreeMap::from([(FailureClass::ServerError, 1)]));
        let attempts = service.attempts().len();
        assert!(
            (12..=40).contains(&attempts),
            "{by_ms}: {attempts} attempts"
        );
        running.stop().await;
    }
}
