//! Reads the limits of the process's cgroup, of version 2 or 1.

use std::{fs, path::Path};

use crate::system::{CgroupTree, CgroupVersion};

/// Memory that the kernel charges to the cgroup, without the page cache that the kernel reclaims on demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) used: u64,
    pub(super) limit: u64,
}

/// The limits of a cgroup. A limit that is not set is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cgroup {
    pub(super) memory: Option<Usage>,
    pub(super) threads: Option<Usage>,
}

/// Reads the tightest limits of the process's cgroup and of its ancestors, below `root`.
pub(super) fn read(root: &Path) -> Cgroup {
    let tree = CgroupTree::read(root);
    let memory = tree.directories("memory").map(|(version, group)| {
        let (used, limit, cache) = match version {
            CgroupVersion::One => (
                "memory.usage_in_bytes",
                "memory.limit_in_bytes",
                "total_inactive_file",
            ),
            CgroupVersion::Two => ("memory.current", "memory.max", "inactive_file"),
        };
        usage(&group, used, limit).map(|usage| without_cache(usage, &group, cache))
    });
    let threads = tree.directories("pids");
    let threads = threads.map(|(_, group)| usage(&group, "pids.current", "pids.max"));
    Cgroup {
        memory: memory.fold(None, tightest),
        threads: threads.fold(None, tightest),
    }
}

fn usage(group: &Path, used: &str, limit: &str) -> Option<Usage> {
    let number = |name: &str| -> Option<u64> {
        fs::read_to_string(group.join(name))
            .ok()?
            .trim()
            .parse()
            .ok()
    };
    let limit = number(limit)?;
    // Version 1 writes a limit that is not set as a number near 2⁶³.
    let is_set = limit > 0 && limit < 1 << 60;
    is_set.then_some(())?;
    Some(Usage {
        used: number(used)?,
        limit,
    })
}

fn without_cache(mut usage: Usage, group: &Path, key: &str) -> Usage {
    let stat = fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
    let cache = stat.lines().find_map(|line| {
        let (name, value) = line.split_once(' ')?;
        (name == key).then(|| value.trim().parse::<u64>().ok())?
    });
    usage.used = usage.used.saturating_sub(cache.unwrap_or(0));
    usage
}

/// Returns the usage that is nearer to its limit.
fn tightest(first: Option<Usage>, second: Option<Usage>) -> Option<Usage> {
    let share = |usage: &Usage| usage.used as f64 / usage.limit as f64;
    match (first, second) {
        (Some(first), Some(second)) => Some(if share(&second) > share(&first) {
            second
        } else {
            first
        }),
        (first, second) => first.or(second),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// Writes a tree of files to a directory that is removed at the end.
    struct Tree(PathBuf);

    impl Tree {
        fn new(name: &str, files: &[(&str, &str)]) -> Self {
            let root =
                std::env::temp_dir().join(format!("obs-cgroup-{name}-{}", std::process::id()));
            for (path, text) in files {
                let path = root.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            Self(root)
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn version_2_has_the_limits_of_the_group_and_its_ancestors() {
        // Recorded in a pod of Kubernetes 1.31 with a limit of 512 MiB; the slice above has the limit of the node.
        let tree = Tree::new(
            "v2",
            &[
                (
                    "proc/self/cgroup",
                    "0::/kubepods.slice/pod1.slice/cri-1.scope\n",
                ),
                (
                    "sys/fs/cgroup/kubepods.slice/pod1.slice/cri-1.scope/memory.max",
                    "max\n",
                ),
                (
                    "sys/fs/cgroup/kubepods.slice/pod1.slice/cri-1.scope/memory.current",
                    "300\n",
                ),
                (
                    "sys/fs/cgroup/kubepods.slice/pod1.slice/memory.max",
                    "536870912\n",
                ),
                (
                    "sys/fs/cgroup/kubepods.slice/pod1.slice/memory.current",
                    "440401920\n",
                ),
                (
                    "sys/fs/cgroup/kubepods.slice/pod1.slice/memory.stat",
                    "anon 300000000\ninactive_file 40401920\n",
                ),
                ("sys/fs/cgroup/kubepods.slice/pod1.slice/pids.max", "1000\n"),
                (
                    "sys/fs/cgroup/kubepods.slice/pod1.slice/pids.current",
                    "17\n",
                ),
                ("sys/fs/cgroup/kubepods.slice/memory.max", "16000000000\n"),
                (
                    "sys/fs/cgroup/kubepods.slice/memory.current",
                    "1000000000\n",
                ),
            ],
        );
        let cgroup = read(&tree.0);
        let memory = Usage {
            used: 400_000_000,
            limit: 536_870_912,
        };
        assert_eq!(cgroup.memory, Some(memory));
        assert_eq!(
            cgroup.threads,
            Some(Usage {
                used: 17,
                limit: 1_000
            })
        );
    }

    #[test]
    fn version_1_has_a_hierarchy_per_controller_and_no_limit_is_a_huge_number() {
        let tree = Tree::new(
            "v1",
            &[
                (
                    "proc/self/cgroup",
                    "5:pids:/docker/abc\n4:memory:/docker/abc\n1:name=systemd:/docker/abc\n",
                ),
                // In a container, only the mount exists.
                ("sys/fs/cgroup/memory/memory.limit_in_bytes", "268435456\n"),
                ("sys/fs/cgroup/memory/memory.usage_in_bytes", "200000000\n"),
                (
                    "sys/fs/cgroup/memory/memory.stat",
                    "cache 50000000\ntotal_inactive_file 30000000\n",
                ),
                ("sys/fs/cgroup/pids/pids.max", "max\n"),
            ],
        );
        let cgroup = read(&tree.0);
        assert_eq!(
            cgroup.memory,
            Some(Usage {
                used: 170_000_000,
                limit: 268_435_456
            })
        );
        assert_eq!(cgroup.threads, None);
        let unlimited = Tree::new(
            "v1-free",
            &[
                ("proc/self/cgroup", "4:memory:/\n"),
                (
                    "sys/fs/cgroup/memory/memory.limit_in_bytes",
                    "9223372036854771712\n",
                ),
                ("sys/fs/cgroup/memory/memory.usage_in_bytes", "200000000\n"),
            ],
        );
        assert_eq!(read(&unlimited.0), Cgroup::default());
    }
}
