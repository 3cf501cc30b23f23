//! `cost`: what a call costs, worked out line by line.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use crate::cli::CostArgs;
use crate::config::wrong_prices;
use crate::dialect::{TOKENS_MAX, read_usage};
use crate::pipeline::counts_of;
use crate::prices::{Catalogue, Counts, Day, NotFound, OwnPrices, Priced, Unpriced, Wanted};

const DAY: Duration = Duration::from_secs(86_400);

pub(super) fn cost(args: &CostArgs) -> anyhow::Result<()> {
    let catalogue = Catalogue::bundled();
    let own = match &args.prices {
        Some(file) => read_own(catalogue, file)?,
        None => OwnPrices::default(),
    };
    let pricing = Pricing {
        catalogue,
        own: &own,
        args,
        dimensions: OnceCell::new(),
    };
    match (&args.usage, &args.each) {
        (_, Some(file)) => pricing.each(file),
        (Some(usage), None) => pricing.one(usage),
        // The command line has one of them.
        (None, None) => bail!("expected --usage JSON, or --each FILE"),
    }
}

/// # Errors
///
/// The file cannot be read, or has something wrong in it.
fn read_own(catalogue: &Catalogue, file: &Path) -> anyhow::Result<OwnPrices> {
    let name = || file.display().to_string();
    let text = fs::read_to_string(file).with_context(name)?;
    catalogue
        .read_own(&text)
        .map_err(|problem| anyhow::anyhow!(wrong_prices(file, &text, &problem)))
}

struct Pricing<'a> {
    catalogue: &'static Catalogue,
    own: &'a OwnPrices,
    args: &'a CostArgs,
    /// What prices may depend on, once it was asked for.
    dimensions: OnceCell<BTreeSet<&'a str>>,
}

/// A call to be priced.
struct Call {
    provider: Option<String>,
    model: String,
    usage: Value,
    /// `None`: now.
    at: Option<SystemTime>,
    context: Vec<(String, String)>,
}

impl Call {
    /// One of which the flags say all but the usage.
    fn of(args: &CostArgs) -> Self {
        Self {
            provider: args.provider.clone(),
            model: args.model.clone().unwrap_or_default(),
            usage: Value::Null,
            at: args.at,
            context: args.context.clone(),
        }
    }

    /// One of which a line may say more than the flags.
    fn of_line(line: &str, args: &CostArgs) -> anyhow::Result<Self> {
        let line: Map<String, Value> =
            serde_json::from_str(line).context("expected a JSON object")?;
        let mut call = Self::of(args);
        for (name, value) in line {
            match (&*name, value) {
                ("provider", Value::String(provider)) => call.provider = Some(provider),
                ("model", Value::String(model)) => call.model = model,
                ("usage", usage) => call.usage = usage,
                ("at", Value::String(at)) => {
                    let at = crate::cli::instant(&at);
                    call.at = Some(at.map_err(|wrong| anyhow::anyhow!("at: {wrong}"))?);
                }
                ("context", Value::Object(context)) => {
                    let texts = context
                        .into_iter()
                        .filter_map(|(name, value)| Some((name, value.as_str()?.to_owned())));
                    call.context.extend(texts);
                }
                (name, value) => bail!(
                    "unexpected member {name}: {value}; expected usage, model, provider, at, context"
                ),
            }
        }
        Ok(call)
    }
}

