//! Files of a test, gone at its end.

use std::path::{Path, PathBuf};

/// A file in the temporary folder.
#[derive(Debug)]
pub(crate) struct File(PathBuf);

impl File {
    /// Writes it; the name only has to be the only one of its kind in the test run.
    pub(crate) fn new(name: &str, content: impl AsRef<[u8]>) -> Self {
        let path = std::env::temp_dir().join(format!("streamgauge-{}-{name}", std::process::id()));
        std::fs::write(&path, content).unwrap();
        Self(path)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Where it is, as text.
    pub(crate) fn name(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
