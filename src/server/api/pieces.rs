//! Encodes a large answer piece by piece while its client reads it.
//!
//! The result of a query takes 16 bytes a sample, and its JSON about 28: only a piece of the JSON exists at a time. Each
//! series is dropped once it is encoded, and its memory returns to the budget of queries.

use std::{convert::Infallible, io::Write as _, pin::Pin, sync::Arc, task};

use axum::body::{Body, Bytes};
use flate2::{Compression, write::GzEncoder};
use futures_core::Stream;
use serde::Serialize;

use crate::{
    metrics::{SAMPLE_BYTES, Share},
    query::engine::RangeSeries,
    server::body::counted,
};

/// The size from which a piece is passed on, in bytes.
const PIECE_BYTES: usize = 32 * 1024;
/// The memory of an answer beside its samples: the piece that is encoded, and the pieces that wait for the socket.
const PIECES_BYTES: usize = 4 * PIECE_BYTES;
/// The number of samples that are encoded at a time.
const SAMPLES_AT_A_TIME: usize = 256;

/// Appends the next part of an answer; returns whether the answer has more parts.
type Append = Box<dyn FnMut(&mut Vec<u8>) -> bool + Send>;

/// An answer that is encoded on demand.
pub(super) struct Pieces {
    append: Append,
    share: Arc<Share>,
    gzip: Option<GzEncoder<Vec<u8>>>,
    is_complete: bool,
}

impl Pieces {
    /// Returns `prefix`, each item of a list, and `suffix`.
    pub(super) fn of_list<T: Serialize + Send + 'static>(
        (prefix, list, suffix): (Vec<u8>, Vec<T>, Vec<u8>),
        share: &Arc<Share>,
    ) -> Result<Self, String> {
        share.hold(list.len() * size_of::<T>() + PIECES_BYTES)?;
        let mut items = list.into_iter();
        let mut separator = prefix;
        Ok(Self::new(share, move |out| {
            out.append(&mut separator);
            let Some(item) = items.next() else {
                out.extend_from_slice(&suffix);
                return false;
            };
            json(out, &item);
            if items.len() > 0 {
                separator.push(b',');
            }
            true
        }))
    }

    /// Returns `prefix`, each series with its samples, and `suffix`.
    pub(super) fn of_series(
        (prefix, list, suffix): (Vec<u8>, Vec<RangeSeries>, Vec<u8>),
        share: &Arc<Share>,
    ) -> Result<Self, String> {
        let samples: usize = list.iter().map(|series| series.points.len()).sum();
        let mut held = samples * SAMPLE_BYTES + PIECES_BYTES;
        share.hold(held)?;
        let mut rest = list.into_iter();
        let mut open: Option<(RangeSeries, usize)> = None;
        let mut separator = prefix;
        let of_samples = Arc::clone(share);
        Ok(Self::new(share, move |out| {
            out.append(&mut separator);
            let next = open.take().or_else(|| {
                let series = rest.next()?;
                out.extend_from_slice(b"{\"metric\":");
                json(out, &series.labels);
                out.extend_from_slice(b",\"values\":[");
                Some((series, 0))
            });
            let Some((series, first)) = next else {
                out.extend_from_slice(&suffix);
                return false;
            };
            let after = (first + SAMPLES_AT_A_TIME).min(series.points.len());
            for (at, point) in series.points.iter().enumerate().take(after).skip(first) {
                if at > 0 {
                    out.push(b',');
                }
                json(out, point);
            }
            if after < series.points.len() {
                open = Some((series, after));
                return true;
            }
            out.extend_from_slice(b"]}");
            if rest.len() > 0 {
                separator.push(b',');
            }
            held -= series.points.len() * SAMPLE_BYTES;
            // A share can always shrink.
            let _ = of_samples.hold(held);
            true
        }))
    }

    fn new(share: &Arc<Share>, append: impl FnMut(&mut Vec<u8>) -> bool + Send + 'static) -> Self {
        Self {
            append: Box::new(append),
            share: Arc::clone(share),
            gzip: None,
            is_complete: false,
        }
    }

    /// Encodes up to a piece.
    pub(super) fn piece(&mut self) -> Vec<u8> {
        let mut piece = Vec::with_capacity(PIECE_BYTES + PIECE_BYTES / 4);
        while piece.len() < PIECE_BYTES && !self.is_complete {
            self.is_complete = !(self.append)(&mut piece);
        }
        piece
    }

    pub(super) fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Returns a body of a first piece and all further pieces.
    pub(super) fn into_body(mut self, first: Vec<u8>, is_compressed: bool) -> Body {
        self.gzip = is_compressed.then(|| GzEncoder::new(Vec::new(), Compression::fast()));
        let first = Some(self.compressed(first));
        Body::from_stream(PieceStream {
            pieces: self,
            first,
        })
    }

    /// Compresses a piece, if the answer is compressed. The result can be empty.
    fn compressed(&mut self, piece: Vec<u8>) -> Vec<u8> {
        let Some(encoder) = &mut self.gzip else {
            return piece;
        };
        // Writing to a vector cannot fail.
        let _ = encoder.write_all(&piece);
        if self.is_complete {
            let ended = self.gzip.take().map(GzEncoder::finish);
            return ended.and_then(Result::ok).unwrap_or_default();
        }
        std::mem::take(encoder.get_mut())
    }
}

