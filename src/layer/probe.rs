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
