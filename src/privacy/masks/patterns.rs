//! Lists the patterns of secrets.
//!
//! Every pattern takes time linear in the text, for many matches, too: after the first characters of a match, each part
//! of a pattern is optional or bounded, or is limited to characters that start no other match.

use crate::privacy::credential::is_credential;

/// A pattern, and the condition on its matches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pattern {
    /// A group `kept` is the text before the secret, which stays.
    pub(super) regex: &'static str,
    /// Texts of which every match contains one, in any case. An empty list means that every text is searched.
    pub(super) keywords: &'static [&'static str],
    pub(super) scope: Scope,
    /// Returns `true` if the group `value` of a match is a secret. `None` means that every match is a secret.
    pub(super) is_secret: Option<fn(&str) -> bool>,
}

/// The texts that a pattern applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// All texts.
    Everywhere,
    /// All texts; and the names of fields whose values are secrets: `passphrase`, `authorization`.
    Names,
    /// All texts except labels. An address in a label (`worker="celery@host.example"`) identifies a series.
    NoLabels,
}

const fn always(regex: &'static str, keywords: &'static [&'static str]) -> Pattern {
    Pattern {
        regex,
        keywords,
        scope: Scope::Everywhere,
        is_secret: None,
    }
}

const fn judged(
    regex: &'static str,
    keywords: &'static [&'static str],
    is_secret: fn(&str) -> bool,
) -> Pattern {
    Pattern {
        is_secret: Some(is_secret),
        ..always(regex, keywords)
    }
}

const fn named(pattern: Pattern) -> Pattern {
    Pattern {
        scope: Scope::Names,
        ..pattern
    }
}

