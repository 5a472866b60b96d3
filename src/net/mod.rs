//! Sends HTTP requests to other systems: alert channels, Alertmanagers, collectors and dependencies.
//!
//! The crate has one outgoing HTTP client, [`OutgoingClient`]. Alert channels and exporters share its TLS settings,
//! timeouts, redirect policy and response limit. The client brings its own TLS (rustls with ring, passed as an
//! argument) and installs nothing for the whole process, so a client of the application keeps its own TLS.
//!
//! [`Endpoint`] is an address that the configuration has checked.
//!
//! Not `reqwest`: its TLS features would be added to the application's `reqwest`, too (see Cargo.toml).
#![cfg_attr(
    not(any(feature = "alerting", feature = "otlp")),
    allow(dead_code, reason = "health checks use a part of the client")
)]

#[cfg(any(feature = "alerting", feature = "health", feature = "otlp"))]
mod backoff;
#[cfg(any(feature = "alerting", feature = "health", feature = "otlp"))]
mod client;
mod endpoint;
#[cfg(any(feature = "alerting", feature = "health", feature = "otlp"))]
mod error;
mod headers;
#[cfg(feature = "alerting")]
mod options;
#[cfg(feature = "alerting")]
mod pace;
#[cfg(any(feature = "alerting", feature = "health", feature = "otlp"))]
mod response;
#[cfg(any(feature = "alerting", feature = "health", feature = "otlp"))]
mod roots;
#[cfg(any(feature = "alerting", feature = "health", feature = "otlp"))]
mod tls;

#[cfg(any(feature = "alerting", feature = "health", feature = "otlp"))]
pub(crate) use self::backoff::Backoff;
#[cfg(feature = "alerting")]
pub use self::options::ClientOptions;
#[cfg(all(test, feature = "otlp"))]
pub(crate) use self::response::tests;
#[cfg(any(feature = "alerting", feature = "otlp"))]
pub(crate) use self::roots::clients_on_bundled_roots;
#[cfg(any(feature = "alerting", feature = "health", feature = "otlp"))]
#[cfg_attr(
    not(feature = "alerting"),
    allow(unreachable_pub, reason = "public with the feature `alerting` only")
)]
pub use self::{client::OutgoingClient, error::ClientError};
#[cfg(any(feature = "health", feature = "otlp"))]
pub(crate) use self::{
    client::{Protocol, Settings},
    tls::{Tls, TlsFiles},
};
#[cfg(feature = "alerting")]
pub(crate) use self::{endpoint::check_url, pace::Pace};
pub(crate) use self::{
    endpoint::{Endpoint, without_secrets},
    headers::{HEADERS_EXPECTED, is_header_name, is_header_value},
};
#[cfg(any(feature = "alerting", feature = "health", feature = "otlp"))]
pub(crate) use self::{error::SendError, response::Response};
#[cfg(feature = "email")]
pub(crate) use self::{error::is_tls_error, roots::platform_roots};
