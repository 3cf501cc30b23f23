//! The counts that a [`Usage`] has, place by place, and how a place takes up another count.

use crate::exchange::Usage;

/// Takes over a later count, unless it is a zero after a number. Says whether it did.
pub(in crate::dialect) fn update(slot: &mut Option<u64>, later: Option<u64>) -> bool {
    let takes = later.is_some_and(|later| later > 0 || slot.is_none());
    if takes {
        *slot = later;
    }
    takes
}

pub(super) fn add(slot: &mut Option<u64>, more: Option<u64>) {
    if let Some(more) = more {
        *slot = Some(slot.unwrap_or_default().saturating_add(more));
    }
}

/// Takes over what a later report says beside the main counts.
pub(super) fn update_more(usage: &mut Usage, later: &Usage) {
    let later = counts_of(later);
    for (slot, later) in slots(usage).into_iter().zip(later).skip(MAIN) {
        update(slot, later);
    }
}

/// How many of [`slots`] are the main counts.
const MAIN: usize = 4;

/// Every count: the main ones, the total, what they are made up of, and what is charged beside tokens.
pub(super) fn slots(usage: &mut Usage) -> [&mut Option<u64>; 18] {
    [
        &mut usage.input_tokens,
        &mut usage.output_tokens,
        &mut usage.cache_read_input_tokens,
        &mut usage.cache_write_input_tokens,
        &mut usage.total_tokens,
        &mut usage.reasoning_output_tokens,
        &mut usage.audio_input_tokens,
        &mut usage.audio_output_tokens,
        &mut usage.text_input_tokens,
        &mut usage.text_output_tokens,
        &mut usage.image_input_tokens,
        &mut usage.image_output_tokens,
        &mut usage.text_cache_read_input_tokens,
        &mut usage.audio_cache_read_input_tokens,
        &mut usage.image_cache_read_input_tokens,
        &mut usage.cache_write_5m_input_tokens,
        &mut usage.cache_write_1h_input_tokens,
        &mut usage.web_searches,
    ]
}

/// The counts of [`slots`].
pub(super) const fn counts_of(usage: &Usage) -> [Option<u64>; 18] {
    [
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_input_tokens,
        usage.cache_write_input_tokens,
        usage.total_tokens,
        usage.reasoning_output_tokens,
        usage.audio_input_tokens,
        usage.audio_output_tokens,
        usage.text_input_tokens,
        usage.text_output_tokens,
        usage.image_input_tokens,
        usage.image_output_tokens,
        usage.text_cache_read_input_tokens,
        usage.audio_cache_read_input_tokens,
        usage.image_cache_read_input_tokens,
        usage.cache_write_5m_input_tokens,
        usage.cache_write_1h_input_tokens,
        usage.web_searches,
    ]
}

/// Those of [`slots`] that are of the input.
pub(super) const fn input_slots(usage: &mut Usage) -> [&mut Option<u64>; 9] {
    [
        &mut usage.input_tokens,
        &mut usage.cache_read_input_tokens,
        &mut usage.cache_write_input_tokens,
        &mut usage.audio_input_tokens,
        &mut usage.text_input_tokens,
        &mut usage.image_input_tokens,
        &mut usage.text_cache_read_input_tokens,
        &mut usage.audio_cache_read_input_tokens,
        &mut usage.image_cache_read_input_tokens,
    ]
}
