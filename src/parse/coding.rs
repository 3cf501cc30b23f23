//! Undoes the content coding of the observed copy of a body, as it comes.
//!
//! The bytes that are passed on stay coded. Governing text: RFC 9110, section 8.4; RFC 1950 to 1952 (deflate, gzip),
//! RFC 7932 (br), RFC 8878 and 9659 (zstd). This file knows nothing of what a body says.

use std::io::{self, Write};

use brotli_decompressor::DecompressorWriter;
use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use zstd::stream::write::Decoder as ZstdDecoder;

/// Most codings that are undone one after another.
const STACK_MAX: usize = 3;

/// How many times the bound of one push a whole body may come to.
const TOTAL_FACTOR: u64 = 64;

/// Largest zstd window, as a power of two: what RFC 9659 allows to a content coding, 8 MiB.
const ZSTD_WINDOW_LOG: u32 = 23;

/// Brotli's output buffer, in bytes.
const BROTLI_BUFFER: usize = 4096;

/// Why a body cannot be read in the clear. It says nothing against the bytes themselves, which pass on all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A coding that is not known, or more codings than are undone.
    #[error("content coding not supported")]
    Unsupported,
    /// The bytes are not what their coding says.
    #[error("content coding damaged")]
    Damaged,
    /// More came out than the bound allows.
    #[error("decoded content beyond the bound")]
    TooLarge,
}

/// Decodes one body, piece by piece. What a piece allows to decode is there at once.
pub struct Decoder {
    /// In the order they are undone, the reverse of `Content-Encoding`; empty for a body in the clear.
    stages: Vec<Box<dyn Stage>>,
    /// Most bytes one push may come to.
    limit: usize,
    /// How many more may come in all.
    left: u64,
    /// Why nothing more comes.
    failed: Option<DecodeError>,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder")
            .field("stages", &self.stages.len())
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

impl Decoder {
    /// A decoder for the value of a `Content-Encoding`, empty where there is none. One push may come to at most `limit`
    /// bytes, and a body to 64 times as many.
    ///
    /// # Errors
    /// [`DecodeError::Unsupported`] for a coding that is not `gzip`, `deflate`, `br`, `zstd` or `identity`, and for more
    /// than three.
    pub fn for_coding(content_encoding: &str, limit: usize) -> Result<Self, DecodeError> {
        let codings = content_encoding.split(',').map(str::trim);
        let mut stages = Vec::new();
        for coding in codings.rev() {
            stages.extend(stage(&coding.to_ascii_lowercase())?);
        }
        if stages.len() > STACK_MAX {
            return Err(DecodeError::Unsupported);
        }
        let left = TOTAL_FACTOR.saturating_mul(limit as u64);
        Ok(Self {
            stages,
            limit,
            left,
            failed: None,
        })
    }

    /// Whether there is nothing to undo, so that a caller may use the bytes as they are.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        self.stages.is_empty()
    }

    /// Decodes the next piece and appends to `out` all it allows to decode.
    ///
    /// # Errors
    /// [`DecodeError::Damaged`] and [`DecodeError::TooLarge`]; `out` then holds what could be decoded, and every later
    /// push fails in the same way.
    pub fn push(&mut self, coded: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let Some((last, before)) = self.stages.split_last_mut() else {
            out.extend_from_slice(coded);
            return Ok(());
        };
        let room = self
            .limit
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let mut decoded = None;
        let mut result = Ok(());
        for stage in before {
            let input = decoded.take().unwrap_or_else(|| coded.to_vec());
            let mut output = Vec::new();
            result = result.and(undo(stage.as_mut(), &input, room, &mut output));
            decoded = Some(output);
        }
        let length = out.len();
        result = result.and(undo(
            last.as_mut(),
            decoded.as_deref().unwrap_or(coded),
            room,
            out,
        ));
        self.left -= (out.len() - length) as u64;
        if let Err(error) = result {
            self.failed = Some(error);
            self.stages.clear();
        }
        result
    }
}

