use std::{
    collections::{BTreeMap, VecDeque},
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{sync::oneshot, task::JoinHandle, time::Instant};

use super::*;
use crate::{
    alerting::{
        Alert, ChannelTraits, DeliveryOutcome, Escalation, FailureClass, HistoryQuery, Message,
        Notifier, NotifyError, NotifyFuture, Receipt, Receiver, Route, Routing,
    },
    query::Labels,
};

const BASE: i64 = 1_800_000_000_000;
const MINUTE: u64 = 60;

/// What a peer does with the next message.
#[derive(Clone, Debug)]
enum Answer {
    Accept,
    Refuse(NotifyError),
    Hang,
    Panic,
}

/// A peer that answers as it is told, and remembers when it was asked.
#[derive(Clone, Debug)]
struct Peer {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    otherwise: Answer,
    heard: Arc<Mutex<Vec<(u64, String)>>>,
    start: Instant,
}

impl Peer {
    fn new(otherwise: Answer) -> Self {
        Self {
            answers: Arc::default(),
            otherwise,
            heard: Arc::default(),
            start: Instant::now(),
        }
    }

    fn first(self, answers: impl IntoIterator<Item = Answer>) -> Self {
        self.answers.lock().unwrap().extend(answers);
        self
    }

    /// Seconds and title of every attempt.
    fn heard(&self) -> Vec<(u64, String)> {
        self.heard.lock().unwrap().clone()
    }

    fn titles(&self) -> Vec<String> {
        self.heard().into_iter().map(|(_, title)| title).collect()
    }
}

impl Notifier for Peer {
    fn notify<'a>(&'a self, message: &'a Message) -> NotifyFuture<'a> {
        let heard = (self.start.elapsed().as_secs(), message.title());
        self.heard.lock().unwrap().push(heard);
        let next = self.answers.lock().unwrap().pop_front();
        let answer = next.unwrap_or_else(|| self.otherwise.clone());
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
    stop: oneshot::Sender<()>,
    done: JoinHandle<()>,
}

impl Running {
    fn start(options: NotificationOptions, channels: &[(&str, Channel)]) -> Self {
        let start = Instant::now();
        let time: TimeSource = Arc::new(move || BASE + start.elapsed().as_millis() as i64);
        let channels = channels.iter();
        let channels = channels.map(|(name, channel)| ((*name).to_owned(), channel.clone()));
        let (notifications, runner) =
            Notifications::open(options, channels.collect(), Vec::new(), time).unwrap();
        let (stop, stopped) = oneshot::channel();
        let done = tokio::spawn(runner.run(async move {
            let _ = stopped.await;
            None
        }));
        Self {
            notifications,
            stop,
            done,
        }
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

fn to(channels: &[&str]) -> NotificationOptions {
    let routing = Routing::to_receiver(Receiver::new("all", channels.iter().copied()))
        .with_route(Route::to("all").with_group_by(["alertname"]));
    NotificationOptions::new(routing)
}

async fn pass(seconds: u64) {
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
    let (dead, well) = (Peer::new(Answer::Hang), Peer::new(Answer::Accept));
    let channels = [
        ("dead", Channel::new(dead.clone())),
        ("well", Channel::new(well.clone())),
    ];
    let running = Running::start(to(&["dead", "well"]), &channels);
    running.fire("slow");
    running.fire("down");
    pass(31).await;
    let mut titles = well.titles();
    titles.sort();
    assert_eq!(
        titles,
        ["[FIRING:1] down (error)", "[FIRING:1] slow (error)"]
    );
    assert!(well.heard().iter().all(|(second, _)| *second == 30));
    pass(10 * MINUTE).await;
    let counts = running.notifications.counts();
    assert_eq!(counts.channels["well"].sent, 2);
    assert!(counts.channels["dead"].failed[&FailureClass::DeadlineExceeded] >= 2);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_busy_peer_is_asked_again_until_it_accepts() {
    let peer = Peer::new(Answer::Accept).first([busy(), busy(), busy()]);
    let running = Running::start(to(&["peer"]), &[("peer", Channel::new(peer.clone()))]);
    running.fire("slow");
    pass(60).await;
    assert_eq!(peer.heard().len(), 4);
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
async fn retry_after_is_honoured_by_the_whole_channel() {
    let limited = NotifyError::new(FailureClass::RateLimited, "429")
        .retryable()
        .after(Some(Duration::from_secs(70)));
    let peer = Peer::new(Answer::Accept).first([Answer::Refuse(limited)]);
    let running = Running::start(to(&["peer"]), &[("peer", Channel::new(peer.clone()))]);
    running.fire("slow");
    running.fire("down");
    pass(3 * MINUTE).await;
    let seconds: Vec<u64> = peer.heard().into_iter().map(|(second, _)| second).collect();
    assert_eq!(seconds, [30, 100, 100]);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_the_peers_wait_would_make_late_falls_back_at_once() {
    let limited = NotifyError::new(FailureClass::RateLimited, "429")
        .retryable()
        .after(Some(Duration::from_hours(24)));
    let peer = Peer::new(Answer::Accept).first([Answer::Refuse(limited)]);
    let backup = Peer::new(Answer::Accept);
    let traits = ChannelTraits::default().with_fallback("backup");
    let channels = [
        ("peer", Channel::new(peer.clone()).with_traits(traits)),
        ("backup", Channel::new(backup.clone())),
    ];
    let running = Running::start(to(&["peer"]), &channels);
    running.fire("slow");
    pass(MINUTE).await;
    running.fire("down");
    pass(MINUTE).await;
    // A day is cut to an hour, which is still beyond the five minutes of a delivery.
    let rules = ["[FIRING:1] slow (error)", "[FIRING:1] down (error)"];
    assert_eq!(backup.titles(), rules);
    assert_eq!(peer.heard().len(), 1);
    pass(70 * MINUTE).await;
    assert!(peer.titles().len() >= 3, "{:?}", peer.heard());
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_for_good_is_not_repeated_but_falls_back() {
    let refusal = NotifyError::new(FailureClass::ClientError, "400 Bad Request: no");
    let (primary, backup) = (
        Peer::new(Answer::Refuse(refusal)),
        Peer::new(Answer::Accept),
    );
    let traits = ChannelTraits::default().with_fallback("backup");
    let channels = [
        ("primary", Channel::new(primary.clone()).with_traits(traits)),
        ("backup", Channel::new(backup.clone())),
    ];
    let running = Running::start(to(&["primary"]), &channels);
    running.fire("slow");
    pass(MINUTE).await;
    assert_eq!((primary.heard().len(), backup.heard().len()), (1, 1));
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
async fn a_notifier_that_panics_fails_its_message_and_nothing_else() {
    let peer = Peer::new(Answer::Accept).first([Answer::Panic]);
    let running = Running::start(to(&["peer"]), &[("peer", Channel::new(peer.clone()))]);
    running.fire("slow");
    // The next flush tries again.
    pass(6 * MINUTE).await;
    assert_eq!(peer.heard().len(), 2);
    let counts = running.notifications.counts();
    assert_eq!(counts.channels["peer"].failed[&FailureClass::Other], 1);
    assert_eq!(counts.channels["peer"].sent, 1);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_shutdown_leaves_is_sent_after_the_next_start() {
    let directory = directory("outbox");
    let options = to(&["peer"]).with_data_dir(&directory);
    let dead = Peer::new(busy());
    let running = Running::start(options.clone(), &[("peer", Channel::new(dead.clone()))]);
    running.fire("slow");
    running
        .notifications
        .save_state("rules", b"pending".to_vec());
    pass(40).await;
    assert!(!dead.heard().is_empty());
    running.stop().await;

    let well = Peer::new(Answer::Accept);
    let running = Running::start(options, &[("peer", Channel::new(well.clone()))]);
    pass(1).await;
    assert_eq!(well.titles(), ["[FIRING:1] slow (error)"]);
    assert_eq!(
        running.notifications.saved_state("rules").unwrap(),
        b"pending"
    );
    let records = running.notifications.history(&HistoryQuery::default());
    assert_eq!((records.len(), records[0].deliveries.len()), (1, 1));
    // Told once before and once after: the end is told too.
    running.put("slow", BASE + 1);
    pass(6 * MINUTE).await;
    assert_eq!(well.titles()[1..], ["[RESOLVED] slow (error)"]);
    running.stop().await;
    std::fs::remove_dir_all(directory).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_test_says_what_each_address_said() {
    let refusal = NotifyError::new(FailureClass::AuthError, "401 Unauthorized: bad token");
    let notifiers: Vec<Arc<dyn Notifier>> = vec![
        Arc::new(Peer::new(Answer::Accept)),
        Arc::new(Peer::new(Answer::Refuse(refusal.clone()))),
        Arc::new(Peer::new(Answer::Hang)),
    ];
    let channel = Channel::from_notifiers(notifiers);
    let running = Running::start(to(&["ops"]), &[("ops", channel)]);
    let results = running.notifications.send_test("ops").await.unwrap();
    let texts: Vec<String> = results
        .iter()
        .map(|result| match &result.outcome {
            Ok(receipt) => format!("{} {}", result.destination, receipt.answer),
            Err(error) => format!("{} {error}", result.destination),
        })
        .collect();
    assert_eq!(
        texts,
        [
            "ops 200 OK",
            "ops/1 401 Unauthorized: bad token",
            "ops/2 no answer within 30s"
        ]
    );
    let error = running.notifications.send_test("opps").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no channel \"opps\"; there are: ops"
    );
    running.stop().await;
}

/// Keeps incidents by their key, as `PagerDuty` does: what has the key of an open one opens none.
#[derive(Clone, Debug, Default)]
struct Incidents {
    open: Arc<Mutex<BTreeMap<String, usize>>>,
    paged: Arc<Mutex<Vec<String>>>,
    refuses_ends: bool,
}

impl Notifier for Incidents {
    fn notify<'a>(&'a self, message: &'a Message) -> NotifyFuture<'a> {
        let key = message.dedup_key.clone();
        let is_firing = message.status == crate::alerting::Status::Firing;
        let mut open = self.open.lock().unwrap();
        let answer = if is_firing {
            if open.insert(key, 1).is_none() {
                self.paged.lock().unwrap().push(message.title());
            }
            Ok(Receipt::new("202 Accepted"))
        } else if self.refuses_ends {
            Err(NotifyError::new(
                FailureClass::ClientError,
                "400 Bad Request",
            ))
        } else {
            open.remove(&key);
            Ok(Receipt::new("202 Accepted"))
        };
        Box::pin(async { answer })
    }

    fn opens_incidents(&self) -> bool {
        true
    }
}

#[tokio::test(start_paused = true)]
async fn each_test_pages_and_none_stays_open() {
    let service = Incidents::default();
    let running = Running::start(
        to(&["service"]),
        &[("service", Channel::new(service.clone()))],
    );
    for _ in 0..2 {
        let results = running.notifications.send_test("service").await.unwrap();
        assert!(results[0].outcome.is_ok(), "{results:?}");
    }
    assert_eq!(service.paged.lock().unwrap().len(), 2);
    assert!(service.open.lock().unwrap().is_empty());
    let labels = Labels::from_pairs([("alertname", "slow"), ("severity", "error")]);
    running.notifications.test_escalation(&labels).await;
    assert!(service.open.lock().unwrap().is_empty());
    // The alert that was rehearsed, in earnest.
    running.fire("slow");
    pass(40).await;
    let paged = service.paged.lock().unwrap().clone();
    assert_eq!(paged[2..], ["[FIRING:1] slow (error)"; 2]);
    assert_eq!(service.open.lock().unwrap().len(), 1);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_test_that_stays_open_says_so() {
    let service = Incidents {
        refuses_ends: true,
        ..Incidents::default()
    };
    let running = Running::start(to(&["service"]), &[("service", Channel::new(service))]);
    let results = running.notifications.send_test("service").await.unwrap();
    let error = results[0].outcome.as_ref().unwrap_err();
    assert_eq!(
        error.text,
        "the test is delivered, but still open: 400 Bad Request"
    );
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn addresses_are_tested_at_once() {
    let hang: Vec<Arc<dyn Notifier>> = (0..20)
        .map(|_| Arc::new(Peer::new(Answer::Hang)) as Arc<dyn Notifier>)
        .collect();
    let running = Running::start(to(&["ops"]), &[("ops", Channel::from_notifiers(hang))]);
    let start = Instant::now();
    let results = running.notifications.send_test("ops").await.unwrap();
    assert_eq!(results[19].destination, "ops/19");
    assert_eq!(start.elapsed(), Duration::from_secs(30));
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_has_the_time_at_which_it_became_due_in_every_attempt() {
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
    let running = Running::start(to(&["peer"]), &[("peer", Channel::new(times.clone()))]);
    running.fire("slow");
    pass(60).await;
    assert_eq!(*times.0.lock().unwrap(), [BASE + 30_000; 2]);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_rehearsed_escalation_walks_every_step() {
    let (first, second) = (Peer::new(Answer::Accept), Peer::new(Answer::Accept));
    let escalation = Escalation::after(Duration::from_mins(15)).with_step(["boss"]);
    let receiver = Receiver::new("all", ["ops"]).with_escalation(escalation);
    let options = NotificationOptions::new(Routing::to_receiver(receiver));
    let channels = [
        ("ops", Channel::new(first)),
        ("boss", Channel::new(second.clone())),
    ];
    let running = Running::start(options, &channels);
    let labels = Labels::from_pairs([("alertname", "slow"), ("severity", "error")]);
    let results = running.notifications.test_escalation(&labels).await;
    let steps: Vec<_> = results
        .iter()
        .map(|r| (r.step, r.destination.as_str()))
        .collect();
    assert_eq!(steps, [(0, "ops"), (1, "boss")]);
    assert_eq!(second.titles(), ["[FIRING:1] slow (critical)"]);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_second_process_on_the_same_directory_is_refused() {
    let directory = directory("locked");
    let options = to(&["peer"]).with_data_dir(&directory);
    let channels = BTreeMap::from([("peer".to_owned(), Channel::new(Peer::new(Answer::Accept)))]);
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
