//! HTTP/2 and TLS on both sides, in every combination with HTTP/1.1: what passes is the same, and streams stay streams.

use bytes::Bytes;
use http::{Request, Response, StatusCode, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::support::file::File;
use crate::support::origin::Origin;
use crate::support::process::{Program, Server};
use crate::support::tls::{Certificate, Terminator};
use crate::support::upstream::Upstream;
use crate::support::within;

/// How a client speaks to the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Front {
    tls: bool,
    version: Version,
}

const FRONTS: [Front; 4] = [
    Front {
        tls: false,
        version: Version::HTTP_11,
    },
    Front {
        tls: false,
        version: Version::HTTP_2,
    },
    Front {
        tls: true,
        version: Version::HTTP_11,
    },
    Front {
        tls: true,
        version: Version::HTTP_2,
    },
];

/// How the proxy speaks to an upstream.
#[derive(Debug, Clone, Copy)]
struct Back {
    /// `http` of the configuration.
    http: &'static str,
    /// What the upstream offers by ALPN; `None` for plain TCP.
    alpn: Option<&'static [&'static str]>,
    /// What comes of it.
    version: Version,
}

const BACKS: [Back; 7] = [
    Back {
        http: "auto",
        alpn: None,
        version: Version::HTTP_11,
    },
    Back {
        http: "2",
        alpn: None,
        version: Version::HTTP_2,
    },
    Back {
        http: "auto",
        alpn: Some(&["h2", "http/1.1"]),
        version: Version::HTTP_2,
    },
    Back {
        http: "auto",
        alpn: Some(&["http/1.1"]),
        version: Version::HTTP_11,
    },
    Back {
        http: "auto",
        alpn: Some(&[]),
        version: Version::HTTP_11,
    },
    Back {
        http: "1.1",
        alpn: Some(&["h2", "http/1.1"]),
        version: Version::HTTP_11,
    },
    Back {
        http: "2",
        alpn: Some(&["h2", "http/1.1"]),
        version: Version::HTTP_2,
    },
];

/// A proxy between fronts and one back.
struct Site {
    server: Server,
    origin: Origin,
    certificate: Certificate,
    tls: bool,
    /// Scheme and authority of the upstream's URL.
    upstream: String,
    _terminator: Option<Terminator>,
    _files: [File; 3],
}

impl Site {
    /// `name` tells the files of one test from those of another.
    async fn start(name: &str, tls: bool, back: Back) -> Self {
        let origin = Origin::start().await;
        let certificate = Certificate::new();
        let terminator = match back.alpn {
            Some(protocols) => {
                Some(Terminator::start(&certificate, protocols, origin.address).await)
            }
            None => None,
        };
        let upstream = match &terminator {
            Some(terminator) => format!("https://{}", terminator.address),
            None => format!("http://{}", origin.address),
        };
        let pem = File::new(&format!("{name}.crt"), &certificate.certificate_pem);
        let key = File::new(&format!("{name}.key"), &certificate.key_pem);
        let listener = match tls {
            true => format!(
                "[tls]\ncertificate = '{}'\nkey = '{}'",
                pem.name(),
                key.name()
            ),
            false => String::new(),
        };
        let config = format!(
            "{listener}\n[[upstream]]\nname = 'up'\nurl = '{upstream}/v1'\nhttp = '{}'",
            back.http
        );
        let config = File::new(&format!("{name}.toml"), config);
        let server = Program::configured(config.name())
            .env("SSL_CERT_FILE", pem.name())
            .listen()
            .await;
        Self {
            server,
            origin,
            certificate,
            tls,
            upstream,
            _terminator: terminator,
            _files: [pem, key, config],
        }
    }

    async fn client(&self, version: Version) -> Client {
        if self.tls {
            let protocol = if version == Version::HTTP_2 {
                "h2"
            } else {
                "http/1.1"
            };
            let stream = self
                .certificate
                .connect(self.server.proxy, &[protocol])
                .await;
            assert_eq!(
                stream.get_ref().1.alpn_protocol(),
                Some(protocol.as_bytes())
            );
            Client::new(stream, version).await
        } else {
            let stream = TcpStream::connect(self.server.proxy).await.unwrap();
            stream.set_nodelay(true).unwrap();
            Client::new(stream, version).await
        }
    }

