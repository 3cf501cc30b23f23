//! The providers' own examples of what calls cost, to the cent and beyond, and where we come to something else.

use rust_decimal::{Decimal, RoundingStrategy};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{cost, stdout};
use crate::support::file::File;

const DOCUMENTED: &str = include_str!("documented.toml");
const JUDGED: &str = include_str!("../../../docs/cost.md");

#[derive(Deserialize)]
struct Pages {
    page: Vec<Page>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    url: String,
    on: String,
    #[serde(default, rename = "undated")]
    _undated: bool,
    provider: String,
    example: Vec<Example>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Example {
    model: String,
    usage: String,
    #[serde(default = "one")]
    calls: u64,
    #[serde(default)]
    apart: Decimal,
    context: Option<String>,
    usd: Decimal,
    ours: Option<Decimal>,
}

const fn one() -> u64 {
    1
}

impl Example {
    fn line(&self, page: &Page) -> String {
        let usage: Value = serde_json::from_str(&self.usage).unwrap();
        let context = self.context.as_ref();
        let context = context.map_or_else(|| json!({}), |it| json!({ "processing": it }));
        let (provider, at) = (&page.provider, &page.on);
        let line = json!({ "provider": provider, "model": self.model, "usage": usage, "at": at, "context": context });
        format!("{line}\n")
    }

    /// What is wrong with what it comes to.
    fn wrong(&self, usd: Decimal) -> Option<String> {
        let total = usd * Decimal::from(self.calls) + self.apart;
        let half_up = RoundingStrategy::MidpointAwayFromZero;
        let rounded = total.round_dp_with_strategy(self.usd.scale(), half_up);
        match self.ours {
            None if rounded == self.usd => None,
            None => Some(format!("{total}, expected {}", self.usd)),
            Some(ours) if ours != total => Some(format!("{total}, expected {ours} of us")),
            Some(ours) if rounded == self.usd => {
                Some(format!("{ours} is the same as {}", self.usd))
            }
            Some(_) => None,
        }
    }
}

#[test]
fn the_providers_examples_come_to_the_last_digit_that_they_have() {
    let Pages { page: pages } = toml::from_str(DOCUMENTED).unwrap();
    let each = || {
        pages
            .iter()
            .flat_map(|page| page.example.iter().map(move |it| (page, it)))
    };
    let lines: Vec<String> = each().map(|(page, example)| example.line(page)).collect();
    let file = File::new("documented.jsonl", lines.concat());
    let text = stdout(&cost(&["--each", file.name()]));
    let priced = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let priced: Vec<Value> = priced.collect();
    assert_eq!(priced.len(), lines.len());
    let wrong = priced
        .iter()
        .zip(each())
        .filter_map(|(priced, (page, example))| {
            let usd = priced["usd"].as_str().unwrap().parse().unwrap();
            let wrong = example.wrong(usd)?;
            Some(format!(
                "{} {} {}: {wrong}",
                page.url, example.model, example.usage
            ))
        });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let same = each().filter(|(_, example)| example.ours.is_none()).count();
    for count in [
        format!("has {} examples", lines.len()),
        format!("Of {same} the total"),
    ] {
        assert!(
            JUDGED.contains(&count),
            "docs/cost.md does not have: {count}"
        );
    }
    let differs = each().filter(|(_, example)| example.ours.is_some());
    for (page, example) in differs {
        let judged = JUDGED.lines().any(|line| {
            line.starts_with('|') && line.contains(&example.model) && line.contains(&page.url)
        });
        assert!(
            judged,
            "docs/cost.md does not say why {} of {} differs",
            example.model, page.url
        );
    }
}
