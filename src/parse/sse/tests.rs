use proptest::prelude::*;

use super::*;

/// An event with its own bytes: name, data, oversized.
type Owned = (Vec<u8>, Vec<u8>, bool);

fn owned(event: Event<'_>) -> Owned {
    (event.name.to_vec(), event.data.to_vec(), event.oversized)
}

fn parse_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, limit: usize) -> (Vec<Owned>, u64) {
    let mut parser = Parser::new(limit);
    let mut events = Vec::new();
    for piece in pieces {
        parser.push(piece, |event| events.push(owned(event)));
    }
    parser.finish(|event| events.push(owned(event)));
    (events, parser.comments())
}

fn data_of(stream: &[u8]) -> Vec<String> {
    let (events, _) = parse_pieces([stream], 1 << 20);
    events
        .into_iter()
        .map(|(_, data, _)| String::from_utf8(data).unwrap())
        .collect()
}

#[test]
fn lines_end_with_lf_crlf_or_cr() {
    for stream in [
        "data: 1\n\ndata: 2\n\n",
        "data: 1\r\n\r\ndata: 2\r\n\r\n",
        "data: 1\r\rdata: 2\r\r",
        "data: 1\r\n\ndata: 2\n\r",
    ] {
        assert_eq!(data_of(stream.as_bytes()), ["1", "2"], "{stream:?}");
    }
}

#[test]
fn exactly_one_space_is_stripped() {
    assert_eq!(
        data_of(b"data:1\n\ndata:  2\n\ndata: 3 \n\n"),
        ["1", " 2", "3 "]
    );
}

#[test]
fn several_data_lines_are_joined() {
    assert_eq!(
        data_of(b"data: {\ndata\ndata: }\n\ndata: x\n\n"),
        ["{\n\n}", "x"]
    );
}

#[test]
fn a_line_cut_between_cr_and_lf_is_one_line() {
    let (events, _) = parse_pieces(
        [&b"data: A\r"[..], b"\ndata: B\r\n\r", b"\ndata: C\n\n"],
        64,
    );
    let data: Vec<_> = events.iter().map(|(_, data, _)| data.as_slice()).collect();
    assert_eq!(data, [&b"A\nB"[..], b"C"]);
}

#[test]
fn an_event_that_ends_with_cr_is_dispatched_at_once() {
    let mut parser = Parser::new(64);
    let mut seen = 0;
    parser.push(b"data: A\r\n\r", |_| seen += 1);
    assert_eq!(seen, 1);
    parser.push(b"\n", |_| seen += 1);
    assert_eq!(seen, 1);
}

#[test]
fn names_and_a_byte_order_mark_are_understood() {
    let (events, _) = parse_pieces(
        [&b"\xEF\xBB\xBFevent: message\nid: 7\nretry: 3000\nx\ndata: {}\n\ndata: 2\n\n"[..]],
        64,
    );
    assert_eq!(events[0], (b"message".to_vec(), b"{}".to_vec(), false));
    assert_eq!(events[1], (b"".to_vec(), b"2".to_vec(), false));
}

#[test]
fn comments_are_counted_and_are_no_events() {
    let (events, comments) = parse_pieces([&b": keep-alive\n\n: a\n:b\ndata: 1\n\n"[..]], 64);
    assert_eq!((events.len(), comments), (1, 3));
}

#[test]
fn empty_data_is_an_event_and_a_name_alone_is_not() {
    assert_eq!(data_of(b"data:\n\nevent: ping\n\ndata\n\n"), ["", ""]);
}

#[test]
fn what_is_left_at_the_end_is_an_event() {
    assert_eq!(data_of(b"data: 1\n\ndata: [DONE]"), ["1", "[DONE]"]);
    assert_eq!(data_of(b"data: [DONE]\n"), ["[DONE]"]);
    assert_eq!(data_of(b""), Vec::<String>::new());
}

#[test]
fn an_error_line_is_an_event_named_error() {
    let (events, _) = parse_pieces([&b"error: {\"code\":400}\n\ndata: [DONE]\n\n"[..]], 64);
    assert_eq!(
        events[0],
        (b"error".to_vec(), b"{\"code\":400}".to_vec(), false)
    );
    assert_eq!(events[1].1, b"[DONE]");
}

#[test]
fn an_event_beyond_the_bound_is_skipped_and_reported() {
    let stream = [
        b"data: ".to_vec(),
        vec![b'x'; 100],
        b"\n\ndata: 2\n\n".to_vec(),
    ]
    .concat();
    let (events, _) = parse_pieces([stream.as_slice()], 50);
    assert_eq!(
        events,
        [(vec![], vec![], true), (vec![], b"2".to_vec(), false)]
    );
}

