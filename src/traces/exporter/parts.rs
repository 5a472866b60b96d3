//! Makes of one batch as many requests as its receiver needs: each takes so many bytes, and refuses what is larger.

use super::Encoded;

/// Bytes of a request to Jaeger or Zipkin; the default of `OtlpConfig::request_bytes`, for all. Their own receivers take
/// more.
#[cfg(any(feature = "jaeger", feature = "zipkin"))]
pub(super) const MOST_BYTES: usize = 4_000_000;

/// A request, and how many items are in it: spans, log records, metrics.
pub(crate) struct Part {
    pub(in crate::traces) encoded: Encoded,
    pub(in crate::traces) items: usize,
    /// One item that is larger than a request is to be.
    pub(super) is_too_large: bool,
}

/// How many items of these sizes go into each part of `most` bytes, in their order. One that is larger goes alone: what
/// its receiver says of it is counted, and the others are not lost with it.
pub(super) fn packs(sizes: impl IntoIterator<Item = usize>, most: usize) -> Vec<usize> {
    let (mut packs, mut count, mut bytes) = (Vec::new(), 0, 0_usize);
    for size in sizes {
        if count > 0 && bytes.saturating_add(size) > most {
            packs.push(count);
            (count, bytes) = (0, 0);
        }
        count += 1;
        bytes = bytes.saturating_add(size);
    }
    if count > 0 {
        packs.push(count);
    }
    packs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_part_is_full_but_not_overfull_and_what_is_too_large_goes_alone() {
        assert_eq!(packs([], 10), [0; 0]);
        assert_eq!(packs([4, 6, 1], 10), [2, 1]);
        assert_eq!(packs([4, 7, 3, 11, 1, 1], 10), [1, 2, 1, 2]);
        assert_eq!(packs([1, usize::MAX, 1], 10), [1, 1, 1]);
    }

    #[test]
    fn nothing_is_lost_and_nothing_is_too_large() {
        proptest!(|(sizes in proptest::collection::vec(0_usize..20, 0..40), most in 0_usize..30)| {
            let packs = packs(sizes.iter().copied(), most);
            prop_assert_eq!(packs.iter().sum::<usize>(), sizes.len());
            let mut rest = &sizes[..];
            for count in packs {
                let (pack, others) = rest.split_at(count);
                prop_assert!(count == 1 || pack.iter().sum::<usize>() <= most);
                prop_assert!(others.first().is_none_or(|next| pack.iter().sum::<usize>() + next > most));
                rest = others;
            }
        });
    }
}