/// # Errors
///
/// Some count is below zero, above `most`, or is none: an answer's would not be counted either, and without it the price would be a
/// wrong one.
fn check_counts(place: &str, value: &Value, most: u64) -> anyhow::Result<()> {
    let is_count = place.ends_with("_tokens");
    match value {
        Value::Object(members) => members
            .iter()
            .try_for_each(|(name, value)| check_counts(&format!("{place}.{name}"), value, most)),
        Value::Array(values) => values
            .iter()
            .enumerate()
            .try_for_each(|(at, value)| check_counts(&format!("{place}[{at}]"), value, most)),
        Value::Number(number) if number.as_f64().is_some_and(|number| number < 0.0) => {
            bail!("{place}: expected a count of 0 or more, found {number}")
        }
        Value::Number(number) if is_count && number.as_f64() > Some(most as f64) => {
            bail!(
                "{place}: expected a count of at most {most}, found {number}; sums of calls go by the names input_tokens and output_tokens"
            )
        }
        // Servers are known that write counts as text.
        Value::String(text) if is_count && text.trim().parse::<u64>().is_err() => {
            bail!("{place}: expected a count of 0 or more, found {value}")
        }
        Value::Bool(_) if is_count => {
            bail!("{place}: expected a count of 0 or more, found {value}")
        }
        _ => Ok(()),
    }
}

fn to_json(priced: &Priced, call: &Call) -> Value {
    let mut json = priced.to_json();
    if let Some(note) = note(priced, call) {
        json["note"] = note.into();
    }
    json
}

/// What is to be said of a price for the day that was asked for. The package that the catalogue is made from takes the first price that it has
/// for any day before, and so do we.
fn note(priced: &Priced, call: &Call) -> Option<String> {
    let at = call.at?;
    let since = priced.entry.since(at);
    match since.as_deref().and_then(Day::parse) {
        // One of the user's own without a day holds always, and one of the catalogue held when that was published.
        None if !priced.entry.is_own() && !is_published(at) => Some("the catalogue does not say from which day on this price holds: that of the day asked for may be another".to_owned()),
        Some(since) if since.start() > at => Some(format!(
            "no price is known of the day asked for: this one holds from {since} on"
        )),
        _ if !priced.entry.is_own() => is_later(at).then(|| {
            let date = &Catalogue::bundled().source().date;
            format!("the catalogue is of {date}: the price of the day asked for may be another")
        }),
        _ => None,
    }
}

/// Whether an instant is after the day on which the catalogue was published.
fn is_later(at: SystemTime) -> bool {
    at.checked_sub(DAY).is_some_and(is_published)
}

/// Whether the catalogue was published before.
fn is_published(at: SystemTime) -> bool {
    let published = Day::parse(&Catalogue::bundled().source().date);
    published.is_some_and(|published| published.start() <= at)
}

