//! The layer that a value of the configuration comes from.

use std::{fmt, path::PathBuf, sync::Arc};

use super::ConfigError;

/// The layer of the configuration that a value comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Origin {
    /// The default of the option.
    Default,
    /// The preset with this name.
    Preset(&'static str),
    /// The configuration file.
    File {
        /// The path of the file.
        path: Arc<PathBuf>,
        /// The line of the value, from 1.
        line: u64,
    },
    /// The environment variable with this name.
    Variable(Arc<str>),
    /// Code of the application.
    Code,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Preset(preset) => write!(f, "preset {preset}"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Code => f.write_str("code"),
        }
    }
}

/// A problem of a configuration, and the layer that it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigProblem {
    /// The problem: key, value, and the valid values.
    pub error: ConfigError,
    /// The layer of the invalid value.
    pub origin: Origin,
}

impl ConfigProblem {
    /// Describes a problem and the layer that it comes from.
    pub(crate) const fn new(error: ConfigError, origin: Origin) -> Self {
        Self { error, origin }
    }

    /// Returns `true` if the error names its layer itself.
    pub(crate) fn is_complete(&self) -> bool {
        match (&self.origin, &self.error) {
            (Origin::Default | Origin::Code, _) => true,
            (Origin::Variable(name), error) => error.to_string().contains(&**name),
            _ => false,
        }
    }
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            _ if self.is_complete() => write!(f, "{}", self.error),
            origin @ Origin::File { .. } => write!(f, "{origin}: {}", self.error),
            origin => write!(f, "{} (from {origin})", self.error),
        }
    }
}
