//! Opens the file of the store: reads its records, and replaces a damaged file by a new file.

use std::{
    collections::BTreeMap,
    fs, io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{self, Path, PathBuf},
    process,
    time::SystemTime,
};

use redb::{Database, DatabaseError, ReadableDatabase as _, ReadableTable as _, StorageError};
use serde::de::DeserializeOwned;

use super::store::{ALERTS, GROUPS, HISTORY, OUTBOX, SILENCES, SLOTS, Store};
use crate::{
    alerting::{Silence, dispatch::PersistedState, history::HistoryRecord},
    runtime::unix_ms::UnixMs,
};

/// The name of the file in the data directory.
const FILE_NAME: &str = "alerting.redb";
/// The name of the file with the id of the process that has the store open.
const PID_NAME: &str = "alerting.pid";

/// An error of the store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process has the store open.
    #[error("{} is in use by {owner}; give each process its own data_dir", path.display())]
    Locked {
        /// The path of the file.
        path: PathBuf,
        /// The process that has the store open, if known.
        owner: String,
    },
    /// Reading or writing the file failed.
    #[error("cannot use {}", path.display())]
    Io {
        /// The path of the file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: Box<redb::Error>,
    },
    /// Creating the directory, or renaming the file in it, failed.
    #[error("cannot create the directory {}", path.display())]
    Directory {
        /// The path of the directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The file was deleted or replaced while it was open.
    #[error("{} was deleted or replaced while in use", path.display())]
    Replaced {
        /// The path of the file.
        path: PathBuf,
    },
    /// Serializing a record failed.
    #[error("cannot serialize a record")]
    Record(#[from] serde_json::Error),
}

/// The contents of the file.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) state: PersistedState,
    pub(crate) history: Vec<HistoryRecord>,
    pub(crate) slots: BTreeMap<String, Vec<u8>>,
    /// The number of records that this version cannot parse.
    pub(crate) unreadable: usize,
    /// The message about a damaged file that was renamed.
    pub(crate) damage: Option<String>,
}

impl Store {
    /// Opens the store in this directory, or in memory without a directory; blocks.
    ///
    /// A damaged file is renamed, and a new file is created. If the disk fails, the store works in memory, and
    /// [`Store::is_degraded`] returns true.
    ///
    /// # Errors
    /// If another process has the file open: two processes would notify twice and overwrite each other's state.
    pub(crate) fn open(directory: Option<&Path>) -> Result<(Self, Loaded), StoreError> {
        let Some(directory) = directory else {
            return Ok((Self::in_memory(), Loaded::default()));
        };
        // The application may change its working directory later.
        let directory = path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
        let path = directory.join(FILE_NAME);
        match open_file(&directory, &path) {
            Ok((database, loaded)) => Ok((Self::on_disk(path, database), loaded)),
            Err(error @ StoreError::Locked { .. }) => Err(error),
            // The runner logs the problem: at this point, the subscriber may not be installed yet.
            Err(error) => Ok((Self::degraded(path, &error), Loaded::default())),
        }
    }
}

fn open_file(directory: &Path, path: &Path) -> Result<(Database, Loaded), StoreError> {
    fs::create_dir_all(directory).map_err(|source| StoreError::Directory {
        path: directory.to_owned(),
        source,
    })?;
    let mut damage = None;
    let opened = match read_file(path) {
        Err(OpenFailure::Damaged(problem)) => {
            let renamed = rename_file(path, "damaged")?;
            let renamed = renamed.display();
            damage = Some(format!(
                "the alert store is damaged ({problem}): it was renamed to {renamed}, and a new store was created"
            ));
            read_file(path)
        }
        other => other,
    };
    let (database, mut loaded) = opened.map_err(|failure| match failure {
        OpenFailure::Locked => StoreError::Locked {
            path: path.to_owned(),
            owner: owner(directory),
        },
        OpenFailure::Io(source) => StoreError::Io {
            path: path.to_owned(),
            source,
        },
        OpenFailure::Damaged(text) => StoreError::Io {
            path: path.to_owned(),
            source: Box::new(redb::Error::Corrupted(text)),
        },
    })?;
    // The error message of another process that finds the file locked names this process.
    if let Err(error) = fs::write(directory.join(PID_NAME), process::id().to_string()) {
        tracing::debug!(%error, "cannot write the process id beside the alert store");
    }
    loaded.damage = damage;
    Ok((database, loaded))
}

