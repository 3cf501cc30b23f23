use proptest::prelude::*;

use super::*;

const WANTED: &[&str] = &["model", "stream", "prompt"];
const BOUNDARY: &str = "----b0undary";

/// A part: its name, whether it is a file, its value.
type Part<'a> = (&'a str, bool, &'a [u8]);

fn written(parts: &[Part<'_>]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, is_file, value) in parts {
        let file = if *is_file {
            "; filename=\"a.bin\"\r\nContent-Type: application/octet-stream"
        } else {
            ""
        };
        body.extend(
            format!(
                "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n"
            )
            .bytes(),
        );
        body.extend(*value);
        body.extend(CRLF);
    }
    body.extend(format!("--{BOUNDARY}--\r\n").bytes());
    body
}

fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Read {
    let mut multipart = Multipart::new(BOUNDARY.as_bytes(), WANTED);
    pieces.into_iter().for_each(|piece| multipart.push(piece));
    multipart.finish()
}

fn fields(read: &Read) -> Vec<(&str, &str)> {
    let text = |name| std::str::from_utf8(read.form.get(name)?).ok();
    WANTED
        .iter()
        .filter_map(|name| Some((*name, text(name)?)))
        .collect()
}

#[test]
fn wanted_fields_are_kept_wherever_the_body_is_cut() {
    let body = written(&[
        ("file", true, b"RIFF\r\n\r\n--\r\n------b0undar\r\r\n"),
        ("model", false, b"whisper-1"),
        ("language", false, b"de"),
        ("prompt", false, b"one\r\ntwo\r\n"),
        ("stream", false, b""),
    ]);
    let expected = [
        ("model", "whisper-1"),
        ("stream", ""),
        ("prompt", "one\r\ntwo\r\n"),
    ];
    for cut in 0..=body.len() {
        let (one, two) = body.split_at(cut);
        let read = read([one, two]);
        assert_eq!(fields(&read), expected, "cut at {cut}");
        assert!(read.whole, "cut at {cut}");
    }
    assert_eq!(fields(&read(body.chunks(1))), expected);
}

#[test]
fn a_line_that_only_begins_like_a_delimiter_is_part_of_the_value() {
    for value in [
        format!("a\r\n--{BOUNDARY}x\r\nb"),
        format!("a\r\n--{BOUNDARY} \r\r\nb"),
        format!("a\r\n--{BOUNDARY}-\r\n"),
        format!("--{BOUNDARY}"),
        format!("\r\n--{BOUNDARY}{}", " ".repeat(100)),
        format!("\n--{BOUNDARY}--"),
    ] {
        let body = written(&[("prompt", false, value.as_bytes())]);
        for piece in [1, 7, body.len()] {
            let read = read(body.chunks(piece));
            assert_eq!(fields(&read), [("prompt", value.as_str())], "{value:?}");
        }
    }
}

#[test]
fn delimiters_may_be_padded_and_followed_and_preceded_by_anything() {
    let body = format!(
        "preamble\r\n--{BOUNDARY} \t\r\ncontent-disposition: form-data; name=model\r\n\r\nm\r\n--{BOUNDARY}--\r\n\
         --{BOUNDARY}\r\nContent-Disposition: form-data; name=\"stream\"\r\n\r\ntrue\r\n--{BOUNDARY}--"
    );
    let read = read([body.as_bytes()]);
    assert_eq!(fields(&read), [("model", "m")]);
    assert!(read.whole);
}

#[test]
fn a_form_without_its_last_delimiter_is_not_whole_and_its_last_value_does_not_count() {
    let body = written(&[("model", false, b"m"), ("prompt", false, b"half a prom")]);
    let end = body.len() - format!("\r\n--{BOUNDARY}--\r\n").len();
    let half = read([&body[..end]]);
    assert_eq!(fields(&half), [("model", "m")]);
    assert!(!half.whole);
    assert!(read([]).whole, "nothing was sent, so nothing is missing");
}

#[test]
fn the_last_of_several_values_counts() {
    let body = written(&[
        ("model", false, b"a"),
        ("model", true, b"c"),
        ("model", false, b"b"),
    ]);
    assert_eq!(fields(&read([body.as_slice()])), [("model", "b")]);
}

