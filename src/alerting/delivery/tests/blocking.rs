//! Tests notifiers that block their thread.

use std::sync::mpsc;

use super::*;

/// A notifier that blocks its thread until the test releases it.
#[derive(Debug)]
struct Blocking {
    released: Mutex<mpsc::Receiver<()>>,
    accepted: Arc<Mutex<Vec<String>>>,
}

impl Notifier for Blocking {
    fn notify<'a>(&'a self, message: &'a Message) -> NotifyFuture<'a> {
        let _ = self.released.lock().unwrap().recv();
        self.accepted.lock().unwrap().push(message.title());
        Box::pin(async { Ok(Receipt::new("kept")) })
    }
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..2_000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{what} did not happen");
}

#[tokio::test]
async fn a_notifier_that_blocks_is_counted_and_delays_no_other_channel() {
    let (release, released) = mpsc::channel();
    let accepted = Arc::default();
    let blocking = Channel::new(Blocking {
        released: Mutex::new(released),
        accepted: Arc::clone(&accepted),
    });
    let healthy = FakeService::new(Answer::Accept);
    let slow = FakeService::new(Answer::Hang);
    let timing = Route::to("all").with_group_by(["alertname"]).with_timing(
        Duration::from_millis(10),
        Duration::from_millis(10),
        Duration::from_hours(1),
    );
    let receiver = Receiver::new("all", ["blocking", "healthy", "slow"]);
    let options = NotificationOptions::new(Routing::to_receiver(receiver).with_route(timing))
        .with_dispatch(DispatchOptions::default().without_damping())
        .with_timeouts(Duration::from_millis(200), Duration::from_millis(200));
    let channels = [
        ("blocking", blocking),
        ("healthy", Channel::new(healthy.clone())),
        ("slow", Channel::new(slow.clone())),
    ];
    let channels = channels.map(|(name, channel)| (name.to_owned(), channel));
    let running = Running::with_channels(options, channels.into());
    running.fire("first");
    until("a message through the healthy channel", || {
        healthy.titles().len() == 1
    })
    .await;
    let counts = |channel: &str| running.notifications.counts().channels[channel].clone();
    until("a hang", || counts("blocking").hangs == 1).await;
    assert_eq!(counts("blocking").hanging, 1);
    running.fire("second");
    until("another message through the healthy channel", || {
        healthy.titles().len() == 2
    })
    .await;
    // A notifier that waits asynchronously is cancelled at its limit and tried again.
    until("another attempt", || slow.titles().len() >= 2).await;
    assert_eq!((counts("slow").hangs, counts("slow").hanging), (0, 0));
    assert_eq!((counts("healthy").hangs, counts("healthy").hanging), (0, 0));
    // A test of the channel is refused at once.
    let results = running.notifications.send_test("blocking").await.unwrap();
    let error = results[0].outcome.as_ref().unwrap_err().to_string();
    assert!(error.contains("has not returned"), "{error}");
    // Only one thread was started, and the channel works again after the thread has returned.
    assert_eq!(counts("blocking").hangs, 1);
    drop(release);
    until("the end of the hang", || counts("blocking").hanging == 0).await;
    let results = running.notifications.send_test("blocking").await.unwrap();
    assert!(results[0].outcome.is_ok(), "{results:?}");
    assert_eq!(accepted.lock().unwrap().len(), 2);
    running.stop().await;
}
