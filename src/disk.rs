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

/// Puts many files in place, as [`replace`] does one: all are written before the first is waited for, and a folder is handed to the disk
/// once for all that went there. They are written in the folder `beside`, which must be of the same disk. Other processes may put the
/// same files in place at the same time. Says of each whether it succeeded.
pub(crate) fn put_all(beside: &Path, files: &[(PathBuf, &[u8])]) -> Vec<io::Result<()>> {
    let written: Vec<_> = files
        .iter()
        .map(|(_, bytes)| Scratch::write(beside, bytes))
        .collect();
    let named = written.into_iter().zip(files);
    let mut outcomes: Vec<_> = named
        .map(|(scratch, (path, _))| scratch.and_then(|scratch| scratch.name(path)))
        .collect();
    let folder_of = |at: usize| files[at].0.parent();
    let mut places: Vec<usize> = (0..files.len())
        .filter(|at| outcomes[*at].is_ok())
        .collect();
    places.sort_by_key(|at| folder_of(*at));
    for together in places.chunk_by(|a, b| folder_of(*a) == folder_of(*b)) {
        let Err(error) = sync_folder(&files[together[0]].0) else {
            continue;
        };
        for at in together {
            outcomes[*at] = Err(io::Error::new(error.kind(), error.to_string()));
        }
    }
    outcomes
}

/// A file that has no name of its own yet; gone when dropped.
struct Scratch {
    path: PathBuf,
    file: File,
    is_named: bool,
}

impl Scratch {
    fn write(folder: &Path, bytes: &[u8]) -> io::Result<Self> {
        // No other process has the same: not one of another machine with the same disk either.
        let name = RandomState::new().hash_one(std::process::id());
        let path = folder.join(format!("{name:016x}"));
        let file = open(OpenOptions::new().write(true).create_new(true), &path)?;
        let mut scratch = Self {
            path,
            file,
            is_named: false,
        };
        scratch.file.write_all(bytes)?;
        Ok(scratch)
    }

    fn name(mut self, path: &Path) -> io::Result<()> {
        self.file.sync_all()?;
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

    #[test]
    fn many_files_are_put_in_place_and_nothing_is_left_beside() {
        let folder = std::env::temp_dir().join(format!("streamgauge-disks-{}", std::process::id()));
        let beside = folder.join("new");
        for name in ["new", "a", "b"] {
            make_folder(&folder.join(name)).unwrap();
        }
        let names = ["a/1", "none/2", "b/3", "a/4"];
        let files = names.map(|name| (folder.join(name), name.as_bytes()));
        let outcomes = put_all(&beside, &files);
        let outcomes: Vec<bool> = outcomes.iter().map(Result::is_ok).collect();
        assert_eq!(outcomes, [true, false, true, true]);
        for at in [0, 2, 3] {
            assert_eq!(fs::read(&files[at].0).unwrap(), files[at].1);
        }
        assert_eq!(fs::read_dir(&beside).unwrap().count(), 0);
        fs::remove_dir_all(&folder).unwrap();
    }
}
