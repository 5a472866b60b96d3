//! Reads disk space on a separate thread, since the query can hang on a dead network mount.

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use sysinfo::{DiskRefreshKind, Disks};

use crate::{
    metrics::{Registry, catalog},
    runtime::{lock, own_thread},
};

/// The maximum number of mounts with metrics.
const MAX_MOUNTS: usize = 32;

/// The space of one mount, in bytes.
struct Space {
    mount: String,
    total: u64,
    available: u64,
}

/// The result of the last reading, and whether a reading is in progress.
#[derive(Default)]
pub(super) struct DiskReader {
    last: Arc<Mutex<Vec<Space>>>,
    is_reading: Arc<AtomicBool>,
}

impl DiskReader {
    /// Reports the last reading, and starts the next unless the previous reading still hangs.
    pub(super) fn sample(&self, registry: &Registry) {
        for space in lock(&self.last).iter() {
            let used = space.total.saturating_sub(space.available);
            for (state, bytes) in [("used", used), ("total", space.total)] {
                let labels = [("mount", space.mount.as_str()), ("state", state)];
                registry.set(&catalog::SYSTEM_DISK, &labels, bytes as f64);
            }
        }
        if self.is_reading.swap(true, Ordering::AcqRel) {
            return;
        }
        let (last, is_reading) = (Arc::clone(&self.last), Arc::clone(&self.is_reading));
        let thread = std::thread::Builder::new()
            .name("obs-disk".to_owned())
            .spawn(move || {
                own_thread::mark();
                let read = read();
                *lock(&last) = read;
                is_reading.store(false, Ordering::Release);
            });
        if thread.is_err() {
            self.is_reading.store(false, Ordering::Release);
        }
    }
}

fn read() -> Vec<Space> {
    let disks = Disks::new_with_refreshed_list_specifics(DiskRefreshKind::nothing().with_storage());
    let Ok(disks) = disks else { return Vec::new() };
    let mut spaces: Vec<Space> = Vec::new();
    for disk in &disks {
        let mount = mount_label(disk.mount_point());
        let is_new = spaces.iter().all(|space| space.mount != mount);
        if disk.total_space() > 0 && is_new && spaces.len() < MAX_MOUNTS {
            spaces.push(Space {
                mount,
                total: disk.total_space(),
                available: disk.available_space(),
            });
        }
    }
    spaces
}

fn mount_label(mount: &Path) -> String {
    mount.to_string_lossy().into_owned()
}