#[test]
fn parts_without_a_name_or_a_head_are_passed_over() {
    let body = format!(
        "--{BOUNDARY}\r\n\r\nbare\r\n--{BOUNDARY}\r\nX: y\r\n\r\nz\r\n--{BOUNDARY}\r\n\
         Content-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--{BOUNDARY}--\r\n"
    );
    assert_eq!(fields(&read([body.as_bytes()])), [("model", "m")]);
}

#[test]
fn values_and_heads_beyond_the_bound_are_not_kept() {
    let long = "x".repeat(VALUE_KEPT + 1);
    let name = format!("\"; x=\"{}", "y".repeat(HEAD_KEPT));
    let body = written(&[
        ("prompt", false, long.as_bytes()),
        (&format!("stream{name}"), false, b"true"),
        ("model", false, b"m"),
    ]);
    for piece in [1000, body.len()] {
        let read = read(body.chunks(piece));
        assert_eq!((fields(&read), read.oversized), (vec![("model", "m")], 1));
        assert!(read.whole);
    }
}

#[test]
fn a_large_file_leaves_nothing_behind() {
    let file = [b"\r\n--".as_slice(), &[b'\r'; 60]]
        .concat()
        .repeat(1 << 14);
    let mut multipart = Multipart::new(BOUNDARY.as_bytes(), WANTED);
    let body = written(&[("file", true, &file), ("model", false, b"m")]);
    for piece in body.chunks(16 << 10) {
        multipart.push(piece);
        assert!(multipart.begun.capacity() <= 1024 && multipart.value.is_none());
    }
    assert_eq!(fields(&multipart.finish()), [("model", "m")]);
}

#[test]
fn reading_goes_on_with_the_next_part_after_bytes_that_were_not_seen() {
    let body = written(&[
        ("model", false, b"m"),
        ("prompt", false, b"lost"),
        ("stream", false, b"true"),
    ]);
    let at = |text: &str| {
        body.windows(text.len())
            .position(|at| at == text.as_bytes())
            .unwrap()
    };
    for (from, to) in [
        (at("lost"), at("lost") + 2),
        (at("\"prompt") - 5, at("lost")),
        (at("lost") - 1, at("lost")),
    ] {
        let mut multipart = Multipart::new(BOUNDARY.as_bytes(), WANTED);
        multipart.push(&body[..from]);
        multipart.resync();
        multipart.push(&body[to..]);
        let read = multipart.finish();
        assert_eq!(fields(&read), [("model", "m"), ("stream", "true")]);
        assert!(read.whole);
    }
}

proptest! {
    #[test]
    fn values_survive_any_cut(
        values in prop::collection::vec((0..4_usize, any::<bool>(), "[-\r\nb0x ]{0,12}(\r\n------b0undary)?[\r\n-a]{0,9}"), 0..5),
        piece in 1_usize..40,
    ) {
        let names = ["model", "stream", "prompt", "file"];
        // A value that has a delimiter in it is none.
        let is_whole = |value: &str| {
            let read = read([written(&[("prompt", false, value.as_bytes())]).as_slice()]);
            read.form.get("prompt") == Some(value.as_bytes())
        };
        let parts: Vec<Part<'_>> = values
            .iter()
            .filter(|(_, _, value)| is_whole(value))
            .map(|(name, is_file, value)| (names[*name], *is_file, value.as_bytes()))
            .collect();
        let body = written(&parts);
        let read = read(body.chunks(piece));
        prop_assert!(read.whole);
        for name in WANTED {
            let last = parts.iter().rfind(|(part, is_file, _)| part == name && !is_file);
            prop_assert_eq!(read.form.get(name), last.map(|(_, _, value)| *value));
        }
    }

    #[test]
    fn arbitrary_bytes_read_alike_at_any_cut(
        body in prop::collection::vec(prop::sample::select(b"\r\n-b0undary: ;=\"x".to_vec()), 0..200),
        piece in 1_usize..40,
    ) {
        let whole = [b"------b0undary\r\n", body.as_slice()].concat();
        prop_assert_eq!(read([whole.as_slice()]), read(whole.chunks(piece)));
    }
}
