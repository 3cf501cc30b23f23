//! Token counts as they were reported, beside what they come to. What one number means may only be told by others: whether
//! the input has the cached tokens in it, whether usage is that of one choice or of all.
//!
//! It knows no name on the wire; `kit::usage` does. Nothing is made up: a number is taken as it is, added to another one that
//! was reported beside it, or left out.

mod choices;
mod slots;
mod told;

use choices::ByChoice;
pub(super) use slots::update;
use slots::{slots, update_more};
pub(super) use told::{Cached, Told};

use crate::exchange::{Quirk, Quirks, Request, Response, Usage};

/// More tokens than any one answer has: a count beyond it is none, and would spoil every sum that it goes into for good.
pub const TOKENS_MAX: u64 = 1_000_000_000;

/// The counts of a response so far that its usage does not hold as they came.
#[derive(Debug, Default)]
pub struct Counts {
    /// As they were reported, the last one of each.
    told: Told,
    /// Input as it was reported while no cached token was: all of it, whatever the cache is said to have served later.
    before_cache: Option<u64>,
    /// The sums over the steps of the call, where it had several.
    steps: Option<Told>,
    choices: ByChoice,
}

impl Counts {
    /// Takes over a report: `told` and, in `usage`, what stands in it besides. `steps` are the sums over the steps of the call.
    pub(super) fn report(
        &mut self,
        told: Told,
        more: &Usage,
        steps: Option<Told>,
        usage: &mut Usage,
    ) {
        self.choices.report(&told, more, usage);
        self.told.update(told);
        if self.told.in_cache() == 0 && told.input.is_some_and(|input| input > 0) {
            self.before_cache = told.input;
        }
        self.steps = steps.or(self.steps);
        update_more(usage, more);
        self.apply(usage);
    }

    /// A chunk with choices is read; `ends_one` if it has a single one, which it ends.
    pub(super) const fn choices_came(&mut self, ends_one: bool) {
        self.choices.ending = ends_one;
        self.choices.after_report = true;
    }

    /// Writes what the reports come to.
    fn apply(&self, usage: &mut Usage) {
        let told = Told {
            input: self.told.whole_input(usage.total_tokens, self.before_cache),
            ..self.told
        };
        let steps = self.steps.filter(|steps| steps.covers(&told));
        let all = steps.unwrap_or(told);
        let slots = [
            (&mut usage.input_tokens, all.input),
            (&mut usage.output_tokens, all.output),
            (&mut usage.cache_read_input_tokens, all.cache_read),
            (&mut usage.cache_write_input_tokens, all.cache_write),
        ];
        for (slot, count) in slots {
            *slot = count.or(*slot);
        }
        let differs = steps.is_some_and(|all| (all.input, all.output) != (told.input, told.output));
        usage.message_input_tokens = told.input.filter(|_| differs);
        usage.message_output_tokens = told.output.filter(|_| differs);
    }

    /// What the counts are once the response is over. Gives the quirks that only then show.
    pub(super) fn settle(
        &self,
        request: &Request,
        response: &Response,
        usage: &mut Usage,
    ) -> Quirks {
        let of_choices = self.choices.settle(request, response, usage);
        complete(usage);
        let beyond = remove_beyond(usage);
        let placeholders = remove_placeholders(response, usage);
        Quirks::seen([
            (of_choices, Quirk::UsageOfChoice),
            (placeholders, Quirk::ZeroUsage),
            (beyond, Quirk::OddNumber),
        ])
    }
}

/// Fills in what the other numbers say: the total has input and output in it, and the counts by kind make up their whole.
fn complete(usage: &mut Usage) {
    let sum = |kinds: [Option<u64>; 3]| {
        let any = kinds.iter().any(Option::is_some);
        let counts = kinds.into_iter().flatten();
        any.then(|| counts.fold(0, u64::saturating_add))
    };
    let input = [
        usage.text_input_tokens,
        usage.audio_input_tokens,
        usage.image_input_tokens,
    ];
    let output = [
        usage.text_output_tokens,
        usage.audio_output_tokens,
        usage.image_output_tokens,
    ];
    usage.input_tokens = usage.input_tokens.or_else(|| sum(input));
    usage.output_tokens = usage.output_tokens.or_else(|| sum(output));
    let rest = |known: Option<u64>| {
        let rest = usage.total_tokens?.checked_sub(known?)?;
        (rest > 0).then_some(rest)
    };
    let input = usage.input_tokens.or_else(|| rest(usage.output_tokens));
    let output = usage.output_tokens.or_else(|| rest(usage.input_tokens));
    (usage.input_tokens, usage.output_tokens) = (input, output);
}

/// Takes out sums of counts, each within reason, that are not. Says whether there were any.
fn remove_beyond(usage: &mut Usage) -> bool {
    let mut any = false;
    for slot in slots(usage) {
        let is_beyond = slot.is_some_and(|count| count > TOKENS_MAX);
        *slot = slot.filter(|_| !is_beyond);
        any |= is_beyond;
    }
    any
}

