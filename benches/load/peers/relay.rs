//! The least a proxy can do: bytes from one connection to another, unread. What it adds is what a second way through the
//! system's sockets and scheduler costs on this machine; no proxy can add less.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::process::Command;
use std::thread;

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;

use super::{Peer, Site};

/// This program once more, passing bytes on: the floor.
pub(super) struct Relay;

impl Peer for Relay {
    fn name(&self) -> &'static str {
        "relay"
    }

    fn command(&self, site: &Site, listen: SocketAddr) -> io::Result<Option<Command>> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--relay", &listen.to_string(), &site.upstream.to_string()]);
        Ok(Some(command))
    }
}

/// Serves for as long as the process lives, on a thread for each core that it may use. Each client has a connection to the
/// upstream of its own.
///
/// # Errors
///
/// It cannot listen, or has no threads.
pub(crate) fn serve(listen: SocketAddr, upstream: SocketAddr) -> io::Result<()> {
    let runtime = || Builder::new_current_thread().enable_all().build();
    let mut workers = Vec::new();
    for _ in 0..thread::available_parallelism().map_or(1, NonZeroUsize::get) {
        let worker = runtime()?;
        workers.push(worker.handle().clone());
        thread::spawn(move || worker.block_on(std::future::pending::<()>()));
    }
    runtime()?.block_on(async move {
        let listener = TcpListener::bind(listen).await?;
        for worker in workers.iter().cycle() {
            let client = listener.accept().await?.0.into_std()?;
            // Either side may break off; then both are closed.
            worker.spawn(async move { drop(pass_on(client, upstream).await) });
        }
        Ok(())
    })
}

async fn pass_on(client: std::net::TcpStream, upstream: SocketAddr) -> io::Result<()> {
    let mut client = TcpStream::from_std(client)?;
    let mut upstream = TcpStream::connect(upstream).await?;
    client.set_nodelay(true)?;
    upstream.set_nodelay(true)?;
    tokio::io::copy_bidirectional(&mut client, &mut upstream).await?;
    Ok(())
}
