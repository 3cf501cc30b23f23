//! From one raw value, a string of flag or environment or a TOML value, to a typed one.
//!
//! Each method says in its error what would be right. Where the value stands is added by the caller.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use std::{env, fs, io};

use http::{HeaderName, HeaderValue, Uri};
use rust_decimal::Decimal;
use rustls::pki_types::ServerName;
use toml::de::DeValue;
use wildmatch::WildMatch;

use super::problem::{Wrong, nearest};
use super::syntax;
use super::units::{parse_address, parse_duration, parse_size};
use crate::admin::Token;
use crate::allow::Patterns;
use crate::exchange::ContentPolicy;
use crate::observe::key::KeySecret;
use crate::observe::told::{self, Annotation, Source};
use crate::outbound::{self, ForwardProxy};
use crate::prices::{Catalogue, OwnPrices};
use crate::redact::{self, PATTERNS_MAX, Pattern};
use crate::state::{self, RedisUrl};
use crate::store::{self, Location};
use crate::upstream::Via;

/// A value as it was given, and the last part of its key.
#[derive(Debug)]
pub(super) struct Raw<'a> {
    /// Last part of the key: the name, where names are the user's own.
    pub(super) name: &'a str,
    /// What was given.
    pub(super) value: Given<'a>,
}

/// What was given.
#[derive(Debug)]
pub(super) enum Given<'a> {
    /// By flag or environment.
    Text(&'a str),
    /// In the file.
    Toml(&'a DeValue<'a>),
}

/// Words for ways that need no URL.
pub(super) const BY_ENVIRONMENT: &str = "environment";
pub(super) const DIRECT: &str = "direct";

/// What kind of value there is, in words.
pub(super) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// A typed value, or what would be right.
pub(super) type Read<T> = Result<T, Wrong>;

/// Whether a text says nothing: a folder of spaces alone is one that nobody meant.
fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

/// Puts a value in its place.
pub(super) fn set<T>(place: &mut T, value: Read<T>) -> Read<()> {
    *place = value?;
    Ok(())
}

