//! Splits a byte stream into server-sent events in the form that `OpenAI`'s API uses: one `data` line each.

use axum::body::Bytes;

/// Buffers bytes until an event is complete.
#[derive(Debug, Default)]
pub(crate) struct Events {
    buffer: Vec<u8>,
    taken: usize,
}

impl Events {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// Returns the next complete event, including the blank line at its end.
    pub(crate) fn next(&mut self) -> Option<Bytes> {
        let rest = self.buffer.get(self.taken..)?;
        let ends = |ending: &[u8]| {
            rest.windows(ending.len())
                .position(|window| window == ending)
                .map(|at| at + ending.len())
        };
        let length = [ends(b"\n\n"), ends(b"\r\n\r\n")]
            .into_iter()
            .flatten()
            .min()?;
        self.taken += length;
        rest.get(..length).map(Bytes::copy_from_slice)
    }
}

/// Returns the text after `data:` of an event.
pub(crate) fn data(event: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(event).ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix("data:"))
        .map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_complete_wherever_the_bytes_are_split() {
        let text = b"data: {\"a\":1}\n\n: comment\n\ndata: [DONE]\r\n\r\n";
        for size in 1..text.len() {
            let mut events = Events::default();
            let mut found = Vec::new();
            for piece in text.chunks(size) {
                events.push(piece);
                while let Some(event) = events.next() {
                    found.extend(data(&event).map(str::to_owned));
                }
            }
            assert_eq!(found, ["{\"a\":1}", "[DONE]"], "cut every {size} bytes");
        }
    }
}
