//! Posts the body of Alertmanager's webhook, signed if a key is set.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use hyper::{
    Uri,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use ring::hmac;

use super::{
    Built, ChannelContext, ChannelSpec, Message, Notifier, NotifyError, NotifyFuture, hex,
    http::{Post, prepare},
    payload,
    template::{Escape, Slot, TemplateFiles, Templates},
};
use crate::{
    alerting::{AlertingConfig, ExportedChannel, RoutingError},
    net::OutgoingClient,
    privacy::Secret,
    settings::{Variable, setters},
};

/// The time of the signature in seconds since the epoch.
const TIMESTAMP_HEADER: &str = "x-observatory-timestamp";
/// `sha256=` and the HMAC of the timestamp, a full stop and the body.
const SIGNATURE_HEADER: &str = "x-observatory-signature";
/// The group's dedup key.
const DEDUP_HEADER: &str = "x-observatory-dedup-key";
/// The error of a failed template.
const TEMPLATE_ERROR_HEADER: &str = "x-observatory-template-error";

/// The text that a template can replace.
const SLOTS: [Slot; 1] = [Slot::new("body", Escape::Json)];

/// A webhook channel.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct WebhookOptions {
    /// The URLs. Each URL gets every message.
    pub urls: Vec<Secret>,
    /// Headers beside the channel's own, such as `authorization`.
    pub headers: BTreeMap<String, Secret>,
    /// The key of an HMAC-SHA256 signature of time and body.
    pub signing_key: Option<Secret>,
    /// The maximum number of alerts in one message; 0 for no limit. Default: no limit.
    pub max_alerts: usize,
    /// A template for `body`, which must write JSON; see `docs/alert-templates.md`.
    pub templates: BTreeMap<String, String>,
    /// Files whose templates this channel's templates can call. Default: the files of the configuration.
    #[serde(skip)]
    pub template_files: TemplateFiles,
}

/// One URL of a webhook channel.
#[derive(Debug)]
pub struct Webhook {
    templates: Templates,
    url: Secret,
    headers: HeaderMap,
    key: Option<hmac::Key>,
    max_alerts: usize,
    client: OutgoingClient,
}

impl Default for WebhookOptions {
    fn default() -> Self {
        Self::new::<String>([])
    }
}

impl WebhookOptions {
    /// Creates the options of a webhook without headers and signature.
    #[must_use]
    pub fn new<S: Into<Arc<str>>>(urls: impl IntoIterator<Item = S>) -> Self {
        Self {
            urls: urls.into_iter().map(Secret::new).collect(),
            headers: BTreeMap::new(),
            signing_key: None,
            max_alerts: 0,
            templates: BTreeMap::new(),
            template_files: TemplateFiles::default(),
        }
    }

    setters! {
        /// Sets the files whose templates this channel's templates can call.
        with_template_files(files: TemplateFiles) { self.template_files = files }

        /// Replaces a text by a template.
        with_template(text: impl Into<String>, source: impl Into<String>) {
            self.templates.insert(text.into(), source.into())
        }

        /// Adds a header.
        with_header(name: impl Into<String>, value: impl Into<Arc<str>>) {
            self.headers.insert(name.into(), Secret::new(value))
        }

        /// Signs each body with this key.
        with_signing_key(key: impl Into<Arc<str>>) { self.signing_key = Some(Secret::new(key)) }

        /// Sets the maximum number of alerts in one message.
        with_max_alerts(max_alerts: usize) { self.max_alerts = max_alerts }
    }

    /// Builds the notifiers of the channel with this name: one for each URL.
    ///
    /// # Errors
    /// If there is no URL, a URL or a template does not parse, or a header cannot be sent. The error does not show the
    /// URL.
    pub fn build(
        &self,
        name: &str,
        client: &OutgoingClient,
    ) -> Result<Vec<Arc<dyn Notifier>>, RoutingError> {
        let error = |key, problem: String| Err(RoutingError::channel(name, key, problem));
        if self.urls.is_empty() {
            return error("url", "must not be empty".to_owned());
        }
        let headers = match headers(&self.headers) {
            Ok(headers) => headers,
            Err(name) => return error("headers", format!("{name:?} cannot be sent")),
        };
        for (at, url) in self.urls.iter().enumerate() {
            if let Err(problem) = check_url(url) {
                return error("url", format!("number {}: {problem}", at + 1));
            }
        }
        let templates = Templates::new(name, &SLOTS, &self.templates, &self.template_files)?;
        let key = self.signing_key.as_ref();
        let key = key.map(|key| hmac::Key::new(hmac::HMAC_SHA256, key.expose().as_bytes()));
        let webhooks = self.urls.iter().map(|url| {
            prepare(client, url);
            let webhook = Webhook {
                templates: templates.clone(),
                url: url.clone(),
                headers: headers.clone(),
                key: key.clone(),
                max_alerts: self.max_alerts,
                client: client.clone(),
            };
            Arc::new(webhook) as Arc<dyn Notifier>
        });
        Ok(webhooks.collect())
    }
}

/// Checks a URL. The error does not show the URL.
pub(super) fn check_url(url: &Secret) -> Result<(), String> {
    let uri: Uri = url
        .expose()
        .parse()
        .map_err(|error: hyper::http::uri::InvalidUri| format!("must be a URL: {error}"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err("must begin with `http://` or `https://`".to_owned());
    }
    match uri.authority() {
        Some(authority) if authority.as_str().contains('@') => {
            Err("must not hold a password: use the header `authorization`".to_owned())
        }
        _ => Ok(()),
    }
}

/// Returns the headers, or the name of a header that cannot be sent.
pub(super) fn headers(pairs: &BTreeMap<String, Secret>) -> Result<HeaderMap, &str> {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let parsed = (
            HeaderName::try_from(name.as_str()),
            HeaderValue::try_from(value.expose()),
        );
        let (Ok(header), Ok(mut value)) = parsed else {
            return Err(name);
        };
        value.set_sensitive(true);
        headers.insert(header, value);
    }
    Ok(headers)
}

