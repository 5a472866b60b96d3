//! Finds the directories of the process's cgroup and of its ancestors, of version 2 or 1.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The version of a hierarchy of cgroups. A hybrid machine has both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CgroupVersion {
    One,
    Two,
}

/// The cgroups of the process, as the kernel lists them.
pub(crate) struct CgroupTree {
    /// The directory with the file systems of the cgroups.
    mount: PathBuf,
    /// Lines of the form `number:controllers:path`; version 2 has no controllers.
    lines: String,
}

impl CgroupTree {
    /// Reads the list of the process's cgroups, below `root`. The list is empty on a system without cgroups.
    pub(crate) fn read(root: &Path) -> Self {
        Self {
            mount: root.join("sys/fs/cgroup"),
            lines: fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default(),
        }
    }

    /// Returns the directories that can have the files of a controller, of each cgroup before its ancestors. In a container,
    /// the path of the host may not exist, and the mount itself is the cgroup.
    pub(crate) fn directories<'t>(
        &'t self,
        controller: &'t str,
    ) -> impl Iterator<Item = (CgroupVersion, PathBuf)> + 't {
        self.lines.lines().flat_map(move |line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let controllers = parts.next().unwrap_or_default();
            let path = parts.next();
            let found = if controllers.is_empty() {
                Some((CgroupVersion::Two, self.mount.clone()))
            } else {
                let is_listed = controllers.split(',').any(|name| name == controller);
                is_listed.then(|| (CgroupVersion::One, self.mount.join(controller)))
            };
            let found = found.zip(path).into_iter();
            found.flat_map(|((version, mount), path)| {
                let below = Path::new(path.trim_start_matches('/'));
                let directories = below.ancestors();
                directories.map(move |directory| (version, mount.join(directory)))
            })
        })
    }
}
