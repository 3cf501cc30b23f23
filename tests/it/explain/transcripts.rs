//! What curl prints of several calls, or of less than one.

use super::*;

/// A body without a line end, as most servers send it.
const ANSWER: &str = concat!(
    r#"{"id":"c1","object":"chat.completion","model":"gpt-4o-2024-08-06","choices":[{"index":0,"message":{"role":"assistant","#,
    r#""content":"Hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":8,"completion_tokens":2,"total_tokens":10}}"#,
);
const ABOVE_METER: &str = "  % Total    % Received % Xferd  Average Speed   Time    Time     Time  Current\n\
                           \x20                                Dload  Upload   Total   Spent    Left  Speed\n";

/// What `curl -v -s` writes of one call, as 7.88 does.
fn verbose(first: &str, framing: &str, body: &str) -> String {
    let bytes = ANSWER.len();
    format!(
        "{first}> POST /v1/chat/completions HTTP/1.1\r\n> Host: api.openai.com\r\n> \r\n}} [2 bytes data]\n< HTTP/1.1 200 OK\r\n\
         < content-type: application/json\r\n< {framing}\r\n< \r\n{{ [{bytes} bytes data]\n* Connection #0 to host a left intact\n{body}"
    )
}

fn content_length() -> String {
    format!("content-length: {}", ANSWER.len())
}

fn assert_is_the_answer(exchange: &Value) {
    assert_is_the_call(exchange);
    let bytes = attribute(exchange, 0, "streamgauge.response.bytes");
    assert_eq!(bytes, ANSWER.len(), "{exchange:#}");
    assert!(!exchange.to_string().contains("A-14"), "{exchange:#}");
    let warnings = exchange["warnings"].to_string();
    assert!(!warnings.contains("Content-Length"), "{warnings}");
}

#[test]
fn what_curl_says_behind_a_body_without_a_line_end_is_not_the_body() {
    let again = "* Found bundle for host: 0x5606e02621e0 [serially]\n* Can not multiplex, even if we wanted to\n\
                 * Re-using existing connection #0 with host a\n";
    let trying = "*   Trying 127.0.0.1:8000...\n* Connected to a (127.0.0.1) port 8000 (#0)\n";
    let metered = format!("{ABOVE_METER}{trying}");
    for framing in [&*content_length(), "transfer-encoding: chunked"] {
        for first in [again, trying, &metered] {
            let call = verbose(first, framing, ANSWER);
            let explained = exchanges(format!("{call}{call}"), &[]);
            assert_eq!(explained.len(), 2, "{framing} {first}");
            explained.iter().for_each(assert_is_the_answer);
        }
    }
    // Whatever else curl says there.
    let call = verbose(trying, &content_length(), ANSWER);
    assert_is_the_answer(&exchange(format!("{call}* Something of a later curl\n")));
}

#[test]
fn each_of_several_outputs_in_one_file_is_a_call() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    let sized = format!("{head}{}\r\n\r\n{ANSWER}", content_length());
    let chunks = format!("{head}transfer-encoding: chunked\r\n\r\n");
    // curl prints them undone; other tools do not.
    let undone = format!("{chunks}{ANSWER}");
    let raw = String::from_utf8([chunks.as_bytes(), &chunked(ANSWER.as_bytes())].concat()).unwrap();
    for outputs in [
        [&*sized, &sized],
        [&sized, &undone],
        [&undone, &sized],
        [&undone, &undone],
        [&raw, &undone],
    ] {
        for between in ["", "\n", "\r\n\r\n"] {
            let explained = exchanges(outputs.join(between), &[]);
            assert_eq!(explained.len(), 2, "{outputs:?} {between:?}");
            assert_eq!(explained[1]["title"], "call 2 of 2");
            explained.iter().for_each(assert_is_the_answer);
        }
    }
    let stream = format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n{STREAM}");
    let unfinished = stream.replace("data: [DONE]\n\n", "");
    let failed = "HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\n\r\n";
    let explained = exchanges([&unfinished, failed, &stream].concat(), &[]);
    assert_eq!(explained.len(), 3);
    assert_eq!(
        attribute(&explained[1], 0, "http.response.status_code"),
        429
    );
    assert_is_the_call(&explained[2]);
    let bytes = |at: usize| attribute(&explained[at], 0, "streamgauge.response.bytes").clone();
    assert_eq!((bytes(1), bytes(2)), (json!(0), json!(STREAM.len())));
}

