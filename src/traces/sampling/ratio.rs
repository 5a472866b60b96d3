//! Samples a ratio of traces, by trace id or by a draw.

use crate::runtime::random::random;

/// A ratio of traces. Like `TraceIdRatioBased` of OpenTelemetry's SDKs, it contains the traces for which bits 1 to 63 of
/// the id lie below a bound, so that services that decide by trace id decide alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::traces) struct Ratio(u64);

/// One above the largest number of 63 bits.
const ALL: u64 = 1 << 63;

impl Ratio {
    /// Clamps `ratio` to `0.0..=1.0`.
    pub(in crate::traces) fn new(ratio: f64) -> Self {
        if ratio >= 1.0 {
            return Self(ALL);
        }
        // `as` converts negative numbers and NaN to 0.
        Self((ratio * ALL as f64) as u64)
    }

    #[inline]
    pub(in crate::traces) fn draw(self) -> bool {
        random() >> 1 < self.0
    }

    /// Returns `true` if the ratio contains a trace id.
    pub(in crate::traces) fn contains(self, trace_id: u128) -> bool {
        (trace_id as u64) >> 1 < self.0
    }

    /// A random id that the ratio contains, or does not contain; any id if there is no such id.
    pub(in crate::traces) fn trace_id(self, is_contained: bool) -> u128 {
        let (from, to) = if is_contained {
            (0, self.0)
        } else {
            (self.0, ALL)
        };
        let span = if to > from { to - from } else { ALL };
        let drawn = from + random() % span;
        let high = random();
        // Bit 0 has no influence on sampling.
        let low = drawn << 1 | high >> 63;
        let id = u128::from(high) << 64 | u128::from(low);
        // A trace id of 0 is invalid.
        id.max(1)
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanKind, TraceId};
    use opentelemetry_sdk::trace::{Sampler, SamplingDecision, ShouldSample as _};

    use super::*;

    #[test]
    fn a_ratio_is_drawn_as_often_as_configured() {
        let ratio = Ratio::new(0.1);
        let drawn = (0..100_000).filter(|_| ratio.draw()).count();
        assert!((9_000..11_000).contains(&drawn), "{drawn} of 100,000");
        assert!((0..1_000).all(|_| Ratio::new(1.0).draw()));
        assert!((0..1_000).all(|_| !Ratio::new(0.0).draw()));
        assert_eq!(Ratio::new(f64::NAN), Ratio::new(0.0));
    }

    #[test]
    fn a_ratio_contains_the_ids_that_opentelemetry_s_sampler_samples() {
        for share in [0.0, 0.001, 0.1, 0.5, 0.9, 1.0] {
            let ratio = Ratio::new(share);
            let theirs = Sampler::TraceIdRatioBased(share);
            let drawn = (0..10_000).map(|_| u128::from(random()) << 64 | u128::from(random()));
            let edges = (-2..=2).map(|off| u128::from((ratio.0 << 1).wrapping_add_signed(off)));
            let made = [true, false].map(|is_held| ratio.trace_id(is_held));
            for id in drawn.chain(edges).chain(made) {
                let trace_id = TraceId::from(id);
                let sampled =
                    theirs.should_sample(None, trace_id, "", &SpanKind::Internal, &[], &[]);
                let is_kept = sampled.decision == SamplingDecision::RecordAndSample;
                assert_eq!(ratio.contains(id), is_kept, "{id:032x} at {share}");
            }
        }
    }

    #[test]
    fn ids_of_sampled_traces_are_sampled_by_other_services_too() {
        for share in [0.01, 0.5] {
            let ratio = Ratio::new(share);
            assert!((0..1_000).all(|_| ratio.contains(ratio.trace_id(true))));
            assert!((0..1_000).all(|_| !ratio.contains(ratio.trace_id(false))));
        }
        assert!(Ratio::new(1.0).contains(Ratio::new(1.0).trace_id(false)));
    }
}
