//! Forward proxies: by which of them a connection goes out, as the usual variables of the environment say, and the dialling.
//!
//! `HTTPS_PROXY` and `HTTP_PROXY`, by the scheme of what is connected to, else `ALL_PROXY`, but for the hosts in `NO_PROXY`;
//! also in small letters. An HTTP proxy is asked for a tunnel (`CONNECT`, RFC 9110 §9.3.6) whatever the scheme: in another way
//! it would be an HTTP proxy of its own, which may change what passes. A SOCKS proxy (RFC 1928) makes no other connections. It
//! knows nothing of what the connections are for.

mod dial;

use std::fmt;
use std::net::IpAddr;

use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

pub use dial::{Dialer, KEEPALIVE, KEEPALIVE_INTERVAL, KEEPALIVE_RETRIES};

/// A forward proxy.
#[derive(Clone)]
pub struct ForwardProxy(Intercept);

impl ForwardProxy {
    /// A proxy by its URL, such as `http://user:password@proxy:3128` or `socks5h://proxy`; where the scheme is missing, an HTTP
    /// proxy. `None` where the text is none,
    /// or names a kind of proxy that is not supported.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let matcher = Matcher::builder().all(text.trim()).build();
        let found = matcher.intercept(&Uri::from_static("http://any.invalid"))?;
        let uri = found.uri();
        let is_known = matches!(uri.scheme_str(), Some("http" | "socks5" | "socks5h"));
        // A port that is no number of 16 bits is kept in the authority and left out of `port`.
        let has_port =
            uri.port_u16().is_some() || uri.host() == uri.authority().map(|all| all.as_str());
        let is_whole = uri.host().is_some_and(|host| !host.is_empty()) && has_port;
        (is_known && is_whole).then_some(Self(found))
    }

    /// Where it is, without user and password.
    #[must_use]
    pub fn url(&self) -> &Uri {
        self.0.uri()
    }

    /// Whether it speaks SOCKS; then also whether it is to resolve the names of hosts.
    #[must_use]
    pub fn socks(&self) -> Option<Socks> {
        match self.url().scheme_str() {
            Some("socks5") => Some(Socks::ResolvedHere),
            Some("socks5h") => Some(Socks::ResolvedThere),
            _ => None,
        }
    }

    /// User and password, of a SOCKS proxy.
    #[must_use]
    pub fn user(&self) -> Option<(&str, &str)> {
        self.0.raw_auth()
    }

    /// What `Proxy-Authorization` is to be, marked sensitive; of an HTTP proxy.
    #[must_use]
    pub fn authorization(&self) -> Option<&HeaderValue> {
        self.0.basic_auth()
    }
}

/// By whom the names of hosts are resolved for a SOCKS proxy, which its scheme says, as it does for curl.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Socks {
    /// By us: `socks5`.
    ResolvedHere,
    /// By the proxy: `socks5h`.
    ResolvedThere,
}

impl PartialEq for ForwardProxy {
    fn eq(&self, other: &Self) -> bool {
        self.url() == other.url()
            && self.authorization() == other.authorization()
            && self.user() == other.user()
    }
}

impl fmt::Display for ForwardProxy {
    /// For people: without user and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (url, authority) = (self.url(), self.url().authority());
        let authority = authority.map_or("", |authority| authority.as_str());
        write!(f, "{}://{authority}", url.scheme_str().unwrap_or("http"))
    }
}

impl fmt::Debug for ForwardProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ForwardProxy")
            .field(&self.to_string())
            .finish()
    }
}

/// A variable that should name a proxy, and does not. Its value may hold a password, and is not shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable} is malformed: expected {EXPECTED}")]
pub struct BadVariable {
    /// The variable's name.
    pub variable: &'static str,
}

/// What a proxy's URL looks like, in words.
pub const EXPECTED: &str = "the URL of an HTTP or SOCKS5 proxy, such as \"http://proxy.example:3128\", \
    \"http://user:password@proxy.example:3128\" or \"socks5h://proxy.example:1080\"";

