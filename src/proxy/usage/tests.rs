use super::*;
use proptest::prelude::*;

fn spliced(body: &str) -> Option<String> {
    let splice = Inspected::of(body.as_bytes()).splice?;
    let (before, after) = body.split_at(splice.at);
    Some(format!("{before}{}{after}", splice.text))
}

/// What the client gets of a stream that arrives in these frames, and what is taken out.
fn filtered<'a>(frames: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, Vec<u8>) {
    let mut filter = Filter::default();
    let mut pieces = VecDeque::new();
    for frame in frames {
        filter.push(Bytes::copy_from_slice(frame), &mut pieces);
    }
    filter.finish(&mut pieces);
    let (mut passed, mut removed) = (Vec::new(), Vec::new());
    for piece in pieces {
        match piece {
            Piece::Pass(bytes) => passed.extend_from_slice(&bytes),
            Piece::Remove(bytes) => removed.extend_from_slice(&bytes),
        }
    }
    (passed, removed)
}

const HELLO: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hello\"}}],\"usage\":null}";
const USAGE: &str =
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":4}}";
const DONE: &str = "data: [DONE]";

#[test]
fn usage_is_asked_for_where_a_stream_did_not() {
    for (sent, expected) in [
        (
            r#"{"stream":true}"#,
            r#"{"stream_options":{"include_usage":true},"stream":true}"#,
        ),
        (
            " {\n \"model\" : \"m\", \"stream\" : true }\n",
            " {\"stream_options\":{\"include_usage\":true},\n \"model\" : \"m\", \"stream\" : true }\n",
        ),
        (
            r#"{"stream":true,"stream_options":{}}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true}}"#,
        ),
        (
            r#"{"stream_options":{"include_obfuscation":false},"stream":true}"#,
            r#"{"stream_options":{"include_usage":true,"include_obfuscation":false},"stream":true}"#,
        ),
    ] {
        assert_eq!(spliced(sent).as_deref(), Some(expected), "{sent}");
    }
}

#[test]
fn what_the_client_said_or_may_have_said_is_left_alone() {
    for sent in [
        "",
        "{}",
        "[]",
        "null",
        r#"{"stream":false}"#,
        r#"{"stream":"true"}"#,
        r#"{"stream":1}"#,
        r#"{"stream":true,"stream":true}"#,
        r#"{"stream":false,"stream":true}"#,
        r#"{"str\u0065am":true}"#,
        r#"{"stream":true,"stream_options":null}"#,
        r#"{"stream":true,"stream_options":[]}"#,
        r#"{"stream":true,"stream_options":{"include_usage":false}}"#,
        r#"{"stream":true,"stream_options":{"include_usage":true}}"#,
        r#"{"stream":true,"stream_options":{"include_us\u0061ge":true}}"#,
        r#"{"stream":true,"stream_options":{},"stream_options":{}}"#,
        r#"{"stream":true,"stream\u005foptions":{}}"#,
        "\u{feff}{\"stream\":true}",
        r#"{"stream":true"#,
        r#"{"stream":true} {}"#,
        r#"{"stream":true,}"#,
    ] {
        assert_eq!(spliced(sent), None, "{sent}");
    }
}