/// The stage that undoes a coding; `None` where there is nothing to undo.
fn stage(coding: &str) -> Result<Option<Box<dyn Stage>>, DecodeError> {
    let sink = Sink::default();
    let stage: Box<dyn Stage> = match coding {
        "" | "identity" => return Ok(None),
        "gzip" | "x-gzip" => Box::new(MultiGzDecoder::new(sink)),
        "deflate" => Box::new(Deflate::Undecided(sink)),
        "br" => Box::new(Brotli(DecompressorWriter::new(sink, BROTLI_BUFFER))),
        "zstd" => Box::new(zstd_decoder(sink).map_err(|_| DecodeError::Unsupported)?),
        _ => return Err(DecodeError::Unsupported),
    };
    Ok(Some(stage))
}

fn zstd_decoder(sink: Sink) -> io::Result<ZstdDecoder<'static, Sink>> {
    let mut decoder = ZstdDecoder::new(sink)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG)?;
    Ok(decoder)
}

/// Undoes one coding of one piece.
fn undo(
    stage: &mut dyn Stage,
    coded: &[u8],
    room: usize,
    out: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    *stage.sink() = Sink {
        bytes: std::mem::take(out),
        room,
        full: false,
    };
    let result = stage.write_all(coded).and_then(|()| stage.flush());
    let sink = stage.sink();
    *out = std::mem::take(&mut sink.bytes);
    match result {
        Ok(()) => Ok(()),
        Err(_) if sink.full => Err(DecodeError::TooLarge),
        Err(_) => Err(DecodeError::Damaged),
    }
}

/// A decoder that writes into a [`Sink`] of its own.
trait Stage: Write + Send {
    fn sink(&mut self) -> &mut Sink;
}

/// Takes what a decoder writes, up to a bound.
#[derive(Debug, Default)]
struct Sink {
    bytes: Vec<u8>,
    room: usize,
    full: bool,
}

