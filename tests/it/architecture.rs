//! Holds the order of the areas in `src/`: a file imports only from its own area and from areas below it.
//!
//! A name that is imported through a re-export of `lib.rs` counts as a name of the area that defines it. Test code is
//! exempt. The section `# Architecture` of `lib.rs` lists the same areas in the same order.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::Visit;

/// The areas, from the top to the bottom.
const AREAS: &[&str] = &[
    "observatory",
    "config",
    "server",
    "profiler",
    "health",
    "alerting",
    "middleware",
    "instrument",
    "layer",
    "traces",
    "journal",
    "log",
    "system",
    "metrics",
    "query",
    "net",
    "privacy",
    "settings",
    "observation",
    "runtime",
];

/// Calls that only the area that owns them makes; everywhere else, time and environment are arguments.
const OWNED_CALLS: &[(&str, &str)] = &[
    ("Instant::now", "runtime"),
    ("SystemTime::now", "runtime"),
    ("std::env", "config"),
];

/// The calls in files that do not own them. A new call fails the test, and so does a number that is too large, so that
/// the list can only shrink.
const EXCEPTIONS: &[(&str, &str, usize)] = &[
    ("alerting/channel/email/mod.rs", "SystemTime::now", 1),
    ("alerting/channel/email/smtp.rs", "Instant::now", 1),
    ("alerting/channel/webhook.rs", "SystemTime::now", 1),
    ("alerting/delivery/runner.rs", "Instant::now", 2),
    ("alerting/outbox/open.rs", "SystemTime::now", 1),
    ("log/line.rs", "SystemTime::now", 1),
    ("net/client.rs", "SystemTime::now", 1),
    ("net/pace.rs", "Instant::now", 1),
    ("observatory/push.rs", "Instant::now", 1),
    ("observatory/running.rs", "Instant::now", 3),
    ("profiler/cpu/recording.rs", "Instant::now", 1),
    ("profiler/recorder.rs", "Instant::now", 1),
    ("profiler/recorder.rs", "SystemTime::now", 1),
    ("server/body.rs", "Instant::now", 2),
    ("server/connections.rs", "Instant::now", 3),
    ("server/metrics.rs", "Instant::now", 3),
    ("traces/exporter/deadline.rs", "Instant::now", 6),
    ("traces/live/mod.rs", "Instant::now", 1),
    ("traces/pipeline/delivery.rs", "Instant::now", 2),
    ("traces/pipeline/mod.rs", "Instant::now", 1),
    ("traces/pipeline/queue.rs", "Instant::now", 1),
    ("traces/pipeline/worker.rs", "SystemTime::now", 1),
];

/// The names that a file of `src/` uses in production code.
#[derive(Default)]
struct Source {
    /// The path of the module, from the root of the crate.
    module: Vec<String>,
    /// Absolute paths of names of this crate.
    names: BTreeSet<Vec<String>>,
    calls: BTreeMap<&'static str, usize>,
}

impl Source {
    fn parse(module: Vec<String>, text: &str) -> Self {
        let mut source = Self {
            module,
            ..Self::default()
        };
        source.visit_file(&syn::parse_file(text).unwrap());
        source
    }

    fn area(&self) -> &str {
        self.module.first().map_or("lib", String::as_str)
    }

    /// Adds a path as it is written in the module.
    fn add(&mut self, written: &[String]) {
        for (call, _) in OWNED_CALLS {
            let call_segments: Vec<&str> = call.split("::").collect();
            let is_call = match call_segments[..] {
                ["std", "env"] => written.starts_with(&["std".to_owned(), "env".to_owned()]),
                _ => {
                    written.len() >= 2
                        && written[written.len() - 2..]
                            .iter()
                            .eq(call_segments.iter().copied())
                }
            };
            if is_call {
                *self.calls.entry(call).or_default() += 1;
            }
        }
        let mut rest = written;
        let mut absolute = match written.first().map(String::as_str) {
            Some("crate") => Vec::new(),
            Some("super" | "self") => self.module.clone(),
            _ => return,
        };
        while let Some((first, tail)) = rest.split_first() {
            match first.as_str() {
                "crate" | "self" => {}
                "super" => drop(absolute.pop()),
                _ => break,
            }
            rest = tail;
        }
        absolute.extend(rest.iter().cloned());
        self.names.insert(absolute);
    }

