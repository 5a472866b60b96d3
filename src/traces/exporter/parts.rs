//! Makes of one batch as many requests as its receiver needs: each takes so many bytes, and refuses what is larger.

use super::Encoded;

/// Bytes of a request to Jaeger or Zipkin; the default of `OtlpConfig::request_bytes`, for all. Their own receivers take
/// more.
#[cfg(any(feature = "jaeger", feature = "zipkin"))]
pub(super) const MOST_BYTES: usize = 4_000_000;

/// A request, and what is in it.
pub(super) struct Part {
    pub(super) encoded: Encoded,
    pub(super) pack: Pack,
}

/// Spans that go in one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pack {
    pub(super) spans: usize,
    /// One span that is larger than a request is to be.
    pub(super) is_too_large: bool,
}

impl Pack {
    /// Spans of whatever size.
    pub(super) const fn of(spans: usize) -> Self {
        Self {
            spans,
            is_too_large: false,
        }
    }
}

/// Packs of `most` bytes, of spans of these sizes in their order. One that is larger goes alone: what its receiver says
/// of it is counted, and the others are not lost with it.
pub(super) fn packs(sizes: impl IntoIterator<Item = usize>, most: usize) -> Vec<Pack> {
    let (mut packs, mut pack, mut bytes) = (Vec::new(), Pack::of(0), 0_usize);
    for size in sizes {
        if pack.spans > 0 && bytes.saturating_add(size) > most {
            packs.push(pack);
            (pack, bytes) = (Pack::of(0), 0);
        }
        pack.spans += 1;
        bytes = bytes.saturating_add(size);
        pack.is_too_large = bytes > most;
    }
    if pack.spans > 0 {
        packs.push(pack);
    }
    packs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_part_is_full_but_not_overfull_and_what_is_too_large_goes_alone() {
        let large = Pack {
            spans: 1,
            is_too_large: true,
        };
        assert_eq!(packs([], 10), []);
        assert_eq!(packs([4, 6, 1], 10), [Pack::of(2), Pack::of(1)]);
        let expected = [Pack::of(1), Pack::of(2), large, Pack::of(2)];
        assert_eq!(packs([4, 7, 3, 11, 1, 1], 10), expected);
        let expected = [Pack::of(1), large, Pack::of(1)];
        assert_eq!(packs([1, usize::MAX, 1], 10), expected);
    }

    #[test]
    fn nothing_is_lost_and_nothing_is_too_large() {
        proptest!(|(sizes in proptest::collection::vec(0_usize..20, 0..40), most in 0_usize..30)| {
            let packs = packs(sizes.iter().copied(), most);
            prop_assert_eq!(packs.iter().map(|pack| pack.spans).sum::<usize>(), sizes.len());
            let mut rest = &sizes[..];
            for Pack { spans, is_too_large } in packs {
                let (pack, others) = rest.split_at(spans);
                let bytes: usize = pack.iter().sum();
                prop_assert_eq!(is_too_large, bytes > most);
                prop_assert!(!is_too_large || spans == 1);
                prop_assert!(others.first().is_none_or(|next| bytes + next > most));
                rest = others;
            }
        });
    }
}
