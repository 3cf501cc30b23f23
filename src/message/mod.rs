//! HTTP messages on their way through: a head whose fields stay as they were, and a body.
//!
//! Both versions of HTTP meet here. It knows the shape of a message and no field by name; which fields pass is the proxy's
//! business, how a message is written that of its version. RFC 9110 §6.

mod body;
mod fields;
mod names;
mod target;

use http::{Method, StatusCode, Version};
use hyper::ext::ReasonPhrase;

pub use body::{Body, Frame, HttpBody, Polled};
pub use fields::{Field, FieldPlace, Fields};
pub use names::Names;
pub use target::{Target, TargetError};

/// A request.
#[derive(Debug)]
pub struct Request<B> {
    /// Its method.
    pub method: Method,
    /// Its target.
    pub target: Target,
    /// The version of HTTP it came by.
    pub version: Version,
    /// Its header fields.
    pub fields: Fields,
    /// Its body.
    pub body: B,
}

impl<B> Request<B> {
    /// The same request with a body made of this one's.
    pub fn map<C>(self, change: impl FnOnce(B) -> C) -> Request<C> {
        Request {
            method: self.method,
            target: self.target,
            version: self.version,
            fields: self.fields,
            body: change(self.body),
        }
    }
}

impl<B> From<http::Request<B>> for Request<B> {
    fn from(request: http::Request<B>) -> Self {
        let (parts, body) = request.into_parts();
        Self {
            method: parts.method,
            target: Target::from(&parts.uri),
            version: parts.version,
            fields: Fields::from(&parts.headers),
            body,
        }
    }
}

/// A response.
#[derive(Debug)]
pub struct Response<B> {
    /// Its status.
    pub status: StatusCode,
    /// Its reason phrase, where it is another one than the status's own. HTTP/2 has none.
    pub reason: Option<ReasonPhrase>,
    /// Its header fields.
    pub fields: Fields,
    /// Its body.
    pub body: B,
}

impl<B> Response<B> {
    /// The same response with a body made of this one's.
    pub fn map<C>(self, change: impl FnOnce(B) -> C) -> Response<C> {
        Response {
            status: self.status,
            reason: self.reason,
            fields: self.fields,
            body: change(self.body),
        }
    }
}

impl<B> From<http::Response<B>> for Response<B> {
    fn from(response: http::Response<B>) -> Self {
        let (parts, body) = response.into_parts();
        Self {
            status: parts.status,
            reason: None,
            fields: Fields::from(&parts.headers),
            body,
        }
    }
}

impl<B> From<Response<B>> for http::Response<B> {
    fn from(response: Response<B>) -> Self {
        let mut made = Self::new(response.body);
        *made.status_mut() = response.status;
        *made.headers_mut() = response.fields.to_map();
        made
    }
}
