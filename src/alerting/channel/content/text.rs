//! Removes control and direction characters from texts from outside, and shortens the texts.

/// Replaces a character that must not be shown.
const REPLACEMENT: char = '\u{fffd}';
/// Replaces the rest of a text that is cut.
const ELLIPSIS: char = '…';

/// Returns one line of at most `max_chars` characters: line breaks and tabs become spaces.
pub(in super::super) fn one_line(text: &str, max_chars: usize) -> String {
    let line = text.trim().chars().map(|c| match c {
        '\n' | '\r' | '\t' | '\u{0b}' | '\u{0c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => ' ',
        _ => visible(c),
    });
    collect(line, max_chars)
}

/// Returns lines of at most `max_chars` characters together. Each line ends with `\n`.
pub(in super::super) fn lines(text: &str, max_chars: usize) -> String {
    let text = line_chars(text.trim());
    let text = text.map(|c| if c == '\t' { ' ' } else { c });
    collect(text, max_chars)
}

/// Returns the whole text with its tabs. The HTML of an operator's template cannot be cut, but has values from outside.
#[cfg(feature = "email")]
pub(in super::super) fn cleaned(text: &str) -> String {
    line_chars(text).collect()
}

fn line_chars(text: &str) -> impl Iterator<Item = char> {
    let mut is_after_return = false;
    text.chars().filter_map(move |c| {
        let is_second = is_after_return && c == '\n';
        is_after_return = c == '\r';
        match c {
            '\n' if is_second => None,
            '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => Some('\n'),
            '\t' => Some(c),
            _ => Some(visible(c)),
        }
    })
}

/// Replaces control characters, which may move a cursor or end a header, and characters that set the direction of the
/// text, which may disguise a text. Letters of right-to-left scripts need no such character.
fn visible(c: char) -> char {
    let is_direction = matches!(
        c,
        '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    if c.is_control() || is_direction || c == '\u{feff}' {
        REPLACEMENT
    } else {
        c
    }
}

fn collect(mut chars: impl Iterator<Item = char>, max_chars: usize) -> String {
    let mut text: String = chars.by_ref().take(max_chars).collect();
    if chars.next().is_some() {
        text.pop();
        text.push(ELLIPSIS);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_and_shows_nothing_that_acts() {
        assert_eq!(one_line(" a\r\nb\tc\u{2028}d ", 100), "a  b c d");
        assert_eq!(one_line("\u{1b}[2J\0", 100), "\u{fffd}[2J\u{fffd}");
        assert_eq!(one_line("user\u{202e}gpj.exe", 100), "user\u{fffd}gpj.exe");
        assert_eq!(one_line("שלום", 100), "שלום");
    }

    #[test]
    fn lines_end_with_a_line_feed_whatever_ended_them() {
        assert_eq!(lines("a\r\nb\rc\u{85}d\n\ne\n", 100), "a\nb\nc\nd\n\ne");
    }

    #[test]
    fn a_long_text_is_cut_between_characters_and_says_so() {
        assert_eq!(one_line("äöü", 3), "äöü");
        assert_eq!(one_line("äöüß", 3), "äö…");
        assert_eq!(one_line(&"x".repeat(1 << 20), 10), "xxxxxxxxx…");
    }
}
