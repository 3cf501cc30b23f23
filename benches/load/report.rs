//! The figures of all rounds, as Markdown and as JSON, and what they are against nginx and the budget.

use serde_json::{Value, json};

use crate::peers;
use crate::support::figure::{self, Samples};
use crate::work::{self, Figures};

/// Ratios to nginx in the same run that a peer which also measures may cost at first.
const BUDGET: [(&str, f64); 5] = [
    (work::CPU_UNARY, 3.0),
    (work::CPU_PACED, 1.5),
    (work::CPU_BURSTS, 1.5),
    (work::CPU_UNPACED, 3.0),
    (work::MEMORY, 2.0),
];

/// All figures so far.
pub(crate) struct Report {
    peers: Vec<&'static str>,
    rows: Vec<Row>,
}

struct Row {
    figure: String,
    /// One for each peer.
    samples: Vec<Samples>,
}

impl Report {
    /// An empty one.
    pub(crate) fn new(peers: Vec<&'static str>) -> Self {
        Self {
            peers,
            rows: Vec::new(),
        }
    }

    /// Adds one run of a peer, given by its place in the list.
    pub(crate) fn add(&mut self, peer: usize, figures: Figures) {
        for (figure, value) in figures {
            let at = self
                .rows
                .iter()
                .position(|row| row.figure == figure)
                .unwrap_or_else(|| {
                    self.rows.push(Row {
                        figure: figure.to_owned(),
                        samples: vec![Samples::default(); self.peers.len()],
                    });
                    self.rows.len() - 1
                });
            self.rows[at].samples[peer].push(value);
        }
    }

    /// Adds the rows that are made from others.
    pub(crate) fn finish(&mut self) {
        let Some(direct) = self.place(peers::DIRECT) else {
            return;
        };
        for delay in [work::DELAY_P50, work::DELAY_P99] {
            let Some(row) = self.rows.iter().find(|row| row.figure == delay) else {
                continue;
            };
            let added = |(peer, samples): (usize, &Samples)| {
                if peer == direct {
                    Samples::default()
                } else {
                    samples.less(&row.samples[direct])
                }
            };
            let samples = row.samples.iter().enumerate().map(added).collect();
            self.rows.push(Row {
                figure: format!("added {delay}"),
                samples,
            });
        }
    }

    /// The tables.
    pub(crate) fn markdown(&self) -> String {
        let names = |first: &str| {
            let mut names = vec![first.to_owned()];
            names.extend(self.peers.iter().map(|peer| (*peer).to_owned()));
            names
        };
        let mut lines = vec![figure::head(&names("median (least–greatest)"))];
        for row in &self.rows {
            let mut cells = vec![row.figure.clone()];
            cells.extend(row.samples.iter().map(Samples::cell));
            lines.push(figure::row(&cells));
        }
        let ratios = self.ratios();
        if !ratios.is_empty() {
            lines.push(String::new());
            lines.push(figure::head(
                &["ratio to nginx", "peer", "round by round", "budget", ""].map(str::to_owned),
            ));
        }
        for ratio in ratios {
            let verdict = match ratio.samples.median() {
                Some(median) if median <= ratio.budget => "within",
                Some(_) => "over budget",
                None => "not measured",
            };
            let budget = format!("{:.1}", ratio.budget);
            let cells = [
                ratio.figure,
                ratio.peer,
                &ratio.samples.cell(),
                &budget,
                verdict,
            ]
            .map(str::to_owned);
            lines.push(figure::row(&cells));
        }
        lines.join("\n")
    }

    /// Every value of every round.
    pub(crate) fn json(&self) -> Value {
        let by_peer = |samples: &[Samples]| -> Value {
            let named = self
                .peers
                .iter()
                .zip(samples)
                .filter(|(_, samples)| !samples.values().is_empty());
            named
                .map(|(peer, samples)| {
                    (
                        (*peer).to_owned(),
                        json!({"median": samples.median(), "rounds": samples.values()}),
                    )
                })
                .collect()
        };
        let figures: Value = self
            .rows
            .iter()
            .map(|row| (row.figure.clone(), by_peer(&row.samples)))
            .collect();
        let ratio = |ratio: &Ratio<'_>| {
            json!({"figure": ratio.figure, "peer": ratio.peer, "median": ratio.samples.median(),
                   "rounds": ratio.samples.values(), "budget": ratio.budget})
        };
        let ratios: Value = self.ratios().iter().map(ratio).collect();
        json!({"figures": figures, "ratios_to_nginx": ratios})
    }

    fn ratios(&self) -> Vec<Ratio<'_>> {
        let Some(reference) = self.place(peers::REFERENCE) else {
            return Vec::new();
        };
        let measured = |(peer, name): (usize, &&'static str)| {
            let ratio = move |(figure, budget): (&'static str, f64)| {
                let row = self.rows.iter().find(|row| row.figure == figure)?;
                let samples = row.samples[peer].over(&row.samples[reference]);
                Some(Ratio {
                    figure,
                    peer: self.peers[peer],
                    samples,
                    budget,
                })
            };
            let others = ![peers::REFERENCE, peers::DIRECT].contains(name);
            others.then(|| BUDGET.into_iter().filter_map(ratio))
        };
        self.peers
            .iter()
            .enumerate()
            .filter_map(measured)
            .flatten()
            .collect()
    }

    fn place(&self, peer: &str) -> Option<usize> {
        self.peers.iter().position(|name| *name == peer)
    }
}

struct Ratio<'a> {
    figure: &'a str,
    peer: &'a str,
    samples: Samples,
    budget: f64,
}
