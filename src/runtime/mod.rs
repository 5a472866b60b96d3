//! Process-level services that every area may use: the handle of the subscriber.

mod registered;

pub(crate) use self::registered::Registered;