    /// A request for the proxy's own address, in the form that the version wants.
    fn request(&self, version: Version, method: &str, path: &str) -> http::request::Builder {
        let request = Request::builder().method(method);
        match version {
            Version::HTTP_2 => request.uri(format!("http://{}{path}", self.server.proxy)),
            _ => request
                .uri(path)
                .header("host", self.server.proxy.to_string()),
        }
    }
}

/// A client's connection.
enum Client {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Client {
    async fn new(
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        version: Version,
    ) -> Self {
        let io = TokioIo::new(stream);
        if version == Version::HTTP_2 {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
            tokio::spawn(connection);
            Self::Http2(sender)
        } else {
            let (sender, connection) = http1::handshake(io).await.unwrap();
            tokio::spawn(connection);
            Self::Http1(sender)
        }
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Response<Incoming> {
        let response = async {
            match self {
                Self::Http1(sender) => sender.send_request(request).await,
                Self::Http2(sender) => sender.send_request(request).await,
            }
        };
        within("a response head", response).await.unwrap()
    }
}

/// Reads so many bytes of a body, however they are cut.
async fn read(body: &mut Incoming, length: usize) -> String {
    let mut got = Vec::new();
    while got.len() < length {
        let frame = within("a frame", body.frame()).await;
        got.extend(frame.unwrap().unwrap().into_data().unwrap());
    }
    String::from_utf8(got).unwrap()
}

const ASKED: &str = r#"{"model":"m","stream":true}"#;
const DELTA: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n";
const USAGE: &str =
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

/// One stream, frame by frame, each read before the next is sent.
async fn stream(site: &Site, front: Front, back: Back) {
    let mut client = site.client(front.version).await;
    let request = site
        .request(front.version, "POST", "/v1/chat/completions?a=%2Fb")
        .header("te", "trailers")
        .header("authorization", "Bearer k");
    let request = request.body(Full::from(ASKED)).unwrap();
    let (response, call) = tokio::join!(client.send(request), site.origin.call());
    assert_eq!(call.head.version, back.version);
    assert_eq!(
        call.head.uri.path_and_query().unwrap(),
        "/v1/chat/completions?a=%2Fb"
    );
    let gained = ASKED.replacen('{', r#"{"stream_options":{"include_usage":true},"#, 1);
    assert_eq!(call.body, gained);
    assert_eq!(call.head.headers["authorization"], "Bearer k");
    let by_alpn = back.http == "auto" && back.version == Version::HTTP_2;
    if !by_alpn {
        // Which version ALPN will choose is not known when the head is made, and in HTTP/1.1 `TE` is named by
        // `Connection`, with which HTTP/2 loses it.
        assert_eq!(call.head.headers["te"], "trailers");
    }

    assert_eq!(
        (response.version(), response.status()),
        (front.version, StatusCode::OK)
    );
    let cookies: Vec<_> = response.headers().get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["a=1", "b=2"]);
    let mut body = response.into_body();
    for sent in [
        DELTA,
        ": keep-alive\n\n",
        "data: {\"choices\":[{\"delta\":",
        "{}}]}\n\n",
    ] {
        call.send(sent);
        assert_eq!(read(&mut body, sent.len()).await, sent);
    }
    call.send(USAGE);
    call.send(DONE);
    assert_eq!(
        read(&mut body, DONE.len()).await,
        DONE,
        "the event asked for is taken out"
    );
    call.end("42");
    let trailers = within("trailers", body.frame()).await.unwrap().unwrap();
    assert_eq!(trailers.into_trailers().unwrap()["x-sum"], "42");
    assert!(within("the end", body.frame()).await.is_none());
}

#[tokio::test]
async fn streams_pass_between_any_two_versions() {
    for (n, back) in BACKS.into_iter().enumerate() {
        for tls in [false, true] {
            let site = Site::start(&format!("any-{n}-{tls}"), tls, back).await;
            for front in FRONTS.into_iter().filter(|front| front.tls == tls) {
                println!("{front:?} to {back:?}");
                stream(&site, front, back).await;
            }
        }
    }
}

#[tokio::test]
async fn the_host_follows_the_upstream() {
    for (n, back) in BACKS.into_iter().enumerate() {
        let site = Site::start(&format!("host-{n}"), false, back).await;
        for version in [Version::HTTP_11, Version::HTTP_2] {
            let mut client = site.client(version).await;
            let request = site
                .request(version, "GET", "/v1/models")
                .body(Full::default());
            let (_, call) = tokio::join!(client.send(request.unwrap()), site.origin.call());
            let authority = site.upstream.split("//").nth(1).unwrap();
            let hosts: Vec<_> = call.head.headers.get_all("host").iter().collect();
            if back.version == Version::HTTP_2 {
                assert_eq!(call.head.uri.authority().unwrap(), authority, "{back:?}");
                assert!(hosts.iter().all(|host| *host == authority), "{back:?}");
            } else {
                assert_eq!(hosts, [authority], "{back:?}");
            }
        }
    }
}

#[tokio::test]
async fn cookies_that_http_2_has_split_are_one_field_again() {
    let site = Site::start("cookies", false, BACKS[0]).await;
    let mut client = site.client(Version::HTTP_2).await;
    let request = site
        .request(Version::HTTP_2, "GET", "/v1/models")
        .header("cookie", "a=1")
        .header("x", "y")
        .header("cookie", "b=2; c=3");
    let request = request.body(Full::default()).unwrap();
    let (_, call) = tokio::join!(client.send(request), site.origin.call());
    let cookies: Vec<_> = call.head.headers.get_all("cookie").iter().collect();
    assert_eq!(cookies, ["a=1; b=2; c=3"]);
}

#[tokio::test]
async fn a_request_without_a_body_stays_without_one() {
    for (n, back) in [BACKS[0], BACKS[1]].into_iter().enumerate() {
        let site = Site::start(&format!("empty-{n}"), false, back).await;
        let mut client = site.client(Version::HTTP_2).await;
        for method in ["GET", "POST", "DELETE", "HEAD", "OPTIONS", "PURGE"] {
            let request = site
                .request(Version::HTTP_2, method, "/v1/x")
                .body(Full::default());
            let (_, call) = tokio::join!(client.send(request.unwrap()), site.origin.call());
            assert_eq!(
                (call.head.method.as_str(), &call.body[..]),
                (method, &b""[..])
            );
            assert!(
                !call.head.headers.contains_key("transfer-encoding"),
                "{method}"
            );
        }
    }
}

#[tokio::test]
async fn a_status_without_a_name_gets_none_on_its_way_to_http_1_1() {
    let site = Site::start("status", false, BACKS[1]).await;
    let request = "GET /v1/x HTTP/1.1\r\nhost: me\r\nx-status: 529\r\n\r\n";
    let mut client = crate::support::client::connect(site.server.proxy).await;
    client.write(request).await;
    let (head, _call) = tokio::join!(client.read_head(), site.origin.call());
    assert!(
        head.starts_with(b"HTTP/1.1 529 \r\n"),
        "{}",
        String::from_utf8_lossy(&head)
    );
}

#[tokio::test]
async fn streams_of_one_connection_do_not_wait_for_each_other() {
    let site = Site::start("side-by-side", false, BACKS[1]).await;
    let mut client = site.client(Version::HTTP_2).await;
    let mut open = Vec::new();
    for _ in 0..50 {
        let request = site.request(Version::HTTP_2, "POST", "/v1/chat/completions");
        let request = request.body(Full::from(ASKED)).unwrap();
        let (response, call) = tokio::join!(client.send(request), site.origin.call());
        open.push((response.into_body(), call));
    }
    for _ in 0..10 {
        for (body, call) in open.iter_mut().rev() {
            call.send(DELTA);
            assert_eq!(read(body, DELTA.len()).await, DELTA);
        }
    }
}

#[tokio::test]
async fn an_answer_of_ours_goes_out_over_http_2_too() {
    let server = Program::serve("http://127.0.0.1:9/v1").listen().await;
    let stream = TcpStream::connect(server.proxy).await.unwrap();
    let mut client = Client::new(stream, Version::HTTP_2).await;
    let request = Request::post(format!("http://{}/v1/chat/completions", server.proxy));
    let response = client.send(request.body(Full::from(ASKED)).unwrap()).await;
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(
        response.headers()["x-streamgauge-error"],
        "connection_refused"
    );
}

#[tokio::test]
async fn an_upstream_whose_certificate_nobody_vouches_for_is_a_502() {
    let origin = Origin::start().await;
    let terminator = Terminator::start(&Certificate::new(), &["h2"], origin.address).await;
    let other = File::new("other.crt", Certificate::new().certificate_pem);
    let server = Program::serve(&format!("https://{}/v1", terminator.address))
        .env("SSL_CERT_FILE", other.name())
        .listen()
        .await;
    let answer = crate::support::client::get(server.proxy, "/v1/models").await;
    assert_eq!(answer.status(), 502);
    assert_eq!(
        answer.header("x-streamgauge-error"),
        Some("certificate_refused")
    );
    assert!(
        answer.text().contains("invalid peer certificate"),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn a_listener_with_tls_takes_clients_without_alpn() {
    let site = Site::start("no-alpn", true, BACKS[0]).await;
    let stream = site.certificate.connect(site.server.proxy, &[]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), None);
    let mut client = Client::new(stream, Version::HTTP_11).await;
    let request = site
        .request(Version::HTTP_11, "GET", "/v1/models")
        .body(Full::default());
    let (response, _call) = tokio::join!(client.send(request.unwrap()), site.origin.call());
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_change_of_protocol_goes_by_http_1_1_where_alpn_would_choose_http_2() {
    let upstream = Upstream::start().await;
    let certificate = Certificate::new();
    let terminator = Terminator::start(&certificate, &["h2", "http/1.1"], upstream.address()).await;
    let pem = File::new("websocket.crt", &certificate.certificate_pem);
    let server = Program::serve(&format!("https://{}/v1", terminator.address))
        .env("SSL_CERT_FILE", pem.name())
        .listen()
        .await;
    let mut client = crate::support::client::connect(server.proxy).await;
    client
        .write("GET /v1/realtime HTTP/1.1\r\nhost: me\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
        .await;
    let mut served = upstream.accept().await;
    let asked = served.read_request().await;
    assert_eq!(asked.header("upgrade"), Some("websocket"));
    served
        .write(
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
        )
        .await;
    assert_eq!(client.read_response().await.status(), 101);
    client.write("ping").await;
    assert_eq!(served.read_exact(4).await, b"ping");
    served.write("pong").await;
    assert_eq!(client.read_exact(4).await, b"pong");
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
}

#[tokio::test]
async fn an_upload_that_is_reset_without_an_error_is_not_passed_on_as_whole() {
    let relay = crate::support::relay::Relay::start().await;
    let mut pair = relay.pair().await;
    // `:method: POST`, `:scheme: http`, and two literals (RFC 7541 appendix A and §6.2.1).
    let head = b"\x83\x86\x44\x05/v1/x\x41\x02me";
    let (headers, data, settings, reset) = (1, 0, 4, 3);
    let begun = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        frame(settings, 0, 0, b""),
        frame(headers, 4, 1, head),
        frame(data, 0, 1, b"half of it"),
    ];
    pair.client.write(begun.concat()).await;
    pair.served().await.read_head().await;
    let chunk = pair.served().await.read_chunk().await;
    assert_eq!(chunk.data, b"half of it");
    pair.client.write(frame(reset, 0, 1, &[0; 4])).await;
    pair.served().await.closed().await;
}

#[tokio::test]
async fn a_response_that_is_reset_without_an_error_is_not_passed_on_as_whole() {
    let upstream = Upstream::start().await;
    let url = upstream.base_url();
    let config = format!("[[upstream]]\nname = 'up'\nurl = '{url}'\nhttp = '2'");
    let config = File::new("reset.toml", config);
    let server = Program::configured(config.name()).listen().await;
    let mut client = crate::support::client::connect(server.proxy).await;
    client
        .write("GET /v1/files/1/content HTTP/1.1\r\nhost: me\r\n\r\n")
        .await;
    let mut served = upstream.accept().await;
    served
        .read_exact(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len())
        .await;
    let (data, headers, reset, settings) = (0, 1, 3, 4);
    // `:status: 200` (RFC 7541 appendix A).
    let begun = [
        frame(settings, 0, 0, b""),
        frame(settings, 1, 0, b""),
        frame(headers, 4, 1, b"\x88"),
        frame(data, 0, 1, b"half of it"),
    ];
    served.write(begun.concat()).await;
    client.read_head().await;
    assert_eq!(client.read_chunk().await.data, b"half of it");
    served.write(frame(reset, 0, 1, &[0; 4])).await;
    client.closed().await;
}
