//! Upstreams that answer without having read the request: what they left unread never becomes part of another call.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::support::client;
use crate::support::process::{Log, Program, Server};
use crate::support::relay::Relay;
use crate::support::scene::chat;
use crate::support::within;

/// What the log says once an upstream is not trusted any more.
const CONDEMNED: &str = "belong to no response";
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
/// Bodies as clients send them: in one line, and in several.
const BODIES: [&str; 2] = [
    r#"{"model":"m","messages":[{"role":"user","content":"say hi"}]}"#,
    "{\n  \"model\": \"m\",\n  \"messages\": []\n}\n",
];
/// More error answers than a server needs to prove itself.
const MANY: usize = 12;

/// How an upstream takes a request that it refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// It leaves the body unread, and takes it for the next request.
    Careless,
    /// The same, but it goes on with the connection only when it is told to.
    Slow,
    /// It reads the body before it answers.
    Sound,
}

/// An upstream of a few lines, as many are: it reads a request line by line.
struct Little {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    /// Lets the slow one go on.
    goes_on: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Little {
    async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::<AtomicUsize>::default();
        let (goes_on, told) = watch::channel(manner != Manner::Slow);
        let counted = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, manner, told.clone()));
            }
        });
        Self {
            address,
            connections,
            goes_on,
            task,
        }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    async fn proxy(&self) -> Server {
        let url = format!("http://{}/v1", self.address);
        Program::serve(&url).listen().await
    }
}

impl Drop for Little {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(stream: TcpStream, manner: Manner, mut goes_on: watch::Receiver<bool>) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        let read = stream.read_line(&mut line).await;
        if read.is_err() || line.is_empty() {
            return;
        }
        let words: Vec<_> = line.split_whitespace().collect();
        let ["POST", path, "HTTP/1.1"] = words[..] else {
            // A client that is gone need not read it.
            let _ = stream.write_all(answer(400, "bad syntax").as_bytes()).await;
            return;
        };
        let status = path.rsplit('/').next().unwrap().parse().unwrap();
        let length = read_fields(&mut stream).await;
        if status < 300 || manner == Manner::Sound {
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await.unwrap();
        }
        let _ = stream.write_all(answer(status, "said").as_bytes()).await;
        if status >= 300 {
            let _ = goes_on.wait_for(|goes_on| *goes_on).await;
        }
    }
}

/// Reads to the end of the head and gives the length of the body.
async fn read_fields(stream: &mut BufReader<TcpStream>) -> usize {
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        match line.trim().to_ascii_lowercase().split_once(": ") {
            Some(("content-length", value)) => length = value.parse().unwrap(),
            Some(_) => {}
            None => return length,
        }
    }
}

fn answer(status: u16, text: &str) -> String {
    let length = text.len();
    format!("HTTP/1.1 {status} Said\r\ncontent-length: {length}\r\n\r\n{text}")
}

/// A call of a client of its own, which is to be answered with this status, by the upstream.
async fn call(proxy: SocketAddr, status: u16, body: &str) {
    let answer = client::send(proxy, client::post(&format!("/v1/{status}"), body)).await;
    assert_eq!((answer.status(), answer.text()), (status, "said"), "{body}");
}

#[tokio::test]
async fn what_a_careless_upstream_left_unread_is_in_no_other_call() {
    for body in BODIES {
        for refused in [307, 401, 429, 503] {
            let upstream = Little::start(Manner::Careless).await;
            let server = upstream.proxy().await;
            for _ in 0..3 {
                call(server.proxy, 200, body).await;
                call(server.proxy, refused, body).await;
                call(server.proxy, 200, body).await;
            }
            for _ in 0..MANY {
                call(server.proxy, refused, body).await;
            }
            call(server.proxy, 200, body).await;
            let condemned = |log: &Log| log.text().contains(CONDEMNED);
            server.process.wait_for(CONDEMNED, condemned).await;
            let before = upstream.connections();
            call(server.proxy, refused, body).await;
            call(server.proxy, 200, body).await;
            call(server.proxy, 200, body).await;
            assert!(upstream.connections() >= before + 2);
        }
    }
}

#[tokio::test]
async fn a_storm_of_refusals_by_a_sound_upstream_costs_no_connections() {
    let upstream = Little::start(Manner::Sound).await;
    let server = upstream.proxy().await;
    // Until it has proven itself, on each of the threads that calls may run on.
    let proven = async {
        let mut quiet = 0;
        while quiet < MANY {
            let before = upstream.connections();
            call(server.proxy, 429, BODIES[0]).await;
            quiet = match upstream.connections() == before {
                true => quiet + 1,
                false => 0,
            };
        }
    };
    within("a connection that is kept after a 429", proven).await;
    let before = upstream.connections();
    for _ in 0..100 {
        call(server.proxy, 429, BODIES[0]).await;
    }
    let opened = upstream.connections() - before;
    assert!(opened <= 1, "{opened} connections for 100 calls");
    assert!(!server.process.stderr().text().contains(CONDEMNED));
}

#[tokio::test]
async fn an_upstream_that_is_slow_to_show_what_it_does_is_not_trusted() {
    for body in BODIES {
        let upstream = Little::start(Manner::Slow).await;
        let server = upstream.proxy().await;
        for count in 1..=MANY {
            call(server.proxy, 401, body).await;
            assert_eq!(upstream.connections(), count, "none is used twice");
        }
        call(server.proxy, 200, body).await;
        upstream.goes_on.send_replace(true);
        let condemned = |log: &Log| log.text().contains(CONDEMNED);
        server.process.wait_for(CONDEMNED, condemned).await;
        call(server.proxy, 401, body).await;
        call(server.proxy, 200, body).await;
    }
}

#[tokio::test]
async fn what_comes_unasked_on_a_connection_at_rest_answers_nothing() {
    for (unasked, condemns) in [
        (
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n",
            true,
        ),
        (
            "HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            false,
        ),
        ("\r\n", true),
    ] {
        let relay = Relay::start().await;
        let mut pair = relay.pair().await;
        for _ in 0..2 {
            pair.exchange(chat(BODIES[0]), OK).await;
        }
        assert_eq!(pair.connections, 1);
        pair.served().await.write(unasked).await;
        let _before = pair.served.take();
        pair.exchange(chat(BODIES[0]), OK).await;
        // A server that closes so soon keeps none, and of one that is condemned none is kept.
        pair.exchange(chat(BODIES[0]), OK).await;
        assert_eq!(pair.connections, 3);
        let process = &relay.server.process;
        let is_told = |log: &Log| log.text().contains(CONDEMNED);
        if condemns {
            process.wait_for(CONDEMNED, is_told).await;
        } else {
            assert!(!is_told(&process.stderr()), "{unasked:?}");
        }
    }
}

#[tokio::test]
async fn a_connection_that_answered_before_the_request_was_over_is_not_used_again() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    pair.client
        .write("POST /v1/x HTTP/1.1\r\nhost: me\r\ncontent-length: 4\r\n\r\nab")
        .await;
    let served = pair.served().await;
    served.read_head().await;
    served.read_exact(2).await;
    served
        .write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no")
        .await;
    pair.client.read_through(b"\r\n\r\no").await;
    pair.client.write("cd").await;
    let served = pair.served().await;
    served.read_exact(2).await;
    served.write("k").await;
    pair.client.read_exact(1).await;
    pair.served().await.closed().await;
}
