//! Who may ask: the hosts that a request may be for, and the sites whose pages may have a browser send one.
//!
//! A browser sends what any page tells it to, from inside the network that it is in, and a name that belongs to the page may
//! resolve to an address of ours (DNS rebinding). Programs set none of the fields that are looked at here. It knows values of
//! fields, and nothing of messages. Fetch Metadata: <https://www.w3.org/TR/fetch-metadata/>; `Origin`: RFC 6454 §7.

use std::net::IpAddr;

use wildmatch::WildMatch;

/// Patterns with `*` and `?`, whatever their case.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Patterns(Vec<WildMatch>);

impl Patterns {
    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As they were given.
    pub fn iter(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(ToString::to_string)
    }

    fn match_any(&self, text: &str) -> bool {
        self.0.iter().any(|pattern| pattern.matches(text))
    }
}

impl<'p> FromIterator<&'p str> for Patterns {
    fn from_iter<I: IntoIterator<Item = &'p str>>(patterns: I) -> Self {
        let patterns = patterns.into_iter();
        Self(patterns.map(WildMatch::new_case_insensitive).collect())
    }
}

/// The hosts that a request may be for.
#[derive(Debug, Clone, PartialEq)]
pub enum Hosts {
    /// Whatever it says.
    Any,
    /// Names that match a pattern. A request without a host is no browser's.
    Named(Patterns),
    /// These, and what no page of another site can be served from: loopback names and IP addresses.
    NamedOrOwn(Patterns),
}

impl Hosts {
    /// Whether a request may have this `Host`, or this authority in its target.
    #[must_use]
    pub fn allow(&self, authority: &str) -> bool {
        let host = host(authority);
        match self {
            Self::Any => true,
            Self::Named(names) => names.match_any(host),
            Self::NamedOrOwn(names) => is_own(host) || names.match_any(host),
        }
    }
}

/// Without a port, the brackets of an IPv6 address, and the dot at the end of a name.
fn host(authority: &str) -> &str {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => host,
        _ => authority,
    };
    let address = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    address.unwrap_or_else(|| host.strip_suffix('.').unwrap_or(host))
}

fn is_own(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    last.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok()
}

/// What a request says of the page that it was made for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Site<'r> {
    /// `Sec-Fetch-Site`.
    pub fetch_site: Option<&'r str>,
    /// `Origin`.
    pub origin: Option<&'r str>,
    /// What it is for: `Host`, or the authority in its target.
    pub host: Option<&'r str>,
}

impl Site<'_> {
    /// Whether a browser sent it for a page of another site, which is none of these.
    #[must_use]
    pub fn is_foreign(&self, allowed: &Patterns) -> bool {
        let is_allowed = |origin: &str| allowed.match_any(origin);
        match self.fetch_site {
            // The browser's own word, which no page can change. `none`: the user asked for it.
            Some("same-origin" | "none") => false,
            // Pages of other ports and of sister hosts are the same site, but not the same page.
            None | Some("same-site") => self
                .origin
                .is_some_and(|origin| !self.is_same_origin(origin) && !is_allowed(origin)),
            Some(_) => !is_allowed(self.origin.unwrap_or_default()),
        }
    }

    fn is_same_origin(&self, origin: &str) -> bool {
        let Some((scheme, authority)) = origin.split_once("://") else {
            return false;
        };
        let port = match scheme {
            "http" => ":80",
            "https" => ":443",
            _ => return false,
        };
        let without_port = |authority: &'_ str| authority.strip_suffix(port).map(str::to_owned);
        let plain = |authority: &str| without_port(authority).unwrap_or_else(|| authority.into());
        self.host
            .is_some_and(|host| plain(host).eq_ignore_ascii_case(&plain(authority)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(patterns: &[&str]) -> Patterns {
        patterns.iter().copied().collect()
    }

    #[test]
    fn a_host_is_allowed_by_its_name_whatever_its_port_and_case() {
        let hosts = Hosts::Named(patterns(&["gateway.example", "*.internal", "fd00::1"]));
        for host in [
            "gateway.example",
            "Gateway.Example:8443",
            "gateway.example.",
            "a.b.internal:80",
            "[fd00::1]:80",
            "[fd00::1]",
        ] {
            assert!(hosts.allow(host), "{host}");
        }
        for host in [
            "",
            "example",
            "gateway.example.evil",
            "localhost",
            "127.0.0.1",
        ] {
            assert!(!hosts.allow(host), "{host}");
        }
        assert!(Hosts::Any.allow("evil.example"));
    }

    #[test]
    fn what_cannot_be_the_name_of_another_site_is_our_own() {
        let hosts = Hosts::NamedOrOwn(patterns(&["metrics"]));
        for host in [
            "localhost:9464",
            "LOCALHOST",
            "a.localhost",
            "127.0.0.1:9464",
            "10.0.0.7",
            "[::1]:9464",
            "metrics:9464",
        ] {
            assert!(hosts.allow(host), "{host}");
        }
        for host in [
            "evil.example:9464",
            "localhost.evil",
            "127.0.0.1.evil",
            "",
            "a",
        ] {
            assert!(!hosts.allow(host), "{host}");
        }
    }

    fn is_foreign(fetch_site: &str, origin: &str, host: &str, allowed: &[&str]) -> bool {
        let some = |text| Some(text).filter(|text: &&str| !text.is_empty());
        let site = Site {
            fetch_site: some(fetch_site),
            origin: some(origin),
            host: some(host),
        };
        site.is_foreign(&patterns(allowed))
    }

    #[test]
    fn a_program_is_no_page() {
        assert!(!is_foreign("", "", "gateway", &[]));
    }

    #[test]
    fn a_page_of_another_site_is_foreign_unless_it_is_allowed() {
        let here = "localhost:8080";
        for (site, origin) in [
            ("cross-site", "https://evil.example"),
            ("cross-site", ""),
            ("cross-site", "null"),
            ("something-new", ""),
            ("", "https://evil.example"),
            ("", "null"),
            ("", "http://localhost:3000"),
            ("", "app://localhost:8080"),
            ("same-site", "http://localhost:3000"),
        ] {
            assert!(is_foreign(site, origin, here, &[]), "{site} {origin}");
            let allowed = Some(origin).filter(|origin| !origin.is_empty());
            let foreign = is_foreign(site, origin, here, allowed.as_slice());
            assert_eq!(foreign, origin.is_empty(), "{site} {origin}");
            assert!(!is_foreign(site, origin, here, &["*"]), "{site} {origin}");
        }
    }

    #[test]
    fn a_page_of_ours_is_not() {
        for (site, origin, host) in [
            ("same-origin", "https://ui.example", "streamgauge:8080"),
            ("none", "", "gateway"),
            ("same-site", "", "gateway"),
            ("", "https://gateway.example", "gateway.example"),
            ("", "https://gateway.example", "gateway.example:443"),
            ("", "http://Gateway.example:80", "gateway.example"),
            ("same-site", "http://localhost:8080", "localhost:8080"),
        ] {
            assert!(
                !is_foreign(site, origin, host, &[]),
                "{site} {origin} {host}"
            );
        }
    }
}
