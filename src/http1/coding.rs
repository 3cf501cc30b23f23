//! How long a message's body is, and how it is cut out of the connection and put into it (RFC 9112 §6 and §7).

mod chunked;

use std::io;

use bytes::{Buf as _, Bytes};
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Method, StatusCode, Version};
use http_body::{Body, SizeHint};

use self::chunked::Chunked;
use super::head::HeadError;
use crate::message::Fields;

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
    pub(super) fn of_request(version: Version, fields: &Fields) -> Result<Self, HeadError> {
        let length = content_length(fields)?;
        if fields.contains(TRANSFER_ENCODING) {
            if length.is_some() {
                return Err(HeadError::Malformed(
                    "it has both Content-Length and Transfer-Encoding",
                ));
            }
            if version == Version::HTTP_10 {
                return Err(HeadError::Malformed("HTTP/1.0 has no Transfer-Encoding"));
            }
            is_chunked(fields)?;
            return Ok(Self::Chunked);
        }
        Ok(Self::Length(length.unwrap_or(0)))
    }

    /// The framing of the response to a request of this method (§6.3).
    ///
    /// # Errors
    /// When a length or a coding cannot be understood.
    pub(super) fn of_response(
        method: &Method,
        status: StatusCode,
        fields: &Fields,
    ) -> Result<Self, HeadError> {
        if !has_body(method, status) {
            return Ok(Self::Length(0));
        }
        if fields.contains(TRANSFER_ENCODING) {
            is_chunked(fields)?;
            return Ok(Self::Chunked);
        }
        Ok(content_length(fields)?.map_or(Self::UntilClose, Self::Length))
    }
}

/// Whether a response to this method with this status has a body, whatever its fields say (RFC 9110 §6.4.1).
pub(super) fn has_body(method: &Method, status: StatusCode) -> bool {
    let none = status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        || *method == Method::HEAD;
    !none
}

/// The one length that the `Content-Length` fields agree on.
pub(super) fn content_length(fields: &Fields) -> Result<Option<u64>, HeadError> {
    let mut agreed = None;
    for value in fields.all(CONTENT_LENGTH) {
        for part in value.split(|byte| *byte == b',') {
            let length = digits(part.trim_ascii())
                .ok_or(HeadError::Malformed("Content-Length is no number"))?;
            if agreed
                .replace(length)
                .is_some_and(|agreed| agreed != length)
            {
                return Err(HeadError::Malformed("its Content-Lengths differ"));
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

/// `chunked` is the one transfer coding there is in use, and the one that can be passed on without a loss.
fn is_chunked(fields: &Fields) -> Result<(), HeadError> {
    let mut values = fields.all(TRANSFER_ENCODING);
    let only = values.next().filter(|_| values.next().is_none());
    if only.is_some_and(|value| value.trim_ascii().eq_ignore_ascii_case(b"chunked")) {
        return Ok(());
    }
    Err(HeadError::Malformed("its Transfer-Encoding is not chunked"))
}

/// Cuts a body out of what a connection brings.
#[derive(Debug)]
pub(super) enum Decoder {
    /// So many bytes are still to come.
    Length(u64),
    /// Chunks.
    Chunked(Box<Chunked>),
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
            Framing::Chunked => Self::Chunked(Box::default()),
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
    pub(super) fn take_trailers(&mut self) -> Option<HeaderMap> {
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
        "the connection closed before the message was whole",
    )
}

/// A piece of what is written. Small pieces stand in themselves, so that framing costs no allocation.
#[derive(Debug)]
pub(super) enum Piece {
    /// A head or a part of a body.
    Bytes(Bytes),
    /// A chunk's size line.
    Size(SizeLine),
    /// What is the same every time.
    Static(&'static [u8]),
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Size(line) => &line.text[usize::from(line.from)..],
            Self::Static(bytes) => bytes,
        }
    }
}

impl Piece {
    /// Takes off what has been written.
    pub(super) fn advance(&mut self, written: usize) {
        match self {
            Self::Bytes(bytes) => bytes.advance(written),
            // A size line is far shorter than 256 bytes.
            Self::Size(line) => line.from += written as u8,
            Self::Static(bytes) => *bytes = &bytes[written..],
        }
    }
}

/// The size of a chunk in hexadecimal, with its line end.
#[derive(Debug)]
pub(super) struct SizeLine {
    text: [u8; 18],
    from: u8,
}

impl SizeLine {
    fn of(mut size: usize) -> Self {
        let mut text = [0; 18];
        text[16] = b'\r';
        text[17] = b'\n';
        let mut from = 16;
        while {
            from -= 1;
            text[from] = b"0123456789abcdef"[size & 15];
            size >>= 4;
            size > 0
        } {}
        // 16 digits are room for every `usize`, so `from` is at most 15.
        Self {
            text,
            from: from as u8,
        }
    }
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
    pub(super) fn data(&mut self, data: Bytes, out: &mut impl Extend<Piece>) -> io::Result<()> {
        if data.is_empty() {
            // An empty chunk would be the end.
            return Ok(());
        }
        match self {
            Self::Length(left) => {
                *left = left
                    .checked_sub(data.len() as u64)
                    .ok_or_else(|| io::Error::other("a body longer than its Content-Length"))?;
                out.extend([Piece::Bytes(data)]);
            }
            Self::Chunked => {
                let size = Piece::Size(SizeLine::of(data.len()));
                out.extend([size, Piece::Bytes(data), Piece::Static(b"\r\n")]);
            }
            Self::UntilClose => out.extend([Piece::Bytes(data)]),
        }
        Ok(())
    }

    /// Writes the end of the body. Trailers have a place in chunked bodies only.
    ///
    /// # Errors
    /// When the body is shorter than its length.
    pub(super) fn end(
        self,
        trailers: Option<&HeaderMap>,
        out: &mut impl Extend<Piece>,
    ) -> io::Result<()> {
        match (self, trailers) {
            (Self::Length(0) | Self::UntilClose, _) => {}
            (Self::Length(_), _) => {
                return Err(io::Error::other("a body shorter than its Content-Length"));
            }
            (Self::Chunked, None) => out.extend([Piece::Static(b"0\r\n\r\n")]),
            (Self::Chunked, Some(trailers)) => {
                let section = trailer_section(trailers);
                out.extend([Piece::Static(b"0\r\n"), Piece::Bytes(section)]);
            }
        }
        Ok(())
    }
}

fn trailer_section(trailers: &HeaderMap) -> Bytes {
    let mut section = Vec::new();
    for (name, value) in trailers {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            section.extend_from_slice(part);
        }
    }
    section.extend_from_slice(b"\r\n");
    section.into()
}

#[cfg(test)]
mod tests;
