//! The bucket bounds of a histogram, and the search for the bucket of a value.

/// Number of sign and exponent values of an `f64`: 12 bits.
const LEADING: usize = 1 << 12;
/// Length of the table of bounds: bucket numbers fit a byte.
const SLOTS: usize = 1 << 8;
/// Max buckets; the table needs a slot for `+Inf`.
const MAX_BUCKETS: usize = SLOTS - 2;

/// An invalid list of bucket bounds.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BucketsError {
    /// The list is empty.
    #[error("a histogram needs at least one bucket")]
    Empty,
    /// The list is too long.
    #[error("{0} buckets are too many: at most {MAX_BUCKETS} are possible")]
    TooMany(usize),
    /// A bound is not finite, or not above the bound before it.
    #[error("bucket {value} at place {place} must be a finite number above the one before it")]
    NotAscending {
        /// Index of the bound, from 0.
        place: usize,
        /// Value of the bound.
        value: f64,
    },
}

/// Validates bounds and returns them without `+Inf`, which is implied but which users of Prometheus clients write.
pub(crate) fn check(upper: &[f64]) -> Result<&[f64], BucketsError> {
    let upper = upper.strip_suffix(&[f64::INFINITY]).unwrap_or(upper);
    if upper.is_empty() {
        return Err(BucketsError::Empty);
    }
    if upper.len() > MAX_BUCKETS {
        return Err(BucketsError::TooMany(upper.len()));
    }
    let mut before = f64::NEG_INFINITY;
    for (place, &value) in upper.iter().enumerate() {
        if !value.is_finite() || value <= before {
            return Err(BucketsError::NotAscending { place, value });
        }
        before = value;
    }
    Ok(upper)
}

/// Ascending upper bounds; the bucket `+Inf` is implied.
///
/// A search indexes two tables by a 12-bit and an 8-bit number, so it needs no bounds check.
pub(crate) struct Bounds {
    /// The first possible bucket of a value, by its sign and exponent; 0 for negative values. The search starts there and
    /// compares one or two bounds.
    first: [u8; LEADING],
    /// The bounds, then `+Inf` up to the end, where the search stops.
    upper: [f64; SLOTS],
    /// The label `le` of each bucket, as in `OpenMetrics`.
    le: Box<[String]>,
}

impl Bounds {
    pub(crate) fn new(upper: &[f64]) -> Result<Self, BucketsError> {
        let upper = check(upper)?;
        let mut first = [0; LEADING];
        for (exponent, place) in first.iter_mut().enumerate().take(LEADING / 2) {
            let least = f64::from_bits((exponent as u64) << 52);
            let bucket = upper.iter().take_while(|bound| least > **bound).count();
            *place = u8::try_from(bucket).unwrap_or(u8::MAX);
        }
        let mut places = [f64::INFINITY; SLOTS];
        for (place, bound) in places.iter_mut().zip(upper) {
            *place = *bound;
        }
        let le = upper
            .iter()
            .map(|bound| super::super::exposition::number::open_metrics(*bound))
            .collect();
        Ok(Self {
            first,
            upper: places,
            le,
        })
    }

    /// Returns the bounds of a catalog metric; a test validates the catalog.
    pub(crate) fn known(upper: &[f64]) -> Self {
        Self::new(upper).unwrap_or_else(|_| Self {
            first: [0; LEADING],
            upper: [f64::INFINITY; SLOTS],
            le: Box::new([]),
        })
    }

    /// Returns the number of the first bucket whose bound is not below `value`, which must not be NaN.
    #[inline]
    pub(crate) fn bucket(&self, value: f64) -> usize {
        // Sign and exponent; negative values index the second half of the table, which is 0.
        let leading = (value.to_bits() >> 52) as usize;
        let first = usize::from(self.first[leading]);
        // The common case; this branch is cheaper than a loop that runs at least once.
        if value > self.upper[first % SLOTS] {
            self.bucket_behind(first, value)
        } else {
            first
        }
    }

    #[inline]
    fn bucket_behind(&self, first: usize, value: f64) -> usize {
        let mut bucket = first + 1;
        while value > self.upper[bucket % SLOTS] {
            bucket += 1;
        }
        bucket
    }

    pub(crate) fn upper(&self) -> &[f64] {
        &self.upper[..self.le.len()]
    }

    pub(crate) fn le(&self) -> &[String] {
        &self.le
    }

    /// Buckets, `+Inf` included.
    pub(crate) fn len(&self) -> usize {
        self.le.len() + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::catalog::CATALOG;
    use proptest::prelude::*;

    fn by_hand(upper: &[f64], value: f64) -> usize {
        upper.iter().take_while(|bound| value > **bound).count()
    }

    #[test]
    fn a_bound_belongs_to_its_own_bucket() {
        for metric in CATALOG.iter().filter(|metric| !metric.buckets.is_empty()) {
            let bounds = Bounds::new(metric.buckets).unwrap();
            for (bucket, bound) in metric.buckets.iter().enumerate() {
                assert_eq!(bounds.bucket(*bound), bucket);
                assert_eq!(bounds.bucket(bound.next_up()), bucket + 1);
            }
        }
    }

    #[test]
    fn as_many_bounds_as_are_possible_leave_room_for_what_is_above_them() {
        let upper: Vec<f64> = (0..MAX_BUCKETS as u32).map(f64::from).collect();
        let bounds = Bounds::new(&upper).unwrap();
        assert_eq!(bounds.bucket(253.0), MAX_BUCKETS - 1);
        for above in [253.5, f64::MAX, f64::INFINITY] {
            assert_eq!(bounds.bucket(above), MAX_BUCKETS);
        }
        assert_eq!(bounds.bucket(f64::NEG_INFINITY), 0);
        assert_eq!(
            (bounds.upper(), bounds.len()),
            (&upper[..], MAX_BUCKETS + 1)
        );
    }

    #[test]
    fn bad_bounds_are_refused_with_the_place_and_the_value() {
        assert_eq!(Bounds::new(&[]).err(), Some(BucketsError::Empty));
        assert_eq!(
            Bounds::new(&[f64::INFINITY]).err(),
            Some(BucketsError::Empty)
        );
        assert_eq!(
            Bounds::new(&[1.0, 1.0]).err(),
            Some(BucketsError::NotAscending {
                place: 1,
                value: 1.0
            })
        );
        assert!(Bounds::new(&[f64::NAN]).is_err());
        assert!(Bounds::new(&(0..300).map(f64::from).collect::<Vec<_>>()).is_err());
    }

    proptest! {
        #[test]
        fn the_table_finds_what_a_walk_finds(
            mut upper in proptest::collection::vec(proptest::num::f64::NORMAL | proptest::num::f64::ZERO, 1..30),
            values in proptest::collection::vec(proptest::num::f64::ANY, 1..50),
        ) {
            upper.sort_by(f64::total_cmp);
            upper.dedup();
            let bounds = Bounds::new(&upper).unwrap();
            for value in values.into_iter().chain(upper.clone()).filter(|value| !value.is_nan()) {
                prop_assert_eq!(bounds.bucket(value), by_hand(&upper, value));
            }
        }
    }
}
