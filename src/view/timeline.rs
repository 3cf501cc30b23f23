//! When what happened in an exchange.

use std::borrow::Cow;

use super::shown;
use super::words::ms;
use crate::exchange::Exchange;

shown! {
    /// An instant of an exchange.
    pub struct Mark<'e> {
        /// Which: `received`, `request_end`, `sent`, `response_head`, `first_byte`, `first_chunk`, `first_reasoning`, `first_token`, `first_tool_call`, `last_token` or `end`.
        pub name: Cow<'e, str>,
        /// Since the request's head had come.
        pub at_ms: f64,
    }
}

shown! {
    /// A gap in the output that was longer than the stall threshold.
    pub struct Stall {
        /// When the output went on, since the request's head had come.
        pub at_ms: f64,
        /// How long it had stood still.
        pub gap_ms: f64,
    }
}

shown! {
    /// How many gaps between two events with output were about so long.
    pub struct Gap {
        /// Their mean.
        pub gap_ms: f64,
        /// How many.
        pub count: u64,
    }
}

shown! {
    /// When what happened. Instants that never came are not there.
    pub struct Timeline<'e> {
        /// Instants in order of time.
        pub marks: Vec<Mark<'e>>,
        /// The first stalls, at most 16.
        pub stalls: Vec<Stall>,
        /// All gaps in the output, by length.
        pub gaps: Vec<Gap>,
        /// The longest of them.
        pub largest_gap_ms: Option<f64>,
        /// What the proxy itself took; `null` where nothing was sent.
        pub overhead_ms: Option<f64>,
        /// How long bytes of the response were held here, most of it waiting for the client to read.
        pub held_ms: f64,
    }
}

impl Timeline<'_> {
    /// That of an exchange.
    #[must_use]
    pub fn of(exchange: &Exchange) -> Self {
        let (times, flow) = (&exchange.times, &exchange.flow);
        let marks = [
            ("received", Some(Default::default())),
            ("request_end", times.request_end),
            ("sent", times.sent),
            ("response_head", times.response_head),
            ("first_byte", times.first_byte),
            ("first_chunk", times.first_chunk),
            ("first_reasoning", times.first_reasoning),
            ("first_token", times.first_token),
            ("first_tool_call", times.first_tool_call),
            ("last_token", times.last_token),
            ("end", Some(times.end)),
        ];
        let marks = marks.into_iter();
        let mut marks: Vec<_> = marks.filter_map(|(name, at)| Some((at?, name))).collect();
        // Of the same time they stay in that order.
        marks.sort_by_key(|(at, _)| *at);
        let mark = |(at, name): (_, &'static str)| Mark {
            name: name.into(),
            at_ms: ms(at),
        };
        let stall = |stall: &crate::exchange::Stall| Stall {
            at_ms: ms(stall.at),
            gap_ms: ms(stall.gap),
        };
        let mut gaps = flow.gaps.clone();
        gaps.sort_unstable();
        let gaps = gaps.into_iter().map(|(gap, count)| Gap {
            gap_ms: ms(gap),
            count,
        });
        Self {
            marks: marks.into_iter().map(mark).collect(),
            stalls: flow.stalls.iter().map(stall).collect(),
            gaps: gaps.collect(),
            largest_gap_ms: flow.gap_max.map(ms),
            overhead_ms: exchange.overhead().map(ms),
            held_ms: ms(times.held),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_stand_in_order_of_time_and_only_those_that_came() {
        let exchange = crate::semconv::sample::streamed();
        let timeline = Timeline::of(&exchange);
        let names: Vec<&str> = timeline.marks.iter().map(|mark| &*mark.name).collect();
        assert_eq!((names[0], names.last()), ("received", Some(&"end")));
        assert!(timeline.marks.is_sorted_by_key(|mark| mark.at_ms));
        assert_eq!(
            names.contains(&"first_tool_call"),
            exchange.times.first_tool_call.is_some()
        );
    }
}
