//! A cell that is written once, in loom's terms: a reader that sees the value sees all that precedes it.

use loom::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};

pub struct OnceLock<T> {
    value: std::sync::OnceLock<T>,
    is_set: AtomicBool,
    lock: Mutex<()>,
}

impl<T> OnceLock<T> {
    pub fn new() -> Self {
        Self {
            value: std::sync::OnceLock::new(),
            is_set: AtomicBool::new(false),
            lock: Mutex::new(()),
        }
    }

    pub fn get(&self) -> Option<&T> {
        let is_set = self.is_set.load(Ordering::Acquire);
        is_set.then(|| self.value.get()).flatten()
    }

    pub fn get_or_init(&self, create: impl FnOnce() -> T) -> &T {
        if let Some(value) = self.get() {
            return value;
        }
        let _held = self.lock.lock().unwrap();
        if self.value.get().is_none() {
            assert!(self.value.set(create()).is_ok(), "the lock is held");
            self.is_set.store(true, Ordering::Release);
        }
        self.value.get().unwrap()
    }
}
