//! The fixtures of `tests/fixtures`, as upstreams would send them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use streamgauge::exchange::{
    ApiError, End, Exchange, Problems, Quirk, Quirks, Response, ServerTimes, ToolCall, ToolKind,
    Unknowns, Usage,
};

use crate::support::client;

#[path = "../../fixtures/facts.rs"]
mod facts;

/// Folders that hold no single responses: sessions, and what fuzzing found.
const OTHER_FOLDERS: [&str; 3] = ["fuzz", "realtime", "redact"];
/// The path of a response that is fetched.
const FETCHED: &str = "/v1/responses/resp_1";

/// Folders of fixtures, and the path that speaks their API.
const FOLDERS: [(&str, &str); 18] = [
    ("chat", "/v1/chat/completions"),
    ("completions", "/v1/completions"),
    ("embeddings", "/v1/embeddings"),
    ("images", "/v1/images/generations"),
    ("messages", "/v1/messages"),
    ("moderations", "/v1/moderations"),
    ("ollama-chat", "/api/chat"),
    ("ollama-embed", "/api/embed"),
    ("ollama-generate", "/api/generate"),
    ("rerank", "/v1/rerank"),
    ("responses", "/v1/responses"),
    ("responses-fetched", FETCHED),
    ("retrieval", "/v1/vector_stores/vs_1/search"),
    ("score", "/score"),
    ("speech", "/v1/audio/speech"),
    ("tokenize", "/tokenize"),
    ("transcriptions", "/v1/audio/transcriptions"),
    ("vllm-generate", "/inference/v1/generate"),
];

/// The files that may hold a body, what content type it usually comes under, and whether it is a stream.
const FORMS: [(&str, &str, bool); 5] = [
    ("response.sse", "text/event-stream", true),
    ("response.ndjson", "application/x-ndjson", true),
    ("response.json", "application/json", false),
    ("response.txt", "text/plain", false),
    ("response.bin", "application/octet-stream", false),
];

/// Members of `expected.json` that say what a fixture is, and not what it comes to.
const NOT_FACTS: [&str; 6] = [
    "about",
    "quirk",
    "status",
    "request",
    "content_type",
    "cuts",
];
/// Members about single events, which an exchange does not keep.
const OF_EVENTS: [&str; 6] = [
    "first_output",
    "audio_events",
    "content",
    "reasoning",
    "tool_call",
    "other",
];
/// Members that an exchange has of streams only.
const OF_STREAMS: [&str; 2] = ["events", "output"];

/// One response and what it comes to.
#[derive(Debug)]
pub(super) struct Fixture {
    /// Folder and case.
    pub(super) name: String,
    /// The body that the upstream sends.
    pub(super) body: Vec<u8>,
    path: &'static str,
    content_type: &'static str,
    streams: bool,
    expected: Map<String, Value>,
}

/// Every fixture of a response.
pub(super) fn all() -> Vec<Fixture> {
    let root = root();
    let mut fixtures = Vec::new();
    for (folder, path) in FOLDERS {
        for case in fs::read_dir(root.join(folder)).unwrap() {
            fixtures.push(read(&case.unwrap().path(), folder, path));
        }
    }
    fixtures.sort_by(|one, other| one.name.cmp(&other.name));
    fixtures
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

#[test]
fn every_folder_of_fixtures_is_replayed() {
    let entries = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap());
    let folders = entries.filter(|entry| entry.file_type().unwrap().is_dir());
    let there: BTreeSet<_> = folders
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    let known = FOLDERS.map(|(folder, _)| folder);
    let known = known.into_iter().chain(OTHER_FOLDERS);
    assert_eq!(there, known.map(str::to_owned).collect());
}

fn read(case: &Path, folder: &str, path: &'static str) -> Fixture {
    let expected = fs::read_to_string(case.join("expected.json")).unwrap();
    let mut forms = FORMS
        .into_iter()
        .filter_map(|(file, content_type, streams)| {
            let body = fs::read(case.join(file)).ok()?;
            Some((body, content_type, streams))
        });
    let (body, content_type, streams) = forms.next().unwrap();
    Fixture {
        name: format!("{folder}/{}", case.file_name().unwrap().to_string_lossy()),
        body,
        path,
        content_type,
        streams,
        expected: serde_json::from_str(&expected).unwrap(),
    }
}

