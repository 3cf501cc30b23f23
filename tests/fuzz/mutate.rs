//! A small deterministic mutator: the same seed gives the same inputs on every machine.

use std::ops::Range;

/// Longest input, so that a run is many inputs rather than few long ones.
const INPUT_BYTES_MAX: usize = 64 << 10;

/// What parsers stumble over.
const WORDS: [&[u8]; 40] = [
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\n",
    b"\r\r",
    b"\r\n\r\n",
    b"\xEF\xBB\xBF",
    b"\0",
    b"\xff",
    b"\"",
    b"\\",
    b"\\u",
    b"\\ud83d",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"null",
    b"true",
    b"{}",
    b"[]",
    b"\"\"",
    b"0",
    b"-1",
    b"1e999",
    b"18446744073709551615",
    b"9223372036854775808",
    b"0.5",
    b"data:",
    b"data: ",
    b"event: error\n",
    b"data: [DONE]\n\n",
    b": x\n\n",
    b"\"usage\":",
    b"\"choices\":[]",
    b"ffffffffffffffff\r\n",
    b"0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n",
];

/// Random numbers (SplitMix64, by Steele, Lea and Flood).
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 where that is 0.
    pub(crate) const fn below(&mut self, end: usize) -> usize {
        if end == 0 {
            return 0;
        }
        (self.next() % end as u64) as usize
    }

    /// One of several.
    pub(crate) fn choose<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// A range within `0..length`, mostly short.
    fn range(&mut self, length: usize) -> Range<usize> {
        let start = self.below(length + 1);
        let most = 1 << self.below(12);
        let span = 1 + self.below(most);
        start..length.min(start + span)
    }

    /// Where to cut an input: at every byte, in a few places, or nowhere.
    pub(crate) fn cut<'a>(&mut self, input: &'a [u8]) -> Vec<&'a [u8]> {
        match self.below(4) {
            0 => input.chunks(1).collect(),
            1 => input.chunks(1 + self.below(40)).collect(),
            _ => {
                let at = self.below(input.len() + 1);
                let (head, tail) = input.split_at(at);
                let (middle, end) = tail.split_at(self.below(tail.len() + 1));
                vec![head, middle, end]
            }
        }
    }
}

/// An input made of one of `seeds` and, at times, of another.
pub(crate) fn mutated(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut input = random.choose(seeds).clone();
    for _ in 0..=random.below(6) {
        let other = random.choose(seeds);
        mutate(random, &mut input, other);
    }
    input.truncate(INPUT_BYTES_MAX);
    input
}

fn mutate(random: &mut Random, input: &mut Vec<u8>, other: &[u8]) {
    let at = random.below(input.len() + 1);
    let range = random.range(input.len());
    match random.below(9) {
        0 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        1 => {
            if let Some(byte) = input.get_mut(at) {
                *byte = random.next() as u8;
            }
        }
        2 => drop(input.drain(range)),
        3 => {
            let copy = input[range].to_vec();
            insert(input, at, &copy);
        }
        4 => insert(input, at, WORDS[random.below(WORDS.len())]),
        5 => drop(input.splice(range, WORDS[random.below(WORDS.len())].iter().copied())),
        6 => {
            let from = random.range(other.len());
            insert(input, at, &other[from]);
        }
        7 => {
            // The other's end behind this one's beginning.
            input.truncate(at);
            input.extend_from_slice(&other[random.below(other.len() + 1)..]);
        }
        _ => {
            let copy = input[range].repeat(1 + random.below(64));
            insert(input, at, &copy);
        }
    }
    input.truncate(INPUT_BYTES_MAX);
}

fn insert(input: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    input.splice(at..at, bytes.iter().copied());
}
