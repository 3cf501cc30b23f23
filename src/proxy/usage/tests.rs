use http::Method;
use proptest::prelude::*;

use super::event::LONGEST;
use super::filter::Outcome;
use super::*;

fn wish(body: &str) -> Wish {
    Inspected::of(body.as_bytes()).wish
}

#[test]
fn a_glance_says_the_same_of_usage_as_reading() {
    for (body, model) in [
        (r#"{"model":"m","messages":[]}"#, Some("m")),
        (r#"{"messages":[], "model" : "m","n":1}"#, Some("m")),
        (r#"{"model":"m","stream":true}"#, Some("m")),
        (r#"{"model":"m","stream":false}"#, Some("m")),
        (r#"{"messages":[]}"#, None),
        (r#"{"model":7}"#, None),
    ] {
        let glance = Inspected::at_a_glance(body.as_bytes());
        assert_eq!(glance.wish, wish(body), "{body}");
        assert_eq!(glance.model.as_deref(), model, "{body}");
    }
    for cut in [r#"{"model"#, r#""model""#, r#""model":"#, r#""model":"m"#] {
        assert_eq!(Inspected::at_a_glance(cut.as_bytes()).model, None, "{cut}");
    }
}

fn spliced(body: &str) -> Option<String> {
    let Wish::Silent(splice) = wish(body) else {
        return None;
    };
    let (before, after) = body.split_at(splice.at);
    Some(format!("{before}{}{after}", splice.text))
}

/// What the client gets of a stream that arrives in these frames, and what is taken out.
fn filtered<'a>(frames: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, Vec<u8>) {
    filtered_by(&mut Filter::default(), frames)
}

fn filtered_by<'a>(
    filter: &mut Filter,
    frames: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<u8>, Vec<u8>) {
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
const FINISH: &str = r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
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
        r#"{"stream":true,"stream_options":{}}"#,
        r#"{"stream":true,"stream_options":{"include_obfuscation":false}}"#,
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
fn what_a_request_says_of_usage_is_told_apart() {
    for (body, expected) in [
        (r#"{"stream":true,"stream_options":{}}"#, Wish::Otherwise),
        (r#"{"stream":true,"stream_options":null}"#, Wish::Otherwise),
        (
            r#"{"stream":true,"stream_options":{"include_obfuscation":true}}"#,
            Wish::Otherwise,
        ),
        (
            r#"{"stream":true,"stream_options":{"include_usage":false}}"#,
            Wish::Unclear,
        ),
        (
            r#"{"stream":true,"stream_options":{"include_usage":true}}"#,
            Wish::Usage,
        ),
        (r#"{"stream":false}"#, Wish::Whole),
        ("{}", Wish::Whole),
        (r#"{"stream":1}"#, Wish::Unclear),
        (r#"{"stream":true,"stream_options":7}"#, Wish::Unclear),
        ("", Wish::Unclear),
    ] {
        assert_eq!(wish(body), expected, "{body}");
    }
}

#[test]
fn a_request_is_read_however_deep_it_nests() {
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    let sent = format!(r#"{{"stream":true,"x":{deep},"model":"m"}}"#);
    let asked = sent.replacen('{', r#"{"stream_options":{"include_usage":true},"#, 1);
    assert_eq!(spliced(&sent), Some(asked));
    assert!(Inspected::of(sent.as_bytes()).model.is_some());
}

#[test]
fn completions_are_told_by_their_paths() {
    let kind = |path| completion(&Method::POST, path);
    for path in [
        "/v1/chat/completions",
        "/chat/completions/",
        "//gateway//openai/v1//chat/completions",
        "/openai/deployments/my-gpt/chat/completions",
    ] {
        assert_eq!(kind(path), Some(Completion::Chat), "{path}");
    }
    for path in [
        "/v1/completions",
        "/completions",
        "/v1/v1/completions/",
        "/gateway/v1beta/completions",
        "/beta/completions",
        "/api/completions",
        "/openai/completions",
        "/openai/deployments/my-gpt/completions",
        "/v1/engines/davinci/completions",
    ] {
        assert_eq!(kind(path), Some(Completion::Text), "{path}");
    }
    for path in [
        "/v1/fim/completions",
        "/v1/agents/completions",
        "/v1/batch/completions",
        "/vector/completions",
        "/v1/completions/7",
        "/v1/responses",
        "/",
        "",
    ] {
        assert_eq!(kind(path), None, "{path}");
    }
    assert_eq!(completion(&Method::GET, "/v1/chat/completions"), None);
}

#[test]
fn the_model_is_read_wherever_it_stands() {
    let model = |body: &'static str| Inspected::of(body.as_bytes()).model;
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
        r#"data: {"choices":[{"index":0,"delta":{"role":"assistant"}}],"usage":{"prompt_tokens":9}}"#,
        r#"data: {"choices":[{"index":0,"text":" "}],"usage":{"prompt_tokens":9}}"#,
        r#"data: {"choices":[{"index":0},{"index":1}],"usage":{"prompt_tokens":9}}"#,
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

/// What is left and what is taken out of a stream of these events, whichever way it is cut, and what it shows.
fn cut_everywhere(events: &[&str]) -> (String, String, Outcome) {
    let sent: String = events.iter().map(|event| format!("{event}\n\n")).collect();
    let mut whole = Filter::default();
    let filtered = filtered_by(&mut whole, [sent.as_bytes()]);
    let outcome = std::mem::take(whole.outcome());
    for cut in 0..sent.len() {
        let mut filter = Filter::default();
        let (first, second) = sent.as_bytes().split_at(cut);
        assert_eq!(filtered_by(&mut filter, [first, second]), filtered, "{cut}");
        let seen = filter.outcome();
        let seen = (seen.shared, seen.beside, seen.has_left_any());
        let expected = (outcome.shared, outcome.beside, outcome.has_left_any());
        assert_eq!(seen, expected, "cut at {cut}");
    }
    let [left, taken] = [filtered.0, filtered.1].map(|bytes| String::from_utf8(bytes).unwrap());
    (left, taken, outcome)
}

#[test]
fn the_shapes_that_litellm_gives_the_event_are_known_behind_a_finish_reason() {
    const CHAT: &str = r#"data: {"id":"c1","created":1,"model":"m","object":"chat.completion.chunk","choices":[{"finish_reason":"stop","index":0,"delta":{}}]}"#;
    const TEXT: &str = r#"data: {"id":"c1","object":"text_completion","created":1,"model":"t","choices":[{"finish_reason":"stop","index":0}]}"#;
    let early =
        r#"data: {"id":"c1","choices":[{"index":0,"delta":{"content":"h"},"finish_reason":null}]}"#;
    for (finish, event) in [
        (
            CHAT,
            r#"data: {"id":"c1","created":1,"model":"m","object":"chat.completion.chunk","choices":[{"index":0,"delta":{}}],"usage":{"prompt_tokens":3}}"#,
        ),
        (
            TEXT,
            r#"data: {"id":"c1","object":"text_completion","created":1,"model":"t","choices":[{"index":0}],"usage":{"prompt_tokens":3}}"#,
        ),
        (
            TEXT,
            r#"data: {"choices":[{"index":0,"text":"","logprobs":null,"finish_reason":null}],"usage":{"prompt_tokens":3}}"#,
        ),
    ] {
        let (left, taken, outcome) = cut_everywhere(&[early, finish, event, DONE]);
        assert_eq!(left, format!("{early}\n\n{finish}\n\n{DONE}\n\n"));
        assert_eq!(taken, format!("{event}\n\n"));
        assert!(!outcome.has_left_any());

        let (_, taken, outcome) = cut_everywhere(&[early, event, finish, DONE]);
        assert!(
            taken.is_empty() && outcome.beside,
            "before the finish reason"
        );
        let sent = format!("{early}\n\n{finish}\n\n{event}\n\n");
        let bytes = sent.as_bytes().chunks(1);
        assert_eq!(filtered(bytes).1, format!("{event}\n\n").as_bytes());
    }
}

#[test]
fn an_event_that_carries_more_than_usage_stays() {
    for member in [
        r#""timings":{"prompt_n":1}"#,
        r#""metrics":{"queue_time_ms":1}"#,
        r#""weather":"dry""#,
        r#""x_groq":{"id":"r"}"#,
    ] {
        let event =
            format!(r#"data: {{"id":"c","choices":[],"usage":{{"prompt_tokens":9}},{member}}}"#);
        let (left, taken, outcome) = cut_everywhere(&[HELLO, &event, DONE]);
        assert_eq!(left, format!("{HELLO}\n\n{event}\n\n{DONE}\n\n"));
        assert_eq!((taken, outcome.shared), (String::new(), true));
        assert!(outcome.has_left_any());
    }
}

#[test]
fn what_other_chunks_do_not_say_stays_though_they_have_a_member_of_its_name() {
    for (before, then) in [
        (r#""timings":null"#, r#""timings":{"prompt_n":1}"#),
        (r#""citations":null"#, r#""citations":["http://a"]"#),
        (
            r#""x_groq":{"id":"r"}"#,
            r#""x_groq":{"id":"r","error":"over"}"#,
        ),
        (r#""error":null"#, r#""error":{"message":"quota"}"#),
        (r#""error":"""#, r#""error":"quota""#),
        (r#""note":"a""#, r#""note":["b"]"#),
    ] {
        let chunk = format!(
            r#"data: {{"id":"c",{before},"choices":[{{"index":0,"delta":{{"content":"h"}}}}]}}"#
        );
        let event =
            format!(r#"data: {{"id":"c","choices":[],"usage":{{"prompt_tokens":9}},{then}}}"#);
        let (left, taken, outcome) = cut_everywhere(&[&chunk, &event, DONE]);
        assert_eq!(left, format!("{chunk}\n\n{event}\n\n{DONE}\n\n"));
        assert_eq!((taken, outcome.shared), (String::new(), true), "{then}");

        // The same again says nothing new, but a failure does.
        let same =
            format!(r#"data: {{"id":"c","choices":[],"usage":{{"prompt_tokens":9}},{before}}}"#);
        let (_, taken, _) = cut_everywhere(&[&chunk, &same, DONE]);
        assert_eq!(taken.is_empty(), before == r#""error":"""#, "{before}");
    }
}

#[test]
fn members_that_every_chunk_has_and_identifiers_go_with_the_event() {
    let chunk = r#"data: {"id":"c","created":1,"provider":"p","obfuscation":"x","choices":[{"index":0,"delta":{"content":"h"}}]}"#;
    for (members, moved) in [
        (r#""provider":"p","obfuscation":"""#, &[][..]),
        (r#""system_fingerprint":null,"timings":null"#, &[]),
        (
            r#""system_fingerprint":"vllm-0.32""#,
            &["system_fingerprint"],
        ),
        (
            r#""service_tier":"default","system_fingerprint":"f""#,
            &["service_tier", "system_fingerprint"],
        ),
    ] {
        let event = format!(
            r#"data: {{"id":"c","created":1,"choices":[],"usage":{{"prompt_tokens":9}},{members}}}"#
        );
        let (left, taken, outcome) = cut_everywhere(&[chunk, &event, DONE]);
        assert_eq!(left, format!("{chunk}\n\n{DONE}\n\n"));
        assert_eq!(taken, format!("{event}\n\n"));
        assert_eq!(outcome.moved, moved);
    }
}

#[test]
fn where_usage_came_beside_output_nothing_is_taken_out() {
    let running =
        r#"data: {"choices":[{"index":0,"delta":{"content":"h"}}],"usage":{"prompt_tokens":9}}"#;
    let (left, taken, outcome) = cut_everywhere(&[HELLO, running, USAGE, DONE]);
    assert_eq!(
        left,
        format!("{HELLO}\n\n{running}\n\n{USAGE}\n\n{DONE}\n\n")
    );
    assert!(taken.is_empty() && outcome.beside && outcome.has_left_any());

    let zeros = r#"data: {"choices":[{"index":0,"text":"h"}],"usage":{"prompt_tokens":0,"completion_tokens":0}}"#;
    let (_, taken, outcome) = cut_everywhere(&[zeros, USAGE, DONE]);
    assert_eq!(taken, format!("{USAGE}\n\n"), "zeros are none");
    assert!(!outcome.has_left_any());

    let sent = format!("{running}\n\n{USAGE}\n\n");
    let (_, taken) = filtered_by(&mut Filter::new(true), [sent.as_bytes()]);
    assert_eq!(
        taken,
        format!("{USAGE}\n\n").as_bytes(),
        "known to come only when asked"
    );
}

#[test]
fn usage_in_an_event_too_long_to_be_read_is_left_and_told_of() {
    let long = "x".repeat(2 * LONGEST);
    let event = format!(r#"data: {{"choices":[],"x":"{long}","usage":{{"prompt_tokens":9}}}}"#);
    let mut filter = Filter::default();
    let sent = format!("{event}\n\n");
    let (passed, _) = filtered_by(&mut filter, sent.as_bytes().chunks(1000));
    assert_eq!(passed, sent.as_bytes());
    assert!(filter.outcome().has_left_any());
}

/// What is learnt from an answer that was looked at, in these frames; `whole` if it came to its end.
fn watched(watched: Watched, frames: &[&str], whole: bool) -> Option<Lesson> {
    let mut watch = Watch::new(watched);
    let (mut out, mut lesson) = (VecDeque::new(), None);
    for frame in frames {
        let pushed = watch.push(Bytes::copy_from_slice(frame.as_bytes()), &mut out);
        lesson = lesson.or(pushed);
    }
    let passed = out.into_iter().map(|piece| match piece {
        Piece::Pass(bytes) | Piece::Remove(bytes) => bytes,
    });
    let passed: Vec<Bytes> = passed.collect();
    assert_eq!(passed.concat(), frames.concat().as_bytes());
    lesson.or_else(|| watch.finish().filter(|_| whole))
}

#[test]
fn a_stream_that_did_not_ask_shows_whether_usage_comes_by_itself() {
    let by_itself = [
        USAGE,
        r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":9}}"#,
        r#"data: {"choices":[{"index":0,"delta":{},"usage":{"prompt_tokens":9}}]}"#,
        r#"data: {"choices":[],"x_groq":{"usage":{"prompt_tokens":9}}}"#,
    ];
    let none = [
        r#"data: {"choices":[{"index":0,"text":"h"}],"usage":{"prompt_tokens":0}}"#,
        HELLO,
    ];
    let measured = r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"timings":{"predicted_n":3}}"#;
    let shows = by_itself.map(|event| (event, Lesson::Unasked));
    let shows = shows
        .into_iter()
        .chain(none.map(|event| (event, Lesson::OnlyAsked)));
    for (event, lesson) in shows.chain([(measured, Lesson::Measured)]) {
        let sent = format!("{HELLO}\n\n{event}\n\n{FINISH}\n\n");
        let done = format!("{sent}{DONE}\n\n");
        for cut in 0..done.len() {
            let (first, second) = done.split_at(cut);
            let learnt = watched(Watched::Unasked, &[first, second], false);
            assert_eq!(learnt, Some(lesson), "{event} at {cut}");
        }
        assert_eq!(watched(Watched::Unasked, &[&sent], true), Some(lesson));
    }
    let cut = format!("{HELLO}\n\n{FINISH}\n\n");
    assert_eq!(watched(Watched::Unasked, &[&cut], false), None, "cut off");
    let failed = format!("{HELLO}\n\ndata: {{\"error\":{{}}}}\n\n{DONE}\n\n");
    assert_eq!(watched(Watched::Unasked, &[&failed], true), None, "failed");
}

#[test]
fn a_stream_that_asked_and_a_whole_answer_show_measurements() {
    let timings = r#""timings":{"predicted_n":3}"#;
    let usage = r#""usage":{"prompt_tokens":9}"#;
    for (event, lesson) in [
        (
            format!(r#"{{"choices":[],{usage},{timings}}}"#),
            Some(Lesson::Measured),
        ),
        (
            format!(r#"{{"choices":[],{usage},"metrics":{{}}}}"#),
            Some(Lesson::Measured),
        ),
        (format!(r#"{{"choices":[],{usage}}}"#), None),
        (format!(r#"{{"choices":[{{"index":0}}],{timings}}}"#), None),
        (
            format!(r#"{{"choices":[{{"index":0,"delta":{{}}}}],{usage}}}"#),
            None,
        ),
        (
            format!(r#"{{"choices":[{{"index":0,"finish_reason":"stop"}}],{usage}}}"#),
            Some(Lesson::Beside),
        ),
    ] {
        let sent = format!("{HELLO}\n\n{FINISH}\n\ndata: {event}\n\n{DONE}\n\n");
        assert_eq!(watched(Watched::Asked, &[&sent], true), lesson, "{event}");
    }
    for (body, lesson) in [
        (
            format!(r#"{{"choices":[],{usage},{timings}}}"#),
            Lesson::Measured,
        ),
        (
            format!(r#"{{"choices":[{{"message":{{"content":"\"timings\":{{"}}}}],{usage}}}"#),
            Lesson::Plain,
        ),
        ("no json".to_owned(), Lesson::Plain),
    ] {
        assert_eq!(
            watched(Watched::Whole, &[&body], true),
            Some(lesson),
            "{body}"
        );
    }
}

#[test]
fn a_refusal_is_told_from_other_errors() {
    for (body, expected) in [
        (
            r#"{"error":{"message":"Unrecognized request argument supplied: stream_options","type":"invalid_request_error","param":null,"code":null}}"#,
            Cause::Asking,
        ),
        (
            r#"{"error":{"message":"Unknown parameter","param":"stream_options"}}"#,
            Cause::Asking,
        ),
        (
            r#"{"detail":[{"type":"extra_forbidden","loc":["body","stream_options"],"msg":"Extra inputs are not permitted"}]}"#,
            Cause::Asking,
        ),
        (
            r#"{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","stream_options","include_usage"]}]}}"#,
            Cause::Asking,
        ),
        (
            r#"{"error":{"message":"stream_options: Extra inputs are not permitted"}}"#,
            Cause::Asking,
        ),
        (
            r#"{"error":"json: unknown field \"stream_options\""}"#,
            Cause::Asking,
        ),
        ("property 'stream_options' is unsupported", Cause::Asking),
        (
            r#"{"error":{"message":"This model's maximum context length is 512 tokens.","type":"BadRequestError","param":null,"code":400}}"#,
            Cause::Another,
        ),
        (
            r#"{"error":{"message":"no","type":"BadRequestError","param":"seed","code":400}}"#,
            Cause::Another,
        ),
        (
            r#"{"error":{"message":"temperature must be non-negative, got -1.0","type":"BadRequestError","param":null,"code":400}}"#,
            Cause::Another,
        ),
        (
            r#"{"error":{"message":"too long","code":"context_length_exceeded"}}"#,
            Cause::Another,
        ),
        (
            r#"{"error":{"code":400,"message":"too long","type":"exceed_context_size_error"}}"#,
            Cause::Another,
        ),
        (
            r#"{"detail":[{"type":"missing","loc":["body","messages"],"input":{"stream":true,"stream_options":{"include_usage":true}}}]}"#,
            Cause::Another,
        ),
        (
            r#"{"error":{"message":"[{'type': 'missing', 'loc': ('body', 'messages'), 'input': {'stream_options': {'include_usage': True}}}]"}}"#,
            Cause::Another,
        ),
        (
            r#"{"error":{"message":"Bad Request","param":"","code":null}}"#,
            Cause::Unclear,
        ),
        (
            r#"{"error":{"message":"Extra inputs are not permitted"}}"#,
            Cause::Unclear,
        ),
        ("nope", Cause::Unclear),
        ("", Cause::Unclear),
    ] {
        assert_eq!(Cause::of(body.as_bytes()), expected, "{body}");
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
fn comments_pass_at_once_and_stay_where_the_event_behind_them_is_taken_out() {
    for end in ["\n", "\r\n", "\r"] {
        let mut filter = Filter::default();
        let mut pieces = VecDeque::new();
        for ping in [
            format!(": ping{end}"),
            ": half".to_owned(),
            format!(" a ping{end}"),
        ] {
            let ping = Bytes::from(ping);
            filter.push(ping.clone(), &mut pieces);
            let passed: Vec<Piece> = pieces.drain(..).collect();
            assert_eq!(passed, [Piece::Pass(ping)], "{end:?}");
        }
        let pings = format!(": one{end}: two{end}");
        let sent = format!("{HELLO}{end}{end}{pings}{USAGE}{end}{end}{DONE}{end}{end}");
        let left = format!("{HELLO}{end}{end}{pings}{DONE}{end}{end}");
        for cut in 0..=sent.len() {
            let (first, second) = sent.as_bytes().split_at(cut);
            assert_eq!(
                filtered([first, second]).0,
                left.as_bytes(),
                "{end:?} at {cut}"
            );
        }
    }
}

#[test]
fn an_event_too_long_to_be_the_one_is_not_held_back() {
    let mut filter = Filter::default();
    let mut pieces = VecDeque::new();
    filter.push(Bytes::from(vec![b'x'; LONGEST + 1]), &mut pieces);
    assert!(matches!(pieces.make_contiguous(), [Piece::Pass(_)]));
}

fn event() -> impl Strategy<Value = String> {
    let line_end = prop_oneof![Just("\n"), Just("\r\n"), Just("\r")];
    let body = prop_oneof![
        3 => Just(HELLO.to_owned()),
        2 => Just(USAGE.to_owned()),
        1 => Just(r#"data: {"choices":[{"index":0,"delta":{}}],"usage":{"total_tokens":4}}"#.to_owned()),
        1 => Just(r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#.to_owned()),
        1 => Just(r#"data: {"choices":[{"index":0,"delta":{"content":"a"}}],"usage":{"total_tokens":4}}"#.to_owned()),
        1 => Just(DONE.to_owned()),
        1 => Just(": ping".to_owned()),
        1 => Just(format!(": ping\n{USAGE}")),
        1 => Just(format!(": ping\r{USAGE}")),
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
