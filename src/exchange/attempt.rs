//! The times that a request was sent: where to, why, and what came of each.
//!
//! As a rule there is one. What is said of the whole exchange, such as its upstream, is said of the attempt whose response the
//! client got.

use std::sync::Arc;
use std::time::Duration;

use super::Exchange;

/// An upstream of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Upstream {
    /// Name in the configuration.
    pub name: Arc<str>,
    /// Value for `gen_ai.provider.name`; `None` where neither the configuration nor the host says it, and the upstream has not
    /// yet said it of itself.
    pub provider: Option<Arc<str>>,
}

/// Where an upstream is reached.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Host of its URL.
    pub address: Arc<str>,
    /// Port of its URL, explicit or by scheme.
    pub port: u16,
}

/// One time a request was sent.
///
/// Its status and its error exclude each other: an error says why no response came. What befell the response that the client
/// got is said of the exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Which upstream it went to.
    pub upstream: Upstream,
    /// Where it was to be reached.
    pub endpoint: Endpoint,
    /// Absolute URL, without user and password, the values of key-like parameters replaced. Empty where it was the only one
    /// and did not fail: nobody asks for it then.
    pub url: String,
    /// Why it was made.
    pub why: Why,
    /// Whether usage was asked for on the client's behalf.
    pub usage_asked: bool,
    /// When it was ready to go, a connection still ahead; since the start of the exchange, as all that follow.
    pub issued: Duration,
    /// For how long it waited for a connection that others had; `None` where it did not.
    pub waited: Option<Duration>,
    /// When a connection took it; of a request without a body, when it was issued. `None` where none did.
    pub sent: Option<Duration>,
    /// When the head of its response came; `None` where none did.
    pub head: Option<Duration>,
    /// Status of the response; `None` where none came.
    pub status: Option<u16>,
    /// What stood in the way of a response, as a low-cardinality word.
    pub error: Option<&'static str>,
    /// When it was over: with the exchange where its response went to the client or was still waited for; else when it was
    /// clear that no response would come, or at the head of the one that was let go. `None` while it is in flight.
    pub end: Option<Duration>,
}

/// Why an attempt was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// The client sent the request.
    First,
    /// The upstream may have refused only what was asked for on the client's behalf.
    UsageRefused,
    /// The upstream said that it had not processed the request (HTTP/2: `GOAWAY`, `REFUSED_STREAM`).
    Unprocessed,
    /// A connection that had been used before closed before anything came, and the method is idempotent.
    ConnectionClosed,
}

impl Why {
    /// Every reason for an attempt after the first.
    pub const AGAIN: [Self; 3] = [
        Self::UsageRefused,
        Self::Unprocessed,
        Self::ConnectionClosed,
    ];

    /// The value of `streamgauge.attempt.why`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::UsageRefused => "usage_refused",
            Self::Unprocessed => "unprocessed",
            Self::ConnectionClosed => "connection_closed",
        }
    }
}

impl Attempt {
    /// When its response came, or it was clear that none would.
    fn settled(&self) -> Option<Duration> {
        self.head.or(self.end)
    }
}

impl Exchange {
    /// Place of the attempt whose response the client got: the last that had one, unless another is still waited for.
    #[must_use]
    pub fn answering_attempt(&self) -> Option<usize> {
        self.attempts.last()?.settled()?;
        let mut attempts = self.attempts.iter();
        attempts.rposition(|attempt| attempt.status.is_some())
    }

    /// Says of the whole exchange what is true of the attempt that is answered, or of the last where none is.
    pub fn follow_attempt(&mut self) {
        if self.attempts.len() == 1 && self.upstream.is_some() {
            return;
        }
        let answering = self.answering_attempt();
        let attempt = answering.map_or(self.attempts.last(), |at| self.attempts.get(at));
        if let Some(attempt) = attempt {
            self.upstream = Some(attempt.upstream.clone());
            self.endpoint = Some(attempt.endpoint.clone());
            self.request.usage_injected = attempt.usage_asked;
        }
    }

    /// Ends the attempts that are not over yet, where the exchange is.
    pub fn end_attempts(&mut self) {
        let (answering, call_end) = (self.answering_attempt(), self.call_end());
        for (at, attempt) in self.attempts.iter_mut().enumerate() {
            let let_go = attempt.head.filter(|_| answering != Some(at));
            let over = let_go.unwrap_or(call_end);
            attempt.end.get_or_insert(over);
        }
    }

    /// For how long it waited in all for connections that others had; `None` where it did not.
    #[must_use]
    pub fn waited(&self) -> Option<Duration> {
        let waits = self.attempts.iter().filter_map(|attempt| attempt.waited);
        waits.reduce(|one, other| one + other)
    }

