//! Generates the arrivals of requests: read from a trace, or drawn from the trace's published percentiles.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// The arrival of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// Time since the first arrival, unscaled.
    pub(crate) at: Duration,
    pub(crate) prompt_tokens: u32,
    pub(crate) output_tokens: u32,
}

/// The arrivals, in order.
#[derive(Debug)]
pub(crate) enum Workload {
    Trace(std::vec::IntoIter<Arrival>),
    Drawn(Box<Draw>),
}

/// Endless random requests with the distribution of the Azure conversation trace.
#[derive(Debug)]
pub(crate) struct Draw {
    random: StdRng,
    at: Duration,
    /// Lengths of recent requests, which may be repeated.
    recent: Vec<(u32, u32)>,
}

/// An error of replaying a trace.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TraceError {
    #[error("--trace {}: cannot be read", path.display())]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("--trace {}: line {line} is {text:?}; expected TIMESTAMP,ContextTokens,GeneratedTokens as in 2023-11-16 18:15:46.6805900,374,44", path.display())]
    Malformed {
        path: PathBuf,
        line: usize,
        text: String,
    },
    #[error("--trace {}: no requests in it", path.display())]
    Empty { path: PathBuf },
}

/// The mean rate of the Azure conversation trace: 19,366 arrivals in 58 minutes.
const ARRIVALS_PER_SECOND: f64 = 5.5;
/// The ranks for which [`PROMPT_TOKENS`] and [`OUTPUT_TOKENS`] give the percentiles of that trace.
const SHARES: [f64; 8] = [0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0];
const PROMPT_TOKENS: [u32; 8] = [2, 207, 396, 1_020, 1_189, 2_734, 4_142, 14_050];
const OUTPUT_TOKENS: [u32; 8] = [7, 54, 85, 129, 395, 424, 601, 1_000];
/// Share of requests that repeat a recent request, so that the cache has hits.
const REPEATED: f64 = 0.2;
const RECENT: usize = 64;

impl Workload {
    /// Reads an Azure LLM inference trace.
    pub(crate) fn from_trace(path: &Path) -> Result<Self, TraceError> {
        let text = std::fs::read_to_string(path).map_err(|source| TraceError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let mut arrivals = Vec::new();
        let mut first = None;
        for (index, line) in text
            .lines()
            .enumerate()
            .skip(1)
            .filter(|(_, line)| !line.trim().is_empty())
        {
            let malformed = || TraceError::Malformed {
                path: path.to_owned(),
                line: index + 1,
                text: line.to_owned(),
            };
            let (time_of_day, prompt_tokens, output_tokens) = parse(line).ok_or_else(malformed)?;
            // A trace that passes midnight continues; a time that goes backwards counts as immediate.
            let at = time_of_day.saturating_sub(*first.get_or_insert(time_of_day));
            arrivals.push(Arrival {
                at,
                prompt_tokens,
                output_tokens,
            });
        }
        if arrivals.is_empty() {
            return Err(TraceError::Empty {
                path: path.to_owned(),
            });
        }
        Ok(Self::Trace(arrivals.into_iter()))
    }

    /// Returns endless random requests.
    pub(crate) fn drawn(seed: u64) -> Self {
        let random = StdRng::seed_from_u64(seed);
        Self::Drawn(Box::new(Draw {
            random,
            at: Duration::ZERO,
            recent: Vec::new(),
        }))
    }

    /// Returns the number of remaining requests, if it is known.
    pub(crate) fn remaining(&self) -> Option<u64> {
        match self {
            Self::Trace(arrivals) => Some(arrivals.len() as u64),
            Self::Drawn(_) => None,
        }
    }
}

impl Iterator for Workload {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        match self {
            Self::Trace(arrivals) => arrivals.next(),
            Self::Drawn(draw) => Some(draw.next()),
        }
    }
}

impl Draw {
    fn next(&mut self) -> Arrival {
        // Independent users arrive with exponential gaps. `1 - random` is never 0.
        let gap = -(1.0 - self.random.random::<f64>()).ln() / ARRIVALS_PER_SECOND;
        self.at += Duration::from_secs_f64(gap);
        let (prompt_tokens, output_tokens) = self.lengths();
        Arrival {
            at: self.at,
            prompt_tokens,
            output_tokens,
        }
    }

    fn lengths(&mut self) -> (u32, u32) {
        if !self.recent.is_empty() && self.random.random_bool(REPEATED) {
            return self.recent[self.random.random_range(0..self.recent.len())];
        }
        let lengths = (self.length(&PROMPT_TOKENS), self.length(&OUTPUT_TOKENS));
        if self.recent.len() == RECENT {
            self.recent.remove(0);
        }
        self.recent.push(lengths);
        lengths
    }

    /// Draws from the distribution that is linear between its percentiles.
    fn length(&mut self, percentiles: &[u32; 8]) -> u32 {
        let share = self.random.random::<f64>();
        let upper = SHARES
            .iter()
            .position(|bound| share < *bound)
            .unwrap_or(SHARES.len() - 1)
            .max(1);
        let (from, to) = (percentiles[upper - 1], percentiles[upper]);
        let within = (share - SHARES[upper - 1]) / (SHARES[upper] - SHARES[upper - 1]);
        let length = f64::from(from) + within * f64::from(to - from);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the value lies between two u32"
        )]
        let length = length.round() as u32;
        length
    }
}

fn parse(line: &str) -> Option<(Duration, u32, u32)> {
    let mut columns = line.trim().split(',');
    let (timestamp, prompt, output) = (columns.next()?, columns.next()?, columns.next()?);
    let (date, time) = timestamp.split_once(' ')?;
    let mut time = time.split(':');
    let hours: u64 = time.next()?.parse().ok()?;
    let minutes: u64 = time.next()?.parse().ok()?;
    let seconds: f64 = time.next()?.parse().ok()?;
    // The day of the month is sufficient: no published trace crosses into the next month.
    let day: u64 = date.rsplit('-').next()?.parse().ok()?;
    let whole = Duration::from_secs(((day * 24 + hours) * 60 + minutes) * 60);
    let at = whole + Duration::try_from_secs_f64(seconds).ok()?;
    Some((at, prompt.parse().ok()?, output.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_the_trace_is_parsed() {
        let (first, prompt, output) = parse("2023-11-16 23:59:59.5000000,374,44\r").unwrap();
        assert_eq!((prompt, output), (374, 44));
        let (second, ..) = parse("2023-11-17 00:00:00.7500000,1,1").unwrap();
        assert_eq!(
            second.checked_sub(first),
            Some(Duration::from_millis(1_250))
        );
        assert!(parse("TIMESTAMP,ContextTokens,GeneratedTokens").is_none());
    }

    #[test]
    fn random_requests_have_the_percentiles_of_the_trace() {
        let arrivals: Vec<_> = Workload::drawn(1).take(10_000).collect();
        let mut prompts: Vec<_> = arrivals
            .iter()
            .map(|arrival| arrival.prompt_tokens)
            .collect();
        prompts.sort_unstable();
        assert!((950..1_090).contains(&prompts[5_000]), "{}", prompts[5_000]);
        assert!(
            (1_600..2_050).contains(&arrivals[9_999].at.as_secs()),
            "{:?}",
            arrivals[9_999].at
        );
    }
}
