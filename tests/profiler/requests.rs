//! Requests for profiles that cannot be answered, and the reasons in their answers.

use std::{thread, time::Duration};

use crate::{alone, get_text, hot::Hot, observatory};

#[test]
fn a_wrong_parameter_is_answered_with_the_values_that_are_right() {
    let observatory = observatory(|_| ());
    for (query, reason) in [
        ("seconds=0", "must lie between 10 ms and 10 min"),
        ("seconds=86400", "must lie between 10 ms and 10 min"),
        ("seconds=-1", "not a positive number"),
        ("seconds=x", "seconds"),
        ("hz=0", "must lie between 1 and 1000 Hz"),
        ("hz=5000", "must lie between 1 and 1000 Hz"),
        ("format=png", "`pprof`, `svg`, `folded` or `json`"),
        ("group=thread", "must be `operation`"),
        ("second=3", "unknown field"),
    ] {
        let (status, answer) = get_text(&observatory, &format!("/debug/pprof/profile?{query}"));
        assert_eq!(status, 400, "{query}: {answer}");
        assert!(answer.contains(reason), "{query}: {answer}");
    }
}

#[test]
fn two_hundred_requests_during_a_profile_are_refused_and_the_profile_is_unharmed() {
    let _alone = alone();
    let observatory = observatory(|_| ());
    let _hot = Hot::start(2);
    let first = {
        let observatory = observatory.clone();
        thread::spawn(move || {
            get_text(&observatory, "/debug/pprof/profile?seconds=3&format=folded")
        })
    };
    thread::sleep(Duration::from_millis(300));
    for _ in 0..200 {
        let (status, answer) = get_text(&observatory, "/debug/pprof/profile?seconds=1");
        assert_eq!(status, 409, "{answer}");
        assert!(answer.contains("it ends in"), "{answer}");
    }
    let (status, folded) = first.join().expect("an answer");
    assert_eq!(status, 200, "{folded}");
    assert!(folded.contains("hot_seventy"));
}

#[test]
fn an_idle_process_has_an_empty_profile_that_says_why() {
    let _alone = alone();
    let observatory = observatory(|config| config.profiler.frequency_hz = 1);
    let (status, json) = get_text(&observatory, "/debug/pprof/profile?seconds=0.2&format=json");
    assert_eq!(status, 200, "{json}");
    assert!(json.contains("almost no CPU time"), "{json}");
    let (status, svg) = get_text(&observatory, "/debug/pprof/profile?seconds=0.2&format=svg");
    assert_eq!(status, 200, "{svg}");
    assert!(
        svg.contains("no samples") && svg.contains("almost no CPU time"),
        "{svg}"
    );
}

#[test]
fn a_profiler_that_is_off_names_its_key() {
    let observatory = observatory(|config| config.profiler.enabled = false);
    let (status, answer) = get_text(&observatory, "/debug/pprof/profile?seconds=1");
    assert_eq!(status, 503);
    assert!(
        answer.contains("profiler.enabled (PROFILER_ENABLED)"),
        "{answer}"
    );
}

#[cfg(feature = "alerting")]
#[test]
fn a_configured_token_is_required() {
    let observatory = observatory(|config| config.alerting.api_token = Some("secret".into()));
    let (status, answer) = get_text(&observatory, "/debug/pprof/profile?seconds=1");
    assert_eq!(status, 401);
    assert!(answer.contains("OBSERVATORY_TOKEN"), "{answer}");
}

#[test]
fn beyond_loopback_profiles_need_a_token() {
    let observatory = observatory(|config| {
        config.prometheus.listen = "0.0.0.0:0".parse().expect("an address");
    });
    let port = observatory.listen_address().expect("a server").port();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let (status, answer) = runtime.block_on(async {
        let url = format!("http://127.0.0.1:{port}/debug/pprof/profile?seconds=1");
        let answer = reqwest::get(url).await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("text"))
    });
    assert_eq!(status, 403, "{answer}");
    assert!(answer.contains("set OBSERVATORY_TOKEN"), "{answer}");
}

#[test]
fn the_interface_records_a_profile_without_a_server_and_without_a_runtime() {
    let _alone = alone();
    let observatory = observatory(|config| config.prometheus.enabled = false);
    let _hot = Hot::start(1);
    let profiler = observatory.profiler();
    let recorded = profiler.cpu_profile(Duration::from_millis(300));
    let profile = futures_executor(recorded).expect("a profile");
    assert!(profile.folded().contains("hot_seventy"));
    assert!(profile.summary().samples > 5, "{:?}", profile.summary());
    let none = profile.filter("no such operation");
    assert_eq!(none.summary().samples, 0);
    let too_long = futures_executor(profiler.cpu_profile(Duration::from_hours(24)));
    assert!(too_long.is_err_and(|error| error.to_string().contains("10 min")));
}

/// Polls a future on this thread until it is ready.
fn futures_executor<F: Future>(future: F) -> F::Output {
    struct Unpark(thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::sync::Arc::new(Unpark(thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        thread::park();
    }
}
