//! The flame graph of spans: self and idle time by path, from the journal.

use serde::Serialize;

use super::{
    ProfilerError,
    stacks::{Captions, Node, Stacks},
};
use crate::journal::PathTimes;

/// The frame below a path that stands for the time in which its innermost span waited.
const IDLE: &str = "(idle)";

/// Self and idle time of spans by path, in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpanFlameGraph {
    own: Stacks,
    idle: Stacks,
}

/// The graph as JSON.
#[derive(Serialize)]
struct Document {
    unit: &'static str,
    self_microseconds: u64,
    idle_microseconds: u64,
    root: Node,
}

impl SpanFlameGraph {
    pub(super) fn new(paths: &[PathTimes]) -> Self {
        let mut graph = Self::default();
        for PathTimes {
            path,
            own_ns,
            idle_ns,
            ..
        } in paths
        {
            let mut idle = path.clone();
            idle.push(IDLE.to_owned());
            for (stacks, stack, time_ns) in [
                (&mut graph.own, path.clone(), own_ns),
                (&mut graph.idle, idle, idle_ns),
            ] {
                let microseconds = time_ns / 1_000;
                if microseconds > 0 {
                    stacks.add(stack, microseconds);
                }
            }
        }
        graph
    }

    /// Keeps only the time in which spans ran.
    #[must_use]
    pub fn without_idle(mut self) -> Self {
        self.idle = Stacks::default();
        self
    }

    /// Keeps only the time in which spans waited.
    #[must_use]
    pub fn only_idle(mut self) -> Self {
        self.own = Stacks::default();
        self
    }

    /// Writes the paths in the folded form of `flamegraph.pl`: a line per path, outermost span first; the time of
    /// waiting has the frame `(idle)` at its end.
    #[must_use]
    pub fn folded(&self) -> String {
        self.stacks().folded()
    }

    /// Draws the flame graph as an SVG document.
    ///
    /// # Errors
    ///
    /// Returns an error if the feature `profiling` is not compiled in.
    pub fn svg(&self) -> Result<String, ProfilerError> {
        let notes = if self.own.total() + self.idle.total() == 0 {
            vec!["No span has closed yet.".to_owned()]
        } else {
            Vec::new()
        };
        self.stacks().svg(&Captions {
            title: "Spans: self and idle time",
            unit: "microseconds",
            notes: &notes,
        })
    }

    /// Returns the tree of the flame graph as JSON: `root` has `name`, `value` and `children`.
    #[must_use]
    pub fn json(&self) -> String {
        let document = Document {
            unit: "microseconds",
            self_microseconds: self.own.total(),
            idle_microseconds: self.idle.total(),
            root: self.stacks().tree("all"),
        };
        // Strings, numbers and maps always serialise.
        serde_json::to_string(&document).unwrap_or_default()
    }

    fn stacks(&self) -> Stacks {
        let mut stacks = self.own.clone();
        stacks.merge(&self.idle);
        stacks
    }
}
