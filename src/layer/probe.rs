//! Finds out whether a filter beside or around the Layer hides the spans it lives on.
//!
//! An outer filter that says `never` to a callsite means that the Layer is not even called, so it cannot know.
//! A span of each known kind is opened on a thread of the observatory's own, where the Layer observes nothing but
//! notes that it was asked.

use std::cell::Cell;

use tracing::Metadata;

/// Target of the probes; nobody else's spans have it.
const TARGET: &str = "llm_observatory::probe";

thread_local! { static SEEN: Cell<u32> = const { Cell::new(0) } }

/// The Layer was asked about a span on one of the observatory's own threads.
#[cold]
pub(super) fn saw(metadata: &Metadata<'_>) {
    if metadata.target() == TARGET {
        SEEN.set(SEEN.get() + 1);
    }
}

/// Names of known kinds whose spans the current subscriber does not let through at INFO, the level of
/// `#[instrument]`. Call it on a thread of the observatory's own.
pub(crate) fn hidden_kinds() -> Vec<&'static str> {
    macro_rules! probe {
        ($($kind:literal)*) => {
            [$(($kind, {
                SEEN.set(0);
                drop(tracing::info_span!(target: TARGET, $kind));
                SEEN.get() > 0
            })),*]
        };
    }
    let probed = probe!("inference" "model_load" "http_request" "cache" "db_query" "queue" "route_selection" "connection");
    probed
        .into_iter()
        .filter(|(_, is_seen)| !is_seen)
        .map(|(kind, _)| kind)
        .collect()
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::{Layer as _, filter::LevelFilter, prelude::*};

    use super::*;
    use crate::{FnSink, ObservatoryLayer, runtime::own_thread};

    /// Hidden kinds on a thread of our own, under this subscriber.
    fn hidden(subscriber: impl tracing::Subscriber + Send + Sync + 'static) -> usize {
        std::thread::spawn(|| {
            own_thread::mark();
            tracing::subscriber::with_default(subscriber, || hidden_kinds().len())
        })
        .join()
        .unwrap()
    }

    #[test]
    fn a_filter_around_or_on_the_layer_is_found_out_and_one_beside_it_is_not() {
        let layer = || ObservatoryLayer::new(FnSink::new(|_| panic!("a probe is no observation")));
        let log = || {
            tracing_subscriber::fmt::layer()
                .with_writer(std::io::sink)
                .with_filter(LevelFilter::ERROR)
        };
        assert_eq!(hidden(tracing_subscriber::registry().with(layer())), 0);
        assert_eq!(
            hidden(
                tracing_subscriber::registry()
                    .with(layer())
                    .with(LevelFilter::INFO)
            ),
            0
        );
        assert_eq!(
            hidden(tracing_subscriber::registry().with(layer()).with(log())),
            0
        );
        assert_eq!(
            hidden(
                tracing_subscriber::registry()
                    .with(layer())
                    .with(LevelFilter::WARN)
            ),
            8
        );
        assert_eq!(
            hidden(tracing_subscriber::registry().with(layer().with_filter(LevelFilter::WARN))),
            8
        );
    }
}
