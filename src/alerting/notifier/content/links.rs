//! Where a person goes from a message.

use serde::Serialize;

use super::super::Message;

/// Characters of a URL: beyond this it is no link that a person or a browser wants.
const MAX_URL_CHARS: usize = 2_000;

/// The annotations that hold links, and what each link is called.
const ANNOTATIONS: [(&str, &str); 4] = [
    ("runbook_url", "Runbook"),
    ("dashboard_url", "Dashboard"),
    ("trace_url", "Trace"),
    ("profile_url", "Profile"),
];

/// A link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(in super::super) struct Link {
    pub(in super::super) label: &'static str,
    pub(in super::super) url: String,
}

/// The links of a message: of all its alerts, or else of the first alert that has one.
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
    for (name, label) in ANNOTATIONS {
        let own = message.alerts.iter();
        let mut own = own.filter_map(|alert| alert.alert.annotations.get(name));
        if let Some(url) = message.common_annotations.get(name).or_else(|| own.next()) {
            add(label, url);
        }
    }
    add("Dashboard", &message.external_url);
    if let Some(alert) = message.alerts.first() {
        add("Query", &alert.alert.generator_url);
    }
    links
}

/// The URL of a web page with nothing in it that ends a link: `javascript:` and its like are none.
fn checked(url: &str) -> Option<String> {
    let url = url.trim();
    let is_web = ["http://", "https://"].iter().any(|scheme| {
        let start = url.get(..scheme.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(scheme)) && url.len() > scheme.len()
    });
    let is_clean = |c: char| !c.is_control() && !c.is_whitespace();
    if !is_web || url.chars().count() > MAX_URL_CHARS || !url.chars().all(is_clean) {
        return None;
    }
    let mut checked = String::with_capacity(url.len());
    for c in url.chars() {
        match c {
            '<' => checked.push_str("%3C"),
            '>' => checked.push_str("%3E"),
            '|' => checked.push_str("%7C"),
            '"' => checked.push_str("%22"),
            '\'' => checked.push_str("%27"),
            '`' => checked.push_str("%60"),
            '\\' => checked.push_str("%5C"),
            _ => checked.push(c),
        }
    }
    Some(checked)
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
        let long = format!("https://a/{}", "x".repeat(2_000));
        assert_eq!(checked(&long), None);
    }
}
