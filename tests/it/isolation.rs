//! One request never touches another: whatever breaks off, comes early or stays behind, no byte of one shows up in the next.

mod body;
mod client;
mod plan;
mod upstream;

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;

use self::client::{Http1, Http2};
use self::plan::{Plan, Random, Site};
use crate::support::file::File;
use crate::support::process::{Program, Server};
use crate::support::within;

/// Clients of each pair of versions at the same time, and the calls that each makes.
const CLIENTS: u64 = 4;
const CALLS: u64 = 40;
const SEED: u64 = 20_251_129;

/// A proxy in front of an upstream that is spoken to by this version. Each of its threads has made a call, so that few requests
/// go out by HTTP/2 before the upstream's window is known.
async fn proxy(upstream: SocketAddr, version: &str, site: &Site) -> (Server, File) {
    let config =
        format!("[[upstream]]\nname = 'up'\nurl = 'http://{upstream}/v1'\nhttp = '{version}'");
    let config = File::new(
        &format!("isolation-{version}-{}.toml", upstream.port()),
        config,
    );
    let server = Program::configured(config.name()).listen().await;
    let mut clients = Vec::new();
    for _ in 0..std::thread::available_parallelism().unwrap().get() {
        clients.push(Http1::new(server.proxy).await);
    }
    for (id, mut client) in (0..).zip(clients) {
        within("the first answers", client.calls(&[Plan::empty(id)], site)).await;
    }
    (server, config)
}

/// The numbers of a client's calls.
fn ids(client: u64) -> Range<u64> {
    let first = (client + 1) * 1_000;
    first..first + CALLS
}

async fn by_http1(proxy: SocketAddr, mut random: Random, client: u64, site: Arc<Site>) {
    let mut ids = ids(client);
    let mut client = Http1::new(proxy).await;
    while let Some(id) = ids.next() {
        let mut plans = vec![Plan::random(&mut random, id)];
        if plans[0].is_sent_at_once() && random.one_in(3) {
            let next = ids.next();
            plans.extend(next.map(|id| Plan::random(&mut random, id)));
        }
        if !within(
            &format!("the answers to {plans:?}"),
            client.calls(&plans, &site),
        )
        .await
        {
            client = Http1::new(proxy).await;
        }
    }
}

async fn by_http2(proxy: SocketAddr, mut random: Random, client: u64, site: Arc<Site>) {
    let mut connection = Http2::new(proxy).await;
    for id in ids(client) {
        let plan = Plan::random(&mut random, id);
        within(
            &format!("the answer to {plan:?}"),
            connection.call(proxy, &plan, &site),
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_byte_shows_up_under_another_request() {
    let (site, mut found) = Site::new();
    let (address, upstream) = upstream::start(Arc::clone(&site)).await;
    let mut clients = JoinSet::new();
    let mut proxies = Vec::new();
    let mut random = Random::new(SEED);
    for (back, firsts) in [("1.1", 0..CLIENTS), ("2", CLIENTS..2 * CLIENTS)] {
        let (server, config) = proxy(address, back, &site).await;
        for first in firsts {
            let proxy = server.proxy;
            let (by_1, by_2) = (random.fork(), random.fork());
            clients.spawn(by_http1(proxy, by_1, 2 * first, Arc::clone(&site)));
            clients.spawn(by_http2(proxy, by_2, 2 * first + 1, Arc::clone(&site)));
        }
        proxies.push((server, config));
    }
    clients.join_all().await;
    upstream.abort();
    none_of(&mut found, &format!("seed {SEED}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_the_upstream_leaves_in_its_window_gets_nothing_of_the_next_request() {
    let (site, mut found) = Site::new();
    let (address, upstream) = upstream::start(Arc::clone(&site)).await;
    let (server, _config) = proxy(address, "2", &site).await;
    let mut client = Http1::new(server.proxy).await;
    for id in ids(0) {
        let plan = [Plan::answered_early(id)];
        if !within("the answer", client.calls(&plan, &site)).await {
            client = Http1::new(server.proxy).await;
        }
    }
    upstream.abort();
    none_of(&mut found, "answered early");
}

fn none_of(found: &mut UnboundedReceiver<String>, which: &str) {
    let found: Vec<_> = std::iter::from_fn(|| found.try_recv().ok())
        .take(3)
        .collect();
    assert!(found.is_empty(), "{which}:\n{}", found.join("\n"));
}
