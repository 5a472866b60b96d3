//! Opens the file, and what to do when that fails.

use std::{
    collections::BTreeMap,
    fs, io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    process,
    time::{SystemTime, UNIX_EPOCH},
};

use redb::{Database, DatabaseError, ReadableDatabase as _, ReadableTable as _, StorageError};
use serde::de::DeserializeOwned;

use super::store::{ALERTS, GROUPS, HISTORY, OUTBOX, SILENCES, SLOTS, Store};
use crate::alerting::{Silence, dispatch::Saved, history::HistoryRecord};

/// The file in the data directory.
const FILE_NAME: &str = "alerting.redb";
/// Beside it: the process that has it open.
const PID_NAME: &str = "alerting.pid";

/// Why the store was not opened, or could not write.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process has it open.
    #[error("{} is in use by {owner}; give each process a data_dir of its own", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
        /// The process, as far as it said.
        owner: String,
    },
    /// The file could not be read or written.
    #[error("cannot use {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What failed.
        #[source]
        source: Box<redb::Error>,
    },
    /// The directory could not be made.
    #[error("cannot make the directory {}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What failed.
        #[source]
        source: io::Error,
    },
    /// A record could not be turned into bytes.
    #[error("cannot write a record down")]
    Record(#[from] serde_json::Error),
}

/// What the file held.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) saved: Saved,
    pub(crate) history: Vec<HistoryRecord>,
    pub(crate) slots: BTreeMap<String, Vec<u8>>,
    /// Records that this version could not read.
    pub(crate) unreadable: usize,
}

impl Store {
    /// Opens the store in this directory, or in memory; blocks.
    ///
    /// A file that is damaged is put aside under another name, and a new one begun. A disk that does not take one
    /// leaves the store in memory, where [`Store::is_degraded`] tells of it.
    ///
    /// # Errors
    /// When another process has the file open: two of them would page twice and forget each other's words.
    pub(crate) fn open(directory: Option<&Path>) -> Result<(Self, Loaded), StoreError> {
        let Some(directory) = directory else {
            return Ok((Self::in_memory(), Loaded::default()));
        };
        let path = directory.join(FILE_NAME);
        match open_file(directory, &path) {
            Ok((database, loaded)) => Ok((Self::on_disk(path, database), loaded)),
            Err(error @ StoreError::Locked { .. }) => Err(error),
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "alert state is kept in memory only: a crash would forget it"
                );
                Ok((Self::degraded(path), Loaded::default()))
            }
        }
    }
}

fn open_file(directory: &Path, path: &Path) -> Result<(Database, Loaded), StoreError> {
    fs::create_dir_all(directory).map_err(|source| StoreError::Directory {
        path: directory.to_owned(),
        source,
    })?;
    let opened = match read_file(path) {
        Err(Problem::Damaged(problem)) => {
            let aside = put_aside(path, "damaged")?;
            tracing::error!(
                problem,
                aside = %aside.display(),
                "the alert store is damaged: it was put aside, and a new one begun"
            );
            read_file(path)
        }
        other => other,
    };
    let opened = opened.map_err(|problem| match problem {
        Problem::Locked => StoreError::Locked {
            path: path.to_owned(),
            owner: owner(directory),
        },
        Problem::Io(source) => StoreError::Io {
            path: path.to_owned(),
            source,
        },
        Problem::Damaged(text) => StoreError::Io {
            path: path.to_owned(),
            source: Box::new(redb::Error::Corrupted(text)),
        },
    })?;
    // Only for the message of whoever finds the file locked.
    if let Err(error) = fs::write(directory.join(PID_NAME), process::id().to_string()) {
        tracing::debug!(%error, "cannot say which process has the alert store open");
    }
    Ok(opened)
}

/// Opens the file again after the disk has failed; what it holds is written anew.
pub(super) fn reopen(path: &Path) -> Result<Database, StoreError> {
    let directory = path.parent().unwrap_or(Path::new("."));
    open_file(directory, path).map(|(database, _)| database)
}

