//! An application that links the crate `pprof`, which exports its signal handler as a symbol, also links this crate.

#![cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
#![allow(missing_docs, clippy::expect_used, reason = "a test")]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use stack_sampler::{Options, Session, StartError};

fn spin(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        black_box((0..1000_u64).fold(1, |product, step| black_box(product ^ step)));
    }
}

#[test]
fn the_profilers_take_turns_and_a_session_is_refused_while_pprof_runs() {
    let guard = pprof::ProfilerGuardBuilder::default()
        .frequency(100)
        .blocklist(&["libc", "libgcc", "pthread", "vdso"])
        .build()
        .expect("pprof");
    let started = Session::start(Options::default());
    assert!(
        matches!(started, Err(StartError::SignalTaken)),
        "{started:?}"
    );
    drop(guard);
    let mut session = Session::start(Options::default()).expect("a session after pprof");
    spin(Duration::from_millis(300));
    session.pause();
    let mut samples = 0;
    session.drain(|_| samples += 1);
    assert!(samples > 3, "{samples}");
    drop(session);
    let guard = pprof::ProfilerGuardBuilder::default().build();
    assert!(guard.is_ok(), "pprof after a session");
    assert!(matches!(
        Session::start(Options::default()),
        Err(StartError::SignalTaken)
    ));
}