#[test]
fn calls_with_their_requests_stand_one_behind_the_other() {
    let call = String::from_utf8(raw("", STREAM.as_bytes())).unwrap();
    let sized = call
        .replace(
            "text/event-stream\r\n",
            &format!("application/json\r\n{}\r\n", content_length()),
        )
        .replace(STREAM, ANSWER);
    let explained = exchanges([&*sized, &sized].concat(), &[]);
    assert_eq!(explained.len(), 2);
    explained.iter().for_each(assert_is_the_answer);
}

#[test]
fn several_outputs_that_cannot_be_told_apart_are_warned_of() {
    let output = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\nHello\n";
    let exchange = exchange(output.repeat(2));
    let warnings = exchange["warnings"].to_string();
    assert!(warnings.contains("several responses"), "{warnings}");
}

#[test]
fn a_body_that_went_elsewhere_is_no_fault_of_the_upstream() {
    let tls = "* TLSv1.2 (IN), TLS header, Supplemental data (23):\n{ [5 bytes data]\n";
    for framing in [&*content_length(), "transfer-encoding: chunked"] {
        let kept = verbose("", framing, "");
        let without_notes = kept.replace(&format!("{{ [{} bytes data]\n", ANSWER.len()), "");
        let mut transcripts = vec![kept.clone(), kept.replace("{ [", &format!("{tls}{{ ["))];
        // At a terminal, curl notes nothing.
        if framing.starts_with("content-length") {
            transcripts.push(without_notes);
        }
        for transcript in transcripts {
            let exchange = exchange(&transcript);
            let warnings = exchange["warnings"].to_string();
            assert!(warnings.contains("2>&1"), "{transcript}: {warnings}");
            assert!(!warnings.contains("0 bytes of its body"), "{warnings}");
            for span in exchange["spans"].as_array().unwrap() {
                assert_eq!(span["error"], Value::Null, "{span:#}");
                assert_eq!(span["attributes"].get("streamgauge.end"), None, "{span:#}");
            }
            let errors = |sample: &&Value| sample["name"].as_str().unwrap().contains("error");
            assert_eq!(metrics(&exchange).into_iter().find(errors), None);
        }
    }
    // A response that broke off before its body did not go elsewhere.
    let whole = verbose("", &content_length(), "");
    let broken = &whole[..whole.find("{ [").unwrap()];
    let closed = "* transfer closed with 230 bytes remaining to read\n* Closing connection 0\n";
    for transcript in [broken.to_owned(), format!("{broken}{tls}{closed}")] {
        let exchange = exchange(&transcript);
        assert_eq!(attribute(&exchange, 1, "streamgauge.end"), "cut");
    }
}

#[test]
fn a_transcript_without_a_call_says_that_curl_did_not_connect() {
    let refused = "*   Trying 127.0.0.1:1...\n* connect to 127.0.0.1 port 1 failed: Connection refused\n\
                   * Failed to connect to 127.0.0.1 port 1 after 0 ms: Couldn't connect to server\n* Closing connection 0\n";
    let meter = "\r  0     0    0     0    0     0      0      0 --:--:-- --:--:-- --:--:--     0";
    let plain =
        "curl: (7) Failed to connect to 127.0.0.1 port 1 after 0 ms: Couldn't connect to server\n";
    let unknown = "* Could not resolve host: nosuch.invalid\n* Closing connection 0\n";
    let metered = format!("{ABOVE_METER}{meter}{refused}{plain}");
    let unknown_metered = format!("{ABOVE_METER}{meter}{unknown}");
    for (transcript, what) in [
        (refused, "curl did not connect"),
        (plain, "curl did not connect"),
        (&metered, "curl did not connect"),
        (unknown, "curl did not find the host"),
        (&unknown_metered, "curl did not find the host"),
        (
            "*   Trying 127.0.0.1:1...\n* Connected to a\n* SSL certificate problem: self signed certificate\n",
            "curl sent no request",
        ),
    ] {
        let output = explain(transcript.as_bytes(), &[]);
        let expected = format!("-: {what}: there is no call in the capture\n");
        assert_eq!(
            (output.status.code(), stderr(&output)),
            (Some(1), &*expected)
        );
    }
}
