//! Asks the admin API, one short request at a time. Every request has a limit of time and of bytes.

use std::cell::Cell;
use std::io::Read as _;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use reqwest::blocking::{Client as Http, Response};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{StatusCode, Url, redirect};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::api::{self, Conversations, Refusal};
use super::text::Text;
use crate::version::VERSION;

/// Longest time to connect.
const CONNECT: Duration = Duration::from_secs(3);
/// Longest time for an answer, its body included.
const ANSWER: Duration = Duration::from_secs(10);
/// Most bytes of an answer that are read.
const MOST_BYTES: u64 = 32 << 20;

/// Letters of a whole id of a conversation.
const ID: usize = 32;
/// Most conversations of a page, and most pages that are gone through: more than is kept by default.
const PAGE: &str = "500";
const PAGES: usize = 100;

/// What the sums are of: five minutes in steps of five seconds.
pub(super) const SUMMARY: [(&str, &str); 2] = [("since", "5m"), ("step", "5s")];

/// The query of so many exchanges that match a filter. No filter is no parameter.
pub(super) fn query<'a>(limit: &'a str, filter: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut query = vec![("limit", limit)];
    if !filter.is_empty() {
        query.push(("q", filter));
    }
    query
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The URL cannot be asked.
    #[error("{0:?}: expected the URL of an admin port, such as http://127.0.0.1:9464")]
    Url(String),
    /// The token cannot be sent. It is not shown.
    #[error(
        "the token of --token or STREAMGAUGE_ADMIN_TOKEN has characters that no HTTP header can have"
    )]
    Token,
    /// There is no client to ask with.
    #[error("no HTTP client can be made: {0}")]
    Client(String),
    /// Nobody answered, or not in time.
    #[error("no answer from {at}: {why}")]
    Unreachable {
        /// Where.
        at: String,
        /// The cause.
        why: String,
    },
    /// The query has a mistake.
    #[error("{message}")]
    Query {
        /// What is wrong.
        message: String,
        /// Where in the query, in characters from its beginning.
        position: Option<usize>,
    },
    /// There is no such exchange, or it is not kept any more.
    #[error("{0}")]
    Unknown(String),
    /// More than one conversation begins so.
    #[error("several conversations begin with {0}: give more digits of the id")]
    Several(String),
    /// A token is missing or wrong.
    #[error("{0} asks for a token: set STREAMGAUGE_ADMIN_TOKEN, or --token, to its admin.token")]
    Unauthorized(String),
    /// Another refusal.
    #[error("{at} answered {status}: {message}")]
    Refused {
        /// Where.
        at: String,
        /// The status.
        status: u16,
        /// What it says.
        message: String,
    },
    /// The answer has no version of the API, which every answer of an admin port has.
    #[error(
        "{at} is not the admin port of a streamgauge (it answered {status}): give the address of the admin port, \
         whose port is 9464 by default, not that of the proxy"
    )]
    NotAdmin {
        /// Where.
        at: String,
        /// The status.
        status: u16,
    },
    /// A streamgauge with another API.
    #[error("{at} does not speak version {} of the API: {why}", api::VERSION.1)]
    Foreign {
        /// Where.
        at: String,
        /// What it said instead.
        why: String,
    },
}

/// A client of one admin port.
#[derive(Debug)]
pub(super) struct Client {
    http: Http,
    base: Url,
    /// What the token is sent as.
    token: Option<HeaderValue>,
    /// Whether an admin port has asked for it.
    wants_token: Cell<bool>,
    /// When the last answer must be there; `None`: each has its own time.
    until: Option<Instant>,
}

impl Client {
    /// One for an admin port; `http://` may be left out of its URL.
    ///
    /// # Errors
    /// When the URL or the token cannot be used.
    pub(super) fn new(url: &str, token: Option<&str>) -> Result<Self, Problem> {
        let base = base(url).ok_or_else(|| Problem::Url(Text::new(url).to_string()))?;
        let token = token.map(|token| {
            let mut value = HeaderValue::try_from(format!("Bearer {token}"))?;
            value.set_sensitive(true);
            Ok::<_, reqwest::header::InvalidHeaderValue>(value)
        });
        let token = token.transpose().map_err(|_| Problem::Token)?;
        // An error means that one is installed already, which will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut http = Http::builder()
            .user_agent(format!("streamgauge-top/{VERSION}"))
            .connect_timeout(CONNECT)
            // The token is for this port alone.
            .redirect(redirect::Policy::none());
        if is_loopback(&base) {
            http = http.no_proxy();
            if base.scheme() == "http" {
                // Nobody is to be trusted, and a machine without authorities will do.
                http = http.tls_certs_only([]);
            }
        }
        let http = http.build();
        let http = http.map_err(|error| Problem::Client(cause(&error)))?;
        Ok(Self {
            http,
            base,
            token,
            wants_token: Cell::new(false),
            until: None,
        })
    }

