//! Splits a batch into requests that stay below the size limit of the receiver.

#[cfg(any(feature = "jaeger", feature = "zipkin"))]
use hyper::body::Bytes;

use super::Encoded;

/// Bytes of a request to Jaeger or Zipkin: the default of `OtlpConfig::request_bytes`. Their own receivers accept more.
#[cfg(any(feature = "jaeger", feature = "zipkin"))]
pub(super) const MAX_REQUEST_BYTES: usize = 4_000_000;

/// A request, and the number of its items: spans, log records or metrics.
pub(crate) struct Part {
    pub(in crate::traces) encoded: Encoded,
    pub(in crate::traces) items: usize,
    /// True if a single item exceeds the size limit.
    pub(super) is_too_large: bool,
}

/// Groups items of these sizes, in their order, into requests of at most `max_bytes`, and returns the number of items of
/// each request.
///
/// An item above the limit goes alone: the receiver may reject it, and the other items are not lost with it.
pub(super) fn group_sizes(sizes: impl IntoIterator<Item = usize>, max_bytes: usize) -> Vec<usize> {
    let (mut groups, mut count, mut bytes) = (Vec::new(), 0, 0_usize);
    for size in sizes {
        if count > 0 && bytes.saturating_add(size) > max_bytes {
            groups.push(count);
            (count, bytes) = (0, 0);
        }
        count += 1;
        bytes = bytes.saturating_add(size);
    }
    if count > 0 {
        groups.push(count);
    }
    groups
}

/// Encodes items as requests below [`MAX_REQUEST_BYTES`], by the encoded size of each item.
#[cfg(any(feature = "jaeger", feature = "zipkin"))]
pub(super) fn requests<T, B: Into<Bytes>>(
    mut rest: &[T],
    sizes: impl IntoIterator<Item = usize>,
    encode: impl Fn(&[T]) -> B,
) -> Vec<Part> {
    let part = |items| {
        let (group, others) = rest.split_at(items);
        rest = others;
        let body = encode(group).into();
        Part {
            is_too_large: body.len() > MAX_REQUEST_BYTES,
            encoded: Encoded { body },
            items,
        }
    };
    let groups = group_sizes(sizes, MAX_REQUEST_BYTES);
    groups.into_iter().map(part).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_request_is_filled_up_to_its_limit_and_a_larger_item_goes_alone() {
        assert_eq!(group_sizes([], 10), [0; 0]);
        assert_eq!(group_sizes([4, 6, 1], 10), [2, 1]);
        assert_eq!(group_sizes([4, 7, 3, 11, 1, 1], 10), [1, 2, 1, 2]);
        assert_eq!(group_sizes([1, usize::MAX, 1], 10), [1, 1, 1]);
    }

    #[test]
    fn no_item_is_lost_and_no_request_is_above_its_limit() {
        proptest!(|(sizes in proptest::collection::vec(0_usize..20, 0..40), max in 0_usize..30)| {
            let groups = group_sizes(sizes.iter().copied(), max);
            prop_assert_eq!(groups.iter().sum::<usize>(), sizes.len());
            let mut rest = &sizes[..];
            for count in groups {
                let (group, others) = rest.split_at(count);
                prop_assert!(count == 1 || group.iter().sum::<usize>() <= max);
                prop_assert!(others.first().is_none_or(|next| group.iter().sum::<usize>() + next > max));
                rest = others;
            }
        });
    }
}
