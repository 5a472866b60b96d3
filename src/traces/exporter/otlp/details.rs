//! Parses the retry delay in `grpc-status-details-bin`, the details that a server adds to a gRPC status.
//!
//! The three messages of `google.rpc` are declared here: a crate of them would add much code for two numbers.

use std::time::Duration;

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use hyper::HeaderMap;
use prost::Message;

/// gRPC over HTTP/2: "Implementations MUST accept padded and un-padded values".
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The end of the type URL. The sender of a message chooses the prefix.
const RETRY_INFO: &str = "/google.rpc.RetryInfo";

/// `google.rpc.Status`, without its code and message.
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Delay>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

/// The permission of the server to repeat a call, with the delay if the server names one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Recovery(pub(super) Option<Duration>);

/// The retry information of a response; `None` if it is missing or unreadable.
pub(super) fn recovery(headers: &HeaderMap) -> Option<Recovery> {
    let encoded = headers.get("grpc-status-details-bin")?;
    let status = BASE64.decode(encoded.as_bytes().trim_ascii()).ok()?;
    let status = Status::decode(&*status).ok()?;
    let packed = status
        .details
        .iter()
        .find(|detail| detail.type_url.ends_with(RETRY_INFO))?;
    let info = RetryInfo::decode(&*packed.value).ok()?;
    Some(Recovery(info.retry_delay.and_then(Delay::duration)))
}

impl Delay {
    /// The delay; `None` unless it is above 0.
    fn duration(self) -> Option<Duration> {
        let seconds = u64::try_from(self.seconds).ok()?;
        let nanos = u32::try_from(self.nanos).ok()?;
        let duration = Duration::from_secs(seconds).checked_add(Duration::from_nanos(nanos.into()));
        duration.filter(|duration| !duration.is_zero())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    pub(in super::super) fn details(seconds: i64, nanos: i32) -> HeaderValue {
        let delay = Delay { seconds, nanos };
        encoded(&RetryInfo {
            retry_delay: Some(delay),
        })
    }

    pub(in super::super) fn without_delay() -> HeaderValue {
        encoded(&RetryInfo { retry_delay: None })
    }

    fn encoded(info: &RetryInfo) -> HeaderValue {
        let of = |type_url: &str, value| Any {
            type_url: type_url.to_owned(),
            value,
        };
        let status = Status {
            details: vec![
                of("type.googleapis.com/google.rpc.DebugInfo", vec![0xff]),
                of(
                    "type.googleapis.com/google.rpc.RetryInfo",
                    info.encode_to_vec(),
                ),
            ],
        };
        HeaderValue::try_from(BASE64.encode(status.encode_to_vec())).unwrap()
    }

    fn read(value: HeaderValue) -> Option<Recovery> {
        recovery(&HeaderMap::from_iter([(
            hyper::header::HeaderName::from_static("grpc-status-details-bin"),
            value,
        )]))
    }

    #[test]
    fn a_delay_is_read_with_and_without_padding() {
        let after = Some(Recovery(Some(Duration::from_millis(1_500))));
        // { code: 8, message: "slow down.", details: [RetryInfo { retry_delay: 1.5 s }] }, by the wire format.
        let padded = "CAgSCnNsb3cgZG93bi4aNgoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxIKCggIARCAyrXuAQ==";
        for text in [padded, padded.trim_end_matches('=')] {
            assert_eq!(read(HeaderValue::from_static(text)), after);
        }
        assert_eq!(read(details(1, 500_000_000)), after);
    }

    #[test]
    fn a_delay_that_is_not_above_0_is_none() {
        assert_eq!(read(without_delay()), Some(Recovery(None)));
        for (seconds, nanos) in [(0, 0), (-1, 0), (0, -1), (1, -1)] {
            assert_eq!(read(details(seconds, nanos)), Some(Recovery(None)));
        }
        let longest = Duration::new(i64::MAX as u64, 0);
        assert_eq!(read(details(i64::MAX, 0)), Some(Recovery(Some(longest))));
        for nothing in ["", "%%%", "AAAA", "CAgSCXNsb3cgZG93bg"] {
            assert_eq!(read(HeaderValue::from_static(nothing)), None, "{nothing}");
        }
    }
}
