//! Comments before an event (HTML, "Server-sent events", §9.2.6): lines that begin with a colon.

/// Where a stream stands in the comments that come before an event.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comments {
    /// At the start of a line.
    #[default]
    Line,
    /// Within a comment.
    Within,
    /// Behind the carriage return of one, to which a line feed belongs that follows.
    AfterReturn,
}

impl Comments {
    /// How many of these bytes, which are the next, are comments.
    pub(super) fn take(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while let Some(&next) = bytes.get(taken) {
            *self = match (*self, next) {
                (Self::Line, b':') => Self::Within,
                (Self::Line, _) => break,
                (Self::AfterReturn, b'\n') => Self::Line,
                (Self::AfterReturn, _) => {
                    *self = Self::Line;
                    continue;
                }
                (Self::Within, b'\n') => Self::Line,
                (Self::Within, b'\r') => Self::AfterReturn,
                (Self::Within, _) => Self::Within,
            };
            taken += 1;
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_taken_wherever_they_are_cut() {
        for (comments, rest) in [
            ("", "data: a"),
            (": a\n", "data: a"),
            (": a\r", "data: a"),
            (": a\r\n::\r\r\n", "\n: b\n"),
            (":\n:\n", "\n"),
            (": a", ""),
        ] {
            let (mut whole, bytes) = (Comments::default(), [comments, rest].concat());
            let expected = match comments.ends_with("\r\r\n") {
                // A blank line ends what a comment began.
                true => comments.len() - 2,
                false => comments.len(),
            };
            assert_eq!(whole.take(bytes.as_bytes()), expected, "{bytes:?}");
            for cut in 0..=bytes.len() {
                let (first, second) = bytes.as_bytes().split_at(cut);
                let mut state = Comments::default();
                let mut taken = state.take(first);
                if taken == first.len() {
                    taken += state.take(second);
                }
                assert_eq!((taken, state), (expected, whole), "{bytes:?} cut at {cut}");
            }
        }
    }
}
