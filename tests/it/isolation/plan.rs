//! What becomes of each call, drawn at random, and whether what came of it is its own.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::sync::{mpsc, watch};

/// Numbers that are the same for the same seed (splitmix64).
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Numbers for somebody else.
    pub(super) fn fork(&mut self) -> Self {
        Self(self.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub(super) fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    /// A length: mostly of one read, at times of many.
    fn length(&mut self) -> usize {
        let most = [1, 100, 1_000, 100_000][self.below(4)];
        self.below(most)
    }
}

/// What becomes of one call. The client carries it out and tells the upstream its part in a field.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    /// Marks every byte of it. The client's next call has the next number.
    pub(super) id: u64,
    /// Bytes of the request's body.
    pub(super) request: usize,
    /// The client sends so many of them, and the rest only after the answer.
    pub(super) before: usize,
    /// The client sends its first so many bytes, head included, some time before the others.
    pub(super) cut: usize,
    pub(super) has_length: bool,
    pub(super) has_trailers: bool,
    /// The client never sends the rest.
    pub(super) breaks: bool,
    /// The client leaves in the middle of the answer.
    pub(super) leaves: bool,
    /// The upstream answers after so many bytes of the request; all that it has, where there are fewer.
    pub(super) answers_at: usize,
    pub(super) status: u16,
    /// Bytes of the answer's body.
    pub(super) answer: usize,
    /// The upstream breaks the answer off.
    pub(super) cuts: bool,
}

impl Plan {
    pub(super) fn random(random: &mut Random, id: u64) -> Self {
        let request = random.length();
        let has_length = random.one_in(3);
        let before = match random.one_in(3) {
            true => random.below(request + 1),
            false => request,
        };
        Self {
            id,
            request,
            before,
            cut: random.below(200 + 2 * before),
            has_length,
            has_trailers: !has_length && random.one_in(2),
            breaks: before < request && random.one_in(2),
            leaves: random.one_in(8),
            answers_at: match random.one_in(3) {
                true => before,
                false => random.below(before + 1).min(random.below(100)),
            },
            status: [200, 200, 400, 429][random.below(4)],
            answer: random.length(),
            cuts: random.one_in(8),
        }
    }

    /// Without any body.
    pub(super) const fn empty(id: u64) -> Self {
        Self {
            id,
            request: 0,
            before: 0,
            cut: 0,
            has_length: true,
            has_trailers: false,
            breaks: false,
            leaves: false,
            answers_at: 0,
            status: 200,
            answer: 0,
            cuts: false,
        }
    }

    /// The upstream answers before it reads, and the end of the body, with its trailers, comes behind the rest of it.
    pub(super) const fn answered_early(id: u64) -> Self {
        Self {
            id,
            request: 2_000,
            before: 2_000,
            cut: 1_000,
            has_length: false,
            has_trailers: true,
            ..Self::empty(id)
        }
    }

    pub(super) fn of(head: &HeaderMap) -> Self {
        let text = head["x-plan"].to_str().unwrap();
        let numbers: Vec<usize> = text.split(' ').map(|part| part.parse().unwrap()).collect();
        let [id, request, answers_at, status, answer, has_trailers, cuts] = numbers[..] else {
            panic!("{text} is no plan");
        };
        Self {
            id: id as u64,
            request,
            before: request,
            cut: 0,
            has_length: false,
            has_trailers: has_trailers == 1,
            breaks: false,
            leaves: false,
            answers_at,
            status: status as u16,
            answer,
            cuts: cuts == 1,
        }
    }

    /// Whether another request may be sent behind it.
    pub(super) const fn is_sent_at_once(&self) -> bool {
        self.before == self.request
    }

    /// The upstream's part.
    pub(super) fn field(&self) -> String {
        format!(
            "{} {} {} {} {} {} {}",
            self.id,
            self.request,
            self.answers_at,
            self.status,
            self.answer,
            u8::from(self.has_trailers),
            u8::from(self.cuts)
        )
    }

    /// Bytes of a body, each of which says whose it is.
    pub(super) fn marked(&self, from: usize, to: usize) -> Bytes {
        let mark = format!("{:07}.", self.id).into_bytes();
        (from..to).map(|at| mark[at % mark.len()]).collect()
    }

    pub(super) fn trailers(&self) -> HeaderMap {
        HeaderMap::from_iter([("x-mark".parse().unwrap(), self.id.into())])
    }
}

/// How the bodies of one message came: checked byte by byte against their mark.
pub(super) struct Read<'a> {
    plan: &'a Plan,
    what: &'static str,
    pub(super) length: usize,
    pub(super) trailers: bool,
}

impl<'a> Read<'a> {
    pub(super) const fn new(plan: &'a Plan, what: &'static str) -> Self {
        Self {
            plan,
            what,
            length: 0,
            trailers: false,
        }
    }

    /// The next frame; false at the end, however it came, and `whole` says how.
    pub(super) async fn frame(&mut self, body: &mut Incoming, site: &Site) -> Option<End> {
        let Self { plan, what, .. } = *self;
        match body.frame().await {
            // The library shows a reset that says nothing of an error as an end, too.
            None if body.is_end_stream() => return Some(End::Whole),
            None => return Some(End::Broken),
            Some(Err(_)) => return Some(End::Broken),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => {
                    let to = self.length + data.len();
                    if data != plan.marked(self.length, to) {
                        site.fault(format!("{what} of {plan:?} at {}: {data:?}", self.length));
                    }
                    self.length = to;
                }
                Err(frame) => {
                    let trailers = frame.into_trailers().unwrap();
                    self.trailers = true;
                    if trailers != plan.trailers() {
                        site.fault(format!("{what} of {plan:?} has {trailers:?}"));
                    }
                }
            },
        }
        None
    }

    pub(super) async fn rest(&mut self, body: &mut Incoming, site: &Site) -> End {
        loop {
            if let Some(end) = self.frame(body, site).await {
                return end;
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Whole,
    Broken,
}

/// What both ends of all calls share.
pub(super) struct Site {
    faults: mpsc::UnboundedSender<String>,
    /// The requests that have come to the upstream.
    arrived: watch::Sender<HashSet<u64>>,
}

impl Site {
    /// Also what is found wrong.
    pub(super) fn new() -> (Arc<Self>, mpsc::UnboundedReceiver<String>) {
        let (faults, found) = mpsc::unbounded_channel();
        let site = Self {
            faults,
            arrived: watch::Sender::default(),
        };
        (Arc::new(site), found)
    }

    /// A request has come to the upstream.
    pub(super) fn arrived(&self, plan: &Plan) {
        self.arrived.send_modify(|ids| {
            ids.insert(plan.id);
        });
    }

    /// Looks at an answer's body, whole or not.
    pub(super) fn check(&self, plan: &Plan, body: &[u8], whole: bool) {
        if body != plan.marked(0, body.len()) || (whole && (body.len() != plan.answer || plan.cuts))
        {
            let body = Bytes::copy_from_slice(body);
            self.fault(format!("{plan:?} got, whole: {whole}, {body:?}"));
        }
    }

    pub(super) fn fault(&self, what: String) {
        self.faults.send(what).unwrap();
    }

    /// Waits until the client's next request has come, or not for long: it need not come.
    pub(super) async fn next_arrived(&self, plan: &Plan) {
        let mut arrived = self.arrived.subscribe();
        let next = arrived.wait_for(|ids| ids.contains(&(plan.id + 1)));
        let _ = tokio::time::timeout(Duration::from_millis(20), next).await;
    }
}
