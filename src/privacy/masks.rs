//! Masks credentials, e-mail addresses and card numbers in any text.

use std::{borrow::Cow, sync::OnceLock};

use regex::{Captures, Regex};

use super::{
    cards::{MIN_DIGITS, cards},
    credential::is_credential,
};

/// Replaces a masked part of a text.
pub(crate) const MASK: &str = "[masked]";

/// Patterns of keys of well-known services, bearer tokens, values of fields called key, and e-mail addresses. Each
/// pattern comes with ASCII characters of which every match contains at least one; an empty string means that there is
/// no such character.
const SECRETS: &[(&str, &str)] = &[
    (
        r"(?i)(?P<kept>^|[^a-z0-9]|\\[nrt])(?:bearer|basic)\s+[a-z0-9._~+/=-]{8,}",
        "",
    ),
    // After an underscore only with a hyphen: `orders_pk_constraint` is an ordinary name.
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
    // A quoted value extends to its closing quote, or to the end of the text.
    (
        r#"(?i)(?:api[-_]?key|(?:access|refresh)[-_]?token|secret|passwd|password)\\*["']?\s*[=:]\s*(?:Some\()?(?:\\+"[^"]*"?|"(?:[^"\\]|\\.)*"?|'[^']*'?|[^\s,;&]+)"#,
        "=:",
    ),
    (r"(?P<kept>://)[^/\s:@]*:(?:[^/\s@]+@)+", "@"),
    // URLs that are secrets themselves: webhooks of Slack, Discord and Teams, and the API of Telegram's bots.
    (
        r"(?P<kept>hooks\.slack\.com/(?:services|workflows|triggers)/|/api/webhooks/[0-9]+/|webhook\.office\.com/webhookb2/)[A-Za-z0-9/_@.-]{8,}",
        "/",
    ),
    (r"(?P<kept>/bot)[0-9]{6,}:[A-Za-z0-9_-]{20,}", ":"),
    (
        r"[\p{L}\p{N}._%+-]+@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)+",
        "@",
    ),
];

/// Keeps the text before the secret.
const REPLACEMENT: &str = "${kept}[masked]";

/// A run of digits, in groups or not, that may contain a card number.
const DIGITS: &str = r"[0-9](?:[ .-]?[0-9]){12,}";
/// The value of a field called token, which is masked if it looks like a credential.
const TOKEN: &str = r#"(?i)(?P<kept>token\\*["']?\s*[=:]\s*(?:Some\()?\\*["']?)(?P<value>[^\s"'\\,;&(){}\[\]<>]{8,})"#;
const TOKEN_NEEDED: &str = "=:";

/// The maximum number of passes over a text, since a mask can expose a match of another pattern.
const MAX_PASSES: usize = 4;

/// The masks of a configuration.
#[derive(Debug)]
pub(super) struct Masks {
    are_defaults_enabled: bool,
    custom: Vec<Regex>,
    /// Compiled at the first use, which takes some milliseconds that a process without logs and traces saves. `None` if
    /// the compilation failed.
    compiled: OnceLock<Option<Compiled>>,
}

/// The compiled masks.
#[derive(Debug)]
struct Compiled {
    secrets: Vec<Mask>,
    token: Option<Mask>,
    digits: Option<Regex>,
    /// For each byte, the bits of the masks that need it or one of its alternatives.
    needed_by: Box<[u16; 256]>,
}

/// A compiled pattern.
#[derive(Debug)]
struct Mask {
    regex: Regex,
    /// The bit of this mask in [`Contents::bits`]; `None` if the pattern must be tried on every text.
    bit: Option<u16>,
}

/// The kinds of characters that a text contains, found in one pass, which exclude most patterns. The replacements of
/// masks contain no character that a pattern needs, so the value stays valid after masking.
#[derive(Clone, Copy, Debug)]
struct Contents {
    /// The bits of the masks whose characters occur.
    bits: u16,
    /// Whether the text has enough digits for a card number.
    has_digits: bool,
}

impl Masks {
    /// # Errors
    ///
    /// Returns the first custom pattern that is not a regular expression.
    pub(super) fn new(are_defaults_enabled: bool, custom: &[String]) -> Result<Self, String> {
        let compile = |pattern: &String| Regex::new(pattern).map_err(|_| pattern.clone());
        Ok(Self {
            are_defaults_enabled,
            custom: custom.iter().map(compile).collect::<Result<_, _>>()?,
            compiled: OnceLock::new(),
        })
    }

    /// Masks a text; returns `None` if nothing is masked.
    pub(super) fn apply(&self, text: &str) -> Option<String> {
        match self.compiled() {
            Some(compiled) => compiled.apply(text),
            // A text that cannot be checked is masked as a whole.
            None => Some(MASK.to_owned()),
        }
    }

    /// Compiles the masks before the first text arrives.
    pub(super) fn prepare(&self) {
        self.compiled();
    }

