//! Stubs of `src/runtime`.

pub mod clock {
    use std::time::{Duration, SystemTime};

    /// A clock whose readings are nanoseconds.
    pub struct Clock;

    impl Clock {
        pub fn between(&self, start: u64, end: u64) -> Duration {
            Duration::from_nanos(end - start)
        }

        pub fn wall(&self) -> SystemTime {
            SystemTime::UNIX_EPOCH
        }
    }
}

#[path = "../../src/runtime/lock.rs"]
mod lock;
#[path = "../../src/runtime/named.rs"]
mod named;

pub(crate) use self::{lock::lock, named::named};
