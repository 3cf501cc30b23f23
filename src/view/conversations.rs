//! Exchanges put together by their conversations.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::str::FromStr;

use super::shown;
use super::turn::{Prompt, RepeatedCall, ToolWait, Turn};
use super::words::{Id, Usd};
use super::{Entry, Row};

/// Most models that are named of a conversation.
const MODELS_MAX: usize = 16;
/// Most conversations that are named as those that one has begun.
const CHILDREN_MAX: usize = 256;
/// Most turns that are shown of a conversation, the newest.
const TURNS_MAX: usize = 1_000;

shown! {
    /// A conversation in brief: sums over those of its exchanges that are kept.
    pub struct Totals {
        /// Its id.
        pub id: Id,
        /// The conversation whose tool call began it.
        pub parent: Option<Id>,
        /// Its exchanges that are kept.
        pub turns: u64,
        /// When the first of them began, in ms since 1970.
        pub first_at_ms: u64,
        /// When the last of them ended, in ms since 1970.
        pub last_at_ms: u64,
        /// From the beginning of the first to the end of the last: to the microsecond, but that the later ones begin at whole ms.
        pub lasted_ms: f64,
        /// Models that were asked, at most 16.
        pub models: Vec<String>,
        /// Input tokens; `null` where none were reported or counted.
        pub input_tokens: Option<u64>,
        /// Output tokens; `null` likewise.
        pub output_tokens: Option<u64>,
        /// What it cost so far; `null` where no price is known.
        pub cost_usd: Option<Usd>,
        /// Whether some of that is the cost of estimated tokens.
        pub cost_estimated: bool,
        /// Calls of tools.
        pub tool_calls: u64,
        /// Exchanges that failed.
        pub errors: u64,
        /// Calls of tools that were made before with the same arguments.
        pub repeated_calls: u64,
    }
}

shown! {
    /// Conversations, the one with the latest exchange first.
    pub struct Conversations {
        /// One page of them.
        pub conversations: Vec<Totals>,
        /// The `before` of the next page; `null` at the end.
        pub next: Option<String>,
    }
}

shown! {
    /// One turn of a conversation.
    pub struct TurnDetail<'e> {
        /// The exchange.
        pub exchange: Row<'e>,
        /// Which of several ways the conversation went, 0 for the first.
        pub branch: u32,
        /// How many agents called one another to get here.
        pub depth: u32,
        /// How it was found out what it follows.
        pub linked_by: Option<Cow<'e, str>>,
        /// The exchange that it follows; `null` for a first one, and where that one is not kept.
        pub previous: Option<u64>,
        /// What became of the part of the prompt that was sent before.
        pub prompt: Option<Prompt<'e>>,
        /// Calls of tools whose results it brought.
        pub tool_waits: Vec<ToolWait<'e>>,
        /// Calls in the answer that were made before.
        pub repeated_calls: Vec<RepeatedCall<'e>>,
        /// How many exchanges in a row have said nothing new, from the threshold on.
        pub without_progress: Option<u32>,
    }
}

shown! {
    /// One conversation, turn by turn.
    pub struct ConversationDetail<'e> {
        /// Its id.
        pub id: Id,
        /// The conversation whose tool call began it.
        pub parent: Option<Id>,
        /// The conversations that its tool calls began.
        pub children: Vec<Id>,
        /// It in brief.
        pub totals: Totals,
        /// Its exchanges, oldest first, at most the newest 1000.
        pub turns: Vec<TurnDetail<'e>>,
    }
}

/// Where a page ends: the latest exchange of a conversation, and the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    last_at_ms: u64,
    id: Id,
}

/// What is no [`Cursor`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected what the page before has as its next")]
pub struct NoCursor;

impl FromStr for Cursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        let (at, id) = text.split_once('-').ok_or(NoCursor)?;
        let is_number = at.bytes().all(|byte| byte.is_ascii_digit());
        let last_at_ms = at.parse().ok().filter(|_| is_number).ok_or(NoCursor)?;
        let id = id.parse().map_err(|_| NoCursor)?;
        Ok(Self { last_at_ms, id })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.last_at_ms, self.id)
    }
}