    fn add_use(&mut self, tree: &syn::UseTree, prefix: &mut Vec<String>) {
        match tree {
            syn::UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                self.add_use(&path.tree, prefix);
                prefix.pop();
            }
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.add_use(tree, prefix);
                }
            }
            syn::UseTree::Name(name) => self.add_leaf(&name.ident, prefix),
            syn::UseTree::Rename(rename) => self.add_leaf(&rename.ident, prefix),
            syn::UseTree::Glob(_) => self.add(&prefix.clone()),
        }
    }

    fn add_leaf(&mut self, name: &syn::Ident, prefix: &[String]) {
        let mut path = prefix.to_vec();
        path.push(name.to_string());
        self.add(&path);
    }

    /// Adds the paths in the arguments of a macro, which are tokens only.
    fn add_tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    if colons != 2 && !path.is_empty() {
                        self.add(&std::mem::take(&mut path));
                    }
                    path.push(name.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' && !path.is_empty() => {
                    colons += 1;
                }
                other => {
                    if !path.is_empty() {
                        self.add(&std::mem::take(&mut path));
                    }
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.add_tokens(group.stream());
                    }
                }
            }
        }
        if !path.is_empty() {
            self.add(&path);
        }
    }
}

/// Returns `true` if an item is compiled for tests only.
fn is_test_code(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let syn::Meta::List(list) = &attribute.meta else {
            return attribute.path().is_ident("test");
        };
        let condition = list.tokens.to_string();
        list.path.is_ident("cfg")
            && (condition == "test" || condition.starts_with("all (test") || condition == "doctest")
    })
}

impl<'ast> Visit<'ast> for Source {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let attributes = match item {
            syn::Item::Mod(item) => &item.attrs,
            syn::Item::Use(item) => &item.attrs,
            syn::Item::Fn(item) => &item.attrs,
            syn::Item::Impl(item) => &item.attrs,
            syn::Item::Struct(item) => &item.attrs,
            syn::Item::Const(item) => &item.attrs,
            _ => return syn::visit::visit_item(self, item),
        };
        if !is_test_code(attributes) {
            syn::visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.module.push(item.ident.to_string());
        syn::visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !is_test_code(&item.attrs) {
            syn::visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.add_use(&item.tree, &mut Vec::new());
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path.segments.iter();
        let written: Vec<String> = segments.map(|segment| segment.ident.to_string()).collect();
        self.add(&written);
        syn::visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        self.add_tokens(item.tokens.clone());
    }
}

fn source_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The files of `src/` that hold production code, with their paths below it.
fn files() -> Vec<(String, String)> {
    fn collect(directory: &Path, files: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
            let is_test = stem == "tests" || stem.ends_with("_tests");
            if path.is_dir() && !is_test {
                collect(&path, files);
            } else if path.extension().is_some_and(|ending| ending == "rs") && !is_test {
                let below = path.strip_prefix(source_root()).unwrap();
                let text = fs::read_to_string(&path).unwrap();
                files.push((below.to_string_lossy().replace('\\', "/"), text));
            }
        }
    }
    let mut all = Vec::new();
    collect(&source_root(), &mut all);
    all.sort();
    assert!(all.len() > 300, "only {} files were found", all.len());
    all
}

fn module_of(file: &str) -> Vec<String> {
    let path = file.trim_end_matches(".rs").trim_end_matches("/mod");
    let path = if path == "lib" || path == "main" {
        ""
    } else {
        path
    };
    let segments = path.split('/').filter(|segment| !segment.is_empty());
    segments.map(str::to_owned).collect()
}

/// The areas of the names that `lib.rs` re-exports.
struct Reexports(BTreeMap<String, String>);

impl Reexports {
    fn new(lib: &str) -> Self {
        let mut areas = BTreeMap::new();
        for name in Source::parse(Vec::new(), lib).names {
            if let (Some(area), Some(name)) = (name.first(), name.last())
                && name != area
            {
                areas.insert(name.clone(), area.clone());
            }
        }
        Self(areas)
    }

    /// The area that a path from the root of the crate leads to.
    fn area_of<'n>(&'n self, name: &'n [String]) -> Option<&'n str> {
        let first = name.first()?.as_str();
        if AREAS.contains(&first) {
            return Some(first);
        }
        let known = self.0.get(first).map(String::as_str);
        // The vocabulary is re-exported whole.
        let is_type = first.starts_with(char::is_uppercase);
        known.or(is_type.then_some("observation"))
    }
}

