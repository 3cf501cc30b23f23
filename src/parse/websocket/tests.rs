use flate2::{Compress, Compression, FlushCompress};
use proptest::prelude::*;

use super::*;
use frames::frame;

#[path = "../../../tests/fixtures/frame.rs"]
mod frames;

const LIMIT: usize = 1 << 20;

/// A message with its own bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Owned {
    Text(String),
    Binary,
    Oversized,
    Close(Option<u16>),
    Lost,
}

fn owned(message: Message<'_>) -> Owned {
    match message {
        Message::Text(text) => Owned::Text(String::from_utf8_lossy(text).into_owned()),
        Message::Binary => Owned::Binary,
        Message::Oversized => Owned::Oversized,
        Message::Close(code) => Owned::Close(code),
        Message::Lost => Owned::Lost,
    }
}

fn text(text: &str) -> Owned {
    Owned::Text(text.to_owned())
}

fn read_with<'a>(mut reader: Reader, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Owned> {
    let mut messages = Vec::new();
    for piece in pieces {
        reader.push(piece, |message| messages.push(owned(message)));
    }
    messages
}

fn read(bytes: &[u8]) -> Vec<Owned> {
    read_with(
        Reader::new(End::Server, Extensions::default(), LIMIT),
        [bytes],
    )
}

/// Compresses messages as a peer would, with a window that lasts or not.
struct Deflater {
    state: Compress,
    forgets: bool,
}

impl Deflater {
    fn new(forgets: bool) -> Self {
        let state = Compress::new(Compression::default(), false);
        Self { state, forgets }
    }

    fn message(&mut self, text: &[u8]) -> Vec<u8> {
        if self.forgets {
            self.state.reset();
        }
        let mut out = Vec::with_capacity(text.len() + 100);
        self.state
            .compress_vec(text, &mut out, FlushCompress::Sync)
            .unwrap();
        assert!(out.ends_with(&[0, 0, 0xff, 0xff]));
        out.truncate(out.len() - 4);
        out
    }
}

const DEFLATE: &str = "permessage-deflate; client_max_window_bits=15";
const FORGETFUL: &str = "permessage-deflate; server_no_context_takeover";

#[test]
fn a_masked_text_is_read() {
    // The example of RFC 6455 §5.7.
    let hello = [
        0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
    ];
    assert_eq!(read(&hello), [text("Hello")]);
}

#[test]
fn a_control_frame_may_stand_between_the_fragments_of_a_message() {
    let bytes = [
        frame(0x01, b"Hel", None),
        frame(0x89, b"ping", Some([1, 2, 3, 4])),
        frame(0x00, b"", None),
        frame(0x80, b"lo", None),
        frame(0x8a, b"", None),
        frame(0x81, b"", None),
    ];
    assert_eq!(read(&bytes.concat()), [text("Hello"), text("")]);
}

#[test]
fn bytes_are_said_and_not_kept() {
    let bytes = [
        frame(0x02, &[0xff; 300], None),
        frame(0x80, &[0xff; 70_000], Some([9, 8, 7, 6])),
        frame(0x81, b"on", None),
    ];
    assert_eq!(read(&bytes.concat()), [Owned::Binary, text("on")]);
}

#[test]
fn a_close_says_its_code_where_it_has_one() {
    let bytes = [
        frame(0x88, b"\x03\xe8going away", Some([1, 2, 3, 4])),
        frame(0x88, b"", None),
        frame(0x88, b"\x03", None),
    ];
    let closes = [Some(1000), None, None].map(Owned::Close);
    assert_eq!(read(&bytes.concat()), closes);
}

#[test]
fn a_message_beyond_the_bound_is_passed_over_and_the_next_one_read() {
    let reader = Reader::new(End::Client, Extensions::default(), 10);
    let bytes = [
        frame(0x01, b"123456", None),
        frame(0x80, b"78901", None),
        frame(0x81, &[b'x'; 100_000], Some([1, 2, 3, 4])),
        frame(0x81, b"1234567890", None),
    ]
    .concat();
    assert_eq!(
        read_with(reader, bytes.chunks(1000)),
        [Owned::Oversized, Owned::Oversized, text("1234567890")]
    );
}

#[test]
fn what_is_no_frame_loses_the_rest() {
    for bytes in [
        b"HTTP/1.1 200".as_slice(),
        &frame(0x83, b"", None),
        &frame(0x91, b"", None),
        &frame(0x80, b"nothing to continue", None),
        &[frame(0x01, b"a", None), frame(0x81, b"b", None)].concat(),
        &frame(0x09, b"a ping in parts", None),
        &frame(0x88, &[b'x'; 126], None),
        &frame(0xc1, b"compressed, which nobody agreed on", None),
        &[0x81, 0x7f, 0xff, 0, 0, 0, 0, 0, 0, 0],
    ] {
        let all = [bytes, &frame(0x81, b"a", None)].concat();
        assert_eq!(read(&all).last(), Some(&Owned::Lost), "{bytes:?}");
        assert!(read(&all).len() < 3, "{bytes:?}");
    }
}

#[test]
fn after_a_gap_nothing_is_read() {
    let mut reader = Reader::new(End::Server, Extensions::default(), LIMIT);
    reader.lose();
    assert_eq!(read_with(reader, [frame(0x81, b"a", None).as_slice()]), []);
}

