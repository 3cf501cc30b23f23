//! What curl prints: its own words beside a call, several calls, or less than one.

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

/// What curl says of each failure behind a request, as 7.88 does, and a part of what is said of it.
const FAILURES: [(u8, &str, &str); 9] = [
    (
        16,
        "Error in the HTTP2 framing layer",
        "HTTP/2 connection failed",
    ),
    (
        18,
        "transfer closed with outstanding read data remaining",
        "only a part of the response came",
    ),
    (
        22,
        "The requested URL returned error: 500",
        "without --fail",
    ),
    (
        28,
        "Operation timed out after 2003 milliseconds with 0 bytes received",
        "--max-time",
    ),
    (
        52,
        "Empty reply from server",
        "closed the connection without an answer",
    ),
    (
        55,
        "Send failure: Broken pipe",
        "while curl sent the request",
    ),
    (
        56,
        "Recv failure: Connection reset by peer",
        "while curl waited for the response",
    ),
    (
        56,
        "CONNECT tunnel failed, response 407",
        "the forward proxy did not connect",
    ),
    (
        92,
        "HTTP/2 stream 1 was not closed cleanly: INTERNAL_ERROR (err 2)",
        "HTTP/2 stream of the call was ended",
    ),
];

#[test]
fn what_curl_says_alone_of_a_failure_is_told_by_what_it_means() {
    for (code, words, meaning) in FAILURES {
        let output = explain(format!("curl: ({code}) {words}\n").as_bytes(), &[]);
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{told}");
        let code_told = format!("exit code {code}");
        for part in [meaning, &code_told, "there is no call in the capture"] {
            assert!(told.contains(part), "{code}: {part}: {told}");
        }
        assert!(!told.contains("sent no request"), "{told}");
    }
    for (said, meaning) in [
        (
            "curl: (28) Connection timed out after 1001 milliseconds\n",
            "curl did not connect",
        ),
        (
            "curl: (28) Resolving timed out after 1001 milliseconds\n",
            "curl did not find the host",
        ),
        (
            "curl: (60) SSL certificate problem: self signed certificate\n",
            "curl sent no request",
        ),
        (
            "curl: (1) Received HTTP/0.9 when not allowed\n",
            "curl failed, and says no more than that",
        ),
    ] {
        let output = explain(said.as_bytes(), &[]);
        let expected = format!("-: {meaning}: there is no call in the capture\n");
        assert_eq!(stderr(&output), expected, "{said}");
    }
}

#[test]
fn a_call_without_an_answer_is_blamed_on_who_ended_it() {
    let request = "> POST /v1/chat/completions HTTP/1.1\r\n> Host: api.openai.com\r\n> \r\n} [2 bytes data]\n";
    for (code, words, meaning) in FAILURES.into_iter().filter(|(code, ..)| *code != 22) {
        let exchange = exchange(format!("{request}* {words}\n* Closing connection 0\n"));
        let (end, shown) = match code {
            28 => ("client_left", "whose client left"),
            _ => ("cut", "its upstream did not answer"),
        };
        assert_eq!(attribute(&exchange, 0, "streamgauge.end"), end, "{code}");
        let warnings = exchange["warnings"].to_string();
        for part in [meaning, shown] {
            assert!(warnings.contains(part), "{code}: {part}: {warnings}");
        }
    }
}

#[test]
fn a_response_that_broke_off_ends_as_curl_says_and_its_words_are_none_of_the_body() {
    let head = "> POST /v1/chat/completions HTTP/1.1\r\n> Host: api.openai.com\r\n> \r\n} [2 bytes data]\n< HTTP/1.1 200 OK\r\n\
                < content-type: text/event-stream\r\n< transfer-encoding: chunked\r\n< \r\n{ [10 bytes data]\n";
    let begun = &STREAM[..STREAM.find("llo").unwrap()];
    for (code, words, meaning) in FAILURES.into_iter().filter(|(code, ..)| *code != 22) {
        let exchange = exchange(format!("{head}{begun}* {words}\n* Closing connection 0\n"));
        let end = if code == 28 { "client_left" } else { "cut" };
        assert_eq!(attribute(&exchange, 1, "streamgauge.end"), end, "{code}");
        assert_eq!(
            attribute(&exchange, 0, "streamgauge.response.bytes"),
            begun.len(),
            "{code}"
        );
        let warnings = exchange["warnings"].to_string();
        assert!(warnings.contains(meaning), "{code}: {warnings}");
    }
    // What a model says of curl is its own.
    let says = STREAM.replacen(
        "\"content\":\"",
        "\"content\":\"* Empty reply from server ",
        1,
    );
    let exchange = exchange(format!(
        "{head}{says}* Connection #0 to host a left intact\n"
    ));
    assert_eq!(attribute(&exchange, 1, "streamgauge.end"), "done");
}

