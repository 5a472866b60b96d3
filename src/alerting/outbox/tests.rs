use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use redb::{Database, StorageBackend, backends::InMemoryBackend};

use super::{open::Loaded, *};
use crate::{
    alerting::{Silence, SilenceRequest, Silences, dispatch::Change},
    runtime::unix_ms::UnixMs,
};

/// A temporary directory, removed at the end of the test.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("observatory-store-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn silence(id: &str) -> Silence {
    let mut silences = Silences::default();
    let request = SilenceRequest::until(10, "a=b").because("ada", "known");
    silences
        .set(request, id.to_owned(), UnixMs::from_i64(0))
        .unwrap();
    silences.get(id).unwrap().clone()
}

fn put(id: &str) -> Write {
    Write::Change(Change::PutSilence(silence(id)))
}

fn ids(loaded: &Loaded) -> Vec<String> {
    loaded
        .state
        .silences
        .iter()
        .map(|silence| silence.id.clone())
        .collect()
}

#[test]
fn committed_records_are_read_at_the_next_open() {
    let directory = Directory::new();
    let (mut store, loaded) = Store::open(Some(directory.path())).unwrap();
    assert!(ids(&loaded).is_empty());
    let slot = Write::PutSlot("rules".to_owned(), b"state".to_vec());
    store.commit(&[put("1"), put("2"), slot]).unwrap();
    store
        .commit(&[Write::Change(Change::RemoveSilence("1".to_owned()))])
        .unwrap();
    drop(store);
    let (_, loaded) = Store::open(Some(directory.path())).unwrap();
    assert_eq!(ids(&loaded), ["2"]);
    assert_eq!(loaded.slots["rules"], b"state");
}

#[test]
fn a_file_in_use_is_an_error_that_names_the_file_and_the_process() {
    let directory = Directory::new();
    let (_open, _) = Store::open(Some(directory.path())).unwrap();
    let error = Store::open(Some(directory.path())).unwrap_err().to_string();
    assert!(
        error.contains("alerting.redb is in use by process"),
        "{error}"
    );
    assert!(error.contains(&std::process::id().to_string()), "{error}");
}

#[test]
fn a_damaged_file_is_renamed_and_a_new_file_is_created() {
    type Damage = fn(&mut Vec<u8>);
    let damages: [Damage; 5] = [
        |bytes| bytes.fill(0),
        |bytes| bytes.truncate(100),
        |bytes| bytes[..64].fill(0xff),
        |bytes| *bytes = b"not a database".to_vec(),
        |bytes| bytes.iter_mut().step_by(7).for_each(|byte| *byte ^= 0x5a),
    ];
    for (at, damage) in damages.into_iter().enumerate() {
        let directory = Directory::new();
        let (mut store, _) = Store::open(Some(directory.path())).unwrap();
        store.commit(&[put("1")]).unwrap();
        drop(store);
        let path = directory.path().join("alerting.redb");
        let mut bytes = fs::read(&path).unwrap();
        damage(&mut bytes);
        fs::write(&path, bytes).unwrap();
        let (mut store, _) = Store::open(Some(directory.path())).unwrap();
        assert!(!store.is_degraded(), "damage {at}");
        store.commit(&[put("2")]).unwrap();
        let renamed = fs::read_dir(directory.path()).unwrap().filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            name.to_string_lossy().contains("damaged")
        });
        assert_eq!(renamed.count(), 1, "damage {at}");
    }
}

/// A disk that fills up during the test.
#[derive(Debug)]
struct Disk {
    memory: InMemoryBackend,
    is_full: Arc<AtomicBool>,
}

impl Disk {
    fn check(&self) -> io::Result<()> {
        if self.is_full.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.memory.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.memory.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check()?;
        self.memory.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.check()?;
        self.memory.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check()?;
        self.memory.write(offset, data)
    }
}