#[test]
fn compressed_messages_are_read_with_a_window_that_lasts_and_without() {
    for (agreed, forgets) in [(DEFLATE, false), (FORGETFUL, true)] {
        let mut deflater = Deflater::new(forgets);
        let said = ["{\"type\":\"response.audio.delta\"}"; 3];
        let mut bytes = Vec::new();
        for said in said {
            let coded = deflater.message(said.as_bytes());
            let (one, two) = coded.split_at(coded.len() / 2);
            bytes.extend(frame(0x41, one, None));
            bytes.extend(frame(0x80, two, None));
            // One that its sender did not find worth it.
            bytes.extend(frame(0x81, b"{}", None));
        }
        let expected: Vec<_> = said
            .iter()
            .flat_map(|said| [text(said), text("{}")])
            .collect();
        for cut in [1, 2, 7, 1000] {
            let reader = Reader::new(End::Server, Extensions::agreed(agreed), LIMIT);
            assert_eq!(
                read_with(reader, bytes.chunks(cut)),
                expected,
                "{agreed}, in pieces of {cut}"
            );
        }
    }
}

#[test]
fn a_compressed_message_may_end_with_a_last_block() {
    // The examples of RFC 7692 §7.2.3.1 and §7.2.3.4.
    let plain = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let last = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
    let bytes = [&last, plain.as_slice(), &last].map(|coded| frame(0xc1, coded, None));
    let reader = Reader::new(End::Client, Extensions::agreed(DEFLATE), LIMIT);
    assert_eq!(
        read_with(reader, [&*bytes.concat()]),
        [text("Hello"), text("Hello"), text("Hello")]
    );
}

#[test]
fn a_bomb_is_stopped_at_the_bound() {
    let zeros = vec![b'0'; 10 << 20];
    for (agreed, forgets, then) in [
        (DEFLATE, false, vec![Owned::Lost]),
        (FORGETFUL, true, vec![Owned::Oversized, text("after")]),
    ] {
        let mut deflater = Deflater::new(forgets);
        let bytes = [
            frame(0xc1, &deflater.message(&zeros), None),
            frame(0xc1, &deflater.message(b"after"), None),
        ]
        .concat();
        let mut reader = Reader::new(End::Server, Extensions::agreed(agreed), LIMIT);
        let mut seen = Vec::new();
        reader.push(&bytes, |message| seen.push(owned(message)));
        assert_eq!(seen, then, "{agreed}");
    }
}

#[test]
fn damaged_compression_loses_the_rest() {
    let reader = Reader::new(End::Server, Extensions::agreed(DEFLATE), LIMIT);
    let bytes = [frame(0xc1, &[0xff; 40], None), frame(0x81, b"a", None)].concat();
    assert_eq!(read_with(reader, [&*bytes]), [Owned::Lost]);
}

#[test]
fn a_message_that_is_too_long_before_its_damage_is_passed_over_at_any_cut() {
    let mut coded = Deflater::new(true).message(&[b'0'; 200]);
    coded.extend([0xff; 20]);
    let bytes = [frame(0xc1, &coded, None), frame(0x81, b"on", None)].concat();
    for cut in 1..=bytes.len() {
        let reader = Reader::new(End::Server, Extensions::agreed(FORGETFUL), 100);
        assert_eq!(
            read_with(reader, bytes.chunks(cut)),
            [Owned::Oversized, text("on")],
            "in pieces of {cut}"
        );
    }
}

#[test]
fn what_was_agreed_on_is_read_for_each_direction() {
    let both = Extensions::agreed(
        "x-other; a=b, permessage-deflate;client_no_context_takeover; server_max_window_bits=10",
    );
    assert!(both.inflater(End::Client).unwrap().forgets());
    assert!(!both.inflater(End::Server).unwrap().forgets());
    assert!(
        Extensions::agreed("x-webkit-deflate-frame")
            .inflater(End::Client)
            .is_none()
    );
}

/// Whether a message is text, its parts, and the mask over them.
type Parts = (bool, Vec<Vec<u8>>, Option<[u8; 4]>);

fn messages() -> impl Strategy<Value = Vec<Parts>> {
    let part = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        prop::collection::vec(Just(b'a'), 65_530..65_540),
    ];
    let parts = prop::collection::vec(part, 1..4);
    prop::collection::vec((any::<bool>(), parts, any::<Option<[u8; 4]>>()), 0..5)
}

proptest! {
    // Long messages, so fewer of them.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_cut_reads_alike(messages in messages(), compressed: bool, cut in 1_usize..3000) {
        let mut deflater = Deflater::new(false);
        let (mut bytes, mut expected) = (Vec::new(), Vec::new());
        for (is_text, parts, mask) in messages {
            let whole = parts.concat();
            expected.push(if is_text { text(&String::from_utf8_lossy(&whole)) } else { Owned::Binary });
            let parts = if compressed { vec![deflater.message(&whole)] } else { parts };
            for (at, part) in parts.iter().enumerate() {
                let opcode = match (at, is_text) { (0, true) => 1, (0, false) => 2, _ => 0 };
                let last = if at + 1 == parts.len() { 0x80 } else { 0 };
                let coded = if compressed && at == 0 { 0x40 } else { 0 };
                bytes.extend(frame(opcode | last | coded, part, mask));
                bytes.extend(frame(0x89, b"ping", mask));
            }
        }
        let reader = || Reader::new(End::Client, Extensions::agreed(DEFLATE), LIMIT);
        prop_assert_eq!(read_with(reader(), [&*bytes]), expected.clone());
        prop_assert_eq!(read_with(reader(), bytes.chunks(cut)), expected);
    }

    #[test]
    fn arbitrary_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..400), cut in 1_usize..40) {
        for agreed in ["", DEFLATE, FORGETFUL] {
            let reader = || Reader::new(End::Server, Extensions::agreed(agreed), 100);
            let seen = read_with(reader(), bytes.chunks(cut));
            prop_assert_eq!(&seen, &read_with(reader(), [&*bytes]));
            let lost = seen.iter().position(|message| *message == Owned::Lost);
            prop_assert!(lost.is_none_or(|at| at + 1 == seen.len()));
        }
    }
}
