//! Connects to remote servers over HTTP: addresses and headers.

mod endpoint;
mod headers;

#[cfg(feature = "alerting")]
pub(crate) use self::endpoint::check_url;
pub(crate) use self::{
    endpoint::{Endpoint, without_secrets},
    headers::{HEADERS_EXPECTED, is_header_name, is_header_value},
};
