//! `[[upstream]]`: its keys, and the credential that one of ours may hold.

use std::fs;
use std::path::PathBuf;

use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Uri};

use super::document::Setting;
use super::environment::Environment;
use super::problem::Wrong;
use super::settings::variable;
use super::units::write_duration;
use super::value::{BY_ENVIRONMENT, DIRECT, Read, set};
use super::write::{quote, word, write_content, write_limit};
use crate::exchange::ContentPolicy;
use crate::outbound::ForwardProxy;
use crate::upstream::{
    ClientCertificate, Credential, CredentialSource, HttpVersion, Key, UpstreamConfig, Via,
};

const HTTP: &[(&str, HttpVersion)] = &[
    ("auto", HttpVersion::Auto),
    ("1.1", HttpVersion::Http1),
    ("2", HttpVersion::Http2),
];

/// An upstream whose files, if it has any, are not read yet.
#[derive(Debug)]
pub(super) struct UpstreamDraft {
    pub(super) upstream: UpstreamConfig,
    pub(super) key_env: Option<String>,
    key_file: Option<PathBuf>,
    key_header: Option<HeaderName>,
    client_certificate: Option<PathBuf>,
    client_key: Option<PathBuf>,
    pub(super) content: Option<ContentPolicy>,
}

/// What of an upstream does not go together, or is in a file that will not do: the key, and why.
pub(super) type Unfinished = (&'static str, Wrong);

impl UpstreamDraft {
    /// All defaults; name and URL are still to come.
    pub(super) fn new() -> Self {
        Self::from(&UpstreamConfig::new("", Uri::default()))
    }

    /// The upstream with its key read, and the files of its certificates looked at; else all that is wrong with them.
    pub(super) fn finish(
        mut self,
        environment: &Environment,
    ) -> Result<UpstreamConfig, Vec<Unfinished>> {
        let client = self.client_certificate();
        let mut wrong: Vec<Unfinished> = client
            .map(|client| self.upstream.tls.client = client)
            .err()
            .into_iter()
            .collect();
        let faults = self.upstream.tls.faults().into_iter();
        wrong.extend(faults.map(|fault| (fault.key, Wrong::hidden(fault.to_string()))));
        match self.with_key(environment) {
            Ok(upstream) if wrong.is_empty() => return Ok(upstream),
            Ok(_) => {}
            Err(of_key) => wrong.push(("key", of_key)),
        }
        Err(wrong)
    }

    fn client_certificate(&mut self) -> Result<Option<ClientCertificate>, Unfinished> {
        let missing = |key, what, other| {
            let message =
                format!("missing, expected the path of {what} as PEM, since {other} is given");
            Err((key, Wrong::hidden(message)))
        };
        match (self.client_certificate.take(), self.client_key.take()) {
            (Some(certificate), Some(key)) => Ok(Some(ClientCertificate { certificate, key })),
            (None, None) => Ok(None),
            (Some(_), None) => missing("tls.client_key", "its key", "tls.client_certificate"),
            (None, Some(_)) => missing(
                "tls.client_certificate",
                "the certificate",
                "tls.client_key",
            ),
        }
    }

    fn with_key(mut self, environment: &Environment) -> Read<UpstreamConfig> {
        let had_header = self.key_header.is_some();
        let header = self.key_header.unwrap_or(AUTHORIZATION);
        let source = match (self.key_env, self.key_file) {
            (Some(_), Some(_)) => {
                return Err(Wrong::hidden("expected either env or file, not both"));
            }
            (Some(name), None) => CredentialSource::Env(name),
            (None, Some(path)) => CredentialSource::File(path),
            (None, None) if had_header => {
                return Err(Wrong::hidden("expected env or file next to header"));
            }
            (None, None) => return Ok(self.upstream),
        };
        if self
            .upstream
            .headers
            .iter()
            .any(|(name, _)| *name == header)
        {
            let message = format!(
                "expected the header {header} to be set by `key` or by `headers`, not by both"
            );
            return Err(Wrong::hidden(message));
        }
        let value = credential(&source, &header, environment)?;
        self.upstream.key = Key::Own(Credential {
            source,
            header,
            value,
        });
        Ok(self.upstream)
    }
}

impl From<&UpstreamConfig> for UpstreamDraft {
    fn from(upstream: &UpstreamConfig) -> Self {
        let (env, file, header) = match &upstream.key {
            Key::PassThrough => (None, None, None),
            Key::Own(own) => match &own.source {
                CredentialSource::Env(name) => (Some(name.clone()), None, Some(own.header.clone())),
                CredentialSource::File(path) => {
                    (None, Some(path.clone()), Some(own.header.clone()))
                }
            },
        };
        let client = upstream.tls.client.as_ref();
        Self {
            upstream: upstream.clone(),
            key_env: env,
            key_file: file,
            key_header: header,
            client_certificate: client.map(|client| client.certificate.clone()),
            client_key: client.map(|client| client.key.clone()),
            content: None,
        }
    }
}

/// Reads a key. Errors name where it was to come from, never what was there.
fn credential(
    source: &CredentialSource,
    header: &HeaderName,
    environment: &Environment,
) -> Read<HeaderValue> {
    let (key, place) = match source {
        CredentialSource::Env(name) => {
            let key = environment.get(name).map(String::from);
            let unset = || {
                Wrong::hidden(format!(
                    "expected the key in the environment variable {name}, which is unset, empty or not UTF-8"
                ))
            };
            (
                key.ok_or_else(unset)?,
                format!("the environment variable {name}"),
            )
        }
        CredentialSource::File(path) => {
            let place = format!("the file {}", path.display());
            let unreadable = |error| Wrong::hidden(format!("expected the key in {place}: {error}"));
            (fs::read_to_string(path).map_err(unreadable)?, place)
        }
    };
    let key = key.trim();
    // A space means that the scheme stands before the key already, or that this is some other file.
    if key.is_empty() || !key.chars().all(|c| c.is_ascii_graphic()) {
        return Err(Wrong::hidden(format!(
            "expected {place} to contain only the key, without spaces or `Bearer`"
        )));
    }
    let value = if *header == AUTHORIZATION {
        format!("Bearer {key}")
    } else {
        key.to_owned()
    };
    let mut value = HeaderValue::from_str(&value)
        .map_err(|_| Wrong::hidden("expected a key of visible ASCII"))?;
    value.set_sensitive(true);
    Ok(value)
}

pub(super) const UPSTREAM: &[Setting<UpstreamDraft>] = &[
    Setting {
        path: "name",
        read: |raw, draft| set(&mut draft.upstream.name, raw.name()),
        write: |draft| Some(quote(&draft.upstream.name)),
    },
    Setting {
        path: "url",
        read: |raw, draft| set(&mut draft.upstream.url, raw.url()),
        write: |draft| Some(quote(&draft.upstream.url)),
    },
    Setting {
        path: "provider",
        read: |raw, draft| {
            set(
                &mut draft.upstream.provider,
                raw.string().map(|name| Some(name.into())),
            )
        },
        write: |draft| draft.upstream.provider.as_ref().map(quote),
    },
    Setting {
        path: "key",
        // Whatever else stands here may be the key itself, and so is not shown.
        read: |raw, _| {
            raw.word(&[("pass-through", ())]).map_err(|_| {
                Wrong::hidden(
                    "expected \"pass-through\", { env = \"VARIABLE\" } or { file = \"PATH\" }",
                )
            })
        },
        write: |draft| {
            (draft.key_env.is_none() && draft.key_file.is_none()).then(|| quote("pass-through"))
        },
    },
    Setting {
        path: "key.env",
        read: |raw, draft| set(&mut draft.key_env, raw.variable().map(Some)),
        write: |draft| draft.key_env.as_ref().map(quote),
    },
    Setting {
        path: "key.file",
        read: |raw, draft| set(&mut draft.key_file, raw.path().map(Some)),
        write: |draft| write_path(draft.key_file.as_ref()),
    },
    Setting {
        path: "key.header",
        read: |raw, draft| set(&mut draft.key_header, raw.header_name().map(Some)),
        write: |draft| draft.key_header.as_ref().map(quote),
    },
    Setting {
        path: "headers.*",
        read: |raw, draft| {
            let header = raw.header()?;
            if draft
                .upstream
                .headers
                .iter()
                .any(|(name, _)| *name == header.0)
            {
                return Err(Wrong::hidden(
                    "expected a header to be given once, whatever its case",
                ));
            }
            draft.upstream.headers.push(header);
            Ok(())
        },
        write: |draft| write_headers(&draft.upstream.headers),
    },
    Setting {
        path: "http",
        read: |raw, draft| set(&mut draft.upstream.http, raw.word(HTTP)),
        write: |draft| word(HTTP, draft.upstream.http),
    },
    Setting {
        path: "proxy",
        read: |raw, draft| set(&mut draft.upstream.via, raw.via()),
        write: |draft| {
            Some(match &draft.upstream.via {
                Via::Environment(_) => quote(BY_ENVIRONMENT),
                Via::Direct => quote(DIRECT),
                Via::Proxy(proxy) => quote(masked(proxy)),
            })
        },
    },
    Setting {
        path: "tls.ca",
        read: |raw, draft| set(&mut draft.upstream.tls.ca, raw.path().map(Some)),
        write: |draft| write_path(draft.upstream.tls.ca.as_ref()),
    },
    Setting {
        path: "tls.client_certificate",
        read: |raw, draft| set(&mut draft.client_certificate, raw.path().map(Some)),
        write: |draft| write_path(draft.client_certificate.as_ref()),
    },
    Setting {
        path: "tls.client_key",
        read: |raw, draft| set(&mut draft.client_key, raw.path().map(Some)),
        write: |draft| write_path(draft.client_key.as_ref()),
    },
    Setting {
        path: "tls.server_name",
        read: |raw, draft| {
            set(
                &mut draft.upstream.tls.server_name,
                raw.server_name().map(Some),
            )
        },
        write: |draft| {
            let name = draft.upstream.tls.server_name.as_ref();
            name.map(|name| quote(name.to_str()))
        },
    },
    Setting {
        path: "tls.insecure",
        read: |raw, draft| set(&mut draft.upstream.tls.insecure, raw.boolean()),
        write: |draft| Some(draft.upstream.tls.insecure.to_string()),
    },
    Setting {
        path: "timeouts.connect",
        read: |raw, draft| set(&mut draft.upstream.connect_timeout, raw.span()),
        write: |draft| Some(quote(write_duration(draft.upstream.connect_timeout))),
    },
    Setting {
        path: "timeouts.send",
        read: |raw, draft| set(&mut draft.upstream.send_timeout, raw.limit()),
        write: |draft| Some(write_limit(draft.upstream.send_timeout)),
    },
    Setting {
        path: "timeouts.first_byte",
        read: |raw, draft| set(&mut draft.upstream.first_byte_timeout, raw.limit()),
        write: |draft| Some(write_limit(draft.upstream.first_byte_timeout)),
    },
    Setting {
        path: "timeouts.idle",
        read: |raw, draft| set(&mut draft.upstream.idle_timeout, raw.limit()),
        write: |draft| Some(write_limit(draft.upstream.idle_timeout)),
    },
    Setting {
        path: "keep_alive.http1",
        read: |raw, draft| set(&mut draft.upstream.keep_alive.http1, raw.span()),
        write: |draft| Some(quote(write_duration(draft.upstream.keep_alive.http1))),
    },
    Setting {
        path: "keep_alive.http2",
        read: |raw, draft| set(&mut draft.upstream.keep_alive.http2, raw.span()),
        write: |draft| Some(quote(write_duration(draft.upstream.keep_alive.http2))),
    },
    Setting {
        path: "keep_alive.connections",
        read: |raw, draft| set(&mut draft.upstream.keep_alive.connections, raw.count()),
        write: |draft| Some(draft.upstream.keep_alive.connections.to_string()),
    },
    Setting {
        path: "content",
        read: |raw, draft| set(&mut draft.content, raw.content().map(Some)),
        write: |draft| draft.content.map(write_content),
    },
    Setting {
        path: "usage.inject",
        read: |raw, draft| set(&mut draft.upstream.inject_usage, raw.boolean().map(Some)),
        write: |draft| draft.upstream.inject_usage.map(|inject| inject.to_string()),
    },
];

/// Keys that have a variable, for the only upstream.
const BY_VARIABLE: [&str; 6] = [
    "provider",
    "tls.ca",
    "tls.client_certificate",
    "tls.client_key",
    "tls.server_name",
    "tls.insecure",
];

/// The variables that speak for keys of the only upstream: `STREAMGAUGE_UPSTREAM_` and the path.
pub(super) fn of_upstream() -> impl Iterator<Item = (String, &'static Setting<UpstreamDraft>)> {
    let has_one = |setting: &&Setting<UpstreamDraft>| BY_VARIABLE.contains(&setting.path);
    UPSTREAM
        .iter()
        .filter(has_one)
        .map(|setting| (variable(&format!("upstream.{}", setting.path)), setting))
}

fn write_path(path: Option<&PathBuf>) -> Option<String> {
    path.map(|path| quote(path.display()))
}

/// A proxy's URL, its user and password masked.
fn masked(proxy: &ForwardProxy) -> String {
    let has_user = proxy.authorization().is_some() || proxy.user().is_some();
    match has_user {
        true => proxy.to_string().replacen("://", "://***@", 1),
        false => proxy.to_string(),
    }
}

fn write_headers(headers: &[(HeaderName, HeaderValue)]) -> Option<String> {
    let entry = |(name, value): &(HeaderName, HeaderValue)| {
        let shown = if value.is_sensitive() {
            "***".into()
        } else {
            String::from_utf8_lossy(value.as_bytes())
        };
        format!("{} = {}", quote(name), quote(shown))
    };
    let entries: Vec<_> = headers.iter().map(entry).collect();
    (!entries.is_empty()).then(|| format!("{{ {} }}", entries.join(", ")))
}
