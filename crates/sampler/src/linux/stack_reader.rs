//! Reads stack memory without faults.

#![expect(unsafe_code, reason = "a system call with pointers")]

use std::io;

/// The number of bytes that one call reads.
const WINDOW_BYTES: usize = 4096;
/// The maximum distance of a frame from the stack pointer; the stacks of threads are smaller.
const MAX_DISTANCE: u64 = 64 << 20;
/// The bytes below the stack pointer that a function may use (the red zone of `x86_64`).
const RED_ZONE: u64 = 128;

/// A window of the stack: a copy of its memory, so that a frame costs no system call.
pub(super) struct StackReader {
    pid: i32,
    window: Box<[u64; WINDOW_BYTES / 8]>,
    start: u64,
    words: usize,
    stack_pointer: u64,
}

impl StackReader {
    /// Returns a reader, or an error if the system does not let the process read its own memory.
    pub(super) fn new() -> io::Result<Self> {
        let probe = 0x0123_4567_89ab_cdef_u64;
        let mut reader = Self {
            pid: std::process::id().cast_signed(),
            window: Box::new([0; WINDOW_BYTES / 8]),
            start: 0,
            words: 0,
            stack_pointer: 0,
        };
        let address = std::ptr::from_ref(&probe) as u64;
        reader.begin(address);
        match reader.read(address) {
            Ok(value) if value == probe => Ok(reader),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Begins the walk of a stack.
    pub(super) fn begin(&mut self, stack_pointer: u64) {
        self.stack_pointer = stack_pointer;
        self.words = 0;
    }

    /// Returns the word at an address of the stack.
    pub(super) fn read(&mut self, address: u64) -> Result<u64, ()> {
        let lowest = self.stack_pointer.saturating_sub(RED_ZONE);
        let is_stack = address >= lowest && address - lowest < MAX_DISTANCE;
        if !is_stack || !address.is_multiple_of(8) {
            return Err(());
        }
        let end = self.start + 8 * self.words as u64;
        if address < self.start || address >= end {
            self.fetch(address);
        }
        let index = (address.wrapping_sub(self.start) / 8) as usize;
        if index < self.words {
            Ok(self.window[index])
        } else {
            Err(())
        }
    }

    /// Copies the memory from `address` on, as far as it is mapped.
    fn fetch(&mut self, address: u64) {
        let local = libc::iovec {
            iov_base: self.window.as_mut_ptr().cast(),
            iov_len: WINDOW_BYTES,
        };
        let remote = libc::iovec {
            iov_base: address as *mut libc::c_void,
            iov_len: WINDOW_BYTES,
        };
        // SAFETY: the local vector is the window, which this reader owns. The kernel checks the remote addresses and
        // copies a prefix, or fails with EFAULT.
        let bytes = unsafe {
            libc::process_vm_readv(self.pid, &raw const local, 1, &raw const remote, 1, 0)
        };
        self.start = address;
        self.words = usize::try_from(bytes).unwrap_or(0) / 8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_read_and_an_unmapped_address_is_an_error() {
        let words = [7_u64, 8, 9];
        let address = words.as_ptr() as u64;
        let mut reader = StackReader::new().expect("the test may read its memory");
        reader.begin(address);
        assert_eq!(reader.read(address + 8), Ok(8));
        assert_eq!(reader.read(address + 9), Err(()), "unaligned");
        assert_eq!(reader.read(address - 4096), Err(()), "below the stack");
        reader.begin(4096);
        assert_eq!(reader.read(8192), Err(()), "unmapped");
    }
}