fn json(out: &mut Vec<u8>, value: &impl Serialize) {
    // Strings, numbers, lists and maps always serialise.
    let _ = serde_json::to_writer(out, value);
}

/// The pieces of an answer as the body of a response.
struct PieceStream {
    pieces: Pieces,
    first: Option<Vec<u8>>,
}

impl Stream for PieceStream {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        _: &mut task::Context<'_>,
    ) -> task::Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            let bytes = match this.first.take() {
                Some(first) => first,
                None if this.pieces.is_complete => return task::Poll::Ready(None),
                None => {
                    let piece = this.pieces.piece();
                    this.pieces.compressed(piece)
                }
            };
            if !bytes.is_empty() {
                let share = Arc::clone(&this.pieces.share);
                return task::Poll::Ready(Some(Ok(counted(bytes, share))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        metrics::QueryBudget,
        query::{Labels, store::Point},
    };

    fn series(count: usize, samples: i64) -> Vec<RangeSeries> {
        let series = |_| RangeSeries {
            labels: Labels::empty(),
            points: (0..samples)
                .map(|timestamp| Point {
                    timestamp,
                    value: 0.1,
                })
                .collect(),
        };
        (0..count).map(series).collect()
    }

    fn whole(mut pieces: Pieces) -> (String, usize) {
        let (mut text, mut count) = (Vec::new(), 0);
        while !pieces.is_complete() {
            let piece = pieces.piece();
            assert!(
                piece.len() < PIECE_BYTES + SAMPLES_AT_A_TIME * 64,
                "a piece is bounded"
            );
            text.extend(piece);
            count += 1;
        }
        (String::from_utf8(text).unwrap(), count)
    }

    #[test]
    fn pieces_are_the_same_text_as_the_whole_and_return_their_memory() {
        for (count, samples) in [(0, 0), (1, 1), (3, 256), (2, 257), (3, 11_000)] {
            let list = series(count, samples);
            let expected = serde_json::to_string(&list).unwrap();
            let budget = QueryBudget::new(10 << 20);
            let share = Arc::new(budget.share());
            let parts = (b"[".to_vec(), list, b"]".to_vec());
            let pieces = Pieces::of_series(parts, &share).unwrap();
            let held = count * usize::try_from(samples).unwrap() * SAMPLE_BYTES;
            assert_eq!(budget.held_bytes(), held + PIECES_BYTES);
            let (text, _) = whole(pieces);
            assert_eq!(text, expected);
            assert_eq!(budget.held_bytes(), PIECES_BYTES);
            drop(share);
            assert_eq!(budget.held_bytes(), 0);
        }
        let budget = QueryBudget::new(10 << 20);
        let share = Arc::new(budget.share());
        for count in [0, 1, 2, 50_000] {
            let list: Vec<usize> = (0..count).collect();
            let expected = serde_json::to_string(&list).unwrap();
            let parts = (b"[".to_vec(), list, b"]".to_vec());
            let (text, pieces) = whole(Pieces::of_list(parts, &share).unwrap());
            assert_eq!(text, expected);
            assert_eq!(pieces > 1, count == 50_000, "{pieces}");
        }
    }

    #[test]
    fn an_answer_beyond_the_budget_is_refused() {
        let list = || (Vec::new(), series(2, 10_000), Vec::new());
        for (bytes, is_answered) in [
            (320_000 + PIECES_BYTES, true),
            (319_999 + PIECES_BYTES, false),
        ] {
            let budget = QueryBudget::new(bytes);
            let share = Arc::new(budget.share());
            assert_eq!(
                Pieces::of_series(list(), &share).is_ok(),
                is_answered,
                "{bytes}"
            );
        }
    }
}
