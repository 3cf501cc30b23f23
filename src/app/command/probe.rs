//! `check --probe`: calls each upstream and each OTLP receiver once, and says what answered.

use std::io::{self, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::USER_AGENT;
use http::{Method, Version};
use http_body::{Body, Frame, SizeHint};
use tokio::runtime::Runtime;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

use super::block_on;
use crate::message::{Fields, Request, Target};
use crate::otel::{self, NotPushed, Otlp, Settings};
use crate::otlp::envelope::Envelope;
use crate::otlp::{Sender, Signal};
use crate::proxy::headers;
use crate::upstream::{
    BoxError, Sendable, Upload, Upstream, UpstreamConfig, UpstreamError, known_as,
};

/// The list of models, as a client asks for it: most upstreams have one, and giving it costs nothing.
const MODELS: &str = "/v1/models";

/// What answered, or what did not and why; either as a line.
type Answered = Result<Answer, String>;

/// What an answer says.
enum Answer {
    /// All is well.
    Good(String),
    /// Something may be wrong.
    Odd(String),
}

/// Calls them all at once, prints a line for each, in order, and fails where one does not answer, or rejects a key of ours.
/// `has_events` says whether there are logs to send. Gives how many answers were odd.
pub(super) fn probe(
    upstreams: Vec<UpstreamConfig>,
    settings: &Settings,
    has_events: bool,
) -> anyhow::Result<usize> {
    // An error means that one is installed already, which will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let resource = otel::resource(&settings.resource);
    let empty = Envelope::new(&resource).around(&[]);
    let unused = Err(NotPushed::Disabled);
    let logs = if has_events { &settings.logs } else { &unused };
    let signals = [
        (Signal::Traces, &settings.traces),
        (Signal::Metrics, &settings.metrics),
        (Signal::Logs, logs),
    ];
    block_on(Runtime::new()?, async {
        let upstreams = upstreams.into_iter();
        let mut calls: Vec<JoinHandle<Answered>> = upstreams
            .map(|config| tokio::spawn(call_upstream(config)))
            .collect();
        for (signal, pushed) in signals {
            if let Ok(otlp) = pushed {
                let (otlp, empty) = (otlp.clone(), empty.clone());
                calls.push(spawn_blocking(move || export(&otlp, signal, empty)));
            }
        }
        let (all, mut odd, mut failed) = (calls.len(), 0, 0);
        for call in calls {
            match call.await? {
                Ok(Answer::Good(line)) => writeln!(io::stderr(), "{line}")?,
                Ok(Answer::Odd(line)) => {
                    odd += 1;
                    writeln!(io::stderr(), "warning: {line}")?;
                }
                Err(line) => {
                    failed += 1;
                    writeln!(io::stderr(), "error: {line}")?;
                }
            }
        }
        anyhow::ensure!(
            failed == 0,
            "{failed} of {all} did not answer as they should"
        );
        Ok(odd)
    })
}

/// Asks for the models, and says what the answer means.
async fn call_upstream(config: UpstreamConfig) -> Answered {
    let name = config.name.clone();
    let has_key = config.credentials().next().is_some();
    let versioned = below_version(&config);
    let (url, status) = ask(config).await?;
    let line = format!("upstream {name}: GET {url} was answered with status {status}");
    if let (404, Some(versioned)) = (status, versioned) {
        let path = versioned.url.path().to_owned();
        // What is wrong with this one is no fault of what is configured.
        let origin = known_as(&versioned).map(|known| known.origin);
        if let (Ok(origin), Ok((url, status @ (200..=299 | 401 | 403)))) =
            (origin, ask(versioned).await)
        {
            return Ok(Answer::Odd(format!(
                "{line}, and GET {url} with status {status}: this server has its API below /v1, so set upstream.url to {origin}{path}"
            )));
        }
    }
    match status {
        401 | 403 if has_key => Err(format!(
            "{line}: it rejects the credentials that are configured for it (upstream.key, upstream.headers)"
        )),
        401 | 403 => Ok(Answer::Good(format!(
            "{line}: none of the proxy's own keys was sent, as clients send theirs"
        ))),
        200..=299 => Ok(Answer::Good(line)),
        300..=399 => Ok(Answer::Odd(format!(
            "{line}, a redirect: streamgauge follows none, so set upstream.url to where it leads"
        ))),
        404 => Ok(Answer::Odd(format!(
            "{line}: check the path of its URL (upstream.url). Only if this server has no list of models, all is well"
        ))),
        500.. => Ok(Answer::Odd(format!(
            "{line}: it is there, and fails; look at its own log"
        ))),
        _ => Ok(Answer::Odd(format!(
            "{line}, and not with its list of models; check its URL (upstream.url)"
        ))),
    }
}

/// The upstream with `/v1` after its URL; `None` where a version stands there already.
fn below_version(config: &UpstreamConfig) -> Option<UpstreamConfig> {
    let url = config.url.to_string();
    let base = url.trim_end_matches('/');
    if config.url.query().is_some() || config.url.path().trim_end_matches('/').ends_with("/v1") {
        return None;
    }
    Some(UpstreamConfig {
        url: format!("{base}/v1").parse().ok()?,
        ..config.clone()
    })
}

/// Asks for the models, with what is configured for the upstream, within its limit for connecting. Gives what was asked, and the
/// status of the answer.
async fn ask(config: UpstreamConfig) -> Result<(String, u16), String> {
    let (name, limit) = (config.name.clone(), config.connect_timeout);
    let failed = |why: &dyn std::fmt::Display| format!("upstream {name}: {why}");
    let upstream = Upstream::new(config).map_err(|error| failed(&error))?;
    let target = upstream.target(&Target::of_path(MODELS.into()));
    let url = format!("{}{}", upstream.name.origin, target.path());
    let mut fields = headers::to_upstream(&Fields::default(), Version::HTTP_11, upstream.host());
    fields.set(
        USER_AGENT,
        concat!("streamgauge/", env!("CARGO_PKG_VERSION")),
    );
    headers::set_own(&mut fields, &upstream.config);
    let request = Box::new(Request {
        method: Method::GET,
        target,
        version: Version::HTTP_11,
        fields,
        body: NoBody,
    });
    let answer = timeout(
        limit,
        upstream.call(request, None::<Upload<UpstreamError>>, true),
    )
    .await;
    let answer = answer.map_err(|_| {
        failed(&format_args!(
            "GET {url} was not answered within {limit:?} (upstream.timeouts.connect)"
        ))
    })?;
    let status = answer
        .map_err(|unanswered| unanswered.error.to_string())?
        .status
        .as_u16();
    Ok((url, status))
}

/// The body of a request that has none.
struct NoBody;

impl Body for NoBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        true
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(0)
    }
}

impl Sendable for NoBody {
    fn keep(&mut self) {}

    fn waited(&mut self, _: Duration) {}
}

/// Sends an export with nothing in it.
fn export(otlp: &Otlp, signal: Signal, empty: Bytes) -> Answered {
    let name = signal.name();
    let failed = |error: &dyn std::fmt::Display| format!("{name}: {error}");
    let sender = Sender::new(otlp, signal).map_err(|error| failed(&error))?;
    match sender.try_once(empty) {
        Ok(_) => Ok(Answer::Good(format!(
            "{name}: {} took an empty export",
            otlp.shown_endpoint()
        ))),
        Err(error) => Err(failed(&error)),
    }
}
