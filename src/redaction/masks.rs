//! Masks what looks like a secret wherever it stands in a text.

use std::borrow::Cow;

use regex::{Captures, Regex};

/// Stands where something was masked.
const MASK: &str = "[masked]";

/// Keys of well-known services, bearer tokens, and whatever is called a key; then e-mail addresses. Each with ASCII
/// characters of which what it matches has at least one; none is any.
const SECRETS: &[(&str, &str)] = &[
    (
        r"(?i)(?P<kept>^|[^a-z0-9]|\\[nrt])(?:bearer|basic)\s+[a-z0-9._~+/=-]{8,}",
        "",
    ),
    // Behind an underscore only with a hyphen: `orders_pk_constraint` is a name.
    (
        r"(?P<kept>^|[^A-Za-z0-9_]|\\[nrt])(?:sk|pk|rk)[-_][A-Za-z0-9_-]{8,}",
        "-_",
    ),
    (r"(?P<kept>_)(?:sk|pk|rk)-[A-Za-z0-9_-]{8,}", "_"),
    (
        r"(?P<kept>^|[^A-Za-z0-9]|\\[nrt])(?:xox[abeoprs]-|gh[opsur]_|github_pat_|glpat-|hf_|AIza|npm_)[A-Za-z0-9_-]{8,}",
        "-_z",
    ),
    (
        r"(?P<kept>^|[^A-Za-z0-9]|\\[nrt])(?:AKIA|ASIA)[0-9A-Z]{16}\b",
        "I",
    ),
    (
        r"(?P<kept>^|[^A-Za-z0-9]|\\[nrt])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
        "J",
    ),
    // A quoted value goes to its closing quote, or to the end where it has none.
    (
        r#"(?i)(?:api[-_]?key|(?:access|refresh)[-_]?token|secret|passwd|password)\\?["']?\s*[=:]\s*(?:Some\()?(?:\\"[^"]*"?|"(?:[^"\\]|\\.)*"?|'[^']*'?|[^\s,;&]+)"#,
        "=:",
    ),
    (r"(?P<kept>://)[^/\s:@]*:[^/\s@]+@", "@"),
    (
        r"[\p{L}\p{N}._%+-]+@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)+",
        "@",
    ),
];

/// What stands before a secret stays.
const REPLACEMENT: &str = "${kept}[masked]";

/// A run of digits, in groups or not, in which the number of a card may be.
const DIGITS: &str = r"[0-9](?:[ .-]?[0-9]){12,}";
/// Digits of a card's number.
const CARD: std::ops::RangeInclusive<usize> = FEWEST_DIGITS..=19;
const FEWEST_DIGITS: usize = 13;

/// What is masked.
#[derive(Debug)]
pub(super) struct Masks {
    secrets: Vec<Mask>,
    digits: Option<Regex>,
    /// For each byte the masks that need it, or another like it.
    needed_by: Box<[u8; 256]>,
}

/// A pattern.
#[derive(Debug)]
struct Mask {
    regex: Regex,
    /// Its bit in what was seen of a text; `None` where it must be tried on every text.
    bit: Option<u8>,
}

/// What kinds of characters a text has: enough to leave out most patterns, in one pass over it. What masks put in a
/// text has none that a pattern needs, so it holds good for the text whatever was masked.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// Of masks whose characters are there.
    bits: u8,
    /// Whether there may be a card's number.
    has_digits: bool,
}

impl Masks {
    pub(super) fn new(has_usual: bool, more: &[String]) -> Result<Self, String> {
        let compile = |pattern: &str| Regex::new(pattern).map_err(|_| pattern.to_owned());
        let mut secrets = Vec::new();
        let mut needed_by = Box::new([0; 256]);
        let mut next = 1_u8;
        for (pattern, needed) in SECRETS.iter().filter(|_| has_usual) {
            // A pattern for which no bit is left is always tried.
            let bit = Some(next).filter(|bit| !needed.is_empty() && *bit != 0);
            for byte in needed.bytes() {
                needed_by[usize::from(byte)] |= bit.unwrap_or_default();
            }
            if bit.is_some() {
                next <<= 1;
            }
            let regex = compile(pattern)?;
            secrets.push(Mask { regex, bit });
        }
        for pattern in more {
            let regex = compile(pattern)?;
            secrets.push(Mask { regex, bit: None });
        }
        let digits = has_usual.then(|| compile(DIGITS)).transpose()?;
        Ok(Self {
            secrets,
            digits,
            needed_by,
        })
    }

    /// `None` where nothing is masked.
    pub(super) fn apply(&self, text: &str) -> Option<String> {
        let bytes = text.bytes();
        let bits = bytes.clone().map(|byte| self.needed_by[usize::from(byte)]);
        let digits = bytes.filter(u8::is_ascii_digit).count();
        let seen = Seen {
            bits: bits.fold(0, |all, one| all | one),
            // `\d` takes the digits of every script.
            has_digits: digits >= FEWEST_DIGITS || !text.is_ascii(),
        };
        self.apply_seeing(text, seen)
    }