/// Takes out the zeros of servers that have places for counts and do not count: nothing was generated from nothing, and what
/// was generated has tokens. Says whether there were any.
fn remove_placeholders(response: &Response, usage: &mut Usage) -> bool {
    let chars = [
        response.content_chars,
        response.reasoning_chars,
        response.refusal_chars,
    ];
    let texts = chars.into_iter().flatten().any(|chars| chars > 0);
    if !texts && response.tool_calls.is_empty() {
        return false;
    }
    let no_input = usage.input_tokens == Some(0);
    // A total with more in it says that these were not shown as output.
    let rest = usage.total_tokens.unwrap_or_default();
    let no_output =
        usage.output_tokens == Some(0) && rest <= usage.input_tokens.unwrap_or_default();
    usage.input_tokens = usage.input_tokens.filter(|_| !no_input);
    usage.output_tokens = usage.output_tokens.filter(|_| !no_output);
    usage.total_tokens = usage.total_tokens.filter(|total| *total > 0);
    no_input || no_output
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::Choice;

    fn told(input: u64, output: u64, cache_read: u64, cached: Cached) -> Told {
        Told {
            input: Some(input),
            output: Some(output),
            cache_read: Some(cache_read),
            cache_write: None,
            cached,
        }
    }

    fn total(total: u64) -> Usage {
        Usage {
            total_tokens: Some(total),
            ..Usage::default()
        }
    }

    /// The input that some reports come to.
    fn input(reports: &[(Told, Usage)]) -> Option<u64> {
        let (mut counts, mut usage) = (Counts::default(), Usage::default());
        for (told, more) in reports {
            counts.report(*told, more, None, &mut usage);
        }
        usage.input_tokens
    }

    #[test]
    fn cached_tokens_are_in_the_input_once() {
        use Cached::{Beside, Within};
        for (input_tokens, read, total_tokens, cached, whole) in [
            (100, 40, None, Within, 100),
            (100, 40, None, Beside, 140),
            (40, 100, None, Within, 140),
            (100, 40, Some(107), Beside, 100),
            (100, 40, Some(147), Within, 140),
            (100, 40, Some(999), Within, 100),
            (100, 40, Some(999), Beside, 140),
            (100, 0, None, Beside, 100),
        ] {
            let more = total_tokens.map(total).unwrap_or_default();
            let report = (told(input_tokens, 7, read, cached), more);
            assert_eq!(
                input(std::slice::from_ref(&report)),
                Some(whole),
                "{report:?}"
            );
        }
    }

    #[test]
    fn input_that_was_there_before_anything_of_the_cache_was_is_all_of_it() {
        let report = |input, read| (told(input, 7, read, Cached::Beside), Usage::default());
        assert_eq!(input(&[report(100, 0), report(100, 40)]), Some(100));
        assert_eq!(input(&[report(100, 0), report(60, 40)]), Some(100));
        assert_eq!(input(&[report(100, 0), report(0, 40)]), Some(100));
        assert_eq!(input(&[report(0, 0), report(100, 40)]), Some(140));
        assert_eq!(input(&[report(100, 40), report(100, 40)]), Some(140));
        let no_input = Told {
            input: None,
            ..told(0, 7, 40, Cached::Beside)
        };
        let late = (no_input, Usage::default());
        assert_eq!(input(&[report(100, 0), late]), Some(100));
    }

    #[test]
    fn steps_stand_above_the_message_unless_they_are_less() {
        let message = told(50, 5, 0, Cached::Beside);
        let read = |steps: &[Told]| {
            let mut sum = Told::default();
            steps.iter().for_each(|step| sum.add_step(*step));
            let (mut counts, mut usage) = (Counts::default(), Usage::default());
            counts.report(message, &Usage::default(), Some(sum), &mut usage);
            let Usage {
                input_tokens,
                output_tokens,
                message_input_tokens,
                message_output_tokens,
                ..
            } = usage;
            let all = input_tokens.zip(output_tokens);
            (all, message_input_tokens.zip(message_output_tokens))
        };
        let compaction = told(900, 90, 100, Cached::Beside);
        assert_eq!(
            read(&[compaction, message]),
            (Some((1050, 95)), Some((50, 5)))
        );
        assert_eq!(read(&[message]), (Some((50, 5)), None));
        let less = told(1, 1, 0, Cached::Beside);
        assert_eq!(read(&[less]), (Some((50, 5)), None));
    }

    /// A response of so many choices, each of a letter.
    fn response(choices: u64) -> Response {
        let choice = |index| Choice {
            index,
            finish_reason: Some("stop".into()),
        };
        Response {
            choices: (0..choices).map(choice).collect(),
            content_chars: Some(choices),
            ..Response::default()
        }
    }

    /// What is made of reports, each of which comes at the end of a choice or, where that is so, of none.
    fn of_choices(choices: u64, asked: Option<i64>, reports: &[bool]) -> (Usage, Quirks) {
        let (mut counts, mut usage) = (Counts::default(), Usage::default());
        for at_end in reports {
            counts.choices_came(*at_end);
            let told = told(10, 3, 0, Cached::Within);
            counts.report(told, &total(13), None, &mut usage);
        }
        let request = Request {
            choice_count: asked,
            ..Request::default()
        };
        let quirks = counts.settle(&request, &response(choices), &mut usage);
        (usage, quirks)
    }

    #[test]
    fn usage_of_each_choice_is_summed_and_a_shared_prompt_counted_once() {
        let sums = |choices, asked, reports: &[bool]| {
            let usage = of_choices(choices, asked, reports).0;
            let counts = [usage.input_tokens, usage.output_tokens, usage.total_tokens];
            (counts.map(Option::unwrap_or_default), usage.partial)
        };
        assert_eq!(sums(2, None, &[true; 2]), ([20, 6, 26], false));
        assert_eq!(sums(2, Some(2), &[true; 2]), ([10, 6, 16], false));
        assert_eq!(sums(4, Some(2), &[true; 4]), ([20, 12, 32], false));
        assert_eq!(sums(3, None, &[true; 2]), ([10, 3, 13], true), "one lacks");
        assert_eq!(sums(2, None, &[true]), ([10, 3, 13], false), "of all");
        assert_eq!(sums(2, None, &[true, false]), ([10, 3, 13], false));
        assert_eq!(sums(1, None, &[true; 2]), ([10, 3, 13], false));
        let (_, quirks) = of_choices(2, None, &[true; 2]);
        assert_eq!(quirks, [Quirk::UsageOfChoice].into_iter().collect());
        assert_eq!(of_choices(2, None, &[true]).1, Quirks::default());
    }

    fn settled(usage: Usage, choices: u64) -> ([Option<u64>; 3], bool) {
        let mut usage = usage;
        let counts = Counts::default();
        let quirks = counts.settle(&Request::default(), &response(choices), &mut usage);
        let counts = [usage.input_tokens, usage.output_tokens, usage.total_tokens];
        (counts, quirks != Quirks::default())
    }

    fn usage(input: Option<u64>, output: Option<u64>, total: Option<u64>) -> Usage {
        Usage {
            input_tokens: input,
            output_tokens: output,
            total_tokens: total,
            ..Usage::default()
        }
    }

    #[test]
    fn zeros_beside_what_was_generated_are_no_counts() {
        let zeros = usage(Some(0), Some(0), Some(0));
        assert_eq!(settled(zeros.clone(), 1), ([None; 3], true));
        assert_eq!(
            settled(zeros, 0),
            ([Some(0); 3], false),
            "nothing generated"
        );
        let no_output = usage(Some(9), Some(0), Some(9));
        assert_eq!(settled(no_output, 1), ([Some(9), None, Some(9)], true));
        let thought = usage(Some(9), Some(0), Some(69));
        let as_told = [Some(9), Some(0), Some(69)];
        assert_eq!(settled(thought, 1), (as_told, false), "output not shown");
    }

    #[test]
    fn a_sum_that_no_answer_can_have_is_none() {
        let step = told(TOKENS_MAX, 5, 0, Cached::Within);
        let mut sum = Told::default();
        sum.add_step(step);
        sum.add_step(step);
        let (mut counts, mut usage) = (Counts::default(), Usage::default());
        counts.report(step, &Usage::default(), Some(sum), &mut usage);
        assert_eq!(usage.input_tokens, Some(2 * TOKENS_MAX));
        let quirks = counts.settle(&Request::default(), &response(1), &mut usage);
        assert_eq!((usage.input_tokens, usage.output_tokens), (None, Some(10)));
        assert_eq!(quirks, [Quirk::OddNumber].into_iter().collect());
    }

    #[test]
    fn a_count_that_lacks_is_what_the_others_leave() {
        let whole = ([Some(9), Some(4), Some(13)], false);
        assert_eq!(settled(usage(Some(9), None, Some(13)), 1), whole);
        assert_eq!(settled(usage(None, Some(4), Some(13)), 1), whole);
        let only_input = ([Some(9), None, Some(9)], false);
        assert_eq!(settled(usage(Some(9), None, Some(9)), 1), only_input);
        let only_total = ([None, None, Some(9)], false);
        assert_eq!(settled(usage(None, None, Some(9)), 1), only_total);
        let kinds = Usage {
            text_input_tokens: Some(6),
            audio_input_tokens: Some(3),
            text_output_tokens: Some(4),
            ..Usage::default()
        };
        assert_eq!(settled(kinds, 1), ([Some(9), Some(4), None], false));
    }
}
