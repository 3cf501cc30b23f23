//! Which exchanges are to show what was said in them, and the putting together of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::dialect::{AnswerContent, Dialect, PromptContent, Said};
use crate::exchange::{Content, ContentPolicy, Exchange, Missing, Operation, Problems, Request};
use crate::memory::{Memory, Share};

/// Whose content goes where.
#[derive(Debug, Clone)]
pub struct ContentRules {
    /// Where nothing else says it. Default nowhere.
    pub default: ContentPolicy,
    /// Of an upstream, by its name.
    pub upstreams: BTreeMap<Arc<str>, ContentPolicy>,
    /// Of a route, by its place in the configuration; goes before that of its upstream.
    pub routes: BTreeMap<usize, ContentPolicy>,
    /// Most bytes of texts that one attribute or event shows. Default 64 KiB.
    pub shown_bytes: usize,
}

impl Default for ContentRules {
    fn default() -> Self {
        Self {
            default: ContentPolicy::default(),
            upstreams: BTreeMap::new(),
            routes: BTreeMap::new(),
            shown_bytes: 64 << 10,
        }
    }
}

impl ContentRules {
    /// Whether any exchange shows anything.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.policies().any(|policy| policy.is_on())
    }

    /// Whether any exchange shows it in events.
    #[must_use]
    pub fn has_events(&self) -> bool {
        self.policies().any(|policy| policy.events)
    }

    /// Whether that of any exchange is stored.
    #[must_use]
    pub fn has_store(&self) -> bool {
        self.policies().any(|policy| policy.store)
    }

    fn policies(&self) -> impl Iterator<Item = &ContentPolicy> {
        let routes = self.routes.values();
        routes.chain(self.upstreams.values()).chain([&self.default])
    }

    /// What holds for a request that took this route to this upstream.
    fn of(&self, route: Option<usize>, upstream: &str) -> ContentPolicy {
        let by_route = route.and_then(|at| self.routes.get(&at).copied());
        let by_upstream = || self.upstreams.get(upstream).copied();
        by_route.or_else(by_upstream).unwrap_or(self.default)
    }
}

/// The content of one exchange, on its way to be put together; only where some exchange shows some.
pub(super) struct ContentReading {
    rules: Arc<ContentRules>,
    memory: Memory,
    limit: usize,
    policy: ContentPolicy,
    /// The decoded request, kept until it is known how the exchange ends.
    prompt: Option<Bytes>,
    /// What may not be held.
    full: bool,
}

impl ContentReading {
    pub(super) fn new(rules: &Arc<ContentRules>, memory: &Memory, limit: usize) -> Self {
        Self {
            rules: Arc::clone(rules),
            memory: memory.clone(),
            limit,
            policy: rules.default,
            prompt: None,
            full: false,
        }
    }

    /// The request goes to this upstream, by this route.
    pub(super) fn forwarded(&mut self, route: Option<usize>, upstream: &str) {
        self.policy = self.rules.of(route, upstream);
    }

    /// The request was read. Which policy holds for it may not be known yet.
    pub(super) fn request(&mut self, body: &Bytes) {
        let mut share = self.memory.share();
        if share.grow(body.len()) {
            self.prompt = Some(share.of(body.clone()));
        } else {
            self.full = true;
        }
    }

    /// What gathers the answer, if it is to be.
    pub(super) fn answer(&self) -> Option<Box<AnswerContent>> {
        let content = || Box::new(AnswerContent::within(self.limit));
        self.policy.is_on().then(content)
    }

    /// Whether it is to be shown.
    pub(super) const fn is_on(&self) -> bool {
        self.policy.is_on()
    }

    /// A share of what may be held, empty as yet.
    pub(super) fn share(&self) -> Share {
        self.memory.share()
    }

    /// Puts it together, where it is to be shown; gives what holds the memory for it. `exchange` is over.
    pub(super) fn finish(
        &self,
        exchange: &mut Exchange,
        prompt: Prompt,
        answer: Option<Box<AnswerContent>>,
    ) -> Option<Share> {
        let says = |it: Operation| it.generates_text() || it.is_embeddings();
        if !self.policy.is_on() || !exchange.operation.is_some_and(says) {
            return None;
        }
        let said = match prompt {
            Prompt::Said(said) => said,
            Prompt::InBody(dialect) => self.read(dialect?),
        };
        let mut content = Content {
            policy: self.policy,
            shown_bytes: self.rules.shown_bytes,
            ..Content::default()
        };
        let mut share = self.memory.share();
        let mut lost = self.full;
        let unread = said.is_none() && !self.full;
        if unread || said.as_ref().is_some_and(|said| said.unseen) {
            content.missing.push(Missing::Request);
        }
        if !unread && exchange.problems.is_partial() {
            content.missing.push(Missing::Response);
        }
        if let Some(said) = said {
            lost |= said.lost;
            if share.grow(said.bytes) {
                (content.system, content.input, content.tools) =
                    (said.system, said.input, said.tools);
            } else {
                lost = true;
            }
        }
        if let Some(answer) = answer {
            lost |= answer.is_lost();
            if share.grow(answer.bytes()) {
                content.output = answer.into_messages(&exchange.response);
            } else {
                lost = true;
            }
        }
        if lost {
            content.missing.push(Missing::Memory);
        }
        exchange.content = Some(Box::new(content));
        Some(share)
    }