impl Write for Sink {
    fn write(&mut self, decoded: &[u8]) -> io::Result<usize> {
        if decoded.len() > self.room {
            self.full = true;
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        self.room -= decoded.len();
        self.bytes.extend_from_slice(decoded);
        Ok(decoded.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stage for MultiGzDecoder<Sink> {
    fn sink(&mut self) -> &mut Sink {
        self.get_mut()
    }
}

impl Stage for Brotli {
    fn sink(&mut self) -> &mut Sink {
        self.0.get_mut()
    }
}

impl Stage for ZstdDecoder<'static, Sink> {
    fn sink(&mut self) -> &mut Sink {
        self.get_mut()
    }
}

/// Brotli's decoder keeps back what a write decodes beyond one buffer, until it is written to again.
struct Brotli(DecompressorWriter<Sink>);

impl Write for Brotli {
    fn write(&mut self, coded: &[u8]) -> io::Result<usize> {
        self.0.write(coded)
    }

    fn flush(&mut self) -> io::Result<()> {
        loop {
            let there = self.0.get_mut().bytes.len();
            self.0.write(&[])?;
            if self.0.get_mut().bytes.len() == there {
                return Ok(());
            }
        }
    }
}

/// `deflate` is zlib's format by the specification, and bare deflate at servers that took the name at its word.
enum Deflate {
    Undecided(Sink),
    Zlib(ZlibDecoder<Sink>),
    Bare(DeflateDecoder<Sink>),
}

impl Write for Deflate {
    fn write(&mut self, coded: &[u8]) -> io::Result<usize> {
        if let (Self::Undecided(sink), Some(first)) = (&mut *self, coded.first()) {
            let sink = std::mem::take(sink);
            // zlib begins with its method, 8, in the low bits. Bare deflate would have to begin with a stored block
            // whose padding is not zero.
            *self = match first & 0x0f {
                8 => Self::Zlib(ZlibDecoder::new(sink)),
                _ => Self::Bare(DeflateDecoder::new(sink)),
            };
        }
        match self {
            Self::Undecided(_) => Ok(0),
            Self::Zlib(decoder) => decoder.write(coded),
            Self::Bare(decoder) => decoder.write(coded),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Undecided(_) => Ok(()),
            Self::Zlib(decoder) => decoder.flush(),
            Self::Bare(decoder) => decoder.flush(),
        }
    }
}

impl Stage for Deflate {
    fn sink(&mut self) -> &mut Sink {
        match self {
            Self::Undecided(sink) => sink,
            Self::Zlib(decoder) => decoder.get_mut(),
            Self::Bare(decoder) => decoder.get_mut(),
        }
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use proptest::prelude::*;
    use zstd::stream::write::Encoder as ZstdEncoder;

    use super::*;

    const LIMIT: usize = 1 << 20;
    const ONE: &[u8] = b"data: one\n\n";
    const TWO: &[u8] = b"data: two\n\n";

    /// `ONE`, flushed, then `TWO` and the end, coded by the encoder that `wrap` makes.
    fn coded<E: Write>(
        mut encoder: E,
        taken: fn(&mut E) -> &mut Vec<u8>,
        finish: fn(E) -> Vec<u8>,
    ) -> [Vec<u8>; 2] {
        encoder.write_all(ONE).unwrap();
        encoder.flush().unwrap();
        let first = std::mem::take(taken(&mut encoder));
        encoder.write_all(TWO).unwrap();
        [first, finish(encoder)]
    }

    fn codings() -> Vec<(&'static str, [Vec<u8>; 2])> {
        let fast = Compression::fast();
        let gzip = coded(GzEncoder::new(vec![], fast), GzEncoder::get_mut, |e| {
            e.finish().unwrap()
        });
        let zlib = coded(ZlibEncoder::new(vec![], fast), ZlibEncoder::get_mut, |e| {
            e.finish().unwrap()
        });
        let bare = coded(
            DeflateEncoder::new(vec![], fast),
            DeflateEncoder::get_mut,
            |e| e.finish().unwrap(),
        );
        let zstd = ZstdEncoder::new(vec![], 1).unwrap();
        let zstd = coded(zstd, ZstdEncoder::get_mut, |e| e.finish().unwrap());
        // From zlib.createBrotliCompress of Node.js, flushed after the first event.
        let brotli = [
            b"\x0b\x05\x80data: one\n\n".to_vec(),
            b"\xa1\x00\x00\x40\x5a\xe1\x8d\xee\x4e\x11\xa2\x4a\x04\xb6\x00".to_vec(),
        ];
        vec![
            ("gzip", gzip.clone()),
            ("X-GZip", gzip),
            ("deflate", zlib),
            ("deflate", bare),
            ("zstd", zstd),
            ("br", brotli),
        ]
    }

    fn decode<'a>(
        coding: &str,
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> (Vec<u8>, Result<(), DecodeError>) {
        let mut decoder = Decoder::for_coding(coding, LIMIT).unwrap();
        let mut out = Vec::new();
        for piece in pieces {
            if let Err(error) = decoder.push(piece, &mut out) {
                return (out, Err(error));
            }
        }
        (out, Ok(()))
    }

    #[test]
    fn what_was_flushed_shows_at_once() {
        for (coding, [first, second]) in codings() {
            let mut decoder = Decoder::for_coding(coding, LIMIT).unwrap();
            let mut out = Vec::new();
            decoder.push(&first, &mut out).unwrap();
            assert_eq!(out, ONE, "{coding}");
            out.clear();
            decoder.push(&second, &mut out).unwrap();
            assert_eq!(out, TWO, "{coding}");
        }
    }

    #[test]
    fn a_long_piece_of_brotli_shows_at_once() {
        // A window of 22 bits, then a block that is stored and not the last (RFC 7932, 9.1 and 9.2).
        let stored = vec![b'x'; 5 * BROTLI_BUFFER];
        let head = 0x0b | (stored.len() - 1) << 7 | 1 << 23;
        let piece = [&head.to_le_bytes()[..3], &stored].concat();
        assert_eq!(decode("br", [piece.as_slice()]), (stored, Ok(())));
    }

    #[test]
    fn any_cut_decodes_alike() {
        for (coding, pieces) in codings() {
            let whole = pieces.concat();
            for cut in 0..=whole.len() {
                let (one, two) = whole.split_at(cut);
                assert_eq!(
                    decode(coding, [one, two]),
                    ([ONE, TWO].concat(), Ok(())),
                    "{coding} at {cut}"
                );
            }
            assert_eq!(
                decode(coding, whole.chunks(1)),
                ([ONE, TWO].concat(), Ok(())),
                "{coding}"
            );
        }
    }

    #[test]
    fn members_and_frames_follow_one_another() {
        for (coding, pieces) in codings() {
            if ["gzip", "zstd"].contains(&coding) {
                let twice = [pieces.concat(), pieces.concat()].concat();
                assert_eq!(
                    decode(coding, twice.chunks(7)),
                    ([ONE, TWO, ONE, TWO].concat(), Ok(())),
                    "{coding}"
                );
            }
        }
    }

    #[test]
    fn stacked_codings_are_undone_from_the_last() {
        let [first, second] = &codings()[0].1;
        let inner = [first.as_slice(), second].concat();
        let outer = zstd::encode_all(&*inner, 1).unwrap();
        assert_eq!(
            decode("gzip, zstd", outer.chunks(5)),
            ([ONE, TWO].concat(), Ok(()))
        );
        assert_eq!(decode(" , identity", [ONE]), (ONE.to_vec(), Ok(())));
        assert!(Decoder::for_coding("", LIMIT).unwrap().is_identity());
    }

    #[test]
    fn unknown_codings_and_high_stacks_are_not_supported() {
        for coding in ["compress", "gzip, aws-chunked", "gzip, gzip, gzip, gzip"] {
            assert_eq!(
                Decoder::for_coding(coding, LIMIT).err(),
                Some(DecodeError::Unsupported),
                "{coding}"
            );
        }
    }

    #[test]
    fn damage_ends_decoding_for_good() {
        for (coding, pieces) in codings() {
            let mut decoder = Decoder::for_coding(coding, LIMIT).unwrap();
            let mut out = Vec::new();
            decoder.push(&pieces[0], &mut out).unwrap();
            assert_eq!(
                decoder.push(&[0xff; 64], &mut out),
                Err(DecodeError::Damaged),
                "{coding}"
            );
            assert_eq!(
                decoder.push(&pieces[1], &mut out),
                Err(DecodeError::Damaged),
                "{coding}"
            );
            assert_eq!(out, ONE, "{coding}");
        }
    }

    #[test]
    fn a_bomb_is_stopped_at_the_bound() {
        let zeros = vec![0; 50 << 20];
        let mut gzip = GzEncoder::new(vec![], Compression::fast());
        gzip.write_all(&zeros).unwrap();
        let gzip = gzip.finish().unwrap();
        let zstd = zstd::encode_all(&*zeros, 1).unwrap();
        for (coding, bomb) in [("gzip", gzip), ("zstd", zstd)] {
            let (out, result) = decode(coding, [bomb.as_slice()]);
            assert_eq!(result, Err(DecodeError::TooLarge), "{coding}");
            assert!(out.len() <= LIMIT, "{coding}");
        }
    }

    #[test]
    fn a_slow_bomb_is_stopped_too() {
        let bomb = zstd::encode_all(&*vec![0; 100_000], 1).unwrap();
        let mut decoder = Decoder::for_coding("zstd", 1000).unwrap();
        let mut out = Vec::new();
        let results: Vec<_> = bomb
            .chunks(1)
            .map(|piece| decoder.push(piece, &mut out))
            .collect();
        assert_eq!(results.last(), Some(&Err(DecodeError::TooLarge)));
        assert!(out.len() <= 64_000);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_survived(coded in prop::collection::vec(any::<u8>(), 0..300), cut in 1_usize..40) {
            for coding in ["gzip", "deflate", "br", "zstd", "br, gzip"] {
                let (out, _) = decode(coding, coded.chunks(cut));
                prop_assert!(out.len() as u64 <= TOTAL_FACTOR * LIMIT as u64);
            }
        }

        #[test]
        fn damaged_codings_are_survived(which in 0_usize..6, at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let (coding, pieces) = codings().swap_remove(which);
            let mut coded = pieces.concat();
            let at = at.index(coded.len());
            coded[at] = byte;
            decode(coding, coded.chunks(3)).1.ok();
        }
    }
}
