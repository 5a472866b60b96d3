//! Parses and checks the addresses of collectors.
//!
//! An address is parsed once. Clients take an [`Endpoint`] and not a text, since a second parser with other rules might
//! connect to another host.

use std::{fmt, net::Ipv6Addr};

use crate::privacy::Secret;
#[cfg(feature = "alerting")]
use crate::settings::{ConfigError, check};

/// A valid HTTP or HTTPS address without user and password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    is_secure: bool,
    /// The host, with the port if there is one.
    authority: String,
    path: String,
    /// The query string with its question mark. It may contain an API key.
    query: Secret,
}

impl Endpoint {
    /// Parses an address as in RFC 3986, without user, password, fragment and percent-encoded host names.
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

    /// Parses the address of a gRPC server, which has no path: gRPC uses the path for the name of the method.
    pub(crate) fn for_grpc(text: &str) -> Option<Self> {
        let is_bare = |endpoint: &Self| {
            matches!(endpoint.path(), "" | "/") && endpoint.query.expose().is_empty()
        };
        Self::new(text).filter(is_bare)
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Replaces the path.
    #[must_use]
    pub(crate) fn with_path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    /// Returns the whole address including the query string, for the request itself.
    pub(crate) fn expose(&self) -> String {
        format!("{self}{}", self.query.expose())
    }
}

/// Formats the address without its query string.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_secure { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.path)
    }
}

/// Removes user, password and query string from an invalid address, so that it can be shown in an error.
pub(crate) fn without_secrets(text: &str) -> String {
    match (text.rsplit_once('@'), text.split_once(['?', '#'])) {
        (None, None) => text.to_owned(),
        (None, Some((before, _))) => format!("{before}?***"),
        (Some((_, host)), None) => format!("***@{host}"),
        // The password cannot be located, so the whole text is hidden.
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

/// Returns `true` if a byte may appear in a path: RFC 3986, `pchar` and the slash.
fn is_of_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@%/".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_valid_host_and_a_valid_port() {
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
    fn a_key_in_the_query_is_sent_but_never_shown() {
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

    /// The HTTP client parses every accepted address to the same parts.
    #[cfg(feature = "otlp")]
    #[test]
    fn the_http_client_parses_accepted_addresses_alike() {
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