    /// One whose answers must all be there after the longest time for one.
    pub(super) fn once(self) -> Self {
        self.within(ANSWER)
    }

    /// One whose answers must all be there after so long.
    pub(super) fn within(self, time: Duration) -> Self {
        let until = Some(Instant::now() + time);
        Self { until, ..self }
    }

    /// Where it asks, without what may be a credential.
    pub(super) fn shown(&self) -> String {
        let shown = self.base.as_str().trim_end_matches('/');
        Text::new(shown).to_string()
    }

    /// What a path below `/api/` answers, as facts.
    ///
    /// # Errors
    /// When there is no answer, or not the one that was asked for.
    pub(super) fn facts<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T, Problem> {
        self.read(&self.ask(path, query)?)
    }

    /// The same as JSON, with all its members.
    ///
    /// # Errors
    /// As of [`Self::facts`].
    pub(super) fn json(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, Problem> {
        self.facts(path, query)
    }

    /// A conversation by its id.
    ///
    /// # Errors
    /// As of [`Self::facts`].
    pub(super) fn conversation<T: DeserializeOwned>(&self, id: &str) -> Result<T, Problem> {
        self.facts(&format!("conversations/{id}"), &[])
    }

    /// The whole id of the only conversation that begins so. A whole one is not asked for.
    ///
    /// # Errors
    /// When none or several begin so, and as of [`Self::facts`].
    pub(super) fn whole_id(&self, begins: &str) -> Result<String, Problem> {
        if begins.len() == ID {
            return Ok(begins.to_owned());
        }
        let mut found: Option<String> = None;
        let mut before: Option<String> = None;
        for _ in 0..PAGES {
            let mut query = vec![("limit", PAGE)];
            query.extend(before.as_deref().map(|before| ("before", before)));
            let page: Conversations = self.facts("conversations", &query)?;
            for one in page.conversations {
                // One that has gone on since the page before comes again.
                if one.id.starts_with(begins) && found.as_deref() != Some(&*one.id) {
                    if found.is_some() {
                        return Err(Problem::Several(begins.to_owned()));
                    }
                    found = Some(one.id.to_string());
                }
            }
            before = page.next.map(|next| next.to_string());
            if before.is_none() {
                break;
            }
        }
        found.ok_or_else(|| {
            Problem::Unknown(format!(
                "no conversation that begins with {begins} is kept (any more)"
            ))
        })
    }

    fn ask(&self, path: &str, query: &[(&str, &str)]) -> Result<Vec<u8>, Problem> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}api/{path}", self.base.path()));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let (status, body) = self.send(url.clone())?;
        // What asks for it is an admin port: the token of one is not for a proxy's port, which would send it on to its upstream.
        // Where the proxy's upstream is itself an admin port, that one asks through the proxy, and gets it.
        let is_asked_for = status == StatusCode::UNAUTHORIZED && !self.wants_token.get();
        let (status, body) = match is_asked_for && self.token.is_some() {
            true => {
                self.wants_token.set(true);
                self.send(url)?
            }
            false => (status, body),
        };
        match status {
            StatusCode::OK => Ok(body),
            status => Err(self.refusal(status, &body)),
        }
    }

    /// One request, with the token if an admin port has asked for it; what another than an admin port answers is a problem.
    fn send(&self, url: Url) -> Result<(StatusCode, Vec<u8>), Problem> {
        let unreachable = |why: String| Problem::Unreachable {
            at: self.shown(),
            why,
        };
        let left = |until: Instant| until.saturating_duration_since(Instant::now());
        // Of the request, it is of all of the body; of the client, it would be of each piece.
        let time = self.until.map_or(ANSWER, left);
        let mut request = self.http.get(url).timeout(time);
        if let Some(token) = self.token.as_ref().filter(|_| self.wants_token.get()) {
            request = request.header(AUTHORIZATION, token);
        }
        let response = request.send().map_err(|error| unreachable(cause(&error)))?;
        let (status, version) = (response.status(), version(&response));
        match version {
            Some(version) if version == api::VERSION.1 => {}
            Some(version) => return Err(self.foreign(format!("it has version {version}"))),
            None => {
                let (at, status) = (self.shown(), status.as_u16());
                return Err(Problem::NotAdmin { at, status });
            }
        }
        let mut body = Vec::new();
        let read = response.take(MOST_BYTES).read_to_end(&mut body);
        read.map_err(|error| unreachable(cause_of_read(&error)))?;
        Ok((status, body))
    }

    fn read<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, Problem> {
        serde_json::from_slice(body).map_err(|error| self.foreign(error.to_string()))
    }

    fn foreign(&self, why: String) -> Problem {
        let at = self.shown();
        let why = Text::new(&why).to_string();
        Problem::Foreign { at, why }
    }

    /// What an answer that is no success says.
    fn refusal(&self, status: StatusCode, body: &[u8]) -> Problem {
        let error = serde_json::from_slice::<Refusal>(body);
        let error = error.unwrap_or_default().error;
        let message = match error.message.is_empty() {
            true => Text::new(
                String::from_utf8_lossy(body)
                    .lines()
                    .next()
                    .unwrap_or_default(),
            ),
            false => error.message,
        }
        .to_string();
        match status {
            StatusCode::BAD_REQUEST => Problem::Query {
                message,
                position: error.position,
            },
            StatusCode::NOT_FOUND if error.position.is_none() && !message.is_empty() => {
                Problem::Unknown(message)
            }
            StatusCode::UNAUTHORIZED => Problem::Unauthorized(self.shown()),
            status => Problem::Refused {
                at: self.shown(),
                status: status.as_u16(),
                message,
            },
        }
    }
}

