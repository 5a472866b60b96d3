//! Parses the command line into checked settings. Every error names the option, the value and the valid values.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::routing::Strategy;

/// An OpenAI-compatible LLM router with its own traffic and a report that checks its metrics.
///
/// It serves /v1/chat/completions, sends itself requests over real HTTP, and at the end compares what the
/// client received, what the engines did, and what /metrics shows. Exit code 0: the three agree; 1: they
/// do not; 2: it could not run.
#[derive(Debug, Parser)]
#[command(name = "llm_router")]
pub(crate) struct Cli {
    /// Address of the router.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080", value_parser = address)]
    pub(crate) listen: SocketAddr,

    /// Address at which the observatory serves /metrics, /health and /status.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9090", value_parser = address)]
    pub(crate) monitor: SocketAddr,

    /// Replays a trace (columns TIMESTAMP, `ContextTokens`, `GeneratedTokens`) instead of random requests.
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,

    /// Factor by which traffic and engines run faster than real time.
    #[arg(long, value_name = "FACTOR", default_value = "1")]
    pub(crate) speed: Speed,

    /// Sends only the first N requests.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) requests: Option<u64>,

    /// Stops sending after this time (real time, not scaled), such as 60s or 5m.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) exit_after: Option<Duration>,

    /// Share of requests whose engine fails, before or amid the answer.
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = share)]
    pub(crate) fault_rate: f64,

    /// Stops failing after this time (real time, not scaled), such as 60s, so that alerts can resolve.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) fault_for: Option<Duration>,

    /// Share of requests whose client hangs up early.
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = share)]
    pub(crate) disconnect_rate: f64,

    /// Strategy that selects the model for requests that ask for "auto".
    #[arg(long, value_enum, default_value_t = Strategy::LeastBusy)]
    pub(crate) strategy: Strategy,

    /// An OpenAI-compatible server to route to, instead of the embedded engines.
    #[arg(long, value_name = "URL", value_parser = upstream)]
    pub(crate) upstream: Option<String>,

    /// A Redis server that the router needs: /health/ready fails without it.
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub(crate) redis: Option<SocketAddr>,

    /// Seed of faults, hang-ups, arrivals and text.
    #[arg(long, value_name = "NUMBER", default_value = "1")]
    pub(crate) seed: u64,

    /// Format of the report; with json, nothing else is written to standard output.
    #[arg(long, value_enum, default_value_t = Summary::Text)]
    pub(crate) summary: Summary,

    /// Continues to serve /metrics for this time after the report, such as 30s, so that Prometheus scrapes the final
    /// values.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) linger: Option<Duration>,

    /// Serves only your own clients, until Ctrl-C.
    #[arg(long, conflicts_with_all = ["trace", "requests", "disconnect_rate"])]
    pub(crate) no_client: bool,
}

/// The format of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Summary {
    Text,
    Json,
}

/// The factor by which everything runs faster than real time; finite and above zero.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Speed(f64);

impl Speed {
    /// Returns the real time that `simulated` takes.
    pub(crate) fn scale(self, simulated: Duration) -> Duration {
        simulated.div_f64(self.0)
    }
}

impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // These bounds keep every scaled Duration representable.
        match text.parse() {
            Ok(factor) if (0.001..=100_000.0).contains(&factor) => Ok(Self(factor)),
            _ => Err("expected a factor from 0.001 to 100000, such as 1 or 60".to_owned()),
        }
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "expected an IP address and a port, such as 127.0.0.1:8080".to_owned())
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("expected a share from 0 to 1, such as 0.02 for two in a hundred".to_owned()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let error = || "expected a whole number and a unit, such as 500ms, 60s, 5m or 1h".to_owned();
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| error())?;
    let milliseconds = match text.get(digits.len()..) {
        Some("ms") => 1,
        Some("s") => 1_000,
        Some("m") => 60_000,
        Some("h") => 3_600_000,
        _ => return Err(error()),
    };
    number
        .checked_mul(milliseconds)
        .filter(|total| (1..=31_536_000_000).contains(total))
        .map(Duration::from_millis)
        .ok_or_else(|| "expected a time above zero and up to a year, such as 60s".to_owned())
}

fn upstream(text: &str) -> Result<String, String> {
    // This example is built without TLS, which would double its build time.
    match reqwest::Url::parse(text) {
        Ok(url) if url.scheme() == "http" => {
            let base = text.trim_end_matches('/').trim_end_matches("/v1");
            Ok(base.to_owned())
        }
        Ok(url) if url.scheme() == "https" => Err(
            "https is not compiled in; expected http://host:port (a local server or proxy)"
                .to_owned(),
        ),
        _ => Err("expected a URL such as http://127.0.0.1:11434".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_needs_a_number_and_a_unit() {
        assert_eq!(duration("60s"), Ok(Duration::from_secs(60)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        for wrong in [
            "60",
            "s",
            "",
            "0s",
            "-1s",
            "1.5s",
            "60 s",
            "1d",
            "9999999999999h",
        ] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_speed_is_a_number_above_zero() {
        assert!("0.5".parse::<Speed>().is_ok());
        for wrong in ["0", "-1", "nan", "inf", "fast"] {
            assert!(wrong.parse::<Speed>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_upstream_may_end_in_v1() {
        assert_eq!(
            upstream("http://host:1/v1/").as_deref(),
            Ok("http://host:1")
        );
        assert!(upstream("https://host").is_err());
    }
}
