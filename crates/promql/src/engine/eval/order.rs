//! The functions `sort` and `sort_desc`: by value, with NaN last in both.

use super::Sample;
use super::math::nan_first;

pub(super) fn sorted(mut samples: Vec<Sample>, descending: bool) -> Vec<Sample> {
    samples.sort_by(|a, b| match (a.value.is_nan(), b.value.is_nan()) {
        (false, false) if descending => nan_first(b.value, a.value),
        (false, false) => nan_first(a.value, b.value),
        (a, b) => a.cmp(&b),
    });
    samples
}
