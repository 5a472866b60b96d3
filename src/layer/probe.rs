//! Detects filters that hide spans from the Layer.
//!
//! `tracing` does not call the Layer for a callsite that an outer filter answers with `never`. The probe therefore
//! opens a span of each kind on one of the observatory's threads. The Layer records no observation there, but counts the
//! call.

use std::cell::Cell;

use tracing::Metadata;

use crate::observation::kinds;

/// The `tracing` target of the probe spans, which no other span has.
const TARGET: &str = "llm_observatory::probe";

thread_local! { static CALLS: Cell<u32> = const { Cell::new(0) } }

/// Counts a call of the Layer for a span on one of the observatory's threads.
#[cold]
pub(super) fn count(metadata: &Metadata<'_>) {
    if metadata.target() == TARGET {
        CALLS.set(CALLS.get() + 1);
    }
}

/// Defines `hidden_kinds` with a probe span for the first span name of each kind.
macro_rules! define_probes {
    ($(
        $(#[$doc:meta])*
        $kind:ident = $name:literal, spans [$($span:literal $($other:literal)*)?], attributes [$($attribute:literal)*];
    )*) => {
        /// Returns the names of the spans that the current subscriber hides from the Layer at INFO, the level of
        /// `#[instrument]`. Must be called on one of the observatory's threads.
        pub(crate) fn hidden_kinds() -> Vec<&'static str> {
            let mut hidden = Vec::new();
            $($(
                CALLS.set(0);
                drop(tracing::info_span!(target: TARGET, $span));
                if CALLS.get() == 0 {
                    hidden.push($span);
                }
            )?)*
            hidden
        }
    };
}

kinds!(define_probes);

#[cfg(test)]
mod tests {
    use tracing_subscriber::{Layer as _, filter::LevelFilter, prelude::*};

    use super::*;
    use crate::{FnSink, ObservatoryLayer, runtime::own_thread};

    /// Kinds that have spans.
    const SPAN_KINDS: usize = 9;

    /// Counts the hidden kinds under this subscriber, on a marked thread.
    fn hidden(subscriber: impl tracing::Subscriber + Send + Sync + 'static) -> usize {
        std::thread::spawn(|| {
            own_thread::mark();
            tracing::subscriber::with_default(subscriber, || hidden_kinds().len())
        })
        .join()
        .unwrap()
    }

    #[test]
    fn a_filter_around_or_on_the_layer_is_detected_and_a_filter_beside_the_layer_is_not() {
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
            SPAN_KINDS
        );
        assert_eq!(
            hidden(tracing_subscriber::registry().with(layer().with_filter(LevelFilter::WARN))),
            SPAN_KINDS
        );
    }
}
