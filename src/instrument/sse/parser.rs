//! Parses server-sent events by the HTML standard, from chunks with arbitrary boundaries.

/// Max buffered bytes of an event. The last event of `OpenAI`'s responses repeats the complete answer.
const MAX_EVENT_BYTES: usize = 4 << 20;
/// Max capacity of a buffer that the next event reuses.
const MAX_REUSED_BYTES: usize = 64 << 10;

const BYTE_ORDER_MARK: [u8; 3] = [0xEF, 0xBB, 0xBF];

/// Buffers bytes until an event is complete.
#[derive(Default)]
pub(super) struct Parser {
    /// The incomplete line.
    line: Vec<u8>,
    /// The data of the incomplete event.
    data: Vec<u8>,
    has_data: bool,
    /// The event exceeds the limit; its rest is skipped.
    is_oversized: bool,
    /// The previous chunk ended between CR and LF.
    is_after_cr: bool,
    /// Matched bytes of the byte order mark; the full length once the stream has started without a mark.
    mark: usize,
}

impl Parser {
    /// Reads a chunk; calls `on_event` with the data of each completed event.
    pub(super) fn push(&mut self, chunk: &[u8], mut on_event: impl FnMut(&[u8])) {
        let mut rest = self.without_mark(chunk);
        if self.is_after_cr && !rest.is_empty() {
            self.is_after_cr = false;
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let (line, after) = rest.split_at(end);
            self.end_line(line, &mut on_event);
            rest = match after {
                [b'\r'] => {
                    self.is_after_cr = true;
                    &[]
                }
                [b'\r', b'\n', rest @ ..] | [_, rest @ ..] => rest,
                [] => &[],
            };
        }
        self.hold(rest);
    }

    /// Handles the end of the stream. The standard drops an event without a blank line after it; this parser reads it,
    /// because providers omit the blank line.
    pub(super) fn finish(&mut self, mut on_event: impl FnMut(&[u8])) {
        self.end_line(&[], &mut on_event);
        self.end_event(&mut on_event);
    }

    /// Returns the chunk without the byte order mark at the start of a stream.
    fn without_mark<'c>(&mut self, chunk: &'c [u8]) -> &'c [u8] {
        let mut rest = chunk;
        while let Some(expected) = BYTE_ORDER_MARK.get(self.mark)
            && let Some((first, after)) = rest.split_first()
        {
            if first == expected {
                self.mark += 1;
                rest = after;
            } else {
                // Not a byte order mark: the matched bytes belong to the first line.
                self.line.extend(BYTE_ORDER_MARK.iter().take(self.mark));
                self.mark = BYTE_ORDER_MARK.len();
            }
        }
        rest
    }

    /// Buffers the start of a line.
    fn hold(&mut self, part: &[u8]) {
        if self.is_oversized {
            return;
        }
        if self.data.len() + self.line.len() + part.len() > MAX_EVENT_BYTES {
            self.is_oversized = true;
            self.line = Vec::new();
            self.data = Vec::new();
            // Not empty, so that the end of this line is not read as a blank line.
            self.line.push(b':');
            return;
        }
        self.line.extend_from_slice(part);
    }

    /// Ends a line; `tail` is the part of the line in this chunk.
    fn end_line(&mut self, tail: &[u8], on_event: &mut impl FnMut(&[u8])) {
        if self.line.is_empty() {
            return self.take_line(tail, on_event);
        }
        self.hold(tail);
        let mut line = std::mem::take(&mut self.line);
        self.take_line(&line, on_event);
        line.clear();
        if line.capacity() <= MAX_REUSED_BYTES {
            self.line = line;
        }
    }

    fn take_line(&mut self, line: &[u8], on_event: &mut impl FnMut(&[u8])) {
        if line.is_empty() {
            return self.end_event(on_event);
        }
        let value = match line.strip_prefix(b"data") {
            Some([]) => &[],
            Some([b':', b' ', value @ ..] | [b':', value @ ..]) => value,
            // A comment, the event's name or its id; the JSON data has a type.
            _ => return,
        };
        if self.is_oversized {
            return;
        }
        if self.data.len() + value.len() > MAX_EVENT_BYTES {
            self.is_oversized = true;
            self.data = Vec::new();
            return;
        }
        if self.has_data {
            self.data.push(b'\n');
        }
        self.has_data = true;
        self.data.extend_from_slice(value);
    }

    fn end_event(&mut self, on_event: &mut impl FnMut(&[u8])) {
        if self.has_data && !self.is_oversized {
            on_event(&self.data);
        }
        self.has_data = false;
        self.is_oversized = false;
        self.data.clear();
        if self.data.capacity() > MAX_REUSED_BYTES {
            self.data = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(chunks: &[&[u8]]) -> Vec<String> {
        let mut parser = Parser::default();
        let mut events = Vec::new();
        let mut keep = |data: &[u8]| events.push(String::from_utf8_lossy(data).into_owned());
        for chunk in chunks {
            parser.push(chunk, &mut keep);
        }
        parser.finish(&mut keep);
        events
    }

    #[test]
    fn events_are_what_the_standard_says() {
        let cases: [(&[u8], &[&str]); 9] = [
            (b"data: a\n\ndata:b\r\n\r\ndata:  c\r\r", &["a", "b", " c"]),
            (b"data: a\ndata: b\n\n", &["a\nb"]),
            (b": comment\n\nevent: x\nid: 1\nretry: 5\n\n", &[]),
            (b"\xEF\xBB\xBFdata: a\n\n", &["a"]),
            (b"data\n\ndata:\n\n", &["", ""]),
            (b"data: a", &["a"]),
            (b"database: a\n\n", &[]),
            (b"\xEF\xBBdata: a\n\ndata: b\n\n", &["b"]),
            (b"\n\n\n", &[]),
        ];
        for (bytes, expected) in cases {
            assert_eq!(events(&[bytes]), expected, "{bytes:?}");
            for cut in 0..bytes.len() {
                let (left, right) = bytes.split_at(cut);
                assert_eq!(
                    events(&[left, &[], right]),
                    expected,
                    "{bytes:?} cut at {cut}"
                );
            }
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(events(&single), expected, "{bytes:?} byte by byte");
        }
    }

    #[test]
    fn an_event_beyond_the_limit_passes_and_the_next_one_counts() {
        let huge = vec![b'x'; MAX_EVENT_BYTES + 1];
        let chunks: [&[u8]; 5] = [
            b"data: ",
            &huge,
            b" and more\ndata: still it",
            b"\n\n",
            b"data: next\n\n",
        ];
        assert_eq!(events(&chunks), ["next"]);
        let mut in_one = b"data: ".to_vec();
        in_one.extend_from_slice(&huge);
        in_one.extend_from_slice(b"\n\ndata: next\n\n");
        assert_eq!(events(&[&in_one]), ["next"]);
        let mut parser = Parser::default();
        for _ in 0..100 {
            parser.push(&huge, |_| ());
        }
        assert!(parser.line.capacity() + parser.data.capacity() <= 2 * MAX_EVENT_BYTES);
    }
}
