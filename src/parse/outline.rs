//! The outline of a JSON document: the document with all its lists emptied, made as its bytes come.
//!
//! An answer with a thousand vectors has megabytes of which nothing is read; its outline has some hundred bytes. What the
//! lists hold is passed over unseen, so it is not known to be JSON. It knows nothing of members.

/// Where in a document the next byte stands. What has been kept lies with the caller.
#[derive(Debug, Default)]
pub struct Outline {
    /// Lists that are open.
    depth: usize,
    in_string: bool,
    /// The byte before it was a backslash in a string.
    escaped: bool,
}

impl Outline {
    /// Takes the next bytes, and adds those outside of lists to `kept`.
    pub fn push(&mut self, bytes: &[u8], kept: &mut Vec<u8>) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (run, after) = rest.split_at(self.run(rest));
            let outside = self.depth == 0;
            self.pass(run);
            if outside {
                kept.extend_from_slice(run);
            } else if self.depth == 0 {
                kept.push(b']');
            }
            rest = after;
        }
    }

    /// How many bytes there are up to and with the next one that means something.
    fn run(&self, bytes: &[u8]) -> usize {
        let end = if self.escaped {
            Some(0)
        } else if self.in_string {
            memchr::memchr2(b'"', b'\\', bytes)
        } else {
            memchr::memchr3(b'"', b'[', b']', bytes)
        };
        end.map_or(bytes.len(), |end| end + 1)
    }

    /// Notes what the last byte of a run means.
    fn pass(&mut self, run: &[u8]) {
        if std::mem::take(&mut self.escaped) {
            return;
        }
        match run.last() {
            Some(b'"') => self.in_string = !self.in_string,
            Some(b'\\') => self.escaped = self.in_string,
            Some(b'[') if !self.in_string => self.depth += 1,
            Some(b']') if !self.in_string => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn outline<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> String {
        let (mut outline, mut kept) = (Outline::default(), Vec::new());
        for piece in pieces {
            outline.push(piece, &mut kept);
        }
        String::from_utf8(kept).unwrap()
    }

    #[test]
    fn lists_are_emptied_at_any_cut_and_the_rest_stays() {
        for (document, expected) in [
            (r#"{"a":1,"b":"x"}"#, r#"{"a":1,"b":"x"}"#),
            (r#"{"data":[[0.1,-2e3],[3]],"n":1}"#, r#"{"data":[],"n":1}"#),
            (
                r#"{"data":[{"e":"AA]=\"]","f":[]}],"usage":{"t":5}}"#,
                r#"{"data":[],"usage":{"t":5}}"#,
            ),
            (
                r#"{"s":"[not]\\","t":"\"[","l":["\\"],"u":"]"}"#,
                r#"{"s":"[not]\\","t":"\"[","l":[],"u":"]"}"#,
            ),
            (r#"[1,[2]]"#, "[]"),
            (r#"{"a":]}"#, r#"{"a":]}"#),
            (r#"{"a":[1,2"#, r#"{"a":["#),
            (r"\[1]", r"\[]"),
            ("", ""),
        ] {
            let bytes = document.as_bytes();
            for cut in 0..=bytes.len() {
                let (one, two) = bytes.split_at(cut);
                assert_eq!(outline([one, two]), expected, "cut at {cut}");
            }
            assert_eq!(outline(bytes.chunks(1)), expected, "in bytes");
        }
    }

    #[test]
    fn a_large_list_leaves_nothing() {
        let mut outline = Outline::default();
        let mut kept = Vec::new();
        outline.push(br#"{"data":["#, &mut kept);
        for _ in 0..1000 {
            outline.push(&b"0.123456789,".repeat(1000), &mut kept);
        }
        outline.push(br#"0],"model":"m"}"#, &mut kept);
        assert_eq!(kept, br#"{"data":[],"model":"m"}"#);
        assert!(kept.capacity() < 256);
    }

    proptest! {
        #[test]
        fn what_is_kept_depends_on_no_cut(bytes in prop::collection::vec(prop::sample::select(br#"[]"\{}a"#.to_vec()), 0..40)) {
            let whole = outline([bytes.as_slice()]);
            prop_assert_eq!(&outline(bytes.chunks(1)), &whole);
            prop_assert!(whole.len() <= bytes.len());
        }
    }
}