#[test]
fn an_answer_that_curl_did_not_keep_is_no_response_that_broke_off() {
    // As `curl -v --fail` ends: within the head.
    let capture = "> POST /v1/chat/completions HTTP/1.1\r\n> Host: api.openai.com\r\n> \r\n< HTTP/1.1 500 Oops\r\n\
                   < content-type: application/json\r\n< content-length: 2\r\n* The requested URL returned error: 500\n\
                   * Closing connection 0\n";
    let exchange = exchange(capture);
    let warnings = exchange["warnings"].to_string();
    assert!(warnings.contains("without --fail"), "{warnings}");
    assert!(!warnings.contains("within the head"), "{warnings}");
    assert_eq!(attribute(&exchange, 0, "http.response.status_code"), 500);
    assert_ne!(attribute(&exchange, 1, "streamgauge.end"), "cut");
}

#[test]
fn a_call_that_did_not_connect_is_mentioned_at_the_one_beside_it() {
    let refused = "*   Trying 127.0.0.1:1...\n* connect to 127.0.0.1 port 1 failed: Connection refused\n\
                   * Failed to connect to 127.0.0.1 port 1 after 0 ms: Couldn't connect to server\n* Closing connection 0\n\
                   curl: (7) Failed to connect to 127.0.0.1 port 1 after 0 ms: Couldn't connect to server\n";
    let unknown = "* Could not resolve host: nosuch.invalid\n* Closing connection 0\n";
    let call = verbose("", &content_length(), ANSWER);
    // The first of the addresses of a host is none that was called.
    let second = "*   Trying [::1]:1...\n* connect to ::1 port 1 failed: Connection refused\n";
    for (transcript, before, after) in [
        (call.clone(), false, false),
        (format!("{second}{call}"), false, false),
        (format!("{refused}{call}"), true, false),
        (format!("{unknown}{call}"), true, false),
        (format!("{call}{refused}"), false, true),
        (format!("{refused}{call}{unknown}"), true, true),
    ] {
        let warnings = exchange(&transcript)["warnings"].to_string();
        let has = |place| {
            let told = format!("curl did not connect for a call {place} this one");
            warnings.contains(&told)
        };
        assert_eq!(
            (has("before"), has("after")),
            (before, after),
            "{transcript}\n{warnings}"
        );
    }
}

#[test]
fn what_curl_says_itself_is_no_part_of_the_exchange() {
    let capture = format!(
        "  % Total    % Received\n* Trying 1.2.3.4:443...\n> POST /v1/chat/completions HTTP/2\n> Host: api.openai.com\n\
         > Authorization: Bearer {KEY}\n> \n}} [75 bytes data]\n< HTTP/2 200 \n< content-type: text/event-stream\n< \n\
         {{ [5 bytes data]\n{STREAM}* Connection #0 to host api.openai.com left intact\n"
    );
    let exchange = exchange(&capture);
    assert_is_the_call(&exchange);
    assert_eq!(
        attribute(&exchange, 0, "streamgauge.response.bytes"),
        STREAM.len()
    );
    assert_eq!(attribute(&exchange, 0, "network.protocol.version"), "2");
    assert!(!exchange.to_string().contains(KEY));
}

#[test]
fn what_curl_writes_amid_the_body_is_taken_out_and_the_stream_is_whole() {
    // As curl 7.88 writes both to one file: of a body in blocks without -N, with a meter without -s, over TLS with a note for each record.
    let meter = "\r100  1438    0  1259  100   179   2294    326 --:--:-- --:--:-- --:--:--  2619";
    let data = "{ [341 bytes data]\n";
    let tls = "* TLSv1.2 (IN), TLS header, Supplemental data (23):\n{ [5 bytes data]\n";
    let word = "* Connection #0 to host 127.0.0.1 left intact\n";
    let closing = "* Closing connection 0\n";
    let head = "> POST /v1/chat/completions HTTP/1.1\r\n> Host: a\r\n> \r\n< HTTP/1.1 200 OK\r\n< content-type: text/event-stream\r\n< \r\n";
    let within = STREAM.find("\"choices\"").unwrap();
    for said in [meter, data, tls, word, closing] {
        // Within a line, where one begins, and at the end.
        for at in [within, 0, STREAM.len()] {
            let (before, after) = STREAM.split_at(at);
            let capture = format!("  % Total    % Received\n{head}{before}{said}{after}");
            let exchange = exchange(&capture);
            assert_is_the_call(&exchange);
            let malformed = attribute(&exchange, 1, "streamgauge.problems.malformed");
            assert_eq!(malformed, &Value::Null, "{said:?} at {at}");
            assert_eq!(
                attribute(&exchange, 0, "streamgauge.response.bytes"),
                STREAM.len(),
                "{said:?} at {at}"
            );
        }
    }
    // What a model says of curl is its own.
    let says = STREAM.replacen(
        "\"content\":\"",
        "\"content\":\"* Closing connection 0 { [5 bytes data] ",
        1,
    );
    assert_ne!(says, STREAM);
    let exchange = exchange(format!("{head}{says}{word}"));
    assert_eq!(
        attribute(&exchange, 0, "streamgauge.response.bytes"),
        says.len()
    );
}

