//! `[[upstream]]`: its keys, and the credential that one of ours may hold.

use std::fs;
use std::path::PathBuf;

use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Uri};

use super::document::Setting;
use super::environment::Environment;
use super::problem::Wrong;
use super::render::quote;
use super::settings::word;
use super::units::write_duration;
use super::value::{Read, set};
use crate::proxy::config::{Credential, CredentialSource, HttpVersion, Key, Upstream};

const HTTP: &[(&str, HttpVersion)] = &[
    ("auto", HttpVersion::Auto),
    ("1.1", HttpVersion::Http1),
    ("2", HttpVersion::Http2),
];

/// An upstream whose own key, if it has one, is not read yet.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) upstream: Upstream,
    pub(super) key_env: Option<String>,
    key_file: Option<PathBuf>,
    key_header: Option<HeaderName>,
}

impl Draft {
    /// All defaults; name and URL are still to come.
    pub(super) fn new() -> Self {
        Self::from(&Upstream::new("", Uri::default()))
    }

    /// The upstream with its key read.
    pub(super) fn finish(mut self, environment: &Environment) -> Read<Upstream> {
        let had_header = self.key_header.is_some();
        let header = self.key_header.unwrap_or(AUTHORIZATION);
        let source = match (self.key_env, self.key_file) {
            (Some(_), Some(_)) => {
                return Err(Wrong::hidden("expected either env or file, not both"));
            }
            (Some(name), None) => CredentialSource::Env(name),
            (None, Some(path)) => CredentialSource::File(path),
            (None, None) if had_header => {
                return Err(Wrong::hidden("expected env or file beside header"));
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

impl From<&Upstream> for Draft {
    fn from(upstream: &Upstream) -> Self {
        let (env, file, header) = match &upstream.key {
            Key::PassThrough => (None, None, None),
            Key::Own(own) => match &own.source {
                CredentialSource::Env(name) => (Some(name.clone()), None, Some(own.header.clone())),
                CredentialSource::File(path) => {
                    (None, Some(path.clone()), Some(own.header.clone()))
                }
            },
        };
        Self {
            upstream: upstream.clone(),
            key_env: env,
            key_file: file,
            key_header: header,
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
            "expected {place} to hold a key alone, without spaces or `Bearer`"
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

pub(super) const UPSTREAM: &[Setting<Draft>] = &[
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
        write: |draft| draft.key_file.as_ref().map(|path| quote(path.display())),
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
        path: "timeouts.connect",
        read: |raw, draft| set(&mut draft.upstream.connect_timeout, raw.span()),
        write: |draft| Some(quote(write_duration(draft.upstream.connect_timeout))),
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
        path: "usage.inject",
        read: |raw, draft| set(&mut draft.upstream.inject_usage, raw.boolean().map(Some)),
        write: |draft| draft.upstream.inject_usage.map(|inject| inject.to_string()),
    },
];

fn write_limit(limit: Option<std::time::Duration>) -> String {
    quote(limit.map_or_else(|| String::from("off"), write_duration))
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