impl Notifier for Webhook {
    fn notify<'a>(&'a self, message: &'a Message) -> NotifyFuture<'a> {
        Box::pin(async move {
            let message = message.truncated(self.max_alerts);
            let rendered = self.templates.render(&message);
            let body = match rendered.get("body") {
                Some(body) => body.as_bytes().to_vec(),
                None => payload::webhook(&message).map_err(NotifyError::unwritten("body"))?,
            };
            let mut headers = self.headers.clone();
            let mut set = |name: &'static str, value: String| {
                HeaderValue::try_from(value).map(|value| headers.insert(name, value))
            };
            set(DEDUP_HEADER, message.dedup_key.clone()).map_err(NotifyError::unwritten("body"))?;
            if !rendered.note.is_empty() {
                // A header's value is ASCII.
                let note = rendered
                    .note
                    .replace(|c: char| !matches!(c, ' '..='~'), "?");
                set(TEMPLATE_ERROR_HEADER, note).map_err(NotifyError::unwritten("body"))?;
            }
            if let Some(key) = &self.key {
                let since = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default();
                let seconds = since.as_secs().to_string();
                let signature = format!("sha256={}", sign(key, &seconds, &body));
                set(TIMESTAMP_HEADER, seconds).map_err(NotifyError::unwritten("body"))?;
                set(SIGNATURE_HEADER, signature).map_err(NotifyError::unwritten("body"))?;
            }
            let post = Post::new(&self.url, body).with_headers(headers);
            post.deliver(&self.client).await
        })
    }
}

fn sign(key: &hmac::Key, seconds: &str, body: &[u8]) -> String {
    let mut context = hmac::Context::with_key(key);
    context.update(seconds.as_bytes());
    context.update(b".");
    context.update(body);
    hex(context.sign().as_ref())
}

impl ChannelSpec for WebhookOptions {
    const VARIABLES: &[Variable<AlertingConfig>] = &[Variable::secret(
        "MONITORING_WEBHOOK_URL",
        |alerting, value| {
            alerting.set_channel("webhook", WebhookOptions::new([value]));
            Ok(())
        },
    )];

    fn missing(&self) -> Option<&'static str> {
        self.urls.is_empty().then_some("MONITORING_WEBHOOK_URL")
    }

    fn receivers(&self, context: &ChannelContext<'_>) -> Result<Built, RoutingError> {
        let mut options = self.clone();
        options.template_files = self.template_files.or_default(context.template_files);
        options
            .build(context.name, context.client)
            .map(Built::Notifiers)
    }

    /// Placeholders stand for the URLs, which may contain secrets.
    fn exported(&self, send_resolved: bool) -> ExportedChannel {
        ExportedChannel::Webhook {
            urls: (1..=self.urls.len())
                .map(|number| format!("http://replace-me.example/{number}"))
                .collect(),
            send_resolved,
            max_alerts: self.max_alerts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ClientOptions;

    #[test]
    fn a_signature_is_what_anybody_computes_with_the_key() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"key");
        // printf '1.{}' | openssl dgst -sha256 -hmac key
        let expected = hmac::sign(&key, b"1.{}");
        assert_eq!(sign(&key, "1", b"{}"), hex(expected.as_ref()));
    }

    #[test]
    fn a_template_gives_the_body_if_it_gives_json() {
        let body = |source: &str| {
            let sources = BTreeMap::from([("body".to_owned(), source.to_owned())]);
            let templates =
                Templates::new("ops", &SLOTS, &sources, &TemplateFiles::none()).unwrap();
            let rendered = templates.render(&Message::test("all", 0));
            let body = rendered.get("body").map(str::to_owned);
            body.ok_or(rendered.note)
        };
        let ours = body("{\"who\": {{ .Receiver }}, \"labels\": {{ .CommonLabels }}}").unwrap();
        let ours: serde_json::Value = serde_json::from_str(&ours).unwrap();
        assert_eq!(ours["who"], "all");
        assert_eq!(ours["labels"]["alertname"], "ObservatoryTest");
        let check = |source: &str, expected: &str| {
            let note = body(source).unwrap_err();
            assert!(note.starts_with(expected), "{note}");
        };
        check("{", "A template failed: body gave no JSON: ");
        check("{{ .Nothing.At.All }}", "A template failed: ");
        check(" \n", "A template failed: body gave an empty text");
    }

    #[test]
    fn what_is_wrong_is_named_and_the_url_is_not_shown() {
        let client = OutgoingClient::new(&ClientOptions::default()).unwrap();
        let check = |options: WebhookOptions, expected: &str| {
            let error = options.build("ops", &client).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
            assert!(!error.contains("token"), "{error}");
        };
        check(
            WebhookOptions::new::<&str>([]),
            "channel \"ops\": url: must not be empty",
        );
        check(
            WebhookOptions::new(["ftp://a/token"]),
            "channel \"ops\": url: number 1: must begin",
        );
        check(
            WebhookOptions::new(["/token"]),
            "channel \"ops\": url: number 1: must begin",
        );
        check(
            WebhookOptions::new(["http://a/"]).with_header("a b", "token"),
            "channel \"ops\": headers: \"a b\" cannot be sent",
        );
        let built = WebhookOptions::new(["http://a/token", "http://b/"]).build("ops", &client);
        let built = built.unwrap();
        assert_eq!(built.len(), 2);
        assert!(!format!("{built:?}").contains("token"));
    }
}
