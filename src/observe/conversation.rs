//! What only a whole exchange tells of its conversation: whose it is, what was answered, and what calls were made with.

use crate::dialect::{Texts, history};
use crate::exchange::{Answer, Digest, End, Exchange};
use crate::message::{Field, Names};
use crate::tap::RequestHead;

/// Header fields that say who a client is to an upstream: of OpenAI and compatible ones, Azure and its API Management, Anthropic,
/// Google, Cloudflare's gateway.
const CREDENTIALS: [&str; 10] = [
    "authorization",
    "api-key",
    "x-api-key",
    "x-goog-api-key",
    "proxy-authorization",
    "ocp-apim-subscription-key",
    "cf-aig-authorization",
    "x-auth-token",
    "openai-organization",
    "openai-project",
];

/// The hash of the credentials in a request's head: those fields, and the query, in which some servers want the key.
pub(super) fn credential(head: &RequestHead) -> Digest {
    const NAMES: Names = Names::of(&CREDENTIALS);
    let is_one =
        |field: &Field<'_>| field.may_be_of(NAMES) && CREDENTIALS.iter().any(|name| field.is(name));
    let fields = head.fields.iter().filter(is_one);
    let values = fields.map(|field| history::raw(field.value));
    let query = head.target.query().unwrap_or_default();
    history::of_all(values.chain([history::raw(query.as_bytes())]))
}

/// Adds it to an exchange of which it is known how it ended, by the texts that were gathered of its answer, the ids of the
/// items in it, and the hash of the client's credentials. What did not come whole is no answer, and is called with nothing
/// that is known.
pub(super) fn close(
    exchange: &mut Exchange,
    texts: Option<&Texts>,
    item_ids: &[Digest],
    credential: Option<Digest>,
) {
    let texts = texts.filter(|_| came_whole(exchange));
    if let Some(texts) = texts {
        history::read_arguments(texts, &mut exchange.response.tool_calls);
    }
    let Some(history) = &mut exchange.history else {
        return;
    };
    let upstream = exchange.upstream.as_ref();
    let upstream = upstream.map_or("", |upstream| &*upstream.name);
    let route = history::raw(upstream.as_bytes());
    history.tenant = credential.map(|credential| history::of_all([credential, route]));
    let calls = &exchange.response.tool_calls;
    let answer = texts.and_then(|texts| history::answer(texts, calls, item_ids));
    history.answer = answer.map(|answer| Answer {
        at: history.items.len(),
        ..answer
    });
}

fn came_whole(exchange: &Exchange) -> bool {
    let ended = matches!(
        exchange.end,
        End::Done | End::DoneWithoutFinish | End::FinishWithoutDone
    );
    let complete = !exchange.problems.is_partial() && !exchange.response.truncated;
    ended && complete && exchange.failure.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Fields, Target};
    use crate::tap::Instant;
    use http::{Method, Version};
    use std::time::SystemTime;

    fn of(target: &str, fields: &[(&str, &str)]) -> Digest {
        credential(&RequestHead {
            received: Instant::now(),
            received_at: SystemTime::UNIX_EPOCH,
            method: Method::POST,
            target: Target::of_path(target.to_owned().into()),
            version: Version::HTTP_11,
            fields: fields.iter().copied().collect::<Fields>(),
            scheme: "http",
            peer: None,
        })
    }

    #[test]
    fn tenants_are_told_apart_by_each_way_to_bring_a_key() {
        let path = "/v1/chat/completions";
        let nobody = of(path, &[("cookie", "a=1"), ("user-agent", "x")]);
        assert_eq!(nobody, of(path, &[("cookie", "a=2")]));
        for name in CREDENTIALS {
            let one = of(path, &[(&*name.to_uppercase(), "1")]);
            assert_eq!(one, of(path, &[(name, "1"), ("user-agent", "y")]));
            assert_ne!(one, of(path, &[(name, "2")]), "{name}");
            assert_ne!(one, nobody, "{name}");
        }
        let keyed = |key: &str| of(&format!("{path}?key={key}"), &[]);
        assert_ne!(keyed("1"), keyed("2"));
    }
}
