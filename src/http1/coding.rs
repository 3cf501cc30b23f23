//! How long a message's body is, and how it is cut out of the connection and put into it (RFC 9112 §6 and §7).

mod chunked;

use std::io;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{StatusCode, Version};
use http_body::SizeHint;

use self::chunked::Chunked;
use super::head::HeadError;
use super::output::Output;
use crate::message::{Body, Fields};

const LINE_END: &[u8] = b"\r\n";

/// How a body's length is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes.
    Length(u64),
    /// In chunks, the last of which is empty.
    Chunked,
    /// Everything until the connection closes. Responses only.
    UntilClose,
}

impl Framing {
    /// The framing of a request (§6.3).
    ///
    /// # Errors
    /// Where two recipients could differ on where the body ends, which is how requests are smuggled (§11.2).
    pub(super) fn of_request(version: Version, fields: &mut Fields) -> Result<Self, HeadError> {
        let length = one_length(fields)?;
        match (is_chunked(fields), length) {
            (Ok(false), length) => Ok(Self::Length(length.unwrap_or(0))),
            (_, Some(_)) => Err(HeadError::Malformed(
                "both Content-Length and Transfer-Encoding are set; send one of them",
            )),
            _ if version == Version::HTTP_10 => Err(HeadError::Malformed(
                "Transfer-Encoding is not supported in HTTP/1.0; send Content-Length",
            )),
            (chunked, None) => chunked.map(|_| Self::Chunked),
        }
    }

    /// The framing of a response, to a `HEAD` or to another request (§6.3).
    ///
    /// # Errors
    /// When a length or a coding cannot be understood.
    pub(super) fn of_response(
        to_head: bool,
        status: StatusCode,
        fields: &mut Fields,
    ) -> Result<Self, HeadError> {
        if !has_body(to_head, status) {
            return Ok(Self::Length(0));
        }
        if is_chunked(fields)? {
            return Ok(Self::Chunked);
        }
        Ok(one_length(fields)?.map_or(Self::UntilClose, Self::Length))
    }
}

/// Whether a response with this status, to a `HEAD` or to another request, has a body, whatever its fields say (RFC 9110
/// §6.4.1).
pub(super) fn has_body(to_head: bool, status: StatusCode) -> bool {
    let none = status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        || to_head;
    !none
}

/// The length that the `Content-Length` fields agree on, which from then on is one field with one value: the next recipient
/// may read a repeated one in another way (RFC 9112 §6.3).
fn one_length(fields: &mut Fields) -> Result<Option<u64>, HeadError> {
    let agreed = content_length(fields)?;
    if let Some(Agreed {
        length,
        repeated: true,
    }) = agreed
    {
        fields.set(CONTENT_LENGTH, length.to_string());
    }
    Ok(agreed.map(|agreed| agreed.length))
}

/// The one length that the `Content-Length` fields agree on.
pub(super) struct Agreed {
    pub(super) length: u64,
    /// It was said more than once, in one field or in several.
    repeated: bool,
}

/// See [`Agreed`].
pub(super) fn content_length(fields: &Fields) -> Result<Option<Agreed>, HeadError> {
    let mut agreed: Option<Agreed> = None;
    for value in fields.all(CONTENT_LENGTH) {
        for part in value.split(|byte| *byte == b',') {
            let length = digits(part.trim_ascii())
                .ok_or(HeadError::Malformed("Content-Length is not a number"))?;
            let before = agreed.replace(Agreed {
                length,
                repeated: agreed.is_some(),
            });
            if before.is_some_and(|before| before.length != length) {
                return Err(HeadError::Malformed("the values of Content-Length differ"));
            }
        }
    }
    Ok(agreed)
}

/// Whether `Connection` names this option (RFC 9110 §7.6.1).
pub(super) fn names(fields: &Fields, option: &str) -> bool {
    fields.texts(CONNECTION).any(|value| {
        let mut named = value.split(',');
        named.any(|named| named.trim().eq_ignore_ascii_case(option))
    })
}

/// A number of decimal digits and nothing else; `str::parse` would take a sign.
fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// Whether a body is in chunks. That is the one transfer coding there is in use, and the one that can be passed on without
/// a loss; with any other it is an error.
fn is_chunked(fields: &Fields) -> Result<bool, HeadError> {
    let mut values = fields.all(TRANSFER_ENCODING);
    match (values.next(), values.next()) {
        (None, _) => Ok(false),
        (Some(only), None) if only.trim_ascii().eq_ignore_ascii_case(b"chunked") => Ok(true),
        _ => Err(HeadError::Malformed(
            "Transfer-Encoding has a value other than chunked, which is not supported",
        )),
    }
}

/// Cuts a body out of what a connection brings.
#[derive(Debug)]
pub(super) enum Decoder {
    /// So many bytes are still to come.
    Length(u64),
    /// Chunks.
    Chunked(Chunked),
    /// Whatever comes.
    UntilClose,
    /// The connection has closed, which was the end.
    Closed,
}

/// What became of the bytes given to a decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decoded {
    /// So many bytes of the body now stand at the front.
    pub(super) payload: usize,
    /// So many bytes were used; what follows belongs to the next message.
    pub(super) used: usize,
}

impl Decoder {
    pub(super) fn new(framing: Framing) -> Self {
        match framing {
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Chunked(Chunked::default()),
            Framing::UntilClose => Self::UntilClose,
        }
    }

