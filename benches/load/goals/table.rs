//! The goals: one row for each.

use super::{Goal, Measure};
use crate::support::link::Link;
use crate::works::closed_loop::{CPU_PROMPT, CPU_UNARY, CPU_UNPACED};
use crate::works::first_token::{TTFT_P50, TTFT_P99};
use crate::works::paced::{CPU_PACED, DELAY_P50, DELAY_P99};
use crate::works::scale::{CPU_SCALED, scaled};
use crate::works::start::{FIRST_BYTE, MEMORY_IDLE};
use crate::works::{added, beside, large, memory};

/// All of them.
pub(super) fn goals() -> Vec<Goal> {
    plain_goals().into_iter().chain(link_goals()).collect()
}

/// Those of HTTP/1.1 without TLS.
fn plain_goals() -> Vec<Goal> {
    use Measure::{TimesCheaperNginx, TimesNginx, Unit};
    let goal = |work, name: &str, figure: &str, measure, at_most, moonshot| Goal {
        work,
        link: Link::Plain,
        name: name.to_owned(),
        figure: figure.to_owned(),
        measure,
        at_most,
        moonshot,
    };
    vec![
        goal(
            "unary",
            "CPU per unary request",
            CPU_UNARY,
            TimesCheaperNginx,
            1.25,
            Some(1.0),
        ),
        goal(
            "paced",
            "CPU per paced chunk, 200 streams",
            CPU_PACED,
            TimesCheaperNginx,
            1.15,
            Some(1.0),
        ),
        goal(
            "scale",
            "CPU per paced chunk, 1,000 streams",
            &scaled(CPU_SCALED, 1000, 2),
            TimesCheaperNginx,
            0.9,
            Some(0.7),
        ),
        goal(
            "unpaced",
            "CPU per unpaced chunk",
            CPU_UNPACED,
            TimesCheaperNginx,
            1.8,
            Some(1.0),
        ),
        goal(
            "prompt",
            "CPU per 1 MB prompt",
            CPU_PROMPT,
            TimesCheaperNginx,
            0.8,
            Some(0.6),
        ),
        goal(
            "paced",
            "added delay per chunk, p50",
            &added(DELAY_P50),
            TimesNginx,
            1.0,
            Some(0.5),
        ),
        goal(
            "paced",
            "added delay per chunk, p99",
            &added(DELAY_P99),
            TimesNginx,
            1.0,
            Some(0.5),
        ),
        goal(
            "ttft",
            "added time to first token, p50",
            &added(TTFT_P50),
            TimesNginx,
            1.1,
            Some(0.9),
        ),
        goal(
            "ttft",
            "added time to first token, p99",
            &added(TTFT_P99),
            TimesNginx,
            1.0,
            Some(0.9),
        ),
        goal(
            "memory",
            "memory per stream, 1,000 open",
            &memory::per_stream(1000),
            Unit("KiB"),
            16.0,
            Some(8.0),
        ),
        goal(
            "memory",
            "memory per stream, 5,000 open",
            &memory::per_stream(5000),
            Unit("KiB"),
            8.0,
            Some(6.0),
        ),
        goal(
            "large",
            "memory after 60 prompts of 6 MiB",
            large::TIMES_IDLE,
            Unit("× idle"),
            1.3,
            Some(1.1),
        ),
        goal(
            "beside",
            "delay per chunk beside 1 MB requests, p99",
            beside::DELAY_P99,
            TimesNginx,
            1.0,
            Some(0.7),
        ),
        goal(
            "start",
            "memory when idle",
            MEMORY_IDLE,
            Unit("MiB"),
            10.0,
            Some(7.0),
        ),
        goal(
            "start",
            "start to first byte served",
            FIRST_BYTE,
            Unit("ms"),
            15.0,
            Some(8.0),
        ),
    ]
}

/// Those of TLS and HTTP/2. Beside HTTP/2 to the upstream stands nginx's HTTP/1.1 by TLS, as it speaks no other.
fn link_goals() -> Vec<Goal> {
    const WORKS: [(&str, &str, &str); 4] = [
        ("unary", "CPU per unary request", CPU_UNARY),
        ("paced", "CPU per paced chunk, 200 streams", CPU_PACED),
        ("unpaced", "CPU per unpaced chunk", CPU_UNPACED),
        ("prompt", "CPU per 1 MB prompt", CPU_PROMPT),
    ];
    let limits: [(Link, &'static [(f64, f64)]); 3] = [
        (
            Link::Tls,
            &[(1.0, 0.8), (0.95, 0.8), (1.0, 0.8), (0.9, 0.7)],
        ),
        (Link::H2, &[(1.1, 0.9), (0.85, 0.7), (1.0, 0.8), (0.9, 0.7)]),
        (Link::ClientH2, &[(1.5, 1.0), (1.2, 1.0)]),
    ];
    let of_link = |(link, limits): (Link, &'static [(f64, f64)])| {
        let goals = WORKS.into_iter().zip(limits);
        goals.map(move |((work, name, figure), (at_most, moonshot))| Goal {
            work,
            link,
            name: link.named(name),
            figure: link.named(figure),
            measure: Measure::TimesCheaperNginx,
            at_most: *at_most,
            moonshot: Some(*moonshot),
        })
    };
    let mut goals: Vec<Goal> = limits.into_iter().flat_map(of_link).collect();
    goals.push(Goal {
        work: "memory",
        link: Link::BothH2,
        name: Link::BothH2.named("memory per stream, 1,000 open"),
        figure: Link::BothH2.named(&memory::per_stream(1000)),
        measure: Measure::Unit("KiB"),
        at_most: 24.0,
        moonshot: Some(12.0),
    });
    goals
}