/// As [`reopen`], for a file that was never read: what it holds is kept under another name, and its silences count.
pub(super) fn reopen_unread(path: &Path) -> Result<(Database, Vec<Silence>), StoreError> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let (database, loaded) = open_file(directory, path)?;
    if loaded.is_empty() {
        return Ok((database, Vec::new()));
    }
    drop(database);
    let aside = put_aside(path, "unread")?;
    tracing::warn!(
        aside = %aside.display(),
        "the alert store can be read again: what it held was put aside, but for its silences"
    );
    let (database, _) = open_file(directory, path)?;
    Ok((database, loaded.saved.silences))
}

impl Loaded {
    fn is_empty(&self) -> bool {
        let saved = &self.saved;
        saved.alerts.is_empty()
            && saved.groups.is_empty()
            && saved.silences.is_empty()
            && saved.outbox.is_empty()
            && self.history.is_empty()
            && self.slots.is_empty()
            && self.unreadable == 0
    }
}

enum Problem {
    Locked,
    Damaged(String),
    Io(Box<redb::Error>),
}

impl From<redb::Error> for Problem {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => Self::Locked,
            redb::Error::Io(io) if !is_damage(&io) => Self::Io(Box::new(redb::Error::Io(io))),
            other => Self::Damaged(other.to_string()),
        }
    }
}

/// A file that is no database, or too short for one.
fn is_damage(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
    )
}

/// A file that was damaged may make the database panic where it does not expect it.
fn read_file(path: &Path) -> Result<(Database, Loaded), Problem> {
    let read = || -> Result<_, Problem> {
        let database = Database::create(path).map_err(|error| match error {
            DatabaseError::Storage(StorageError::Io(io)) => Problem::from(redb::Error::Io(io)),
            other => Problem::from(redb::Error::from(other)),
        })?;
        let loaded = load(&database)?;
        Ok((database, loaded))
    };
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(Problem::Damaged("the database panicked".to_owned())))
}

fn load(database: &Database) -> Result<Loaded, redb::Error> {
    Store::make_tables(database)?;
    let read = database.begin_read()?;
    let mut loaded = Loaded::default();
    let unreadable = &mut loaded.unreadable;
    for row in read.open_table(ALERTS)?.iter()? {
        loaded
            .saved
            .alerts
            .extend(parse(row?.1.value(), unreadable));
    }
    for row in read.open_table(GROUPS)?.iter()? {
        loaded
            .saved
            .groups
            .extend(parse(row?.1.value(), unreadable));
    }
    for row in read.open_table(SILENCES)?.iter()? {
        loaded
            .saved
            .silences
            .extend(parse(row?.1.value(), unreadable));
    }
    for row in read.open_table(OUTBOX)?.iter()? {
        loaded
            .saved
            .outbox
            .extend(parse(row?.1.value(), unreadable));
    }
    for row in read.open_table(HISTORY)?.iter()? {
        loaded
            .history
            .extend(parse::<HistoryRecord>(row?.1.value(), unreadable));
    }
    for row in read.open_table(SLOTS)?.iter()? {
        let (name, bytes) = row?;
        loaded
            .slots
            .insert(name.value().to_owned(), bytes.value().to_vec());
    }
    Ok(loaded)
}

fn parse<T: DeserializeOwned>(bytes: &[u8], unreadable: &mut usize) -> Option<T> {
    let parsed = serde_json::from_slice(bytes);
    *unreadable += usize::from(parsed.is_err());
    parsed.ok()
}

fn put_aside(path: &Path, why: &str) -> Result<PathBuf, StoreError> {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{why}-{}", since.as_millis()));
    let aside = PathBuf::from(name);
    fs::rename(path, &aside).map_err(|source| StoreError::Directory {
        path: path.to_owned(),
        source,
    })?;
    Ok(aside)
}

fn owner(directory: &Path) -> String {
    match fs::read_to_string(directory.join(PID_NAME)) {
        Ok(pid) => format!("process {}", pid.trim()),
        Err(_) => "another process".to_owned(),
    }
}
