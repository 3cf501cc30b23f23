//! An upstream for each of the links, and the certificate that they show.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::link::UpstreamSide;
use super::secure::{self, Certificate};
use super::upstream::Upstream;

/// All of them; they run as long as the process.
pub(crate) struct Upstreams {
    plain: Upstream,
    tls: Upstream,
    http2: Upstream,
    /// What those by TLS show.
    pub(crate) certificate: Certificate,
    /// The same in a file, in PEM.
    pub(crate) certificate_file: PathBuf,
    /// Its key.
    pub(crate) key_file: PathBuf,
}

impl Upstreams {
    /// Starts them, each to write so many chunks of an unpaced stream at once, and puts the certificate and its key into a folder.
    ///
    /// # Errors
    ///
    /// Whatever keeps one of them from starting, or a file from being written.
    pub(crate) fn start(chunks_per_write: u64, folder: &Path) -> io::Result<Self> {
        let certificate = Certificate::new()?;
        let http1 = certificate.server(&[secure::HTTP1])?;
        let http2 = certificate.server(&[secure::HTTP2, secure::HTTP1])?;
        let upstreams = Self {
            plain: Upstream::start(chunks_per_write)?,
            tls: Upstream::start_secure(chunks_per_write, http1)?,
            http2: Upstream::start_secure(chunks_per_write, http2)?,
            certificate,
            certificate_file: folder.join("tls.crt"),
            key_file: folder.join("tls.key"),
        };
        let Certificate {
            certificate_pem,
            key_pem,
            ..
        } = &upstreams.certificate;
        fs::write(&upstreams.certificate_file, certificate_pem)?;
        fs::write(&upstreams.key_file, key_pem)?;
        Ok(upstreams)
    }

    /// The one that speaks so.
    pub(crate) fn of(&self, side: UpstreamSide) -> &Upstream {
        match side {
            UpstreamSide::Plain => &self.plain,
            UpstreamSide::Tls => &self.tls,
            UpstreamSide::Http2 => &self.http2,
        }
    }
}
