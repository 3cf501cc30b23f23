//! What would be exported for a captured exchange: a file in, spans and samples out.
//!
//! A capture is raw HTTP, HAR, or what curl printed. Its bytes go through the same observer, dialects, vocabularies and
//! span writer as those of a live exchange, so that nothing is explained that would not be exported. What a capture does
//! not say, above all when what came, is left out. It opens no socket and no file.

mod capture;
mod conversation;
mod exported;
mod json;
mod replay;
mod text;

use http::Uri;
use serde_json::Value;

use self::capture::{Capture, EndedBy, Extent};
use self::conversation::{CapturedCall, ShownCall};
use self::exported::{Shown, ShownSample, ShownSpan};
use crate::dialect;
use crate::exchange::{Exchange, Usage};
use crate::observe::{ObserveConfig, secrets::Secrets};
use crate::otel::Spans;
use crate::pipeline::{self, PipelineConfig};
use crate::prices::Priced;
use crate::proxy::usage;
use crate::semconv::{Number, Vocabulary, own};
use crate::upstream::UpstreamConfig;

pub use capture::Unreadable;
pub use json::to_json;

/// Largest capture that is read, in bytes.
pub const CAPTURE_BYTES_MAX: usize = 64 << 20;

/// What captures are explained by.
pub struct Options {
    /// Vocabularies of spans in order; HTTP and our own come on top.
    pub vocabularies: Vec<&'static dyn Vocabulary>,
    /// Those of metrics, likewise.
    pub metrics: Vec<&'static dyn Vocabulary>,
    /// Which spans a call has.
    pub spans: Spans,
    /// Path of the request, for a capture that has none; absent, it is told from the response.
    pub path: Option<Uri>,
    /// Whether it was said for these captures whither the requests went, by the URL of one upstream.
    pub destination_given: bool,
    /// Where requests can go. A captured host that is none of these is taken as the only one's URL.
    pub upstreams: Vec<UpstreamConfig>,
    /// Whether streams that did not ask for usage would be made to ask.
    pub inject_usage: bool,
    /// What the observer is told.
    pub observe: ObserveConfig,
    /// What happens to a finished exchange.
    pub pipeline: PipelineConfig,
}

/// What would be exported for one exchange.
#[derive(Debug)]
pub struct Explanation {
    /// Which of several it is; empty where there is only one.
    title: String,
    /// The request and how it ended, in a few words.
    summary: String,
    spans: Vec<ShownSpan>,
    calls: Vec<ShownCall>,
    /// What it shows of its conversation.
    history: Vec<Shown>,
    /// Its place among the calls of the capture, in sentences.
    conversation: Vec<String>,
    /// What it costs; `None` where that is not known.
    price: Option<Priced>,
    samples: Vec<ShownSample>,
    /// What could not be read, by kind.
    problems: Vec<(String, u64)>,
    warnings: Vec<String>,
}

/// Explains every exchange of a capture.
///
/// # Errors
/// When it is larger than [`CAPTURE_BYTES_MAX`], or of no form that is known.
pub fn explain(capture: &[u8], options: &Options) -> Result<Vec<Explanation>, Unreadable> {
    if capture.len() > CAPTURE_BYTES_MAX {
        let most = CAPTURE_BYTES_MAX >> 20;
        let message = format!("the capture is too large: expected at most {most} MiB");
        return Err(Unreadable::new(capture::CapturePlace::Whole, message));
    }
    let captures = capture::read(capture)?;
    let mut observed = replay::Observed::start(&options.pipeline);
    let calls = captures.iter().map(|capture| CapturedCall {
        title: capture.title.clone(),
        is_timed: capture.started.is_some() && capture.timing.is_some(),
    });
    let calls: Vec<CapturedCall> = calls.collect();
    let captures = captures.into_iter();
    Ok(captures
        .map(|capture| explain_one(capture, options, &mut observed, &calls))
        .collect())
}

fn explain_one(
    mut capture: Capture,
    options: &Options,
    observed: &mut replay::Observed,
    calls: &[CapturedCall],
) -> Explanation {
    let path = path(&mut capture, options);
    warn(&mut capture, options);
    let (exchanges, secrets) = replay::replay(&capture, &path, options, observed);
    let usage = &exchanges[0].usage;
    let unreported = usage.estimate.is_there() || *usage == Usage::default();
    if options.inject_usage && would_ask(&capture) && unreported && !is_unsaved(&capture) {
        let warning = "the request did not ask for usage, and the stream reports none: streamgauge would ask for it (usage.inject)";
        capture.warnings.push(warning.into());
    }
    let samples = exported::samples(&exchanges, &options.metrics);
    let mut explanation = Explanation {
        title: std::mem::take(&mut capture.title),
        summary: summary(&exchanges[0], is_unsaved(&capture)),
        spans: exported::spans(&exchanges, &options.vocabularies, options.spans),
        calls: conversation::calls(&exchanges[0]),
        history: conversation::history(&exchanges[0]),
        conversation: conversation::place(&exchanges, calls),
        price: price(&exchanges, options),
        problems: problems(&samples),
        samples,
        warnings: capture.warnings,
    };
    explanation.hide(&secrets);
    explanation
}

