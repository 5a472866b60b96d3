//! A bounded text buffer on the stack.

use std::fmt;

use super::labels::MAX_VALUE_BYTES;

/// A text buffer on the stack, for the `Display` and `Debug` output of the application's values.
pub(crate) struct Text {
    bytes: [u8; MAX_VALUE_BYTES],
    len: usize,
    is_truncated: bool,
}

impl Text {
    pub(crate) const fn new() -> Self {
        Self {
            bytes: [0; MAX_VALUE_BYTES],
            len: 0,
            is_truncated: false,
        }
    }

    /// Returns the printed text, at most [`MAX_VALUE_BYTES`] bytes.
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }

    /// Returns whether text was left out because the buffer was full.
    pub(super) const fn is_truncated(&self) -> bool {
        self.is_truncated
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.is_truncated {
            return Ok(());
        }
        let room = MAX_VALUE_BYTES - self.len;
        let fits = &text[..text.floor_char_boundary(room.min(text.len()))];
        self.is_truncated = fits.len() < text.len();
        self.bytes[self.len..self.len + fits.len()].copy_from_slice(fits.as_bytes());
        self.len += fits.len();
        Ok(())
    }
}
