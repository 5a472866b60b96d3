//! Splits hosts, ports and URLs, as Go's `net` does.

use std::net::IpAddr;

/// Splits host and port. Returns `None` without a port, or if the text is ambiguous.
fn split(host_port: &str) -> Option<(&str, &str)> {
    let (host, port) = host_port.rsplit_once(':')?;
    if let Some(inner) = host.strip_prefix('[') {
        let inner = inner.strip_suffix(']')?;
        return (!inner.contains(['[', ']'])).then_some((inner, port));
    }
    (!host.contains([':', '[', ']']) && !port.contains(['[', ']'])).then_some((host, port))
}

pub(super) fn strip_port(host_port: &str) -> &str {
    split(host_port).map_or(host_port, |(host, _)| host)
}

/// Removes the domain: `a.example.org:80` becomes `a:80`. An IP address stays as it is.
pub(super) fn strip_domain(host_port: &str) -> String {
    let (host, port) = split(host_port).unwrap_or((host_port, ""));
    if host.parse::<IpAddr>().is_ok() {
        return host_port.to_owned();
    }
    let host = host.split('.').next().unwrap_or("");
    match port {
        "" => host.to_owned(),
        port if host.contains(':') => format!("[{host}]:{port}"),
        port => format!("{host}:{port}"),
    }
}

/// The path of a URL.
pub(super) fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split(['?', '#']).next().unwrap_or("");
    rest.find('/').map_or("", |at| &rest[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_domains_are_stripped_as_go_does_it() {
        for (text, host, short) in [
            ("a.b.c:80", "a.b.c", "a:80"),
            ("a.b.c", "a.b.c", "a"),
            ("10.0.0.1:80", "10.0.0.1", "10.0.0.1:80"),
            ("[::1]:80", "::1", "[::1]:80"),
            ("::1", "::1", "::1"),
            ("", "", ""),
        ] {
            assert_eq!(strip_port(text), host, "{text}");
            assert_eq!(strip_domain(text), short, "{text}");
        }
        assert_eq!(path_of("http://a:1/b/c?d"), "/b/c");
        assert_eq!(path_of("http://a"), "");
    }
}