const FOR_HTTPS: [&str; 2] = ["HTTPS_PROXY", "https_proxy"];
const FOR_HTTP: [&str; 2] = ["HTTP_PROXY", "http_proxy"];
const FOR_ALL: [&str; 2] = ["ALL_PROXY", "all_proxy"];
const FOR_NONE: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// The proxy for connections to a URL by the variables that `lookup` finds; `None` for a direct connection, which also the
/// host itself gets (`localhost` and loopback addresses).
///
/// # Errors
/// When the variable that decides has a value that cannot be used.
pub fn proxy_for(
    url: &Uri,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<Option<ForwardProxy>, BadVariable> {
    let first = |names: [&'static str; 2]| {
        let set = |name| Some((name, lookup(name)?)).filter(|(_, value)| !value.trim().is_empty());
        names.into_iter().find_map(set)
    };
    let by_scheme = match url.scheme_str() {
        Some("https") => first(FOR_HTTPS),
        _ => first(FOR_HTTP),
    };
    let Some((variable, value)) = by_scheme.or_else(|| first(FOR_ALL)) else {
        return Ok(None);
    };
    let excepted = first(FOR_NONE).map(|(_, value)| value).unwrap_or_default();
    if is_loopback(url) || is_excepted(url, &excepted) {
        return Ok(None);
    }
    let proxy = ForwardProxy::parse(&value);
    proxy.map(Some).ok_or(BadVariable { variable })
}

fn is_loopback(url: &Uri) -> bool {
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let last = host.trim_end_matches('.').rsplit('.').next();
    let address = host.parse::<IpAddr>();
    last.is_some_and(|last| last.eq_ignore_ascii_case("localhost"))
        || address.is_ok_and(|address| address.is_loopback())
}

/// Whether `NO_PROXY` has the host: by name with all names below it, address, network, or `*`.
fn is_excepted(url: &Uri, excepted: &str) -> bool {
    let matcher = Matcher::builder().all("http://any.invalid").no(excepted);
    matcher.build().intercept(url).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(url: &'static str, variables: &[(&str, &str)]) -> Result<String, BadVariable> {
        let lookup = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let proxy = proxy_for(&Uri::from_static(url), lookup)?;
        Ok(proxy.map_or_else(|| "direct".to_owned(), |proxy| proxy.to_string()))
    }

    #[test]
    fn the_scheme_decides_which_variable_is_asked_first() {
        let variables = [
            ("HTTPS_PROXY", "http://a:1"),
            ("HTTP_PROXY", "b:2"),
            ("ALL_PROXY", "http://c:3"),
        ];
        assert_eq!(way("https://x.example", &variables).unwrap(), "http://a:1");
        assert_eq!(
            way("http://x.example/v1", &variables).unwrap(),
            "http://b:2"
        );
        assert_eq!(
            way("https://x.example", &variables[1..]).unwrap(),
            "http://c:3"
        );
        assert_eq!(
            way("https://x.example", &variables[1..2]).unwrap(),
            "direct"
        );
        let small = [("https_proxy", "http://a:1"), ("HTTPS_PROXY", " ")];
        assert_eq!(way("https://x.example", &small).unwrap(), "http://a:1");
    }

    #[test]
    fn hosts_that_are_excepted_and_the_host_itself_are_connected_to_directly() {
        let by = |no: &'static str| [("ALL_PROXY", "http://a:1"), ("NO_PROXY", no)];
        for (url, no, direct) in [
            ("https://api.example", "", false),
            ("https://api.example", "example", true),
            ("https://api.example", ".example", true),
            ("https://notexample", "example", false),
            ("https://api.example:8443", "a,  api.example", true),
            ("http://10.1.2.3:8000/v1", "10.0.0.0/8", true),
            ("http://11.1.2.3:8000/v1", "10.0.0.0/8", false),
            ("https://api.example", "*", true),
            ("http://localhost:8000", "", true),
            ("http://vllm.localhost", "", true),
            ("http://127.0.0.2:8000", "", true),
            ("http://[::1]:8000", "", true),
        ] {
            let way = way(url, &by(no)).unwrap();
            assert_eq!(way == "direct", direct, "{url} {no:?}: {way}");
        }
    }

    #[test]
    fn a_value_that_is_no_proxy_is_told_by_its_variable_and_not_shown() {
        for value in [
            "socks4://me:hush@a:1",
            "https://me:hush@a:1",
            "http://me:hush@",
            "http://me:hush@a:99999",
            "://hush",
        ] {
            let error = way("https://x.example", &[("https_proxy", value)]).unwrap_err();
            assert_eq!(error.variable, "https_proxy");
            assert!(!error.to_string().contains("hush"), "{error}");
            // Where it is not used it does no harm.
            assert_eq!(
                way("http://x.example", &[("https_proxy", value)]).unwrap(),
                "direct"
            );
        }
    }

    #[test]
    fn user_and_password_are_sent_and_not_shown() {
        let proxy = ForwardProxy::parse("http://me:pass%20word@proxy:3128").unwrap();
        assert_eq!(proxy.authorization().unwrap(), "Basic bWU6cGFzcyB3b3Jk");
        assert_eq!(
            format!("{proxy} {proxy:?}"),
            "http://proxy:3128 ForwardProxy(\"http://proxy:3128\")"
        );
        let socks = ForwardProxy::parse("socks5h://me:pass%20word@proxy").unwrap();
        assert_eq!(socks.user(), Some(("me", "pass word")));
        assert_eq!(socks.to_string(), "socks5h://proxy");
        assert!(
            ForwardProxy::parse("proxy")
                .unwrap()
                .authorization()
                .is_none()
        );
    }
}
