//! Masks credentials, e-mail addresses and card numbers in any text.
//!
//! A search for the keywords of all patterns, in one pass, selects the patterns that can match; most texts contain no
//! keyword. The time is linear in the text, because the `regex` crate searches without backtracking and the patterns
//! bound the text that a search reads beyond a match.

mod key_forms;
mod patterns;

use std::{borrow::Cow, sync::OnceLock};

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use regex::{Captures, Regex};

use self::patterns::{PATTERNS, Scope};
use super::cards::{MIN_DIGITS, cards};

/// Replaces a masked part of a text.
pub(crate) const MASK: &str = "[masked]";

/// Keeps the text before the secret.
const REPLACEMENT: &str = "${kept}[masked]";

/// A run of digits, in groups or not, that may contain a card number.
const DIGITS: &str = r"[0-9](?:[ .-]?[0-9]){12,}";

/// Letters that patterns without regard to case take for `s` and `k`. A text with such a letter is searched for all
/// patterns.
const FOLDED: [&str; 2] = ["\u{17f}", "\u{212a}"];

/// The maximum number of passes over a text, since a mask can expose a match of another pattern.
const MAX_PASSES: usize = 4;

/// The masks of a configuration.
#[derive(Debug)]
pub(super) struct Masks {
    are_defaults_enabled: bool,
    custom: Vec<Regex>,
    /// `None` without default masks.
    keywords: Option<Keywords>,
    /// Compiled at the first use, which takes some milliseconds that a process without logs and traces saves. `None` if
    /// the compilation failed.
    compiled: OnceLock<Option<Compiled>>,
}

/// The keywords of the default patterns.
#[derive(Debug)]
struct Keywords {
    search: AhoCorasick,
    /// For each keyword, the bits of its patterns.
    bits: Vec<u32>,
}

/// The compiled masks.
#[derive(Debug)]
struct Compiled {
    masks: Vec<Mask>,
    digits: Option<Regex>,
}

/// A compiled pattern.
#[derive(Debug)]
struct Mask {
    regex: Regex,
    /// The bit of this mask in [`Contents::bits`]; `None` if the pattern must be tried on every text.
    bit: Option<u32>,
    is_secret: Option<fn(&str) -> bool>,
}

/// The keywords in a text, which exclude most patterns. The replacement of masks contains no keyword, so the value stays
/// valid after masking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Contents {
    /// The bits of the patterns whose keywords occur.
    bits: u32,
    /// True if the text has enough digits for a card number.
    has_digits: bool,
}

impl Masks {
    /// # Errors
    ///
    /// Returns the first custom pattern that is not a regular expression.
    pub(super) fn new(are_defaults_enabled: bool, custom: &[String]) -> Result<Self, String> {
        let compile = |pattern: &String| Regex::new(pattern).map_err(|_| pattern.clone());
        Ok(Self {
            custom: custom.iter().map(compile).collect::<Result<_, _>>()?,
            ..Self::without_patterns(are_defaults_enabled)
        })
    }

    /// Returns the masks of a configuration without custom patterns.
    pub(super) fn without_patterns(are_defaults_enabled: bool) -> Self {
        Self {
            are_defaults_enabled,
            custom: Vec::new(),
            keywords: are_defaults_enabled.then(Keywords::new).flatten(),
            compiled: OnceLock::new(),
        }
    }

    /// Masks a text; returns `None` if nothing is masked.
    pub(super) fn apply(&self, text: &str) -> Option<String> {
        self.apply_with(text, self.contents(text))
    }

    /// Masks the value of a label, which keeps e-mail addresses and long numbers.
    pub(super) fn apply_to_label(&self, value: &str) -> Option<String> {
        let contents = self.contents(value);
        let labels = bits_of(|scope| scope != Scope::NoLabels);
        self.apply_with(
            value,
            Contents {
                bits: contents.bits & labels,
                has_digits: false,
            },
        )
    }

    /// Returns `true` if the name of a field tells that its value is a secret, of which the value alone gives no hint.
    pub(super) fn is_secret_by_name(&self, name: &str, value: &str) -> bool {
        let bits = self.contents(name).bits & bits_of(|scope| scope == Scope::Names);
        if bits == 0 {
            return false;
        }
        let line = format!("{name}: {value}");
        let masks = self.compiled().into_iter().flat_map(|all| &all.masks);
        masks
            .filter(|mask| mask.bit.is_some_and(|bit| bits & bit != 0))
            .filter_map(|mask| Some((mask, mask.regex.captures(&line)?)))
            .any(|(mask, found)| {
                let starts_in_name = found.get_match().start() < name.len();
                starts_in_name && mask.is_secret.is_none_or(|is| is(&found["value"]))
            })
    }

    /// Compiles the masks before the first text arrives.
    pub(super) fn prepare(&self) {
        self.compiled();
    }

    fn compiled(&self) -> Option<&Compiled> {
        let compile = || Compiled::new(self.are_defaults_enabled, &self.custom).ok();
        self.compiled.get_or_init(compile).as_ref()
    }

    /// Returns `true` if the default masks are enabled. Masks without a pattern depend on this option, too.
    pub(super) const fn are_defaults_enabled(&self) -> bool {
        self.are_defaults_enabled
    }

    fn contents(&self, text: &str) -> Contents {
        if !self.are_defaults_enabled {
            return Contents::NOTHING;
        }
        Contents {
            bits: self
                .keywords
                .as_ref()
                .map_or(u32::MAX, |keywords| keywords.bits(text)),
            has_digits: text.bytes().filter(u8::is_ascii_digit).count() >= MIN_DIGITS,
        }
    }

