use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;

static MASKS: LazyLock<Masks> = LazyLock::new(|| Masks::new(true, &["9+".to_owned()]).unwrap());

/// The contents of a text with every keyword.
const EVERYTHING: Contents = Contents {
    bits: u32::MAX,
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
        let masks = &*MASKS;
        prop_assert_eq!(masks.apply(&text), masks.apply_with(&text, EVERYTHING));
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
        let masks = &*MASKS;
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
        let masks = &*MASKS;
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

#[path = "../../../tests/privacy/canaries.rs"]
mod canaries;

use canaries::{CANARIES, Canary};

/// The ids of models and their aliases of the package `genai-prices` 0.2.3 (`PyPI`; licence: MIT, copyright Pydantic
/// Services Inc.).
const MODEL_IDS: &str = include_str!("../../../tests/privacy/model_ids.txt");

#[test]
fn every_canary_is_masked_in_texts() {
    let mut leaks = Vec::new();
    for (name, template) in CANARIES {
        let canary = Canary::new(template);
        let shown = MASKS
            .apply(&canary.text)
            .unwrap_or_else(|| canary.text.clone());
        if let Some(secret) = canary.leak(&shown) {
            leaks.push(format!("{name}: {secret} in {shown}"));
        }
    }
    assert!(CANARIES.len() >= 56);
    assert!(
        leaks.is_empty(),
        "{} of {}: {leaks:#?}",
        leaks.len(),
        CANARIES.len()
    );
}

/// Texts that resemble secrets.
fn harmless() -> Vec<String> {
    let mut texts: Vec<String> = MODEL_IDS.lines().map(str::to_owned).collect();
    texts.extend(
        [
            // UUIDs, hashes, base64.
            "f47ac10b-58cc-4372-a567-0e02b2c3d479",
            "F47AC10B-58CC-4372-A567-0E02B2C3D479",
            "urn:uuid:01932c07-9a4e-7cc3-98f4-5d3a1c2b4e6f",
            "d41d8cd98f00b204e9800998ecf8427e",
            "da39a3ee5e6b4b0d3255bfef95601890afd80709",
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==",
            "data:text/plain;base64,SGVsbG8sIHdvcmxkISBUaGlzIGlzIGEgdGVzdCBvZiBiYXNlNjQu",
            "W3siaWQiOjEsIm5hbWUiOiJhIn0seyJpZCI6MiwibmFtZSI6ImIifV0",
            // The words themselves.
            "Authorization failed for the user",
            "authorization: pending approval",
            "authorization: denied",
            "the Authorization header is missing",
            "set the Cookie header; a cookie was rejected: expired",
            "cookie: not found",
            "the passphrase is wrong, ask for the passphrase again",
            "PWD=/srv/app/releases/42",
            r#"{"pwd":"/home/app","cmd":"ls"}"#,
            "pwd: ~/work",
            "no private key was found: -----BEGIN PRIVATE KEY----- expected in /etc/tls.pem",
            "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA\n-----END PUBLIC KEY-----",
            "-----BEGIN CERTIFICATE-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA\n-----END CERTIFICATE-----",
            "private_key=/etc/letsencrypt/live/example.org-0001/privkey.pem",
            "signing_key: rotated",
            "the secret key and the access key are set",
            "sig=9 signature=RS256",
            "signature=sha256WithRSAEncryption",
            "hf_hub_download took 3 s",
            "npm_config_registry is set",
            "NPM_CONFIG_REGISTRY is set",
            "fw_update started, r8_unorm texture, gsk_enabled",
            "xai-grok-2, pplx-api, nvapi-client, dapi-server",
            "pypi-server-deployment-controller-7d9f8b6c5d-x2v4q",
            "the user may call SG.region or hvs.engine",
            "ya29.start",
            "PK_ORDERS_CUSTOMER_ID violates a constraint",
            "SK-LEARN_PIPELINE_STEP",
            "ghosts_in_the_shell, gho_",
            "the GitHub token and the Slack token",
            "github.com/groq/groq-python",
            "gateway glpat- is missing",
            "AKIA is a prefix, ASIA/Tokyo",
            "max_tokens=4096 total_tokens: 512",
            "token_type=output cached_tokens=0",
            "key=value, cache_key=user-42-profile, partition_key: 7",
            "100%25 of %40 users",
            "/npm/%40angular%2Fcore",
            "design=material",
            "v1//0.3",
        ]
        .map(str::to_owned),
    );
    texts
}

#[test]
fn model_ids_hashes_and_words_are_left_alone() {
    let redaction =
        crate::privacy::Redaction::without_patterns(&crate::privacy::RedactionConfig::default());
    let masks = Masks::new(true, &[]).unwrap();
    let mut changed = Vec::new();
    for text in harmless() {
        changed.extend(masks.apply(&text).map(|shown| format!("{text} -> {shown}")));
        for name in [
            "model_id",
            "error_type",
            "route",
            "cache_key",
            "gen_ai_token_type",
        ] {
            changed.extend(
                redaction
                    .label(name, &text)
                    .map(|shown| format!("{name}={text} -> {shown}")),
            );
        }
    }
    assert!(MODEL_IDS.lines().count() > 2_500);
    assert!(changed.is_empty(), "{changed:#?}");
}

/// Texts in which a part of a pattern starts often, or a search may read far beyond a match.
fn adversarial() -> Vec<String> {
    let forms = key_forms::keywords();
    let mut units: Vec<String> = forms.map(|form| format!("{form}aaaaaaa1-")).collect();
    units.push(key_forms::keywords().collect());
    let long =
        |form| format!("{form}aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa ");
    units.push(key_forms::keywords().map(long).collect());
    units.extend(
        [
            "a",
            " ",
            "\\",
            "\"",
            "eyJ",
            "eyJaaaaaaaa.",
            "eyJ-AKIA0123456789ABCDEF-",
            "@",
            "a@a.",
            "a%40",
            "a%40b.c_",
            "%2525",
            "://",
            "://:a@",
            "bearer ",
            "authorization:",
            "authorization: a a=\"",
            "authorization: a a=a,",
            "authorization: a1b2c3d4e5 a=a, ",
            "cookie: a=",
            "cookie: a=aaaaaaaa; ",
            "cookie: a=\"",
            "password=\"",
            "password=\\\"",
            "password = ",
            "pwd=\"aaaa\\",
            "token=",
            "secret_key=aaaa1111,",
            "-----BEGIN PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY-----\nA: ",
            "\nA: -----BEGIN PRIVATE KEY-----\nAAAAAAAAAAAAAAAAAAAA",
            "sig=aaaaaaaaaaaaaaaaaaaa&",
            "signature=",
            "SK-AAAA1111BBBB2222-",
            "abc1Q~",
            "/bot1",
            "/api/webhooks/1",
            "4111 1111 1111 1111 ",
        ]
        .map(str::to_owned),
    );
    units
}

/// Returns the time that this thread ran, which other processes do not change; on systems other than Linux, the time.
fn cpu_seconds() -> f64 {
    static START: LazyLock<std::time::Instant> = LazyLock::new(std::time::Instant::now);
    let read = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds: Option<f64> = read.and_then(|text| text.split(' ').next()?.parse().ok());
    nanoseconds.map_or_else(|| START.elapsed().as_secs_f64(), |ns| ns / 1e9)
}

#[test]
fn the_time_is_linear_in_the_text() {
    const SHARE: usize = 8;
    const LONG_BYTES: usize = 64 << 10;
    let masks = Masks::new(true, &[]).unwrap();
    masks.prepare();
    let time = |text: &str, count: usize| {
        let start = cpu_seconds();
        for _ in 0..count {
            std::hint::black_box(masks.apply(text));
        }
        cpu_seconds() - start
    };
    for unit in adversarial() {
        let of = |bytes: usize| unit.repeat(bytes.div_ceil(unit.len()));
        // The same number of bytes in one text and in several. A quadratic search takes 8 times as long for one text.
        let several = time(&of(LONG_BYTES / SHARE), SHARE);
        let one = time(&of(LONG_BYTES), 1);
        // The clock has a resolution of some milliseconds.
        let limit = 4.0 * several + 0.03;
        assert!(one < limit, "{unit:?}: {one} s, {several} s in parts");
    }
}

#[test]
fn the_names_of_fields_tell_secrets() {
    let redaction =
        crate::privacy::Redaction::without_patterns(&crate::privacy::RedactionConfig::default());
    for (name, value) in [
        (
            "aws_secret_access_key",
            "wJalrXUtnFEMIK7MDENGbPxRfiCYzEXAMPLEKEY",
        ),
        ("db.pwd", "hunter2"),
        ("passphrase", "correct horse"),
        ("api_key", "hunter22"),
        ("http.authorization", "Token abcdef0123456789"),
        ("session_token", "abcdef0123456789"),
    ] {
        assert_eq!(
            redaction.label(name, value).as_deref(),
            Some(MASK),
            "{name}"
        );
    }
    for (name, value) in [
        ("pwd", "/srv/app"),
        ("private_key", "/etc/tls/server.key"),
        ("cache_key", "password-reset"),
        ("authorization", "denied"),
        ("worker", "celery@host.example.org"),
        ("order", "4111111111111111"),
    ] {
        assert_eq!(redaction.label(name, value), None, "{name}");
    }
}
