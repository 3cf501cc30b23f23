//! Sums over time: `/api/summary`.

use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;

use super::asked::Asked;
use super::{Wrong, as_json, worked_out};
use crate::admin::AdminState;
use crate::admin::query::Query;
use crate::version::VERSION;
use crate::view::{Latency, Step, Sums, Usd, Window, clock_ms, shown};

/// How far back, where nothing else is asked for.
const SINCE: Duration = Duration::from_secs(15 * 60);
/// Steps, where no length is asked for.
const STEPS: u32 = 60;
const DAY_MS: u64 = 24 * 3_600_000;

shown! {
    /// What there was in the last while, and what there is.
    pub(super) struct Summary {
        /// Now, in ms since 1970.
        pub(super) now_ms: u64,
        /// For how long the process has run.
        pub(super) uptime_ms: u64,
        /// What a client would set as `OPENAI_BASE_URL`.
        pub(super) base_url: String,
        /// Whether it takes new requests: false while it shuts down.
        pub(super) ready: bool,
        /// Version of streamgauge.
        pub(super) version: String,
        /// Exchanges in flight.
        pub(super) in_flight_count: u64,
        /// From when on all that ended is kept, in ms since 1970; steps before it miss some.
        pub(super) complete_since_ms: u64,
        /// Models of what is kept.
        pub(super) models: Vec<String>,
        /// Upstreams of what is kept.
        pub(super) upstreams: Vec<String>,
        /// Routes of what is kept.
        pub(super) routes: Vec<String>,
        /// The day so far, UTC; `q` has no part in it.
        pub(super) today: Today,
        /// Step by step, by when an exchange ended. The last step is not over.
        pub(super) steps: Vec<Step>,
        /// How long things took.
        pub(super) latency: Latencies,
    }
}

shown! {
    /// The day so far.
    pub(super) struct Today {
        /// Exchanges that ended.
        pub(super) requests: u64,
        /// Those that failed.
        pub(super) errors: u64,
        /// Input tokens of calls to models.
        pub(super) input_tokens: u64,
        /// Output tokens of calls to models.
        pub(super) output_tokens: u64,
        /// What they cost, as far as prices are known; `null` where no call has one.
        pub(super) cost_usd: Option<Usd>,
        /// Whether some of that is the cost of estimated tokens.
        pub(super) cost_estimated: bool,
        /// Calls whose price is not known.
        pub(super) unpriced: u64,
    }
}

shown! {
    /// How long things took, in ms.
    pub(super) struct Latencies {
        /// Time to first token.
        pub(super) time_to_first_token: Latency,
        /// Time per output token.
        pub(super) time_per_output_token: Latency,
        /// Duration.
        pub(super) duration: Latency,
    }
}

pub(super) async fn show(State(state): State<AdminState>, uri: Uri) -> Result<Response, Wrong> {
    let asked = Asked::of(&uri, &["q", "since", "step"])?;
    let query = asked.query()?;
    let since = asked.duration("since")?.unwrap_or(SINCE);
    let step = asked.duration("step")?.unwrap_or_else(|| usual_step(since));
    let now = clock_ms(SystemTime::now());
    let [since_ms, step_ms] = [since, step].map(|time| time.as_millis() as u64);
    let window = Window::ending(now, since_ms, step_ms).ok_or_else(|| {
        let shortest = Window::shortest_step(since_ms).div_ceil(1_000);
        Wrong::parameter(
            "step",
            format!("expected at least {shortest}s for that time: there are at most 240 steps"),
        )
    })?;
    worked_out(move || as_json(&summary(&state, &query, window, now))).await
}

/// A step of whole seconds.
fn usual_step(since: Duration) -> Duration {
    let seconds = since.as_secs().div_ceil(u64::from(STEPS));
    Duration::from_secs(seconds.max(1))
}

fn summary(state: &AdminState, query: &Query, window: Window, now_ms: u64) -> Summary {
    let entries = state.live.all();
    let sums = Sums::over(&entries, window, |row| query.takes(row));
    let began_ms = clock_ms(state.started_at);
    let kept_from_ms = entries
        .first()
        .map_or(began_ms, |oldest| oldest.ended_at_ms().min(began_ms));
    let complete_since_ms = state.live.kept().complete_since_ms.unwrap_or(kept_from_ms);
    Summary {
        now_ms,
        uptime_ms: now_ms.saturating_sub(began_ms),
        base_url: state.choices.base_url().to_owned(),
        ready: state.ready.load(Ordering::Relaxed),
        version: VERSION.to_owned(),
        in_flight_count: (state.in_flight)(),
        complete_since_ms: complete_since_ms.max((state.lost_until_ms)()),
        models: sums.models,
        upstreams: sums.upstreams,
        routes: sums.routes,
        today: today(state, now_ms),
        steps: sums.steps,
        latency: Latencies {
            time_to_first_token: sums.time_to_first_token,
            time_per_output_token: sums.time_per_output_token,
            duration: sums.duration,
        },
    }
}

fn today(state: &AdminState, now_ms: u64) -> Today {
    let midnight_ms = now_ms - now_ms % DAY_MS;
    let counts = state.live.counts_since(midnight_ms);
    let midnight = SystemTime::UNIX_EPOCH + Duration::from_millis(midnight_ms);
    let sums = state.costs.table(&[], midnight).total;
    Today {
        requests: counts.requests,
        errors: counts.errors,
        input_tokens: sums.input_tokens + sums.estimated_input_tokens,
        output_tokens: sums.output_tokens + sums.estimated_output_tokens,
        cost_usd: sums.cost().map(Usd),
        cost_estimated: !sums.estimated_usd.is_zero(),
        unpriced: sums.unpriced_calls,
    }
}
