//! Usage that servers report choice by choice: told apart from usage of them all, and added up.

use super::slots::{add, counts_of, input_slots, slots};
use super::told::Told;
use crate::exchange::{Request, Response, Usage};

/// Usage that came choice by choice, where several were asked for: each report of one choice only, when it ended.
#[derive(Debug, Default)]
pub(super) struct ByChoice {
    /// The chunk that is read, or was read last, ended one choice.
    pub(super) ending: bool,
    /// There were choices in a chunk after the last report.
    pub(super) after_report: bool,
    /// Reports that were more than zeros, and those of them that came with the end of a choice.
    reports: u32,
    of_choices: u32,
    /// The sum of the latter, from the second on. Boxed: most streams have none, and are open for long.
    sum: Option<Box<Usage>>,
}

impl ByChoice {
    /// A report came. `before` is the usage as it was known without it: while one report has come, what that said.
    pub(super) fn report(&mut self, told: &Told, more: &Usage, before: &Usage) {
        let counts = [told.input, told.output, more.total_tokens];
        if !counts.into_iter().flatten().any(|count| count > 0) {
            return;
        }
        self.after_report = false;
        self.reports = self.reports.saturating_add(1);
        if std::mem::take(&mut self.ending) {
            self.of_choices = self.of_choices.saturating_add(1);
            if self.of_choices == 1 {
                return;
            }
            let one = Usage {
                input_tokens: told.whole_input(more.total_tokens, None),
                output_tokens: told.output,
                cache_read_input_tokens: told.cache_read,
                cache_write_input_tokens: told.cache_write,
                ..more.clone()
            };
            let sum = self
                .sum
                .get_or_insert_with(|| Box::new(only_counts(before)));
            for (slot, count) in slots(sum).into_iter().zip(counts_of(&one)) {
                add(slot, count);
            }
        }
    }

    /// Adds up the reports, if there is one of each choice and no other; says so. A report of one choice, and none of another
    /// that there is, is a part.
    pub(super) fn settle(&self, request: &Request, response: &Response, usage: &mut Usage) -> bool {
        let choices = response.choices.len() as u64;
        let (reports, of_choices) = (u64::from(self.reports), u64::from(self.of_choices));
        if choices < 2 || reports == 0 || reports != of_choices {
            return false;
        }
        if reports == choices
            && let Some(sum) = &self.sum
        {
            (**sum).clone_into(usage);
            // Each of several answers to one prompt has counted that prompt.
            let asked = request.choice_count.and_then(|n| u64::try_from(n).ok());
            let answers = asked
                .filter(|n| *n > 1 && choices.is_multiple_of(*n))
                .unwrap_or(1);
            for slot in input_slots(usage).into_iter().flatten() {
                *slot /= answers;
            }
            let sum = usage.input_tokens.zip(usage.output_tokens);
            let sum = sum.and_then(|(input, output)| input.checked_add(output));
            usage.total_tokens = usage.total_tokens.and(sum);
            return true;
        }
        // One report at the very end is of all of them.
        let lacks = reports > 1 || self.after_report;
        usage.partial |= lacks;
        lacks
    }
}

/// The counts of a usage, and nothing else of it.
fn only_counts(usage: &Usage) -> Usage {
    let mut counts = Usage::default();
    for (slot, count) in slots(&mut counts).into_iter().zip(counts_of(usage)) {
        *slot = count;
    }
    counts
}
