//! An upstream's base URL: which URL a client's path becomes.

use std::io;

use http::Uri;
use http::uri::{Authority, Scheme};

use crate::message::Target;

/// An upstream's base URL, taken apart: what would have stood in `OPENAI_BASE_URL`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Base {
    pub(super) scheme: Scheme,
    pub(super) authority: Authority,
    /// Path without a slash at its end.
    path: String,
}

impl Base {
    pub(super) fn of(url: &Uri) -> io::Result<Self> {
        let parts = url.clone().into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(io::Error::other(format!(
                "the upstream URL {url} has no scheme or no host: expected one such as https://api.openai.com/v1"
            )));
        };
        let path = url.path().trim_end_matches('/').to_owned();
        Ok(Self {
            scheme,
            authority,
            path,
        })
    }

    /// Host and port, for an error.
    pub(super) fn address(&self) -> String {
        format!("{}:{}", self.authority.host(), self.port())
    }

    pub(super) fn port(&self) -> u16 {
        let default = if self.scheme == Scheme::HTTPS {
            443
        } else {
            80
        };
        self.authority.port_u16().unwrap_or(default)
    }

    /// Scheme, host and port, without user and password.
    pub(super) fn origin(&self) -> String {
        let authority = self.authority.as_str();
        let host = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        format!("{}://{host}", self.scheme)
    }

    /// A client path under `/v1/` is appended to the base with its `/v1` taken off; any other goes to the origin as it is.
    pub(super) fn join(&self, target: &Target) -> Target {
        let asked = target.as_bytes();
        let Some(rest) = asked.strip_prefix(b"/v1").filter(|rest| {
            self.path != "/v1"
                && (rest.is_empty() || rest.starts_with(b"/") || rest.starts_with(b"?"))
        }) else {
            return Target::of_path(asked.clone());
        };
        let slash: &[u8] = if self.path.is_empty() && !rest.starts_with(b"/") {
            b"/"
        } else {
            b""
        };
        Target::of_path([self.path.as_bytes(), slash, rest].concat().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(base: &'static str, asked: &'static str) -> String {
        let base = Base::of(&Uri::from_static(base)).expect("a whole URL");
        let target = base.join(&Target::of_path(asked.into()));
        base.origin()
            + &target.path()
            + &target
                .query()
                .map_or_else(String::new, |query| format!("?{query}"))
    }

    #[test]
    fn base_urls_follow_the_sdks() {
        for (base, asked, expected) in [
            (
                "https://api.openai.com/v1",
                "/v1/chat/completions",
                "https://api.openai.com/v1/chat/completions",
            ),
            (
                "https://api.openai.com/v1/",
                "/v1/models?a=b",
                "https://api.openai.com/v1/models?a=b",
            ),
            ("http://vllm:8000/v1", "/health", "http://vllm:8000/health"),
            (
                "https://openrouter.ai/api/v1",
                "/v1/chat/completions",
                "https://openrouter.ai/api/v1/chat/completions",
            ),
            (
                "https://openrouter.ai/api/v1",
                "/api/v1/credits",
                "https://openrouter.ai/api/v1/credits",
            ),
            ("http://ovms:1/v3", "/v1/v1/x", "http://ovms:1/v3/v1/x"),
            ("http://plain:1", "/v1/models", "http://plain:1/models"),
            ("http://plain:1", "/v1", "http://plain:1/"),
            ("http://plain:1/v2", "/v1?x=1", "http://plain:1/v2?x=1"),
            ("http://plain:1/v2", "/v10/x", "http://plain:1/v10/x"),
            (
                "http://az:1/v1",
                "/openai/deployments/d/chat/completions?api-version=1",
                "http://az:1/openai/deployments/d/chat/completions?api-version=1",
            ),
            (
                "http://odd:1/v1",
                "/v1//double/?q=%2F",
                "http://odd:1/v1//double/?q=%2F",
            ),
        ] {
            assert_eq!(joined(base, asked), expected, "{base} + {asked}");
        }
    }
}
