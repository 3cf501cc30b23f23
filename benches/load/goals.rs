//! What the project has set itself to cost: one row for each goal, with what every peer came to beside it.

use serde_json::{Value, json};

use crate::link::Link;
use crate::peers::{DIRECT, MEASURED, REFERENCE};
use crate::report::Report;
use crate::support::figure::{self, Samples};
use crate::work::{self, Work};

/// What a goal is set in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Measure {
    /// As a multiple of nginx in the same round.
    TimesNginx,
    /// The figure itself, in this unit.
    Unit(&'static str),
}

/// One goal.
struct Goal {
    link: Link,
    /// As the tables and the picture call it.
    name: String,
    figure: String,
    measure: Measure,
    at_most: f64,
    /// What would be splendid; not every goal has one.
    moonshot: Option<f64>,
}

/// Those over the links that a run was for.
fn goals(report: &Report) -> Vec<Goal> {
    let goals = plain_goals().into_iter().chain(link_goals());
    goals
        .filter(|goal| report.links().contains(&goal.link))
        .collect()
}

/// Those of HTTP/1.1 without TLS.
fn plain_goals() -> [Goal; 13] {
    use Measure::{TimesNginx, Unit};
    let goal = |name: &str, figure: &str, measure, at_most, moonshot| Goal {
        link: Link::Plain,
        name: name.to_owned(),
        figure: figure.to_owned(),
        measure,
        at_most,
        moonshot,
    };
    let thousand = work::scaled(work::CPU_SCALED, 1000, 2);
    let added = work::added;
    let memory = work::memory_per_stream;
    [
        goal(
            "CPU per unary request",
            work::CPU_UNARY,
            TimesNginx,
            1.8,
            Some(1.2),
        ),
        goal(
            "CPU per paced chunk, 200 streams",
            work::CPU_PACED,
            TimesNginx,
            1.15,
            Some(1.0),
        ),
        goal(
            "CPU per paced chunk, 1,000 streams",
            &thousand,
            TimesNginx,
            1.15,
            Some(1.0),
        ),
        goal(
            "CPU per unpaced chunk",
            work::CPU_UNPACED,
            TimesNginx,
            1.8,
            Some(1.0),
        ),
        goal(
            "CPU per 1 MB prompt",
            work::CPU_PROMPT,
            TimesNginx,
            1.5,
            Some(0.8),
        ),
        goal(
            "added delay per chunk, p50",
            &added(work::DELAY_P50),
            TimesNginx,
            1.0,
            Some(0.5),
        ),
        goal(
            "added delay per chunk, p99",
            &added(work::DELAY_P99),
            TimesNginx,
            1.0,
            Some(0.5),
        ),
        goal(
            "added time to first token, p50",
            &added(work::TTFT_P50),
            Unit("µs"),
            100.0,
            Some(50.0),
        ),
        goal(
            "added time to first token, p99",
            &added(work::TTFT_P99),
            TimesNginx,
            1.0,
            None,
        ),
        goal(
            "memory per stream, 1,000 open",
            &memory(1000),
            Unit("KiB"),
            16.0,
            Some(8.0),
        ),
        goal(
            "memory per stream, 5,000 open",
            &memory(5000),
            Unit("KiB"),
            16.0,
            Some(8.0),
        ),
        goal(
            "memory when idle",
            work::MEMORY_IDLE,
            Unit("MiB"),
            20.0,
            Some(10.0),
        ),
        goal(
            "start to first byte served",
            work::FIRST_BYTE,
            Unit("ms"),
            50.0,
            Some(20.0),
        ),
    ]
}

