//! Finds the links of a message: runbook, dashboard, trace, profile, query.

use std::net::IpAddr;

use hyper::Uri;

use super::super::{Message, hex};

/// Characters of a URL: browsers and channels reject longer URLs.
const MAX_URL_CHARS: usize = 2_000;

/// The annotations with links, and the label of each link.
const ANNOTATIONS: [(&str, &str); 4] = [
    ("runbook_url", "Runbook"),
    ("dashboard_url", "Dashboard"),
    ("trace_url", "Trace"),
    ("profile_url", "Profile"),
];

/// A link with its label.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(serde::Serialize))]
pub(in super::super) struct Link {
    pub(in super::super) label: &'static str,
    pub(in super::super) url: String,
}

/// Returns the links that all alerts share, or else the link of the first alert that has such a link.
pub(in super::super) fn links(message: &Message) -> Vec<Link> {
    let mut links: Vec<Link> = Vec::new();
    let mut add = |label: &'static str, url: &str| {
        let Some(url) = checked(url) else { return };
        if links
            .iter()
            .all(|link| link.label != label && link.url != url)
        {
            links.push(Link { label, url });
        }
    };
    // With an external URL, the operator may mean this machine.
    let is_reached = |url: &str| !message.external_url.is_empty() || !is_of_this_machine(url);
    for (name, label) in ANNOTATIONS {
        let own = message.alerts.iter();
        let mut own = own.filter_map(|alert| alert.alert.annotations.get(name));
        let url = message.common_annotations.get(name).or_else(|| own.next());
        if let Some(url) = url.filter(|url| is_reached(url)) {
            add(label, url);
        }
    }
    add("Dashboard", &message.external_url);
    if let Some(alert) = message.alerts.first() {
        let url = &alert.alert.generator_url;
        if is_reached(url) {
            add("Query", url);
        }
    }
    links
}

/// Returns the URL of a web page, with the characters encoded that could end a link. Other schemes, such as
/// `javascript:`, give `None`.
fn checked(url: &str) -> Option<String> {
    let url = url.trim();
    let is_web = ["http://", "https://"].iter().any(|scheme| {
        let start = url.get(..scheme.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(scheme)) && url.len() > scheme.len()
    });
    let is_clean = |c: char| !c.is_control() && !c.is_whitespace();
    if !is_web || url.len() > MAX_URL_CHARS || !url.chars().all(is_clean) {
        return None;
    }
    let mut checked = String::with_capacity(url.len());
    for byte in url.bytes() {
        match byte {
            // Characters beyond ASCII may change the direction of the text or look like other characters. A browser
            // reads encoded bytes, in the name of a host as well.
            b'<' | b'>' | b'|' | b'"' | b'\'' | b'`' | b'\\' | 0x80.. => {
                checked.push('%');
                checked.push_str(&hex(&[byte]).to_ascii_uppercase());
            }
            _ => checked.push(char::from(byte)),
        }
    }
    (checked.len() <= MAX_URL_CHARS).then_some(checked)
}

/// Returns `true` if the host of a URL is this machine, which other machines cannot reach. Port 0 is not reachable at
/// all.
fn is_of_this_machine(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else {
        return false;
    };
    let host = uri.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse();
    let is_here = |address: IpAddr| address.is_loopback() || address.is_unspecified();
    host.eq_ignore_ascii_case("localhost")
        || address.is_ok_and(is_here)
        || uri.port_u16() == Some(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_web_page_is_a_link() {
        assert_eq!(
            checked("https://a/b?c=d").as_deref(),
            Some("https://a/b?c=d")
        );
        assert_eq!(
            checked("HTTP://a/\"><b>|'").as_deref(),
            Some("HTTP://a/%22%3E%3Cb%3E%7C%27")
        );
        for url in [
            "",
            "https://",
            "javascript:alert(1)",
            "file:///etc/passwd",
            "https://a/b c",
            "https://a/\nb",
        ] {
            assert_eq!(checked(url), None, "{url}");
        }
        for long in ["x".repeat(2_000), "ü".repeat(400)] {
            assert_eq!(checked(&format!("https://a/{long}")), None);
        }
    }

    #[test]
    fn a_link_is_ascii_and_turns_no_text_around() {
        assert_eq!(
            checked("https://ü.example/\u{202e}fdp\u{2066}\u{200b}").as_deref(),
            Some("https://%C3%BC.example/%E2%80%AEfdp%E2%81%A6%E2%80%8B")
        );
    }

    #[test]
    fn a_query_on_this_machine_is_linked_only_where_somebody_said_so() {
        let mut message = super::super::tests::reference(crate::alerting::MessageStatus::Firing);
        let labels = |message: &Message| -> Vec<&str> {
            links(message).iter().map(|link| link.label).collect()
        };
        assert_eq!(labels(&message), ["Dashboard", "Query"]);
        message.external_url = String::new();
        assert_eq!(labels(&message), [""; 0]);
        for (url, expected) in [
            ("http://127.0.0.1:9090/graph", true),
            ("http://[::1]:9090/graph", true),
            ("http://0.0.0.0:9090/graph", true),
            ("http://localhost/graph", true),
            ("http://observatory.example:0/graph", true),
            ("http://observatory.example:9090/graph", false),
            ("http://10.0.0.1/graph", false),
        ] {
            assert_eq!(is_of_this_machine(url), expected, "{url}");
        }
    }
}
