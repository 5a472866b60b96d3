//! The file: one transaction for everything that happened in one round.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use redb::{Database, TableDefinition, WriteTransaction};
use serde::Serialize;

use super::open::{StoreError, reopen, reopen_unread};
use crate::alerting::{
    Silence,
    dispatch::{Change, Notification},
    history::HistoryRecord,
};

pub(super) const ALERTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("alerts");
pub(super) const GROUPS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("groups");
pub(super) const SILENCES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("silences");
pub(super) const OUTBOX: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("outbox");
pub(super) const HISTORY: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("history");
pub(super) const SLOTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("slots");

/// Where things are written down.
#[derive(Debug)]
pub(crate) struct Store {
    /// `None` where everything is in memory.
    path: Option<PathBuf>,
    /// `None` in memory, and after the disk has failed.
    database: Option<Database>,
    slots: BTreeMap<String, Vec<u8>>,
    failures: u64,
    /// What an earlier process has left in the file was never read.
    is_unread: bool,
    /// Another process may have the file.
    is_closed: bool,
}

/// One thing to be written down.
#[derive(Clone, Debug)]
pub(crate) enum Write {
    Change(Change),
    PutNotification(Arc<Notification>),
    RemoveNotification(u64),
    PutHistory(Arc<HistoryRecord>),
    RemoveHistory(u64),
    PutSlot(String, Vec<u8>),
}

impl Store {
    pub(super) fn in_memory() -> Self {
        Self {
            path: None,
            database: None,
            slots: BTreeMap::new(),
            failures: 0,
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

    pub(super) fn degraded(path: PathBuf) -> Self {
        Self {
            path: Some(path),
            failures: 1,
            is_unread: true,
            ..Self::in_memory()
        }
    }

    /// Whether there should be a file, and is none that can be written.
    pub(crate) fn is_degraded(&self) -> bool {
        self.path.is_some() && self.database.is_none() && !self.is_closed
    }

    /// Lets go of the file; what is committed until [`Store::recover`] stays in memory.
    pub(crate) fn close(&mut self) {
        self.database = None;
        self.is_closed = self.path.is_some();
    }

    /// Whether it has let go of the file.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// How often writing has failed.
    pub(crate) fn failures(&self) -> u64 {
        self.failures
    }

    /// Writes all of it, or nothing; blocks until it is on the disk.
    ///
    /// # Errors
    /// When the disk does not take it. The store is degraded then, and takes everything without writing.
    pub(crate) fn commit(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        self.keep_slots(writes);
        let Some(database) = &self.database else {
            return Ok(());
        };
        write_all(database, writes, Begin::Here).map_err(|error| self.fail(error))
    }

    /// Opens the file again and writes everything anew.
    ///
    /// Where the file could not be read when it was first opened, and can be now, it is put aside, and the silences
    /// that it held come back: everything else of it is about alerts that this process has found anew.
    ///
    /// # Errors
    /// When the disk still does not take it, or another process has the file.
    pub(crate) fn recover(&mut self, everything: &[Write]) -> Result<Vec<Silence>, StoreError> {
        let Some(path) = &self.path else {
            return Ok(Vec::new());
        };
        self.is_closed = false;
        let slots = self.slots.iter();
        let slots = slots.map(|(name, bytes)| Write::PutSlot(name.clone(), bytes.clone()));
        let mut writes: Vec<Write> = slots.collect();
        writes.extend_from_slice(everything);
        let (database, silences) = if self.is_unread {
            reopen_unread(path)
        } else {
            reopen(path).map(|database| (database, Vec::new()))
        }
        .inspect_err(|_| self.failures += 1)?;
        self.is_unread = false;
        write_all(&database, &writes, Begin::Anew).map_err(|error| self.fail(error))?;
        self.database = Some(database);
        Ok(silences)
    }

    pub(super) fn make_tables(database: &Database) -> Result<(), redb::Error> {
        let transaction = database.begin_write()?;
        open_tables(&transaction)?;
        transaction.commit()?;
        Ok(())
    }

    fn keep_slots(&mut self, writes: &[Write]) {
        for write in writes {
            if let Write::PutSlot(name, bytes) = write {
                self.slots.insert(name.clone(), bytes.clone());
            }
        }
    }

    fn fail(&mut self, error: WriteError) -> StoreError {
        self.failures += 1;
        match error {
            WriteError::Record(error) => StoreError::Record(error),
            WriteError::Database(source) => {
                self.database = None;
                StoreError::Io {
                    path: self.path.clone().unwrap_or_default(),
                    source: Box::new(source),
                }
            }
        }
    }
}

/// Whether the tables keep what they have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Begin {
    Here,
    Anew,
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

fn write_all(database: &Database, writes: &[Write], begin: Begin) -> Result<(), WriteError> {
    let transaction = database.begin_write()?;
    if begin == Begin::Anew {
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
                Write::PutHistory(record) => {
                    history.insert(record.id, json(record.as_ref())?.as_slice())?;
                }
                Write::RemoveHistory(id) => {
                    history.remove(id)?;
                }
                Write::PutSlot(name, bytes) => {
                    slots.insert(name.as_str(), bytes.as_slice())?;
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
