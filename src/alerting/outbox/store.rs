//! Writes the changes of a round to the file in one transaction.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use redb::{Database, TableDefinition, WriteTransaction};
use serde::Serialize;

use super::open::{StoreError, reopen, reopen_unread};
use crate::{
    alerting::{
        Silence,
        dispatch::{Change, Notification},
        history::HistoryChange,
    },
    runtime::error_text::sentence,
};

pub(super) const ALERTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("alerts");
pub(super) const GROUPS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("groups");
pub(super) const SILENCES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("silences");
pub(super) const OUTBOX: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("outbox");
pub(super) const HISTORY: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("history");
pub(super) const SLOTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("slots");

/// The store of the alert state: a file, or memory only.
#[derive(Debug)]
pub(crate) struct Store {
    /// `None` for a store in memory.
    path: Option<PathBuf>,
    /// `None` in memory, and after a failure of the disk.
    database: Option<Database>,
    slots: BTreeMap<String, Vec<u8>>,
    failures: u64,
    /// The reason of the last failure; `None` while the file is open.
    problem: Option<String>,
    /// True if the file could not be read at the start.
    is_unread: bool,
    /// True if the file is closed, so that another process may open it.
    is_closed: bool,
}

/// A write to the store.
#[derive(Clone, Debug)]
pub(crate) enum Write {
    Change(Change),
    PutNotification(Arc<Notification>),
    RemoveNotification(u64),
    History(HistoryChange),
    /// A named value, such as the state of the rules.
    PutSlot(String, Vec<u8>),
    RemoveSlot(String),
}

impl Store {
    pub(super) fn in_memory() -> Self {
        Self {
            path: None,
            database: None,
            slots: BTreeMap::new(),
            failures: 0,
            problem: None,
            is_unread: false,
            is_closed: false,
        }
    }

    pub(super) fn on_disk(path: PathBuf, database: Database) -> Self {
        Self {
            path: Some(path),
            database: Some(database),
            ..Self::in_memory()
        }
    }

    pub(super) fn degraded(path: PathBuf, error: &StoreError) -> Self {
        Self {
            path: Some(path),
            failures: 1,
            problem: Some(sentence(error)),
            is_unread: true,
            ..Self::in_memory()
        }
    }

    /// Returns whether the store should have a file but works in memory after a failure.
    pub(crate) fn is_degraded(&self) -> bool {
        self.path.is_some() && self.database.is_none() && !self.is_closed
    }

    /// Closes the file. Until [`Store::recover`], commits keep the named values in memory only.
    pub(crate) fn close(&mut self) {
        self.database = None;
        self.is_closed = self.path.is_some();
    }

    /// Returns whether the file is closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Returns the path and the reason of the failure if the store is degraded.
    pub(crate) fn problem(&self) -> Option<String> {
        self.problem.clone().filter(|_| self.is_degraded())
    }

    /// Returns the number of failed writes.
    pub(crate) fn failures(&self) -> u64 {
        self.failures
    }

    /// Writes all changes in one transaction; blocks until they are on the disk.
    ///
    /// # Errors
    /// If the write fails. The store is degraded from then on: later commits succeed without a write.
    pub(crate) fn commit(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        self.keep_slots(writes);
        let Some(database) = &self.database else {
            return Ok(());
        };
        write_all(database, writes, WriteMode::Update).map_err(|error| self.fail(error))
    }

    /// Opens the file again and replaces its contents by `full_state`.
    ///
    /// If the file could not be read at the start and is readable now, it is renamed, and its silences are returned. Its
    /// other records concern alerts that this process has evaluated again.
    ///
    /// # Errors
    /// If the write fails again, or another process has the file open.
    pub(crate) fn recover(&mut self, full_state: &[Write]) -> Result<Vec<Silence>, StoreError> {
        let Some(path) = &self.path else {
            return Ok(Vec::new());
        };
        self.is_closed = false;
        let slots = self.slots.iter();
        let slots = slots.map(|(name, bytes)| Write::PutSlot(name.clone(), bytes.clone()));
        let mut writes: Vec<Write> = slots.collect();
        writes.extend_from_slice(full_state);
        let (database, silences) = if self.is_unread {
            reopen_unread(path)
        } else {
            reopen(path).map(|database| (database, Vec::new()))
        }
        .inspect_err(|error| {
            self.failures += 1;
            self.problem = Some(sentence(error));
        })?;
        self.is_unread = false;
        write_all(&database, &writes, WriteMode::Replace).map_err(|error| self.fail(error))?;
        self.database = Some(database);
        self.problem = None;
        Ok(silences)
    }

