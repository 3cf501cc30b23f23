//! A peer as a process.

use std::fs;
use std::io;
use std::net::SocketAddr;

use super::{Manner, Peer, Site};
use crate::support::cpu;
use crate::support::process::{self, Process};

/// A started peer; dropping it ends its processes.
pub(crate) struct Running {
    /// Where clients connect.
    pub(crate) address: SocketAddr,
    /// Where its metrics are, if it has any.
    pub(crate) admin: SocketAddr,
    /// What has to be known of it.
    pub(crate) manner: Manner,
    /// `None` for a peer without.
    pub(crate) process: Option<Process>,
}

impl Running {
    /// Starts a peer and waits until it listens.
    ///
    /// # Errors
    ///
    /// It could not be started, ended at once, or does not listen in time.
    pub(crate) fn start(peer: &dyn Peer, site: &Site) -> io::Result<Self> {
        fs::create_dir_all(&site.folder)?;
        let listen = process::free_address()?;
        let mut running = Self {
            address: site.upstream,
            admin: site.admin,
            manner: peer.manner(),
            process: None,
        };
        if let Some(mut command) = peer.command(site, listen)? {
            if site.cores < cpu::allowed().len() {
                command = process::on_cores(command, site.cores);
            }
            running.address = listen;
            running.process = Some(Process::start(command, listen, &site.folder.join("log"))?);
        }
        Ok(running)
    }

    /// All its processes as of now; none for a peer without.
    pub(crate) fn processes(&self) -> Vec<u32> {
        self.process
            .as_ref()
            .map(Process::family)
            .unwrap_or_default()
    }
}
