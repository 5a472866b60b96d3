//! The directories of the process whose file systems the health checks read.

use std::path::PathBuf;

use super::Config;

/// Returns the data directory, the working directory, the temporary directory and the root.
pub(crate) fn checked_directories(config: &Config) -> Vec<PathBuf> {
    let mut directories = Vec::new();
    #[cfg(feature = "alerting")]
    directories.extend(config.alerting.data_dir.clone());
    #[cfg(not(feature = "alerting"))]
    let _ = config;
    directories.extend(std::env::current_dir());
    directories.push(std::env::temp_dir());
    directories.push("/".into());
    directories
}
