//! As much of HTTP/1.1 (RFC 9112) as a well-behaved peer needs to be read quickly: heads, and bodies by length or in
//! chunks. No pipelining, no upgrades, no bodies that end with the connection.

use std::io;

use memchr::memmem;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Reads one message whole: `head` gets its head (start line to the blank line), `data` the pieces of its body, framing
/// taken off. False where the connection closed before a first byte.
///
/// # Errors
///
/// The connection's, and `InvalidData` for a head larger than the buffer, a body that is not framed as it should be, or
/// bytes after the message.
pub(crate) async fn read_message(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut [u8],
    head: impl FnOnce(&[u8]) -> io::Result<()>,
    mut data: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<bool> {
    let mut filled = 0;
    let end = loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        if read == 0 {
            return if filled == 0 {
                Ok(false)
            } else {
                Err(bad(
                    "the connection closed, or the buffer was full, inside a head",
                ))
            };
        }
        filled += read;
        if let Some(end) = memmem::find(&buffer[..filled], b"\r\n\r\n") {
            break end + 4;
        }
    };
    head(&buffer[..end])?;
    let mut body = Body::of(&buffer[..end])?;
    body.push(&buffer[end..filled], &mut data)?;
    while !body.is_done() {
        let read = stream.read(buffer).await?;
        if read == 0 {
            return Err(bad("the connection closed inside a body"));
        }
        body.push(&buffer[..read], &mut data)?;
    }
    Ok(true)
}

/// The value of a header, its name given in lower case.
pub(crate) fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    let head = std::str::from_utf8(head).ok()?;
    head.split("\r\n")
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .find(|(found, _)| found.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

/// Where in a body the reader is.
enum Body {
    /// So many bytes are left.
    Length(u64),
    /// In a chunk's size line, whose digits so far are this; extensions are skipped.
    Size { size: u64, extension: bool },
    /// In a chunk's data; so many bytes are left.
    Data(u64),
    /// In the line break after a chunk's data.
    Break,
    /// In the trailers; so many characters of the present line were seen.
    Trailers(usize),
    /// Past the end.
    Done,
}

impl Body {
    /// The body that a head announces.
    fn of(head: &[u8]) -> io::Result<Self> {
        if header(head, "transfer-encoding")
            .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
        {
            return Ok(Self::Size {
                size: 0,
                extension: false,
            });
        }
        match header(head, "content-length").map(str::parse) {
            None if head.starts_with(b"HTTP/") => {
                Err(bad("a response that ends with its connection"))
            }
            None => Ok(Self::Done),
            Some(Ok(length)) => Ok(Self::Length(length)),
            Some(Err(_)) => Err(bad("a content-length that is no number")),
        }
    }

    fn is_done(&self) -> bool {
        matches!(self, Self::Done | Self::Length(0))
    }

    /// Reads on; all of `bytes` must belong to this body.
    fn push(
        &mut self,
        mut bytes: &[u8],
        data: &mut impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        while let Some((&byte, rest)) = bytes.split_first() {
            match &mut *self {
                Self::Length(left) | Self::Data(left) if *left > 0 => {
                    let taken =
                        usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                    data(&bytes[..taken])?;
                    *left -= taken as u64;
                    bytes = &bytes[taken..];
                }
                Self::Length(_) | Self::Done => {
                    return Err(bad("bytes after the end of a message"));
                }
                Self::Data(_) => *self = Self::Break,
                _ => {
                    self.step(byte)?;
                    bytes = rest;
                }
            }
        }
        Ok(())
    }

    /// One byte of a chunked body that is not data.
    fn step(&mut self, byte: u8) -> io::Result<()> {
        match (&mut *self, byte) {
            (Self::Size { size: 0, .. }, b'\n') => *self = Self::Trailers(0),
            (Self::Size { size, .. }, b'\n') => *self = Self::Data(*size),
            (Self::Size { extension, .. }, b';' | b'\r') => *extension = true,
            (
                Self::Size {
                    extension: true, ..
                },
                _,
            ) => {}
            (Self::Size { size, .. }, digit) => {
                let digit = char::from(digit)
                    .to_digit(16)
                    .ok_or_else(|| bad("a chunk size that is no number"))?;
                *size = *size * 16 + u64::from(digit);
            }
            (Self::Break, b'\n') => {
                *self = Self::Size {
                    size: 0,
                    extension: false,
                }
            }
            (Self::Break, b'\r') => {}
            (Self::Trailers(0), b'\n') => *self = Self::Done,
            (Self::Trailers(line), b'\n') => *line = 0,
            (Self::Trailers(_), b'\r') => {}
            (Self::Trailers(line), _) => *line += 1,
            _ => return Err(bad("chunk framing out of step")),
        }
        Ok(())
    }
}

/// An error about what was read.
pub(crate) fn bad(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