impl Totals {
    fn of(id: u128, entries: &[&Entry]) -> Self {
        let mut totals = Self {
            id: Id(id),
            parent: None,
            turns: entries.len() as u64,
            first_at_ms: u64::MAX,
            last_at_ms: 0,
            lasted_ms: 0.0,
            models: Vec::new(),
            input_tokens: None,
            output_tokens: None,
            cost_usd: None,
            cost_estimated: false,
            tool_calls: 0,
            errors: 0,
            repeated_calls: 0,
        };
        let mut models = BTreeSet::new();
        for entry in entries {
            let row = entry.row();
            totals.first_at_ms = totals.first_at_ms.min(row.started_at_ms);
            totals.last_at_ms = totals.last_at_ms.max(row.ended_at_ms());
            add(&mut totals.input_tokens, row.input_tokens);
            add(&mut totals.output_tokens, row.output_tokens);
            if let Some(Usd(cost)) = row.cost_usd {
                totals.cost_usd.get_or_insert_default().0 += cost;
                totals.cost_estimated |= row.tokens_estimated;
            }
            totals.tool_calls += row.tool_calls;
            totals.errors += u64::from(row.error.is_some());
            if let Some(turn) = entry.turn() {
                totals.parent = totals.parent.or(turn.parent);
                totals.repeated_calls += turn.repeated_calls.len() as u64;
            }
            models.extend(row.model.map(Cow::into_owned));
        }
        totals.lasted_ms = lasted_ms(totals.first_at_ms, entries);
        totals.models = models.into_iter().take(MODELS_MAX).collect();
        totals
    }

    const fn cursor(&self) -> Cursor {
        Cursor {
            last_at_ms: self.last_at_ms,
            id: self.id,
        }
    }
}

/// From the beginning of the first to the last end. The durations are to the microsecond, and whole milliseconds would lose that.
fn lasted_ms(first_at_ms: u64, entries: &[&Entry]) -> f64 {
    let ends = entries.iter().map(|entry| {
        let row = entry.row();
        (row.started_at_ms - first_at_ms) as f64 + row.duration_ms
    });
    // A sum of both need not be a whole number of microseconds any more.
    (ends.fold(0.0, f64::max) * 1_000.0).round() / 1_000.0
}

fn add(sum: &mut Option<u64>, one: Option<u64>) {
    if let Some(one) = one {
        *sum.get_or_insert(0) += one;
    }
}

fn grouped(entries: &[Entry]) -> HashMap<u128, Vec<&Entry>> {
    let mut grouped: HashMap<u128, Vec<&Entry>> = HashMap::new();
    for entry in entries {
        if let Some(id) = entry.conversation() {
            grouped.entry(id).or_default().push(entry);
        }
    }
    grouped
}

impl Conversations {
    /// A page of so many of those among `entries`, behind a place.
    #[must_use]
    pub fn page(entries: &[Entry], limit: usize, before: Option<Cursor>) -> Self {
        let grouped = grouped(entries);
        let all = grouped.iter().map(|(id, entries)| Totals::of(*id, entries));
        let mut all: Vec<Totals> = all
            .filter(|totals| before.is_none_or(|before| totals.cursor() < before))
            .collect();
        all.sort_by_key(|totals| std::cmp::Reverse(totals.cursor()));
        let more = all.len() > limit;
        all.truncate(limit);
        let next = all
            .last()
            .filter(|_| more)
            .map(|it| it.cursor().to_string());
        Self {
            conversations: all,
            next,
        }
    }
}

