//! `remoteEndpoint`: whom a span calls. Without it Zipkin draws no edge from one service to the other.

use std::net::IpAddr;

use opentelemetry::{KeyValue, Value as Attribute, trace::SpanKind};
use opentelemetry_sdk::trace::SpanData;
use serde_json::{Map, Value, json};

use crate::privacy::WITHHELD;

/// What an attribute says of the peer.
#[derive(Clone, Copy)]
enum Says {
    /// What it is called.
    Name,
    /// Where its socket is.
    Address,
}

/// OpenTelemetry to Zipkin, "Remote endpoint": attributes by rank, what they say, and which has the port with them.
const RANKED: [(&str, Says, Option<&str>); 11] = [
    ("peer.service", Says::Name, None),
    ("server.address", Says::Name, Some("server.port")),
    ("net.peer.name", Says::Name, Some("net.peer.port")),
    (
        "network.peer.address",
        Says::Address,
        Some("network.peer.port"),
    ),
    (
        "server.socket.domain",
        Says::Name,
        Some("server.socket.port"),
    ),
    (
        "server.socket.address",
        Says::Address,
        Some("server.socket.port"),
    ),
    ("net.sock.peer.name", Says::Name, Some("net.sock.peer.port")),
    (
        "net.sock.peer.addr",
        Says::Address,
        Some("net.sock.peer.port"),
    ),
    ("peer.hostname", Says::Name, None),
    ("peer.address", Says::Name, None),
    ("db.name", Says::Name, None),
];

/// Whom this span calls, if it calls somebody and says whom.
pub(super) fn endpoint(span: &SpanData) -> Option<Value> {
    if !matches!(span.span_kind, SpanKind::Client | SpanKind::Producer) {
        return None;
    }
    let (mut endpoint, port) = RANKED.into_iter().find_map(|(key, says, port)| {
        let text = attribute(span, key)?.as_str();
        Some((of(says, &text)?, port))
    })?;
    if let Some(port) = port.and_then(|key| number(attribute(span, key)?)) {
        endpoint.insert("port".to_owned(), json!(port));
    }
    Some(Value::Object(endpoint))
}

/// `None` for a socket without an address of the Internet, and for a name that is empty.
fn of(says: Says, text: &str) -> Option<Map<String, Value>> {
    let address = text.parse::<IpAddr>().ok();
    let mut endpoint = Map::new();
    if let Some(address) = address {
        let key = if address.is_ipv4() { "ipv4" } else { "ipv6" };
        endpoint.insert(key.to_owned(), json!(address.to_string()));
    }
    if matches!(says, Says::Name) && !text.is_empty() {
        // "Lower-case label."
        endpoint.insert("serviceName".to_owned(), json!(text.to_lowercase()));
    }
    (!endpoint.is_empty()).then_some(endpoint)
}

/// The one that was set last, if it may be shown.
fn attribute<'s>(span: &'s SpanData, key: &str) -> Option<&'s Attribute> {
    let mut from_last = span.attributes.iter().rev();
    let KeyValue { value, .. } = from_last.find(|pair| pair.key.as_str() == key)?;
    (value.as_str() != WITHHELD).then_some(value)
}

/// 0 is no port.
fn number(value: &Attribute) -> Option<u16> {
    value.as_str().parse().ok().filter(|port| *port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traces::tail::tests::span;

    fn found(kind: SpanKind, attributes: &[(&'static str, Attribute)]) -> Option<Value> {
        let attributes = attributes.iter().cloned();
        endpoint(&SpanData {
            span_kind: kind,
            attributes: attributes
                .map(|(key, value)| KeyValue::new(key, value))
                .collect(),
            ..span(1, 1, 0)
        })
    }

    #[test]
    fn the_attribute_of_the_highest_rank_says_who_it_is() {
        let all: Vec<(&'static str, Attribute)> = RANKED
            .iter()
            .map(|(key, ..)| (*key, Attribute::from(format!("By-{key}"))))
            .collect();
        for (rank, (key, says, _)) in RANKED.iter().enumerate() {
            // Sockets without an address are passed over.
            let expected = match says {
                Says::Name => *key,
                Says::Address => RANKED[rank + 1].0,
            };
            let expected = json!({ "serviceName": format!("by-{expected}") });
            assert_eq!(found(SpanKind::Client, &all[rank..]), Some(expected));
        }
    }

    #[test]
    fn a_name_or_an_address_has_its_port_with_it() {
        let name = [
            ("server.address", "API.openai.com".into()),
            ("server.port", 443.into()),
            ("network.peer.address", "10.0.0.1".into()),
        ];
        let expected = json!({ "serviceName": "api.openai.com", "port": 443 });
        assert_eq!(found(SpanKind::Client, &name), Some(expected.clone()));
        assert_eq!(found(SpanKind::Producer, &name), Some(expected));
        for kind in [SpanKind::Server, SpanKind::Consumer, SpanKind::Internal] {
            assert_eq!(found(kind, &name), None);
        }
        for (address, port, expected) in [
            (
                "10.0.0.1",
                "8080".into(),
                json!({ "ipv4": "10.0.0.1", "port": 8080 }),
            ),
            ("::1", 0.into(), json!({ "ipv6": "::1" })),
            ("::1", 70_000.into(), json!({ "ipv6": "::1" })),
        ] {
            let socket = [
                ("network.peer.address", address.into()),
                ("network.peer.port", port),
            ];
            assert_eq!(found(SpanKind::Client, &socket), Some(expected));
        }
        let host = [("server.address", "10.0.0.2".into())];
        let expected = json!({ "serviceName": "10.0.0.2", "ipv4": "10.0.0.2" });
        assert_eq!(found(SpanKind::Client, &host), Some(expected));
        let nobody = [
            ("network.peer.address", "/run/db.sock".into()),
            ("peer.service", "".into()),
            ("db.name", WITHHELD.into()),
        ];
        assert_eq!(found(SpanKind::Client, &nobody), None);
    }
}
