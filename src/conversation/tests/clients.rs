//! Many conversations at once, of clients with every habit that was seen in agent frameworks: whatever is linked belongs together, and
//! where nothing is the same by chance all that can be linked is.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::shared::Replicas;
use super::*;

/// What a client does with an answer before it sends it back, or with a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Habit {
    Plain,
    /// Old messages gain a member.
    Renames,
    /// Ids of its own, numbered by place, the same in every conversation.
    OwnIds,
    /// Ids that are generated where the server sent none.
    FreshIds,
    /// No text beside calls.
    DropsText,
    /// More text than the answer had.
    AddsText,
    /// Only what is new, and the id of the response before.
    Delta,
    /// Results in the order of completion.
    ByCompletion,
    /// Calls and results of earlier questions are left out.
    LosesMiddle,
    /// Calls and results as texts of the user.
    HandsOver,
    /// Each question without those before it.
    Forgets,
    /// Some questions are taken back and asked in another way.
    Edits,
}

const HABITS: [Habit; 12] = [
    Habit::Plain,
    Habit::Renames,
    Habit::OwnIds,
    Habit::FreshIds,
    Habit::DropsText,
    Habit::AddsText,
    Habit::Delta,
    Habit::ByCompletion,
    Habit::LosesMiddle,
    Habit::HandsOver,
    Habit::Forgets,
    Habit::Edits,
];

/// What is the same in many conversations. The system prompt and the first words always are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum World {
    /// Nothing else.
    Unlike,
    /// Often what is said and called, and always the ids of calls.
    Alike,
}

/// Splitmix64.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut hash = self.0;
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (hash ^ (hash >> 31)) % bound
    }

    fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }
}

/// An exchange, and the truth about it.
struct Known {
    script: Script,
    conversation: usize,
    /// The exchanges it may be said to follow.
    follows: Vec<u64>,
    /// Whether it can be told at all which it follows.
    can_be_told: bool,
    renames: bool,
    names_response: Option<u64>,
}

impl Known {
    fn exchange(&self) -> Exchange {
        let mut exchange = self.script.exchange();
        let id = |number| format!("resp_{number}");
        exchange.response.id = Some(id(self.script.number));
        exchange.request.previous_response_id = self.names_response.map(id);
        let history = exchange.history.as_mut().unwrap();
        let items = history.items.len();
        for item in history
            .items
            .iter_mut()
            .take(items - 1)
            .filter(|_| self.renames)
        {
            item.segment.raw = digest(("with a name", item.segment.raw));
        }
        exchange
    }
}

/// One client's conversation under way.
struct Talk<'c> {
    chance: &'c mut Chance,
    number: &'c mut u64,
    conversation: usize,
    habit: Habit,
    world: World,
    now: u64,
    messages: Vec<Says>,
    /// What of them was sent and answered.
    answered: usize,
    follows: Vec<u64>,
    exchanges: Vec<Known>,
}