    pub(super) fn make_tables(database: &Database) -> Result<(), redb::Error> {
        let transaction = database.begin_write()?;
        open_tables(&transaction)?;
        transaction.commit()?;
        Ok(())
    }

    /// Copies the named values: a degraded store writes them when it recovers.
    fn keep_slots(&mut self, writes: &[Write]) {
        for write in writes {
            if let Write::PutSlot(name, bytes) = write {
                self.slots.insert(name.clone(), bytes.clone());
            } else if let Write::RemoveSlot(name) = write {
                self.slots.remove(name);
            }
        }
    }

    /// Counts a failed write and degrades the store: no change of the transaction is on the disk.
    fn fail(&mut self, error: WriteError) -> StoreError {
        let error = match error {
            WriteError::Record(error) => StoreError::Record(error),
            WriteError::Database(source) => StoreError::Io {
                path: self.path.clone().unwrap_or_default(),
                source: Box::new(source),
            },
        };
        self.failures += 1;
        self.database = None;
        self.problem = Some(sentence(&error));
        error
    }
}

/// The effect of a transaction on the existing records.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WriteMode {
    /// Existing records stay.
    Update,
    /// Existing records are removed.
    Replace,
}

#[derive(Debug)]
enum WriteError {
    Record(serde_json::Error),
    Database(redb::Error),
}

impl<E: Into<redb::Error>> From<E> for WriteError {
    fn from(error: E) -> Self {
        Self::Database(error.into())
    }
}

fn open_tables(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    transaction.open_table(ALERTS)?;
    transaction.open_table(GROUPS)?;
    transaction.open_table(SILENCES)?;
    transaction.open_table(OUTBOX)?;
    transaction.open_table(HISTORY)?;
    transaction.open_table(SLOTS)?;
    Ok(())
}

fn write_all(database: &Database, writes: &[Write], mode: WriteMode) -> Result<(), WriteError> {
    let transaction = database.begin_write()?;
    if mode == WriteMode::Replace {
        for table in transaction.list_tables()?.collect::<Vec<_>>() {
            transaction.delete_table(table)?;
        }
    }
    {
        let mut alerts = transaction.open_table(ALERTS)?;
        let mut groups = transaction.open_table(GROUPS)?;
        let mut silences = transaction.open_table(SILENCES)?;
        let mut outbox = transaction.open_table(OUTBOX)?;
        let mut history = transaction.open_table(HISTORY)?;
        let mut slots = transaction.open_table(SLOTS)?;
        for write in writes {
            match write {
                Write::Change(Change::PutAlert(fingerprint, state)) => {
                    alerts.insert(fingerprint, json(state)?.as_slice())?;
                }
                Write::Change(Change::RemoveAlert(fingerprint)) => {
                    alerts.remove(fingerprint)?;
                }
                Write::Change(Change::PutGroup(record)) => {
                    groups.insert(record.id.as_str(), json(record)?.as_slice())?;
                }
                Write::Change(Change::RemoveGroup(id)) => {
                    groups.remove(id.as_str())?;
                }
                Write::Change(Change::PutSilence(silence)) => {
                    silences.insert(silence.id.as_str(), json(silence)?.as_slice())?;
                }
                Write::Change(Change::RemoveSilence(id)) => {
                    silences.remove(id.as_str())?;
                }
                Write::PutNotification(notification) => {
                    outbox.insert(notification.id, json(notification.as_ref())?.as_slice())?;
                }
                Write::RemoveNotification(id) => {
                    outbox.remove(id)?;
                }
                Write::History(HistoryChange::Put(record)) => {
                    history.insert(record.id, json(record.as_ref())?.as_slice())?;
                }
                Write::History(HistoryChange::Remove(id)) => {
                    history.remove(id)?;
                }
                Write::PutSlot(name, bytes) => {
                    slots.insert(name.as_str(), bytes.as_slice())?;
                }
                Write::RemoveSlot(name) => {
                    slots.remove(name.as_str())?;
                }
            }
        }
    }
    transaction.commit()?;
    Ok(())
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, WriteError> {
    serde_json::to_vec(value).map_err(WriteError::Record)
}
