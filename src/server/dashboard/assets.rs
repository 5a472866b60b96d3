//! The files of the page, in memory: plain, compressed once on first use, with entity tags.

use std::{
    borrow::Cow,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::Write as _,
    sync::{LazyLock, OnceLock},
};

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use flate2::{Compression, write::GzEncoder};

use super::POLICY;
use crate::server::negotiate;

/// The caching of an asset whose path has the version: a year, without asking again.
pub(super) const IMMUTABLE: &str = "public, max-age=31536000, immutable";

const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// A file of the page.
pub(super) struct Asset {
    name: &'static str,
    kind: &'static str,
    bytes: Cow<'static, [u8]>,
    gzip: OnceLock<Option<Vec<u8>>>,
}

macro_rules! assets {
    ($($kind:ident $folder:literal: $($name:literal)*;)*) => {
        static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| vec![$($(
            Asset::embedded($name, $kind, include_bytes!(concat!("../../../assets/", $folder, "/", $name))),
        )*)*]);
    };
}

const SVG: &str = "image/svg+xml";

assets! {
    CSS "dashboard": "app.css" "traces.css";
    CSS "vendor": "uplot.css";
    SVG "dashboard": "icon.svg";
    SCRIPT "dashboard":
        "alerts.js" "app.js" "chart.js" "details.js" "elements.js" "explore.js" "format.js" "health.js" "models.js"
        "overview.js" "panel.js" "parts.js" "profiles.js" "silence.js" "slos.js" "store.js" "system.js" "trace.js" "traces.js" "tree.js"
        "waterfall.js";
    SCRIPT "vendor": "editor.js" "flamegraph.js" "preact.js" "uplot.js";
    TEXT "vendor": "LICENSES.txt";
}

impl Asset {
    const fn embedded(name: &'static str, kind: &'static str, bytes: &'static [u8]) -> Self {
        Self {
            name,
            kind,
            bytes: Cow::Borrowed(bytes),
            gzip: OnceLock::new(),
        }
    }

    /// Returns the page, whose text depends on the service and on the prefix.
    pub(super) fn page(text: String) -> Self {
        Self {
            name: "index.html",
            kind: "text/html; charset=utf-8",
            bytes: Cow::Owned(text.into_bytes()),
            gzip: OnceLock::new(),
        }
    }

    fn tag(&self) -> String {
        let mut hasher = DefaultHasher::new();
        self.bytes.hash(&mut hasher);
        format!("\"{:016x}\"", hasher.finish())
    }

    /// Returns the compressed file, if compression makes it smaller.
    fn compressed(&self) -> Option<&[u8]> {
        let compress = || {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(&self.bytes).ok()?;
            let gzip = encoder.finish().ok()?;
            (gzip.len() < self.bytes.len()).then_some(gzip)
        };
        self.gzip.get_or_init(compress).as_deref()
    }
}

/// Returns the version of all assets: a hash of their names and bytes.
pub(super) fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let mut hasher = DefaultHasher::new();
        for asset in ASSETS.iter() {
            asset.name.hash(&mut hasher);
            asset.bytes.hash(&mut hasher);
        }
        format!("{:016x}", hasher.finish())
    });
    &VERSION
}

pub(super) fn find(name: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.name == name)
}

/// Returns an asset, or status 304 if the client has it.
pub(super) fn respond(asset: &Asset, headers: &HeaderMap, caching: &'static str) -> Response {
    let tag = asset.tag();
    let text_of = |name: HeaderName| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    };
    // A proxy that compresses turns the tag into a weak one.
    let known = text_of(header::IF_NONE_MATCH).split(',');
    let is_known = known
        .map(|known| known.trim().trim_start_matches("W/"))
        .any(|known| known == tag);
    let common = [
        (header::CONTENT_TYPE, asset.kind),
        (header::CACHE_CONTROL, caching),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::VARY, "accept-encoding"),
    ];
    let tag = [(header::ETAG, tag)];
    if is_known {
        return (StatusCode::NOT_MODIFIED, common, tag).into_response();
    }
    let accepts_gzip = negotiate::accepts_gzip(text_of(header::ACCEPT_ENCODING));
    match asset.compressed().filter(|_| accepts_gzip) {
        Some(gzip) => {
            let encoding = [(header::CONTENT_ENCODING, "gzip")];
            (common, tag, encoding, Bytes::copy_from_slice(gzip)).into_response()
        }
        None => (common, tag, Bytes::copy_from_slice(&asset.bytes)).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The files that a browser loads for the overview; see index.html.
    const FIRST: &[&str] = &[
        "app.css",
        "uplot.css",
        "icon.svg",
        "preact.js",
        "uplot.js",
        "app.js",
        "chart.js",
        "format.js",
        "overview.js",
        "panel.js",
        "parts.js",
        "store.js",
    ];
    const MAX_FIRST_BYTES: usize = 100_000;
    const MAX_BYTES: usize = 280_000;

    fn gzip_bytes(asset: &Asset) -> usize {
        asset.compressed().map_or(asset.bytes.len(), <[u8]>::len)
    }

    #[test]
    fn the_first_load_and_all_files_are_small() {
        let sum = |wanted: &dyn Fn(&Asset) -> bool| -> usize {
            let found = ASSETS.iter().filter(|asset| wanted(asset));
            found.map(gzip_bytes).sum()
        };
        let first = sum(&|asset| FIRST.contains(&asset.name));
        let all = sum(&|asset| asset.kind != TEXT);
        assert!(first <= MAX_FIRST_BYTES, "the first load has {first} bytes");
        assert!(all <= MAX_BYTES, "all files have {all} bytes");
    }

    #[test]
    fn the_page_preloads_the_modules_of_the_first_load() {
        let page = include_str!("../../../assets/dashboard/index.html");
        for name in FIRST {
            assert!(find(name).is_some(), "{name}");
            assert!(page.contains(&format!("{{assets}}/{name}\"")), "{name}");
        }
        assert_eq!(page.matches("{assets}/").count(), FIRST.len());
    }

    #[test]
    fn scripts_contain_no_way_to_turn_text_into_markup() {
        let own = ASSETS.iter().filter(|asset| {
            asset.kind == SCRIPT
                && !["editor.js", "flamegraph.js", "preact.js", "uplot.js"].contains(&asset.name)
        });
        for asset in own {
            let text = String::from_utf8_lossy(&asset.bytes);
            for forbidden in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "new Function",
                "https://",
            ] {
                assert!(!text.contains(forbidden), "{}: {forbidden}", asset.name);
            }
        }
    }
}
