//! Token counts, which come in two places and as running totals: each field's last value wins and nothing is summed
//! over events.
//!
//! Here `input_tokens` are what the cache did neither serve nor take up, while everywhere else in this program they are
//! all of the input. Relays open with zeros and know better at the end: a zero does not overwrite a number. Where the API
//! compacted what came before, or asked another model, `iterations` has the tokens of each step, and what stands beside it are
//! those of the message alone.

use super::known::{DETAILS, USAGE};
use crate::dialect::contract::Facts;
use crate::dialect::kit::chunks::read_identity;
use crate::dialect::kit::unknown::check_usage;
use crate::dialect::kit::usage;
use crate::parse::json::{Kind, Value};

/// Takes over what a `usage` member reports. Absent and `null` report nothing.
pub(super) fn merge(member: Option<Value<'_>>, facts: &mut Facts) {
    usage::merge_uncached(member, facts);
    let Some(reported) = member.filter(|reported| reported.kind() == Kind::Object) else {
        return;
    };
    check_usage(reported, USAGE, "usage", facts);
    let [tier, details] = reported.select(["service_tier", "output_tokens_details"]);
    read_identity([None, None, tier, None], facts);
    if let Some(details) = details {
        check_usage(details, DETAILS, "usage.output_tokens_details", facts);
    }
}