    /// What the proxy itself cost: the time in which the request was here and no attempt under way, or waited for a
    /// connection that others had, and the time frames spent inside on the way back. Connecting to an upstream, and waiting for an answer that was then let go, is the
    /// upstream's time. `None` where nothing was sent.
    #[must_use]
    pub fn overhead(&self) -> Option<Duration> {
        let mut here_since = self.times.request_end;
        let mut ours = Duration::ZERO;
        for attempt in &self.attempts {
            ours += here_since.map_or(Duration::ZERO, |since| attempt.issued.saturating_sub(since));
            ours += attempt.waited.unwrap_or_default();
            here_since = here_since.max(attempt.settled());
        }
        (!self.attempts.is_empty()).then_some(ours + self.times.held)
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    /// An attempt at the endpoint of that name.
    fn attempt(endpoint: &str, issued: u64) -> Attempt {
        Attempt {
            upstream: Upstream {
                name: "main".into(),
                provider: Some("openai".into()),
            },
            endpoint: Endpoint {
                address: endpoint.into(),
                port: 443,
            },
            url: String::new(),
            why: Why::First,
            usage_asked: false,
            issued: MS(issued),
            waited: None,
            sent: None,
            head: None,
            status: None,
            error: None,
            end: None,
        }
    }

    fn answered(endpoint: &str, issued: u64, head: u64, status: u16) -> Attempt {
        Attempt {
            head: Some(MS(head)),
            status: Some(status),
            ..attempt(endpoint, issued)
        }
    }

    fn failed(endpoint: &str, issued: u64, end: u64) -> Attempt {
        Attempt {
            error: Some("connection_refused"),
            end: Some(MS(end)),
            ..attempt(endpoint, issued)
        }
    }

    /// An exchange whose request was read after 10 ms, and which ended after 100 ms.
    fn exchange(attempts: &[Attempt]) -> Exchange {
        let mut exchange = Exchange::begin(SystemTime::UNIX_EPOCH);
        exchange.times.request_end = Some(MS(10));
        exchange.times.end = MS(100);
        exchange.attempts = attempts.to_vec();
        exchange
    }

    #[test]
    fn the_time_an_upstream_took_for_an_answer_that_was_let_go_is_not_ours() {
        let refused = answered("a", 11, 51, 400);
        let mut exchange = exchange(&[refused, answered("a", 53, 90, 200)]);
        exchange.times.held = MS(4);
        // 1 ms before the first, 2 ms between the two, and what frames spent inside.
        assert_eq!(exchange.overhead(), Some(MS(7)));
        exchange.attempts.pop();
        assert_eq!(exchange.overhead(), Some(MS(5)));
    }

    #[test]
    fn the_time_until_a_connection_failed_is_not_ours() {
        let exchange = exchange(&[failed("a", 12, 42), attempt("b", 43)]);
        assert_eq!(exchange.overhead(), Some(MS(3)));
    }

    #[test]
    fn the_time_a_request_waited_for_others_is_ours() {
        let waited = Attempt {
            waited: Some(MS(20)),
            ..answered("a", 11, 51, 200)
        };
        assert_eq!(exchange(&[waited]).overhead(), Some(MS(21)));
    }

    #[test]
    fn what_was_sent_before_it_was_read_whole_has_waited_for_nothing_of_ours() {
        let exchange = exchange(&[answered("a", 2, 5, 200)]);
        assert_eq!(exchange.overhead(), Some(MS(0)));
    }

    #[test]
    fn a_request_that_went_nowhere_has_no_overhead() {
        assert_eq!(exchange(&[]).overhead(), None);
    }

    #[test]
    fn the_exchange_follows_the_attempt_that_was_answered() {
        let first = Attempt {
            usage_asked: true,
            ..answered("a", 11, 20, 400)
        };
        let at = |exchange: &mut Exchange| {
            exchange.follow_attempt();
            let endpoint = exchange.endpoint.as_ref().unwrap();
            (
                endpoint.address.to_string(),
                exchange.request.usage_injected,
            )
        };
        let mut exchange = exchange(&[attempt("a", 11), attempt("b", 12)]);
        assert_eq!(at(&mut exchange), ("b".to_owned(), false), "the last");
        exchange.attempts[0] = first;
        assert_eq!(at(&mut exchange), ("b".to_owned(), false), "waited for");
        exchange.attempts[1] = failed("b", 21, 30);
        assert_eq!(at(&mut exchange), ("a".to_owned(), true));
        exchange.attempts[1] = answered("b", 21, 40, 200);
        assert_eq!(at(&mut exchange), ("b".to_owned(), false));
    }

    #[test]
    fn an_attempt_ends_with_the_exchange_unless_it_was_over_before() {
        let ends = |attempts: &[Attempt]| -> Vec<_> {
            let mut exchange = exchange(attempts);
            exchange.end_attempts();
            let ends = exchange.attempts.iter().map(|attempt| attempt.end.unwrap());
            ends.collect()
        };
        let refused = answered("a", 11, 20, 400);
        let answer = answered("a", 21, 40, 200);
        assert_eq!(ends(&[refused.clone(), answer]), [MS(20), MS(100)]);
        assert_eq!(
            ends(&[refused.clone(), failed("a", 21, 30)]),
            [MS(100), MS(30)]
        );
        assert_eq!(ends(&[refused, attempt("a", 21)]), [MS(20), MS(100)]);
    }
}