#[test]
fn after_a_gap_the_next_whole_event_is_read() {
    let mut parser = Parser::new(1000);
    let mut seen = Vec::new();
    parser.push(b"data: 1\n\ndata: {\"a", |event| seen.push(owned(event).1));
    parser.resync();
    parser.push(b"\"}\n\ndata: 3\n\n", |event| seen.push(owned(event).1));
    assert_eq!(seen, [b"1", b"3"]);
}

#[test]
fn segments_say_what_they_are() {
    let mut framer = Framer::new();
    let mut push = |frame: &[u8]| framer.push(frame).collect::<Vec<_>>();
    assert_eq!(
        push(b"data: 1\n\ndata: 2"),
        [Segment::End(0..9), Segment::Open(9..16)]
    );
    assert_eq!(push(b"\r"), [Segment::Open(0..1)]);
    assert_eq!(push(b"\n\r"), [Segment::End(0..2)]);
    assert_eq!(
        push(b"\n\ndata"),
        [Segment::Late(0..1), Segment::End(1..2), Segment::Open(2..6)]
    );
    assert_eq!(push(b""), []);
}

#[test]
fn the_form_of_a_body_shows_in_its_beginning() {
    for (beginning, sniffed) in [
        (&b""[..], Sniff::Undecided),
        (b"\n\n \r\n", Sniff::Undecided),
        (b"da", Sniff::Undecided),
        (b"\xEF\xBB", Sniff::Undecided),
        (b"\xEF\xBB\xBFdata: 1", Sniff::Stream),
        (b"data:{", Sniff::Stream),
        (b"\n: ping", Sniff::Stream),
        (b"event: x", Sniff::Stream),
        (b"error: {", Sniff::Stream),
        (b"\n\n{\"id\"", Sniff::Other),
        (b"[{\"error\"", Sniff::Other),
        (b"<html>", Sniff::Other),
        (b"database gone", Sniff::Other),
        (b"error: gone", Sniff::Other),
    ] {
        assert_eq!(sniff(beginning), sniffed, "{beginning:?}");
    }
}

/// The specification's algorithm, as plainly as can be: split into lines, then go line by line. At the end of the
/// stream one more blank line is assumed.
fn reference(stream: &[u8]) -> (Vec<Owned>, u64) {
    let stream = stream.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(stream);
    let mut lines = vec![Vec::new()];
    let mut at = 0;
    while at < stream.len() {
        match (stream[at], stream.get(at + 1)) {
            (b'\r', Some(b'\n')) => {
                at += 1;
                lines.push(Vec::new());
            }
            (b'\r' | b'\n', _) => lines.push(Vec::new()),
            (byte, _) => lines.last_mut().unwrap().push(byte),
        }
        at += 1;
    }
    lines.push(Vec::new());
    let (mut events, mut comments) = (Vec::new(), 0);
    let (mut name, mut data) = (vec![], vec![]);
    for line in lines {
        if line.is_empty() {
            if !data.is_empty() {
                data.pop();
                events.push((name, data, false));
            }
            (name, data) = (vec![], vec![]);
            continue;
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (field, value) = match colon {
            Some(0) => {
                comments += 1;
                continue;
            }
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (&line[..], &b""[..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"event" => name = value.to_vec(),
            b"data" => {
                data.extend_from_slice(value);
                data.push(b'\n');
            }
            b"error" => events.push((b"error".to_vec(), value.to_vec(), false)),
            _ => {}
        }
    }
    (events, comments)
}

/// Streams that are dense in what matters to framing.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        4 => Just("data: "),
        2 => Just("data"),
        1 => Just("event: "),
        1 => Just("error:"),
        1 => Just("\u{feff}"),
        2 => Just(":"),
        2 => Just(" x"),
        1 => Just("é"),
        5 => Just("\n"),
        4 => Just("\r\n"),
        3 => Just("\r"),
    ];
    prop::collection::vec(token, 0..40).prop_map(|tokens| tokens.concat().into_bytes())
}

fn cut<'a>(stream: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
    places.sort_unstable();
    let mut pieces = Vec::new();
    let mut from = 0;
    for place in places {
        pieces.push(&stream[from..place]);
        from = place;
    }
    pieces.push(&stream[from..]);
    pieces
}

fn cuts() -> impl Strategy<Value = Vec<prop::sample::Index>> {
    prop::collection::vec(any::<prop::sample::Index>(), 0..12)
}

