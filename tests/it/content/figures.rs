//! How well the redaction finds what it looks for, on a corpus that was written for this: `docs/content.md` says it.

use std::collections::BTreeMap;
use std::ops::Range;

use streamgauge::redact::{Detector, Policy, Redactor};

const CORPUS: &str = include_str!("../../fixtures/redact/corpus.txt");
const DOCUMENTED: &str = include_str!("../../../docs/content.md");

/// A text, and what is to be found in it.
fn read(line: &str) -> (String, Vec<(String, Range<usize>)>) {
    let (mut text, mut marked) = (String::new(), Vec::new());
    let mut rest = line;
    while let Some((before, inside)) = rest.split_once('«') {
        text.push_str(before);
        let (mark, after) = inside.split_once('»').unwrap();
        let (name, value) = mark.split_once(':').unwrap();
        marked.push((name.to_owned(), text.len()..text.len() + value.len()));
        text.push_str(value);
        rest = after;
    }
    text.push_str(rest);
    (text, marked)
}

/// What one detector comes to.
#[derive(Default)]
struct Figures {
    marked: u32,
    found: u32,
    wrong: u32,
}

fn percent(part: u32, of: u32) -> String {
    format!("{:.0} %", f64::from(part) * 100.0 / f64::from(of.max(1)))
}

#[test]
fn precision_and_recall_are_as_documented() {
    let redactor = Redactor::new(Policy::default());
    let mut figures: BTreeMap<String, Figures> = BTreeMap::new();
    let mut astray = Vec::new();
    for line in CORPUS.lines().filter(|line| !line.starts_with('#')) {
        let (text, marked) = read(line);
        let found = redactor.find(&text);
        for (name, range) in &marked {
            let figures = figures.entry(name.clone()).or_default();
            figures.marked += 1;
            // What counts is that it is gone, whatever it was taken for.
            let covers = |range: &Range<usize>, by: &Range<usize>| {
                by.start <= range.start && range.end <= by.end
            };
            if found.iter().any(|one| covers(range, &one.range)) {
                figures.found += 1;
            } else {
                astray.push(format!("missed {name}: {line}"));
            }
        }
        for one in found {
            let overlaps =
                |range: &Range<usize>| range.start < one.range.end && one.range.start < range.end;
            if !marked.iter().any(|(_, range)| overlaps(range)) {
                figures.entry(one.name.to_owned()).or_default().wrong += 1;
                astray.push(format!("wrong {}: {line}", one.name));
            }
        }
    }
    let rows = Detector::ALL.into_iter().filter_map(|detector| {
        let name = detector.name();
        let Figures {
            marked,
            found,
            wrong,
        } = figures.get(name)?;
        let precision = percent(*found, found + wrong);
        let recall = percent(*found, *marked);
        Some(format!(
            "| `{name}` | {marked} | {found} | {wrong} | {precision} | {recall} |"
        ))
    });
    let rows: Vec<String> = rows.collect();
    let lacks = rows.iter().any(|row| !DOCUMENTED.contains(row));
    assert!(!lacks, "{}\n\n{}", rows.join("\n"), astray.join("\n"));
}
