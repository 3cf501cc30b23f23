//! What the project has set itself to cost: one row for each goal, with what every peer came to beside it.

mod table;

use serde_json::{Value, json};

use crate::peers::{DIRECT, MEASURED, ONE_WORKER, REFERENCE};
use crate::report::Report;
use crate::support::figure::{self, Samples};
use crate::support::link::Link;
use crate::works::{WORKS, Work};

/// What a goal is set in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Measure {
    /// As a multiple of nginx in the same round.
    TimesNginx,
    /// As a multiple of nginx in the same round, with a worker for each core or with one, whichever was cheaper then.
    TimesCheaperNginx,
    /// The figure itself, in this unit.
    Unit(&'static str),
}

/// One goal.
struct Goal {
    /// The work that it is about, by name.
    work: &'static str,
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
    let goals = table::goals().into_iter();
    goals
        .filter(|goal| report.links().contains(&goal.link))
        .collect()
}

/// The works that the goals are about.
pub(crate) fn works() -> Vec<&'static dyn Work> {
    let goals = table::goals();
    let has_goal = |work: &&'static dyn Work| goals.iter().any(|goal| goal.work == work.name());
    WORKS.into_iter().filter(has_goal).collect()
}

impl Goal {
    /// What a peer came to, in the goal's measure.
    fn reached(&self, report: &Report, peer: &str) -> Samples {
        match self.measure {
            Measure::Unit(_) => report.samples(&self.figure, peer),
            Measure::TimesNginx | Measure::TimesCheaperNginx => self.times_nginx(report, peer),
        }
    }

    fn times_nginx(&self, report: &Report, peer: &str) -> Samples {
        let mut reference = report.samples(&self.figure, REFERENCE);
        if self.measure == Measure::TimesCheaperNginx {
            reference = reference.or_less(&report.samples(&self.figure, ONE_WORKER));
        }
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
            Measure::TimesNginx | Measure::TimesCheaperNginx => format!("≤ {limit}×"),
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
                Measure::TimesNginx | Measure::TimesCheaperNginx => {
                    format!("{}, × nginx", goal.name)
                }
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
            Measure::TimesNginx | Measure::TimesCheaperNginx => "× nginx",
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
