//! The API of the admin port, as the page and `top` read it: lists, details, conversations, sums, what is in flight, the gauge itself.

mod document;
mod stream;

use serde_json::{Value, json};
use streamgauge::admin::AdminConfig;

use crate::client;
use crate::support::client::send;
use crate::support::gauge::{DONE, FINISH, Gauge, USAGE, chat, delta, json as whole, stream};
use crate::support::http1::Message;
use crate::support::listener::admin_with;

const HELLO: &str = r#"{"content":"Hello"}"#;

/// A gauge through which a streamed chat and a call that fails have gone.
async fn measured() -> Gauge {
    let gauge = Gauge::start().await;
    gauge
        .call(chat(), stream([&delta(HELLO), FINISH, USAGE, DONE]))
        .await;
    let failing = client_post("/v1/chat/completions", r#"{"model":"other","messages":[]}"#);
    gauge
        .call(
            failing,
            whole(
                429,
                r#"{"error":{"message":"slow down","type":"rate_limit"}}"#,
            ),
        )
        .await;
    gauge.server.finished(2).await;
    gauge
}

fn client_post(path: &str, body: &str) -> Vec<u8> {
    crate::support::client::post(path, body)
}

async fn wrong(gauge: &Gauge, path: &str) -> (u16, Value) {
    let request = format!("GET /api/{path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    let answer: Message = send(gauge.server.admin, request).await;
    let error: Value = serde_json::from_str(answer.text()).unwrap();
    (answer.status(), error["error"].clone())
}

#[tokio::test]
async fn a_query_chooses_exchanges_and_pages_leave_none_out() {
    let gauge = measured().await;
    let ids = async |query: &str| {
        let list = gauge.server.api(&format!("exchanges?{query}")).await;
        let rows = list["exchanges"].as_array().unwrap().clone();
        let ids: Vec<u64> = rows.iter().map(|row| row["id"].as_u64().unwrap()).collect();
        (ids, list["next"].clone())
    };
    assert_eq!(ids("").await, (vec![2, 1], Value::Null));
    assert_eq!(ids("q=model:m").await.0, [1]);
    assert_eq!(ids("q=has:error+status:429").await.0, [2]);
    assert_eq!(ids("q=-stream:true").await.0, [2]);
    assert_eq!(ids("q=out%3E3+ttft%3E0us").await.0, [1]);
    assert_eq!(ids("limit=1").await, (vec![2], json!(2)));
    assert_eq!(ids("limit=1&before=2").await, (vec![1], Value::Null));
    assert_eq!(ids("before=1").await.0, [0; 0]);
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said_with_its_parameter_and_place() {
    let gauge = Gauge::start().await;
    for (path, status, parameter, position) in [
        ("exchanges?q=model:m+modell:m", 400, json!("q"), json!(8)),
        ("exchanges?limit=0", 400, json!("limit"), Value::Null),
        ("exchanges?limit=1001", 400, json!("limit"), Value::Null),
        ("exchanges?before=x", 400, json!("before"), Value::Null),
        ("exchanges?nothing=1", 400, Value::Null, Value::Null),
        ("exchanges/0", 404, Value::Null, Value::Null),
        ("exchanges/x", 404, Value::Null, Value::Null),
        ("conversations?before=1", 400, json!("before"), Value::Null),
        (
            "conversations/00000000000000000000000000000000",
            404,
            Value::Null,
            Value::Null,
        ),
        ("conversations/1", 404, Value::Null, Value::Null),
        ("summary?since=25h", 400, json!("since"), Value::Null),
        ("summary?since=24h&step=1m", 400, json!("step"), Value::Null),
        ("stream?q=%22", 400, json!("q"), json!(0)),
        ("costs?by=nobody", 400, json!("by"), Value::Null),
        ("gauge?q=a", 400, Value::Null, Value::Null),
        ("nothing", 404, Value::Null, Value::Null),
    ] {
        let (got, error) = wrong(&gauge, path).await;
        assert_eq!(
            (got, &error["parameter"]),
            (status, &parameter),
            "{path}: {error}"
        );
        assert_eq!(error["position"], position, "{path}");
        assert!(!error["message"].as_str().unwrap().is_empty());
    }
}

#[tokio::test]
async fn the_details_of_an_exchange_are_those_that_were_exported() {
    let gauge = measured().await;
    let (inference, server) = {
        let received = gauge.received(4).await;
        let named = |name: &str| {
            received
                .spans
                .iter()
                .find(|span| span.proto.name == name)
                .unwrap()
                .clone()
        };
        (
            named("chat m"),
            received
                .spans
                .iter()
                .find(|span| span.proto.kind == 2)
                .unwrap()
                .clone(),
        )
    };
    let detail = gauge.server.api("exchanges/1").await;
    assert_eq!(detail["exchange"]["model"], "m");
    let spans = detail["spans"].as_array().unwrap();
    assert_eq!(
        (&spans[0]["kind"], &spans[1]["name"]),
        (&json!("SERVER"), &json!("chat m"))
    );
    let keys = |span: &Value| -> Vec<String> {
        let attributes = span["attributes"].as_array().unwrap();
        attributes
            .iter()
            .map(|it| it["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let exported = |span: &crate::support::otlp::Span| -> Vec<String> {
        span.proto
            .attributes
            .iter()
            .map(|it| it.key.clone())
            .collect()
    };
    assert_eq!(keys(&spans[1]), exported(&inference));
    assert_eq!(keys(&spans[0]), exported(&server));
    let marks = detail["timeline"]["marks"].as_array().unwrap();
    let names: Vec<&str> = marks
        .iter()
        .map(|mark| mark["name"].as_str().unwrap())
        .collect();
    assert_eq!((names[0], names[names.len() - 1]), ("received", "end"));
    assert!(names.contains(&"first_token") && names.contains(&"sent"));
    assert_eq!(detail["attempts"][0]["why"], "first");
    assert_eq!(detail["sampled"], true);
    assert_eq!(detail["integrity"], "equal");
    let curl = detail["curl"].as_str().unwrap();
    let url = format!(
        "curl -N 'http://{}/v1/chat/completions'",
        gauge.server.proxy
    );
    assert!(curl.starts_with(&url), "{curl}");
    assert!(curl.ends_with("--data '@request.json'"), "{curl}");
    assert_eq!(
        gauge.server.api("exchanges/2").await["exchange"]["error"],
        "rate_limit"
    );
}

#[tokio::test]
async fn a_trace_is_linked_to_where_it_is_shown() {
    let url = "https://traces.test/{trace_id}?span={span_id}";
    let gauge = Gauge::with(|program| program.env("STREAMGAUGE_ADMIN_TRACE_URL", url)).await;
    gauge
        .call(chat(), stream([&delta(HELLO), FINISH, USAGE, DONE]))
        .await;
    gauge.server.finished(1).await;
    let (inference, _) = gauge.spans().await;
    let detail = gauge.server.api("exchanges/1").await;
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let [trace, span] = [&inference.proto.trace_id, &inference.proto.span_id].map(|id| hex(id));
    assert_eq!(
        detail["trace_url"],
        format!("https://traces.test/{trace}?span={span}")
    );
    assert_eq!(detail["exchange"]["trace_id"], trace);
}

#[tokio::test]
async fn the_turns_of_a_conversation_follow_each_other() {
    let gauge = Gauge::start().await;
    let ask = |messages: &str| {
        let body = format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":"What is the level?"}}{messages}]}}"#
        );
        client_post("/v1/chat/completions", &body)
    };
    let answer = |text: &str| {
        let body = format!(
            r#"{{"id":"c","model":"m-1","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13}}}}"#
        );
        whole(200, &body)
    };
    let said = "It is two metres and forty centimetres today.";
    gauge.call(ask(""), answer(said)).await;
    gauge.server.finished(1).await;
    let next = format!(
        r#",{{"role":"assistant","content":"{said}"}},{{"role":"user","content":"And tomorrow?"}}"#
    );
    gauge.call(ask(&next), answer("Nobody knows.")).await;
    let rows = gauge.server.finished(2).await;
    let id = rows[0]["conversation"].as_str().unwrap();
    assert_eq!(rows[1]["conversation"], id);
    let list = gauge.server.api("conversations").await;
    let totals = &list["conversations"][0];
    assert_eq!((&totals["id"], &totals["turns"]), (&json!(id), &json!(2)));
    assert_eq!(
        (&totals["input_tokens"], &totals["models"]),
        (&json!(18), &json!(["m"]))
    );
    let one = gauge.server.api(&format!("conversations/{id}")).await;
    assert_eq!(&one["totals"], totals);
    let turns = one["turns"].as_array().unwrap();
    assert_eq!(
        (&turns[0]["previous"], &turns[0]["prompt"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(
        (&turns[1]["previous"], &turns[1]["linked_by"]),
        (&json!(1), &json!("text"))
    );
    let prompt = &turns[1]["prompt"];
    assert_eq!(prompt["matched_bytes"], prompt["earlier_bytes"]);
    assert!(prompt["bytes"].as_u64() > prompt["earlier_bytes"].as_u64());
}

#[tokio::test]
async fn sums_are_those_of_the_rows() {
    let gauge = measured().await;
    let sums = gauge.server.api("summary?since=1h&step=15m").await;
    let total = |name: &str| -> u64 {
        let steps = sums["steps"].as_array().unwrap();
        steps.iter().map(|step| step[name].as_u64().unwrap()).sum()
    };
    assert_eq!(sums["steps"].as_array().unwrap().len(), 4);
    assert_eq!((total("requests"), total("errors")), (2, 1));
    assert_eq!((total("input_tokens"), total("output_tokens")), (9, 4));
    let cells = |name: &str| -> u64 {
        let cells = sums["latency"][name]["cells"].as_array().unwrap();
        cells
            .iter()
            .flat_map(|step| step.as_array().unwrap())
            .map(|count| count.as_u64().unwrap())
            .sum()
    };
    assert_eq!((cells("duration"), cells("time_to_first_token")), (2, 1));
    assert_eq!(
        (&sums["models"], &sums["ready"]),
        (&json!(["m", "other"]), &json!(true))
    );
    assert_eq!(sums["today"]["requests"], 2);
    assert_eq!(sums["today"]["input_tokens"], 9);
    assert_eq!(
        sums["base_url"],
        format!("http://{}/v1", gauge.server.proxy)
    );
    let one = gauge.server.api("summary?q=model:other").await;
    let steps = one["steps"].as_array().unwrap();
    assert_eq!(
        steps
            .iter()
            .map(|step| step["requests"].as_u64().unwrap())
            .sum::<u64>(),
        1
    );
}

#[tokio::test]
async fn the_gauge_shows_its_exporters_upstreams_and_configuration() {
    let gauge = measured().await;
    gauge.received(4).await;
    let facts = gauge.server.api("gauge").await;
    let upstream = &facts["upstreams"][0];
    assert_eq!(
        (&upstream["requests"], &upstream["errors"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(upstream["last_error"], "rate_limit");
    let exporters = facts["exporters"].as_array().unwrap();
    let traces = exporters
        .iter()
        .find(|it| it["signal"] == "traces")
        .unwrap();
    assert_eq!(
        (&traces["state"], &traces["failed"]),
        (&json!("ok"), &json!(0))
    );
    assert!(
        traces["url"]
            .as_str()
            .unwrap()
            .contains(&gauge.collector.endpoint())
    );
    let logs = exporters.iter().find(|it| it["signal"] == "logs").unwrap();
    assert_eq!(logs["state"], "off");
    assert_eq!(facts["integrity"]["equal"], 2);
    assert_eq!(facts["integrity"]["different"], 0);
    assert!(facts["overhead_ms"]["p50"].is_number());
    let value = |key: &str| {
        let entries = facts["config"].as_array().unwrap();
        entries
            .iter()
            .find(|entry| entry["key"] == key)
            .unwrap()
            .clone()
    };
    assert_eq!(value("admin.address")["source"], "flag");
    assert_eq!(value("admin.history")["source"], "default");
    assert_eq!(value("upstream[0].provider")["value"], "\"openai\"");
    assert!(
        facts["queues"]
            .as_array()
            .unwrap()
            .iter()
            .any(|queue| queue["name"] == "spans")
    );
}

#[tokio::test]
async fn an_exporter_that_fails_says_why() {
    let gauge = Gauge::with(|program| {
        // Nobody listens there.
        let program = program.env(
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "http://127.0.0.1:1/v1/traces",
        );
        program.env("OTEL_EXPORTER_OTLP_TIMEOUT", "200")
    })
    .await;
    gauge
        .call(chat(), stream([&delta(HELLO), FINISH, USAGE, DONE]))
        .await;
    let failing = async || {
        let facts = gauge.server.api("gauge").await;
        let exporters = facts["exporters"].as_array().unwrap().clone();
        let traces = exporters
            .into_iter()
            .find(|it| it["signal"] == "traces")
            .unwrap();
        (traces["state"] == "failing").then_some(traces)
    };
    let traces = crate::support::admin::until("a failed export", failing).await;
    assert!(
        traces["last_error"]
            .as_str()
            .is_some_and(|error| !error.is_empty())
    );
    assert!(traces["dropped"].as_u64() >= Some(2), "{traces}");
}

#[tokio::test]
async fn nothing_is_kept_where_nothing_is_to_be_kept() {
    let gauge = Gauge::with(|program| program.env("STREAMGAUGE_ADMIN_HISTORY", "0")).await;
    gauge
        .call(chat(), stream([&delta(HELLO), FINISH, USAGE, DONE]))
        .await;
    gauge.settled(1).await;
    let list = gauge.server.exchanges().await;
    assert_eq!((&list["kept"], &list["exchanges"]), (&json!(0), &json!([])));
}

/// What is wrong is said as the API says it.
fn says(answer: &Message, message: &str) {
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let wrong: Value = serde_json::from_str(answer.text()).unwrap();
    let said = wrong["error"]["message"].as_str().unwrap();
    assert!(said.starts_with(message) && !said.ends_with('\n'), "{said}");
    assert_eq!(wrong["error"]["parameter"], Value::Null);
}

#[tokio::test]
async fn whatever_is_wrong_with_a_request_the_api_says_it_in_one_form() {
    let admin = admin_with(AdminConfig::default(), None).await;
    for (request, status, message) in [
        (
            "GET /api/costs HTTP/1.1\r\nhost: example.com\r\n",
            421,
            "misdirected request: ",
        ),
        (
            "POST /api/costs HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000\r\n",
            413,
            "payload too large: ",
        ),
        (
            "GET /api/colour HTTP/1.1\r\nhost: localhost\r\n",
            404,
            "no such path: ",
        ),
        (
            "GET /api HTTP/1.1\r\nhost: localhost\r\n",
            404,
            "no such path: ",
        ),
        (
            "GET /api/ HTTP/1.1\r\nhost: localhost\r\n",
            404,
            "not found: ",
        ),
        (
            "OPTIONS /api/gauge HTTP/1.1\r\nhost: localhost\r\n",
            405,
            "method not allowed: ",
        ),
    ] {
        let answer = send(admin.address, format!("{request}\r\n")).await;
        assert_eq!(answer.status(), status, "{request}");
        says(&answer, message);
    }
}

#[tokio::test]
async fn a_query_in_a_url_is_percent_encoded_else_it_is_no_http() {
    let admin = admin_with(AdminConfig::default(), None).await;
    for (query, is_http) in [
        ("ttft%3Eabc", true),
        ("ttft%3Cabc", true),
        ("ttft%3E1s%20tpot%3Cabc", true),
        ("ttft>abc", false),
        ("ttft<abc", false),
        ("ttft%3E1s tpot", false),
    ] {
        let request = format!("GET /api/exchanges?q={query} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        let answer = send(admin.address, request).await;
        assert_eq!(answer.status(), 400, "{query}");
        if is_http {
            let wrong: Value = serde_json::from_str(answer.text()).unwrap();
            assert_eq!(wrong["error"]["parameter"], "q", "{query}");
        } else {
            assert_eq!(answer.text(), "", "{query}");
        }
    }
}

#[tokio::test]
async fn the_api_reads_only() {
    let admin = admin_with(AdminConfig::default(), None).await;
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let request = format!(
            "{method} /api/exchanges HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n"
        );
        let answer = send(admin.address, request).await;
        assert_eq!(
            (answer.status(), answer.header("allow")),
            (405, Some("GET,HEAD"))
        );
        assert_eq!(answer.header("streamgauge-api-version"), Some("1"));
        says(&answer, "method not allowed: ");
    }
    let answer = client::get(admin.address, "/api/exchanges").await;
    assert_eq!(answer.status, 200);
}