    fn apply_seeing(&self, text: &str, seen: Seen) -> Option<String> {
        let mut masked = Cow::Borrowed(text);
        for Mask { regex, bit } in &self.secrets {
            if bit.is_some_and(|bit| seen.bits & bit == 0) {
                continue;
            }
            if let Cow::Owned(changed) = regex.replace_all(&masked, REPLACEMENT) {
                masked = Cow::Owned(changed);
            }
        }
        if let Some(digits) = self.digits.as_ref().filter(|_| seen.has_digits) {
            let replaced =
                digits.replace_all(&masked, |found: &Captures<'_>| without_cards(&found[0]));
            if let Cow::Owned(changed) = replaced {
                masked = Cow::Owned(changed);
            }
        }
        match masked {
            Cow::Owned(masked) if masked != text => Some(masked),
            _ => None,
        }
    }
}

/// A run of digits without the cards in it: groups that are one card's number beside others are masked alone.
fn without_cards(run: &str) -> String {
    let is_digit = |at: usize| run.as_bytes().get(at).is_some_and(u8::is_ascii_digit);
    let starts = (0..run.len()).filter(|at| is_digit(*at) && (*at == 0 || !is_digit(at - 1)));
    let ends: Vec<usize> = (1..=run.len())
        .filter(|at| is_digit(at - 1) && !is_digit(*at))
        .collect();
    let mut clean = String::new();
    let mut done = 0;
    for start in starts {
        let within = ends.iter().copied().filter(|end| *end > start);
        let card = within
            .map(|end| {
                (
                    end,
                    run[start..end].bytes().filter(u8::is_ascii_digit).count(),
                )
            })
            .take_while(|(_, count)| count <= CARD.end())
            .filter(|(end, count)| CARD.contains(count) && is_card(&run[start..*end]))
            .last();
        // What a date and half a card make by chance must not save the other half.
        if let Some((end, _)) = card.filter(|(end, _)| *end > done) {
            if start >= done {
                clean.push_str(&run[done..start]);
                clean.push_str(MASK);
            }
            done = end;
        }
    }
    clean.push_str(&run[done..]);
    clean
}

/// ISO/IEC 7812's check digit: a number of another kind passes one time in ten.
fn is_card(text: &str) -> bool {
    let digits = text.bytes().rev().filter(u8::is_ascii_digit);
    let sum: u32 = digits
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(digit - b'0') << (place % 2);
            if digit > 9 { digit - 9 } else { digit }
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A text that has something of everything.
    const EVERYTHING: Seen = Seen {
        bits: u8::MAX,
        has_digits: true,
    };

    /// Pieces of which secrets are made.
    fn text() -> impl Strategy<Value = String> {
        let pieces = [
            "bearer",
            "Basic",
            "ba\u{17f}ic",
            " ",
            "\u{a0}",
            "abcdefgh",
            "ABCD1234EFGH5678",
            "sk",
            "rk",
            "-",
            "_",
            "xoxb-",
            "ghp_",
            "hf_",
            "AIza",
            "AKIA",
            "ASIA",
            "eyJ",
            ".",
            "api_key",
            "\u{17f}ecret",
            "password",
            "=",
            ":",
            "ann",
            "@",
            "example.org",
            "4111",
            "1111",
            "\u{663}",
            "é",
            "[",
            "]",
            "\n",
            "1",
            "\"",
            "'",
            "\\",
            "://",
            "bücher",
        ];
        proptest::collection::vec(proptest::sample::select(pieces.to_vec()), 0..16)
            .prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn no_pattern_that_would_match_is_left_out(text in text()) {
            let masks = Masks::new(true, &["9+".to_owned()]).unwrap();
            prop_assert_eq!(masks.apply(&text), masks.apply_seeing(&text, EVERYTHING));
        }
    }

    fn check(text: &str, expected: &str) {
        let masked = Masks::new(true, &["ticket-\\d+".to_owned()])
            .unwrap()
            .apply(text);
        assert_eq!(masked.as_deref().unwrap_or(text), expected);
    }

    #[test]
    fn keys_addresses_and_cards_are_masked_and_other_text_is_not() {
        check("key sk-proj-abcdef123456 used", "key [masked] used");
        check(
            "Authorization: Bearer abc.def-ghi_jkl",
            "Authorization: [masked]",
        );
        check("AKIAIOSFODNN7EXAMPLE", "[masked]");
        check(r#"{"password":"hunter two"}"#, r#"{"[masked]}"#);
        check("OPENAI_API_KEY=abcdef123456", "OPENAI_[masked]");
        check("client_secret=hunter22", "client_[masked]");
        check(r"text\nsk-abcdef123456", r"text\n[masked]");
        check("jürgen@bücher.example", "[masked]");
        check(
            "postgres://app:hunter2@db:5432/x",
            "postgres://[masked]db:5432/x",
        );
        check(
            "prompt_tokens: 7 max_tokens=5",
            "prompt_tokens: 7 max_tokens=5",
        );
        check("api_key=hunter22&x=1", "[masked]&x=1");
        check("mail ann.b+c@mail.example.org now", "mail [masked] now");
        check("card 4111 1111 1111 1111.", "card [masked].");
        check("4111 1111 1111 1111 123", "[masked] 123");
        check("5 4111111111111111", "5 [masked]");
        check("x4111.1111.1111.1111", "x[masked]");
        check("key_sk-abcdef123456", "key_[masked]");
        let name = "violates orders_pk_constraint";
        check(name, name);
        // `2024-05-05 4111 1111`, whose digits happen to check, is the beginning of it.
        check("2024-05-05 4111 1111 1111 1111", "[masked]");
        check("order 4111111111111112", "order 4111111111111112");
        check("see ticket-17", "see [masked]");
        check(
            "gpt-4o-2024-11-20 took 480 tokens",
            "gpt-4o-2024-11-20 took 480 tokens",
        );
        assert_eq!(Masks::new(true, &["(".to_owned()]).unwrap_err(), "(");
    }
}
