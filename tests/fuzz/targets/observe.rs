//! Dialects, behind the observer that frames, decodes and bounds for them: the same facts at every cut.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode, Version};
use streamgauge::dialect;
use streamgauge::exchange::Exchange;
use streamgauge::message::{Fields, Target};
use streamgauge::observe::{self, ObserveConfig};
use streamgauge::pipeline::{EstimateTokens, Pipeline, PipelineConfig};
use streamgauge::sink::{ExchangeId, Sink};
use streamgauge::tap::{Close, Closing, Event, Instant, Observer as _, RequestHead};

use crate::mutate::Random;
use crate::run::shape;

/// Longest text that a dialect may keep.
const TEXT_KEPT: usize = 4096;
/// Most elements of a list that a dialect may keep.
const LIST_KEPT: usize = 1024;

/// Reads an input as the request and as the response of a call.
pub(crate) fn check(
    method: &'static str,
    path: &'static str,
) -> impl Fn(&[u8], &mut Random) -> u64 {
    move |input, random| {
        let status = *random.choose(&[200, 200, 200, 400, 500]);
        let whole = observed(method, path, status, &[input]);
        let cut = observed(method, path, status, &random.cut(input));
        let (whole, cut) = (facts(&whole), facts(&cut));
        assert_eq!(whole, cut);
        shape(outline(&whole))
    }
}

/// Everything but the times, and what depends on how raw bytes were cut.
fn facts(exchange: &Exchange) -> String {
    let Exchange {
        request,
        response,
        usage,
        problems,
        quirks,
        unknown,
        end,
        failure,
        ..
    } = exchange;
    assert!(response.choices.len() <= LIST_KEPT && response.tool_calls.len() <= LIST_KEPT);
    let texts = [&request.model, &response.model, &response.id];
    assert!(
        texts
            .into_iter()
            .flatten()
            .all(|text| text.len() <= TEXT_KEPT)
    );
    format!(
        "{request:?} {response:?} {usage:?} {problems:?} {quirks:?} {unknown:?} {end:?} {failure:?}"
    )
}

/// What is there, without what it says.
fn outline(facts: &str) -> String {
    let mut in_text = false;
    let mut keep = |letter: char| {
        in_text ^= letter == '"';
        !in_text && !letter.is_ascii_digit()
    };
    facts.chars().filter(|letter| keep(*letter)).collect()
}

/// So every exchange is delivered when it is closed.
fn no_estimates() -> PipelineConfig {
    PipelineConfig {
        estimate_tokens: EstimateTokens::Off,
        ..PipelineConfig::default()
    }
}

fn observed(method: &str, path: &'static str, status: u16, pieces: &[&[u8]]) -> Exchange {
    let method: Method = method.parse().unwrap();
    let at = Instant::now();
    let head = RequestHead {
        received: at,
        received_at: SystemTime::now(),
        method,
        target: Target::of_path(path.into()),
        version: Version::HTTP_11,
        fields: fields(pieces),
        scheme: "http",
        peer: None,
    };
    let kept = Arc::new(Kept::default());
    let sinks: Vec<Arc<dyn Sink>> = vec![Arc::clone(&kept) as Arc<dyn Sink>];
    let pipeline = Arc::new(Pipeline::new(&no_estimates(), sinks));
    let dialect = dialect::for_request(head.method.as_str(), path);
    let mut observer = observe::observer(
        ExchangeId(1),
        &head,
        dialect,
        None,
        &ObserveConfig::default(),
        "".into(),
        Arc::clone(&pipeline),
    );
    let frames = || pieces.iter().map(|piece| Bytes::copy_from_slice(piece));
    frames().for_each(|frame| observer.observe(Event::RequestFrame(at, frame)));
    observer.observe(Event::RequestEnd(at, 0));
    let status = StatusCode::from_u16(status).unwrap();
    let fields = Fields::default();
    observer.observe(Event::ResponseHead { at, status, fields });
    frames().for_each(|frame| observer.observe(Event::ResponseFrame(at, frame)));
    observer.close(Closing {
        at,
        close: Close::Complete,
        status: Some(status),
        response_bytes: 0,
        held: Duration::ZERO,
        verdict: None,
        moved: Vec::new(),
        aftermath: None,
    });
    // What has an error message waits for it to be looked through.
    assert!(pipeline.drained(Duration::from_secs(60)));
    kept.0.lock().unwrap().take().unwrap()
}

/// Multipart where the body begins with a boundary, else JSON.
fn fields(pieces: &[&[u8]]) -> Fields {
    let body = pieces.concat();
    let line = body.split(|byte| matches!(byte, b'\r' | b'\n')).next();
    let boundary = line.and_then(|line| line.strip_prefix(b"--"));
    let multipart = boundary.and_then(|boundary| {
        let value = [b"multipart/form-data; boundary=", boundary].concat();
        HeaderValue::from_bytes(&value).ok()
    });
    let json = HeaderValue::from_static("application/json");
    Fields::from_iter([(CONTENT_TYPE, multipart.unwrap_or(json))])
}

#[derive(Default)]
struct Kept(Mutex<Option<Exchange>>);

impl Sink for Kept {
    fn name(&self) -> &'static str {
        "kept"
    }

    fn finished(&self, _id: ExchangeId, exchange: &Arc<Exchange>) {
        *self.0.lock().unwrap() = Some(Exchange::clone(exchange));
    }
}