/// The URL that paths are appended to. A fragment and a query say nothing, and a password would be shown.
fn base(url: &str) -> Option<Url> {
    let full = match url.contains("://") {
        true => url.to_owned(),
        false => format!("http://{url}"),
    };
    let mut base = Url::parse(&full).ok()?;
    let is_web = matches!(base.scheme(), "http" | "https");
    let has_user = !base.username().is_empty() || base.password().is_some();
    if !is_web || has_user || base.host_str().is_none() {
        return None;
    }
    base.set_query(None);
    base.set_fragment(None);
    if !base.path().ends_with('/') {
        let path = format!("{}/", base.path());
        base.set_path(&path);
    }
    Some(base)
}

/// Whether a URL is of this machine, which no forward proxy reaches.
fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|it| it.is_loopback())
}

fn version(response: &Response) -> Option<String> {
    let version = response.headers().get(api::VERSION.0)?.to_str().ok()?;
    Some(version.to_owned())
}

/// The innermost cause, which says most: "connection refused" rather than "error sending request".
fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it took too long".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    Text::new(&cause.to_string()).to_string()
}

/// The same of a body that does not come.
fn cause_of_read(error: &std::io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    inner.map_or_else(|| Text::new(&error.to_string()).to_string(), cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_may_lack_its_scheme_and_may_have_a_path() {
        for (given, expected) in [
            ("127.0.0.1:9464", "http://127.0.0.1:9464/"),
            ("gauge:9464", "http://gauge:9464/"),
            (
                "https://ops.example.com/gauge",
                "https://ops.example.com/gauge/",
            ),
            ("http://[::1]:9464/?a=b#c", "http://[::1]:9464/"),
        ] {
            assert_eq!(base(given).map(String::from).as_deref(), Some(expected));
        }
    }

    #[test]
    fn what_is_no_url_of_a_port_is_refused_and_not_obeyed() {
        for given in ["", "ftp://a", "http://u:p@a", "http://", "unix:///run/a"] {
            assert!(base(given).is_none(), "{given}");
        }
        let problem = Client::new("ftp://\x1b[2J", None).unwrap_err();
        assert!(!problem.to_string().contains('\x1b'), "{problem}");
    }

    #[test]
    fn a_token_that_cannot_be_sent_is_refused_and_not_shown() {
        let problem = Client::new("127.0.0.1:1", Some("secret\n")).unwrap_err();
        assert_eq!(problem, Problem::Token);
        assert!(!problem.to_string().contains("secret"));
    }

    #[test]
    fn only_addresses_of_this_machine_go_without_a_forward_proxy() {
        let loopback = |url: &str| is_loopback(&base(url).unwrap());
        assert!(loopback("localhost:1") && loopback("127.0.0.5:1") && loopback("[::1]:1"));
        assert!(!loopback("10.0.0.1:1") && !loopback("localhost.example.com"));
    }
}
