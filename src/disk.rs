//! Files of our own that are whole or as they were before, whatever happens: written beside, handed to the disk, and put in place.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Puts bytes in the place of a file that only its owner may read. Blocks until the disk has them.
///
/// # Errors
/// When that fails; the file is as it was.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    write(&beside, bytes)?;
    fs::rename(&beside, path)?;
    sync_folder(path)
}

/// Renames a file that cannot be read, so that it stays beside the one that takes its place. Says what it is called now.
///
/// # Errors
/// When it cannot be renamed.
pub(crate) fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let numbered = (2..).map(|number| path.with_extension(format!("unread.{number}")));
    let mut names = std::iter::once(path.with_extension("unread")).chain(numbered);
    let free = names.find(|name| !name.exists());
    let aside = free.unwrap_or_else(|| path.with_extension("unread"));
    fs::rename(path, &aside)?;
    Ok(aside)
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    let mut file = open(&mut options, path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Opens a file that only its owner may read, if it is new.
fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options.open(path)
}

/// Makes a folder that only its owner may look into, and those above it that are not there.
///
/// # Errors
/// When that fails.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// What a folder was expected to be that something is to be kept in.
#[cfg(feature = "cli")]
pub(crate) const EXPECTED_FOLDER: &str = "expected a folder that this user may make and write to";

/// Tries whether a folder is there or can be made, and be written to. Leaves nothing behind.
///
/// # Errors
/// When that fails.
#[cfg(feature = "cli")]
pub(crate) fn try_folder(path: &Path) -> io::Result<()> {
    let missing = path
        .ancestors()
        .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists());
    let missing: Vec<&Path> = missing.collect();
    let mut made = Vec::new();
    let tried = missing.into_iter().rev().try_for_each(|folder| {
        make_folder(folder)?;
        made.push(folder);
        Ok(())
    });
    let tried = tried.and_then(|()| Scratch::write(path, b"").map(drop));
    for folder in made.into_iter().rev() {
        // Somebody else may have put something there since.
        let _ = fs::remove_dir(folder);
    }
    tried
}

/// Whether another process has locked a file; nobody has one that is not there. Where nobody has, it is locked for a moment.
///
/// # Errors
/// When the file cannot be opened.
#[cfg(feature = "cli")]
pub(crate) fn is_locked(path: &Path) -> io::Result<bool> {
    Ok(path.try_exists()? && lock(path)?.is_none())
}

/// A lock on a file, until it is dropped or the process ends.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// Locks a file, which is made if it is not there; `None`: another holds it. Never waits. Where the system or the disk has no such locks,
/// everybody gets one.
///
/// # Errors
/// When the file cannot be made.
pub(crate) fn lock(path: &Path) -> io::Result<Option<Lock>> {
    let file = open(OpenOptions::new().append(true).create(true), path)?;
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{FlockOperation, flock};
        let locked = flock(&file, FlockOperation::NonBlockingLockExclusive);
        if locked == Err(rustix::io::Errno::WOULDBLOCK) {
            return Ok(None);
        }
    }
    Ok(Some(Lock { _file: file }))
}

/// So many files are handed to the disk one by one; more of them together with whatever else it is owed, which takes two waits for
/// all of them and not two for each.
const FEW: usize = 16;

/// Puts many files in place, as [`replace`] does one: all are on the disk before any gets its name. They are written in the folder
/// `beside`, which must be of the same disk. Other processes may put the same files in place at the same time. Says of each whether it
/// succeeded.
pub(crate) fn put_all(beside: &Path, files: &[(PathBuf, &[u8])]) -> Vec<io::Result<()>> {
    let groups = match files.len() {
        many if many > FEW && cfg!(target_os = "linux") => many,
        _ => FEW,
    };
    let groups = files.chunks(groups);
    groups.flat_map(|group| put_group(beside, group)).collect()
}

fn put_group(beside: &Path, files: &[(PathBuf, &[u8])]) -> Vec<io::Result<()>> {
    let are_many = files.len() > FEW;
    let written = files.iter().map(|(_, bytes)| {
        let scratch = Scratch::write(beside, bytes)?;
        if !are_many {
            File::open(&scratch.path)?.sync_all()?;
        }
        Ok(scratch)
    });
    let written: Vec<io::Result<Scratch>> = written.collect();
    let is_synced = if are_many { sync_disk(beside) } else { Ok(()) };
    let named = written.into_iter().zip(files);
    let named = named.map(|(scratch, (path, _))| {
        let scratch = scratch?;
        is_synced.as_ref().map_err(again)?;
        scratch.name(path)
    });
    let mut outcomes: Vec<io::Result<()>> = named.collect();
    sync_names(beside, files, are_many, &mut outcomes);
    outcomes
}

