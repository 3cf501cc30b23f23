//! Token counts.
//!
//! A stream may report them never, once, or on every chunk as a running total, so each field's last value wins and
//! nothing is summed. Some servers (MiniMax) send zeros as a placeholder: a zero does not overwrite a number. Chat calls
//! them by prompt and completion, the Responses API by input and output; relays of one to the other mix them. The Realtime
//! API and that of transcriptions spell `…_token_details`.

use crate::dialect::member::{count, object, typed};
use crate::exchange::{Problems, Usage};
use crate::json::Value;

/// Takes over what a `usage` member reports. Absent and `null` report nothing.
pub(in crate::dialect) fn merge(
    member: Option<Value<'_>>,
    usage: &mut Usage,
    problems: &mut Problems,
) {
    let Some(reported) = typed(member, problems, object) else {
        return;
    };
    let [total, hits, cached, named @ ..] = reported.select([
        "total_tokens",
        "prompt_cache_hit_tokens",
        "cached_tokens",
        "prompt_tokens",
        "input_tokens",
        "completion_tokens",
        "output_tokens",
        "prompt_tokens_details",
        "input_tokens_details",
        "input_token_details",
        "completion_tokens_details",
        "output_tokens_details",
        "output_token_details",
    ]);
    let first = |names: std::ops::Range<usize>| {
        let mut members = named[names].iter().copied().flatten();
        members.find(|member| !member.is_null())
    };
    take(&mut usage.input_tokens, first(0..2), problems);
    take(&mut usage.output_tokens, first(2..4), problems);
    take(&mut usage.total_tokens, total, problems);
    // Moonshot and DeepSeek say it here; where the documented place says it too, that one wins.
    take(&mut usage.cache_read_input_tokens, cached, problems);
    take(&mut usage.cache_read_input_tokens, hits, problems);
    merge_input_details(first(4..7), usage, problems);
    merge_output_details(first(7..10), usage, problems);
}

/// Takes over how the input tokens are made up.
fn merge_input_details(details: Option<Value<'_>>, usage: &mut Usage, problems: &mut Problems) {
    let Some(details) = typed(details, problems, object) else {
        return;
    };
    let [cached, written, audio, text, image] = details.select([
        "cached_tokens",
        "cache_write_tokens",
        "audio_tokens",
        "text_tokens",
        "image_tokens",
    ]);
    take(&mut usage.cache_read_input_tokens, cached, problems);
    take(&mut usage.cache_write_input_tokens, written, problems);
    take(&mut usage.audio_input_tokens, audio, problems);
    take(&mut usage.text_input_tokens, text, problems);
    take(&mut usage.image_input_tokens, image, problems);
}

fn merge_output_details(details: Option<Value<'_>>, usage: &mut Usage, problems: &mut Problems) {
    let Some(details) = typed(details, problems, object) else {
        return;
    };
    let [reasoning, audio, text, image] = details.select([
        "reasoning_tokens",
        "audio_tokens",
        "text_tokens",
        "image_tokens",
    ]);
    take(&mut usage.reasoning_output_tokens, reasoning, problems);
    take(&mut usage.audio_output_tokens, audio, problems);
    take(&mut usage.text_output_tokens, text, problems);
    take(&mut usage.image_output_tokens, image, problems);
}

/// Takes over one count, unless it is a zero after a number.
pub(in crate::dialect) fn take(
    slot: &mut Option<u64>,
    member: Option<Value<'_>>,
    problems: &mut Problems,
) {
    if let Some(reported) = typed(member, problems, count)
        && (reported > 0 || slot.is_none())
    {
        *slot = Some(reported);
    }
}
