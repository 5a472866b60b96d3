//! Detects filters of the subscriber that hide spans from the Layer.
//!
//! The probe registers a callsite of each kind with the subscriber, as `tracing` does for a span of the application, and
//! asks whether the span would be enabled. No span is opened, so that no other layer records anything.

use std::{cell::Cell, collections::BTreeSet};

use tracing::{
    Dispatch, Level, Metadata,
    callsite::{DefaultCallsite, Identifier},
    field::FieldSet,
    metadata::Kind,
};
use tracing_subscriber::{EnvFilter, filter::Targets};

use crate::observation::kinds;

/// The `tracing` target of the probe's callsites. It contains a space, so that no directive of a filter names it.
const TARGET: &str = "unnamed target";

/// The `tracing` target of the observatory's own log lines.
const LOG_TARGET: &str = "llm_observatory";

thread_local! { static REGISTRATIONS: Cell<u32> = const { Cell::new(0) } }

/// Counts a registration of the probe's callsites that reaches the Layer.
pub(super) fn count(metadata: &Metadata<'_>) {
    if metadata.target() == TARGET {
        REGISTRATIONS.set(REGISTRATIONS.get() + 1);
    }
}

/// The spans that a filter of the subscriber hides from the Layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HiddenSpans {
    /// The names of the hidden spans.
    pub(crate) spans: Vec<&'static str>,
    /// The text of the filter, if the filter is an `EnvFilter` or `Targets`.
    pub(crate) filter: Option<String>,
    /// The targets that the filter names and whose INFO spans pass.
    pub(crate) passing_targets: Vec<String>,
    /// True if the subscriber also hides the observatory's own log lines of level ERROR.
    pub(crate) hides_errors: bool,
}

impl HiddenSpans {
    /// Returns the spans of level INFO, the level of `#[instrument]`, that `subscriber` hides from the Layer where the
    /// filter does not name their target, or `None` if the filter hides no span.
    pub(crate) fn of(subscriber: &Dispatch) -> Option<Self> {
        let spans: Vec<_> = span_callsites()
            .into_iter()
            .filter(|metadata| !reaches_layer(subscriber, metadata))
            .map(Metadata::name)
            .collect();
        if spans.is_empty() {
            return None;
        }
        let filter = filter_text(subscriber);
        let named = filter.as_deref().map(named_targets).unwrap_or_default();
        let passes =
            |target: &String| is_enabled(subscriber, leaked(target, Level::INFO, Kind::SPAN));
        let passing_targets = named.into_iter().filter(passes).collect();
        let error = leaked(LOG_TARGET, Level::ERROR, Kind::EVENT);
        Some(Self {
            spans,
            filter,
            passing_targets,
            hides_errors: !is_enabled(subscriber, error),
        })
    }
}

/// Returns whether a span reaches the Layer. A filter on the Layer itself answers before the Layer is called.
fn reaches_layer(subscriber: &Dispatch, metadata: &'static Metadata<'static>) -> bool {
    REGISTRATIONS.set(0);
    is_enabled(subscriber, metadata) && REGISTRATIONS.get() > 0
}

/// Asks the subscriber in the steps of `tracing`'s macros.
fn is_enabled(subscriber: &Dispatch, metadata: &'static Metadata<'static>) -> bool {
    let interest = subscriber.register_callsite(metadata);
    interest.is_always() || (interest.is_sometimes() && subscriber.enabled(metadata))
}

/// Returns the text of the subscriber's filter, if it is a filter that can be written as text.
fn filter_text(subscriber: &Dispatch) -> Option<String> {
    let filter = subscriber
        .downcast_ref::<EnvFilter>()
        .map(ToString::to_string);
    filter.or_else(|| {
        subscriber
            .downcast_ref::<Targets>()
            .map(ToString::to_string)
    })
}

/// Returns the targets that the directives of a filter name.
fn named_targets(filter: &str) -> BTreeSet<String> {
    let target = |directive: &str| {
        let (target, _) = directive.split_once(['=', '['])?;
        (!target.is_empty()).then(|| target.to_owned())
    };
    filter.split(',').filter_map(target).collect()
}

/// Returns the metadata of a callsite with a target that is known at run time. The metadata is never freed: `tracing`
/// requires that it lives as long as the process.
fn leaked(target: &str, level: Level, kind: Kind) -> &'static Metadata<'static> {
    let target: &'static str = Box::leak(target.to_owned().into_boxed_str());
    let fields = FieldSet::new(&[], Identifier(&IDENTITY));
    Box::leak(Box::new(Metadata::new(
        "inference",
        target,
        level,
        None,
        None,
        None,
        fields,
        kind,
    )))
}

/// The identity of the callsites that are made at run time.
static IDENTITY: DefaultCallsite = DefaultCallsite::new(&IDENTITY_METADATA);
static IDENTITY_METADATA: Metadata<'static> = metadata("inference", &IDENTITY);