/// Hands the folders to the disk to which files went; where that fails so have the files.
fn sync_names(
    beside: &Path,
    files: &[(PathBuf, &[u8])],
    are_many: bool,
    outcomes: &mut [io::Result<()>],
) {
    let fail = |outcomes: &mut [io::Result<()>], places: &[usize], error: &io::Error| {
        for at in places {
            outcomes[*at] = Err(again(error));
        }
    };
    let folder_of = |at: &usize| files[*at].0.parent();
    let named = (0..files.len()).filter(|at| outcomes[*at].is_ok());
    let mut named: Vec<usize> = named.collect();
    if are_many {
        if let Err(error) = sync_disk(beside) {
            fail(outcomes, &named, &error);
        }
        return;
    }
    named.sort_by_key(folder_of);
    for together in named.chunk_by(|a, b| folder_of(a) == folder_of(b)) {
        if let Err(error) = sync_folder(&files[together[0]].0) {
            fail(outcomes, together, &error);
        }
    }
}

/// The same error for another file.
fn again(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), error.to_string())
}

/// Returns once the disk of a folder has all that was written there.
#[cfg(target_os = "linux")]
fn sync_disk(folder: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(File::open(folder)?)?)
}

#[cfg(not(target_os = "linux"))]
fn sync_disk(_: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// A file that has no name of its own yet; gone when dropped.
struct Scratch {
    path: PathBuf,
    is_named: bool,
}

impl Scratch {
    fn write(folder: &Path, bytes: &[u8]) -> io::Result<Self> {
        // No other process has the same: not one of another machine with the same disk either.
        let name = RandomState::new().hash_one(std::process::id());
        let path = folder.join(format!("{name:016x}"));
        let mut file = open(OpenOptions::new().write(true).create_new(true), &path)?;
        let scratch = Self {
            path,
            is_named: false,
        };
        file.write_all(bytes)?;
        Ok(scratch)
    }

    fn name(mut self, path: &Path) -> io::Result<()> {
        fs::rename(&self.path, path)?;
        self.is_named = true;
        Ok(())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.is_named {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The name is there only once the folder is on the disk, too.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nobody_else_reads_it() {
        let folder = std::env::temp_dir().join(format!("streamgauge-disk-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("a.json");
        // What a process left that was killed while it wrote.
        fs::write(folder.join("a.new"), "half a fi").unwrap();
        for text in ["one", "two, which is longer", "3"] {
            replace(&file, text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&file).unwrap(), text);
        }
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(
                fs::metadata(&file).unwrap().permissions().mode() & 0o777,
                0o600
            );
        }
        assert!(replace(&folder.join("none/a.json"), b"x").is_err());
        fs::remove_dir_all(&folder).unwrap();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_lock_is_held_by_one_until_it_is_dropped() {
        let path = std::env::temp_dir().join(format!("streamgauge-lock-{}", std::process::id()));
        let held = lock(&path).unwrap();
        assert!(held.is_some() && lock(&path).unwrap().is_none());
        drop(held);
        assert!(lock(&path).unwrap().is_some());
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_folder_is_tried_without_a_trace() {
        let folder = std::env::temp_dir().join(format!("streamgauge-try-{}", std::process::id()));
        try_folder(&folder.join("a/b")).unwrap();
        assert!(!folder.exists());
        fs::create_dir_all(&folder).unwrap();
        try_folder(&folder).unwrap();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        let lock = folder.join("lock");
        assert!(!is_locked(&lock).unwrap() && !lock.exists());
        fs::write(&lock, "").unwrap();
        assert!(try_folder(&lock).is_err(), "it is a file");
        assert!(try_folder(&lock.join("a")).is_err(), "it is in a file");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn many_files_are_put_in_place_and_nothing_is_left_beside() {
        let folder = std::env::temp_dir().join(format!("streamgauge-disks-{}", std::process::id()));
        let beside = folder.join("new");
        for name in ["new", "a", "b"] {
            make_folder(&folder.join(name)).unwrap();
        }
        for count in [4, FEW + 4] {
            // One of four has no folder.
            let name = |at: usize| format!("{}/{at}", ["a", "none", "b", "a"][at % 4]);
            let texts: Vec<String> = (0..count).map(|at| format!("{count} {at}")).collect();
            let files = texts.iter().enumerate();
            let files = files.map(|(at, text)| (folder.join(name(at)), text.as_bytes()));
            let files: Vec<_> = files.collect();
            let outcomes = put_all(&beside, &files);
            assert_eq!(outcomes.len(), count);
            for (at, (outcome, (path, bytes))) in outcomes.iter().zip(&files).enumerate() {
                assert_eq!(outcome.is_ok(), at % 4 != 1, "{outcome:?}");
                let read = fs::read(path).ok();
                assert_eq!(read.as_deref(), outcome.is_ok().then_some(*bytes));
            }
            assert_eq!(fs::read_dir(&beside).unwrap().count(), 0);
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}
