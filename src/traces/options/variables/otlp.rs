//! Applies the variables `OTEL_EXPORTER_OTLP_*`. Variables of one signal take precedence over variables of all signals.

use super::{
    super::{PushConfig, Signal, TracesConfig},
    warn,
};
use crate::{
    net::{Endpoint, HEADERS_EXPECTED, is_header_name, is_header_value},
    privacy::Secret,
    settings::{Invalid, milliseconds, pairs, set, some_text},
    traces::{Compression, OtlpConfig, OtlpProtocol},
};

/// Parses the value of a variable and applies it to the options of one signal.
type Setter = fn(&mut OtlpConfig, Signal, &str) -> Result<(), Invalid>;

/// The ending of a variable's name, its setter if the variable is for all signals, and its setter if it is for one.
const VARIABLES: &[(&str, Setter, Setter)] = &[
    both("PROTOCOL", protocol),
    both("COMPRESSION", compression),
    both("TIMEOUT", |otlp, _, text| {
        set(&mut otlp.timeout, milliseconds(text))
    }),
    both("HEADERS", set_headers),
    both("CERTIFICATE", |otlp, _, path| {
        set(&mut otlp.certificate, some_text(path))
    }),
    both("CLIENT_CERTIFICATE", |otlp, _, path| {
        set(&mut otlp.client_certificate, some_text(path))
    }),
    both("CLIENT_KEY", |otlp, _, path| {
        set(&mut otlp.client_key, some_text(path))
    }),
    // After the protocol, which decides the path.
    ("ENDPOINT", base, endpoint),
];

/// A variable that one setter applies for all signals and for one.
const fn both(name: &str, setter: Setter) -> (&str, Setter, Setter) {
    (name, setter, setter)
}

pub(super) fn apply(
    traces: &mut TracesConfig,
    push: &mut PushConfig,
    get: &impl Fn(&str) -> Option<String>,
    notices: &mut Vec<String>,
) {
    for signal in Signal::ALL {
        let otlp = match signal {
            Signal::Traces => &mut traces.otlp,
            Signal::Metrics => &mut push.otlp,
            Signal::Logs => &mut traces.logs.otlp,
        };
        for (name, of_all, of_one) in VARIABLES {
            let one = format!("OTEL_EXPORTER_OTLP_{}_{name}", signal.variable());
            for (key, set) in [
                (format!("OTEL_EXPORTER_OTLP_{name}"), of_all),
                (one, of_one),
            ] {
                if let Some(value) = get(&key)
                    && let Err(expected) = set(otlp, signal, value.trim())
                {
                    warn(notices, &key, &value, expected);
                }
            }
        }
    }
}

fn protocol(otlp: &mut OtlpConfig, _: Signal, text: &str) -> Result<(), Invalid> {
    otlp.protocol = match text {
        "grpc" => OtlpProtocol::Grpc,
        "http/protobuf" => OtlpProtocol::HttpProtobuf,
        _ => return Err("`grpc` or `http/protobuf`"),
    };
    Ok(())
}

fn compression(otlp: &mut OtlpConfig, _: Signal, text: &str) -> Result<(), Invalid> {
    otlp.compression = match text {
        "gzip" => Compression::Gzip,
        "none" => Compression::None,
        _ => return Err("`gzip` or `none`"),
    };
    Ok(())
}

/// One invalid header discards all headers: a receiver would refuse a request without its credentials anyway.
fn set_headers(otlp: &mut OtlpConfig, _: Signal, text: &str) -> Result<(), Invalid> {
    let can_be_sent = |pair: &(String, String)| is_header_name(&pair.0) && is_header_value(&pair.1);
    let pairs = pairs(text)
        .filter(|pairs| pairs.iter().all(can_be_sent))
        .ok_or(HEADERS_EXPECTED)?;
    let secret = |(name, value): (String, String)| (name, Secret::from(value));
    otlp.headers = pairs.into_iter().map(secret).collect();
    Ok(())
}

/// The endpoint of one signal is used unchanged.
fn endpoint(otlp: &mut OtlpConfig, signal: Signal, text: &str) -> Result<(), Invalid> {
    signal.endpoint(otlp.protocol, text)?;
    otlp.endpoint = Some(text.to_owned());
    Ok(())
}

/// The path of the signal is appended to the endpoint of all signals.
fn base(otlp: &mut OtlpConfig, signal: Signal, text: &str) -> Result<(), Invalid> {
    if otlp.protocol == OtlpProtocol::Grpc {
        return endpoint(otlp, signal, text);
    }
    let base = Endpoint::new(text)
        .ok_or("a URL without user and password, for example `http://collector:4318`")?;
    let path = format!("{}{}", base.path().trim_end_matches('/'), signal.path());
    otlp.endpoint = Some(base.with_path(&path).expose());
    Ok(())
}
