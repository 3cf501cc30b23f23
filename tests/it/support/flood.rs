//! More bytes than fit on the way, to see whether a reader that does not read holds the writer up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::http1::Connection;

/// More than every buffer on the way can hold, kernel's and ours together.
pub(crate) const FLOOD: usize = 128 << 20;
/// Of these there are less.
pub(crate) const HELD: usize = 64 << 20;
/// A piece of a flood, in bytes.
pub(crate) const PIECE: usize = 64 << 10;

/// Writes pieces in a task of its own, and returns when it is held up: the count of bytes it got rid of, which goes on
/// counting, and the task.
pub(crate) async fn flood(
    mut writer: Connection,
    piece: Vec<u8>,
) -> (Arc<AtomicUsize>, tokio::task::JoinHandle<Connection>) {
    let written = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&written);
    let size = piece.len();
    let writing = tokio::spawn(async move {
        // A peer that goes away ends the flood.
        while count.load(Ordering::Relaxed) < FLOOD && writer.try_write(&piece).await.is_ok() {
            count.fetch_add(size, Ordering::Relaxed);
        }
        // Still open: a client that closes has left.
        writer
    });
    let mut last = usize::MAX;
    while last != written.load(Ordering::Relaxed) {
        last = written.load(Ordering::Relaxed);
        // Not a wait for something to happen: a flood that pauses for so long has stopped, or the machine is slow, and
        // then less was written than could have been.
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    (written, writing)
}
