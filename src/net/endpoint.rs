//! Addresses that spans, log records and metrics are sent to: checked here, once, and used as they were checked.
//!
//! Somebody who reads an address a second time, by other rules, sooner or later sends elsewhere. So whoever sends is
//! given an [`Endpoint`], not a text.

use std::{fmt, net::Ipv6Addr};

use crate::privacy::Secret;
#[cfg(feature = "alerting")]
use crate::settings::{ConfigError, check};

/// An address over HTTP: a host that is one, a port that is one, nobody's password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    is_secure: bool,
    /// Host, and port where there is one.
    authority: String,
    path: String,
    /// With its question mark. It may hold a key.
    query: Secret,
}

impl Endpoint {
    /// RFC 3986, less what no receiver needs: user, password and fragment, names in percent-encoding.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let is_secure = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (path, query) = rest.split_at(rest.find('?').unwrap_or(rest.len()));
        let is_right = is_authority(authority)
            && path.bytes().all(is_of_path)
            && query.bytes().all(|byte| is_of_path(byte) || byte == b'?');
        is_right.then(|| Self {
            is_secure,
            authority: authority.to_owned(),
            path: path.to_owned(),
            query: query.into(),
        })
    }

    /// An address without TLS that is known to be valid.
    pub(crate) fn insecure(authority: &str, path: &str) -> Self {
        Self {
            is_secure: false,
            authority: authority.to_owned(),
            path: path.to_owned(),
            query: Secret::default(),
        }
    }

    /// gRPC names its methods by the path, so there is no other.
    pub(crate) fn for_grpc(text: &str) -> Option<Self> {
        let is_bare = |endpoint: &Self| {
            matches!(endpoint.path(), "" | "/") && endpoint.query.expose().is_empty()
        };
        Self::new(text).filter(is_bare)
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The same place, another path.
    #[must_use]
    pub(crate) fn with_path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    /// The whole of it, for the one who sends.
    pub(crate) fn expose(&self) -> String {
        format!("{self}{}", self.query.expose())
    }
}

/// Without its query.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_secure { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.path)
    }
}

/// What may be shown of a text that was meant as an address.
pub(crate) fn without_secrets(text: &str) -> String {
    match (text.rsplit_once('@'), text.split_once(['?', '#'])) {
        (None, None) => text.to_owned(),
        (None, Some((before, _))) => format!("{before}?***"),
        (Some((_, host)), None) => format!("***@{host}"),
        // Which of it is a password cannot be told.
        (Some(_), Some(_)) => "***".to_owned(),
    }
}

/// Checks that a text is an HTTP URL without user and password. The text may be a template with placeholders in
/// braces, so it is not parsed further.
#[cfg(feature = "alerting")]
pub(crate) fn check_url(key: &str, url: &str, expected: &'static str) -> Result<(), ConfigError> {
    let rest = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"));
    let is_url = rest.is_some_and(|rest| {
        !rest.starts_with('/')
            && !rest.is_empty()
            && rest.bytes().all(|byte| byte.is_ascii_graphic())
    });
    check(
        is_url && !url.contains('@'),
        key,
        &without_secrets(url),
        expected,
    )
}

fn is_authority(text: &str) -> bool {
    if let Some(rest) = text.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else {
            return false;
        };
        let is_port = port.strip_prefix(':').map_or(port.is_empty(), is_port);
        return address.parse::<Ipv6Addr>().is_ok() && is_port;
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    !host.is_empty() && host.bytes().all(is_name) && port.is_none_or(is_port)
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

/// RFC 3986, `pchar` and the slash.
fn is_of_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@%/".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_a_port_that_are_ones() {
        for right in [
            "http://collector:4318/v1/traces",
            "https://otlp.example.com",
            "http://[::1]:4318/",
            "http://10.0.0.1:1/a%20b",
            "HTTP://my_collector/x",
        ] {
            let found = Endpoint::new(right).unwrap().to_string();
            assert_eq!(found, right.replace("HTTP", "http"));
        }
        for wrong in [
            "collector:4318",
            "ftp://collector",
            "http://",
            "http:///v1/traces",
            "http://${COLLECTOR}:4318/v1/traces",
            "http://[::1:4318/v1/traces",
            "http://[::x]:4318",
            "http://[::1]4318",
            "http://a:b:c/v1/traces",
            "http://host:99999/v1/traces",
            "http://host:0",
            "http://host:/",
            "http://host:+80",
            "http://collector:4318/<x>",
            "http://collector:4318/a b",
            "http://collector/#x",
            "http://ann:s3cret@collector:4318",
            "http://cöllector",
        ] {
            assert_eq!(Endpoint::new(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_key_in_the_query_is_sent_and_shown_to_nobody() {
        let endpoint = Endpoint::new("https://a/v1/traces?key=s3cret?").unwrap();
        assert!(!format!("{endpoint} {endpoint:?}").contains("s3cret"));
        assert_eq!(endpoint.expose(), "https://a/v1/traces?key=s3cret?");
        for (text, expected) in [
            ("htp://a/b", "htp://a/b"),
            ("htp://a/b?key=s3cret", "htp://a/b?***"),
            ("http://ann:s3cret@a:1/b", "***@a:1/b"),
            ("http://a/b?mail=s3cret@b", "***"),
            ("http://ann:s3?cret@a", "***"),
        ] {
            assert_eq!(without_secrets(text), expected);
        }
    }

    /// What is accepted here is what the client that sends makes of it.
    #[cfg(feature = "otlp")]
    #[test]
    fn whatever_is_accepted_is_read_in_the_same_way_by_who_sends() {
        use proptest::prelude::*;
        proptest!(|(text in "https?://([a-z0-9._:@\\[\\]-]|[${}]){1,12}(:[0-9]{0,6})?(/[ -~]{0,12})?")| {
            if let Some(endpoint) = Endpoint::new(&text) {
                let uri: http::Uri = endpoint.expose().parse().unwrap();
                prop_assert_eq!(uri.authority().unwrap().as_str(), &endpoint.authority);
                prop_assert_eq!(uri.path(), if endpoint.path.is_empty() { "/" } else { &endpoint.path });
            }
        });
    }
}
