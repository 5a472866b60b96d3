//! Reads the configuration file: YAML with `${VAR}` and `${VAR:-default}`, to a tree with lines.

mod seed;
#[cfg(feature = "config-file")]
mod yaml;

use std::{path::PathBuf, sync::Arc};

pub(super) use self::seed::{printed, rewrite};
use super::{ConfigError, ConfigProblem, Origin, tree::Node};

/// The configuration file and the text in it.
#[derive(Clone, Debug)]
pub(super) struct FileText {
    pub(super) path: Arc<PathBuf>,
    pub(super) text: String,
}

impl FileText {
    /// Reads the file.
    pub(super) fn read(path: PathBuf) -> Result<Self, ConfigProblem> {
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Self {
                path: Arc::new(path),
                text,
            }),
            Err(error) => Err(ConfigProblem::new(
                ConfigError::File {
                    path,
                    problem: format!("cannot be read: {error}"),
                },
                Origin::Code,
            )),
        }
    }

    /// Parses the file; `None` stands for an empty file.
    #[cfg(feature = "config-file")]
    pub(super) fn parse(
        &self,
        variables: impl Iterator<Item = (String, String)>,
        notices: &mut Vec<String>,
    ) -> Result<Option<Node>, ConfigProblem> {
        yaml::parse(self, variables.collect(), notices)
    }

    #[cfg(not(feature = "config-file"))]
    pub(super) fn parse(
        &self,
        _: impl Iterator<Item = (String, String)>,
        _: &mut Vec<String>,
    ) -> Result<Option<Node>, ConfigProblem> {
        if self.text.is_empty() {
            return Ok(None);
        }
        let error = ConfigError::File {
            path: self.path.to_path_buf(),
            problem: "is not read without the feature `config-file`".to_owned(),
        };
        Err(ConfigProblem::new(error, Origin::Code))
    }
}
