//! Counts the gRPC messages of a body from the length prefixes of its frames, wherever the body is split into chunks.
//! The content of messages is skipped.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use crate::middleware::body::BodyCounter;

/// The length of a message's prefix: the compression flag and the length of the message.
const HEADER_BYTES: usize = 5;

/// The position of a parser in a stream of length-prefixed messages.
#[derive(Clone, Debug, Default)]
pub(super) struct Frames {
    header: [u8; HEADER_BYTES],
    header_bytes: usize,
    /// Bytes of the current message that have not arrived.
    missing: u64,
}

impl Frames {
    /// Parses the next bytes; returns the number of prefixes that were completed in them.
    pub(super) fn count(&mut self, mut bytes: &[u8]) -> u64 {
        let mut messages = 0;
        loop {
            let passed = usize::try_from(self.missing)
                .unwrap_or(usize::MAX)
                .min(bytes.len());
            self.missing -= passed as u64;
            bytes = bytes.get(passed..).unwrap_or_default();
            let Some((first, rest)) = bytes.split_first() else {
                return messages;
            };
            if let Some(slot) = self.header.get_mut(self.header_bytes) {
                *slot = *first;
            }
            self.header_bytes += 1;
            bytes = rest;
            if self.header_bytes == HEADER_BYTES {
                let [_, length @ ..] = self.header;
                self.missing = u64::from(u32::from_be_bytes(length));
                self.header_bytes = 0;
                messages += 1;
            }
        }
    }
}

/// Counts the bytes and messages of a request body. Clones share the counts.
#[derive(Clone, Debug, Default)]
pub struct Messages {
    counts: Arc<Counts>,
    frames: Frames,
}

#[derive(Debug, Default)]
struct Counts {
    bytes: AtomicU64,
    messages: AtomicU64,
}

impl Messages {
    /// Bytes that were counted.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.counts.bytes.load(Relaxed)
    }

    /// Messages that were counted.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.counts.messages.load(Relaxed)
    }
}

impl<D: AsRef<[u8]>> BodyCounter<D> for Messages {
    fn on_data(&mut self, data: &D) {
        let bytes = data.as_ref();
        let messages = self.frames.count(bytes);
        self.counts.bytes.fetch_add(bytes.len() as u64, Relaxed);
        self.counts.messages.fetch_add(messages, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stream(lengths: &[usize]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for length in lengths {
            bytes.push(0);
            bytes.extend_from_slice(&(*length as u32).to_be_bytes());
            bytes.extend(std::iter::repeat_n(0xAB, *length));
        }
        bytes
    }

    #[test]
    fn messages_are_counted_wherever_the_body_is_split() {
        let bytes = stream(&[0, 1, 300, 0, 7]);
        for cut in 0..=bytes.len() {
            let mut frames = Frames::default();
            let (left, right) = bytes.split_at(cut);
            assert_eq!(frames.count(left) + frames.count(right), 5, "cut at {cut}");
        }
        let mut frames = Frames::default();
        let single: u64 = bytes.chunks(1).map(|byte| frames.count(byte)).sum();
        assert_eq!(single, 5);
    }

    proptest! {
        #[test]
        fn any_split_of_any_bytes_gives_the_same_count(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            cut in 0_usize..200,
        ) {
            let (left, right) = bytes.split_at(cut.min(bytes.len()));
            let mut whole = Frames::default();
            let mut parts = Frames::default();
            prop_assert_eq!(whole.count(&bytes), parts.count(left) + parts.count(right));
        }
    }
}
