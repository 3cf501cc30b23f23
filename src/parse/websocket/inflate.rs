//! Compressed messages: `permessage-deflate` (RFC 7692 §7).

use flate2::{Decompress, FlushDecompress, Status};

use super::End;

/// What the sender leaves out at the end of each compressed message (RFC 7692 §7.2.2).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// Room that is made at a time for what is decoded.
const STEP: usize = 8 << 10;

/// What both ends have agreed on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extensions {
    deflate: bool,
    client_forgets: bool,
    server_forgets: bool,
}

impl Extensions {
    /// Reads the value of `Sec-WebSocket-Extensions` in the answer to a handshake. Others than `permessage-deflate` are passed
    /// over: where one alters frames, they cannot be read.
    #[must_use]
    pub fn agreed(value: &str) -> Self {
        let mut agreed = Self::default();
        for extension in value.split(',') {
            let mut parts = extension.split(';').map(str::trim);
            if parts.next() != Some("permessage-deflate") {
                continue;
            }
            agreed.deflate = true;
            for parameter in parts {
                agreed.client_forgets |= parameter == "client_no_context_takeover";
                agreed.server_forgets |= parameter == "server_no_context_takeover";
            }
        }
        agreed
    }

    /// What undoes the compression of what this end sends; `None` where nothing is compressed.
    pub(super) fn inflater(self, of: End) -> Option<Inflater> {
        self.deflate.then_some(Inflater {
            state: None,
            forgets: match of {
                End::Client => self.client_forgets,
                End::Server => self.server_forgets,
            },
        })
    }
}

/// Why a message cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// It is not what its coding says.
    Damaged,
    /// More came out than the bound allows.
    TooLarge,
}

/// Decodes the messages of one direction.
#[derive(Debug)]
pub(super) struct Inflater {
    /// Made for the first message: it holds a window of 32 KiB, the most that can be agreed on.
    state: Option<Box<Decompress>>,
    /// Each message begins with an empty window.
    forgets: bool,
}

impl Inflater {
    /// Decodes the next part of a message; `out` may come to `limit` bytes.
    pub(super) fn push(
        &mut self,
        mut coded: &[u8],
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let state = self
            .state
            .get_or_insert_with(|| Box::new(Decompress::new(false)));
        loop {
            out.reserve(STEP);
            let (read, written) = (state.total_in(), out.len());
            let status = state.decompress_vec(coded, out, FlushDecompress::None);
            // What stands before the damage counts first, or how the message was cut would decide what it is.
            if out.len() > limit {
                return Err(Failure::TooLarge);
            }
            let status = status.map_err(|_| Failure::Damaged)?;
            let read = (state.total_in() - read) as usize;
            coded = &coded[read..];
            if status == Status::StreamEnd {
                // A last block ends the stream of its own accord; another begins (RFC 7692 §7.2.3.5).
                state.reset(false);
            } else if read == 0 && out.len() == written {
                // Nothing more comes out of what there is.
                return if coded.is_empty() {
                    Ok(())
                } else {
                    Err(Failure::Damaged)
                };
            }
        }
    }

    /// The message is over: what is left of it comes out.
    pub(super) fn finish(&mut self, limit: usize, out: &mut Vec<u8>) -> Result<(), Failure> {
        let finished = self.push(&TAIL, limit, out);
        if self.forgets {
            self.reset();
        }
        finished
    }

    /// Whether a message can be read of which the ones before were not.
    pub(super) const fn forgets(&self) -> bool {
        self.forgets
    }

    /// Lets the window go.
    pub(super) fn reset(&mut self) {
        if let Some(state) = &mut self.state {
            state.reset(false);
        }
    }
}
