//! Masks what looks like a secret wherever it stands in a text.

use std::borrow::Cow;

use regex::{Captures, Regex};

/// Stands where something was masked.
const MASK: &str = "[masked]";

/// Keys of well-known services, bearer tokens, and whatever is called a key; then e-mail addresses.
const SECRETS: &[&str] = &[
    r"(?i)\b(?:bearer|basic)\s+[a-z0-9._~+/=-]{8,}",
    r"\b(?:sk|pk|rk)[-_][A-Za-z0-9_-]{8,}",
    r"\b(?:xox[abeoprs]-|gh[opsur]_|github_pat_|glpat-|hf_|AIza|npm_)[A-Za-z0-9_-]{8,}",
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
    r"(?i)\b(?:api[-_]?key|access[-_]?token|secret|passwd|password)\s*[=:]\s*[^\s,;&]+",
    r"(?i)\b[a-z0-9._%+-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)+\b",
];

/// 13 to 19 digits, in groups or not: what may be the number of a card.
const DIGITS: &str = r"\b\d(?:[ -]?\d){12,18}\b";

/// What is masked.
#[derive(Debug)]
pub(super) struct Masks {
    secrets: Vec<Regex>,
    digits: Option<Regex>,
}

impl Masks {
    pub(super) fn new(has_usual: bool, more: &[String]) -> Result<Self, String> {
        let compile = |pattern: &str| Regex::new(pattern).map_err(|_| pattern.to_owned());
        let usual = SECRETS.iter().copied().filter(|_| has_usual);
        let secrets = usual
            .chain(more.iter().map(String::as_str))
            .map(compile)
            .collect::<Result<_, _>>()?;
        let digits = has_usual.then(|| compile(DIGITS)).transpose()?;
        Ok(Self { secrets, digits })
    }

    /// `None` where nothing is masked.
    pub(super) fn apply(&self, text: &str) -> Option<String> {
        let mut masked = Cow::Borrowed(text);
        for secret in &self.secrets {
            if let Cow::Owned(changed) = secret.replace_all(&masked, MASK) {
                masked = Cow::Owned(changed);
            }
        }
        if let Some(digits) = &self.digits {
            let replaced = digits.replace_all(&masked, |found: &Captures<'_>| {
                let number = &found[0];
                if is_card(number) {
                    MASK.to_owned()
                } else {
                    number.to_owned()
                }
            });
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
    use super::*;

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
        check("api_key=hunter22&x=1", "[masked]&x=1");
        check("mail ann.b+c@mail.example.org now", "mail [masked] now");
        check("card 4111 1111 1111 1111.", "card [masked].");
        check("order 4111111111111112", "order 4111111111111112");
        check("see ticket-17", "see [masked]");
        check(
            "gpt-4o-2024-11-20 took 480 tokens",
            "gpt-4o-2024-11-20 took 480 tokens",
        );
        assert_eq!(Masks::new(true, &["(".to_owned()]).unwrap_err(), "(");
    }
}
