//! A share of all traces, and which trace ids are in it.

use crate::runtime::random::random;

/// A share of all traces. As `TraceIdRatioBased` of OpenTelemetry's SDKs, it holds the traces whose id, of which bits 1
/// to 63 count, lies below a bound: services that draw by themselves draw alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::traces) struct Ratio(u64);

/// One above the largest number of 63 bits.
const ALL: u64 = 1 << 63;

impl Ratio {
    /// `share` is cut to `0.0..=1.0`.
    pub(in crate::traces) fn new(share: f64) -> Self {
        if share >= 1.0 {
            return Self(ALL);
        }
        // `as` makes 0 of a negative number and of none.
        Self((share * ALL as f64) as u64)
    }

    #[inline]
    pub(in crate::traces) fn draw(self) -> bool {
        random() >> 1 < self.0
    }

    pub(in crate::traces) fn holds(self, trace_id: u128) -> bool {
        (trace_id as u64) >> 1 < self.0
    }

    /// A random id that this share holds, or does not; whatever there is, where there is none such.
    pub(in crate::traces) fn trace_id(self, is_held: bool) -> u128 {
        let (from, to) = if is_held { (0, self.0) } else { (self.0, ALL) };
        let span = if to > from { to - from } else { ALL };
        let drawn = from + random() % span;
        let high = random();
        // The lowest bit does not count; it is random because ids are.
        let low = drawn << 1 | high >> 63;
        let id = u128::from(high) << 64 | u128::from(low);
        // An id of all zeros is none.
        id.max(1)
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanKind, TraceId};
    use opentelemetry_sdk::trace::{Sampler, SamplingDecision, ShouldSample as _};

    use super::*;

    #[test]
    fn a_share_is_drawn_as_often_as_it_says() {
        let ratio = Ratio::new(0.1);
        let drawn = (0..100_000).filter(|_| ratio.draw()).count();
        assert!((9_000..11_000).contains(&drawn), "{drawn} of 100,000");
        assert!((0..1_000).all(|_| Ratio::new(1.0).draw()));
        assert!((0..1_000).all(|_| !Ratio::new(0.0).draw()));
        assert_eq!(Ratio::new(f64::NAN), Ratio::new(0.0));
    }

    #[test]
    fn a_share_holds_what_opentelemetry_s_sampler_holds() {
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
                assert_eq!(ratio.holds(id), is_kept, "{id:032x} at {share}");
            }
        }
    }

    #[test]
    fn ids_of_kept_traces_are_those_that_others_keep_too() {
        for share in [0.01, 0.5] {
            let ratio = Ratio::new(share);
            assert!((0..1_000).all(|_| ratio.holds(ratio.trace_id(true))));
            assert!((0..1_000).all(|_| !ratio.holds(ratio.trace_id(false))));
        }
        assert!(Ratio::new(1.0).holds(Ratio::new(1.0).trace_id(false)));
    }
}
