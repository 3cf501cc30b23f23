//! What would be exported for a captured exchange: a file in, spans and samples out.
//!
//! A capture is raw HTTP, HAR, or what curl printed. Its bytes go through the same observer, dialects, vocabularies and
//! span writer as those of a live exchange, so that nothing is explained that would not be exported. What a capture does
//! not say, above all when what came, is left out. It opens no socket and no file.

mod capture;
mod curl;
mod exported;
mod har;
mod head;
mod json;
mod raw;
mod replay;
mod text;

use std::sync::Arc;

use http::Uri;
use serde_json::Value;

use self::capture::Capture;
use self::exported::{Sample, Span};
use crate::exchange::{Exchange, Usage};
use crate::observe::{estimate::Estimates, secrets::Secrets};
use crate::proxy::usage;
use crate::semconv::{Number, Vocabulary, own};
use crate::{dialect, observe, proxy};

pub use capture::Unreadable;
pub use json::to_json;

/// Largest capture that is read, in bytes.
pub const CAPTURE_BYTES_MAX: usize = 64 << 20;

/// What captures are explained by.
pub struct Options {
    /// Vocabularies in order; HTTP and our own come on top.
    pub vocabularies: Vec<&'static dyn Vocabulary>,
    /// Path of the request, for a capture that has none; absent, it is told from the response.
    pub path: Option<Uri>,
    /// Where requests can go. A captured host that is none of these is taken as the only one's URL.
    pub upstreams: Vec<proxy::config::Upstream>,
    /// Whether streams that did not ask for usage would be made to ask.
    pub inject_usage: bool,
    /// What the observer is told.
    pub observe: observe::Config,
}

/// What would be exported for one exchange.
#[derive(Debug)]
pub struct Explanation {
    /// Which of several it is; empty where there is only one.
    title: String,
    /// The request and how it ended, in a few words.
    summary: String,
    spans: Vec<Span>,
    samples: Vec<Sample>,
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
        let message = format!("larger than {most} MiB, expected a capture of fewer bytes");
        return Err(Unreadable::new(capture::Place::Whole, message));
    }
    let captures = capture::read(capture)?.into_iter();
    let start = || Estimates::start(Arc::default());
    let estimates = options.observe.estimate_tokens.then(start);
    Ok(captures
        .map(|capture| explain_one(capture, options, estimates.as_ref()))
        .collect())
}

fn explain_one(
    mut capture: Capture,
    options: &Options,
    estimates: Option<&Estimates>,
) -> Explanation {
    let path = path(&mut capture, options);
    warn(&mut capture, options);
    let (exchanges, secrets) = replay::replay(&capture, &path, options, estimates);
    let usage = &exchanges[0].usage;
    let unreported = usage.estimated || *usage == Usage::default();
    if options.inject_usage && would_ask(&capture) && unreported {
        let warning = "the stream was not asked for usage, and has none: streamgauge would ask (usage.inject)";
        capture.warnings.push(warning.into());
    }
    let samples = exported::samples(&exchanges, &options.vocabularies);
    let mut explanation = Explanation {
        title: capture.title,
        summary: summary(&exchanges[0]),
        spans: exported::spans(&exchanges, &options.vocabularies),
        problems: problems(&samples),
        samples,
        warnings: capture.warnings,
    };
    explanation.hide(&secrets);
    explanation
}

/// The path that decides how the response is read, where the capture has no request.
fn path(capture: &mut Capture, options: &Options) -> Uri {
    if let Some(request) = &capture.request {
        return request.target.clone();
    }
    if let Some(path) = &options.path {
        capture.warnings.push(format!(
            "no request in the capture: read as the answer to POST {}, as --path says",
            path.path()
        ));
        return path.clone();
    }
    let response = capture.response.as_ref();
    let told = response
        .and_then(|response| dialect::path_of_response(&replay::clear_body(response, options)));
    let warning = match told {
        Some(path) => format!("no request in the capture: by its shape the answer to POST {path}"),
        None => "no request in the capture, and the response has no shape that is known: only HTTP is read. Say what \
                 it answers, such as --path /v1/chat/completions"
            .to_owned(),
    };
    capture.warnings.push(warning);
    Uri::from_static(told.unwrap_or("/"))
}

fn warn(capture: &mut Capture, options: &Options) {
    let mut warn = |warning: String| capture.warnings.push(warning);
    match &capture.request {
        None => {
            if let Some(upstream) = options.upstreams.first() {
                let (name, host) = (&upstream.name, upstream.url.host().unwrap_or_default());
                warn(format!(
                    "where it was sent is not known: taken for the upstream `{name}`, {host}"
                ));
            }
        }
        Some(request) if replay::authority(request).is_none() => {
            warn("the request has no Host: where it was sent is not known, so there is no inference span".into());
        }
        Some(request) => {
            let (method, path) = (request.method.as_str(), request.target.path());
            if dialect::for_request(method, path).is_none() {
                warn(format!(
                    "no API is known by {method} {path}: only HTTP is read"
                ));
            }
        }
    }
    if capture.response.is_none() {
        capture
            .warnings
            .push("no response in the capture: shown as a call that the client left".into());
    }
}

/// Whether a live exchange would have been edited to ask for usage.
fn would_ask(capture: &Capture) -> bool {
    let Some(request) = &capture.request else {
        return false;
    };
    let body = request.body.clone().unwrap_or_default();
    usage::is_completion(&request.method, request.target.path())
        && usage::Inspected::of(&body).splice.is_some()
}

/// What could not be read, as the metric that counts it says.
fn problems(samples: &[Sample]) -> Vec<(String, u64)> {
    let is_problem = |sample: &Sample| sample.metric.name == own::OBSERVATION_PROBLEMS.name;
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

fn summary(exchange: &Exchange) -> String {
    let http = &exchange.http;
    let status = match http.status {
        Some(status) => status.to_string(),
        None => "no response".to_owned(),
    };
    let form = match exchange.call {
        Some(_) if exchange.response.streamed => ", streamed",
        _ => "",
    };
    let (method, path, end) = (&http.method, &http.path, exchange.end.as_str());
    format!("{method} {path}: {status}{form}, {end}")
}

impl Explanation {
    /// Takes the credentials of the request out of every text: an upstream may repeat them anywhere.
    fn hide(&mut self, secrets: &Secrets) {
        let mut texts = vec![&mut self.summary];
        texts.extend(&mut self.warnings);
        let mut values = Vec::new();
        for span in &mut self.spans {
            texts.push(&mut span.name);
            texts.extend(&mut span.error);
            values.extend(span.attributes.iter_mut().map(|(_, value)| value));
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
