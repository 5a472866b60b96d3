//! Secrets in the texts in which a service for language models meets them.
//!
//! The secrets are made from templates, so that this file contains none and a scanner for secrets does not stop it.

/// Name and template of each canary. `{a40}` stands for 40 letters and digits, `{h40}` for hexadecimal digits, `{u40}` for
/// `base64url`, `{b40}` for base64, and `{=text}` for the text itself; these are the secrets.
pub(crate) const CANARIES: &[(&str, &str)] = &[
    // Masked before the forms of keys of model providers were added.
    ("openai", "key sk-proj-{u48} used"),
    ("openai, old", "key sk-{a48} used"),
    ("anthropic", "key sk-ant-api03-{u93}AA used"),
    ("hugging face", "token hf_{a34} used"),
    ("google key", "key AIza{u35} used"),
    ("github", "push with ghp_{a36}"),
    ("github, fine", "push with github_pat_{a22}_{a59}"),
    ("gitlab", "clone with glpat-{u20}"),
    ("aws id", "id AKIA{=QY7ZK2M4X6W8V3T5} used"),
    ("slack", "token xoxb-{=2468013579}-{a24}"),
    (
        "slack webhook",
        "POST https://hooks.slack.com/services/T0AB/B0CD/{a24}",
    ),
    ("bearer", "Authorization: Bearer {u40}"),
    ("basic", "authorization: Basic {b24}"),
    ("jwt", "session eyJ{u30}.eyJ{u40}.{u43}"),
    ("password", "login failed: password={=correct-horse}"),
    ("database", "postgres://app:{=hunter2battery}@db:5432/x"),
    ("e-mail", "mail to {=ann.lee@mail.example.org} failed"),
    ("card", "paid with {=4111 1111 1111 1111}"),
    ("stripe", "charge by sk_live_{a24}"),
    ("upper-case header", "AUTHORIZATION: BEARER {u40}"),
    ("upper-case name", "OPENAI_API_KEY={a32}"),
    // Model providers.
    ("groq", "key gsk_{a52} used"),
    ("xai", "key xai-{a80} used"),
    ("perplexity", "key pplx-{a48} used"),
    ("replicate", "key r8_{a37} used"),
    ("nvidia", "key nvapi-{u64} used"),
    ("fireworks", "key fw_{a24} used"),
    ("langsmith", "key lsv2_pt_{h32}_{h10} used"),
    ("langsmith, service", "key lsv2_sk_{h32}_{h10} used"),
    ("together", "key tgp_v1_{u43} used"),
    ("cerebras", "key csk-{a48} used"),
    ("tavily", "key tvly-dev-{a32} used"),
    ("pinecone", "key pcsk_{u60} used"),
    ("hugging face, organization", "key api_org_{a34} used"),
    ("groq, quoted", r#"{"error":"invalid key 'gsk_{a52}'"}"#),
    ("groq, upper case", "KEY GSK_{a52} USED"),
    (
        "openai, upper case",
        "KEY SK-PROJ-{=AB12CD34EF56GH78JK90LM12} USED",
    ),
    // Clouds.
    ("google token", "token ya29.{u60}"),
    ("google client", "secret is GOCSPX-{u28}"),
    ("vault", "vault: hvs.{u95}"),
    ("vault, batch", "vault: hvb.{u140}"),
    ("databricks", "warehouse dapi{h32}"),
    ("digitalocean", "droplet dop_v1_{h64}"),
    ("digitalocean, oauth", "droplet doo_v1_{h64}"),
    ("pypi", "upload with pypi-AgEIcHlwaS5vcmc{u70}"),
    ("npm", "publish with npm_{a36}"),
    ("sendgrid", "mail by SG.{u22}.{u43}"),
    ("gitlab runner", "runner glrt-{u20}"),
    ("gitlab trigger", "trigger glptt-{h40}"),
    ("gitlab deploy", "deploy gldt-{u20}"),
    ("aws secret", "aws_secret_access_key={b40}"),
    ("aws secret, json", r#"{"SecretAccessKey":"{b40}"}"#),
    (
        "aws session, named",
        "AWS_SESSION_TOKEN=IQoJb3JpZ2luX2Vj{b200}",
    ),
    ("aws session", "sts returned IQoJb3JpZ2luX2Vj{a200}"),
    (
        "azure sas",
        "GET https://x.blob.core.windows.net/a?sv=2024&sr=b&sig={a20}%2B{a22}%3D&se=2026",
    ),
    ("azure sas, upper case", "GET HTTPS://X.BLOB/A?SIG={a43}%3D"),
    (
        "azure account",
        "AccountName=x;AccountKey={b86}==;EndpointSuffix=y",
    ),
    ("entra", "client abc8Q~{u34} used"),
    (
        "google signature",
        "GET https://storage/x?X-Goog-Signature={h64}",
    ),
    // Headers.
    ("authorization token", "Authorization: Token {a40}"),
    (
        "authorization raw",
        r#"headers: {"authorization": "{a40}"}"#,
    ),
    (
        "authorization digest",
        r#"Authorization: Digest username="ann", realm="x", nonce="{h32}", response="{h32}""#,
    ),
    (
        "authorization aws",
        "Authorization: AWS4-HMAC-SHA256 Credential=x/20261128/eu/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature={h64}",
    ),
    (
        "authorization negotiate",
        "Proxy-Authorization: Negotiate {b80}",
    ),
    (
        "authorization, debug",
        r#"authorization: Some("ApiKey {a32}")"#,
    ),
    ("cookie", "Cookie: theme=dark; session={a32}"),
    (
        "set-cookie",
        "Set-Cookie: sid={=s%3Aabcdefgh}; Path=/; HttpOnly",
    ),
    ("cookie, json", r#"{"cookie":"sid={a26}; lang=en"}"#),
    ("cookie, upper case", "COOKIE: SID={a26}"),
    // Private keys.
    (
        "pem",
        "-----BEGIN RSA PRIVATE KEY-----\n{b64}\n{b64}\n{b20}\n-----END RSA PRIVATE KEY-----\n",
    ),
    (
        "pem, pkcs8 escaped",
        r#"{"key":"-----BEGIN PRIVATE KEY-----\n{b64}\n{b64}\n-----END PRIVATE KEY-----\n"}"#,
    ),
    (
        "pem, openssh",
        "-----BEGIN OPENSSH PRIVATE KEY-----\n{b70}\n{b70}\n-----END OPENSSH PRIVATE KEY-----",
    ),
    ("pem, cut", "-----BEGIN EC PRIVATE KEY-----\n{b64}\n{b30}"),
    (
        "pem, encrypted",
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,{h32}\n\n{b64}\n-----END RSA PRIVATE KEY-----",
    ),
    (
        "pgp",
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: GnuPG v2\n\n{b64}\n{b64}\n=AbCd\n-----END PGP PRIVATE KEY BLOCK-----",
    ),
    // Values of fields, addresses.
    ("pwd", "Server=db;Uid=sa;Pwd={=Battery9Staple};"),
    (
        "pwd, url",
        "jdbc:x://db/y?user=sa&pwd={=battery-staple}&z=1",
    ),
    ("passphrase", r#"passphrase: "{=correct horse battery}""#),
    (
        "passphrase, upper case",
        "SSH_PASSPHRASE={=correct-horse-battery}",
    ),
    ("private key field", "private_key={b64}"),
    (
        "e-mail, encoded",
        "GET /users?mail={=ann.lee%40mail.example.org}&x=1",
    ),
    (
        "e-mail, encoded twice",
        "GET /r?u=%2Fusers%3Fm%3D{=ann.lee%2540mail.example.org}",
    ),
];

/// The text of a template, and the secrets in it.
pub(crate) struct Canary {
    pub(crate) text: String,
    pub(crate) secrets: Vec<String>,
}

impl Canary {
    pub(crate) fn new(template: &str) -> Self {
        let mut canary = Self {
            text: String::new(),
            secrets: Vec::new(),
        };
        let mut state = template.bytes().fold(7_u32, |state, byte| {
            state.wrapping_mul(31) + u32::from(byte)
        });
        let mut rest = template;
        while let Some(start) = rest.find('{') {
            canary.text.push_str(&rest[..start]);
            rest = &rest[start + 1..];
            let is_placeholder = rest.starts_with(['a', 'h', 'u', 'b', '='])
                && (rest.starts_with('=') || rest[1..].starts_with(|c: char| c.is_ascii_digit()));
            if !is_placeholder {
                canary.text.push('{');
                continue;
            }
            let (placeholder, after) = rest.split_once('}').unwrap();
            let secret = match placeholder.strip_prefix('=') {
                Some(text) => text.to_owned(),
                None => random(placeholder, &mut state),
            };
            canary.text.push_str(&secret);
            canary.secrets.push(secret);
            rest = after;
        }
        canary.text.push_str(rest);
        canary
    }

    /// Returns the secret that a text shows in full or in good part.
    pub(crate) fn leak(&self, shown: &str) -> Option<&str> {
        let secrets = self.secrets.iter().map(String::as_str);
        secrets.filter(|secret| secret.len() > 6).find(|secret| {
            shown.contains(&secret[..secret.len().min(12)])
                || shown.contains(&secret[secret.len() - secret.len().min(12)..])
        })
    }
}

fn random(placeholder: &str, state: &mut u32) -> String {
    const CHARACTERS: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let more: &[u8] = match placeholder.as_bytes()[0] {
        b'u' => b"-_",
        b'b' => b"+/",
        _ => b"",
    };
    let characters: Vec<u8> = match placeholder.as_bytes()[0] {
        b'h' => CHARACTERS[..16].to_vec(),
        _ => [CHARACTERS, more].concat(),
    };
    let length = placeholder[1..].parse().unwrap();
    let next = || {
        *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(characters[(*state >> 16) as usize % characters.len()])
    };
    std::iter::repeat_with(next).take(length).collect()
}