proptest! {
    #[test]
    fn events_are_those_of_the_specification(stream in stream()) {
        prop_assert_eq!(parse_pieces([stream.as_slice()], 1 << 20), reference(&stream));
    }

    #[test]
    fn any_cut_gives_the_same_events(stream in stream(), cuts in cuts(), limit in 0_usize..60) {
        let whole = parse_pieces([stream.as_slice()], limit);
        prop_assert_eq!(&parse_pieces(cut(&stream, &cuts), limit), &whole);
        prop_assert_eq!(parse_pieces(stream.chunks(1), limit), whole);
    }

    #[test]
    fn arbitrary_bytes_are_framed_alike_at_any_cut(stream in prop::collection::vec(any::<u8>(), 0..200), cuts in cuts()) {
        let whole = parse_pieces([stream.as_slice()], 100);
        prop_assert_eq!(parse_pieces(cut(&stream, &cuts), 100), whole);
    }

    #[test]
    fn what_is_skipped_changes_nothing_of_what_follows(stream in stream(), cuts in cuts()) {
        let (mut whole, mut skipping) = (Framer::new(), Framer::new());
        for piece in cut(&stream, &cuts) {
            let skipped = skipping.skip(piece);
            let segments: Vec<_> = whole.push(piece).filter(|segment| segment.range().start >= skipped).collect();
            prop_assert_eq!(skipping.push_from(piece, skipped).collect::<Vec<_>>(), segments);
            prop_assert!(skipped == 0 || piece[..skipped].ends_with(b"\n\n"));
        }
    }

    #[test]
    fn segments_cover_every_frame_and_end_the_same_events(stream in stream(), cuts in cuts()) {
        let ends = |pieces: Vec<&[u8]>| {
            let (mut framer, mut ends, mut base) = (Framer::new(), Vec::new(), 0);
            for piece in pieces {
                let mut at = 0;
                for segment in framer.push(piece) {
                    let range = segment.range();
                    assert_eq!(range.start, at);
                    assert!(range.end > at);
                    at = range.end;
                    match segment {
                        Segment::End(_) => ends.push(base + at),
                        // Seen whole, the late line feed is part of the event it belongs to.
                        Segment::Late(_) => *ends.last_mut().unwrap() = base + at,
                        Segment::Open(_) => assert_eq!(at, piece.len()),
                    }
                }
                assert_eq!(at, piece.len());
                base += piece.len();
            }
            ends
        };
        prop_assert_eq!(ends(cut(&stream, &cuts)), ends(vec![&stream]));
    }

    #[test]
    fn after_a_gap_the_events_are_the_last_of_the_whole(stream in stream(), at in any::<prop::sample::Index>()) {
        let at = at.index(stream.len() + 1);
        let (all, _) = parse_pieces([stream.as_slice()], 1 << 20);
        let mut parser = Parser::new(1 << 20);
        let mut events = Vec::new();
        parser.resync();
        parser.push(&stream[at..], |event| events.push(owned(event)));
        parser.finish(|event| events.push(owned(event)));
        prop_assert!(all.ends_with(&events), "{events:?} of {all:?}");
    }
}

#[test]
fn how_a_stream_is_written_is_noted_at_any_cut() {
    type Expect = fn(&mut Oddities);
    let cases: [(&[u8], Expect); 12] = [
        (
            b": comment\n\nevent: a\ndata: 1\n\ndata:\n\ndata\n\n\n",
            |_| {},
        ),
        (b"data: 1\r\n\r\n", |odd| odd.carriage_returns = true),
        (b"data: 1\rdata: 2\n\n", |odd| {
            (odd.carriage_returns, odd.several_lines) = (true, true);
        }),
        (b"data:1\n\n", |odd| odd.no_space = true),
        (b"data:  1\n\n", |odd| odd.more_spaces = true),
        (b"data: 1\ndata: 2\n\n", |odd| odd.several_lines = true),
        (b"\xEF\xBB\xBFdata: 1\n\n", |odd| odd.other_fields = true),
        (b"id: 1\ndata: 1\n\n", |odd| odd.other_fields = true),
        (b"retry: 9\n\n", |odd| odd.other_fields = true),
        (b"error: 1\n\n", |odd| odd.error_field = true),
        (b"data: 1\n\ndata: 2", |odd| odd.unended = true),
        (b"data: 1\n\nda", |_| {}),
    ];
    for (stream, expect) in cases {
        let mut expected = Oddities::default();
        expect(&mut expected);
        for cut in 0..=stream.len() {
            let mut parser = Parser::new(1 << 20);
            parser.push(&stream[..cut], |_| {});
            parser.push(&stream[cut..], |_| {});
            parser.finish(|_| {});
            let text = String::from_utf8_lossy(stream);
            assert_eq!(parser.oddities(), expected, "{text:?} cut at {cut}");
        }
    }
}