impl Pricing<'_> {
    /// Prints what one usage costs.
    fn one(&self, usage: &str) -> anyhow::Result<()> {
        let usage = if usage == "-" {
            Cow::Owned(io::read_to_string(io::stdin().lock()).context("--usage -")?)
        } else {
            Cow::Borrowed(usage)
        };
        let usage = serde_json::from_str(&usage).context("--usage: expected a JSON object")?;
        let call = Call {
            usage,
            ..Call::of(self.args)
        };
        let priced = self.price(&call)?;
        let mut out = io::stdout().lock();
        if self.args.json {
            writeln!(out, "{}", to_json(&priced, &call))?;
        } else {
            write!(out, "{priced}")?;
            if let Some(note) = note(&priced, &call) {
                writeln!(out, "note: {note}")?;
            }
        }
        Ok(())
    }

    /// Prints a line for each call of a file.
    ///
    /// # Errors
    ///
    /// Some of them have no price, or the file cannot be read.
    fn each(&self, file: &Path) -> anyhow::Result<()> {
        let lines: Box<dyn io::Read> = if file == Path::new("-") {
            Box::new(io::stdin().lock())
        } else {
            Box::new(fs::File::open(file).with_context(|| file.display().to_string())?)
        };
        let mut out = io::stdout().lock();
        let (mut calls, mut unpriced) = (0_u64, 0_u64);
        let mut first_unpriced = None;
        for (at, line) in BufReader::new(lines).lines().enumerate() {
            let line = line.with_context(|| format!("{}:{}", file.display(), at + 1))?;
            let priced = Call::of_line(&line, self.args)
                .and_then(|call| Ok(to_json(&self.price(&call)?, &call)));
            calls += 1;
            if priced.is_err() {
                unpriced += 1;
                first_unpriced.get_or_insert(calls);
            }
            let priced = match priced {
                Ok(priced) => priced,
                Err(error) => json!({ "error": format!("{error:#}"), "line": calls }),
            };
            writeln!(out, "{priced}")?;
        }
        if let Some(first) = first_unpriced {
            bail!(
                "{}: {unpriced} of {calls} lines have no price, the first is line {first}",
                file.display()
            );
        }
        Ok(())
    }

    fn price(&self, call: &Call) -> anyhow::Result<Priced> {
        if call.model.is_empty() {
            bail!("expected a model: in the line, or by --model");
        }
        let wanted = Wanted {
            upstream: None,
            provider: call.provider.as_deref(),
            url: self.args.url.as_deref(),
            model: &call.model,
        };
        let found = self.catalogue.find(self.own, &wanted);
        let entry = found.map_err(|wrong| match wrong {
            NotFound::Url { .. } => anyhow::anyhow!(
                "{wrong}: name the provider with --provider in place of --url, or give prices of your own with --prices"
            ),
            other => other.into(),
        })?;
        let counts = self.counts(&call.usage)?;
        if counts.is_empty() {
            bail!("usage: expected counts, such as input_tokens and output_tokens, found none");
        }
        self.check_context(&call.context)?;
        let context: Vec<(&str, &str)> = call
            .context
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        let at = call.at.unwrap_or_else(SystemTime::now);
        let working = entry.work(&counts, at, &context);
        let working = working.map_err(|unpriced| match (&unpriced, &self.args.prices) {
            (Unpriced::NoPrice { .. }, Some(file)) => anyhow::anyhow!(
                "{}: the price of {}: {unpriced}",
                file.display(),
                entry.model()
            ),
            _ => unpriced.into(),
        })?;
        Ok(Priced {
            entry,
            asked: Some(call.model.clone()),
            at,
            working,
        })
    }

    /// # Errors
    ///
    /// No price depends on one of these: it would be ignored.
    fn check_context(&self, context: &[(String, String)]) -> anyhow::Result<()> {
        if context.is_empty() {
            return Ok(());
        }
        let known = self
            .dimensions
            .get_or_init(|| self.catalogue.dimensions(self.own));
        if let Some((name, _)) = context.iter().find(|(name, _)| !known.contains(&**name)) {
            let known: Vec<&str> = known.iter().copied().collect();
            bail!(
                "context: unknown dimension {name}, expected one of {}",
                known.join(", ")
            );
        }
        Ok(())
    }

    /// What was used: by the names of the catalogue's units, where all are such, else as a response reports it.
    fn counts(&self, usage: &Value) -> anyhow::Result<Counts> {
        let Value::Object(members) = usage else {
            bail!(
                "usage: expected a JSON object, such as {{\"input_tokens\": 1000, \"output_tokens\": 100}}"
            );
        };
        // A whole response may stand here: people paste it.
        if let Some(inner) = members.get("usage").filter(|inner| inner.is_object()) {
            return self.counts(inner);
        }
        check_counts("usage", usage, u64::MAX)?;
        let mut counts = Counts::default();
        let mut unknown = None;
        for (name, value) in members {
            let amount = Some(value).filter(|value| value.is_number());
            let amount = amount.and_then(|value| Decimal::from_str_exact(&value.to_string()).ok());
            let known = amount.map(|amount| self.catalogue.count(&mut counts, name, amount));
            match known {
                Some(Ok(())) => {}
                Some(Err(error)) => unknown = unknown.or(Some(error.to_string())),
                None => unknown = unknown.or(Some(format!("{name}: expected a number"))),
            }
        }
        let Some(unknown) = unknown else {
            return Ok(counts);
        };
        check_counts("usage", usage, TOKENS_MAX)?;
        let read = read_usage(&usage.to_string());
        let counts = counts_of(&read, self.catalogue);
        if counts.is_empty() {
            bail!("usage: {unknown}");
        }
        Ok(counts)
    }
}