#[test]
fn the_model_is_read_wherever_it_stands() {
    let model = |body: &'static str| Inspected::of(body.as_bytes()).model.map(Text::decode);
    assert_eq!(
        model(r#"{"a":[{"model":"no"}],"model":"gp\u0074-4o"}"#).as_deref(),
        Some("gpt-4o")
    );
    assert_eq!(model(r#"{"model":7}"#), None);
    assert_eq!(model("not json"), None);
}

#[test]
fn the_asked_for_event_is_taken_out_at_every_cut_and_with_every_line_end() {
    for end in ["\n", "\r\n", "\r"] {
        let blank = end.repeat(2);
        let event = |data: &str| format!("{data}{blank}");
        let before = event(HELLO) + &event(": keep-alive");
        let sent = format!("{before}{}{}", event(USAGE), event(DONE));
        let wanted = format!("{before}{}", event(DONE));
        for cut in 0..=sent.len() {
            let (first, second) = sent.as_bytes().split_at(cut);
            let (passed, removed) = filtered([first, second]);
            assert_eq!(passed, wanted.as_bytes(), "{end:?} at {cut}");
            assert_eq!(removed, event(USAGE).as_bytes(), "{end:?} at {cut}");
        }
    }
}

#[test]
fn an_asked_for_event_that_ends_with_the_stream_is_taken_out() {
    let sent = format!("{HELLO}\n\n{USAGE}");
    assert_eq!(
        filtered([sent.as_bytes()]).0,
        format!("{HELLO}\n\n").as_bytes()
    );
}

#[test]
fn the_asked_for_event_is_known_however_its_members_are_written() {
    for members in [
        r#""usage":{},"choices":[]"#,
        r#""choices" : [ ] , "usage" : { "prompt_tokens" : 9 }"#,
        r#""usage":null,"choices":[],"usage":{"prompt_tokens":9}"#,
    ] {
        let event = format!("data: {{{members}}}\n\n");
        let sent = format!("{HELLO}\n\n{event}{DONE}\n\n");
        let passed = format!("{HELLO}\n\n{DONE}\n\n");
        assert_eq!(
            filtered([sent.as_bytes()]),
            (passed.into_bytes(), event.into_bytes())
        );
    }
}

#[test]
fn events_that_only_look_like_the_asked_for_one_pass() {
    for event in [
        r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":9}}"#,
        r#"data: {"choices":[],"usage":null}"#,
        r#"data: {"choices":[],"prompt_filter_results":[]}"#,
        r#"data: {"usage":{"prompt_tokens":9}}"#,
        r#"data: {"choices":null,"usage":{"prompt_tokens":9}}"#,
        r#"data: {"choices":[],"usage":{"prompt_tokens":9}"#,
        r#": {"choices":[],"usage":{"prompt_tokens":9}}"#,
        r#"data: [DONE]"#,
    ] {
        let sent = format!("{event}\n\n{DONE}\n\n");
        assert_eq!(
            filtered([sent.as_bytes()]),
            (sent.clone().into_bytes(), vec![]),
            "{event}"
        );
    }
}

#[test]
fn a_whole_event_is_handed_on_with_its_own_frame() {
    let mut filter = Filter::default();
    let mut pieces = VecDeque::new();
    let frame = Bytes::from(format!("{HELLO}\n\n{HELLO}\n\n"));
    filter.push(frame.clone(), &mut pieces);
    assert_eq!(pieces, [Piece::Pass(frame)]);
}

#[test]
fn a_chunk_with_choices_is_not_held_back_until_it_ends() {
    let mut filter = Filter::default();
    let mut pieces = VecDeque::new();
    let beginning = Bytes::from_static(b"data: {\"choices\":[{\"delta\":{\"content\":\"a long");
    filter.push(beginning.clone(), &mut pieces);
    assert_eq!(pieces, [Piece::Pass(beginning)]);
}

#[test]
fn an_event_too_long_to_be_the_one_is_not_held_back() {
    let mut filter = Filter::default();
    let mut pieces = VecDeque::new();
    filter.push(
        Bytes::from(vec![b'x'; LONGEST_USAGE_EVENT + 1]),
        &mut pieces,
    );
    assert!(matches!(pieces.make_contiguous(), [Piece::Pass(_)]));
}

fn event() -> impl Strategy<Value = String> {
    let line_end = prop_oneof![Just("\n"), Just("\r\n"), Just("\r")];
    let body = prop_oneof![
        3 => Just(HELLO.to_owned()),
        2 => Just(USAGE.to_owned()),
        1 => Just(DONE.to_owned()),
        1 => Just(": ping".to_owned()),
        1 => "[a-z{}:\"\\[\\], ]{0,40}",
    ];
    (body, line_end.clone(), line_end).prop_map(|(body, one, two)| format!("{body}{one}{two}"))
}

proptest! {
    #[test]
    fn any_frames_give_the_same_client_bytes(
        events in prop::collection::vec(event(), 0..8),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let sent = events.concat().into_bytes();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(sent.len() + 1)).collect();
        cuts.extend([0, sent.len()]);
        cuts.sort_unstable();
        let frames = cuts.windows(2).map(|cut| &sent[cut[0]..cut[1]]);
        prop_assert_eq!(filtered(frames), filtered([&sent[..]]));
    }

    #[test]
    fn nothing_but_usage_events_is_ever_lost(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let (passed, removed) = filtered(bytes.chunks(7));
        prop_assert_eq!(passed, bytes);
        prop_assert!(removed.is_empty());
    }

    #[test]
    fn a_splice_adds_its_text_and_changes_nothing_else(model in "\\PC{0,20}", extra in any::<i64>()) {
        let sent = serde_json::json!({"model": model, "stream": true, "x": extra}).to_string();
        let edited = spliced(&sent).expect("a plain streamed request");
        let value: serde_json::Value = serde_json::from_str(&edited).expect("the edit leaves it JSON");
        prop_assert_eq!(&value["stream_options"]["include_usage"], true);
        prop_assert_eq!(edited.replacen("\"stream_options\":{\"include_usage\":true},", "", 1), sent);
    }
}
