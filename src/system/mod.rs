//! Reports metrics of the process and the machine.
//!
//! With the feature `health`, a [`Sampler`] reads them on each tick of the observatory. Without it, the sampler is
//! empty.

#[cfg(all(feature = "health", target_os = "linux"))]
mod cgroup;
#[cfg(feature = "health")]
mod cgroup_tree;
#[cfg(feature = "health")]
mod cpu;
#[cfg(feature = "health")]
mod disk;
#[cfg(feature = "gpu")]
mod gpu;
#[cfg(feature = "health")]
mod runtimes;
#[cfg(feature = "health")]
mod sampler;

#[cfg(not(feature = "health"))]
pub(crate) use self::without::{Sampler, account_own_cpu};
#[cfg(feature = "health")]
pub(crate) use self::{
    cgroup_tree::{CgroupTree, CgroupVersion},
    cpu::account_own_cpu,
    runtimes::{MAIN, Runtimes},
    sampler::Sampler,
};

#[cfg(not(feature = "health"))]
mod without {
    use crate::metrics::Registry;

    /// A sampler that reads nothing.
    pub(crate) struct Sampler;

    impl Sampler {
        pub(crate) const fn new() -> Self {
            Self
        }

        #[expect(
            clippy::unused_self,
            reason = "callers are the same with and without the feature"
        )]
        pub(crate) const fn sample(&self, _: &Registry, _: std::time::Duration) {}
    }

    /// Counts nothing.
    pub(crate) const fn account_own_cpu(_: &Registry) {}
}