impl Fixture {
    /// The quirks that it stands for.
    pub(super) fn stands_for(&self) -> Vec<String> {
        texts(self.expected.get("quirk"))
    }

    /// The quirks that it is counted with.
    pub(super) fn counted(&self) -> Vec<String> {
        texts(self.expected.get("quirks"))
    }

    /// A request that is answered so: for a stream where a stream comes, and with usage, so that it passes as it is;
    /// `request` has what differs, `null` what is left out.
    pub(super) fn request(&self) -> Vec<u8> {
        if self.path == FETCHED {
            let streams = self.streams;
            return format!("GET {FETCHED}?stream={streams} HTTP/1.1\r\nhost: a\r\n\r\n").into();
        }
        let mut request = json!({"model": "m", "messages": [], "stream": self.streams});
        let differs = self.expected.get("request").unwrap_or(&Value::Null);
        if differs.get("stream").unwrap_or(&request["stream"]) == true {
            request["stream_options"] = json!({"include_usage": true});
        }
        if let (Value::Object(request), Value::Object(differs)) = (&mut request, differs) {
            request.extend(differs.clone());
            request.retain(|_, member| !member.is_null());
        }
        client::post(self.path, &request.to_string())
    }

    /// Status line and header lines, each with its line end.
    pub(super) fn head(&self, coding: Option<&str>) -> String {
        let status = self.expected.get("status").and_then(Value::as_u64);
        let mut head = format!("HTTP/1.1 {} X\r\n", status.unwrap_or(200));
        let usual = Value::from(self.content_type);
        let content_type = self.expected.get("content_type").unwrap_or(&usual);
        if let Some(content_type) = content_type.as_str() {
            head.push_str(&format!("content-type: {content_type}\r\n"));
        }
        if let Some(coding) = coding {
            head.push_str(&format!("content-encoding: {coding}\r\n"));
        }
        head
    }

    /// The body cut where the fixture says, else into pieces of `width`.
    pub(super) fn pieces(&self, width: usize) -> Vec<&[u8]> {
        let Some(Value::Array(cuts)) = self.expected.get("cuts") else {
            return self.body.chunks(width).collect();
        };
        let (mut pieces, mut rest, mut at) = (Vec::new(), &self.body[..], 0);
        for cut in cuts {
            let cut = cut.as_u64().unwrap() as usize;
            let (piece, more) = rest.split_at(cut - at);
            pieces.push(piece);
            (rest, at) = (more, cut);
        }
        pieces.push(rest);
        pieces
    }

    /// What it comes to, as far as an exchange keeps it, and with what is `settled` only beside the request.
    pub(super) fn facts(&self) -> Value {
        let mut facts = self.expected.clone();
        let of_streams = OF_STREAMS.iter().filter(|_| !self.streams);
        if let Some(Value::Object(settled)) = facts.remove("settled") {
            facts.extend(settled);
        }
        for member in NOT_FACTS.iter().chain(&OF_EVENTS).chain(of_streams) {
            facts.remove(*member);
        }
        facts::pruned(Value::Object(facts))
    }
}

/// The facts of an exchange in the form of `expected.json`; how it ended only where the status does not say it.
pub(super) fn facts_of(fixture: &Fixture, exchange: &Exchange) -> Value {
    let mut summary = facts::summary(&facts::Facts {
        response: &exchange.response,
        usage: &exchange.usage,
        problems: &exchange.problems,
        quirks: exchange.quirks,
        unknown: &exchange.unknown,
    });
    if fixture.streams {
        summary["events"] = json!(exchange.flow.events);
        summary["output"] = json!(exchange.flow.chunks);
    }
    if !matches!(exchange.end, End::Done | End::HttpError) {
        summary["end"] = json!(exchange.end.as_str());
    }
    facts::pruned(summary)
}

fn texts(list: Option<&Value>) -> Vec<String> {
    let texts = list.and_then(Value::as_array).into_iter().flatten();
    texts
        .map(|text| text.as_str().unwrap().to_owned())
        .collect()
}