const fn metadata(name: &'static str, callsite: &'static DefaultCallsite) -> Metadata<'static> {
    let fields = FieldSet::new(&[], Identifier(callsite));
    Metadata::new(
        name,
        TARGET,
        Level::INFO,
        None,
        None,
        None,
        fields,
        Kind::SPAN,
    )
}

/// Defines `span_callsites` with a callsite for the first span name of each kind.
macro_rules! define_callsites {
    ($(
        $(#[$doc:meta])*
        $kind:ident = $name:literal, spans [$($span:literal $($other:literal)*)?], attributes [$($attribute:literal)*];
    )*) => {
        /// Returns the metadata of a span of each kind that has spans.
        fn span_callsites() -> Vec<&'static Metadata<'static>> {
            let mut all: Vec<&'static Metadata<'static>> = Vec::new();
            $($({
                static CALLSITE: DefaultCallsite = DefaultCallsite::new(&METADATA);
                static METADATA: Metadata<'static> = metadata($span, &CALLSITE);
                all.push(&METADATA);
            })?)*
            all
        }
    };
}

kinds!(define_callsites);

#[cfg(test)]
mod tests {
    use tracing_subscriber::{
        Layer as _, Registry, filter::LevelFilter, fmt, prelude::*, registry, registry::LookupSpan,
    };

    use super::*;
    use crate::{FnSink, ObservatoryLayer};

    /// Kinds that have spans.
    const SPAN_KINDS: usize = 9;

    fn hidden(subscriber: impl tracing::Subscriber + Send + Sync + 'static) -> Option<HiddenSpans> {
        HiddenSpans::of(&Dispatch::new(subscriber))
    }

    fn hidden_spans(subscriber: impl tracing::Subscriber + Send + Sync + 'static) -> usize {
        hidden(subscriber).map_or(0, |hidden| hidden.spans.len())
    }

    fn layer<S>() -> ObservatoryLayer<S> {
        ObservatoryLayer::new(FnSink::new(|_| panic!("a probe is no observation")))
    }

    fn log<S: tracing::Subscriber + for<'l> LookupSpan<'l>>() -> impl tracing_subscriber::Layer<S> {
        fmt::layer()
            .with_writer(std::io::sink)
            .with_filter(LevelFilter::ERROR)
    }

    #[test]
    fn a_filter_around_or_on_the_layer_is_detected_and_a_filter_beside_the_layer_is_not() {
        assert_eq!(hidden_spans(registry().with(layer())), 0);
        assert_eq!(
            hidden_spans(registry().with(layer()).with(LevelFilter::INFO)),
            0
        );
        assert_eq!(
            hidden_spans(registry().with(LevelFilter::INFO).with(layer())),
            0
        );
        assert_eq!(hidden_spans(registry().with(layer()).with(log())), 0);
        assert_eq!(hidden_spans(registry().with(log()).with(layer())), 0);
        assert_eq!(
            hidden_spans(registry().with(layer()).with(LevelFilter::WARN)),
            SPAN_KINDS
        );
        assert_eq!(
            hidden_spans(registry().with(LevelFilter::WARN).with(layer())),
            SPAN_KINDS
        );
        assert_eq!(
            hidden_spans(
                registry()
                    .with(layer::<Registry>().with_filter(LevelFilter::WARN))
                    .with(log())
            ),
            SPAN_KINDS
        );
        let dynamic = tracing_subscriber::filter::dynamic_filter_fn(|metadata, _| {
            !metadata.is_span() || metadata.name() != "cache"
        });
        let hidden = hidden(registry().with(layer()).with(dynamic)).unwrap();
        assert_eq!(hidden.spans, ["cache"]);
        assert_eq!(hidden.filter, None);
    }

    #[test]
    fn a_filter_is_named_with_the_targets_that_pass() {
        let of = |filter: &str| {
            let filter: EnvFilter = filter.parse().unwrap();
            hidden(registry().with(filter).with(layer()))
        };
        assert_eq!(of("info"), None);
        let own = of("error,llm_observatory=info").unwrap();
        assert_eq!(own.passing_targets, ["llm_observatory"]);
        let warn = of("warn").unwrap();
        assert_eq!(
            (warn.filter.as_deref(), warn.hides_errors),
            (Some("warn"), false)
        );
        assert!(warn.passing_targets.is_empty());
        let named = of("my_app=info,hyper=error,my_app::quiet=off").unwrap();
        assert_eq!(named.passing_targets, ["my_app"]);
        assert!(named.hides_errors, "no directive lets the own lines pass");
        assert!(of("off").unwrap().hides_errors);
        let targets = Targets::new().with_target("router", Level::DEBUG);
        let hidden = hidden(registry().with(layer()).with(targets)).unwrap();
        assert_eq!(hidden.passing_targets, ["router"]);
    }
}
