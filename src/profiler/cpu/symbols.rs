//! Resolves addresses to the names of functions, by the debug information and the symbols of their files.

use std::collections::HashMap;

use addr2line::Loader;
use stack_sampler::Module;

/// A function at an address. An address has several frames if calls are inlined there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) function: String,
    pub(super) file: String,
    pub(super) line: u32,
}

/// Resolves addresses, and remembers them.
pub(super) struct Symbols<'m> {
    modules: &'m [Module],
    loaders: HashMap<usize, Option<Loader>>,
    frames: HashMap<u64, Vec<Frame>>,
    /// Addresses of the executable, and how many of them have a name.
    own: u64,
    own_named: u64,
}

impl<'m> Symbols<'m> {
    pub(super) fn new(modules: &'m [Module]) -> Self {
        Self {
            modules,
            loaders: HashMap::new(),
            frames: HashMap::new(),
            own: 0,
            own_named: 0,
        }
    }

    /// Returns the frames of an address, innermost first.
    pub(super) fn resolve(&mut self, address: u64) -> &[Frame] {
        if !self.frames.contains_key(&address) {
            let frames = self.find(address);
            self.frames.insert(address, frames);
        }
        self.frames.get(&address).map_or(&[], Vec::as_slice)
    }

    /// Returns whether most addresses of the executable have no name.
    pub(super) fn are_stripped(&self) -> bool {
        self.own > 0 && self.own_named * 2 < self.own
    }

    fn find(&mut self, address: u64) -> Vec<Frame> {
        let containing = |module: &Module| module.range.contains(&address);
        let Some(index) = self.modules.iter().position(containing) else {
            return vec![unnamed(format!("0x{address:x}"))];
        };
        let module = &self.modules[index];
        let in_file = address.wrapping_sub(module.bias);
        let is_own = index == 0;
        let loader = self.loaders.entry(index).or_insert_with(|| {
            let has_file = !module.path.as_os_str().is_empty();
            has_file.then(|| Loader::new(&module.path).ok()).flatten()
        });
        let frames = loader
            .as_ref()
            .map_or_else(Vec::new, |loader| named(loader, in_file));
        self.own += u64::from(is_own);
        self.own_named += u64::from(is_own && !frames.is_empty());
        if frames.is_empty() {
            let file = module
                .path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy();
            let file = if file.is_empty() { "vdso".into() } else { file };
            return vec![unnamed(format!("[{file}]+0x{in_file:x}"))];
        }
        frames
    }
}

fn unnamed(function: String) -> Frame {
    Frame {
        function,
        file: String::new(),
        line: 0,
    }
}

/// Returns the frames of an address in a file, by its debug information, else by its symbols.
fn named(loader: &Loader, address: u64) -> Vec<Frame> {
    let mut frames = Vec::new();
    if let Ok(mut found) = loader.find_frames(address) {
        while let Ok(Some(frame)) = found.next() {
            let Some(function) = frame.function else {
                continue;
            };
            let Ok(name) = function.demangle() else {
                continue;
            };
            let location = frame.location.as_ref();
            frames.push(Frame {
                function: name.into_owned(),
                file: location
                    .and_then(|place| place.file)
                    .unwrap_or_default()
                    .to_owned(),
                line: location.and_then(|place| place.line).unwrap_or_default(),
            });
        }
    }
    if frames.is_empty()
        && let Some(symbol) = loader.find_symbol(address)
    {
        let name = addr2line::demangle_auto(symbol.into(), None);
        frames.push(unnamed(name.into_owned()));
    }
    frames
}