    /// Takes bytes as they came. The body's are moved to the front, so that one read is one frame.
    ///
    /// # Errors
    /// Chunks that are none.
    pub(super) fn decode(&mut self, bytes: &mut [u8]) -> io::Result<Decoded> {
        match self {
            Self::Length(left) => {
                let payload =
                    usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                *left -= payload as u64;
                Ok(Decoded {
                    payload,
                    used: payload,
                })
            }
            Self::Chunked(chunked) => chunked.decode(bytes),
            Self::UntilClose => Ok(Decoded {
                payload: bytes.len(),
                used: bytes.len(),
            }),
            Self::Closed => Ok(Decoded {
                payload: 0,
                used: 0,
            }),
        }
    }

    /// Whether the body is over; its trailers may still have to be taken.
    pub(super) fn is_over(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunked) => chunked.is_over(),
            Self::UntilClose => false,
            Self::Closed => true,
        }
    }

    /// The trailers of a body that is over; once.
    pub(super) fn take_trailers(&mut self) -> Option<Box<Fields>> {
        match self {
            Self::Chunked(chunked) => chunked.take_trailers(),
            _ => None,
        }
    }

    /// Whether nothing at all is left to be taken.
    pub(super) fn is_done(&self) -> bool {
        match self {
            Self::Chunked(chunked) => chunked.is_over() && !chunked.has_trailers(),
            _ => self.is_over(),
        }
    }

    /// The connection has closed.
    ///
    /// # Errors
    /// When that is before the end of the body.
    pub(super) fn close(&mut self) -> io::Result<()> {
        match self {
            Self::UntilClose => *self = Self::Closed,
            _ if self.is_over() => {}
            _ => return Err(cut()),
        }
        Ok(())
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        match self {
            Self::Length(left) => SizeHint::with_exact(*left),
            Self::Closed => SizeHint::with_exact(0),
            Self::Chunked(chunked) if chunked.is_over() => SizeHint::with_exact(0),
            _ => SizeHint::default(),
        }
    }
}

/// What a text in chunks holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unchunked {
    /// The data of the chunks.
    pub data: Vec<u8>,
    /// How many bytes of the text were used; what follows is no part of the body.
    pub used: usize,
    /// Whether the last chunk was among them.
    pub is_whole: bool,
}

/// Undoes the chunked coding of a body that is no longer on its way.
///
/// # Errors
/// When it is not in chunks.
pub fn unchunk(mut text: Vec<u8>) -> io::Result<Unchunked> {
    let mut chunked = Chunked::default();
    let Decoded { payload, used } = chunked.decode(&mut text)?;
    if used < text.len() && !chunked.is_over() {
        chunked.decode(&mut text[used..])?;
    }
    text.truncate(payload);
    Ok(Unchunked {
        data: text,
        used,
        is_whole: chunked.is_over(),
    })
}

/// A connection that closed inside a message.
pub(super) fn cut() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the connection closed before the message was complete",
    )
}

/// The longest size line: as many digits as a `usize` can have, and the line end.
const SIZE_LINE: [u8; 18] = *b"0000000000000000\r\n";

/// Writes the size of a chunk into the line, and shows so much of it as that takes.
fn size_line(mut size: usize, line: &mut [u8; SIZE_LINE.len()]) -> &[u8] {
    let mut from = SIZE_LINE.len() - LINE_END.len();
    while {
        from -= 1;
        line[from] = b"0123456789abcdef"[size & 15];
        size >>= 4;
        size > 0
    } {}
    &line[from..]
}

/// Puts a body into a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoder {
    /// So many bytes are still to go.
    Length(u64),
    /// In chunks.
    Chunked,
    /// As it comes; the connection then closes.
    UntilClose,
}

impl Encoder {
    /// How a body is to be framed; its fields say so from then on. What chunks they announced is left where it stood.
    pub(super) fn of(fields: &mut Fields, body: &impl Body, reads_chunks: bool) -> Self {
        let declared = content_length(fields).ok().flatten();
        let declared = declared.map(|agreed| agreed.length);
        let length = declared.or_else(|| body.size_hint().exact());
        if length.is_some() || !reads_chunks {
            fields.remove(TRANSFER_ENCODING);
        }
        match length {
            Some(length) => {
                if declared.is_none() {
                    fields.append(CONTENT_LENGTH, length.to_string());
                }
                Self::Length(length)
            }
            None if reads_chunks => {
                if !fields.contains(TRANSFER_ENCODING) {
                    fields.append(TRANSFER_ENCODING, "chunked");
                }
                Self::Chunked
            }
            None => Self::UntilClose,
        }
    }

    /// Writes a part of the body.
    ///
    /// # Errors
    /// When the body is longer than its length.
    pub(super) fn data(&mut self, data: Bytes, out: &mut Output) -> io::Result<()> {
        if data.is_empty() {
            // An empty chunk would be the end.
            return Ok(());
        }
        let mut line = SIZE_LINE;
        let (before, after): (&[u8], &[u8]) = match self {
            Self::Length(left) => {
                *left = left.checked_sub(data.len() as u64).ok_or_else(|| {
                    io::Error::other("the body is longer than its Content-Length")
                })?;
                (b"", b"")
            }
            Self::Chunked => (size_line(data.len(), &mut line), LINE_END),
            Self::UntilClose => (b"", b""),
        };
        out.push(before, data, after);
        Ok(())
    }

    /// Writes the end of the body. Trailers have a place in chunked bodies only.
    ///
    /// # Errors
    /// When the body is shorter than its length.
    pub(super) fn end(self, trailers: Option<&Fields>, out: &mut Output) -> io::Result<()> {
        match self {
            Self::Length(0) | Self::UntilClose => {}
            Self::Length(_) => {
                return Err(io::Error::other(
                    "the body is shorter than its Content-Length",
                ));
            }
            Self::Chunked => {
                let out = out.text();
                out.extend_from_slice(b"0\r\n");
                if let Some(trailers) = trailers {
                    trailers.write(out);
                }
                out.extend_from_slice(LINE_END);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