/// What `curl -v` prints of one call, head and stream.
fn streamed(path: &str, status: &str) -> String {
    format!(
        "* Trying 1.2.3.4:443...\n> POST {path} HTTP/1.1\r\n> Host: api.openai.com\r\n> \r\n}} [75 bytes data]\n< HTTP/1.1 {status}\r\n\
         < content-type: text/event-stream\r\n< \r\n{STREAM}* Connection #0 to host api.openai.com left intact\n"
    )
}

#[test]
fn each_call_that_curl_made_is_explained() {
    let chat = "/v1/chat/completions";
    let connect = "> CONNECT api.openai.com:443 HTTP/1.1\n> Host: api.openai.com:443\n> \n< HTTP/1.1 200 OK\n< \n";
    let capture = [
        connect,
        &streamed(chat, "200 OK"),
        &streamed(chat, "201 Created"),
    ]
    .concat();
    let [first, second] = exchanges(&capture, &[]).try_into().unwrap();
    for (exchange, title, status) in [(&first, "call 1 of 2", 200), (&second, "call 2 of 2", 201)] {
        assert_is_the_call(exchange);
        assert_eq!(exchange["title"], title);
        let told = attribute(exchange, 0, "http.response.status_code");
        assert_eq!(told, status);
    }
    // What a body has behind such marks is the body's.
    let says = "> quoted\n< not a head\n";
    let capture = format!(
        "> GET /health HTTP/1.1\r\n> Host: a\r\n> \r\n< HTTP/1.1 200 OK\r\n< content-type: text/plain\r\n< \r\n{says}"
    );
    let exchange = exchange(&capture);
    let bytes = attribute(&exchange, 0, "streamgauge.response.bytes");
    assert_eq!(bytes, says.len());
}

#[test]
fn a_head_that_breaks_off_is_shown_as_one_that_does() {
    let whole = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-request-id: a\r\n";
    let request = "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}";
    for kept in [whole.len(), whole.len() - 2, whole.len() - 16, 17] {
        let exchange = exchange(format!("{request}\r\n{}", &whole[..kept]));
        assert_eq!(attribute(&exchange, 1, "streamgauge.end"), "cut", "{kept}");
        let warnings = exchange["warnings"].to_string();
        assert!(
            warnings.contains("the capture ends within the head of the response"),
            "{kept}: {warnings}"
        );
    }
    let cut = &streamed("/v1/chat/completions", "200 OK");
    let cut = &cut[..cut.find("< content-type").unwrap() + 10];
    assert_eq!(attribute(&exchange(cut), 1, "streamgauge.end"), "cut");
    let warnings = exchange("GET / HTTP/1.1\r\nHost: a")["warnings"].to_string();
    assert!(warnings.contains("the capture ends within the head of the request"));
}

#[test]
fn line_ends_that_a_pipe_has_lengthened_are_read() {
    let plain = String::from_utf8(raw("", STREAM.as_bytes())).unwrap();
    for capture in [plain, streamed("/v1/chat/completions", "200 OK")] {
        // All of it went through the pipe, or the heads alone.
        let (head, body) = capture.split_once(STREAM).unwrap();
        for capture in [
            capture.replace('\n', "\r\n"),
            [&*head.replace('\n', "\r\n"), STREAM, body].concat(),
        ] {
            let exchange = exchange(&capture);
            assert_is_the_call(&exchange);
            let bytes = attribute(&exchange, 0, "streamgauge.response.bytes");
            assert_eq!(bytes, STREAM.len());
        }
    }
}

#[test]
fn the_line_that_ends_the_progress_meter_cuts_no_event() {
    // As curl 7.88 writes it with `-v` and with `-i`, of a body that it writes out once the transfer is over.
    let above = "  % Total    % Received % Xferd  Average Speed   Time    Time     Time  Current\n\
                 \x20                                Dload  Upload   Total   Spent    Left  Speed\n";
    let meter = |of: &str| {
        format!("\r{of}  1438    0  1259  100   179   2294    326 --:--:-- --:--:-- --:--:--  2619")
    };
    let (before, after) = STREAM.split_at(STREAM.find("\"choices\"").unwrap());
    let (begun, over) = (meter("  0"), meter("100"));
    let intact = "* Connection #0 to host a left intact\n";
    let verbose = format!(
        "{above}{begun}> POST /v1/chat/completions HTTP/1.1\r\n> Host: a\r\n> \r\n< HTTP/1.1 200 OK\r\n\
         < content-type: text/event-stream\r\n< \r\n{before}{over}\n{intact}{after}"
    );
    let plain = format!(
        "{above}{begun}HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n{before}{over}\n{after}curl: (18) transfer closed\n"
    );
    for capture in [format!("{verbose}{verbose}"), verbose, plain] {
        for exchange in exchanges(&capture, &[]) {
            assert_is_the_call(&exchange);
            let bytes = attribute(&exchange, 0, "streamgauge.response.bytes");
            assert_eq!(bytes, STREAM.len(), "{capture}");
        }
    }
}