impl Talk<'_> {
    /// Something to say: in one world never twice, in the other mostly said before.
    fn words(&mut self, what: &str) -> String {
        match self.world {
            World::Alike => format!("{what} {}", self.chance.below(3)),
            World::Unlike => {
                *self.number += 1;
                format!("{what} {} of {}", self.number, self.conversation)
            }
        }
    }

    fn calls(&mut self) -> Vec<Called> {
        let count = 1 + self.chance.below(3);
        let one = |at: u64, talk: &mut Self| {
            let arguments = talk.words("look for");
            let id = match (talk.world, talk.habit) {
                (_, Habit::FreshIds) => String::new(),
                (World::Alike, _) => format!("call_{at}"),
                (World::Unlike, _) => format!(
                    "call_{}_{}",
                    talk.conversation,
                    arguments.len() + *talk.number as usize
                ),
            };
            call(&id, "search", &arguments)
        };
        (0..count).map(|at| one(at, self)).collect()
    }

    fn sent(&self) -> Vec<Says> {
        let is_user = |says: &Says| matches!(says, Says::User(_));
        let question = self.messages.iter().rposition(is_user).unwrap_or(0);
        let is_tool = |says: &Says| match says {
            Says::Model { calls, .. } => !calls.is_empty(),
            says => matches!(says, Says::Result { .. }),
        };
        match self.habit {
            Habit::Delta => self.messages[self.answered..].to_vec(),
            Habit::LosesMiddle => {
                let earlier = self.messages[..question]
                    .iter()
                    .filter(|says| !is_tool(says));
                earlier.chain(&self.messages[question..]).cloned().collect()
            }
            Habit::Forgets => {
                let system = self.messages[..1].iter();
                system
                    .chain(&self.messages[question.max(1)..])
                    .cloned()
                    .collect()
            }
            _ => self.messages.clone(),
        }
    }

    /// Asks, and is answered in the end.
    fn ask(&mut self, answer: &Says) {
        let messages = self.sent();
        let has_history = messages
            .iter()
            .any(|says| matches!(says, Says::Model { .. }));
        let is_first = self.follows.is_empty();
        let can_be_told =
            has_history || self.habit == Habit::Delta || self.habit == Habit::HandsOver;
        let repeats = self.chance.one_in(20) && has_history;
        let mut answers = Vec::new();
        while self.chance.one_in(12) {
            answers.push(None);
        }
        answers.push(Some(answer));
        answers.extend(repeats.then_some(Some(answer)));
        let mut numbers = Vec::new();
        for answer in answers {
            *self.number += 1;
            let number = *self.number;
            let mut script = match answer {
                Some(answer) => Script::new(number, self.now, &messages, answer.clone()),
                None => Script::failed(number, self.now, &messages),
            };
            script.took += self.chance.below(500) * u64::from(answer.is_some());
            self.now += script.took + 1 + self.chance.below(200);
            numbers.extend(answer.map(|_| number));
            self.exchanges.push(Known {
                script,
                conversation: self.conversation,
                follows: self.follows.clone(),
                can_be_told: can_be_told && !is_first,
                renames: self.habit == Habit::Renames,
                names_response: self
                    .follows
                    .last()
                    .copied()
                    .filter(|_| self.habit == Habit::Delta),
            });
        }
        self.follows = numbers;
    }

    /// Takes an answer into the history as this client does.
    fn keep(&mut self, answer: Says) {
        let Says::Model { text, mut calls } = answer else {
            unreachable!("only models answer")
        };
        let text = match self.habit {
            Habit::AddsText if calls.is_empty() => format!("{text}\nDone."),
            Habit::DropsText if !calls.is_empty() => String::new(),
            _ => text,
        };
        self.answered = self.messages.len();
        for (at, call) in calls.iter_mut().enumerate() {
            match self.habit {
                Habit::OwnIds => call.id = Some(format!("call_{at:040}")),
                Habit::FreshIds => {
                    *self.number += 1;
                    call.id = Some(format!("fresh_{}", self.number));
                }
                _ => {}
            }
        }
        let mut results: Vec<_> = calls
            .iter()
            .map(|call| (call.id.clone().unwrap_or_default(), self.words("found")))
            .collect();
        if self.habit == Habit::HandsOver && !calls.is_empty() {
            let told = results
                .iter()
                .map(|(id, found)| user(&format!("{id} was called: {found}")));
            self.messages.extend(told);
            return;
        }
        if self.habit == Habit::ByCompletion {
            results.reverse();
        }
        self.messages.push(Says::Model { text, calls });
        if self.habit == Habit::Delta {
            self.answered = self.messages.len();
        }
        let results = results.iter().map(|(id, found)| result(id, found));
        self.messages.extend(results);
    }

    fn question(&mut self) {
        for _ in 0..self.chance.below(3) {
            let said = self.words("let me see");
            let called = self.calls();
            let answer = calls(&said, called);
            self.ask(&answer);
            self.keep(answer);
            self.now += self.chance.below(3000);
        }
        let answer = model(&self.words("it is"));
        self.ask(&answer);
        self.keep(answer);
        self.now += self.chance.below(20_000);
    }

    fn hold(mut self) -> Vec<Known> {
        self.messages = vec![system("You are an agent."), user("Hello, can you help me?")];
        self.question();
        for _ in 0..self.chance.below(4) {
            let before = (self.messages.clone(), self.follows.clone(), self.answered);
            let question = user(&self.words("what about"));
            self.messages.push(question);
            self.question();
            if self.habit == Habit::Edits && self.chance.one_in(2) {
                (self.messages, self.follows, self.answered) = before;
                let question = user(&self.words("I mean"));
                self.messages.push(question);
                self.question();
            }
        }
        self.exchanges
    }
}

