//! `OTEL_EXPORTER_OTLP_*`: what is said of all signals, and over it what is said of one.

use super::{milliseconds, pairs, warn};
use crate::{
    config::{
        Compression, Config, OtlpConfig, OtlpProtocol,
        endpoint::{Endpoint, Signal},
        headers,
    },
    privacy::Secret,
};

/// Sets what a variable says of a signal, or tells what would be right.
type Setter = fn(&mut OtlpConfig, Signal, &str) -> Result<(), &'static str>;

/// The end of a variable's name, what it sets where it is for all signals, and where it is for one.
const VARIABLES: &[(&str, Setter, Setter)] = &[
    ("PROTOCOL", protocol, protocol),
    ("COMPRESSION", compression, compression),
    ("TIMEOUT", timeout, timeout),
    ("HEADERS", set_headers, set_headers),
    ("CERTIFICATE", certificate, certificate),
    ("CLIENT_CERTIFICATE", client_certificate, client_certificate),
    ("CLIENT_KEY", client_key, client_key),
    // Behind the protocol, whose paths it has.
    ("ENDPOINT", base, endpoint),
];

pub(super) fn apply(config: &mut Config, get: &impl Fn(&str) -> Option<String>) {
    for signal in Signal::ALL {
        let otlp = match signal {
            Signal::Traces => &mut config.traces.otlp,
            Signal::Metrics => &mut config.push.otlp,
            Signal::Logs => &mut config.traces.logs.otlp,
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
                    warn(&mut config.notices, &key, &value, expected);
                }
            }
        }
    }
}

fn protocol(otlp: &mut OtlpConfig, _: Signal, text: &str) -> Result<(), &'static str> {
    otlp.protocol = match text {
        "grpc" => OtlpProtocol::Grpc,
        "http/protobuf" => OtlpProtocol::HttpProtobuf,
        _ => return Err("`grpc` or `http/protobuf`"),
    };
    Ok(())
}

fn compression(otlp: &mut OtlpConfig, _: Signal, text: &str) -> Result<(), &'static str> {
    otlp.compression = match text {
        "gzip" => Compression::Gzip,
        "none" => Compression::None,
        _ => return Err("`gzip` or `none`"),
    };
    Ok(())
}

fn timeout(otlp: &mut OtlpConfig, _: Signal, text: &str) -> Result<(), &'static str> {
    milliseconds(text, &mut otlp.timeout)
}

/// One that cannot be sent leaves them all out: half of them would be refused with a riddle.
fn set_headers(otlp: &mut OtlpConfig, _: Signal, text: &str) -> Result<(), &'static str> {
    let can_be_sent =
        |pair: &(String, String)| headers::is_name(&pair.0) && headers::is_value(&pair.1);
    let pairs = pairs(text)
        .filter(|pairs| pairs.iter().all(can_be_sent))
        .ok_or(headers::RIGHT)?;
    let secret = |(name, value): (String, String)| (name, Secret::from(value));
    otlp.headers = pairs.into_iter().map(secret).collect();
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "the form of every setter")]
fn certificate(otlp: &mut OtlpConfig, _: Signal, text: &str) -> Result<(), &'static str> {
    otlp.certificate = Some(text.into());
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "the form of every setter")]
fn client_certificate(otlp: &mut OtlpConfig, _: Signal, text: &str) -> Result<(), &'static str> {
    otlp.client_certificate = Some(text.into());
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "the form of every setter")]
fn client_key(otlp: &mut OtlpConfig, _: Signal, text: &str) -> Result<(), &'static str> {
    otlp.client_key = Some(text.into());
    Ok(())
}

/// What is said of one signal is taken as it is.
fn endpoint(otlp: &mut OtlpConfig, signal: Signal, text: &str) -> Result<(), &'static str> {
    signal.endpoint(otlp.protocol, text)?;
    otlp.endpoint = Some(text.to_owned());
    Ok(())
}

/// What is said of all is where the paths of each begin.
fn base(otlp: &mut OtlpConfig, signal: Signal, text: &str) -> Result<(), &'static str> {
    if otlp.protocol == OtlpProtocol::Grpc {
        return endpoint(otlp, signal, text);
    }
    let base = Endpoint::new(text)
        .ok_or("a URL without user and password, `http://collector:4318`, say")?;
    let path = format!("{}{}", base.path().trim_end_matches('/'), signal.path());
    otlp.endpoint = Some(base.with_path(&path).expose());
    Ok(())
}
