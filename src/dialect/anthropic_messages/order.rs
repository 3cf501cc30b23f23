//! The order of events: a message begins, its blocks come one after another, it says why it stops, and stops.
//!
//! Governing text: the Anthropic API reference, "Streaming messages", "Event types". It watches, and nothing is read by it.

/// What came last of a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum EventOrder {
    /// Nothing.
    #[default]
    Before,
    /// Its beginning, or the end of a block.
    Between,
    /// A block that is open.
    Block,
    /// Why it stops.
    Reason,
    /// Its end.
    Over,
}

impl EventOrder {
    /// Goes on by an event of this type, wherever it may stand. Says whether it was in its order; one that has none always
    /// is.
    pub(super) fn follow(&mut self, kind: &str) -> bool {
        let (after, next): (&[Self], _) = match kind {
            "message_start" => (&[Self::Before], Self::Between),
            "content_block_start" => (&[Self::Between], Self::Block),
            "content_block_delta" => (&[Self::Block], Self::Block),
            "content_block_stop" => (&[Self::Block], Self::Between),
            // It may come several times.
            "message_delta" => (&[Self::Between, Self::Reason], Self::Reason),
            "message_stop" => (&[Self::Reason], Self::Over),
            _ => return true,
        };
        let in_order = after.contains(self);
        *self = next;
        in_order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The events that are out of order.
    fn odd<'a>(kinds: &[&'a str]) -> Vec<&'a str> {
        let mut order = EventOrder::default();
        let odd = kinds.iter().filter(|kind| !order.follow(kind));
        odd.copied().collect()
    }

    const START: &str = "message_start";
    const BLOCK: [&str; 3] = [
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
    ];
    const END: [&str; 2] = ["message_delta", "message_stop"];

    #[test]
    fn the_documented_order_is_none_to_speak_of() {
        let two_blocks = [&["ping", START], &BLOCK[..], &["ping"], &BLOCK, &END].concat();
        assert_eq!(odd(&two_blocks), [""; 0]);
        let no_block = [START, END[0], END[0], "new", END[1]];
        assert_eq!(odd(&no_block), [""; 0]);
    }

    #[test]
    fn what_is_out_of_order_is_told_once_for_each_event() {
        assert_eq!(odd(&[BLOCK[0], BLOCK[1]]), [BLOCK[0]]);
        assert_eq!(odd(&[START, BLOCK[0], BLOCK[0]]), [BLOCK[0]]);
        assert_eq!(odd(&[START, BLOCK[0], END[0], END[1]]), [END[0]]);
        assert_eq!(odd(&[START, END[1], START]), [END[1], START]);
    }
}
