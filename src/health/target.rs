//! Addresses that checks reach.

use std::fmt;

use crate::{
    net::{Endpoint, without_secrets},
    settings::{ConfigError, check},
};

/// An address that a check reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Http(Endpoint),
    /// A host and a port.
    Tcp(String),
    /// A host.
    Dns(String),
}

impl Target {
    /// Parses an address with its scheme.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Some(address) = text.strip_prefix("tcp://") {
            return is_host_and_port(address).then(|| Self::Tcp(address.to_owned()));
        }
        if let Some(host) = text.strip_prefix("dns://") {
            return is_host(host).then(|| Self::Dns(host.to_owned()));
        }
        Endpoint::new(text).map(Self::Http)
    }

    /// Returns an error that names `key` unless the address is valid.
    pub(super) fn check(key: &str, text: &str) -> Result<(), ConfigError> {
        let expected = "an address such as tcp://db:5432, https://example.com or dns://example.com";
        let is_valid = Self::parse(text).is_some();
        check(is_valid, key, &without_secrets(text), expected)
    }
}

/// Formats the address without its query string, which may contain a key.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(endpoint) => endpoint.fmt(f),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
            Self::Dns(host) => write!(f, "dns://{host}"),
        }
    }
}

/// Returns whether a text is a host and a port. The host may be a name, an IPv4 address, or an IPv6 address in brackets.
pub(super) fn is_host_and_port(text: &str) -> bool {
    let has_port = text
        .rsplit_once(':')
        .is_some_and(|(_, port)| !port.is_empty() && !port.contains(']'));
    has_port && Endpoint::new(&format!("http://{text}")).is_some_and(|url| url.path().is_empty())
}

/// Returns whether a text is a host without a port.
pub(super) fn is_host(text: &str) -> bool {
    !text.contains([':', '/', '?']) && Endpoint::new(&format!("http://{text}")).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_scheme_and_the_parts_that_its_scheme_needs() {
        for right in [
            "tcp://db:5432",
            "tcp://[::1]:6379",
            "dns://example.com",
            "http://127.0.0.1:8080/health",
            "https://example.com",
        ] {
            assert_eq!(Target::parse(right).unwrap().to_string(), right);
        }
        for wrong in [
            "db:5432",
            "tcp://db",
            "tcp://[::1]",
            "tcp://db:0",
            "tcp://db:5432/x",
            "tcp://",
            "dns://example.com:53",
            "dns://",
            "dns://a b",
            "ftp://example.com",
            "",
        ] {
            assert_eq!(Target::parse(wrong), None, "{wrong}");
        }
        let url = Target::parse("http://a/b?key=s3cret").unwrap();
        assert_eq!(url.to_string(), "http://a/b", "the key stays hidden");
    }
}
