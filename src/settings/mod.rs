//! The parts of a configuration that every area shares: errors, checks, tables of variables, and parsers of values.
//!
//! An area owns its options, the table of environment variables that set them, and the checks of their values. `config`
//! composes the options of all areas and drives their tables. This area holds the vocabulary of both sides.

mod check;
mod error;
mod origin;
mod setters;
mod values;
mod variable;

#[cfg(any(feature = "alerting", feature = "server"))]
pub(crate) use self::values::comma_separated;
#[cfg(feature = "otlp")]
pub(crate) use self::values::percent_bytes;
pub(crate) use self::{
    check::{
        MIN_INTERVAL, at_least, check, check_compiled_in, check_pair, is_metric_name_part, share,
        within,
    },
    setters::setters,
    values::{
        boolean, count, duration, known_names, lowercase, milliseconds, pairs, ratio, some_text,
        text,
    },
    variable::{Invalid, Variable, set, variable},
};
pub use self::{
    error::ConfigError,
    origin::{ConfigProblem, Origin},
};
