//! Messages out of the frames of one direction.

use super::frame::{Gathering, Header, Opcode, unmask};
use super::inflate::{Failure, Inflater};
use super::{End, Extensions};

/// Capacity that is kept from one message to the next, in bytes.
const KEPT: usize = 64 << 10;

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A text, put together and decoded. That it is UTF-8 is not checked.
    Text(&'a [u8]),
    /// A message of bytes, which are not kept.
    Binary,
    /// A message longer than the bound, which was passed over.
    Oversized,
    /// The sender has said its last word, and why (RFC 6455 §7.4), where it says so.
    Close(Option<u16>),
    /// What came is no WebSocket, or its compression is damaged: nothing more is read.
    Lost,
}

/// Reads what one end sends.
#[derive(Debug)]
pub struct Reader {
    limit: usize,
    inflater: Option<Inflater>,
    gathering: Gathering,
    frame: Option<Frame>,
    message: Option<Begun>,
    /// The message so far, decoded.
    text: Vec<u8>,
    /// Part of a data frame, its mask taken off; or the payload of a `Close`, until it is whole.
    scratch: Vec<u8>,
    lost: bool,
}

/// A frame whose payload is being read.
#[derive(Debug)]
struct Frame {
    header: Header,
    /// How much of the payload has come.
    read: u64,
}

/// A message that has begun.
#[derive(Debug, Clone, Copy)]
struct Begun {
    is_text: bool,
    compressed: bool,
    oversized: bool,
}

impl Reader {
    /// A reader of what `sender` sends. A message may have `limit` bytes, decoded.
    #[must_use]
    pub fn new(sender: End, extensions: Extensions, limit: usize) -> Self {
        Self {
            limit,
            inflater: extensions.inflater(sender),
            gathering: Gathering::default(),
            frame: None,
            message: None,
            text: Vec::new(),
            scratch: Vec::new(),
            lost: false,
        }
    }

    /// Bytes went by unseen: where the next frame begins cannot be known, so nothing more is read.
    pub fn lose(&mut self) {
        self.lost = true;
        self.text = Vec::new();
        self.scratch = Vec::new();
        self.inflater = None;
    }

    /// Takes the next bytes and says each message that they end.
    pub fn push(&mut self, mut bytes: &[u8], mut on_message: impl FnMut(Message<'_>)) {
        while !self.lost && (!bytes.is_empty() || self.frame_is_over()) {
            let Some(frame) = &mut self.frame else {
                match self.gathering.take(&mut bytes) {
                    Ok(Some(header)) => self.begin(header, &mut on_message),
                    Ok(None) => {}
                    Err(_) => self.fail(&mut on_message),
                }
                continue;
            };
            let left = frame.header.length - frame.read;
            let here = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
            let (part, rest) = bytes.split_at(here);
            let (header, offset) = (frame.header, frame.read);
            frame.read += here as u64;
            bytes = rest;
            self.take(header, part, offset, &mut on_message);
            if !self.lost && self.frame_is_over() {
                self.frame = None;
                self.end(header, &mut on_message);
            }
        }
    }

    fn frame_is_over(&self) -> bool {
        let frame = self.frame.as_ref();
        frame.is_some_and(|frame| frame.read == frame.header.length)
    }

    fn fail(&mut self, on_message: &mut impl FnMut(Message<'_>)) {
        self.lose();
        on_message(Message::Lost);
    }

    /// A frame begins: of a message that has begun, or of a new one, or between two frames of one.
    fn begin(&mut self, header: Header, on_message: &mut impl FnMut(Message<'_>)) {
        let continues = header.opcode == Opcode::Continuation;
        let fits = header.opcode.is_control()
            || (continues == self.message.is_some() && !(continues && header.compressed));
        if !fits || (header.compressed && self.inflater.is_none()) {
            return self.fail(on_message);
        }
        if !continues && !header.opcode.is_control() {
            self.message = Some(Begun {
                is_text: header.opcode == Opcode::Text,
                compressed: header.compressed,
                oversized: false,
            });
        }
        self.frame = Some(Frame { header, read: 0 });
    }

    /// Takes part of a frame's payload.
    fn take(
        &mut self,
        header: Header,
        part: &[u8],
        offset: u64,
        on_message: &mut impl FnMut(Message<'_>),
    ) {
        if header.opcode == Opcode::Beat {
            return;
        }
        let start = self.scratch.len();
        self.scratch.extend_from_slice(part);
        if let Some(mask) = header.mask {
            unmask(&mut self.scratch[start..], mask, offset);
        }
        if header.opcode == Opcode::Close {
            return;
        }
        let part = std::mem::take(&mut self.scratch);
        let taken = self.add(&part);
        self.scratch = part;
        self.scratch.clear();
        if taken.is_err() {
            self.fail(on_message);
        }
    }

    /// Adds to the message that has begun.
    fn add(&mut self, part: &[u8]) -> Result<(), Failure> {
        let Some(message) = self.message.as_mut().filter(|message| !message.oversized) else {
            return Ok(());
        };
        let added = match self.inflater.as_mut().filter(|_| message.compressed) {
            Some(inflater) => inflater.push(part, self.limit, &mut self.text),
            None if !message.is_text => Ok(()),
            None if self.text.len() + part.len() > self.limit => Err(Failure::TooLarge),
            None => {
                self.text.extend_from_slice(part);
                Ok(())
            }
        };
        self.pass_over(added)
    }

    /// A message that is too long is passed over, unless the ones after it would need it to be decoded.
    fn pass_over(&mut self, taken: Result<(), Failure>) -> Result<(), Failure> {
        let Some(message) = self
            .message
            .as_mut()
            .filter(|_| taken == Err(Failure::TooLarge))
        else {
            return taken;
        };
        let inflater = self.inflater.as_mut().filter(|_| message.compressed);
        if inflater
            .as_ref()
            .is_some_and(|inflater| !inflater.forgets())
        {
            return taken;
        }
        if let Some(inflater) = inflater {
            inflater.reset();
        }
        message.oversized = true;
        self.text = Vec::new();
        Ok(())
    }

    /// A frame is over, and with it perhaps a message.
    fn end(&mut self, header: Header, on_message: &mut impl FnMut(Message<'_>)) {
        match header.opcode {
            Opcode::Beat => {}
            Opcode::Close => {
                let code = self
                    .scratch
                    .first_chunk()
                    .map(|code| u16::from_be_bytes(*code));
                on_message(Message::Close(code));
                self.scratch.clear();
            }
            _ if !header.last => {}
            _ => self.end_message(on_message),
        }
    }

    fn end_message(&mut self, on_message: &mut impl FnMut(Message<'_>)) {
        let decodes = self
            .message
            .is_some_and(|message| message.compressed && !message.oversized);
        if let Some(inflater) = self.inflater.as_mut().filter(|_| decodes) {
            let finished = inflater.finish(self.limit, &mut self.text);
            if self.pass_over(finished).is_err() {
                return self.fail(on_message);
            }
        }
        let Some(message) = self.message.take() else {
            return;
        };
        on_message(match message {
            Begun {
                oversized: true, ..
            } => Message::Oversized,
            Begun { is_text: false, .. } => Message::Binary,
            _ => Message::Text(&self.text),
        });
        self.text.clear();
        self.text.shrink_to(KEPT);
    }
}
