//! Where the server is and who we are there: a URL, whose user and password nobody is shown.

use std::fmt;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _};

/// What such a URL looks like, in words.
pub const EXPECTED: &str = "the URL of a Redis or Valkey server, such as \"redis://redis.example:6379\", or \
    \"rediss://user:password@redis.example:6380/2\" for TLS, a user and database 2";

/// The URL of a server.
#[derive(Clone)]
pub struct RedisUrl(ConnectionInfo);

impl RedisUrl {
    /// By its text; `None` where that is no such URL. What follows `?` or `#` would be lost or weaken TLS, and makes it none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let is_known = matches!(scheme, "redis" | "rediss");
        let is_plain = !rest.is_empty() && !rest.contains(['?', '#']);
        let info = text.into_connection_info().ok()?;
        let has_host = match info.addr() {
            ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => !host.is_empty(),
            _ => false,
        };
        (is_known && is_plain && has_host && info.redis_settings().db() >= 0).then_some(Self(info))
    }

    /// All of it, to connect with.
    pub(super) const fn info(&self) -> &ConnectionInfo {
        &self.0
    }
}

impl fmt::Display for RedisUrl {
    /// For people: user and password masked.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = self.0.redis_settings();
        let (scheme, host, port) = match self.0.addr() {
            ConnectionAddr::TcpTls { host, port, .. } => ("rediss", host, port),
            ConnectionAddr::Tcp(host, port) => ("redis", host, port),
            _ => return f.write_str("redis"),
        };
        let (open, close) = if host.contains(':') {
            ("[", "]")
        } else {
            ("", "")
        };
        let has_user = settings.username().is_some() || settings.password().is_some();
        let user = if has_user { "***@" } else { "" };
        let db = settings.db();
        write!(f, "{scheme}://{user}{open}{host}{close}:{port}/{db}")
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedisUrl").field(&self.to_string()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_password_are_not_shown() {
        for (text, shown) in [
            ("redis://localhost", "redis://localhost:6379/0"),
            ("redis://10.0.0.1:7000/3", "redis://10.0.0.1:7000/3"),
            ("rediss://me:secret@host:1/2", "rediss://***@host:1/2"),
            ("redis://:s%23cret@host", "redis://***@host:6379/0"),
            ("redis://[::1]:6380", "redis://[::1]:6380/0"),
        ] {
            let url = RedisUrl::parse(text).unwrap();
            assert_eq!(url.to_string(), shown);
            assert!(!format!("{url:?}").contains("cret"));
        }
    }

    #[test]
    fn what_is_no_such_url_is_refused() {
        for text in [
            "",
            "localhost:6379",
            "http://localhost",
            "redis://",
            "redis:///1",
            "redis://host/one",
            "redis://host/-1",
            "redis://host:99999",
            "rediss://host/#insecure",
            "redis://host/?protocol=resp3",
            "redis+unix:///tmp/redis.sock",
        ] {
            assert!(RedisUrl::parse(text).is_none(), "{text}");
        }
    }
}