impl Raw<'_> {
    fn text(&self) -> Option<&str> {
        match self.value {
            Given::Text(text) => Some(text),
            Given::Toml(value) => value.as_str(),
        }
    }

    fn parse<T>(&self, expected: &'static str, parse: impl FnOnce(&str) -> Option<T>) -> Read<T> {
        self.text()
            .and_then(parse)
            .ok_or_else(|| Wrong::shown(expected))
    }

    pub(super) fn address(&self) -> Read<SocketAddr> {
        let expected = "expected an IP address and a port, such as \"127.0.0.1:8080\" or \"[::]:8080\", \
                        \":8080\" for all addresses, or \"8080\" or \"localhost:8080\" for this machine alone; port 0 is \
                        any free port";
        if let Given::Toml(value) = self.value
            && let Some(port) = integer(value)
        {
            let port = u16::try_from(port).map_err(|_| Wrong::shown(expected))?;
            return Ok((Ipv4Addr::LOCALHOST, port).into());
        }
        self.parse(expected, parse_address)
    }

    /// A file's path; relative ones start at the working directory.
    pub(super) fn path(&self) -> Read<PathBuf> {
        self.parse("expected the path of a file", |text| {
            (!is_blank(text)).then(|| text.into())
        })
    }

    /// The path of a folder, or none where the text is empty.
    pub(super) fn folder(&self) -> Read<Option<PathBuf>> {
        self.parse(
            "expected the path of a folder, or \"\" for none",
            |text| match text {
                "" => Some(None),
                _ => (!is_blank(text)).then(|| Some(text.into())),
            },
        )
    }

    /// A folder or a bucket, or none where the text is empty.
    pub(super) fn store(&self) -> Read<Option<Location>> {
        let expected = format!("expected {}", store::EXPECTED);
        match self.text() {
            Some("") => Ok(None),
            Some(text) if Location::parse(text).is_some() => Ok(Location::parse(text)),
            // A wrong one may hold a credential: before an `@`, behind a colon, or in a query.
            Some(text) if text.replacen("://", "", 1).contains(['@', ':', '?', '=']) => {
                Err(Wrong::hidden(expected))
            }
            _ => Err(Wrong::shown(expected)),
        }
    }

    /// Where the server of a bucket is, or where its cloud has it if the text is empty.
    pub(super) fn endpoint(&self) -> Read<Option<String>> {
        let expected = "expected an http or https URL without credentials and query, such as \"http://127.0.0.1:9000\"";
        let is_one = |text: &str| {
            let uri = text.parse::<Uri>().ok()?;
            let is_plain = !text.contains(['@', '?', '#']);
            (matches!(uri.scheme_str(), Some("http" | "https")) && is_plain).then_some(())
        };
        match self.text() {
            Some("") => Ok(None),
            Some(text) if is_one(text).is_some() => Ok(Some(text.trim_end_matches('/').to_owned())),
            // A wrong one may hold a credential.
            _ => Err(Wrong::hidden(expected)),
        }
    }

    /// An option of a bucket's client, by its name.
    pub(super) fn cloud_option(&self) -> Read<(String, String)> {
        let name = self.name.to_ascii_lowercase();
        if let Some(refusal) = store::refusal(&name) {
            return Err(Wrong::hidden(refusal));
        }
        let value = match self.value {
            Given::Toml(DeValue::Boolean(value)) => Some(value.to_string()),
            Given::Toml(value @ DeValue::Integer(_)) => integer(value).map(|it| it.to_string()),
            _ => self.text().map(str::to_owned),
        };
        let value =
            value.ok_or_else(|| Wrong::shown("expected a text, a number, true or false"))?;
        Ok((name, value))
    }

    /// Where people find an object by its hash, or nowhere where the text is empty.
    pub(super) fn link(&self) -> Read<Option<String>> {
        self.parse("expected a URL with {hash} in it", |text| match text {
            "" => Some(None),
            _ => (text.contains("{hash}") && text.contains("://")).then(|| Some(text.to_owned())),
        })
    }

    /// A file of prices, and what stands in it.
    pub(super) fn prices(&self) -> Read<(PathBuf, OwnPrices)> {
        let path = self.path()?;
        let text = fs::read_to_string(&path).map_err(|error| {
            Wrong::shown(format!(
                "expected a readable file: {}",
                unread(&path, &error)
            ))
        })?;
        let prices = Catalogue::bundled().read_own(&text);
        let prices = prices.map_err(|problem| {
            let wrong = syntax::of_prices(&path, &text, &problem);
            Wrong::shown(format!("expected a file of prices that is right: {wrong}"))
        })?;
        Ok((path, prices))
    }

    pub(super) fn boolean(&self) -> Read<bool> {
        let value = match self.value {
            Given::Text(text) => text.parse().ok(),
            Given::Toml(value) => value.as_bool(),
        };
        value.ok_or_else(|| Wrong::shown("expected true or false"))
    }

    /// A whole number from zero.
    pub(super) fn count(&self) -> Read<usize> {
        let value = match self.value {
            Given::Text(text) => text.parse().ok(),
            Given::Toml(value) => integer(value),
        };
        value.ok_or_else(|| Wrong::shown("expected a whole number, zero or above"))
    }

    /// A whole number that is not zero.
    pub(super) fn positive_count(&self) -> Read<usize> {
        let value = self.count().ok().filter(|count| *count > 0);
        value.ok_or_else(|| Wrong::shown("expected a whole number above zero"))
    }

    /// A number as it is spelled.
    fn number<T: FromStr>(&self) -> Option<T> {
        match self.value {
            Given::Text(text) => text.parse().ok(),
            Given::Toml(DeValue::Float(number)) => number.as_str().parse().ok(),
            Given::Toml(value) => integer(value)?.to_string().parse().ok(),
        }
    }

    /// A part of a whole.
    pub(super) fn share(&self) -> Read<f64> {
        let share = self.number().filter(|share| (0.0..=1.0).contains(share));
        share.ok_or_else(|| Wrong::shown("expected a number from 0 to 1, such as 0.05"))
    }

    /// An amount of money, exact.
    pub(super) fn usd(&self) -> Read<Decimal> {
        let usd = self
            .number()
            .filter(|usd: &Decimal| !usd.is_sign_negative());
        usd.ok_or_else(|| Wrong::shown("expected an amount in USD, zero or above, such as 0.25"))
    }

    /// What is read otherwise, or `off`.
    pub(super) fn or_off<T>(&self, read: impl FnOnce(&Self) -> Read<T>) -> Read<Option<T>> {
        if self.text() == Some("off") {
            return Ok(None);
        }
        let or_off = |wrong: Wrong| Wrong {
            message: format!("{}, or \"off\"", wrong.message).into(),
            ..wrong
        };
        read(self).map(Some).map_err(or_off)
    }

    /// A number of bytes.
    fn size(&self) -> Option<usize> {
        match self.value {
            Given::Toml(value @ DeValue::Integer(_)) => integer(value),
            _ => self.text().and_then(parse_size),
        }
    }

    /// A number of bytes that is not zero.
    pub(super) fn positive_size(&self) -> Read<usize> {
        let value = self.size().filter(|bytes| *bytes > 0);
        value.ok_or_else(|| {
            Wrong::shown(
                "expected a number of bytes above zero, such as 8388608, \"512KiB\" or \"8MiB\"",
            )
        })
    }

    pub(super) fn duration(&self) -> Read<Duration> {
        let expected = "expected a duration such as \"600s\", \"10m\", \"1h30m\" or \"250ms\"";
        self.parse(expected, |text| parse_duration(text).ok())
    }

    /// A duration that is not zero.
    pub(super) fn span(&self) -> Read<Duration> {
        let expected = "expected a duration above zero, such as \"10s\" or \"250ms\"";
        self.parse(expected, |text| {
            parse_duration(text).ok().filter(|d| !d.is_zero())
        })
    }

    /// A duration that is not zero, or `off`.
    pub(super) fn limit(&self) -> Read<Option<Duration>> {
        let expected = "expected a duration above zero, such as \"600s\" or \"10m\", or \"off\"";
        let parse = |text: &str| parse_duration(text).ok().filter(|d| !d.is_zero()).map(Some);
        self.parse(expected, |text| {
            if text == "off" {
                Some(None)
            } else {
                parse(text)
            }
        })
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(&self, words: &[(&str, T)]) -> Read<T> {
        let found = self
            .text()
            .and_then(|text| words.iter().find(|(word, _)| *word == text));
        found.map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<_> = words
                .iter()
                .map(|(word, _)| format!("\"{word}\""))
                .collect();
            Wrong::shown(format!("expected one of {}", words.join(", ")))
        })
    }

    /// A list of texts: an array in the file, separated by commas in a variable.
    fn list(&self) -> Option<Vec<&str>> {
        match self.value {
            Given::Text(text) => Some(text.split(',').map(str::trim).collect()),
            Given::Toml(value) => value
                .as_array()
                .and_then(|array| array.iter().map(|item| item.get_ref().as_str()).collect()),
        }
    }

    /// The same, or what is there in place of it.
    fn texts(&self, expected: &str) -> Read<Vec<&str>> {
        let found = match self.value {
            Given::Toml(DeValue::Array(entries)) => {
                let is_text = |entry: &DeValue<'_>| matches!(entry, DeValue::String(_));
                let mut others = entries.iter().map(|entry| entry.get_ref());
                let other = others.find(|entry| !is_text(entry));
                other.map(|other| format!("{} in it", kind(other)))
            }
            Given::Toml(other) => Some(kind(other).to_owned()),
            Given::Text(_) => None,
        };
        self.list().ok_or_else(|| {
            let found = found.map_or_else(String::new, |found| format!("; found {found}"));
            Wrong::shown(format!("{expected}{found}"))
        })
    }

    fn patterns(&self, expected: &'static str, fits: impl Fn(&&str) -> bool) -> Read<Patterns> {
        let given = self.texts(expected)?;
        if !given.iter().all(fits) {
            return Err(Wrong::shown(expected));
        }
        Ok(given.into_iter().collect())
    }

    /// Hosts without a port; `*` and `?` stand for others.
    pub(super) fn hosts(&self) -> Read<Patterns> {
        let expected = "expected a list of host names without a port, such as [\"gateway.example\", \"*.internal\"]";
        self.patterns(expected, |host| {
            let is_name = !host.is_empty() && !host.contains(['/', '[', ']', '@', ' ']);
            is_name && (!host.contains(':') || host.parse::<IpAddr>().is_ok())
        })
    }

    /// Origins; `*` and `?` stand for others.
    pub(super) fn origins(&self) -> Read<Patterns> {
        let expected = "expected a list of origins, such as [\"https://app.example\", \"http://localhost:3000\"]";
        self.patterns(expected, |origin| {
            let rest = origin.split_once("://").map(|(_, rest)| rest);
            let is_origin = rest.is_some_and(|rest| !rest.is_empty() && !rest.contains('/'));
            is_origin || ["*", "null"].contains(origin)
        })
    }

    /// Where clients tell something: `header:NAME`, `baggage:NAME` or `metadata:NAME`, each.
    pub(super) fn sources(&self) -> Read<Vec<Source>> {
        let expected =
            "expected a list such as [\"header:x-conversation-id\", \"baggage:session.id\"]";
        self.each(expected, source)
    }

    /// The same with what it becomes: `header:NAME=ATTRIBUTE`.
    pub(super) fn annotations(&self) -> Read<Vec<Annotation>> {
        let expected = "expected a list such as [\"header:x-team=team\", \"baggage:tenant\"]";
        let annotations = self.each(expected, |text| {
            let (from, name) = text.split_once('=').unwrap_or((text, ""));
            let source = source(from)?;
            let name = match name {
                "" if text.ends_with('=') => return Err(Wrong::shown(expected)),
                "" => source.attribute().into(),
                name => name.into(),
            };
            Ok(Annotation { source, name })
        })?;
        let names = || annotations.iter().map(|annotation| &annotation.name);
        let is_again = |(at, name)| names().take(at).any(|before| before == name);
        if annotations.len() > MOST_ANNOTATIONS || names().enumerate().any(is_again) {
            return Err(Wrong::shown(format!(
                "expected at most {MOST_ANNOTATIONS} attributes, each name once"
            )));
        }
        Ok(annotations)
    }

    /// Names of attributes that become labels.
    pub(super) fn labels(&self) -> Read<Vec<String>> {
        let expected = "expected a list of names of attributes, such as [\"team\"]";
        let labels = self.each(expected, |text| Ok(text.to_owned()))?;
        let is_again = |(at, label): (usize, &String)| labels[..at].contains(label);
        if labels.len() > MOST_LABELS || labels.iter().enumerate().any(is_again) {
            return Err(Wrong::shown(format!(
                "expected at most {MOST_LABELS} labels, each once"
            )));
        }
        Ok(labels)
    }

    /// What fingerprints of keys are made with, or none where the text is empty; never shown.
    pub(super) fn key_secret(&self) -> Read<Option<KeySecret>> {
        let text = self
            .text()
            .ok_or_else(|| Wrong::hidden("expected a string"))?;
        match text {
            "" => Ok(None),
            _ if is_blank(text) => Err(Wrong::hidden(
                "expected a string that is not blank, or \"\"",
            )),
            _ => Ok(Some(KeySecret::of(text))),
        }
    }

    /// What clients of the admin port show, or nothing where the text is empty; never shown.
    pub(super) fn token(&self) -> Read<Option<Token>> {
        const EXPECTED: &str = "expected at least 16 visible characters of ASCII, or \"\"";
        let text = self.text().ok_or_else(|| Wrong::hidden(EXPECTED))?;
        if text.is_empty() {
            return Ok(None);
        }
        let token = Token::new(text).ok_or_else(|| Wrong::hidden(EXPECTED))?;
        Ok(Some(token))
    }

    /// Where a trace is shown, or nowhere where the text is empty.
    pub(super) fn trace_url(&self) -> Read<Option<String>> {
        let expected = "expected an http:// or https:// URL with {trace_id} in it, or \"\"";
        self.parse(expected, |text| {
            let is_web = text.starts_with("http://") || text.starts_with("https://");
            match text {
                "" => Some(None),
                text if is_web && text.contains("{trace_id}") => Some(Some(text.to_owned())),
                _ => None,
            }
        })
    }

    /// Every entry of a list of texts, which may be empty.
    fn each<T>(&self, expected: &'static str, read: impl Fn(&str) -> Read<T>) -> Read<Vec<T>> {
        self.texts(expected)?.into_iter().map(read).collect()
    }

    /// A list of known words, each at most once.
    pub(super) fn words(&self, known: &[&str]) -> Read<Vec<String>> {
        let expected = format!("expected a list of {}, each at most once", known.join(", "));
        let given = self.texts(&expected)?;
        let first =
            |(at, word): (usize, &&str)| known.contains(word) && !given[..at].contains(word);
        if !given.iter().enumerate().all(first) {
            let mut unknown = given.iter().filter(|word| !known.contains(word));
            let near = unknown.find_map(|word| nearest(word, known.iter().copied()));
            let meant = near.map_or_else(String::new, |near| format!("; did you mean {near}"));
            return Err(Wrong::shown(format!("{expected}{meant}")));
        }
        Ok(given.into_iter().map(String::from).collect())
    }

    /// Where content goes: `off`, or one or more ways with `+` between them.
    pub(super) fn content(&self) -> Read<ContentPolicy> {
        let expected = "expected \"off\", or one or more of \"attributes\", \"events\" and \"store\" with + between them";
        self.parse(expected, |text| {
            let mut policy = ContentPolicy::default();
            for way in text.split('+').filter(|_| text != "off") {
                let way = match way {
                    "attributes" => &mut policy.attributes,
                    "events" => &mut policy.events,
                    "store" => &mut policy.store,
                    _ => return None,
                };
                if std::mem::replace(way, true) {
                    return None;
                }
            }
            Some(policy)
        })
    }

    /// A regular expression that is taken out of texts, by its name. There are `count` before it.
    pub(super) fn pattern(&self, count: usize) -> Read<Pattern> {
        if count == PATTERNS_MAX {
            return Err(Wrong::hidden(format!(
                "expected at most {PATTERNS_MAX} patterns"
            )));
        }
        let text = self.text();
        let text = text.ok_or_else(|| Wrong::shown("expected a regular expression as a text"))?;
        Pattern::new(self.name, text).map_err(|bad| Wrong::shown(bad.to_string()))
    }

    /// A name of our own, fit for a metric's label.
    pub(super) fn name(&self) -> Read<Arc<str>> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        self.parse(
            "expected a name of letters, digits, dots, dashes and underscores",
            |text| (!text.is_empty() && text.chars().all(fits)).then(|| text.into()),
        )
    }

    /// A base URL, as it would stand in `OPENAI_BASE_URL`.
    pub(super) fn url(&self) -> Read<Uri> {
        let text = self.text().unwrap_or_default();
        let wrong = |message| match text.contains(['@', '?', '#']) {
            true => Wrong::hidden(message),
            false => Wrong::shown(message),
        };
        // `Uri` drops a fragment without a word.
        if text.contains(['?', '#']) {
            return Err(wrong("expected a base URL without a query or a fragment"));
        }
        let expected = "expected an http or https URL such as \"https://api.openai.com/v1\"";
        let uri: Uri = text.parse().map_err(|_| wrong(expected))?;
        let (Some("http" | "https"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(wrong(expected));
        };
        if authority.as_str().contains('@') {
            return Err(wrong(
                "expected a URL without credentials; `key` or `headers` of the upstream carry them",
            ));
        }
        // A port that is no number of 16 bits is kept in the authority and left out of `port`.
        let host_only = authority.as_str().len() == authority.host().len();
        if authority.host().is_empty() || !(host_only || uri.port_u16().is_some()) {
            return Err(wrong(expected));
        }
        Ok(uri)
    }

    /// A Redis server, or none where the text is empty. It may hold a password, and is not shown.
    pub(super) fn redis(&self) -> Read<Option<RedisUrl>> {
        match self.text() {
            Some("") => Ok(None),
            other => other
                .and_then(RedisUrl::parse)
                .map(Some)
                .ok_or_else(|| Wrong::hidden(format!("expected {}", state::EXPECTED))),
        }
    }

    /// By which way connections go. A URL may hold a password, and so is not shown.
    pub(super) fn via(&self) -> Read<Via> {
        match self.text() {
            Some(BY_ENVIRONMENT) => Ok(Via::Environment(None)),
            Some(DIRECT) => Ok(Via::Direct),
            other => other
                .and_then(ForwardProxy::parse)
                .map(Via::Proxy)
                .ok_or_else(|| {
                    Wrong::hidden(format!(
                        "expected \"{BY_ENVIRONMENT}\", \"{DIRECT}\" or {}",
                        outbound::EXPECTED
                    ))
                }),
        }
    }

    /// A name, or an IP address, that a certificate can be for.
    pub(super) fn server_name(&self) -> Read<ServerName<'static>> {
        self.parse(
            "expected a host name or an IP address without a port, such as \"llm.example\"",
            |text| ServerName::try_from(text.to_owned()).ok(),
        )
    }

    /// A glob with `*` and `?`.
    pub(super) fn glob(&self) -> Read<WildMatch> {
        self.parse("expected a pattern such as \"gpt-*\"", |text| {
            (!text.is_empty()).then(|| WildMatch::new(text))
        })
    }

    /// The beginning of a request path.
    pub(super) fn prefix(&self) -> Read<String> {
        self.parse(
            "expected the beginning of a path, such as \"/v1/embeddings\"",
            |text| (text.starts_with('/') && !text.contains(['?', '#'])).then(|| text.to_owned()),
        )
    }

    pub(super) fn header_name(&self) -> Read<HeaderName> {
        self.parse(
            "expected the name of a header, such as \"api-key\"",
            |text| text.parse().ok(),
        )
    }

    /// The name of an environment variable; not shown if it is none, since it may be what the variable should hold.
    pub(super) fn variable(&self) -> Read<String> {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
        self.text()
            .filter(|text| !text.is_empty() && text.chars().all(fits))
            .map(String::from)
            .ok_or_else(|| {
                Wrong::hidden(
                    "expected the name of an environment variable, such as \"OPENAI_API_KEY\"",
                )
            })
    }

    /// Text that is not empty.
    pub(super) fn string(&self) -> Read<String> {
        self.parse("expected a string that is not empty", |text| {
            (!is_blank(text)).then(|| text.to_owned())
        })
    }

    /// A header under its own name; its value is never shown in an error, and marked sensitive where name or
    /// value look like a credential.
    pub(super) fn header(&self) -> Read<(HeaderName, HeaderValue)> {
        let name: HeaderName = self
            .name
            .parse()
            .map_err(|_| Wrong::hidden("expected the name of a header before the `=`"))?;
        if NOT_OURS_TO_SET.contains(&name.as_str()) {
            return Err(Wrong::hidden(
                "expected another header: this one is set by the connection or the URL",
            ));
        }
        let value = self
            .text()
            .and_then(|text| HeaderValue::from_str(text).ok());
        let mut value =
            value.ok_or_else(|| Wrong::hidden("expected a string without control characters"))?;
        value.set_sensitive(is_credential(&name, &value));
        Ok((name, value))
    }
}

