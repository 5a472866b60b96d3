//! Checks the names under which a browser reaches the server, and the origin of the page that asks.
//!
//! A page of another site can resolve its own name to this machine (DNS rebinding); the browser then takes the server for
//! a part of that site. Such a request carries the site's name as its host, so requests under unknown names are refused.
//! The metrics and the health report accept every name: scrapers and probes come by the names of pods and services, and
//! their answers hold nothing that a page could misuse to change something.

use std::net::IpAddr;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, Uri, header, request::Parts, uri::Authority},
    middleware::Next,
    response::Response,
};

use super::{endpoints::ServerState, refusal::Refusal};

/// The entry of the list that allows every name.
const ANY: &str = "*";

/// The names under which the server answers.
#[derive(Clone, Debug, Default)]
pub(crate) struct AllowedHosts {
    /// `server.allowed_hosts`.
    listed: Vec<String>,
    /// The host of `alerting.external_url`.
    external: Option<String>,
}

impl AllowedHosts {
    pub(crate) fn new(listed: &[String], external_url: Option<&str>) -> Self {
        let host_of = |url: &str| url.parse::<Uri>().ok()?.host().map(str::to_owned);
        Self {
            listed: listed.to_vec(),
            external: external_url.and_then(host_of),
        }
    }

    /// Returns the refusal of a request, with the text for its client.
    fn refusal(&self, request: &Parts) -> Option<(Refusal, String)> {
        let hosts = hosts(request);
        if let Some(host) = hosts.iter().find(|host| !self.allows(host)) {
            let message = format!(
                "the host {host:?} is not allowed: add it to server.allowed_hosts (OBSERVATORY_ALLOWED_HOSTS), or use the IP \
                 address of the server"
            );
            return Some((Refusal::Host, message));
        }
        let origin = request.headers.get(header::ORIGIN)?;
        let origin = origin.to_str().unwrap_or("null");
        let is_own = origin.split_once("://").is_some_and(|(_, authority)| {
            let is_host = |host: &String| host.eq_ignore_ascii_case(authority);
            hosts.iter().any(is_host) || self.lists(authority)
        });
        let message = || {
            format!(
                "a page of {origin:?} must not use this server: open the page of this server, or add the host to \
                 server.allowed_hosts (OBSERVATORY_ALLOWED_HOSTS)"
            )
        };
        (!is_own).then(|| (Refusal::Origin, message()))
    }

    /// Returns whether the server answers under a name.
    fn allows(&self, host: &str) -> bool {
        let Some((name, _)) = name_and_port(host) else {
            return false;
        };
        let is_address = name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        is_address
            || name.eq_ignore_ascii_case("localhost")
            || self.listed.iter().any(|listed| listed == ANY)
            || self.lists(host)
    }

    /// Returns whether a name is in the list, with its port or without any port, or is the host of the external URL.
    fn lists(&self, host: &str) -> bool {
        let Some((name, port)) = name_and_port(host) else {
            return false;
        };
        let external = self.external.iter().map(|host| (host.as_str(), None));
        let listed = self.listed.iter().filter_map(|listed| {
            let (name, port) = listed.rsplit_once(':').unwrap_or((listed, ""));
            // The colons of an IPv6 address are not those of a port.
            let is_port = !port.is_empty() && !port.contains(']');
            Some(if is_port {
                (name, Some(port.parse::<u16>().ok()?))
            } else {
                (listed.as_str(), None)
            })
        });
        external.chain(listed).any(|(known, known_port)| {
            name.eq_ignore_ascii_case(known.trim_end_matches('.'))
                && (known_port.is_none() || known_port == port)
        })
    }
}

/// Returns every name that the request addresses. A request without a name, as of HTTP/1.0, does not come from a browser.
fn hosts(request: &Parts) -> Vec<String> {
    let of_uri = request.uri.authority().map(Authority::to_string);
    let of_header = |headers: &HeaderMap| -> Vec<String> {
        let values = headers.get_all(header::HOST).iter();
        values
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect()
    };
    let mut hosts = of_header(&request.headers);
    hosts.extend(of_uri);
    hosts
}

/// Splits `name:port`; the name has no final dot.
fn name_and_port(host: &str) -> Option<(String, Option<u16>)> {
    let authority: Authority = host.parse().ok()?;
    let name = authority.host().trim_end_matches('.').to_owned();
    (!host.contains('@')).then(|| (name, authority.port_u16()))
}

/// Refuses the requests under unknown names and the requests of foreign pages.
pub(super) async fn check(
    State(state): State<ServerState>,
    request: Request,
    next: Next,
) -> Response {
    let options = &state.sources.options;
    // The names of an application's own server are the application's concern, unless it lists them.
    let is_checked = state.address.is_some() || !options.hosts.listed.is_empty();
    if !is_checked || state.has_token(request.headers()) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    match options.hosts.refusal(&parts) {
        Some((refusal, message)) => refusal.answer(&state.sources, &message),
        None => next.run(Request::from_parts(parts, body)).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(hosts: &AllowedHosts, host: &str, origin: Option<&str>) -> Option<&'static str> {
        let mut request = Request::builder().uri("/api/v1/query").header("host", host);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        hosts.refusal(&parts).map(|(refusal, message)| {
            assert!(message.contains("server.allowed_hosts"), "{message}");
            match refusal {
                Refusal::Host => "host",
                Refusal::Origin => "origin",
                other => panic!("{other:?}"),
            }
        })
    }

    #[test]
    fn names_need_an_entry_and_addresses_do_not() {
        let listed = ["router:9090", "grafana", "Ops.Example."].map(str::to_owned);
        let hosts = AllowedHosts::new(&listed, Some("https://obs.example:8443/x"));
        for host in [
            "127.0.0.1:9090",
            "10.1.2.3",
            "[::1]:9090",
            "[fe80::1]",
            "localhost",
            "LOCALHOST:9090",
            "router:9090",
            "ROUTER:9090",
            "grafana",
            "grafana:3000",
            "ops.example",
            "obs.example",
            "obs.example:443",
        ] {
            assert_eq!(refused(&hosts, host, None), None, "{host}");
        }
        for host in [
            "evil.example",
            "router",
            "router:9091",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "localhost@evil.example",
            "",
            "a b",
        ] {
            assert_eq!(refused(&hosts, host, None), Some("host"), "{host}");
        }
        let any = AllowedHosts::new(&[ANY.to_owned()], None);
        assert_eq!(refused(&any, "evil.example", None), None);
    }

    #[test]
    fn a_foreign_origin_is_refused() {
        let hosts = AllowedHosts::new(&["grafana:3000".to_owned()], Some("https://obs.example"));
        let of = |origin| refused(&hosts, "127.0.0.1:9090", Some(origin));
        for origin in [
            "http://127.0.0.1:9090",
            "http://grafana:3000",
            "https://obs.example",
        ] {
            assert_eq!(of(origin), None, "{origin}");
        }
        for origin in [
            "http://evil.example",
            "http://127.0.0.1:8080",
            "http://127.0.0.1",
            "http://grafana",
            "null",
            "",
        ] {
            assert_eq!(of(origin), Some("origin"), "{origin}");
        }
    }

    #[test]
    fn the_name_in_the_request_line_counts_like_the_header() {
        let request = Request::builder()
            .uri("http://evil.example/")
            .header("host", "localhost");
        let (parts, ()) = request.body(()).unwrap().into_parts();
        assert!(AllowedHosts::default().refusal(&parts).is_some());
        let (parts, ()) = Request::builder().uri("/").body(()).unwrap().into_parts();
        assert!(AllowedHosts::default().refusal(&parts).is_none());
    }
}
