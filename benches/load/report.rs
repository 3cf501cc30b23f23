//! The figures of all rounds, as Markdown and as JSON.

use serde_json::{Value, json};

use crate::peers;
use crate::support::figure::{self, Samples};
use crate::support::link::Link;
use crate::works::{self, Figures, WORKS};

/// All figures so far.
pub(crate) struct Report {
    peers: Vec<&'static str>,
    links: Vec<Link>,
    rows: Vec<Row>,
}

struct Row {
    figure: String,
    /// One for each peer.
    samples: Vec<Samples>,
}

impl Report {
    /// An empty one.
    pub(crate) fn new(peers: Vec<&'static str>, links: Vec<Link>) -> Self {
        Self {
            peers,
            links,
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
                        figure,
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
        let times = WORKS.iter().flat_map(|work| work.beside_direct());
        let links = self.links.clone().into_iter();
        for (link, time) in links.flat_map(|link| times.clone().map(move |time| (link, time))) {
            let figure = link.named(time);
            let Some(row) = self.rows.iter().find(|row| row.figure == figure) else {
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
                figure: link.named(&works::added(time)),
                samples,
            });
        }
    }

    /// The table.
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
        self.rows
            .iter()
            .map(|row| (row.figure.clone(), by_peer(&row.samples)))
            .collect()
    }

    /// All values of a figure that a peer has brought; none where it was not measured.
    pub(crate) fn samples(&self, figure: &str, peer: &str) -> Samples {
        let row = self.rows.iter().find(|row| row.figure == figure);
        row.zip(self.place(peer))
            .map(|(row, place)| row.samples[place].clone())
            .unwrap_or_default()
    }

    /// The links that were chosen.
    pub(crate) fn links(&self) -> &[Link] {
        &self.links
    }

    /// The peers, in the order of the tables.
    pub(crate) fn peers(&self) -> &[&'static str] {
        &self.peers
    }

    fn place(&self, peer: &str) -> Option<usize> {
        self.peers.iter().position(|name| *name == peer)
    }
}
