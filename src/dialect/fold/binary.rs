//! Of what is no text, size and hash: of all of it at once, or piece by piece as it comes. No byte is kept.

use std::fmt;
use std::io::Read as _;

use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::read::DecoderReader;
use ring::digest::{Context, SHA256};

use super::name::name;
use crate::exchange::ContentPart;

/// Base64 as APIs take it, with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Size and hash of what came so far.
#[derive(Clone)]
pub(in crate::dialect) struct Digesting {
    context: Context,
    bytes: u64,
}

impl Default for Digesting {
    fn default() -> Self {
        Self {
            context: Context::new(&SHA256),
            bytes: 0,
        }
    }
}

impl fmt::Debug for Digesting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Digesting").field(&self.bytes).finish()
    }
}

impl Digesting {
    /// Adds what a text of Base64 stands for; the text as it came where it is none.
    pub(in crate::dialect) fn add(&mut self, data: &str) {
        let before = self.clone();
        if self.decode(data.as_bytes()).is_none() {
            *self = before;
            self.update(data.as_bytes());
        }
    }

    /// Whether nothing came.
    pub(in crate::dialect) const fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// The part that it makes.
    pub(in crate::dialect) fn into_blob(
        self,
        modality: &'static str,
        mime_type: Option<String>,
    ) -> ContentPart {
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(self.context.finish().as_ref());
        ContentPart::Blob {
            modality,
            mime_type,
            bytes: self.bytes,
            sha256,
        }
    }

    /// Piece by piece: it may be large.
    fn decode(&mut self, data: &[u8]) -> Option<()> {
        let mut decoder = DecoderReader::new(data, &BASE64);
        let mut piece = [0; 3072];
        loop {
            match decoder.read(&mut piece).ok()? {
                0 => return Some(()),
                read => self.update(&piece[..read]),
            }
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        self.context.update(bytes);
        self.bytes += bytes.len() as u64;
    }
}

/// What came as Base64 or as a `data:` URL.
pub(in crate::dialect) fn of_inline(
    modality: &'static str,
    mime_type: Option<String>,
    data: &str,
) -> ContentPart {
    let url = data
        .strip_prefix("data:")
        .and_then(|url| url.split_once(','));
    let (kind, data) = url.unwrap_or(("", data));
    let kind = kind.split(';').next().filter(|kind| !kind.is_empty());
    let mut digesting = Digesting::default();
    digesting.add(data);
    digesting.into_blob(modality, kind.map(name).or(mime_type))
}
