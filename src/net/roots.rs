//! Loads the root certificates that clients trust: the system store, or Mozilla's bundled list if the system store has
//! no usable certificate.
//!
//! A container without CA certificates is common, and an https receiver must not stop the application there. The
//! fallback is visible: the observatory warns once and counts the clients that trust the bundled list.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU64, Ordering},
};

use rustls::RootCertStore;

/// The clients of this process that trust the bundled list.
static BUNDLED_CLIENTS: AtomicU64 = AtomicU64::new(0);

/// The root certificates of the platform.
pub(crate) struct PlatformRoots {
    pub(super) store: Arc<RootCertStore>,
    /// True if the store holds Mozilla's bundled list.
    pub(crate) is_bundled: bool,
}

/// The root certificates for one more client. The system store is read once for each process.
pub(crate) fn platform_roots() -> &'static PlatformRoots {
    static ROOTS: OnceLock<PlatformRoots> = OnceLock::new();
    let roots = ROOTS.get_or_init(load);
    if roots.is_bundled {
        BUNDLED_CLIENTS.fetch_add(1, Ordering::Relaxed);
    }
    roots
}

/// The number of clients of this process that trust the bundled list.
pub(crate) fn clients_on_bundled_roots() -> u64 {
    BUNDLED_CLIENTS.load(Ordering::Relaxed)
}

fn load() -> PlatformRoots {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let is_bundled = store.is_empty();
    if is_bundled {
        store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    PlatformRoots {
        store: Arc::new(store),
        is_bundled,
    }
}
