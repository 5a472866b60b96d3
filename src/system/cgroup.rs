//! Reads the CPU limit of the process's cgroup, and the time for which the limit has stopped the process, of version 2 or 1.
//!
//! The memory of the cgroup is part of the sampler's memory, through `sysinfo`.

use std::{fs, path::Path, time::Duration};

use super::cgroup_tree::{CgroupTree, CgroupVersion};
use crate::metrics::{Registry, catalog};

/// The CPU of a cgroup. A limit that is not set is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct CgroupCpu {
    /// The tightest limit of the group and its ancestors.
    limit_cores: Option<f64>,
    /// The time for which the limit of the group has stopped its threads.
    throttled: Option<Duration>,
}

/// Writes the CPU of the process's cgroup into the registry; writes nothing without a limit.
pub(super) fn sample(registry: &Registry) {
    let cpu = read(Path::new("/"));
    if let Some(cores) = cpu.limit_cores {
        registry.set(&catalog::CGROUP_CPU_LIMIT, &[], cores);
    }
    if let (Some(_), Some(throttled)) = (cpu.limit_cores, cpu.throttled) {
        registry
            .counter(&catalog::CGROUP_CPU_THROTTLED, &[])
            .raise_to_f64(throttled.as_secs_f64());
    }
}

fn read(root: &Path) -> CgroupCpu {
    let mut cpu = CgroupCpu::default();
    for (version, group) in CgroupTree::read(root).directories("cpu") {
        let of_group = match version {
            CgroupVersion::One => version_1(&group),
            CgroupVersion::Two => version_2(&group),
        };
        cpu.limit_cores = match (cpu.limit_cores, of_group.limit_cores) {
            (Some(known), Some(new)) => Some(known.min(new)),
            (known, new) => known.or(new),
        };
        cpu.throttled = cpu.throttled.or(of_group.throttled);
    }
    cpu
}

fn version_2(group: &Path) -> CgroupCpu {
    let max = fs::read_to_string(group.join("cpu.max")).unwrap_or_default();
    let mut numbers = max.split_whitespace().map(|text| text.parse::<f64>().ok());
    // Without a limit, the quota is `max`.
    let limit = numbers.next().flatten().zip(numbers.next().flatten());
    CgroupCpu {
        limit_cores: limit.and_then(|(quota, period)| cores(quota, period)),
        throttled: stat(group, "throttled_usec").map(Duration::from_micros),
    }
}

fn version_1(group: &Path) -> CgroupCpu {
    let number = |name: &str| -> Option<f64> {
        let text = fs::read_to_string(group.join(name)).ok()?;
        text.trim().parse().ok()
    };
    // Without a limit, the quota is -1.
    let limit = number("cpu.cfs_quota_us").zip(number("cpu.cfs_period_us"));
    CgroupCpu {
        limit_cores: limit.and_then(|(quota, period)| cores(quota, period)),
        throttled: stat(group, "throttled_time").map(Duration::from_nanos),
    }
}

fn cores(quota: f64, period: f64) -> Option<f64> {
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

fn stat(group: &Path, key: &str) -> Option<u64> {
    let stat = fs::read_to_string(group.join("cpu.stat")).ok()?;
    let mut pairs = stat.lines().filter_map(|line| line.split_once(' '));
    let (_, value) = pairs.find(|(name, _)| *name == key)?;
    value.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_tree(name: &str, files: &[(&str, &str)]) -> CgroupCpu {
        let root = std::env::temp_dir().join(format!("obs-cpu-{name}-{}", std::process::id()));
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let cpu = read(&root);
        fs::remove_dir_all(&root).unwrap();
        cpu
    }

    #[test]
    fn version_2_has_the_tightest_limit_of_the_group_and_its_ancestors() {
        let cpu = read_tree(
            "v2",
            &[
                ("proc/self/cgroup", "0::/kubepods/pod1\n"),
                ("sys/fs/cgroup/kubepods/pod1/cpu.max", "max 100000\n"),
                (
                    "sys/fs/cgroup/kubepods/pod1/cpu.stat",
                    "usage_usec 9\nthrottled_usec 1500000\n",
                ),
                ("sys/fs/cgroup/kubepods/cpu.max", "150000 100000\n"),
            ],
        );
        let expected = CgroupCpu {
            limit_cores: Some(1.5),
            throttled: Some(Duration::from_millis(1_500)),
        };
        assert_eq!(cpu, expected);
    }

    #[test]
    fn version_1_is_read_and_a_group_without_a_limit_has_none() {
        let files = |quota| {
            [
                ("proc/self/cgroup", "5:memory:/a\n4:cpu,cpuacct:/a\n"),
                ("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", quota),
                ("sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n"),
                (
                    "sys/fs/cgroup/cpu/a/cpu.stat",
                    "nr_periods 1\nthrottled_time 2000000000\n",
                ),
            ]
        };
        let limited = read_tree("v1", &files("50000\n"));
        assert_eq!(limited.limit_cores, Some(0.5));
        assert_eq!(limited.throttled, Some(Duration::from_secs(2)));
        assert_eq!(read_tree("v1-none", &files("-1\n")).limit_cores, None);
        assert_eq!(
            read_tree("none", &[("proc/self/cgroup", "")]),
            CgroupCpu::default()
        );
    }
}