/// Returns an error for each name of a higher area that a file uses.
fn upward_imports(file: &str, text: &str, reexports: &Reexports) -> Vec<String> {
    let source = Source::parse(module_of(file), text);
    let rank = |area: &str| AREAS.iter().position(|known| *known == area);
    let own = source.area();
    if matches!(own, "lib" | "main") {
        return Vec::new();
    }
    let Some(own_rank) = rank(own) else {
        return vec![format!(
            "{file}: the area {own} is not in the list of areas"
        )];
    };
    let names = source.names.iter();
    let used = names.filter_map(|name| Some((name, reexports.area_of(name)?)));
    used.filter(|(_, area)| rank(area).is_some_and(|rank| rank < own_rank))
        .map(|(name, area)| {
            let name = name.join("::");
            format!("{file}: crate::{name} belongs to {area}, which is above {own}")
        })
        .collect()
}

fn reexports() -> Reexports {
    Reexports::new(&fs::read_to_string(source_root().join("lib.rs")).unwrap())
}

#[test]
fn imports_point_only_to_areas_below() {
    let reexports = reexports();
    let errors: Vec<String> = files()
        .iter()
        .flat_map(|(file, text)| upward_imports(file, text, &reexports))
        .collect();
    assert!(errors.is_empty(), "{}", errors.join("\n"));
}

#[test]
fn an_upward_import_is_found_however_it_is_written() {
    let reexports = reexports();
    for text in [
        "use crate::observatory::Observatory;",
        "use crate::{Observatory, runtime::Registered};",
        "use super::super::server::Sources;",
        "fn f() { crate::config::Preset::named(\"a\"); }",
        "fn f(config: &crate::Config) {}",
        "fn f() { assert!(crate::server::is_up(1)); }",
        "mod inner { use super::super::super::alerting::Alert; }",
        "#[cfg(any(test, feature = \"email\"))] use crate::alerting::Alert;",
    ] {
        let errors = upward_imports("metrics/registry.rs", text, &reexports);
        assert_eq!(errors.len(), 1, "{text}: {errors:?}");
    }
    for text in [
        "use crate::runtime::Registered;",
        "use crate::{Labels, Observation};",
        "use super::super::observation::Labels;",
        "#[cfg(test)] mod tests { use crate::Observatory; }",
        "mod inner { use super::super::catalog; }",
        "/// See [`crate::Observatory`].\nfn f() {}",
    ] {
        let errors = upward_imports("metrics/registry.rs", text, &reexports);
        assert!(errors.is_empty(), "{text}: {errors:?}");
    }
    let unknown = upward_imports("helpers.rs", "", &reexports);
    assert_eq!(unknown.len(), 1, "{unknown:?}");
}

#[test]
fn clocks_and_the_environment_are_read_by_the_areas_that_own_them() {
    let mut found = BTreeSet::new();
    for (file, text) in &files() {
        let source = Source::parse(module_of(file), text);
        for (call, count) in &source.calls {
            let owner = OWNED_CALLS.iter().find(|(known, _)| known == call);
            if owner.is_some_and(|(_, owner)| *owner != source.area()) {
                found.insert((file.clone(), *call, *count));
            }
        }
    }
    let listed: BTreeSet<_> = EXCEPTIONS
        .iter()
        .map(|(file, call, count)| ((*file).to_owned(), *call, *count))
        .collect();
    let row = |(file, call, count): &(String, &str, usize)| {
        format!("    (\"{file}\", \"{call}\", {count}),")
    };
    let added: Vec<String> = found.difference(&listed).map(row).collect();
    let gone: Vec<String> = listed.difference(&found).map(row).collect();
    assert!(
        added.is_empty() && gone.is_empty(),
        "pass the time as an argument, or correct the list of exceptions\nin the code:\n{}\nin the list:\n{}",
        added.join("\n"),
        gone.join("\n")
    );
}

#[test]
fn the_documentation_lists_the_areas_in_this_order() {
    let lib = fs::read_to_string(source_root().join("lib.rs")).unwrap();
    let section = lib.split("//! # Architecture").nth(1).unwrap();
    let rows = section
        .lines()
        .filter_map(|line| line.strip_prefix("//! | `"))
        .filter_map(|row| row.split('`').next());
    assert_eq!(rows.collect::<Vec<_>>(), AREAS);
}