/// Conversations that begin within a minute.
fn talks(seed: u64, count: usize, world: World) -> Vec<Known> {
    let (mut chance, mut number) = (Chance(seed), 0);
    let mut all: Vec<Known> = (0..count)
        .flat_map(|conversation| {
            let habit = HABITS[chance.below(HABITS.len() as u64) as usize];
            let now = chance.below(60_000);
            let talk = Talk {
                chance: &mut chance,
                number: &mut number,
                conversation,
                habit,
                world,
                now,
                messages: Vec::new(),
                answered: 0,
                follows: Vec::new(),
                exchanges: Vec::new(),
            };
            talk.hold()
        })
        .collect();
    all.sort_by_key(|known| known.script.ended());
    all
}

/// What became of them.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    followers: usize,
    linked: usize,
    calls: usize,
    waits: usize,
}

/// Has them told by one process.
fn judge(all: &[Known], bounds: Bounds, is_exact: bool) -> Tally {
    let mut correlator = Correlator::in_memory(bounds, Thresholds::default(), 7);
    judge_by(all, is_exact, |exchange| correlator.take(exchange))
}

/// Has them told, and finds nothing that is false.
fn judge_by(
    all: &[Known],
    is_exact: bool,
    mut take: impl FnMut(&Exchange) -> Option<Conversation>,
) -> Tally {
    let of: HashMap<u64, usize> = all
        .iter()
        .map(|known| (known.script.number, known.conversation))
        .collect();
    let mut ids: HashMap<u128, usize> = HashMap::new();
    let (mut waited, mut tally) = (HashSet::new(), Tally::default());
    for known in all {
        let place = take(&known.exchange()).unwrap();
        let owner = *ids.entry(place.id).or_insert(known.conversation);
        assert_eq!(owner, known.conversation, "{:?}", known.script);
        if let Some(previous) = previous(&place) {
            assert_eq!(of[&previous], known.conversation, "{:?}", known.script);
        }
        if is_exact && known.can_be_told {
            let previous = previous(&place);
            let is_right = previous.is_some_and(|previous| known.follows.contains(&previous));
            assert!(
                is_right,
                "{previous:?}, not {:?}: {:#?}",
                known.follows, known.script
            );
        }
        tally.followers += usize::from(known.can_be_told);
        tally.linked += usize::from(known.can_be_told && place.linked_by.is_some());
        if let Some(Says::Model { calls, .. }) = &known.script.answer {
            tally.calls += calls.len();
        }
        for wait in &place.waits {
            tally.waits += 1;
            let by = wait.called_by.unwrap().client_span_id;
            assert_eq!(of[&by], known.conversation);
            assert!(
                waited.insert((by, wait.began)),
                "a result was counted twice"
            );
        }
    }
    tally
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn whatever_can_be_linked_is_linked_to_what_it_follows(seed: u64) {
        judge(&talks(seed, 25, World::Unlike), Bounds::default(), true);
    }

    #[test]
    fn nothing_is_linked_that_does_not_belong_together(seed: u64) {
        judge(&talks(seed, 25, World::Alike), Bounds::default(), false);
    }

    #[test]
    fn three_processes_that_share_their_state_tell_what_one_would(seed: u64, is_alike: bool) {
        let world = if is_alike { World::Alike } else { World::Unlike };
        let mut one = Correlator::in_memory(Bounds::default(), Thresholds::default(), 7);
        let (mut replicas, mut turn) = (Replicas::new(3), Chance(seed));
        judge_by(&talks(seed, 25, world), !is_alike, |exchange| {
            let told = replicas.take(turn.below(3) as usize, exchange)?;
            let alone = one.take(exchange)?;
            let id = told.id;
            let parent = told.parent;
            assert_eq!(told, Conversation { id, parent, ..alone });
            Some(told)
        });
    }
}

#[test]
fn of_a_thousand_conversations_at_once_no_two_are_mixed_up() {
    let all = talks(1, 1000, World::Unlike);
    let tally = judge(&all, Bounds::default(), true);
    assert!(tally.followers > 3000, "{tally:?}");
    assert_eq!(tally.linked, tally.followers);
    assert!(tally.waits * 10 > tally.calls * 7, "{tally:?}");
    let alike = judge(&talks(2, 1000, World::Alike), Bounds::default(), false);
    assert!(alike.followers > 3000 && alike.linked > 300, "{alike:?}");
}
