//! Tests two replicas with two Alertmanagers: one notification, even if one Alertmanager is killed.

use std::time::Duration;

use llm_observatory::{
    Secret,
    alerting::{AlertmanagerPeer, NotificationOptions, Receiver, Routing},
};

use crate::notify_support::{Alertmanager, Recorder, Running, alert, client, free_port, now_ms};

#[tokio::test]
async fn two_replicas_and_two_alertmanagers_notify_once_and_still_do_when_one_is_killed() {
    let recorder = Recorder::start().await;
    let config = format!(
        "route: {{ receiver: hook, group_by: [alertname], group_wait: 1s, group_interval: 2s, repeat_interval: 1h }}\n\
         receivers: [{{ name: hook, webhook_configs: [{{ url: '{}/cluster' }}] }}]\n",
        recorder.url
    );
    let gossip = [free_port(), free_port()];
    let web = [free_port(), free_port()];
    let more = |at: usize| {
        [
            format!("--cluster.listen-address=127.0.0.1:{}", gossip[at]),
            format!("--cluster.peer=127.0.0.1:{}", gossip[1 - at]),
            "--cluster.settle-timeout=1s".to_owned(),
            "--cluster.gossip-interval=50ms".to_owned(),
            "--cluster.probe-interval=300ms".to_owned(),
            "--cluster.probe-timeout=200ms".to_owned(),
            "--cluster.reconnect-interval=500ms".to_owned(),
            "--cluster.peer-timeout=3s".to_owned(),
        ]
    };
    let Some(mut first) = Alertmanager::start(&config, web[0], &more(0)).await else {
        return;
    };
    let Some(second) = Alertmanager::start(&config, web[1], &more(1)).await else {
        return;
    };
    // Until the Alertmanagers have joined each other.
    tokio::time::sleep(Duration::from_secs(3)).await;

    let replica = || {
        let peers = [&first.url, &second.url].map(|url| {
            AlertmanagerPeer::new(url.as_str(), &Secret::new(url.as_str()), client()).unwrap()
        });
        let nobody = Routing::to_receiver(Receiver::new("none", Vec::<String>::new()));
        Running::with_peers(NotificationOptions::new(nobody), Vec::new(), peers.into())
    };
    let replicas = [replica(), replica()];
    let fire = |rule: &str| {
        let alert = alert(
            &[("alertname", rule), ("severity", "critical")],
            now_ms(),
            true,
        );
        for replica in &replicas {
            replica.notifications.put(vec![alert.clone()]);
        }
    };
    let count = |rule: &str| {
        let received = recorder.received();
        let of_rule = received
            .iter()
            .filter(|r| r.body["commonLabels"]["alertname"] == rule);
        of_rule.count()
    };

    fire("both");
    // The group wait, the second node's delay, and a margin.
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert_eq!(count("both"), 1);

    first.process.kill();
    fire("one_left");
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert_eq!(count("one_left"), 1);
    assert_eq!(count("both"), 1);
    let counts = replicas[0].notifications.counts();
    assert!(counts.peers[&first.url].failed_requests > 0);
    assert_eq!(counts.peers[&second.url].sent, 2);
    for replica in replicas {
        replica.stop().await;
    }
}