/// Most labels that metrics gain by `telemetry.labels`.
const MOST_LABELS: usize = 8;

/// Most attributes that a span gains by `telemetry.attributes`.
const MOST_ANNOTATIONS: usize = 32;

/// Why a file could not be read, and where a relative path begins: with the file that names it many would expect.
fn unread(path: &Path, error: &io::Error) -> String {
    match env::current_dir() {
        Ok(folder) if path.is_relative() => {
            let folder = folder.display();
            format!("{error}; relative paths begin at the working directory, {folder}")
        }
        _ => error.to_string(),
    }
}

/// Where a client tells something. What speaks of a credential is never told on.
fn source(text: &str) -> Read<Source> {
    let expected = "expected header:NAME, baggage:NAME, metadata:NAME, user or safety_identifier";
    let source = Source::parse(text).ok_or_else(|| Wrong::shown(expected))?;
    if told::is_credential(source.name()) {
        let name = source.name();
        return Err(Wrong::shown(format!(
            "expected a name that is no credential's: the value of {name} would be exported"
        )));
    }
    Ok(source)
}

fn integer(value: &DeValue<'_>) -> Option<usize> {
    let integer = value.as_integer()?;
    usize::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// Headers that describe one connection or frame the message (RFC 9110, 7.6.1, 8.6), and `Host`, which follows the URL.
const NOT_OURS_TO_SET: [&str; 10] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
];

/// Whether a header's name speaks of a credential, or its value looks like one.
fn is_credential(name: &HeaderName, value: &HeaderValue) -> bool {
    let begins = |prefix: &str| {
        let start = value.as_bytes().get(..prefix.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
    };
    let text = String::from_utf8_lossy(value.as_bytes());
    redact::is_secret(name.as_str())
        || ["bearer ", "basic ", "sk-"].into_iter().any(begins)
        || redact::lookalikes(&text) != text
}