/// What an exchange costs, where that does not depend on what the capture does not say.
fn price(exchanges: &[Exchange; 2], options: &Options) -> Option<Priced> {
    let worked = |exchange| pipeline::worked(&options.pipeline.prices, exchange);
    let [one, other] = exchanges.each_ref().map(worked);
    let other = other?;
    one.filter(|one| one.working == other.working)
}

/// The path that decides how the response is read, where the capture has no request.
fn path(capture: &mut Capture, options: &Options) -> Uri {
    if let Some(request) = &capture.request {
        return request.target.clone();
    }
    if let Some(path) = &options.path {
        capture.warnings.push(format!(
            "the capture contains no request: the response is read as one to POST {} (--path)",
            path.path()
        ));
        return path.clone();
    }
    let response = capture.response.as_ref();
    let told = response
        .and_then(|response| dialect::path_of_response(&replay::clear_body(response, options)));
    let warning = match told {
        Some(path) => format!("the capture contains no request: by its shape, the response is read as one to POST {path}"),
        None => "the capture contains no request, and the response has no known shape: only HTTP is read. Set the \
                 path of the request, such as --path /v1/chat/completions"
            .to_owned(),
    };
    capture.warnings.push(warning);
    Uri::from_static(told.unwrap_or("/"))
}

fn warn(capture: &mut Capture, options: &Options) {
    let mut warn = |warning: String| capture.warnings.push(warning);
    match &capture.request {
        None => {
            if !options.destination_given
                && let Some(upstream) = options.upstreams.first()
            {
                let (name, host) = (&upstream.name, upstream.url.host().unwrap_or_default());
                warn(format!(
                    "the destination is unknown: the upstream `{name}`, {host}, is assumed"
                ));
            }
        }
        Some(request) if replay::authority(request).is_none() => {
            warn("the request has no Host header: its destination is unknown, so there is no inference span".into());
        }
        Some(request) => {
            let (method, path) = (request.method.as_str(), request.target.path());
            if dialect::for_request(method, path).is_none() {
                warn(format!(
                    "{method} {path} belongs to no known API: only HTTP is read"
                ));
            }
        }
    }
    if capture.response.is_none() {
        let shown = match capture.ended_by {
            Some(EndedBy::Upstream) => "a call that its upstream did not answer",
            Some(EndedBy::Client) | None => "a call whose client left",
        };
        let warning = format!("the capture contains no response: shown as {shown}");
        capture.warnings.push(warning);
    }
}

/// Whether a live exchange would have been edited to ask for usage.
fn would_ask(capture: &Capture) -> bool {
    let Some(request) = &capture.request else {
        return false;
    };
    let body = request.body.clone().unwrap_or_default();
    let silent = matches!(usage::Inspected::of(&body).wish, usage::Wish::Silent(_));
    silent && usage::completion(&request.method, request.target.path()).is_some()
}

/// What could not be read, as the metric that counts it says.
fn problems(samples: &[ShownSample]) -> Vec<(String, u64)> {
    let is_problem = |sample: &ShownSample| sample.metric.name == own::OBSERVATION_PROBLEMS.name;
    let mut problems = Vec::new();
    for sample in samples.iter().filter(|sample| is_problem(sample)) {
        let mut attributes = sample.attributes.iter();
        let kind = attributes.find(|(key, _)| key == own::KIND);
        if let (Some((_, kind)), Number::Int(count)) = (kind, sample.value) {
            problems.push((kind.as_str().unwrap_or_default().to_owned(), count));
        }
    }
    problems
}

/// Whether the response had a body that the capture does not have.
fn is_unsaved(capture: &Capture) -> bool {
    let response = capture.response.as_ref();
    response.is_some_and(|response| response.extent == Extent::Unsaved)
}

fn summary(exchange: &Exchange, is_unsaved: bool) -> String {
    let http = &exchange.http;
    let status = match http.status {
        Some(status) => status.to_string(),
        None => "no response".to_owned(),
    };
    let form = match exchange.operation {
        Some(_) if exchange.response.streamed => ", streamed",
        _ => "",
    };
    let end = match is_unsaved {
        true => "body not saved",
        false => exchange.end.as_str(),
    };
    let (method, path) = (&http.method, &http.path);
    format!("{method} {path}: {status}{form}, {end}")
}

impl Explanation {
    /// Takes the credentials of the request out of every text: an upstream may repeat them anywhere.
    fn hide(&mut self, secrets: &Secrets) {
        let mut texts = vec![&mut self.summary];
        texts.extend(&mut self.warnings);
        texts.extend(&mut self.conversation);
        let mut values = Vec::new();
        for span in &mut self.spans {
            texts.push(&mut span.name);
            texts.extend(&mut span.error);
            values.extend(span.attributes.iter_mut().map(|(_, value)| value));
        }
        for call in &mut self.calls {
            texts.push(&mut call.name);
            values.extend(call.facts.iter_mut().map(|(_, value)| value));
        }
        for sample in &mut self.samples {
            values.extend(sample.attributes.iter_mut().map(|(_, value)| value));
        }
        for value in values {
            match value {
                Value::String(text) => texts.push(text),
                Value::Array(values) => texts.extend(values.iter_mut().filter_map(as_text)),
                _ => {}
            }
        }
        for text in texts {
            *text = secrets.hide(text).into_owned();
        }
    }
}

const fn as_text(value: &mut Value) -> Option<&mut String> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}
