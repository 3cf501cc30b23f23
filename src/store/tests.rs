//! The store as a whole: what is written, read, lost and deleted.

use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use super::folder::Folder;
use super::known::Claim;
use super::*;
use crate::disk;
use crate::exchange::{Content, ContentMessage, ContentPart, Speaker};

const HOUR: Duration = Duration::from_secs(3_600);

/// A folder of its own, gone at the end of its test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("streamgauge-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    fn location(&self) -> Location {
        Location::Folder(self.0.clone())
    }

    fn open(&self, config: &StoreConfig) -> Store {
        Store::open(&self.location(), config).unwrap()
    }

    fn path(&self, hash: ContentHash) -> PathBuf {
        self.0.join(key(hash))
    }

    fn find(&self, hash: ContentHash) -> Result<Option<Found>, StoreError> {
        let reader = StoreReader::open(&self.location(), &StoreConfig::default());
        reader.unwrap().find(hash)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn said(speaker: Speaker, text: &str) -> ContentMessage {
    ContentMessage {
        speaker,
        name: None,
        parts: vec![ContentPart::Text(text.to_owned())],
        finish_reason: None,
    }
}

/// A prompt of so many messages and its answer.
fn content(messages: usize) -> Content {
    let input = (0..messages).map(|at| said(Speaker::User, &format!("question {at}")));
    Content {
        system: vec![ContentPart::Text("be brief".to_owned())],
        input: input.collect(),
        output: vec![said(Speaker::Assistant, "yes")],
        ..Content::default()
    }
}

const WITHIN: Duration = Duration::from_secs(20);

fn counts(books: &StoreBooks) -> [u64; 4] {
    let all = [&books.stored, &books.known, &books.failed, &books.dropped];
    all.map(|count| count.load(Ordering::Relaxed))
}

#[test]
fn what_is_stored_is_read_back_whole_and_once_stored_is_known() {
    let folder = Scratch::new("store-back");
    let stored = store_objects(&content(200), None);
    let store = folder.open(&StoreConfig::default());
    let objects = stored.objects.len() as u64;
    assert!(store.put(&stored.objects));
    let books = store.books();
    while books.stored.load(Ordering::Relaxed) < objects {
        std::thread::yield_now();
    }
    assert!(store.put(&stored.objects));
    assert!(store.end(WITHIN));
    assert_eq!(counts(&store.books()), [objects, objects, 0, 0]);
    // Another process knows nothing, and finds all of it there.
    let other = folder.open(&StoreConfig::default());
    assert!(other.put(&stored.objects));
    assert!(other.end(WITHIN));
    assert_eq!(counts(&other.books()), [0, objects, 0, 0]);

    let prompt = folder.find(stored.prompt).unwrap().unwrap();
    assert!(prompt.lost.is_empty());
    let json = prompt.to_json();
    let messages = json["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 200);
    for (at, message) in messages.iter().enumerate() {
        assert_eq!(message["parts"][0]["content"], format!("question {at}"));
    }
    assert_eq!(json["system"]["parts"][0]["content"], "be brief");
    let answer = folder.find(stored.answer.unwrap()).unwrap().unwrap();
    assert_eq!(answer.to_json()["prompt"], json);
    let shown = answer.to_string();
    assert!(shown.starts_with("system\n  be brief\n\nuser\n  question 0\n"));
    assert!(shown.ends_with("user\n  question 199\n\nassistant\n  yes\n\n"));
}

#[test]
fn what_is_lost_is_named_and_what_is_damaged_is_refused() {
    let folder = Scratch::new("store-lost");
    let stored = store_objects(&content(2), None);
    let store = folder.open(&StoreConfig::default());
    store.put(&stored.objects);
    assert!(store.end(WITHIN));
    let message = stored.objects[0].hash;
    fs::remove_file(folder.path(message)).unwrap();
    let found = folder.find(stored.prompt).unwrap().unwrap();
    assert_eq!(found.lost, [message]);
    assert!(folder.find(message).unwrap().is_none());
    fs::write(folder.path(message), b"{}").unwrap();
    let error = folder.find(stored.prompt).unwrap_err().to_string();
    assert!(error.contains("is damaged"), "{error}");
}

#[test]
fn what_a_store_does_not_take_is_tried_again_and_no_list_is_there_before_what_it_names() {
    let folder = Scratch::new("store-again");
    let stored = store_objects(&content(3), None);
    let store = folder.open(&StoreConfig::default());
    // One message cannot be written: a file is in the way of its folder.
    let in_the_way = folder.path(stored.objects[0].hash);
    let in_the_way = in_the_way.parent().unwrap();
    fs::write(in_the_way, b"").unwrap();
    store.put(&stored.objects);
    let books = store.books();
    while books.errors.load(Ordering::Relaxed) < 2 {
        std::thread::yield_now();
    }
    for object in stored.objects.iter().filter(|it| it.is_manifest) {
        assert!(!folder.path(object.hash).exists());
    }
    fs::remove_file(in_the_way).unwrap();
    assert!(store.end(WITHIN));
    assert_eq!(counts(&books), [stored.objects.len() as u64, 0, 0, 0]);
    assert!(folder.find(stored.prompt).unwrap().unwrap().lost.is_empty());
}

#[test]
fn what_is_not_stored_in_the_end_is_counted_and_not_taken_for_stored() {
    let folder = Scratch::new("store-failed");
    let stored = store_objects(&content(1), None);
    let store = folder.open(&StoreConfig::default());
    fs::remove_dir_all(&folder.0).unwrap();
    fs::write(&folder.0, b"").unwrap();
    store.put(&stored.objects);
    // Said again while it waits: that is no news, and nothing is known to be stored.
    store.put(&stored.objects);
    // It gives up at about the time at which nobody waits for it any more.
    assert!(!store.end(Duration::from_millis(600)));
    assert!(store.writer.end(WITHIN));
    let objects = stored.objects.len() as u64;
    assert_eq!(counts(&store.books()), [0, 0, objects, 0]);
    let mut known = store.shared.known();
    let claim = known.claim(stored.prompt, Instant::now());
    assert_eq!(claim, Claim::Fresh);
    drop(known);
    fs::remove_file(&folder.0).unwrap();
}

#[test]
fn a_folder_that_was_emptied_is_made_again_and_what_is_gone_is_stored_again() {
    let folder = Scratch::new("store-emptied");
    let stored = store_objects(&content(30), None);
    let objects = stored.objects.len() as u64;
    let store = folder.open(&StoreConfig::default());
    let books = store.books();
    let mut expected = 0;
    let mut wait_for_stored = |more: u64| {
        expected += more;
        while books.stored.load(Ordering::Relaxed) < expected {
            let errors = books.errors.load(Ordering::Relaxed);
            assert_eq!(errors, 0, "an object could not be stored");
            std::thread::yield_now();
        }
    };
    store.put(&stored.objects);
    wait_for_stored(objects);
    let empty = || {
        for entry in fs::read_dir(&folder.0).unwrap() {
            fs::remove_dir_all(entry.unwrap().path()).unwrap();
        }
    };
    let remove = || fs::remove_dir_all(&folder.0).unwrap();
    for (lose, text) in [(&empty as &dyn Fn(), "emptied"), (&remove, "removed")] {
        lose();
        // Something else is said, which is how the loss is seen; from then on nothing is taken for stored.
        let other = said(Speaker::User, text);
        let other = Content {
            input: vec![other],
            ..Content::default()
        };
        let other = store_objects(&other, None);
        store.put(&other.objects);
        wait_for_stored(other.objects.len() as u64);
        store.put(&stored.objects);
        wait_for_stored(objects);
        assert!(folder.find(stored.prompt).unwrap().unwrap().lost.is_empty());
        assert!(folder.find(other.prompt).unwrap().unwrap().lost.is_empty());
    }
    assert!(store.end(WITHIN));
}

#[test]
fn what_finds_no_room_is_counted_and_not_taken_for_stored() {
    let folder = Scratch::new("store-full");
    let stored = store_objects(&content(1), None);
    let config = StoreConfig {
        queue_bytes: 100,
        ..StoreConfig::default()
    };
    let store = folder.open(&config);
    assert!(!store.put(&stored.objects));
    let objects = stored.objects.len() as u64;
    assert_eq!(counts(&store.books()), [0, 0, 0, objects]);
    let claim = store.shared.known().claim(stored.prompt, Instant::now());
    assert_eq!(claim, Claim::Fresh);
}

#[test]
fn what_was_not_said_for_long_is_deleted_and_what_was_said_again_stays() {
    let scratch = Scratch::new("store-sweep");
    let folder = Folder::new(&scratch.0, Some(HOUR));
    folder.probe().unwrap();
    let stored = store_objects(&content(3), None);
    let now = SystemTime::now();
    let age = |hash, age| {
        let file = fs::File::options().write(true).open(scratch.path(hash));
        file.unwrap().set_modified(now - age).unwrap();
    };
    let is_there = |hash| scratch.path(hash).exists();
    folder.put_all(&stored.objects);
    for object in &stored.objects {
        age(object.hash, HOUR);
    }
    // Said again by another process: there is no need to write it, and it is as good as new.
    let again = &stored.objects[..1];
    folder.put_all(again);
    let (old, foreign) = (&stored.objects[1], scratch.0.join("ab/notes.txt"));
    age(old.hash, 2 * HOUR);
    disk::make_folder(foreign.parent().unwrap()).unwrap();
    fs::write(&foreign, b"").unwrap();
    let file = fs::File::options().write(true).open(&foreign).unwrap();
    file.set_modified(now - 9 * HOUR).unwrap();
    let left = scratch.0.join("new/0123456789abcdef");
    fs::write(&left, b"").unwrap();
    folder.sweep(now + Duration::from_secs(1)).unwrap();
    assert!(!is_there(old.hash) && foreign.exists() && left.exists());
    folder.sweep(now + HOUR / 4).unwrap();
    let there = stored.objects.iter().filter(|it| is_there(it.hash)).count();
    assert_eq!((there, is_there(again[0].hash)), (1, true));
    folder.sweep(now + 2 * HOUR).unwrap();
    assert!(!is_there(again[0].hash) && !left.exists());
}

#[test]
fn what_a_person_deletes_is_written_again_when_it_is_said_an_hour_later() {
    let folder = Scratch::new("store-deleted");
    let stored = store_objects(&content(1), None);
    let store = folder.open(&StoreConfig::default());
    let begun = Instant::now();
    store.put_at(&stored.objects, begun);
    let books = store.books();
    while books.stored.load(Ordering::Relaxed) < stored.objects.len() as u64 {
        std::thread::yield_now();
    }
    let deleted = folder.path(stored.prompt);
    fs::remove_dir_all(deleted.parent().unwrap()).unwrap();
    store.put_at(&stored.objects, begun + HOUR - Duration::from_secs(1));
    let known = books.known.load(Ordering::Relaxed);
    assert_eq!(known, stored.objects.len() as u64, "none was looked for");
    store.put_at(&stored.objects, begun + HOUR);
    assert!(store.end(WITHIN));
    assert!(deleted.exists());
}

#[cfg(unix)]
#[test]
fn nobody_else_reads_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Scratch::new("store-mode");
    let stored = store_objects(&content(1), None);
    let store = folder.open(&StoreConfig::default());
    store.put(&stored.objects);
    assert!(store.end(WITHIN));
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let path = folder.path(stored.prompt);
    assert_eq!(mode(path.parent().unwrap().to_owned()), 0o700);
    assert_eq!((mode(folder.0.clone()), mode(path)), (0o700, 0o600));
}