    fn compiled(&self) -> Option<&Compiled> {
        let compile = || Compiled::new(self.are_defaults_enabled, &self.custom).ok();
        self.compiled.get_or_init(compile).as_ref()
    }

    /// Whether the default masks are enabled. Masks without a pattern depend on this option, too.
    pub(super) const fn are_defaults_enabled(&self) -> bool {
        self.are_defaults_enabled
    }
}

impl Compiled {
    fn new(are_defaults_enabled: bool, custom: &[Regex]) -> Result<Self, regex::Error> {
        let mut secrets = Vec::new();
        let mut needed_by = Box::new([0; 256]);
        let mut next = 1_u16;
        let mut mask = |pattern: &str, needed: &str| {
            // A pattern without a bit is always tried.
            let bit = Some(next).filter(|bit| !needed.is_empty() && *bit != 0);
            for byte in needed.bytes() {
                needed_by[usize::from(byte)] |= bit.unwrap_or_default();
            }
            if bit.is_some() {
                next <<= 1;
            }
            Regex::new(pattern).map(|regex| Mask { regex, bit })
        };
        for (pattern, needed) in SECRETS.iter().filter(|_| are_defaults_enabled) {
            secrets.push(mask(pattern, needed)?);
        }
        let token = are_defaults_enabled
            .then(|| mask(TOKEN, TOKEN_NEEDED))
            .transpose()?;
        secrets.extend(
            custom
                .iter()
                .cloned()
                .map(|regex| Mask { regex, bit: None }),
        );
        let digits = are_defaults_enabled
            .then(|| Regex::new(DIGITS))
            .transpose()?;
        Ok(Self {
            secrets,
            token,
            digits,
            needed_by,
        })
    }

    /// Masks a text; returns `None` if nothing is masked.
    fn apply(&self, text: &str) -> Option<String> {
        self.apply_repeatedly(text, self.contents(text))
    }

    fn contents(&self, text: &str) -> Contents {
        let bytes = text.bytes();
        let bits = bytes.clone().map(|byte| self.needed_by[usize::from(byte)]);
        let digits = bytes.filter(u8::is_ascii_digit).count();
        Contents {
            bits: bits.fold(0, |all, one| all | one),
            has_digits: digits >= MIN_DIGITS,
        }
    }

    fn apply_repeatedly(&self, text: &str, contents: Contents) -> Option<String> {
        let mut masked = self.apply_once(text, contents)?;
        for _ in 1..MAX_PASSES {
            match self.apply_once(&masked, contents) {
                Some(custom) => masked = custom,
                None => break,
            }
        }
        Some(masked)
    }

