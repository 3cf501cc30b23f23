//! What an upstream says of itself: how long its parts of the work took, and what is left of its limits; and how long its
//! connections had to be waited for.
//!
//! The times that it says are by the upstream's clock. The `streamgauge.time_to_*` are by ours; what a time to first token has beyond queue and
//! prefill is the network's and the server's front end's.

use super::{BASE, KIND};
use crate::exchange::{Exchange, Limited, ServerTimes};
use crate::semconv::Attributes;
use crate::semconv::metric::{Kind, Metric, Record, buckets};
use std::time::Duration;

pub(super) static LOAD_TIME: Metric = time(
    "streamgauge.upstream.load_time",
    "Time that the upstream says it took to load the model.",
);
pub(super) static QUEUE_TIME: Metric = time(
    "streamgauge.upstream.queue_time",
    "Time that the upstream says the request waited to be scheduled.",
);
pub(super) static PREFILL_TIME: Metric = time(
    "streamgauge.upstream.prefill_time",
    "Time that the upstream says it took to read the prompt, from being scheduled to the first token.",
);
pub(super) static DECODE_TIME: Metric = time(
    "streamgauge.upstream.decode_time",
    "Time that the upstream says it took to generate, from the end of the prompt to the last token.",
);

pub(super) static RATE_LIMIT_REMAINING: Metric = Metric {
    name: "streamgauge.upstream.ratelimit.remaining",
    unit: "{item}",
    description: "What is left of a rate limit of the upstream, as its latest response says, by kind.",
    kind: Kind::Gauge,
    exemplars: false,
};

pub(super) static WAIT: Metric = Metric {
    name: "streamgauge.upstream.wait",
    unit: "s",
    description: "Time that a request waited for others to be done with the connections to the upstream.",
    kind: Kind::Histogram(buckets::SERVER_TIME),
    exemplars: true,
};

const fn time(name: &'static str, description: &'static str) -> Metric {
    Metric {
        name,
        unit: "s",
        description,
        kind: Kind::Histogram(buckets::SERVER_TIME),
        exemplars: true,
    }
}

/// Puts the times on the inference span, under the names of their metrics.
pub(super) fn attributes(exchange: &Exchange, span: &mut Attributes<'_>) {
    for (metric, time) in times(&exchange.response.server_times) {
        span.put_some(metric.name, time);
    }
    span.put_some(WAIT.name, exchange.waited());
}

/// Records what is left of each limit.
pub(super) fn record_limits(exchange: &Exchange, record: &mut dyn Record) {
    for limit in &exchange.rate_limits {
        let by = (KIND, limit_name(limit.limited));
        let samples = [Some(RATE_LIMIT_REMAINING.sample(limit.remaining))];
        record.record(&BASE, Some(by), &samples);
    }
}

const fn limit_name(limited: Limited) -> &'static str {
    match limited {
        Limited::Requests => "requests",
        Limited::Tokens => "tokens",
        Limited::InputTokens => "input_tokens",
        Limited::OutputTokens => "output_tokens",
    }
}

/// Records how long connections were waited for; nothing where they were not.
pub(super) fn record_wait(exchange: &Exchange, record: &mut dyn Record) {
    if let Some(waited) = exchange.waited() {
        record.record(&BASE, None, &[Some(WAIT.sample(waited))]);
    }
}

/// Records the times; nothing where the upstream says none.
pub(super) fn record_times(exchange: &Exchange, record: &mut dyn Record) {
    let told = &exchange.response.server_times;
    if *told == ServerTimes::default() {
        return;
    }
    let times = times(told);
    let samples = times.map(|(metric, time)| time.map(|time| metric.sample(time)));
    record.record(&BASE, None, &samples);
}

fn times(times: &ServerTimes) -> [(&'static Metric, Option<Duration>); 4] {
    [
        (&LOAD_TIME, times.load),
        (&QUEUE_TIME, times.queue),
        (&PREFILL_TIME, times.prefill),
        (&DECODE_TIME, times.decode),
    ]
}

#[cfg(test)]
mod tests {
    use super::WAIT;
    use crate::exchange::ServerTimes;
    use crate::semconv::own::Own;
    use crate::semconv::sample::{self, Recorded, inference_lines};
    use std::time::Duration;

    #[test]
    fn times_that_the_upstream_told_are_there_and_others_are_absent() {
        let mut exchange = sample::unary();
        exchange.response.server_times = ServerTimes {
            queue: Some(Duration::ZERO),
            decode: Some(Duration::from_millis(1500)),
            ..ServerTimes::default()
        };
        let about_times = |lines: Vec<String>| -> Vec<String> {
            let parts = ["load_time", "queue_time", "prefill_time", "decode_time"];
            let told = |line: &String| parts.iter().any(|part| line.contains(part));
            lines.into_iter().filter(told).collect()
        };
        assert_eq!(
            about_times(inference_lines(&Own, &exchange)),
            [
                "streamgauge.upstream.queue_time=0.0",
                "streamgauge.upstream.decode_time=1.5",
            ]
        );
        assert_eq!(
            about_times(Recorded::lines(&Own, &exchange)),
            [
                "streamgauge.upstream.queue_time {upstream=main} 0.0",
                "streamgauge.upstream.decode_time {upstream=main} 1.5",
            ]
        );
    }

    #[test]
    fn a_wait_for_connections_is_there_where_there_was_one() {
        let mut exchange = sample::unary();
        let about = |lines: Vec<String>| -> Vec<String> {
            let is_it = |line: &String| line.contains(WAIT.name);
            lines.into_iter().filter(is_it).collect()
        };
        assert_eq!(about(Recorded::lines(&Own, &exchange)), [""; 0]);
        exchange.attempts[0].waited = Some(Duration::from_millis(1500));
        assert_eq!(
            about(Recorded::lines(&Own, &exchange)),
            ["streamgauge.upstream.wait {upstream=main} 1.5"]
        );
        assert_eq!(
            about(inference_lines(&Own, &exchange)),
            ["streamgauge.upstream.wait=1.5"]
        );
    }
}