    fn apply_with(&self, text: &str, contents: Contents) -> Option<String> {
        if contents == Contents::NOTHING && self.custom.is_empty() {
            return None;
        }
        match self.compiled() {
            Some(compiled) => compiled.apply(text, contents),
            // A text that cannot be checked is masked as a whole.
            None => Some(MASK.to_owned()),
        }
    }
}

/// Returns the bit of each pattern with its scope: first the patterns of the table, then the forms of keys.
fn scopes() -> impl Iterator<Item = (u32, Scope)> {
    let scopes = PATTERNS.iter().map(|pattern| pattern.scope);
    let scopes = scopes.chain([Scope::Everywhere]);
    scopes.enumerate().map(|(place, scope)| (1 << place, scope))
}

/// Returns the bits of the patterns of some scopes.
fn bits_of(is_included: impl Fn(Scope) -> bool) -> u32 {
    let included = scopes().filter(|(_, scope)| is_included(*scope));
    included.fold(0, |all, (bit, _)| all | bit)
}

impl Keywords {
    /// Returns `None` if the search cannot be built; every pattern is then tried on every text.
    fn new() -> Option<Self> {
        let of_patterns = PATTERNS
            .iter()
            .zip(scopes())
            .flat_map(|(pattern, (bit, _))| {
                pattern.keywords.iter().map(move |keyword| (*keyword, bit))
            });
        let of_forms = key_forms::keywords().map(|keyword| (keyword, 1 << PATTERNS.len()));
        let folded = FOLDED.map(|letter| (letter, u32::MAX));
        let (keywords, bits): (Vec<&str>, Vec<u32>) =
            of_patterns.chain(of_forms).chain(folded).unzip();
        let search = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(keywords);
        Some(Self {
            search: search.ok()?,
            bits,
        })
    }

    fn bits(&self, text: &str) -> u32 {
        self.search
            .find_overlapping_iter(text)
            .fold(0, |all, found| all | self.bits[found.pattern().as_usize()])
    }
}

impl Compiled {
    fn new(are_defaults_enabled: bool, custom: &[Regex]) -> Result<Self, regex::Error> {
        let mask = |pattern: &str, bit, is_secret| {
            Regex::new(pattern).map(|regex| Mask {
                regex,
                bit: Some(bit),
                is_secret,
            })
        };
        let mut masks = Vec::new();
        if are_defaults_enabled {
            for (pattern, (bit, _)) in PATTERNS.iter().zip(scopes()) {
                masks.push(mask(pattern.regex, bit, pattern.is_secret)?);
            }
            masks.push(mask(&key_forms::pattern(), 1 << PATTERNS.len(), None)?);
        }
        masks.extend(custom.iter().cloned().map(|regex| Mask {
            regex,
            bit: None,
            is_secret: None,
        }));
        let digits = are_defaults_enabled.then(|| Regex::new(DIGITS));
        Ok(Self {
            masks,
            digits: digits.transpose()?,
        })
    }

    /// Masks a text; returns `None` if nothing is masked.
    fn apply(&self, text: &str, contents: Contents) -> Option<String> {
        let mut masked = self.apply_once(text, contents)?;
        for _ in 1..MAX_PASSES {
            match self.apply_once(&masked, contents) {
                Some(again) => masked = again,
                None => break,
            }
        }
        Some(masked)
    }

    fn apply_once(&self, text: &str, contents: Contents) -> Option<String> {
        let mut masked = Cow::Borrowed(text);
        for mask in &self.masks {
            if contents.lacks(mask.bit) {
                continue;
            }
            if let Some(changed) = mask.apply(&masked) {
                masked = Cow::Owned(changed);
            }
        }
        if let Some(digits) = &self.digits
            && contents.has_digits
            && let Some(changed) = without_cards(digits, &masked)
        {
            masked = Cow::Owned(changed);
        }
        match masked {
            Cow::Owned(masked) if masked != text => Some(masked),
            _ => None,
        }
    }
}

impl Mask {
    fn apply(&self, text: &str) -> Option<String> {
        // `replace_all` allocates before its first match, and most texts match no pattern.
        if !self.regex.is_match(text) {
            return None;
        }
        let replaced = match self.is_secret {
            None => self.regex.replace_all(text, REPLACEMENT),
            Some(is_secret) => self.regex.replace_all(text, |found: &Captures<'_>| {
                if is_secret(&found["value"]) {
                    format!("{}{MASK}", &found["kept"])
                } else {
                    found[0].to_owned()
                }
            }),
        };
        match replaced {
            Cow::Owned(changed) => Some(changed),
            Cow::Borrowed(_) => None,
        }
    }
}

impl Contents {
    const NOTHING: Self = Self {
        bits: 0,
        has_digits: false,
    };

    /// Returns `true` if the text lacks the keywords of a mask.
    fn lacks(self, bit: Option<u32>) -> bool {
        bit.is_some_and(|bit| self.bits & bit == 0)
    }
}

/// Masks the card numbers in a text. In a run of digit groups, only the groups of a card number are masked.
fn without_cards(digits: &Regex, text: &str) -> Option<String> {
    let runs = digits.find_iter(text);
    let found: Vec<_> = runs.flat_map(|run| cards(text, run.range())).collect();
    if found.is_empty() {
        return None;
    }
    let mut clean = String::with_capacity(text.len());
    let mut done = 0;
    for card in found {
        clean.push_str(&text[done..card.start]);
        clean.push_str(MASK);
        done = card.end;
    }
    clean.push_str(&text[done..]);
    Some(clean)
}

#[cfg(test)]
mod tests;
