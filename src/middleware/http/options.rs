//! Options of the HTTP middleware: excluded paths, sampling, and captured headers.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use http::HeaderName;

/// A share of requests, `0.0..=1.0`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling(f64);

impl Sampling {
    /// Selects every request.
    pub const ALL: Self = Self(1.0);
    /// Selects no request.
    pub const NONE: Self = Self(0.0);

    /// Returns `None` unless `share` lies in `0.0..=1.0`.
    #[must_use]
    pub fn new(share: f64) -> Option<Self> {
        (0.0..=1.0).contains(&share).then_some(Self(share))
    }

    /// Returns `true` if the request with this sequence number is selected. Consecutive numbers are selected
    /// independently.
    fn selects(self, number: u64) -> bool {
        // The upper 53 bits of splitmix64, as a fraction of 2^53.
        let mut mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        ((mixed >> 11) as f64) < self.0 * (1_u64 << 53) as f64
    }
}

/// Options of the HTTP middleware.
///
/// ```
/// use llm_observatory::middleware::http::{HttpOptions, Sampling};
///
/// let options = HttpOptions::default()
///     .with_excluded_path("/internal/*")
///     .with_sampling(Sampling::new(0.1).unwrap_or(Sampling::ALL))
///     .with_captured_headers();
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct HttpOptions {
    /// Paths that are neither counted nor traced: `/health`, or `/internal/*` for all paths below `/internal`.
    /// Default: none.
    pub excluded_paths: Vec<String>,
    /// Share of requests that are traced and whose headers are captured. Every request is counted. Default: all.
    pub sampling: Sampling,
    /// True if headers are captured as fields of the span. Headers are never labels. Default: false.
    pub captures_headers: bool,
    /// Headers whose values are never captured, in addition to the headers that are known to carry secrets
    /// (`authorization`, `cookie`, `x-api-key`, and every name that contains `token`, `secret`, `password` or `key`).
    /// Default: none.
    pub redacted_headers: Vec<HeaderName>,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            excluded_paths: Vec::new(),
            sampling: Sampling::ALL,
            captures_headers: false,
            redacted_headers: Vec::new(),
        }
    }
}

impl HttpOptions {
    /// Excludes a path: `/health`, or `/internal/*` for all paths below `/internal`.
    #[must_use]
    pub fn with_excluded_path(mut self, path: impl Into<String>) -> Self {
        self.excluded_paths.push(path.into());
        self
    }

    /// Sets the share of requests that are traced and whose headers are captured.
    #[must_use]
    pub const fn with_sampling(mut self, sampling: Sampling) -> Self {
        self.sampling = sampling;
        self
    }

    /// Captures headers as fields of the span, with secrets masked.
    #[must_use]
    pub const fn with_captured_headers(mut self) -> Self {
        self.captures_headers = true;
        self
    }

    /// Excludes the value of a header from capture.
    #[must_use]
    pub fn with_redacted_header(mut self, name: HeaderName) -> Self {
        self.redacted_headers.push(name);
        self
    }

    pub(super) fn excludes(&self, path: &str) -> bool {
        self.excluded_paths
            .iter()
            .any(|excluded| match excluded.strip_suffix("/*") {
                None => path == excluded,
                Some(above) => path
                    .strip_prefix(above)
                    .is_some_and(|below| below.starts_with('/')),
            })
    }
}

/// Draws a sampling decision for each request.
#[derive(Debug, Default)]
pub(super) struct Sampler {
    requests: AtomicU64,
}

impl Sampler {
    /// Returns `true` if the next request is sampled.
    pub(super) fn samples_next(&self, sampling: Sampling) -> bool {
        // If every request is sampled, the sequence number is not needed.
        if sampling == Sampling::ALL {
            return true;
        }
        sampling.selects(self.requests.fetch_add(1, Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_excludes_only_the_paths_below() {
        let options = HttpOptions::default()
            .with_excluded_path("/health")
            .with_excluded_path("/internal/*");
        for path in ["/health", "/internal/a", "/internal/a/b", "/internal/"] {
            assert!(options.excludes(path), "{path}");
        }
        for path in ["/health/live", "/healthy", "/internal", "/internals/a", "/"] {
            assert!(!options.excludes(path), "{path}");
        }
    }

    #[test]
    fn a_share_of_requests_is_sampled() {
        for share in [0.0, 0.1, 0.5, 1.0] {
            let sampler = Sampler::default();
            let sampling = Sampling::new(share).unwrap();
            let taken = (0..10_000)
                .filter(|_| sampler.samples_next(sampling))
                .count() as f64;
            assert!(
                (taken - share * 10_000.0).abs() < 200.0,
                "{taken} of {share}"
            );
        }
        assert_eq!(Sampling::new(1.1), None);
        assert_eq!(Sampling::new(f64::NAN), None);
    }
}
