//! The bounds of a histogram's buckets, and the search for a value's bucket.

/// Signs and exponents of an `f64`: twelve bits.
const LEADING: usize = 1 << 12;
/// Bucket numbers fit a byte.
const PLACES: usize = 1 << 8;
/// At least one place is left for `+Inf`.
const MOST: usize = PLACES - 2;

/// Why a list of bounds cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BucketsError {
    /// There is none.
    #[error("a histogram needs at least one bucket")]
    Empty,
    /// There are too many.
    #[error("{0} buckets are too many: at most {MOST} are possible")]
    TooMany(usize),
    /// They do not ascend, or are not finite.
    #[error("bucket {value} at place {place} must be a finite number above the one before it")]
    NotAscending {
        /// Which one, from 0.
        place: usize,
        /// Its value.
        value: f64,
    },
}

/// Whether bounds can be used; gives back those that are written (`+Inf` is implied; users of Prometheus clients
/// write it all the same).
pub(crate) fn check(upper: &[f64]) -> Result<&[f64], BucketsError> {
    let upper = upper.strip_suffix(&[f64::INFINITY]).unwrap_or(upper);
    if upper.is_empty() {
        return Err(BucketsError::Empty);
    }
    if upper.len() > MOST {
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
/// A search touches two tables that a twelve-bit and an eight-bit number cannot leave, so nothing is checked.
pub(crate) struct Bounds {
    /// By the sign and exponent of a value: the first bucket that can hold it (0 for negative ones). The search
    /// begins there, and walks over one or two bounds instead of all.
    first: [u8; LEADING],
    /// `+Inf` behind the last bound, up to the end: the walk stops there.
    upper: [f64; PLACES],
    /// `le` of every bucket as `OpenMetrics` writes it.
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
        let mut places = [f64::INFINITY; PLACES];
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

    /// Bounds of the catalog, which a test holds to be valid.
    pub(crate) fn known(upper: &[f64]) -> Self {
        Self::new(upper).unwrap_or_else(|_| Self {
            first: [0; LEADING],
            upper: [f64::INFINITY; PLACES],
            le: Box::new([]),
        })
    }

    /// The number of the first bucket whose bound is not below `value`; `value` is not NaN.
    #[inline]
    pub(crate) fn bucket(&self, value: f64) -> usize {
        // Sign and exponent; a negative value's lead into the table's second half, which is all 0.
        let leading = (value.to_bits() >> 52) as usize;
        let first = usize::from(self.first[leading]);
        // Mostly it is this one; beside a loop that turns at least once, that is cheaper to find out.
        if value > self.upper[first % PLACES] {
            self.bucket_behind(first, value)
        } else {
            first
        }
    }

    #[inline]
    fn bucket_behind(&self, first: usize, value: f64) -> usize {
        let mut bucket = first + 1;
        while value > self.upper[bucket % PLACES] {
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
        let upper: Vec<f64> = (0..MOST as u32).map(f64::from).collect();
        let bounds = Bounds::new(&upper).unwrap();
        assert_eq!(bounds.bucket(253.0), MOST - 1);
        for above in [253.5, f64::MAX, f64::INFINITY] {
            assert_eq!(bounds.bucket(above), MOST);
        }
        assert_eq!(bounds.bucket(f64::NEG_INFINITY), 0);
        assert_eq!((bounds.upper(), bounds.len()), (&upper[..], MOST + 1));
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
