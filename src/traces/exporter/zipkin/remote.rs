//! Derives `remoteEndpoint`, the service that a span calls. Zipkin draws an edge between two services from this field.

use std::net::IpAddr;

use opentelemetry::{KeyValue, Value as Attribute, trace::SpanKind};
use opentelemetry_sdk::trace::SpanData;
use serde_json::{Map, Value, json};

use crate::privacy::WITHHELD;

/// The meaning of an attribute.
#[derive(Clone, Copy)]
enum Meaning {
    /// The name of the remote service.
    Name,
    /// The address of its socket.
    Address,
}

/// OpenTelemetry to Zipkin, "Remote endpoint": attributes by rank, their meaning, and the attribute with the port.
const RANKED: [(&str, Meaning, Option<&str>); 11] = [
    ("peer.service", Meaning::Name, None),
    ("server.address", Meaning::Name, Some("server.port")),
    ("net.peer.name", Meaning::Name, Some("net.peer.port")),
    (
        "network.peer.address",
        Meaning::Address,
        Some("network.peer.port"),
    ),
    (
        "server.socket.domain",
        Meaning::Name,
        Some("server.socket.port"),
    ),
    (
        "server.socket.address",
        Meaning::Address,
        Some("server.socket.port"),
    ),
    (
        "net.sock.peer.name",
        Meaning::Name,
        Some("net.sock.peer.port"),
    ),
    (
        "net.sock.peer.addr",
        Meaning::Address,
        Some("net.sock.peer.port"),
    ),
    ("peer.hostname", Meaning::Name, None),
    ("peer.address", Meaning::Name, None),
    ("db.name", Meaning::Name, None),
];

/// The remote endpoint of a client or producer span, if an attribute names it.
pub(super) fn endpoint(span: &SpanData) -> Option<Value> {
    if !matches!(span.span_kind, SpanKind::Client | SpanKind::Producer) {
        return None;
    }
    let (mut endpoint, port) = RANKED.into_iter().find_map(|(key, meaning, port)| {
        let text = attribute(span, key)?.as_str();
        Some((of(meaning, &text)?, port))
    })?;
    if let Some(port) = port.and_then(|key| number(attribute(span, key)?)) {
        endpoint.insert("port".to_owned(), json!(port));
    }
    Some(Value::Object(endpoint))
}

/// The fields of an endpoint; `None` for a socket without an IP address and for an empty name.
fn of(meaning: Meaning, text: &str) -> Option<Map<String, Value>> {
    let address = text.parse::<IpAddr>().ok();
    let mut endpoint = Map::new();
    if let Some(address) = address {
        let key = if address.is_ipv4() { "ipv4" } else { "ipv6" };
        endpoint.insert(key.to_owned(), json!(address.to_string()));
    }
    if matches!(meaning, Meaning::Name) && !text.is_empty() {
        // "Lower-case label."
        endpoint.insert("serviceName".to_owned(), json!(text.to_lowercase()));
    }
    (!endpoint.is_empty()).then_some(endpoint)
}

/// The last value of an attribute, unless redaction withheld it.
fn attribute<'s>(span: &'s SpanData, key: &str) -> Option<&'s Attribute> {
    let mut from_last = span.attributes.iter().rev();
    let KeyValue { value, .. } = from_last.find(|pair| pair.key.as_str() == key)?;
    (value.as_str() != WITHHELD).then_some(value)
}

/// A port; `None` for 0.
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
    fn the_attribute_of_the_highest_rank_names_the_endpoint() {
        let all: Vec<(&'static str, Attribute)> = RANKED
            .iter()
            .map(|(key, ..)| (*key, Attribute::from(format!("By-{key}"))))
            .collect();
        for (rank, (key, meaning, _)) in RANKED.iter().enumerate() {
            // An attribute without an IP address is skipped.
            let expected = match meaning {
                Meaning::Name => *key,
                Meaning::Address => RANKED[rank + 1].0,
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
        let unnamed = [
            ("network.peer.address", "/run/db.sock".into()),
            ("peer.service", "".into()),
            ("db.name", WITHHELD.into()),
        ];
        assert_eq!(found(SpanKind::Client, &unnamed), None);
    }
}