    fn apply_once(&self, text: &str, contents: Contents) -> Option<String> {
        let mut masked = Cow::Borrowed(text);
        for Mask { regex, bit } in &self.secrets {
            if contents.lacks(*bit) {
                continue;
            }
            if let Cow::Owned(changed) = regex.replace_all(&masked, REPLACEMENT) {
                masked = Cow::Owned(changed);
            }
        }
        if let Some(Mask { regex, bit }) = &self.token
            && !contents.lacks(*bit)
            && let Cow::Owned(changed) = regex.replace_all(&masked, without_credential)
        {
            masked = Cow::Owned(changed);
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

impl Contents {
    /// Whether the text lacks the characters that a mask needs.
    fn lacks(self, bit: Option<u16>) -> bool {
        bit.is_some_and(|bit| self.bits & bit == 0)
    }
}

/// Masks the value of a token if it looks like a credential.
fn without_credential(found: &Captures<'_>) -> String {
    if is_credential(&found["value"]) {
        format!("{}{MASK}", &found["kept"])
    } else {
        found[0].to_owned()
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
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;

    static USUAL: LazyLock<Compiled> =
        LazyLock::new(|| Compiled::new(true, &[Regex::new("9+").unwrap()]).unwrap());

    /// The contents of a text with every kind of character.
    const EVERYTHING: Contents = Contents {
        bits: u16::MAX,
        has_digits: true,
    };

    /// Generates texts from the parts of secrets.
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
            "hooks.slack.com/services/",
            "/api/webhooks/1/",
            "/bot123456:",
            "bücher",
        ];
        proptest::collection::vec(proptest::sample::select(pieces.to_vec()), 0..16)
            .prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn no_matching_pattern_is_skipped(text in text()) {
            let masks = &*USUAL;
            prop_assert_eq!(masks.apply_repeatedly(&text, masks.contents(&text)), masks.apply_repeatedly(&text, EVERYTHING));
        }
    }

    /// Generates secrets: the text around each secret, and the part that must not remain.
    fn planted() -> impl Strategy<Value = (String, String)> {
        let card = proptest::sample::select(vec![
            "4111111111111111",
            "4111 1111 1111 1111",
            "5555-5555-5555-4444",
            "378282246310005",
        ]);
        prop_oneof![
            card.prop_map(|card| (card.to_owned(), card.to_owned())),
            "sk-[a-z0-9]{16}".prop_map(|key| (key.clone(), key)),
            "[a-z]{4}[0-9]{4}[A-Z]{4}".prop_map(|value| (format!("token: {value}"), value)),
            "[a-z]{4}[0-9]{4}".prop_map(|value| (format!("token={value}"), value)),
            "[a-z]{8}".prop_map(|value| (format!(r#"{{"password": "{value}"}}"#), value)),
            "[a-z]{8}".prop_map(|value| (format!(r#"{{\"secret\": \"{value}\"}}"#), value)),
            "[a-z]{8}".prop_map(|value| (format!("postgres://app:{value}@db/x"), value)),
            "[A-Z0-9]{9}/[A-Za-z0-9]{24}"
                .prop_map(|path| { (format!("https://hooks.slack.com/services/{path}"), path) }),
            "[A-Za-z0-9]{35}".prop_map(|key| (format!("https://api/bot123456:{key}/send"), key)),
            "[a-z]{8}@[a-z]{8}\\.org".prop_map(|mail| (mail.clone(), mail)),
            "[A-Za-z0-9]{20}".prop_map(|value| (format!("Authorization: Bearer {value}"), value)),
        ]
    }

    proptest! {
        #[test]
        fn masking_any_text_is_idempotent(text in any::<String>(), pieces in text()) {
            let masks = &*USUAL;
            for text in [text, pieces] {
                if let Some(masked) = masks.apply(&text) {
                    prop_assert_eq!(masks.apply(&masked), None, "{} of {}", masked, text);
                }
            }
        }

        #[test]
        fn a_planted_secret_never_survives(
            before in any::<String>(),
            (text, secret) in planted(),
            after in any::<String>(),
        ) {
            let masks = &*USUAL;
            let text = format!("{before} {text} {after}");
            let masked = masks.apply(&text).unwrap_or_default();
            prop_assert!(!masked.contains(&secret), "{masked}");
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
        check(
            "https://hooks.slack.com/services/T0/B0/abcdefgh12345678 said no",
            "https://hooks.slack.com/services/[masked] said no",
        );
        check(
            "POST /api/webhooks/123456/abcdefghijklmnopqrstuv?wait=true",
            "POST /api/webhooks/123456/[masked]?wait=true",
        );
        check(
            "https://api.telegram.example/bot123456:ABCdefGHIjklMNOpqrsTUVwxyz/sendMessage",
            "https://api.telegram.example/bot[masked]/sendMessage",
        );
        check("token: abcdef0123456789 used", "token: [masked] used");
        check(
            "?access=1&token=s3cr3tvalue&x=1",
            "?access=1&token=[masked]&x=1",
        );
        check(
            r#"{"csrf_token": "abcDEF123456"}"#,
            r#"{"csrf_token": "[masked]"}"#,
        );
        check(
            r#"{\"authToken\":\"abcDEF123456\"}"#,
            r#"{\"authToken\":\"[masked]\"}"#,
        );
        check("secret: hunter22", "[masked]");
        check(
            r#"{\\\"password\\\":\\\"hunter two\\\"}"#,
            r#"{\\\"[masked]}"#,
        );
        check("://app:p@ss@db/x", "://[masked]db/x");
        for count in [
            "tokens: 512",
            "token: 3",
            "max_tokens=100",
            "token: 1732480000000",
            "token_count: 12345678a",
            "unexpected token: UnexpectedEndOfInput",
            "token=[masked]",
        ] {
            check(count, count);
        }
        check("api_key=hunter22&x=1", "[masked]&x=1");
        check("mail ann.b+c@mail.example.org now", "mail [masked] now");
        check("card 4111 1111 1111 1111.", "card [masked].");
        check("4111 1111 1111 1111 123", "[masked] 123");
        check("5 4111111111111111", "5 [masked]");
        check("x4111.1111.1111.1111", "x[masked]");
        check(r"text\n4111111111111111", r"text\n[masked]");
        check("card_4111111111111111,", "card_[masked],");
        for id in [
            "x4111111111111111",
            "4111111111111111f",
            "deadbeef4111111111111111",
            "took 0.4111111111111111 s",
            "abcdefab-abcd-abcd-4111-111111111111",
            "00000000-0000-0000-4222-222222222222",
            "at 1732480000000000003 ns",
            "order 4111111111111111111111111111111111",
        ] {
            check(id, id);
        }
        check("key_sk-abcdef123456", "key_[masked]");
        let name = "violates orders_pk_constraint";
        check(name, name);
        // The text starts with `4000-00-04 4111 1111`, which has a valid check digit by chance.
        check("4000-00-04 4111 1111 1111 1111", "[masked]");
        check("2024-05-05 4111 1111 1111 1111", "2024-05-05 [masked]");
        check("order 4111111111111112", "order 4111111111111112");
        check("see ticket-17", "see [masked]");
        check(
            "gpt-4o-2024-11-20 took 480 tokens",
            "gpt-4o-2024-11-20 took 480 tokens",
        );
        assert_eq!(Masks::new(true, &["(".to_owned()]).unwrap_err(), "(");
    }
}
