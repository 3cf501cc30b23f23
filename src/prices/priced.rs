//! An amount with its working, as it is shown.

use std::fmt;
use std::time::SystemTime;

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::catalogue::{Catalogue, Entry};
use super::working::Working;

/// What a call costs, by whose price, and how that comes about.
#[derive(Debug, Clone)]
pub struct Priced {
    /// Whose price it is.
    pub entry: Entry,
    /// When the call was made.
    pub at: SystemTime,
    /// The amounts, line by line.
    pub working: Working,
}

impl Priced {
    /// For machines: amounts are texts, and exact.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let source = Catalogue::bundled().source();
        let usd = |amount: Decimal| amount.normalize().to_string();
        let lines = self.working.lines.iter().map(|line| {
            json!({
                "unit": line.unit,
                "count": usd(line.count),
                "price": usd(line.price),
                "per": line.per,
                "above": line.above,
                "usd": usd(line.amount),
            })
        });
        json!({
            "usd": usd(self.working.amounts.total),
            "input_usd": usd(self.working.amounts.input),
            "output_usd": usd(self.working.amounts.output),
            "provider": self.entry.provider(),
            "model": self.entry.model(),
            "since": self.entry.since(self.at),
            "catalogue": { "name": source.name, "version": source.version, "date": source.date },
            "lines": lines.collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Priced {
    /// For people: whose price it is, a line for each unit that was used, and what they come to.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = Catalogue::bundled().source();
        let since = self.entry.since(self.at);
        let since = since.map_or_else(String::new, |day| format!(", prices since {day}"));
        writeln!(
            f,
            "{} of {}{since}, by {} {} of {}",
            self.entry.model(),
            self.entry.provider(),
            source.name,
            source.version,
            source.date
        )?;
        let lines = self.working.lines.iter();
        for line in lines.filter(|line| !line.count.is_zero()) {
            let above = line.above.map_or_else(String::new, |above| {
                format!(" (the price above {above} input tokens)")
            });
            writeln!(
                f,
                "{:<24} {:>12} x {} / {} = {} USD{above}",
                line.unit,
                line.count.normalize(),
                line.price.normalize(),
                line.per,
                line.amount.normalize()
            )?;
        }
        writeln!(f, "total {} USD", self.working.amounts.total.normalize())
    }
}