/// Those of TLS and HTTP/2. Beside HTTP/2 to the upstream stands nginx's HTTP/1.1 by TLS, as it speaks no other.
fn link_goals() -> Vec<Goal> {
    const WORKS: [(&str, &str); 4] = [
        ("CPU per unary request", work::CPU_UNARY),
        ("CPU per paced chunk, 200 streams", work::CPU_PACED),
        ("CPU per unpaced chunk", work::CPU_UNPACED),
        ("CPU per 1 MB prompt", work::CPU_PROMPT),
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
        goals.map(move |((name, figure), (at_most, moonshot))| Goal {
            link,
            name: link.named(name),
            figure: link.named(figure),
            measure: Measure::TimesNginx,
            at_most: *at_most,
            moonshot: Some(*moonshot),
        })
    };
    let mut goals: Vec<Goal> = limits.into_iter().flat_map(of_link).collect();
    goals.push(Goal {
        link: Link::BothH2,
        name: Link::BothH2.named("memory per stream, 1,000 open"),
        figure: Link::BothH2.named(&work::memory_per_stream(1000)),
        measure: Measure::Unit("KiB"),
        at_most: 24.0,
        moonshot: Some(12.0),
    });
    goals
}

/// The works that the goals are about.
pub(crate) const WORKS: [Work; 8] = [
    Work::Unary,
    Work::Ttft,
    Work::Paced,
    Work::Unpaced,
    Work::Prompt,
    Work::Memory,
    Work::Start,
    Work::Scale,
];

impl Goal {
    /// What a peer came to, in the goal's measure.
    fn reached(&self, report: &Report, peer: &str) -> Samples {
        match self.measure {
            Measure::Unit(_) => report.samples(&self.figure, peer),
            Measure::TimesNginx => self.times_nginx(report, peer),
        }
    }

    fn times_nginx(&self, report: &Report, peer: &str) -> Samples {
        let reference = report.samples(&self.figure, REFERENCE);
        report.samples(&self.figure, peer).over(&reference)
    }

    fn verdict(&self, report: &Report) -> &'static str {
        match self.reached(report, MEASURED).median() {
            None => "not measured",
            Some(median) if self.moonshot.is_some_and(|moonshot| median <= moonshot) => "moonshot",
            Some(median) if median <= self.at_most => "met",
            Some(_) => "missed",
        }
    }

    fn limit(&self, limit: f64) -> String {
        match self.measure {
            Measure::TimesNginx => format!("≤ {limit}×"),
            Measure::Unit(unit) => format!("≤ {limit} {unit}"),
        }
    }
}

/// The peers with a column: all that there are but the one without a process.
fn columns(report: &Report) -> Vec<&'static str> {
    let peers = report.peers().iter().copied();
    peers.filter(|peer| *peer != DIRECT).collect()
}

/// The table.
pub(crate) fn markdown(report: &Report) -> String {
    let mut names = ["goal", "at most", "moonshot", "verdict"]
        .map(str::to_owned)
        .to_vec();
    names.extend(columns(report).into_iter().map(str::to_owned));
    let mut lines = vec![figure::head(&names)];
    for goal in goals(report) {
        let mut cells = vec![
            match goal.measure {
                Measure::TimesNginx => format!("{}, × nginx", goal.name),
                Measure::Unit(unit) => format!("{}, {unit}", goal.name),
            },
            goal.limit(goal.at_most),
            goal.moonshot
                .map_or("–".to_owned(), |moonshot| goal.limit(moonshot)),
            goal.verdict(report).to_owned(),
        ];
        let reached = |peer| goal.reached(report, peer).cell();
        cells.extend(columns(report).into_iter().map(reached));
        lines.push(figure::row(&cells));
    }
    lines.join("\n")
}

/// The same, and every peer as a multiple of nginx.
pub(crate) fn json(report: &Report) -> Value {
    let row = |goal: Goal| {
        let peer = |peer: &'static str| {
            let reached = goal.reached(report, peer);
            let value = json!({
                "median": reached.median(),
                "rounds": reached.values(),
                "figure": report.samples(&goal.figure, peer).median(),
                "times_nginx": goal.times_nginx(report, peer).median(),
            });
            (peer.to_owned(), value)
        };
        let unit = match goal.measure {
            Measure::TimesNginx => "× nginx",
            Measure::Unit(unit) => unit,
        };
        let peers: Value = columns(report).into_iter().map(peer).collect();
        json!({
            "goal": goal.name,
            "figure": goal.figure,
            "unit": unit,
            "at_most": goal.at_most,
            "moonshot": goal.moonshot,
            "verdict": goal.verdict(report),
            "peers": peers,
        })
    };
    goals(report).into_iter().map(row).collect()
}
