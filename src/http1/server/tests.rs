use std::future::poll_fn;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use http_body_util::channel::Channel;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::sync::mpsc;

use super::*;
use crate::message::{Fields, HttpBody};

/// Answers as soon as it has read so many frames of a request, and hands on what is left of the body.
struct Early {
    frames: usize,
    /// Whether the answer breaks off.
    breaks: bool,
    bodies: mpsc::UnboundedSender<RequestBody>,
}

impl Service for Early {
    type Body = Channel<Bytes, std::io::Error>;

    async fn call(&self, request: Request<RequestBody>) -> Response<Self::Body> {
        let mut body = HttpBody(request.body);
        for _ in 0..self.frames {
            body.frame().await.unwrap().unwrap();
        }
        self.bodies.send(body.0).unwrap();
        let (mut sender, body) = Channel::new(1);
        sender
            .send_data(Bytes::from_static(b"early"))
            .await
            .unwrap();
        if self.breaks {
            sender.abort(std::io::Error::other("it broke"));
        }
        Response {
            status: StatusCode::OK,
            reason: None,
            fields: Fields::default(),
            body,
        }
    }

    fn refuse(&self, refused: RefusedHead) -> Response<Self::Body> {
        unreachable!("every request is one: {}", refused.error)
    }
}

/// A client's end, and the bodies of its requests.
fn served(frames: usize, breaks: bool) -> (DuplexStream, mpsc::UnboundedReceiver<RequestBody>) {
    let (client, server) = duplex(1 << 16);
    let (bodies, received) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let (_stop, stopped) = watch::channel(false);
        let service = Early {
            frames,
            breaks,
            bodies,
        };
        serve(server, &service, &Occupancy::default(), stopped).await;
    });
    (client, received)
}

/// Time stands still where nothing happens, so that a wait in vain ends at once.
async fn soon<F: Future>(future: F) -> F::Output {
    let limit = Duration::from_secs(60);
    tokio::time::timeout(limit, future).await.unwrap()
}

const FIRST: &str =
    "POST /1 HTTP/1.1\r\nhost: me\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n";
const REST: &str = "4\r\nrest\r\n0\r\nx-t: 1\r\n\r\n";
const SECOND: &str = "POST /2 HTTP/1.1\r\nhost: me\r\ncontent-length: 6\r\n\r\nsecond";

/// Reads an answer to its end; what it says of the connection.
async fn answered(client: &mut DuplexStream) -> bool {
    let mut answer = Vec::new();
    while !answer.ends_with(b"0\r\n\r\n") {
        assert_ne!(soon(client.read_buf(&mut answer)).await.unwrap(), 0);
    }
    !String::from_utf8(answer)
        .unwrap()
        .contains("connection: close")
}

#[tokio::test(start_paused = true)]
async fn a_request_goes_on_behind_its_answer_and_the_next_one_comes_behind_it() {
    let (mut client, mut bodies) = served(1, false);
    client.write_all(FIRST.as_bytes()).await.unwrap();
    let body = soon(bodies.recv()).await.unwrap();
    assert!(answered(&mut client).await);
    let held = tokio::spawn(async move {
        let mut body = HttpBody(body);
        let rest = soon(body.frame()).await.unwrap().unwrap();
        let trailers = soon(body.frame()).await.unwrap().unwrap();
        assert_eq!(rest.into_data().unwrap(), "rest");
        assert_eq!(trailers.into_trailers().unwrap()["x-t"], "1");
        assert!(soon(body.frame()).await.is_none());
        body
    });
    let both = [REST, SECOND].concat();
    client.write_all(both.as_bytes()).await.unwrap();
    let mut first = held.await.unwrap();
    soon(bodies.recv()).await.unwrap();
    assert!(answered(&mut client).await);
    assert!(soon(first.frame()).await.is_none(), "it is over");
}

