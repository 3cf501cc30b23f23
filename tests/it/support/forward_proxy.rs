//! A forward proxy, of HTTP and of SOCKS5, that leads everything to one place, whatever it is asked for, and keeps what it was
//! asked.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::within;

/// A running proxy; it stops when dropped.
#[derive(Debug)]
pub(crate) struct ForwardProxy {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    heads: watch::Receiver<Vec<String>>,
    task: JoinHandle<()>,
}

impl ForwardProxy {
    /// A proxy that lets those through who bring this `Proxy-Authorization`, or everybody.
    pub(crate) async fn start(to: SocketAddr, authorization: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (note, heads) = watch::channel(Vec::new());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let note = note.clone();
                tokio::spawn(serve(stream, to, authorization, note));
            }
        });
        Self {
            address,
            heads,
            task,
        }
    }

    /// The heads of the requests so far; of SOCKS, user and password, and what was to be connected to.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.borrow().clone()
    }

    /// Waits for the first request.
    pub(crate) async fn asked(&self) -> String {
        let mut heads = self.heads.clone();
        let first = heads.wait_for(|heads| !heads.is_empty());
        within("a request to the proxy", first).await.unwrap()[0].clone()
    }
}

impl Drop for ForwardProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The version with which all messages of SOCKS5 begin (RFC 1928).
const SOCKS: u8 = 5;

/// Takes a client's wish for a connection, with user and password (RFC 1929) or without: both in words.
async fn socks(client: &mut TcpStream, with_password: bool) -> String {
    let methods = read(client, 2).await[1];
    let method = if with_password { 2 } else { 0 };
    assert!(read(client, methods).await.contains(&method));
    client.write_all(&[SOCKS, method]).await.unwrap();
    let mut asked = String::new();
    if with_password {
        let user_length = read(client, 2).await[1];
        let user = text(client, user_length).await;
        let password_length = read(client, 1).await[0];
        let password = text(client, password_length).await;
        asked = format!("{user}:{password} ");
        client.write_all(&[1, 0]).await.unwrap();
    }
    let host = match read(client, 4).await[3] {
        1 => {
            let octets: [u8; 4] = read(client, 4).await.try_into().unwrap();
            std::net::Ipv4Addr::from(octets).to_string()
        }
        3 => {
            let length = read(client, 1).await[0];
            text(client, length).await
        }
        kind => panic!("an address of kind {kind}"),
    };
    let port = client.read_u16().await.unwrap();
    let done = [SOCKS, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    client.write_all(&done).await.unwrap();
    format!("{asked}{host}:{port}")
}

async fn read(client: &mut TcpStream, length: u8) -> Vec<u8> {
    let mut bytes = vec![0; usize::from(length)];
    within("the proxy's client", client.read_exact(&mut bytes))
        .await
        .unwrap();
    bytes
}

async fn text(client: &mut TcpStream, length: u8) -> String {
    String::from_utf8(read(client, length).await).unwrap()
}

async fn serve(
    mut client: TcpStream,
    to: SocketAddr,
    authorization: Option<&str>,
    note: watch::Sender<Vec<String>>,
) {
    let mut head = Vec::new();
    let mut first = [0];
    if matches!(client.peek(&mut first).await, Ok(1..)) && first == [SOCKS] {
        let asked = socks(&mut client, authorization.is_some()).await;
        note.send_modify(|heads| heads.push(asked));
        let mut server = TcpStream::connect(to).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        return;
    }
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = client.read_u8().await else {
            return;
        };
        head.push(byte);
    }
    let text = String::from_utf8(head.clone()).unwrap();
    note.send_modify(|heads| heads.push(text.clone()));
    let field = authorization.map(|value| format!("proxy-authorization: {value}").to_lowercase());
    if field.is_some_and(|field| !text.to_lowercase().contains(&field)) {
        let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
        let _ = client.write_all(refusal.as_bytes()).await;
        return;
    }
    let mut server = TcpStream::connect(to).await.unwrap();
    if text.starts_with("CONNECT ") {
        let open = "HTTP/1.1 200 Connection established\r\n\r\n";
        client.write_all(open.as_bytes()).await.unwrap();
    } else {
        // A request with a whole URL is one that the server takes as it is.
        server.write_all(&head).await.unwrap();
    }
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
    }
    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
}
