//! Copies the unwind tables of the loaded modules.

#![expect(
    unsafe_code,
    reason = "reads the program headers and the tables in memory"
)]

use std::{
    ffi::{CStr, OsStr},
    ops::Range,
    os::unix::ffi::OsStrExt as _,
    path::PathBuf,
    sync::Arc,
};

use framehop::{
    ExplicitModuleSectionInfo, MustNotAllocateDuringUnwind, Unwinder as _, UnwinderNative,
};

use crate::Module;

/// The bytes of a table. The copy outlives its module.
type Table = Arc<[u8]>;

/// The unwinder of a session.
pub(super) type Unwinder = UnwinderNative<Table, MustNotAllocateDuringUnwind>;

/// The `DW_EH_PE_pcrel | DW_EH_PE_sdata4` of `.eh_frame_hdr`, which all linkers write.
const RELATIVE_I32: u8 = 0x1b;
/// The bytes of `.eh_frame_hdr` before its table: version, three encodings, two numbers.
const HEADER_BYTES: usize = 12;
/// The bytes of a row of the table of `.eh_frame_hdr`.
const ROW_BYTES: usize = 8;

/// Returns an unwinder for all loaded modules, and the modules.
pub(super) fn load() -> (Unwinder, Vec<Module>) {
    let mut loaded: Vec<Loaded> = Vec::new();
    // SAFETY: the callback has the signature that the function expects, and `loaded` outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut loaded).cast()) };
    let mut unwinder = Unwinder::new();
    let mut modules = Vec::with_capacity(loaded.len());
    for Loaded { module, tables } in loaded {
        if let Some(tables) = tables {
            unwinder.add_module(framehop::Module::new(
                module.path.to_string_lossy().into_owned(),
                module.range.clone(),
                module.bias,
                tables,
            ));
        }
        modules.push(module);
    }
    (unwinder, modules)
}

/// A module, and its tables if it has any.
struct Loaded {
    module: Module,
    tables: Option<ExplicitModuleSectionInfo<Table>>,
}

/// Appends a module to the vector that `data` points to. The loader's lock is held, so no module is unloaded meanwhile.
unsafe extern "C" fn visit(
    info: *mut libc::dl_phdr_info,
    _size: libc::size_t,
    data: *mut libc::c_void,
) -> libc::c_int {
    // SAFETY: `load` passes a pointer to its vector, and the loader a valid `info`.
    let (info, loaded) = unsafe { (&*info, &mut *data.cast::<Vec<Loaded>>()) };
    // SAFETY: the loader's name is null or a C string.
    let name = (!info.dlpi_name.is_null()).then(|| unsafe { CStr::from_ptr(info.dlpi_name) });
    // SAFETY: the loader's array of headers has this length.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
    // The first module is the executable, and has no name.
    let path = match name.map(CStr::to_bytes) {
        Some(b"") | None if loaded.is_empty() => PathBuf::from("/proc/self/exe"),
        Some(name) if name.starts_with(b"/") => PathBuf::from(OsStr::from_bytes(name)),
        _ => PathBuf::new(),
    };
    if let Some(found) = describe(path, info.dlpi_addr, headers) {
        loaded.push(found);
    }
    0
}

#[cfg_attr(
    target_pointer_width = "64",
    expect(clippy::useless_conversion, reason = "some libc types are u64 already")
)]
fn describe(path: PathBuf, bias: u64, headers: &[libc::Elf64_Phdr]) -> Option<Loaded> {
    let segment = |header: &libc::Elf64_Phdr| {
        let start = bias.wrapping_add(header.p_vaddr);
        start..start.saturating_add(u64::from(header.p_memsz))
    };
    let segments: Vec<_> = headers
        .iter()
        .filter(|header| header.p_type == libc::PT_LOAD)
        .map(segment)
        .collect();
    let start = segments.iter().map(|range| range.start).min()?;
    let end = segments.iter().map(|range| range.end).max()?;
    let module = Module {
        path,
        bias,
        range: start..end,
    };
    let index = headers
        .iter()
        .find(|header| header.p_type == libc::PT_GNU_EH_FRAME)
        .map(segment);
    let tables = index.and_then(|index| tables(bias, index, &segments));
    Some(Loaded { module, tables })
}

