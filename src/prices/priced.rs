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
    /// The model that a price was asked for, where it was asked by one.
    pub asked: Option<String>,
    /// When the call was made.
    pub at: SystemTime,
    /// The amounts, line by line.
    pub working: Working,
}

impl Priced {
    /// For machines: amounts are texts, and exact. A price of the user's own is of no catalogue.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let catalogue = (!self.entry.is_own()).then(|| {
            let source = Catalogue::bundled().source();
            json!({ "name": source.name, "version": source.version, "date": source.date })
        });
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
            "asked": self.asked,
            "since": self.entry.since(self.at),
            "catalogue": catalogue,
            "lines": lines.collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Priced {
    /// For people: whose price it is, a line for each unit that was used, and what they come to.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (model, since) = (self.entry.model(), self.entry.since(self.at));
        let since = since.map_or_else(String::new, |day| format!(", prices since {day}"));
        if self.entry.is_own() {
            let asked = self.asked.as_ref();
            let asked = asked.map_or_else(String::new, |asked| format!("{asked}, by "));
            writeln!(f, "{asked}your own price of {model}{since}")?;
        } else {
            let provider = self.entry.provider();
            let source = Catalogue::bundled().source();
            let (name, version, date) = (&source.name, &source.version, &source.date);
            writeln!(
                f,
                "{model} of {provider}{since}, by {name} {version} of {date}"
            )?;
        }
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
