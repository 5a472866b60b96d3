//! Records profiles of the process.
//!
//! | Module | Content |
//! |---|---|
//! | [`handle`] | the handle that the application and the server use |
//! | `bottlenecks` | operations that wait, keep a thread, fail, or call a child too often |
//! | `cpu`, `recorder` | CPU profiles, by samples of stacks, one at a time (feature `profiling`) |
//! | `spans` | flame graphs of the journal |
//! | `stacks` | weighted stacks, and the forms of a flame graph |
//! | `pprof` | the format of `go tool pprof` |

mod bottlenecks;
#[cfg(feature = "profiling")]
mod cpu;
mod error;
mod handle;
mod options;
#[cfg(feature = "profiling")]
mod pprof;
#[cfg(feature = "profiling")]
mod recorder;
mod spans;
mod stacks;

#[cfg(feature = "profiling")]
pub use self::cpu::{CpuProfile, CpuSummary};
pub(crate) use self::handle::ProfilerParts;
#[cfg(all(feature = "profiling", feature = "server"))]
pub(crate) use self::recorder::CpuRequest;
pub use self::{
    bottlenecks::{Bottleneck, BottleneckKind, BottleneckSeverity},
    error::ProfilerError,
    handle::Profiler,
    options::{PerformanceThresholds, ProfilerConfig},
    spans::SpanFlameGraph,
};