#[tokio::test(start_paused = true)]
async fn the_next_request_waits_while_trailers_are_left() {
    let (mut client, mut bodies) = served(1, false);
    let both = [FIRST, REST, SECOND].concat();
    client.write_all(both.as_bytes()).await.unwrap();
    let mut first = HttpBody(soon(bodies.recv()).await.unwrap());
    assert!(answered(&mut client).await);
    let next = tokio::time::timeout(Duration::from_secs(5), bodies.recv());
    assert!(next.await.is_err());
    while let Some(frame) = soon(first.frame()).await {
        frame.unwrap();
    }
    soon(bodies.recv()).await.unwrap();
    assert!(answered(&mut client).await);
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_request_nobody_reads_on_is_closed() {
    let (mut client, mut bodies) = served(1, false);
    client.write_all(FIRST.as_bytes()).await.unwrap();
    let body = soon(bodies.recv()).await.unwrap();
    assert!(answered(&mut client).await);
    drop(body);
    let mut rest = Vec::new();
    assert_eq!(soon(client.read_to_end(&mut rest)).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_over_is_closed_whoever_has_a_body_of_it() {
    let (mut client, mut bodies) = served(1, true);
    let request = "POST /1 HTTP/1.1\r\nhost: me\r\ncontent-length: 10\r\n\r\n01234";
    client.write_all(request.as_bytes()).await.unwrap();
    let _body = soon(bodies.recv()).await.unwrap();
    let mut answer = Vec::new();
    soon(client.read_to_end(&mut answer)).await.unwrap();
    assert!(!answer.ends_with(b"0\r\n\r\n"));
}

/// What the body gives whoever gathers it.
async fn more(
    body: &mut RequestBody,
    gathered: &mut Vec<u8>,
) -> Option<std::io::Result<Option<Bytes>>> {
    let frame = soon(poll_fn(|cx| body.poll_onto(cx, gathered))).await;
    frame.map(|frame| frame.map(|frame| frame.data().cloned()))
}

#[tokio::test(start_paused = true)]
async fn a_body_is_read_to_where_it_stays_and_the_next_request_is_not() {
    let (mut client, mut bodies) = served(0, false);
    let request = "POST /1 HTTP/1.1\r\nhost: me\r\ncontent-length: 9\r\n\r\nfirst";
    client.write_all(request.as_bytes()).await.unwrap();
    let mut body = soon(bodies.recv()).await.unwrap();
    assert!(answered(&mut client).await);
    // What came with the head has been read already.
    let mut gathered = Vec::with_capacity(100);
    let first = more(&mut body, &mut gathered).await.unwrap().unwrap();
    assert_eq!((first.unwrap(), gathered.len()), (Bytes::from("first"), 0));

    let room = gathered.as_ptr();
    client
        .write_all(["rest", SECOND].concat().as_bytes())
        .await
        .unwrap();
    let rest = more(&mut body, &mut gathered).await.unwrap().unwrap();
    assert_eq!(rest.unwrap(), "");
    assert_eq!((&gathered[..], gathered.as_ptr()), (&b"rest"[..], room));
    assert!(more(&mut body, &mut gathered).await.is_none());
    soon(bodies.recv()).await.unwrap();
    assert!(answered(&mut client).await);
}

#[tokio::test(start_paused = true)]
async fn a_body_is_read_as_far_as_there_is_room_and_its_early_end_is_an_error() {
    let (mut client, mut bodies) = served(0, false);
    let request = "POST /1 HTTP/1.1\r\nhost: me\r\ncontent-length: 100\r\n\r\n";
    client.write_all(request.as_bytes()).await.unwrap();
    let mut body = soon(bodies.recv()).await.unwrap();
    assert!(answered(&mut client).await);
    client.write_all(b"0123456789").await.unwrap();
    let mut gathered = Vec::with_capacity(4);
    assert_eq!(
        more(&mut body, &mut gathered)
            .await
            .unwrap()
            .unwrap()
            .unwrap(),
        ""
    );
    assert_eq!(&gathered[..], b"0123");
    let beyond = more(&mut body, &mut gathered).await.unwrap().unwrap();
    assert_eq!(
        (beyond.unwrap(), gathered.len()),
        (Bytes::from("456789"), 4)
    );

    drop(client);
    gathered.reserve(100);
    let cut = more(&mut body, &mut gathered).await.unwrap().unwrap_err();
    assert_eq!(cut.kind(), std::io::ErrorKind::UnexpectedEof);
    assert!(more(&mut body, &mut gathered).await.is_none());
}
