//! Prints a configuration with the origin of each value, also if the configuration is invalid.

use super::{
    Config, ConfigError, ConfigProblem, Origin,
    compose::{Composed, Loaded},
    file::printed,
    tree::{self, to_tree},
};

/// The result of a load: the problems, and every value with its origin.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LoadReport {
    /// Every problem; empty for a valid configuration.
    pub problems: Vec<ConfigProblem>,
    /// The configuration. An invalid value has its default.
    config: Config,
}

impl LoadReport {
    pub(super) fn new(composed: Composed) -> Self {
        let Composed {
            mut config,
            tree,
            problems,
        } = composed;
        config.loaded = Loaded(Some(tree.into()));
        Self { problems, config }
    }

    /// Prints every value with its origin. An invalid value is printed as its default.
    #[must_use]
    pub fn print(&self) -> String {
        print(&self.config)
    }

    /// Returns the configuration.
    ///
    /// # Errors
    ///
    /// Returns every problem.
    pub fn into_config(self) -> Result<Config, ConfigError> {
        if self.problems.is_empty() {
            Ok(self.config)
        } else {
            Err(ConfigError::Problems(self.problems))
        }
    }
}

pub(super) fn print(config: &Config) -> String {
    let loaded = config.loaded.0.as_deref();
    let mut tree = match loaded {
        Some(tree) => tree.clone(),
        None => to_tree(&Config::default(), &Origin::Default),
    };
    tree.refresh(to_tree(config, &Origin::Code), Some(&Origin::Code));
    printed(&mut tree);
    tree::print(&tree)
}
