//! Middleware for HTTP clients: a tower layer, and a monitored `reqwest::Client`.
//!
//! Metrics identify the upstream server by the name that you give it, never by its URL:
//! `http_client_request_duration_seconds{server_address="openai",…}`, together with the requests in flight and the
//! sizes of bodies. A response ends with the last byte of its body; a response that is dropped earlier is `cancelled`.
//! Failed transports and 5xx responses count in `errors_total{component="http_client"}`.
//!
//! ```no_run
//! use llm_observatory::middleware::client::MonitoredClient;
//!
//! # async fn ask(client: reqwest::Client) -> Result<String, reqwest::Error> {
//! let openai = MonitoredClient::new(client, "openai");
//! openai.get("http://127.0.0.1:8000/v1/models").send().await?.text().await
//! # }
//! ```

mod call;
mod layer;
mod request_builder;
mod reqwest_client;

pub use self::{
    layer::{HttpClient, HttpClientLayer},
    request_builder::MonitoredRequest,
    reqwest_client::MonitoredClient,
};