/// Copies `.eh_frame_hdr` and `.eh_frame`.
fn tables(
    bias: u64,
    index: Range<u64>,
    segments: &[Range<u64>],
) -> Option<ExplicitModuleSectionInfo<Table>> {
    let index_bytes = memory(index.clone(), segments)?;
    let head = index_bytes.get(..HEADER_BYTES)?;
    if head[0] != 1 || head[1] != RELATIVE_I32 {
        return None;
    }
    let distance = i32::from_le_bytes(head[4..8].try_into().ok()?);
    let rows = u32::from_le_bytes(head[8..12].try_into().ok()?) as usize;
    let index_bytes =
        index_bytes.get(..(HEADER_BYTES + ROW_BYTES * rows).min(index_bytes.len()))?;
    let frames_start = (index.start + 4).wrapping_add_signed(distance.into());
    let segment = segments
        .iter()
        .find(|segment| segment.contains(&frames_start))?;
    let frames = memory(frames_start..segment.end, segments)?;
    let frames = &frames[..records_end(frames)];
    let file = |range: Range<u64>| range.start.wrapping_sub(bias)..range.end.wrapping_sub(bias);
    Some(ExplicitModuleSectionInfo {
        base_svma: 0,
        eh_frame_svma: Some(file(frames_start..frames_start + frames.len() as u64)),
        eh_frame: Some(Arc::from(frames)),
        eh_frame_hdr_svma: Some(file(index)),
        eh_frame_hdr: Some(Arc::from(index_bytes)),
        ..Default::default()
    })
}

/// Returns the memory of a range that lies inside a loaded segment.
fn memory<'a>(range: Range<u64>, segments: &[Range<u64>]) -> Option<&'a [u8]> {
    let is_loaded = segments
        .iter()
        .any(|segment| segment.start <= range.start && range.end <= segment.end);
    let length = usize::try_from(range.end.checked_sub(range.start)?).ok()?;
    // SAFETY: the range lies in a segment that the loader has mapped. The segment stays mapped, because the loader's
    // lock is held, and `.eh_frame` and its index are never written. The slices do not leave the callback.
    (is_loaded && range.start != 0)
        .then(|| unsafe { std::slice::from_raw_parts(range.start as *const u8, length) })
}

/// Returns the length of the records of `.eh_frame`: a record of length zero ends them.
fn records_end(frames: &[u8]) -> usize {
    const EXTENDED: u32 = u32::MAX;
    let mut at = 0_usize;
    while let Some(Ok(word)) = frames.get(at..at + 4).map(TryInto::try_into) {
        let length = match u32::from_le_bytes(word) {
            0 => return at + 4,
            EXTENDED => return frames.len(),
            length => length as usize,
        };
        at = match at.checked_add(4 + length) {
            Some(next) if next <= frames.len() => next,
            _ => return frames.len(),
        };
    }
    frames.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_and_the_c_library_have_tables() {
        let (unwinder, modules) = load();
        let own = load as *const () as u64;
        let found = modules.iter().find(|module| module.range.contains(&own));
        assert_eq!(
            found.map(|module| module.path.to_str()),
            Some(Some("/proc/self/exe"))
        );
        assert!(modules.len() > 1, "{modules:?}");
        assert!(unwinder.max_known_code_address() > own);
    }

    #[test]
    fn the_records_end_at_a_length_of_zero_or_at_the_end() {
        let record = |length: u32| {
            let mut bytes = length.to_le_bytes().to_vec();
            bytes.resize(4 + length as usize, 1);
            bytes
        };
        let both = [record(8), record(0), record(4)].concat();
        assert_eq!(records_end(&both), 16);
        assert_eq!(records_end(&record(8)), 12);
        assert_eq!(
            records_end(&100_u32.to_le_bytes()),
            4,
            "a length beyond the end"
        );
        assert_eq!(records_end(&[]), 0);
    }
}
