//! Who may see what the admin port shows.
//!
//! Whoever is on the same machine, as long as nobody has set a token. From elsewhere a token is needed, or that the port is said to be
//! open. Probes are for all, scrapes by a setting, and so are the page's own files, in which there are no facts.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use ring::digest::{SHA256, digest};
use subtle::ConstantTimeEq as _;

use super::api::Wrong;
use super::config::AdminConfig;

/// Who may see it.
#[derive(Debug, Clone)]
pub enum Access {
    /// Everybody.
    Open,
    /// Who shows the token of this hash.
    Token(Arc<[u8]>),
    /// Nobody.
    Closed,
}

impl Access {
    /// By a configuration, of a listener at this address.
    #[must_use]
    pub fn of(config: &AdminConfig, address: SocketAddr) -> Self {
        match &config.token {
            Some(token) => Self::Token(hash(token.as_bytes())),
            None if config.open || address.ip().is_loopback() => Self::Open,
            None => Self::Closed,
        }
    }

    /// What is to be said of it where nobody may see it.
    #[must_use]
    pub const fn warning(&self) -> Option<&'static str> {
        match self {
            Self::Closed => {
                Some("the live page and the API are closed: set admin.token, or admin.open = true")
            }
            Self::Open | Self::Token(_) => None,
        }
    }

    fn check(&self, request: &Request) -> Result<(), Wrong> {
        match self {
            Self::Open => Ok(()),
            Self::Closed => Err(Wrong::new(StatusCode::FORBIDDEN, CLOSED)),
            Self::Token(expected) => match shown(request) {
                Some(token) if bool::from(hash(token).ct_eq(expected)) => Ok(()),
                Some(_) => Err(Wrong::new(StatusCode::UNAUTHORIZED, OTHER_TOKEN)),
                None => Err(Wrong::new(StatusCode::UNAUTHORIZED, NO_TOKEN)),
            },
        }
    }
}

const CLOSED: &str = "the admin port is not on a loopback address: set admin.token (STREAMGAUGE_ADMIN_TOKEN) and send it as \
                      Authorization: Bearer TOKEN, or set admin.open = true";
const NO_TOKEN: &str =
    "expected Authorization: Bearer TOKEN, with the token of admin.token (STREAMGAUGE_ADMIN_TOKEN)";
const OTHER_TOKEN: &str = "the token is not that of admin.token (STREAMGAUGE_ADMIN_TOKEN)";

/// Of equal length, whatever was shown: how long a comparison takes says nothing of the token.
fn hash(token: &[u8]) -> Arc<[u8]> {
    digest(&SHA256, token).as_ref().into()
}

fn shown(request: &Request) -> Option<&[u8]> {
    let value = request.headers().get(AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then_some(token.trim_ascii())
}

/// Lets a request through that may see what it asks for.
pub(super) async fn allowed(
    State(access): State<Access>,
    request: Request,
    next: Next,
) -> Response {
    let Err(wrong) = access.check(&request) else {
        return next.run(request).await;
    };
    let status = wrong.status();
    let mut response = wrong.into_response();
    if status == StatusCode::UNAUTHORIZED {
        let bearer = HeaderValue::from_static("Bearer");
        response.headers_mut().insert(WWW_AUTHENTICATE, bearer);
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;
    use crate::admin::Token;

    fn config(token: Option<&str>, open: bool) -> AdminConfig {
        AdminConfig {
            token: token.map(|token| Token::new(token).unwrap()),
            open,
            ..AdminConfig::default()
        }
    }

    fn status(access: &Access, authorization: Option<&str>) -> u16 {
        let mut request = Request::get("/");
        if let Some(value) = authorization {
            request = request.header(AUTHORIZATION, value);
        }
        let checked = access.check(&request.body(Body::empty()).unwrap());
        checked.map_or_else(|wrong| wrong.status().as_u16(), |()| 200)
    }

    #[test]
    fn only_loopback_is_open_by_itself() {
        let [here, everywhere] = ["127.0.0.1:1", "0.0.0.0:1"].map(|it| it.parse().unwrap());
        for (open, address, expected) in [
            (false, here, 200),
            (false, "[::1]:1".parse().unwrap(), 200),
            (false, everywhere, 403),
            (true, everywhere, 200),
        ] {
            let access = Access::of(&config(None, open), address);
            assert_eq!(status(&access, None), expected, "{open} {address}");
        }
    }

    #[test]
    fn where_there_is_a_token_it_is_wanted_on_every_address() {
        let token = "a-token-of-some-length";
        for address in ["127.0.0.1:1", "0.0.0.0:1"] {
            let access = Access::of(&config(Some(token), false), address.parse().unwrap());
            assert_eq!(status(&access, None), 401);
            assert_eq!(status(&access, Some(&format!("Bearer {token}"))), 200);
            assert_eq!(status(&access, Some(&format!("bearer  {token} "))), 200);
            for other in [
                "Bearer",
                "Bearer ",
                "Basic x",
                token,
                &format!("Bearer {token}x"),
            ] {
                assert_eq!(status(&access, Some(other)), 401, "{other}");
            }
        }
    }

    #[test]
    fn a_token_is_long_enough_and_shown_to_nobody() {
        assert!(Token::new("short").is_none() && Token::new(&"a b".repeat(10)).is_none());
        let token = Token::new("0123456789abcdef").unwrap();
        assert_eq!(format!("{token:?}"), "Token(***)");
    }
}
