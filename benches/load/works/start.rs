//! From the start of the process to the first byte that it has served, and the memory that it holds when at rest then.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Doing, Reach, Size, Work};
use crate::run::{Run, mib, millis};
use crate::support::chat::Answer;
use crate::support::process::Process;

/// From the start of the process.
pub(crate) const FIRST_BYTE: &str = "start until the first byte is served, ms";
/// Resident memory of all the peer's processes.
pub(crate) const MEMORY_IDLE: &str = "memory when idle, MiB";

/// Until a router has found its upstream well.
const PATIENCE: Duration = Duration::from_secs(120);

/// The work.
pub(crate) struct Start;

impl Work for Start {
    fn name(&self) -> &'static str {
        "start"
    }

    fn reach(&self) -> Reach {
        Reach::Http1Clients
    }

    fn figures<'a>(&'a self, run: &'a Run<'a>, _: Size) -> Doing<'a> {
        Box::pin(async move {
            let Some(Process {
                started, start_up, ..
            }) = &run.peer.process
            else {
                return Ok(Vec::new());
            };
            while !serves(run).await? {
                if started.elapsed() > PATIENCE {
                    return Err(io::Error::other("serves nothing after 120 s"));
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let first_byte = started.elapsed();
            tokio::time::sleep(run.extent.warm_up).await;
            Ok(vec![
                ("start until it listens, ms".to_owned(), millis(*start_up)),
                (FIRST_BYTE.to_owned(), millis(first_byte)),
                (MEMORY_IDLE.to_owned(), mib(run.resident_bytes())),
            ])
        })
    }
}

/// Whether a request is answered with 200; returns with the first bytes of the answer.
async fn serves(run: &Run<'_>) -> io::Result<bool> {
    let address = run.peer.address;
    let mut stream = TcpStream::connect(address).await?;
    let request = run.request(Answer::Unary).bytes(&address.to_string());
    stream.write_all(&request).await?;
    let mut first = [0; 64];
    let read = stream.read(&mut first).await?;
    Ok(first[..read].starts_with(b"HTTP/1.1 200 "))
}
