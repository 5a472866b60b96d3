use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use super::{open::Loaded, *};
use crate::alerting::{Silence, SilenceRequest, Silences, dispatch::Change};

/// A directory that goes away with the test.
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
    silences.set(request, id.to_owned(), 0).unwrap();
    silences.get(id).unwrap().clone()
}

fn put(id: &str) -> Write {
    Write::Change(Change::PutSilence(silence(id)))
}

fn ids(loaded: &Loaded) -> Vec<String> {
    loaded
        .saved
        .silences
        .iter()
        .map(|silence| silence.id.clone())
        .collect()
}

#[test]
fn what_was_written_is_there_after_the_next_open() {
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
fn a_file_in_use_is_an_error_that_names_it_and_the_process() {
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
fn a_damaged_file_is_put_aside_and_a_new_one_begun() {
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
        let aside = fs::read_dir(directory.path()).unwrap().filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            name.to_string_lossy().contains("damaged")
        });
        assert_eq!(aside.count(), 1, "damage {at}");
    }
}

#[test]
fn a_disk_that_takes_nothing_leaves_the_store_in_memory_until_it_does() {
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
