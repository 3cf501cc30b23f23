//! The chunked transfer coding, read (RFC 9112 §7.1).

use std::io;

use super::{Decoded, LINE_END};
use crate::http1::head::{HEAD_BYTES_MAX, TRAILERS_TOO_LONG, parse_trailers};
use crate::message::Fields;

/// Most bytes of the extensions of a chunk.
const EXTENSION_MAX: usize = 16 << 10;

/// Reads a body in chunks, however it is cut.
#[derive(Debug, Default)]
pub(in crate::http1) struct Chunked {
    state: ChunkState,
    /// Bytes of the extensions of this chunk so far.
    extension: usize,
    /// The trailer section so far.
    section: Vec<u8>,
    /// Boxed: they are rare, and larger than all the rest.
    trailers: Option<Box<Fields>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChunkState {
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
    /// What came is no chunk; nothing behind it is one.
    Broken(&'static str),
}

impl Default for ChunkState {
    fn default() -> Self {
        Self::START
    }
}

impl ChunkState {
    const START: Self = Self::Size {
        size: 0,
        digits: false,
    };

    /// After the size line of a chunk; an empty chunk is the last.
    const fn after(size: u64) -> Self {
        match size {
            0 => Self::Trailers { line_start: true },
            size => Self::Data(size),
        }
    }
}

impl Chunked {
    pub(super) fn is_over(&self) -> bool {
        self.state == ChunkState::Over
    }

    pub(super) const fn has_trailers(&self) -> bool {
        self.trailers.is_some()
    }

    pub(super) const fn take_trailers(&mut self) -> Option<Box<Fields>> {
        self.trailers.take()
    }

    /// Moves the data of the chunks in `bytes` together at its front. What is no chunk ends it for good: data before it is
    /// given first, and the error when it is asked again.
    pub(super) fn decode(&mut self, bytes: &mut [u8]) -> io::Result<Decoded> {
        let (mut payload, mut used) = (0, 0);
        while used < bytes.len() && self.state != ChunkState::Over {
            if let ChunkState::Data(left) = self.state {
                let there = bytes.len() - used;
                let length = usize::try_from(left).map_or(there, |left| left.min(there));
                bytes.copy_within(used..used + length, payload);
                payload += length;
                used += length;
                let left = left - length as u64;
                self.state = if left == 0 {
                    ChunkState::DataCr
                } else {
                    ChunkState::Data(left)
                };
            } else if let Some(length) = self.leap(&bytes[used..]) {
                used += length;
            } else {
                self.state = self.step(bytes[used]).unwrap_or_else(ChunkState::Broken);
                if let ChunkState::Broken(why) = self.state {
                    if payload > 0 {
                        break;
                    }
                    return Err(io::Error::new(io::ErrorKind::InvalidData, why));
                }
                used += 1;
            }
        }
        Ok(Decoded { payload, used })
    }

    /// What nearly always comes between data, where it lies whole in `bytes`: a line end, a size without extensions, the
    /// end without trailers. Says how long it is. Byte by byte a chunk took 370 instructions, not 160.
    fn leap(&mut self, bytes: &[u8]) -> Option<usize> {
        let ends = bytes.starts_with(LINE_END);
        let line_end = match self.state {
            ChunkState::DataCr if ends => LINE_END.len(),
            ChunkState::START => 0,
            ChunkState::Trailers { line_start: true } if ends && self.section.is_empty() => {
                self.state = ChunkState::Over;
                return Some(LINE_END.len());
            }
            _ => return None,
        };
        self.state = ChunkState::START;
        let Some((size, length)) = size_line(&bytes[line_end..]) else {
            return (line_end > 0).then_some(line_end);
        };
        self.state = ChunkState::after(size);
        Some(line_end + length)
    }

    /// One byte of what is not data.
    ///
    /// # Errors
    /// Why it is no part of a chunk.
    fn step(&mut self, byte: u8) -> Result<ChunkState, &'static str> {
        if let ChunkState::Size { size, .. } = self.state
            && let Some(digit) = hexadecimal(byte)
        {
            return Ok(ChunkState::Size {
                size: grown(size, digit)?,
                digits: true,
            });
        }
        Ok(match (self.state, byte) {
            (ChunkState::Size { size, digits: true }, b'\r') => ChunkState::SizeEnd { size },
            (ChunkState::Size { size, digits: true }, b';' | b' ' | b'\t') => {
                ChunkState::Extension { size }
            }
            (ChunkState::Extension { size }, b'\r') => ChunkState::SizeEnd { size },
            (ChunkState::Extension { size }, byte) if byte != b'\n' => {
                self.extension += 1;
                if self.extension > EXTENSION_MAX {
                    return Err("chunk extensions are too long");
                }
                ChunkState::Extension { size }
            }
            (ChunkState::SizeEnd { size }, b'\n') => {
                self.extension = 0;
                ChunkState::after(size)
            }
            (ChunkState::DataCr, b'\r') => ChunkState::DataLf,
            (ChunkState::DataLf, b'\n') => ChunkState::START,
            (ChunkState::Trailers { line_start }, byte) => self.trailer_byte(line_start, byte)?,
            (ChunkState::SizeEnd { .. } | ChunkState::Extension { .. }, _) => {
                return Err("the size line of a chunk does not end with CR LF");
            }
            (ChunkState::DataCr | ChunkState::DataLf, _) => {
                return Err("a chunk is longer than its size line says");
            }
            (ChunkState::Broken(why), _) => return Err(why),
            _ => return Err("the size of a chunk is not a hexadecimal number"),
        })
    }

    /// The section ends with the first line that is empty.
    fn trailer_byte(&mut self, line_start: bool, byte: u8) -> Result<ChunkState, &'static str> {
        if self.section.len() == HEAD_BYTES_MAX {
            return Err(TRAILERS_TOO_LONG);
        }
        self.section.push(byte);
        if byte != b'\n' {
            return Ok(ChunkState::Trailers {
                line_start: line_start && byte == b'\r',
            });
        }
        if !line_start {
            return Ok(ChunkState::Trailers { line_start: true });
        }
        let section = std::mem::take(&mut self.section);
        let trailers = parse_trailers(section)?;
        self.trailers = (!trailers.is_empty()).then(|| Box::new(trailers));
        Ok(ChunkState::Over)
    }
}

/// The size that `bytes` begin with, and how long its line is, where that is whole and has nothing else in it.
fn size_line(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut size = 0;
    // So many digits are no more than fit.
    for (at, byte) in bytes.iter().take(16).enumerate() {
        let Some(digit) = hexadecimal(*byte) else {
            let ends = at > 0 && bytes[at..].starts_with(LINE_END);
            return ends.then_some((size, at + LINE_END.len()));
        };
        size = size << 4 | digit;
    }
    None
}

fn hexadecimal(digit: u8) -> Option<u64> {
    let value = match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        b'A'..=b'F' => digit - b'A' + 10,
        _ => return None,
    };
    Some(u64::from(value))
}

/// A size with another digit.
fn grown(size: u64, digit: u64) -> Result<u64, &'static str> {
    size.checked_mul(16)
        .and_then(|size| size.checked_add(digit))
        .ok_or("the size of a chunk is too large")
}