impl<'e> ConversationDetail<'e> {
    /// A conversation among `entries`, which are in order of their ends; `None` where none of it is there.
    #[must_use]
    pub fn among(entries: &'e [Entry], id: Id) -> Option<Self> {
        let own = entries
            .iter()
            .filter(|entry| entry.conversation() == Some(id.0));
        let mut own: Vec<&Entry> = own.collect();
        if own.is_empty() {
            return None;
        }
        let totals = Totals::of(id.0, &own);
        own.sort_by_key(|entry| (entry.row().started_at_ms, entry.id));
        let placed: Vec<(&Entry, Turn<'e>)> = own
            .iter()
            .filter_map(|entry| Some((*entry, entry.turn()?)))
            .collect();
        let newest = placed.len().saturating_sub(TURNS_MAX);
        let turns = (newest..placed.len()).map(|at| shown(&placed, at));
        Some(Self {
            id,
            parent: totals.parent,
            children: children(entries, id),
            turns: turns.collect(),
            totals,
        })
    }
}

fn children(entries: &[Entry], of: Id) -> Vec<Id> {
    let begun = entries.iter().filter_map(|entry| {
        let parent = entry.turn()?.parent?;
        (parent == of).then_some(Id(entry.conversation()?))
    });
    let begun: BTreeSet<Id> = begun.collect();
    begun.into_iter().take(CHILDREN_MAX).collect()
}

fn shown<'e>(placed: &[(&'e Entry, Turn<'e>)], at: usize) -> TurnDetail<'e> {
    let (entry, turn) = &placed[at];
    let turn = turn.clone();
    TurnDetail {
        exchange: entry.row(),
        previous: previous(placed, at),
        branch: turn.branch,
        depth: turn.depth,
        linked_by: turn.linked_by,
        prompt: turn.prompt,
        tool_waits: turn.tool_waits,
        repeated_calls: turn.repeated_calls,
        without_progress: turn.without_progress,
    }
}

/// The exchange that one follows: by the span that it names; without traces the latest before it whose turn is the one before, of the same
/// branch where there is one.
fn previous(placed: &[(&Entry, Turn<'_>)], at: usize) -> Option<u64> {
    let (entry, turn) = &placed[at];
    turn.linked_by.as_ref()?;
    let before = &placed[..at];
    if let Some(span) = turn.previous_span {
        let named = before
            .iter()
            .rev()
            .find(|(_, other)| other.span == Some(span));
        return named.map(|(entry, _)| entry.id);
    }
    let number = entry.row().turn?;
    let is_before = |entry: &Entry| entry.row().turn.is_some_and(|other| other + 1 == number);
    let candidates = before.iter().rev().filter(|(entry, _)| is_before(entry));
    let same_branch = candidates
        .clone()
        .find(|(_, other)| other.branch == turn.branch);
    same_branch
        .or_else(|| candidates.clone().next())
        .map(|(entry, _)| entry.id)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::exchange::{Conversation, Exchange, Rule, Usage};

    fn entry(id: u64, conversation: u128, turn: u32) -> Entry {
        let mut exchange = Exchange::begin(SystemTime::UNIX_EPOCH + Duration::from_secs(id));
        exchange.request.model = Some("m".into());
        exchange.usage = Usage {
            input_tokens: Some(10),
            ..Usage::default()
        };
        exchange.conversation = Some(Box::new(Conversation {
            id: conversation,
            turn,
            branch: 0,
            depth: 0,
            linked_by: (turn > 1).then_some(Rule::Text),
            previous: None,
            parent: None,
            again: None,
            waits: Vec::new(),
            repeated_calls: Vec::new(),
            without_progress: None,
            grown_bytes: None,
            tokens: None,
            reuse: None,
        }));
        Entry::new(id, Arc::new(exchange))
    }

    #[test]
    fn the_latest_conversation_comes_first_and_pages_leave_none_out() {
        let entries = [
            entry(1, 7, 1),
            entry(2, 8, 1),
            entry(3, 9, 1),
            entry(4, 7, 2),
        ];
        let mut ids = Vec::new();
        let mut before = None;
        loop {
            let page = Conversations::page(&entries, 2, before);
            ids.extend(page.conversations.iter().map(|totals| totals.id.0));
            let Some(next) = page.next else { break };
            before = Some(next.parse().unwrap());
        }
        assert_eq!(ids, [7, 9, 8]);
    }

    #[test]
    fn totals_are_sums_of_what_is_known() {
        let entries = [entry(1, 7, 1), entry(4, 7, 2)];
        let totals = &Conversations::page(&entries, 10, None).conversations[0];
        assert_eq!(
            (totals.turns, totals.input_tokens, totals.output_tokens),
            (2, Some(20), None)
        );
        assert_eq!((totals.first_at_ms, totals.last_at_ms), (1_000, 4_000));
        assert_eq!(
            (&*totals.models, totals.cost_usd),
            (&["m".to_owned()][..], None)
        );
    }

    #[test]
    fn a_conversation_lasts_to_the_microsecond_from_its_first_beginning_to_its_last_end() {
        let lasting = |id, turn, micros| {
            let mut exchange = entry(id, 7, turn).exchange().unwrap().clone();
            exchange.times.end = Duration::from_micros(micros);
            Entry::new(id, Arc::new(exchange))
        };
        let lasted = |entries: &[Entry]| {
            let page = Conversations::page(entries, 10, None);
            page.conversations[0].lasted_ms
        };
        assert_eq!(lasted(&[lasting(1, 1, 838)]), 0.838);
        assert_eq!(
            lasted(&[lasting(1, 1, 838), lasting(4, 2, 1_001)]),
            3_001.001
        );
        let within = [lasting(4, 2, 838), lasting(1, 1, 9_000_250)];
        assert_eq!(lasted(&within), 9_000.25);
    }

    #[test]
    fn a_turn_without_traces_follows_the_turn_before_it() {
        let entries = [
            entry(1, 7, 1),
            entry(2, 8, 1),
            entry(3, 7, 2),
            entry(4, 7, 3),
        ];
        let shown = ConversationDetail::among(&entries, Id(7)).unwrap();
        let previous: Vec<_> = shown.turns.iter().map(|turn| turn.previous).collect();
        assert_eq!(previous, [None, Some(1), Some(3)]);
        assert_eq!(ConversationDetail::among(&entries, Id(5)), None);
    }
}
