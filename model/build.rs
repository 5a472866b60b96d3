//! Copies the files under check with smaller tables and, for loom, with loom's atomics. A text that a replacement does
//! not find fails the build.

use std::{env, fs, path::Path};

/// The file, and for each text its replacement.
type Edit = (&'static str, &'static [(&'static str, &'static str)]);

/// Smaller, so that loom can visit every interleaving.
const SMALLER: [Edit; 3] = [
    (
        "metrics/registry/striped.rs",
        &[
            ("const MAX_MISSES: u32 = 64;", "const MAX_MISSES: u32 = 1;"),
            ("const STRIPES: usize = 8;", "const STRIPES: usize = 2;"),
        ],
    ),
    (
        "metrics/registry/cells.rs",
        &[(
            "const PADDING_WORDS: usize = 16;",
            "const PADDING_WORDS: usize = 0;",
        )],
    ),
    (
        "layer/open.rs",
        &[("const SLOTS: usize = 2048;", "const SLOTS: usize = 2;")],
    ),
];

/// Loom's types have no `const` constructors.
const LOOM: [Edit; 3] = [
    (
        "metrics/registry/striped.rs",
        &[
            (
                "sync::{\n        OnceLock,\n        atomic::",
                "sync::{\n        atomic::",
            ),
            (
                "[const { OnceLock::new() }; STRIPES]",
                "std::array::from_fn(|_| OnceLock::new())",
            ),
            (
                "thread_local! { static MINE: Cell<usize> = const { Cell::new(usize::MAX) } }",
                "loom::thread_local! { static MINE: Cell<usize> = Cell::new(usize::MAX) }",
            ),
            (
                "static NEXT: AtomicUsize",
                "static NEXT: std::sync::atomic::AtomicUsize",
            ),
            (
                "AtomicUsize::new(0);",
                "std::sync::atomic::AtomicUsize::new(0);",
            ),
            (
                "std::{\n    cell::Cell,\n    sync::{",
                "std::cell::Cell;\nuse crate::once_lock::OnceLock;\nuse loom::sync::{",
            ),
            ("    },\n};\n\n/// Failed", "};\n\n/// Failed"),
            ("AtomicU64, AtomicUsize, Ordering", "AtomicU64, Ordering"),
        ],
    ),
    (
        "metrics/registry/cells.rs",
        &[(
            "std::{\n    ops::Deref,\n    sync::{\n        Arc, OnceLock,\n        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},\n    },\n};",
            "std::{ops::Deref, sync::Arc};\nuse crate::once_lock::OnceLock;\nuse loom::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};",
        )],
    ),
    (
        "layer/open.rs",
        &[
            (
                "std::{\n    sync::atomic::{\n        AtomicU8, AtomicU32, AtomicU64,\n        Ordering::{Acquire, Relaxed, Release},\n    },\n    time::Duration,\n};",
                "std::time::Duration;\nuse loom::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::{Acquire, Relaxed, Release}};",
            ),
            ("const fn vacant", "fn vacant"),
            ("const fn unset", "fn unset"),
            (
                "[const { unset() }; TokenDetail::ALL.len()]",
                "std::array::from_fn(|_| unset())",
            ),
            (
                "[const { State::vacant() }; PLACES]",
                "std::array::from_fn(|_| State::vacant())",
            ),
        ],
    ),
];

fn main() {
    let sources = Path::new(&env::var("CARGO_MANIFEST_DIR").unwrap()).join("../src");
    let target = env::var("OUT_DIR").unwrap();
    let is_loom = env::var("CARGO_FEATURE_LOOM").is_ok();
    for (number, (file, edits)) in SMALLER.into_iter().enumerate() {
        let path = sources.join(file);
        println!("cargo::rerun-if-changed={}", path.display());
        let text = fs::read_to_string(&path).unwrap();
        // The text is included into a module, where inner comments are not allowed.
        let lines = text.lines().filter(|line| !line.starts_with("//!"));
        let mut text: String = lines.map(|line| format!("{line}\n")).collect();
        let loom = if is_loom { LOOM[number].1 } else { &[] };
        for (from, to) in edits.iter().chain(loom) {
            assert!(text.contains(from), "{file} has no {from:?}");
            text = text.replacen(from, to, 1);
        }
        let name = Path::new(file).file_name().unwrap();
        fs::write(Path::new(&target).join(name), text).unwrap();
    }
}
