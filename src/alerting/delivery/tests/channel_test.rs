//! Tests test messages: the answer of each address, incidents that are closed again, and escalations.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_test_returns_the_answer_of_each_address() {
    let refusal = NotifyError::new(FailureClass::AuthError, "401 Unauthorized: bad token");
    let notifiers: Vec<Arc<dyn Notifier>> = vec![
        Arc::new(FakeService::new(Answer::Accept)),
        Arc::new(FakeService::new(Answer::Refuse(refusal.clone()))),
        Arc::new(FakeService::new(Answer::Hang)),
    ];
    let channel = Channel::from_notifiers(notifiers);
    let running = Running::start(to_channels(&["ops"]), &[("ops", channel)]);
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

/// A fake service that keeps incidents by key, as `PagerDuty` does: a message with the key of an open incident opens no
/// second incident.
#[derive(Clone, Debug, Default)]
struct Incidents {
    open: Arc<Mutex<BTreeMap<String, usize>>>,
    paged: Arc<Mutex<Vec<String>>>,
    rejects_resolved: bool,
}

impl Notifier for Incidents {
    fn notify<'a>(&'a self, message: &'a Message) -> NotifyFuture<'a> {
        let key = message.dedup_key.clone();
        let is_firing = message.status == crate::alerting::MessageStatus::Firing;
        let mut open = self.open.lock().unwrap();
        let answer = if is_firing {
            if open.insert(key, 1).is_none() {
                self.paged.lock().unwrap().push(message.title());
            }
            Ok(Receipt::new("202 Accepted"))
        } else if self.rejects_resolved {
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
async fn each_test_opens_an_incident_and_closes_it() {
    let service = Incidents::default();
    let running = Running::start(
        to_channels(&["service"]),
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
    // The real alert after the test of its escalation.
    running.fire("slow");
    advance(40).await;
    let paged = service.paged.lock().unwrap().clone();
    assert_eq!(paged[2..], ["[FIRING:1] slow (error)"; 2]);
    assert_eq!(service.open.lock().unwrap().len(), 1);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_test_whose_incident_stays_open_is_an_error() {
    let service = Incidents {
        rejects_resolved: true,
        ..Incidents::default()
    };
    let running = Running::start(
        to_channels(&["service"]),
        &[("service", Channel::new(service))],
    );
    let results = running.notifications.send_test("service").await.unwrap();
    let error = results[0].outcome.as_ref().unwrap_err();
    assert_eq!(
        error.text,
        "the test message was delivered, but its incident is still open: 400 Bad Request"
    );
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn addresses_are_tested_concurrently() {
    let hang: Vec<Arc<dyn Notifier>> = (0..20)
        .map(|_| Arc::new(FakeService::new(Answer::Hang)) as Arc<dyn Notifier>)
        .collect();
    let running = Running::start(
        to_channels(&["ops"]),
        &[("ops", Channel::from_notifiers(hang))],
    );
    let start = Instant::now();
    let results = running.notifications.send_test("ops").await.unwrap();
    assert_eq!(results[19].destination, "ops/19");
    assert_eq!(start.elapsed(), Duration::from_secs(30));
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_test_of_an_escalation_covers_every_step() {
    let (first, second) = (
        FakeService::new(Answer::Accept),
        FakeService::new(Answer::Accept),
    );
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
