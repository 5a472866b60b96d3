//! Negotiates the format and the encoding of `/metrics` from `Accept` and `Accept-Encoding` (RFC 9110 §12.5).

use crate::metrics::Format;

/// Selects the best supported format for an `Accept` header. The fallback is the text format instead of status 406, so
/// that a scrape with an unusual header still succeeds.
///
/// Prometheus lists protobuf, `OpenMetrics` and text in this order; it receives the first that is supported.
pub(super) fn format(accept: &str) -> Format {
    let mut best = (0.0, Format::Prometheus);
    for range in accept.split(',') {
        let mut parameters = range.split(';').map(str::trim);
        let media = parameters.next().unwrap_or_default().to_ascii_lowercase();
        let mut quality = 1.0;
        let mut version = None;
        for parameter in parameters {
            match parameter.split_once('=') {
                Some((name, value)) if name.eq_ignore_ascii_case("q") => {
                    quality = value.parse().unwrap_or(0.0);
                }
                Some((name, value)) if name.eq_ignore_ascii_case("version") => {
                    version = Some(value);
                }
                _ => {}
            }
        }
        let format = match (media.as_str(), version) {
            ("application/openmetrics-text", None | Some("1.0.0" | "0.0.1")) => Format::OpenMetrics,
            ("text/plain", None | Some("0.0.4")) | ("*/*" | "text/*", _) => Format::Prometheus,
            ("application/json", _) => Format::Json,
            _ => continue,
        };
        // Of two types with the same quality, the first is selected.
        if quality > best.0 {
            best = (quality, format);
        }
    }
    best.1
}

/// Returns `true` if the client accepts gzip.
pub(super) fn accepts_gzip(accept_encoding: &str) -> bool {
    accept_encoding.split(',').any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_gzip = parts
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case("gzip") || name == "*");
        let is_refused = parts.any(|part| {
            part.strip_prefix("q=")
                .is_some_and(|quality| quality.parse() == Ok(0.0))
        });
        is_gzip && !is_refused
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_gets_the_best_supported_format() {
        let prometheus_2 = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let prometheus_with_protobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (accept, expected) in [
            (prometheus_2, Format::OpenMetrics),
            (prometheus_with_protobuf, Format::OpenMetrics),
            (prometheus_3, Format::OpenMetrics),
            ("", Format::Prometheus),
            ("*/*", Format::Prometheus),
            (
                "text/html,application/xhtml+xml,*/*;q=0.8",
                Format::Prometheus,
            ),
            ("application/json", Format::Json),
            (
                "application/openmetrics-text;q=0, text/plain",
                Format::Prometheus,
            ),
            ("application/vnd.google.protobuf", Format::Prometheus),
            ("text/plain;version=0.0.4;q=banana", Format::Prometheus),
        ] {
            assert_eq!(format(accept), expected, "{accept}");
        }
    }

    #[test]
    fn gzip_is_used_if_the_client_accepts_it() {
        for (accept, expected) in [
            ("gzip", true),
            ("deflate, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("", false),
            ("identity", false),
            ("*", true),
        ] {
            assert_eq!(accepts_gzip(accept), expected, "{accept}");
        }
    }
}
