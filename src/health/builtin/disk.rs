//! The check of disk space: bytes and inodes of the file systems of some directories.

use std::{
    collections::BTreeSet,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use nix::sys::statvfs::{FsFlags, Statvfs, statvfs};

use super::{EXHAUSTED_PERCENT, join, usage};
use crate::{
    health::{
        Check, CheckResult, HealthStatus,
        check::{Hint, Work},
    },
    runtime::lock,
};

/// Returns the check of the file systems that these paths are on. It runs on a thread of its own, since the query of a
/// network file system can hang; the message then names the path.
pub(super) fn check(paths: Vec<PathBuf>, threshold: f64) -> Check {
    let current = Arc::new(Mutex::new(None::<PathBuf>));
    let of_hint = Arc::clone(&current);
    let hint: Hint = Arc::new(move || {
        let path = lock(&of_hint).clone()?;
        Some(format!("{} does not answer", path.display()))
    });
    let check = move || {
        let result = measure(&paths, threshold, &current);
        *lock(&current) = None;
        result
    };
    Check(Work::Blocking(Arc::new(check), Some(hint)))
}

fn measure(paths: &[PathBuf], threshold: f64, current: &Mutex<Option<PathBuf>>) -> CheckResult {
    let (mut seen, mut parts, mut data) = (BTreeSet::new(), Vec::new(), Vec::new());
    for path in paths {
        *lock(current) = Some(path.clone());
        let path = existing(path);
        let name = path.display();
        let read = path
            .metadata()
            .and_then(|metadata| Ok((metadata.dev(), statvfs(path)?)));
        let (device, space) = match read {
            Ok(read) => read,
            Err(error) => {
                parts.push((
                    HealthStatus::Degraded,
                    format!("{name} cannot be read: {error}"),
                ));
                continue;
            }
        };
        // A read-only file system, such as an image, is always full.
        if !seen.insert(device) || space.flags().contains(FsFlags::ST_RDONLY) {
            continue;
        }
        for (what, percent) in [
            ("space", bytes_percent(&space)),
            ("inodes", inodes_percent(&space)),
        ] {
            let Some(percent) = percent else { continue };
            let what_of_path = format!("the {what} of {name}");
            parts.push(usage(
                &what_of_path,
                percent,
                threshold,
                Some(EXHAUSTED_PERCENT),
            ));
            data.push((format!("{name}: {what}_used_percent"), percent.into()));
        }
    }
    if parts
        .iter()
        .all(|(status, _)| *status == HealthStatus::Healthy)
    {
        let count = seen.len();
        parts = vec![(
            HealthStatus::Healthy,
            format!("{count} file systems have space"),
        )];
    }
    join(parts, data)
}

/// Returns a path, or its nearest ancestor that exists: a data directory may not be created yet.
fn existing(path: &Path) -> &Path {
    let mut ancestors = path.ancestors();
    // An empty ancestor is the working directory.
    ancestors
        .find(|path| path.as_os_str().is_empty() || path.exists())
        .filter(|path| !path.as_os_str().is_empty())
        .unwrap_or_else(|| Path::new("."))
}

/// The space in use in percent, of the space that users other than root may use, as `df` shows it.
fn bytes_percent(space: &Statvfs) -> Option<f64> {
    let used = space.blocks().saturating_sub(space.blocks_free());
    percent(used as f64, space.blocks_available() as f64)
}

/// The inodes in use in percent; `None` for file systems that create inodes on demand.
fn inodes_percent(space: &Statvfs) -> Option<f64> {
    let used = space.files().saturating_sub(space.files_free());
    percent(used as f64, space.files_available() as f64)
}

fn percent(used: f64, available: f64) -> Option<f64> {
    let total = used + available;
    (total > 0.0).then(|| 100.0 * used / total)
}
