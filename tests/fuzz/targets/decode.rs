//! Content codings: what comes out is the same at every cut, and bounded.

use streamgauge::parse::coding::{DecodeError, Decoder};

use crate::mutate::Random;
use crate::run::shape;

/// Most bytes of one push.
const LIMIT: usize = 64 << 10;

pub(crate) fn check(coding: &'static str) -> impl Fn(&[u8], &mut Random) -> u64 {
    move |input, random| {
        let (whole, result) = decoded(coding, &[input]);
        let (cut, cut_result) = decoded(coding, &random.cut(input));
        // The bound holds for each push, so that more comes of several; damage shows once it is reached.
        let shorter = whole.len().min(cut.len());
        assert_eq!(whole[..shorter], cut[..shorter]);
        match (result, cut_result) {
            (Ok(()), Ok(())) => assert_eq!(whole.len(), cut.len()),
            (one, other) if one == other => {}
            (Err(DecodeError::TooLarge), _) | (_, Err(DecodeError::TooLarge)) => {}
            // libzstd compares a frame with the length it declares where it has it in one piece, not before an empty last
            // block that comes by itself.
            _ if coding.contains("zstd") => {}
            (one, other) => panic!("{one:?} in one piece, {other:?} in several"),
        }
        shape((
            result.err().map(|error| error.to_string()),
            whole.len().checked_ilog2(),
        ))
    }
}

fn decoded(coding: &str, pieces: &[&[u8]]) -> (Vec<u8>, Result<(), DecodeError>) {
    let mut decoder = Decoder::for_coding(coding, LIMIT).unwrap();
    let mut out = Vec::new();
    for piece in pieces {
        let before = out.len();
        let result = decoder.push(piece, &mut out);
        assert!(out.len() - before <= LIMIT);
        if result.is_err() {
            return (out, result);
        }
    }
    (out, Ok(()))
}