/// Opens the file again after a failure of the disk; the caller overwrites its contents.
pub(super) fn reopen(path: &Path) -> Result<Database, StoreError> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let (database, loaded) = open_file(directory, path)?;
    loaded.log_damage();
    Ok(database)
}

/// Opens a file that could not be read at the start: renames the file if it has contents, and returns its silences.
pub(super) fn reopen_unread(path: &Path) -> Result<(Database, Vec<Silence>), StoreError> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let (database, loaded) = open_file(directory, path)?;
    loaded.log_damage();
    if loaded.is_empty() {
        return Ok((database, Vec::new()));
    }
    drop(database);
    let renamed = rename_file(path, "unread")?;
    tracing::warn!(
        renamed_to = %renamed.display(),
        "the alert store is readable again: its silences are restored, and the file with its other contents is renamed"
    );
    let (database, _) = open_file(directory, path)?;
    Ok((database, loaded.state.silences))
}

impl Loaded {
    fn log_damage(&self) {
        if let Some(damage) = &self.damage {
            tracing::error!("{damage}");
        }
    }

    fn is_empty(&self) -> bool {
        let state = &self.state;
        state.alerts.is_empty()
            && state.groups.is_empty()
            && state.silences.is_empty()
            && state.outbox.is_empty()
            && self.history.is_empty()
            && self.slots.is_empty()
            && self.unreadable == 0
    }
}

/// The reason why the file could not be opened.
enum OpenFailure {
    Locked,
    Damaged(String),
    Io(Box<redb::Error>),
}

impl From<redb::Error> for OpenFailure {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => Self::Locked,
            redb::Error::Io(io) if !is_damage(&io) => Self::Io(Box::new(redb::Error::Io(io))),
            other => Self::Damaged(other.to_string()),
        }
    }
}

/// Returns whether the file is not a database, or is too short for a database.
fn is_damage(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
    )
}

/// Opens and reads the file. The database may panic on a damaged file; a panic counts as damage.
fn read_file(path: &Path) -> Result<(Database, Loaded), OpenFailure> {
    let read = || -> Result<_, OpenFailure> {
        let database = Database::create(path).map_err(|error| match error {
            DatabaseError::Storage(StorageError::Io(io)) => OpenFailure::from(redb::Error::Io(io)),
            other => OpenFailure::from(redb::Error::from(other)),
        })?;
        let loaded = load(&database)?;
        Ok((database, loaded))
    };
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(OpenFailure::Damaged("the database panicked".to_owned())))
}

/// Reads all tables.
fn load(database: &Database) -> Result<Loaded, redb::Error> {
    Store::make_tables(database)?;
    let read = database.begin_read()?;
    let mut loaded = Loaded::default();
    let unreadable = &mut loaded.unreadable;
    for row in read.open_table(ALERTS)?.iter()? {
        loaded
            .state
            .alerts
            .extend(parse(row?.1.value(), unreadable));
    }
    for row in read.open_table(GROUPS)?.iter()? {
        loaded
            .state
            .groups
            .extend(parse(row?.1.value(), unreadable));
    }
    for row in read.open_table(SILENCES)?.iter()? {
        loaded
            .state
            .silences
            .extend(parse(row?.1.value(), unreadable));
    }
    for row in read.open_table(OUTBOX)?.iter()? {
        loaded
            .state
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

/// Parses a record; counts the record as unreadable if that fails.
fn parse<T: DeserializeOwned>(bytes: &[u8], unreadable: &mut usize) -> Option<T> {
    let parsed = serde_json::from_slice(bytes);
    *unreadable += usize::from(parsed.is_err());
    parsed.ok()
}

/// Renames the file to a name with the reason and the current time.
fn rename_file(path: &Path, reason: &str) -> Result<PathBuf, StoreError> {
    let now = UnixMs::from(SystemTime::now());
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{reason}-{now}"));
    let renamed = PathBuf::from(name);
    fs::rename(path, &renamed).map_err(|source| StoreError::Directory {
        path: path.to_owned(),
        source,
    })?;
    Ok(renamed)
}

/// Returns the process that has the store open, from its process id file.
fn owner(directory: &Path) -> String {
    match fs::read_to_string(directory.join(PID_NAME)) {
        Ok(pid) => format!("process {}", pid.trim()),
        Err(_) => "another process".to_owned(),
    }
}
