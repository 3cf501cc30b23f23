use std::fs;
use std::sync::OnceLock;

use super::*;
use crate::exchange::Exchange;
use crate::otel::{Spans, ToolSpans};
use crate::semconv::sample;
use crate::sink::live::{HistoryConfig, Live};
use crate::sink::{ExchangeId, Sink as _};
use crate::view::SpanChoice;

const LONG: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

/// A folder of its own, which goes with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("streamgauge-history-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join(FILE)
    }

    fn names(&self) -> Vec<String> {
        let files = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<String> = files
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn open(&self) -> Option<(Store, Restored)> {
        self.open_with(DAY, 1 << 20)
    }

    fn open_with(&self, age: Duration, bytes: u64) -> Option<(Store, Restored)> {
        Store::open(self.config(age, bytes), 100)
    }

    fn config(&self, age: Duration, bytes: u64) -> KeptHistory {
        KeptHistory {
            folder: self.0.clone(),
            age,
            bytes,
            choices: Arc::new(Choices {
                spans: SpanChoice {
                    vocabularies: Vec::new(),
                    spans: Spans::default(),
                    tools: ToolSpans::default(),
                },
                trace_url: None,
                base_url: OnceLock::new(),
            }),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn exchange(ago: Duration) -> Arc<Exchange> {
    let mut exchange = sample::streamed();
    exchange.started_at = SystemTime::now() - ago - exchange.times.end;
    Arc::new(exchange)
}

fn keep(store: &Store, entries: impl IntoIterator<Item = (u64, Duration)>) {
    for (id, ago) in entries {
        store.keep(Entry::new(id, exchange(ago)), 1_000);
    }
    assert!(store.end(LONG));
    assert_eq!(store.queue().dropped, 0);
}

/// Lets the file go.
fn close(store: Store) {
    assert!(store.end(LONG));
    drop(store);
}

/// Lets the file go after something could not be written.
fn close_with_loss(store: Store) {
    assert!(store.end(LONG));
    assert!(store.queue().dropped > 0);
    drop(store);
}

fn ids(restored: &Restored) -> Vec<u64> {
    restored
        .entries
        .iter()
        .map(|stored| stored.row.id)
        .collect()
}

#[test]
fn what_was_kept_is_there_again_with_its_details() {
    let folder = Folder::new("again");
    let (store, restored) = folder.open().unwrap();
    assert_eq!((ids(&restored), restored.last_id), (vec![], 0));
    keep(&store, (1..=3).map(|id| (id, Duration::ZERO)));
    drop(store);
    let (store, restored) = folder.open().unwrap();
    assert_eq!((ids(&restored), restored.last_id), (vec![1, 2, 3], 3));
    let whole = exchange(Duration::ZERO);
    let row = &restored.entries[1].row;
    assert_eq!(row.model.as_deref(), whole.request.model.as_deref());
    let detail = store.detail(2).unwrap();
    assert_eq!(detail.exchange.id, 2);
    assert!(!detail.timeline.marks.is_empty() && !detail.spans.is_empty());
    assert!(store.detail(4).is_none());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(folder.file()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn what_is_too_old_or_too_much_is_let_go_with_its_details() {
    let folder = Folder::new("bounds");
    let (store, _) = folder.open().unwrap();
    keep(&store, [(1, 2 * DAY), (2, DAY / 2), (3, Duration::ZERO)]);
    assert!(store.detail(1).is_none() && store.detail(2).is_some());
    drop(store);
    let (store, restored) = folder.open().unwrap();
    assert_eq!(ids(&restored), [2, 3]);
    close(store);
    let (store, restored) = folder.open_with(DAY / 4, 1 << 20).unwrap();
    assert_eq!((ids(&restored), restored.last_id), (vec![3], 3));
    close(store);
    let (store, _) = folder.open_with(DAY, 0).unwrap();
    keep(&store, [(4, Duration::ZERO)]);
    drop(store);
    let (_, restored) = folder.open().unwrap();
    assert_eq!((ids(&restored), restored.last_id), (vec![], 4));
}

#[test]
fn what_is_not_read_into_memory_again_still_counts_for_the_day() {
    let folder = Folder::new("counts");
    let (store, _) = folder.open().unwrap();
    let now = SystemTime::now();
    for id in 1..=20 {
        let mut exchange = sample::streamed();
        exchange.started_at = now - exchange.times.end;
        exchange.failure = (id <= 4).then(|| crate::exchange::Failure {
            kind: "timeout".into(),
            message: String::new(),
        });
        store.keep(Entry::new(id, Arc::new(exchange)), 1_000);
    }
    close(store);
    let bounds = HistoryConfig {
        exchanges: 5,
        ..HistoryConfig::default()
    };
    let live = Live::keeping(bounds, folder.config(DAY, 1 << 20));
    let since_ms = clock_ms(now) - 3_600_000;
    let counts = live.counts_since(since_ms);
    assert_eq!((counts.requests, counts.errors), (20, 4));
    assert_eq!((live.kept().entries, live.kept().total), (5, 20));
    assert_eq!(live.kept().complete_since_ms, Some(clock_ms(now)));
}

#[test]
fn a_file_that_breaks_while_it_is_in_use_ends_no_process_and_is_put_aside() {
    let folder = Folder::new("breaks");
    let (store, _) = folder.open().unwrap();
    keep(&store, (1..=50).map(|id| (id, Duration::ZERO)));
    drop(store);
    let (store, _) = folder.open().unwrap();
    let mut bytes = fs::read(folder.file()).unwrap();
    bytes.iter_mut().skip(4_096).for_each(|byte| *byte ^= 0x5a);
    fs::write(folder.file(), &bytes).unwrap();
    store.keep(Entry::new(51, exchange(Duration::ZERO)), 1_000);
    close_with_loss(store);
    assert_eq!(folder.names(), ["history.unread"]);
    let (store, restored) = folder.open().unwrap();
    assert_eq!(ids(&restored), [0; 0]);
    keep(&store, [(1, Duration::ZERO)]);
    drop(store);
    assert_eq!(ids(&folder.open().unwrap().1), [1]);
}

#[test]
fn what_is_written_behind_the_deadline_and_before_the_end_is_not_told_as_lost() {
    for ends_in_time in [true, false] {
        let folder = Folder::new(&format!("late-{ends_in_time}"));
        let live = Live::keeping(HistoryConfig::default(), folder.config(DAY, 1 << 20));
        let file = Arc::clone(&live.store.as_ref().unwrap().file);
        let busy = file.kept().unwrap().busy();
        live.finished(ExchangeId(1), &exchange(Duration::ZERO));
        live.flush(Duration::ZERO.into());
        if ends_in_time {
            busy.abort().unwrap();
            assert!(!live.has_lost(LONG));
        } else {
            assert!(live.has_lost(Duration::ZERO));
            busy.abort().unwrap();
        }
        drop(file);
        close(live.store.unwrap());
    }
}

#[test]
fn a_second_process_leaves_the_file_alone() {
    let folder = Folder::new("second");
    let (store, _) = folder.open().unwrap();
    assert!(folder.open().is_none());
    keep(&store, [(1, Duration::ZERO)]);
    drop(store);
    assert_eq!(folder.names(), [FILE]);
    assert_eq!(ids(&folder.open().unwrap().1), [1]);
}

#[test]
fn a_file_that_cannot_be_read_is_put_aside_and_stays() {
    for (name, spoil) in [
        (
            "foreign",
            (|_| b"{\"version\": 1}".repeat(1_000)) as fn(Vec<u8>) -> Vec<u8>,
        ),
        ("torn", |mut bytes| {
            bytes.truncate(bytes.len() / 3);
            bytes
        }),
        ("garbled", |mut bytes| {
            bytes
                .iter_mut()
                .skip(64)
                .step_by(7)
                .for_each(|byte| *byte ^= 0x5a);
            bytes
        }),
        ("short", |mut bytes| {
            bytes.truncate(20);
            bytes
        }),
    ] {
        let folder = Folder::new(name);
        let (store, _) = folder.open().unwrap();
        keep(&store, (1..=50).map(|id| (id, Duration::ZERO)));
        drop(store);
        let spoiled = spoil(fs::read(folder.file()).unwrap());
        fs::write(folder.file(), &spoiled).unwrap();
        let (store, restored) = folder.open().expect(name);
        assert_eq!(ids(&restored), [0; 0], "{name}");
        keep(&store, [(1, Duration::ZERO)]);
        drop(store);
        assert_eq!(folder.names(), [FILE, "history.unread"], "{name}");
        assert_eq!(ids(&folder.open().unwrap().1), [1], "{name}");
        // Somebody may be able to read it; what a failed start wrote there is the database's own mending.
        let aside = fs::metadata(folder.0.join("history.unread")).unwrap();
        assert!(aside.len() > 0, "{name}");
    }
}
