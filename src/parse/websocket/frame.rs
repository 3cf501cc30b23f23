//! The header of a frame (RFC 6455 §5.2).

/// Longest header, in bytes: two, a length of eight, a mask of four.
const HEADER_MAX: usize = 14;

/// What a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    /// A ping or a pong.
    Beat,
}

impl Opcode {
    pub(super) const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Beat)
    }
}

/// What stands before a frame's payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Whether the message ends with this frame.
    pub(super) last: bool,
    /// The first reserved bit: the message that begins here is compressed (RFC 7692 §6).
    pub(super) compressed: bool,
    pub(super) opcode: Opcode,
    pub(super) mask: Option<[u8; 4]>,
    /// Length of the payload, in bytes.
    pub(super) length: u64,
}

/// These bytes are no frame: where the next one begins is not known any more.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoFrame;

/// Puts a header together from bytes that come in any pieces.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    bytes: [u8; HEADER_MAX],
    length: usize,
}

impl Gathering {
    /// Takes from `bytes` what belongs to the header; gives it once it is whole.
    pub(super) fn take(&mut self, bytes: &mut &[u8]) -> Result<Option<Header>, NoFrame> {
        while let Some((first, rest)) = bytes.split_first() {
            self.bytes[self.length] = *first;
            self.length += 1;
            *bytes = rest;
            if let Some(header) = parse(&self.bytes[..self.length])? {
                self.length = 0;
                return Ok(Some(header));
            }
        }
        Ok(None)
    }
}

/// The header that these bytes are; `None` where they are only its beginning.
fn parse(bytes: &[u8]) -> Result<Option<Header>, NoFrame> {
    let [first, second, rest @ ..] = bytes else {
        return Ok(None);
    };
    let (wide, short) = match second & 0x7f {
        126 => (2, 0),
        127 => (8, 0),
        short => (0, short),
    };
    let masked = second & 0x80 != 0;
    if rest.len() < wide + if masked { 4 } else { 0 } {
        return Ok(None);
    }
    let (wide, mask) = rest.split_at(wide);
    let length = wide.iter().fold(u64::from(short), |length, byte| {
        length << 8 | u64::from(*byte)
    });
    let header = Header {
        last: first & 0x80 != 0,
        compressed: first & 0x40 != 0,
        opcode: opcode(first & 0x0f)?,
        mask: mask.try_into().ok(),
        length,
    };
    let reserved = first & 0x30 != 0 || length > i64::MAX as u64;
    let split = header.opcode.is_control() && (!header.last || header.compressed || length > 125);
    if reserved || split {
        return Err(NoFrame);
    }
    Ok(Some(header))
}

const fn opcode(nibble: u8) -> Result<Opcode, NoFrame> {
    Ok(match nibble {
        0 => Opcode::Continuation,
        1 => Opcode::Text,
        2 => Opcode::Binary,
        8 => Opcode::Close,
        9 | 10 => Opcode::Beat,
        _ => return Err(NoFrame),
    })
}

/// Takes the mask off bytes that begin at `offset` of a frame's payload (RFC 6455 §5.3).
pub(super) fn unmask(bytes: &mut [u8], mask: [u8; 4], offset: u64) {
    let turn = (offset % 4) as usize;
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte ^= mask[(turn + at) % 4];
    }
}