/// Patterns of private keys, headers, keys, values of fields, and e-mail addresses, in the order of their application.
pub(super) const PATTERNS: &[Pattern] = &[
    // A private key in PEM (RFC 7468), with its line breaks or with escapes of these, and with the headers of RFC 1421.
    // The end is optional, because texts are cut.
    always(
        r"-----BEGIN[ A-Z0-9]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:(?:\\+[nr]|\s)+[A-Za-z][A-Za-z-]{1,20}: ?[^\r\n\\]{0,80}){0,5}(?:\\+[nr]|\s)*[A-Za-z0-9+/=]{16,}(?:[A-Za-z0-9+/=]|\\+[nr]|\s)*(?:-----END[ A-Z0-9]{0,40}PRIVATE KEY(?: BLOCK)?-----)?",
        &["PRIVATE KEY"],
    ),
    // The value of a header (RFC 9110, section 11): a scheme with parameters or a token, or a key without a scheme.
    named(judged(
        r#"(?i)(?P<kept>authorization\\*["']?\s*[=:]\s*(?:Some\()?\\*["']?)(?P<value>[a-z0-9._~+/=:-]+(?:[ \t]+(?:[a-z0-9_-]+\s*=\s*(?:\\*"[^"\\]*\\*"?|[^\s,"'\\]+)(?:\s*,\s*[a-z0-9_-]+\s*=\s*(?:\\*"[^"\\]*\\*"?|[^\s,"'\\]+))*|[a-z0-9._~+/=:-]+))?)"#,
        &["authorization"],
        has_credential,
    )),
    // RFC 6265: `name=value; name=value`.
    named(judged(
        r#"(?i)(?P<kept>cookie2?\\*["']?\s*[=:]\s*(?:Some\()?\\*["']?)(?P<value>[a-z0-9!#$%&*+.^_`|~-]+=(?:\\*"[^"\\;]*\\*"?|[^\s;,"'\\]+)(?:;\s*[^\s;,"'=\\]+(?:=(?:\\*"[^"\\;]*\\*"?|[^\s;,"'\\]*))?)*)"#,
        &["cookie"],
        |value| value.len() >= MIN_COOKIE_BYTES,
    )),
    always(
        r"(?i)(?P<kept>^|[^a-z0-9]|\\[nrt])(?:bearer|basic)\s+[a-z0-9._~+/=-]{8,}",
        &["bearer", "basic"],
    ),
    // After an underscore only with a hyphen: `orders_pk_constraint` is an ordinary name.
    always(
        r"(?P<kept>^|[^A-Za-z0-9_]|\\[nrt])(?:sk|pk|rk)[-_][A-Za-z0-9_-]{8,}",
        &["sk-", "sk_", "pk-", "pk_", "rk-", "rk_"],
    ),
    always(
        r"(?P<kept>_)(?:sk|pk|rk)-[A-Za-z0-9_-]{8,}",
        &["_sk-", "_pk-", "_rk-"],
    ),
    judged(
        r"(?P<kept>^|[^A-Za-z0-9_]|\\[nrt])(?P<value>(?:SK|PK|RK)[-_][A-Z0-9_-]{16,})",
        &["sk-", "sk_", "pk-", "pk_", "rk-", "rk_"],
        is_key_in_upper_case,
    ),
    always(
        r"(?P<kept>^|[^A-Za-z0-9]|\\[nrt])(?:AKIA|ASIA|ABIA|ACCA|A3T[A-Z0-9])[0-9A-Z]{16}(?-u:\b)",
        &["AKIA", "ASIA", "ABIA", "ACCA", "A3T"],
    ),
    // Twilio.
    always(
        r"(?P<kept>^|[^A-Za-z0-9]|\\[nrt])SK[0-9a-f]{32}(?-u:\b)",
        &["SK"],
    ),
    // Microsoft Entra's client secrets.
    always(
        r"(?P<kept>^|[^A-Za-z0-9_~.]|\\[nrt])[A-Za-z0-9_~.]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,}",
        &["Q~"],
    ),
    always(
        r"(?P<kept>^|[^A-Za-z0-9]|\\[nrt])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
        &["eyJ"],
    ),
    // A quoted value extends to its closing quote, or to the end of the text.
    named(always(
        r#"(?i)(?:api[-_]?key|(?:access|refresh)[-_]?token|secret|passwd|password)\\*["']?\s*(?:[=:]|%3[AD])\s*(?:Some\()?(?:\\+"[^"]*"?|"(?:[^"\\]|\\.)*"?|'[^']*'?|[^\s,;&]+)"#,
        &[
            "apikey",
            "api-key",
            "api_key",
            "accesstoken",
            "access-token",
            "access_token",
            "refreshtoken",
            "refresh-token",
            "refresh_token",
            "secret",
            "passwd",
            "password",
        ],
    )),
    // Not a path: `PWD=/srv` is the working directory of a process.
    named(always(
        r#"(?i)(?P<kept>(?:pwd|pass[-_]?phrase)\\*["']?\s*(?:[=:]|%3[AD])\s*(?:Some\()?)(?:\\+"[^"\\/~.$][^"]{3,}"?|"[^"\\/~.$](?:[^"\\]|\\.){3,}"?|'[^'/~.$][^']{3,}'?|[^\s,;&"'\\/~.$\[][^\s,;&]{3,})"#,
        &["pwd", "passphrase", "pass-phrase", "pass_phrase"],
    )),
    named(judged(
        r#"(?i)(?P<kept>(?:secret[-_]?(?:access[-_]?)?|private[-_]?|account[-_]?|shared[-_]?access[-_]?|subscription[-_]?|signing[-_]?|encryption[-_]?|functions?[-_]?|auth[-_]?|master[-_]?)key\\*["']?\s*(?:[=:]|%3[AD])\s*(?:Some\()?\\*["']?)(?P<value>[^\s"'\\,;&(){}\[\]<>]{8,})"#,
        &["key"],
        |value| is_credential(value) && !is_path(value),
    )),
    // Signatures of URLs: of Azure (shared access signatures), Amazon and Google.
    always(
        r"(?i)(?P<kept>(?:^|[^a-z0-9])sig(?:=|%3D))[a-z0-9%+/=_-]{16,}",
        &["sig=", "sig%3D"],
    ),
    always(
        r"(?i)(?P<kept>signature(?:=|%3D))[a-z0-9%+/=_-]{32,}",
        &["signature"],
    ),
    always(r"(?P<kept>://)[^/\s:@]*:(?:[^/\s@]+@)+", &["@"]),
    // URLs that are secrets themselves: webhooks of Slack, Discord and Teams, and the API of Telegram's bots.
    always(
        r"(?P<kept>hooks\.slack\.com/(?:services|workflows|triggers)/|/api/webhooks/[0-9]+/|webhook\.office\.com/webhookb2/)[A-Za-z0-9/_@.-]{8,}",
        &["hooks.slack.com", "/webhooks/", "/webhookb2/"],
    ),
    always(r"(?P<kept>/bot)[0-9]{6,}:[A-Za-z0-9_-]{20,}", &["/bot"]),
    // Also with an encoded `@`, as in URLs and forms.
    Pattern {
        scope: Scope::NoLabels,
        ..always(
            r"(?i)[\p{L}\p{N}._%+-]+(?:@|%(?:25)*40)[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)+",
            &["@", "%40", "%25"],
        )
    },
    // The value of a field called token, which is masked if it looks like a credential.
    judged(
        r#"(?i)(?P<kept>token\\*["']?\s*[=:]\s*(?:Some\()?\\*["']?)(?P<value>[^\s"'\\,;&(){}\[\]<>]{8,})"#,
        &["token"],
        is_credential,
    ),
];

/// The minimum length of the value of a header `Cookie`.
const MIN_COOKIE_BYTES: usize = 8;

/// Returns `true` if a part of the value of a header `Authorization` is a credential. Its parts are a scheme, a key, parameters.
fn has_credential(value: &str) -> bool {
    value
        .split(|c: char| c.is_whitespace() || ",;\"'=\\".contains(c))
        .any(is_credential)
}

/// Returns `true` if a text in upper case is a key and not the name of a constant: a long part of a key has letters and
/// digits.
fn is_key_in_upper_case(value: &str) -> bool {
    const MIN_PART_BYTES: usize = 10;
    value.split(['-', '_']).any(|part| {
        let has = |is: fn(&u8) -> bool| part.bytes().any(|byte| is(&byte));
        part.len() >= MIN_PART_BYTES && has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic)
    })
}

/// Returns `true` if a text is the path of a file, which a field called `private_key` may hold.
fn is_path(value: &str) -> bool {
    value.starts_with(['.', '~', '$']) || (value.starts_with('/') && value.matches('/').count() > 1)
}
