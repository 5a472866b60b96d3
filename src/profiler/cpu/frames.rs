//! Folds the frames of async functions and of runtimes, so that a flame graph shows the application's calls.

/// The beginnings of frames that pass a call on.
const PASSED_ON: &[&str] = &[
    "__libc_start_",
    "__rust_begin_short_backtrace",
    "__rust_try",
    "alloc::boxed::Box<",
    "core::future::",
    "core::ops::function::",
    "core::panic::unwind_safe::",
    "core::panicking::",
    "core::pin::Pin<",
    "std::panic::",
    "std::panicking::",
    "std::rt::",
    "std::sys::",
    "std::thread::",
    "tokio::loom::",
    "tokio::macros::",
    "tracing::instrument::",
];

/// The whole names of functions that only call a closure. Debug information has no path for inlined functions, so that
/// their names stand alone.
const PASSED_ON_NAMES: &[&str] = &[
    "_start",
    "call",
    "call_mut",
    "call_once",
    "catch_unwind",
    "clone",
    "do_call",
    "lang_start",
    "lang_start_internal",
    "main",
    "poll",
    "start_thread",
    "try",
];

/// The modules whose consecutive frames become one frame.
const MERGED: &[&str] = &[
    "tokio::runtime",
    "tokio::task",
    "hyper_util",
    "hyper",
    "axum",
    "tower",
];

/// Returns the readable form of a stack, outermost first.
///
/// An async function is the closure that its state machine polls: its frame carries the name of the function. Frames
/// that pass a call on are dropped, consecutive frames of a runtime are merged, and the arguments of generic functions
/// are left out. The innermost frame always stays, so that the time of each function itself is unchanged.
pub(super) fn readable<'n>(stack: impl ExactSizeIterator<Item = &'n str>) -> Vec<String> {
    let leaf = stack.len().saturating_sub(1);
    let mut names: Vec<String> = Vec::with_capacity(stack.len());
    for (index, name) in stack.enumerate() {
        let is_leaf = index == leaf;
        let plain = without_generics(name);
        let (name, is_async) = without_closures(&plain);
        if !is_leaf && (name.is_empty() || passes_on(name)) {
            continue;
        }
        let merged = MERGED
            .iter()
            .find(|module| name.trim_start_matches('<').starts_with(**module));
        let shown = match merged {
            Some(module) if !is_leaf => module,
            _ if name.is_empty() => plain.as_str(),
            _ => name,
        };
        let is_repeated = names.last().is_some_and(|last| last == shown);
        // A function may call itself, but a function and its state machine are one.
        if is_repeated && (merged.is_some() || is_async) {
            continue;
        }
        names.push(shown.to_owned());
    }
    names
}

fn passes_on(name: &str) -> bool {
    let path = name.trim_start_matches('<');
    // A library without symbols.
    path.starts_with('[')
        || PASSED_ON_NAMES.contains(&path)
        || PASSED_ON
            .iter()
            .any(|beginning| path.starts_with(beginning))
}

/// Removes the arguments of generic functions: the groups in angle brackets that follow a name.
fn without_generics(name: &str) -> String {
    // A type at the beginning is the owner of a method: `<T as Trait>::method`.
    if name.starts_with('<') {
        return name.to_owned();
    }
    let (mut plain, mut depth) = (String::with_capacity(name.len()), 0_usize);
    let mut before = ' ';
    for character in name.chars() {
        match character {
            '<' => depth += 1,
            // The arrow of a function type is no bracket.
            '>' if before != '-' => depth = depth.saturating_sub(1),
            _ if depth == 0 => plain.push(character),
            _ => {}
        }
        before = character;
    }
    plain
        .replace("::::", "::")
        .trim_end_matches("::")
        .to_owned()
}

/// Removes the closures at the end of a name, in both forms of mangling. A name that consists of a closure is empty.
fn without_closures(name: &str) -> (&str, bool) {
    let mut rest = name;
    loop {
        let numbered = || {
            let start = rest.rfind("{closure#").filter(|_| rest.ends_with('}'))?;
            Some(rest[..start].trim_end_matches("::"))
        };
        match rest.strip_suffix("::{{closure}}").or_else(numbered) {
            Some(shorter) => rest = shorter,
            None => return (rest, rest.len() != name.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(stack: &[&str], expected: &[&str]) {
        assert_eq!(readable(stack.iter().copied()), expected, "{stack:?}");
    }

    #[test]
    fn an_async_stack_shows_the_functions_of_the_application() {
        check(
            &[
                "start_thread",
                "std::sys::thread::unix::Thread::new::thread_start",
                "tokio::runtime::scheduler::multi_thread::worker::run",
                "tokio::runtime::task::harness::poll",
                "<core::pin::Pin<P> as core::future::future::Future>::poll",
                "router::handle::{{closure}}",
                "<tracing::instrument::Instrumented<T> as core::future::future::Future>::poll",
                "router::handle::{{closure}}::{{closure}}",
                "router::tokenize",
            ],
            &["tokio::runtime", "router::handle", "router::tokenize"],
        );
        check(
            &[
                "[libc.so.6]+0x1098eb",
                "<std::sys::thread::unix::Thread>::new::thread_start",
                "{closure#1}<app::start::{closure_env#0}, ()>",
                "catch_unwind<(), core::panic::unwind_safe::AssertUnwindSafe<app::start>>",
                "do_call<app::start, ()>",
                "app::work::<u64>",
                "spin<fn() -> u8>",
            ],
            &["app::work", "spin"],
        );
        check(
            &[
                "app::run::{closure#0}",
                "app::run::{closure#0}::{closure#1}",
            ],
            &["app::run"],
        );
    }

    #[test]
    fn recursion_and_the_leaf_stay() {
        check(&["app::walk", "app::walk"], &["app::walk", "app::walk"]);
        check(&["main", "std::thread::park"], &["std::thread::park"]);
        check(&["mainframe::run"], &["mainframe::run"]);
        check(&[], &[]);
    }
}
