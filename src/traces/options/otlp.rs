//! Defines the signals that are sent by OTLP: their configuration keys, paths, variables and default addresses.

use crate::{net::Endpoint, traces::OtlpProtocol};

/// A kind of telemetry that is sent by OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Traces,
    Metrics,
    Logs,
}

impl Signal {
    pub(super) const ALL: [Self; 3] = [Self::Traces, Self::Metrics, Self::Logs];

    /// The part of the names of its environment variables.
    pub(super) const fn variable(self) -> &'static str {
        match self {
            Self::Traces => "TRACES",
            Self::Metrics => "METRICS",
            Self::Logs => "LOGS",
        }
    }

    /// The key of the [`OtlpConfig`](super::OtlpConfig) of this signal in the configuration.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Traces => "traces.otlp",
            Self::Metrics => "push.otlp",
            Self::Logs => "traces.logs.otlp",
        }
    }

    /// OTLP/HTTP, "Endpoint".
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Traces => "/v1/traces",
            Self::Metrics => "/v1/metrics",
            Self::Logs => "/v1/logs",
        }
    }

    /// The default endpoint.
    pub(in crate::traces) fn default_endpoint(self, protocol: OtlpProtocol) -> Endpoint {
        let (authority, path) = match protocol {
            OtlpProtocol::HttpProtobuf => ("localhost:4318", self.path()),
            OtlpProtocol::Grpc => ("localhost:4317", ""),
        };
        Endpoint::insecure(authority, path)
    }

    /// The configured endpoint; for an invalid endpoint, the expected form.
    pub(in crate::traces) fn endpoint(
        self,
        protocol: OtlpProtocol,
        text: &str,
    ) -> Result<Endpoint, &'static str> {
        match protocol {
            OtlpProtocol::HttpProtobuf => Endpoint::new(text).ok_or(match self {
                Self::Traces => {
                    "a URL without user and password, `http://collector:4318/v1/traces`, say"
                }
                Self::Metrics => {
                    "a URL without user and password, `http://collector:4318/v1/metrics`, say"
                }
                Self::Logs => {
                    "a URL without user and password, `http://collector:4318/v1/logs`, say"
                }
            }),
            OtlpProtocol::Grpc => Endpoint::for_grpc(text).ok_or(
                "scheme, host and port for gRPC, without a path, `http://collector:4317`, say",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_has_no_path_of_its_own() {
        let of = |text| Signal::Logs.endpoint(OtlpProtocol::Grpc, text);
        assert!(of("http://a:4317").is_ok() && of("http://a:4317/").is_ok());
        for wrong in [
            "http://a:4317/v1/logs",
            "http://a:4317?x=y",
            "a:4317",
            "localhost:4317",
        ] {
            assert!(of(wrong).unwrap_err().contains("http://collector:4317"));
        }
    }
}
