//! Draws the requests that fail and the kinds of their failures. The same seed fails the same requests.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::engine::EngineError;

/// The time after which the router gives up on an engine that hangs, before scaling.
const TIMEOUT: Duration = Duration::from_secs(3);

/// A failure of an engine.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// The client receives a status code.
    BeforeFirstToken { delay: Duration, error: EngineError },
    /// A streaming client receives part of the answer and an error event.
    MidStream {
        at_percent: u32,
        delay: Duration,
        error: EngineError,
    },
}

/// Draws faults.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FaultInjector {
    pub(crate) rate: f64,
    pub(crate) seed: u64,
    /// The time after which no request fails.
    pub(crate) until: Option<Instant>,
}

impl FaultInjector {
    /// Returns the fault of request `number`, if it has one. The draw depends on the number instead of the order of
    /// arrival, which differs between runs.
    pub(crate) fn draw(self, number: u64) -> Option<Fault> {
        if self.until.is_some_and(|until| Instant::now() >= until) {
            return None;
        }
        let mut random =
            StdRng::seed_from_u64(self.seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        if !random.random_bool(self.rate) {
            return None;
        }
        let (delay, error) = match random.random_range(0..4) {
            0 => (
                Duration::ZERO,
                EngineError::new(
                    "engine_crashed",
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "the engine crashed",
                ),
            ),
            1 => (
                Duration::ZERO,
                EngineError::new(
                    "engine_unreachable",
                    StatusCode::BAD_GATEWAY,
                    "the connection to the engine broke",
                ),
            ),
            2 => (
                Duration::ZERO,
                EngineError::new(
                    "out_of_memory",
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "the engine ran out of memory",
                ),
            ),
            _ => (TIMEOUT, EngineError::timeout(TIMEOUT)),
        };
        Some(if random.random_bool(0.5) {
            Fault::BeforeFirstToken { delay, error }
        } else {
            Fault::MidStream {
                at_percent: random.random_range(1..100),
                delay,
                error,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_faults_is_the_rate() {
        let injector = FaultInjector {
            rate: 0.02,
            seed: 1,
            until: None,
        };
        let faults = (0..10_000)
            .filter(|number| injector.draw(*number).is_some())
            .count();
        assert!((150..250).contains(&faults), "{faults}");
        let none = FaultInjector {
            rate: 0.0,
            ..injector
        };
        assert!(none.draw(3).is_none());
        let over = FaultInjector {
            rate: 1.0,
            until: Some(Instant::now()),
            ..injector
        };
        assert!(over.draw(3).is_none());
    }
}
