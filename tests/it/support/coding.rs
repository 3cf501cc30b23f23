//! Content codings, as upstreams apply them to a stream: flushed now and then.

use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

/// A coding: its name, and how it codes a body.
type Coding = (&'static str, fn(&[u8]) -> Vec<u8>);

/// The codings that are known, each with how it codes a body. `deflate` comes as RFC 9110 has it and as some servers do.
pub(crate) const CODINGS: [Coding; 5] = [
    ("gzip", |body| {
        let encoder = GzEncoder::new(Vec::new(), Compression::fast());
        flushed(encoder, body).finish().unwrap()
    }),
    ("deflate", |body| {
        let encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        flushed(encoder, body).finish().unwrap()
    }),
    ("deflate", |body| {
        let encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        flushed(encoder, body).finish().unwrap()
    }),
    ("zstd", |body| {
        let encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        flushed(encoder, body).finish().unwrap()
    }),
    ("br", brotli),
];

/// Bytes between two flushes.
const FLUSHED: usize = 100;

fn flushed<E: Write>(mut encoder: E, body: &[u8]) -> E {
    for part in body.chunks(FLUSHED) {
        encoder.write_all(part).unwrap();
        encoder.flush().unwrap();
    }
    encoder
}

/// Brotli of uncompressed meta-blocks (RFC 7932 §9.2), which needs no encoder: a window of 16 bits, then for each block
/// "not the last", a length of four nibbles and "uncompressed", filled up to a whole byte; last an empty block.
fn brotli(body: &[u8]) -> Vec<u8> {
    let mut coded = Vec::new();
    for (at, block) in body.chunks(FLUSHED).enumerate() {
        // Not last: 1 bit of 0; four nibbles: 2 bits of 0; the length less one: 16 bits; uncompressed: 1 bit of 1.
        let header = ((block.len() as u32 - 1) << 3) | (1 << 19);
        // The window of 16 bits is one bit of 0 before the first block.
        let header = if at == 0 { header << 1 } else { header };
        coded.extend_from_slice(&header.to_le_bytes()[..3]);
        coded.extend_from_slice(block);
    }
    // Last and empty: two bits of 1; without a block before it, behind the window's bit.
    coded.push(if body.is_empty() { 0b110 } else { 0b11 });
    coded
}
