//! The tables of tokens, as `scripts/vocabularies` packs them from the crate `tiktoken-rs`: its own text of them, in base64,
//! was a quarter of the program.

use std::io::Read as _;
use std::iter;

use flate2::read::ZlibDecoder;
use tiktoken_rs::{CoreBPE, O200K_BASE_PAT_STR};

/// A vocabulary of OpenAI's models.
#[derive(Debug)]
pub(super) struct Vocabulary {
    /// How many tokens it has.
    tokens: usize,
    /// By zlib: the length of each token, a byte each, then the tokens, both by rank.
    packed: &'static [u8],
    /// How a text is cut into words.
    words: &'static str,
}

/// That of GPT-4 and GPT-3.5.
pub(super) const CL100K: Vocabulary = Vocabulary {
    tokens: 100_256,
    packed: include_bytes!("cl100k_base.zlib"),
    words: concat!(
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+",
        r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
    ),
};

/// That of GPT-4o and later.
pub(super) const O200K: Vocabulary = Vocabulary {
    tokens: 199_998,
    packed: include_bytes!("o200k_base.zlib"),
    words: O200K_BASE_PAT_STR,
};

impl Vocabulary {
    /// Makes its table. `None` where the file is not what it should be.
    pub(super) fn table(&self) -> Option<CoreBPE> {
        let mut unpacked = Vec::new();
        ZlibDecoder::new(self.packed)
            .read_to_end(&mut unpacked)
            .ok()?;
        let (lengths, mut rest) = unpacked.split_at_checked(self.tokens)?;
        let mut lengths = lengths.iter();
        let tokens = iter::from_fn(|| {
            let (token, behind) = rest.split_at_checked(usize::from(*lengths.next()?))?;
            rest = behind;
            Some(token.to_vec())
        });
        let ranked = tokens.zip(0..).collect();
        CoreBPE::new(ranked, iter::empty().collect(), self.words).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_token_is_that_of_the_crate_and_texts_are_cut_as_by_it() {
        let theirs = [tiktoken_rs::cl100k_base(), tiktoken_rs::o200k_base()];
        for (ours, theirs) in [CL100K, O200K].iter().zip(theirs) {
            let (table, theirs) = (ours.table().unwrap(), theirs.unwrap());
            for rank in 0..u32::try_from(ours.tokens).unwrap() {
                let ours = table.decode_bytes(&[rank]).unwrap();
                assert_eq!(ours, theirs.decode_bytes(&[rank]).unwrap(), "{rank}");
            }
            let beyond = [u32::try_from(ours.tokens).unwrap()];
            assert!(table.decode_bytes(&beyond).is_err());
            for text in [
                "It's THEY'LL 1234567 words,  and\n\n  more\t\r\n",
                "Größe über Äcker, ça va, naïve; 東京 123; don'T",
                "fn main() { println!(\"{}\", x[0]?.y); } // end   ",
            ] {
                let theirs = theirs.encode_ordinary(text);
                assert_eq!(table.encode_ordinary(text), theirs, "{text}");
            }
        }
    }
}
