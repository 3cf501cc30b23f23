//! The chunked transfer coding, read (RFC 9112 §7.1).

use std::io;

use http::HeaderMap;

use super::Decoded;
use crate::http1::head::parse_trailers;

/// Most bytes of all chunk extensions of a body, and of its trailers: nobody needs them, and nobody may fill memory.
const EXTRAS_MAX: usize = 16 << 10;

/// Reads a body in chunks, however it is cut.
#[derive(Debug, Default)]
pub(in crate::http1) struct Chunked {
    state: State,
    /// Bytes of extensions and trailers so far.
    extras: usize,
    /// The trailer section so far.
    section: Vec<u8>,
    trailers: Option<HeaderMap>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In a size; whether it has a digit yet.
    Size {
        size: u64,
        digits: bool,
    },
    /// Behind the size, before the line end.
    Extension {
        size: u64,
    },
    /// After the CR of the size line.
    SizeEnd {
        size: u64,
    },
    /// In a chunk's data, of which so much is left.
    Data(u64),
    /// After the data.
    DataCr,
    DataLf,
    /// In the trailer section, at the start of a line or not.
    Trailers {
        line_start: bool,
    },
    Over,
}

impl Default for State {
    fn default() -> Self {
        Self::START
    }
}

impl State {
    const START: Self = Self::Size {
        size: 0,
        digits: false,
    };
}

impl Chunked {
    pub(super) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    pub(super) const fn has_trailers(&self) -> bool {
        self.trailers.is_some()
    }

    pub(super) fn take_trailers(&mut self) -> Option<HeaderMap> {
        self.trailers.take()
    }

    /// Moves the data of the chunks in `bytes` together at its front.
    pub(super) fn decode(&mut self, bytes: &mut [u8]) -> io::Result<Decoded> {
        let (mut payload, mut used) = (0, 0);
        while used < bytes.len() && self.state != State::Over {
            if let State::Data(left) = self.state {
                let there = bytes.len() - used;
                let length = usize::try_from(left).map_or(there, |left| left.min(there));
                bytes.copy_within(used..used + length, payload);
                payload += length;
                used += length;
                let left = left - length as u64;
                self.state = if left == 0 {
                    State::DataCr
                } else {
                    State::Data(left)
                };
            } else {
                self.state = self.step(bytes[used])?;
                used += 1;
            }
        }
        Ok(Decoded { payload, used })
    }

    /// One byte of what is not data.
    fn step(&mut self, byte: u8) -> io::Result<State> {
        Ok(match (self.state, byte) {
            (State::Size { size, .. }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => State::Size {
                size: grown(size, byte)?,
                digits: true,
            },
            (State::Size { size, digits: true }, b'\r') => State::SizeEnd { size },
            (State::Size { size, digits: true }, b';' | b' ' | b'\t') => State::Extension { size },
            (State::Extension { size }, b'\r') => State::SizeEnd { size },
            (State::Extension { size }, byte) if byte != b'\n' => {
                self.extra()?;
                State::Extension { size }
            }
            (State::SizeEnd { size: 0 }, b'\n') => State::Trailers { line_start: true },
            (State::SizeEnd { size }, b'\n') => State::Data(size),
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::START,
            (State::Trailers { line_start }, byte) => self.trailer_byte(line_start, byte)?,
            (State::SizeEnd { .. } | State::Extension { .. }, _) => {
                return Err(malformed("a chunk's size line does not end in CR LF"));
            }
            (State::DataCr | State::DataLf, _) => {
                return Err(malformed("a chunk is longer than its size"));
            }
            _ => return Err(malformed("a chunk's size is no hexadecimal number")),
        })
    }

    /// The section ends with the first line that is empty.
    fn trailer_byte(&mut self, line_start: bool, byte: u8) -> io::Result<State> {
        self.extra()?;
        self.section.push(byte);
        if byte != b'\n' {
            return Ok(State::Trailers {
                line_start: line_start && byte == b'\r',
            });
        }
        if !line_start {
            return Ok(State::Trailers { line_start: true });
        }
        let section = std::mem::take(&mut self.section);
        self.trailers = Some(parse_trailers(section)?).filter(|trailers| !trailers.is_empty());
        Ok(State::Over)
    }

    fn extra(&mut self) -> io::Result<()> {
        self.extras += 1;
        if self.extras > EXTRAS_MAX {
            return Err(malformed("its chunk extensions or trailers are too long"));
        }
        Ok(())
    }
}

fn grown(size: u64, digit: u8) -> io::Result<u64> {
    let value = char::from(digit).to_digit(16).unwrap_or_default();
    size.checked_mul(16)
        .and_then(|size| size.checked_add(u64::from(value)))
        .ok_or_else(|| malformed("a chunk's size is too large"))
}

fn malformed(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