#[test]
fn a_full_disk_is_counted_and_the_full_state_is_written_after_recovery() {
    let directory = Directory::new();
    let is_full = Arc::new(AtomicBool::new(false));
    let disk = Disk {
        memory: InMemoryBackend::new(),
        is_full: Arc::clone(&is_full),
    };
    let database = Database::builder().create_with_backend(disk).unwrap();
    let path = directory.path().join("alerting.redb");
    let mut store = Store::on_disk(path, database);
    store
        .commit(&[put("1"), Write::PutSlot("rules".to_owned(), vec![1])])
        .unwrap();
    is_full.store(true, Ordering::Relaxed);
    let error = store.commit(&[put("2")]).unwrap_err().to_string();
    assert!(
        error.starts_with("cannot use ") && error.ends_with("alerting.redb"),
        "{error}"
    );
    assert!(store.is_degraded());
    assert_eq!(store.failures(), 1);
    // The store continues in memory.
    store
        .commit(&[put("3"), Write::PutSlot("rules".to_owned(), vec![3])])
        .unwrap();
    store.recover(&[put("1"), put("2"), put("3")]).unwrap();
    assert!(!store.is_degraded());
    drop(store);
    let (_, loaded) = Store::open(Some(directory.path())).unwrap();
    assert_eq!(ids(&loaded), ["1", "2", "3"]);
    assert_eq!(loaded.slots["rules"], [3]);
}

#[test]
fn an_unwritable_directory_keeps_the_store_in_memory_until_it_is_writable() {
    let directory = Directory::new();
    let blocked = directory.path().join("data");
    fs::write(&blocked, "a file where a directory should be").unwrap();
    let (mut store, _) = Store::open(Some(&blocked)).unwrap();
    assert!(store.is_degraded());
    assert_eq!(store.failures(), 1);
    store
        .commit(&[put("1"), Write::PutSlot("rules".to_owned(), vec![7])])
        .unwrap();
    assert!(store.recover(&[put("1")]).is_err());
    assert_eq!(store.failures(), 2);
    fs::remove_file(&blocked).unwrap();
    store.recover(&[put("1")]).unwrap();
    assert!(!store.is_degraded());
    drop(store);
    let (_, loaded) = Store::open(Some(&blocked)).unwrap();
    assert_eq!(ids(&loaded), ["1"]);
    assert_eq!(loaded.slots["rules"], [7]);
}

#[test]
fn a_file_that_becomes_readable_is_renamed_and_its_silences_are_restored() {
    let directory = Directory::new();
    let data = directory.path().join("data");
    let (mut store, _) = Store::open(Some(&data)).unwrap();
    store.commit(&[put("old")]).unwrap();
    drop(store);
    // A mount that appears after the start.
    let away = directory.path().join("away");
    fs::rename(&data, &away).unwrap();
    fs::write(&data, "").unwrap();
    let (mut store, _) = Store::open(Some(&data)).unwrap();
    assert!(store.is_degraded());
    fs::remove_file(&data).unwrap();
    fs::rename(&away, &data).unwrap();
    let silences = store.recover(&[put("new")]).unwrap();
    assert_eq!(silences.len(), 1);
    assert_eq!(silences[0].id, "old");
    drop(store);
    let (_, loaded) = Store::open(Some(&data)).unwrap();
    assert_eq!(ids(&loaded), ["new"]);
    let mut names = fs::read_dir(&data)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let renamed = names.find(|name| name.to_string_lossy().contains(".unread-"));
    let renamed = renamed.unwrap();
    fs::rename(data.join(renamed), data.join("alerting.redb")).unwrap();
    let (_, loaded) = Store::open(Some(&data)).unwrap();
    assert_eq!(ids(&loaded), ["old"]);
}

#[test]
fn a_closed_store_can_be_opened_by_another_process_and_recovered_later() {
    let directory = Directory::new();
    let (mut store, _) = Store::open(Some(directory.path())).unwrap();
    store.commit(&[put("1")]).unwrap();
    store.close();
    assert!(store.is_closed() && !store.is_degraded());
    let (other, loaded) = Store::open(Some(directory.path())).unwrap();
    assert_eq!(ids(&loaded), ["1"]);
    assert!(
        store.recover(&[put("1")]).is_err(),
        "the other store has the file open"
    );
    assert!(store.is_degraded());
    drop(other);
    store.recover(&[put("1"), put("2")]).unwrap();
    drop(store);
    let (_, loaded) = Store::open(Some(directory.path())).unwrap();
    assert_eq!(ids(&loaded), ["1", "2"]);
}
