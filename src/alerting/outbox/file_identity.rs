//! Detects that the path of an open file leads to another file, or to no file.

use std::{fs, io, path::Path};

/// The device and the inode of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileIdentity(u64, u64);

impl FileIdentity {
    /// Returns the identity of the file at this path. Systems other than Unix have no inodes: a replaced file is not
    /// detected there.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        #[cfg(unix)]
        let (device, inode) = {
            use std::os::unix::fs::MetadataExt as _;
            (metadata.dev(), metadata.ino())
        };
        #[cfg(not(unix))]
        let (device, inode) = (0, u64::from(metadata.is_file()));
        Ok(Self(device, inode))
    }

    /// Returns whether the path leads to this file. An error other than a missing file counts as yes: the file may still
    /// exist.
    pub(super) fn is_at(self, path: &Path) -> bool {
        Self::of(path).map_or_else(
            |error| {
                let kind = error.kind();
                !matches!(kind, io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
            },
            |found| found == self,
        )
    }
}
