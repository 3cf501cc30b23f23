//! What can be seen of frames before the library has them (RFC 9113 §4.1).

/// Length, kind, flags and stream.
const HEAD: usize = 9;
/// The kind of frames of data.
const DATA: u8 = 0;
const END_STREAM: u8 = 1;

/// Follows the frames of a connection in what is read of it.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// As much of the next frame's head as has come.
    head: [u8; HEAD],
    come: usize,
    /// What is still to come of the frame before it.
    payload: usize,
}

impl Frames {
    /// How many frames of data without any, and without the end of their stream, have come with these bytes. Padding counts as
    /// data.
    pub(super) fn empty_data(&mut self, mut bytes: &[u8]) -> usize {
        let mut empty = 0;
        loop {
            let passed = self.payload.min(bytes.len());
            self.payload -= passed;
            let taken = (HEAD - self.come).min(bytes.len() - passed);
            let (head, rest) = bytes[passed..].split_at(taken);
            self.head[self.come..][..taken].copy_from_slice(head);
            self.come += taken;
            if self.come < HEAD {
                return empty;
            }
            let [high, middle, low, kind, flags, ..] = self.head;
            self.payload = u32::from_be_bytes([0, high, middle, low]) as usize;
            self.come = 0;
            empty += usize::from(kind == DATA && self.payload == 0 && flags & END_STREAM == 0);
            bytes = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    #[test]
    fn only_data_without_any_and_without_the_end_are_counted() {
        let frames = [
            frame(4, 0, b""),
            frame(DATA, 0, b""),
            frame(DATA, END_STREAM, b""),
            // What looks like a frame in another's payload is none.
            frame(DATA, 0, &frame(DATA, 0, b"")),
            frame(DATA, 8, b""),
        ];
        assert_eq!(Frames::default().empty_data(&frames.concat()), 2);
    }

    proptest! {
        #[test]
        fn it_does_not_matter_where_reads_end(
            frames in prop::collection::vec((0_u8..3, 0_u8..2, prop::collection::vec(any::<u8>(), 0..30)), 0..20),
            cuts in prop::collection::vec(1_usize..40, 1..20),
        ) {
            let all: Vec<u8> = frames
                .iter()
                .flat_map(|(kind, flags, payload)| frame(*kind, *flags, payload))
                .collect();
            let expected = frames
                .iter()
                .filter(|(kind, flags, payload)| *kind == DATA && *flags == 0 && payload.is_empty())
                .count();
            let (mut seen, mut counted, mut rest) = (Frames::default(), 0, &all[..]);
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (read, left) = rest.split_at((*cut).min(rest.len()));
                counted += seen.empty_data(read);
                rest = left;
            }
            prop_assert_eq!(counted, expected);
        }
    }
}