    /// What the request says; `None` where it was not seen.
    fn read(&self, dialect: &dyn Dialect) -> Option<Said> {
        let body = self.prompt.as_ref()?;
        let mut fold = PromptContent::within(self.limit);
        let (mut request, mut problems) = (Request::default(), Problems::default());
        dialect.request(body, &mut request, &mut problems, &mut fold);
        Some(fold.finish())
    }
}

/// Where the prompt of an exchange is.
pub(super) enum Prompt {
    /// In the body of its request, which this dialect reads.
    InBody(Option<&'static dyn Dialect>),
    /// In the messages of its session, which were read; `None` where they were not seen.
    Said(Option<Said>),
}

#[cfg(test)]
mod tests {
    use super::*;

    const ATTRIBUTES: ContentPolicy = ContentPolicy {
        attributes: true,
        events: false,
        store: false,
    };

    #[test]
    fn the_route_goes_before_the_upstream_and_both_before_the_default() {
        let off = ContentPolicy::default();
        let rules = ContentRules {
            upstreams: BTreeMap::from([("a".into(), ATTRIBUTES)]),
            routes: BTreeMap::from([(1, off), (2, ATTRIBUTES)]),
            ..ContentRules::default()
        };
        assert!(rules.is_on());
        assert_eq!(rules.of(Some(0), "a"), ATTRIBUTES);
        assert_eq!(rules.of(None, "a"), ATTRIBUTES);
        assert_eq!(rules.of(Some(1), "a"), off);
        assert_eq!(rules.of(Some(0), "b"), off);
        assert_eq!(rules.of(Some(2), "b"), ATTRIBUTES);
        assert!(!ContentRules::default().is_on());
    }

    /// The content of an exchange with this request, where so many bytes may be held.
    fn content(body: &'static [u8], bytes: usize) -> (Content, usize) {
        let dialect = crate::dialect::for_request("POST", "/v1/chat/completions");
        finished(body, Prompt::InBody(dialect), bytes)
    }

    fn finished(body: &'static [u8], prompt: Prompt, bytes: usize) -> (Content, usize) {
        let rules = Arc::new(ContentRules {
            default: ATTRIBUTES,
            ..ContentRules::default()
        });
        let memory = Memory::new(bytes);
        let mut reading = ContentReading::new(&rules, &memory, 1 << 20);
        if !body.is_empty() {
            reading.request(&Bytes::from_static(body));
        }
        let mut exchange = Exchange::begin(std::time::SystemTime::UNIX_EPOCH);
        exchange.operation = Some(Operation::ChatCompletions);
        let held = reading.finish(&mut exchange, prompt, None).unwrap();
        (*exchange.content.unwrap(), held.bytes())
    }

    #[test]
    fn what_may_not_be_held_and_what_was_not_seen_is_missing() {
        const BODY: &[u8] = br#"{"messages":[{"role":"user","content":"hi"}]}"#;
        let (whole, held) = content(BODY, 1000);
        assert_eq!((whole.input.len(), &*whole.missing, held), (1, &[][..], 2));
        let (none, held) = content(BODY, BODY.len() - 1);
        assert_eq!(
            (none.input.len(), &*none.missing, held),
            (0, &[Missing::Memory][..], 0)
        );
        let (none, _) = content(BODY, BODY.len() + 1);
        assert_eq!(
            (none.input.len(), &*none.missing),
            (0, &[Missing::Memory][..])
        );
        let (unseen, _) = content(b"", 1000);
        assert_eq!(unseen.missing, [Missing::Request]);
        let in_part = Said {
            unseen: true,
            ..Said::default()
        };
        let (unseen, _) = finished(b"", Prompt::Said(Some(in_part)), 1000);
        assert_eq!(unseen.missing, [Missing::Request]);
    }
}
