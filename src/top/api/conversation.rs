//! Conversations as the API has them, and what is said of their turns.

use serde::Deserialize;

use super::super::text::{Text, count, estimated, percent, usd};
use super::Row;

/// `/api/conversations`: the one with the latest exchange first.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::top) struct Conversations {
    pub(in crate::top) conversations: Vec<Totals>,
    /// What to ask for the next page with; `None` at the end.
    pub(in crate::top) next: Option<Text>,
}

/// A conversation in brief: sums over what is kept of it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::top) struct Totals {
    pub(in crate::top) id: Text,
    pub(in crate::top) parent: Option<Text>,
    pub(in crate::top) turns: u64,
    pub(in crate::top) last_at_ms: u64,
    /// From the beginning of the first exchange to the end of the last.
    pub(in crate::top) lasted_ms: Option<f64>,
    pub(in crate::top) models: Vec<Text>,
    pub(in crate::top) input_tokens: Option<u64>,
    pub(in crate::top) output_tokens: Option<u64>,
    pub(in crate::top) cost_usd: Option<Text>,
    pub(in crate::top) cost_estimated: bool,
    pub(in crate::top) tool_calls: u64,
    pub(in crate::top) errors: u64,
    pub(in crate::top) repeated_calls: u64,
}

impl Totals {
    /// What it cost, with a mark where some of that is estimated; `None` where that is not known.
    pub(in crate::top) fn cost(&self) -> Option<String> {
        let cost = self.cost_usd.as_deref()?;
        Some(estimated(usd(cost), self.cost_estimated))
    }

    /// The models that were asked.
    pub(in crate::top) fn models(&self) -> String {
        let models: Vec<&str> = self.models.iter().map(|it| &**it).collect();
        models.join(", ")
    }
}

/// `/api/conversations/ID`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::top) struct ConversationDetail {
    pub(in crate::top) id: Text,
    pub(in crate::top) parent: Option<Text>,
    pub(in crate::top) children: Vec<Text>,
    pub(in crate::top) totals: Totals,
    /// Oldest first.
    pub(in crate::top) turns: Vec<Turn>,
}

impl ConversationDetail {
    /// The share of the input that a cache served, over the turns of which that is known.
    pub(in crate::top) fn cached_share(&self) -> Option<f64> {
        let known = self.turns.iter().map(|turn| &turn.exchange);
        let known = known.filter_map(|row| Some((row.cached_tokens?, row.input_tokens?)));
        let (cached, input) =
            known.fold((0_u64, 0_u64), |(cached, input), (of_cached, of_input)| {
                (
                    cached.saturating_add(of_cached),
                    input.saturating_add(of_input),
                )
            });
        share(cached, input)
    }

    /// In how many turns a cache could have served and did not.
    pub(in crate::top) fn cache_breaks(&self) -> u64 {
        let broken = self.turns.iter().filter(|turn| turn.broke_cache());
        broken.count() as u64
    }

    /// Tokens that a cache could have served and did not.
    pub(in crate::top) fn lost_tokens(&self) -> u64 {
        let prompts = self.turns.iter().filter_map(|turn| turn.prompt.as_ref());
        let lost = prompts.filter_map(|prompt| prompt.lost_tokens);
        lost.fold(0, u64::saturating_add)
    }

    /// By how many input tokens the context of a turn is larger than that of the turn it follows; `None` where one of them is
    /// not known.
    pub(in crate::top) fn grown(&self, turn: &Turn) -> Option<i64> {
        let before = turn.previous?;
        // It is mostly the one before.
        let before = self
            .turns
            .iter()
            .rev()
            .find(|it| it.exchange.id == before)?;
        let (now, then) = (turn.exchange.input_tokens?, before.exchange.input_tokens?);
        Some(now.cast_signed().saturating_sub(then.cast_signed()))
    }

    /// Whether some of what it has cost up to a turn is estimated, that one included.
    pub(in crate::top) fn is_estimated_until(&self, turn: usize) -> bool {
        let mut rows = self.turns.iter().take(turn + 1).map(|turn| &turn.exchange);
        rows.any(|row| row.cost_usd.is_some() && row.tokens_estimated == Some(true))
    }

    /// What the conversation has cost up to a turn, that one included; `None` before the first price.
    pub(in crate::top) fn cost_until(&self, turn: usize) -> Option<f64> {
        let costs = self.turns.iter().take(turn + 1);
        let costs = costs.filter_map(|turn| turn.exchange.cost_usd.as_deref()?.parse().ok());
        costs.fold(None, |sum: Option<f64>, cost: f64| {
            Some(sum.unwrap_or(0.0) + cost)
        })
    }
}

/// One turn of a conversation.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::top) struct Turn {
    pub(in crate::top) exchange: Row,
    pub(in crate::top) branch: u64,
    pub(in crate::top) depth: u64,
    pub(in crate::top) previous: Option<u64>,
    pub(in crate::top) prompt: Option<Prompt>,
    pub(in crate::top) tool_waits: Vec<ToolWait>,
    pub(in crate::top) repeated_calls: Vec<RepeatedCall>,
    pub(in crate::top) without_progress: Option<u64>,
}

/// What became of the part of a prompt that was sent before.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::top) struct Prompt {
    pub(in crate::top) earlier_bytes: Option<u64>,
    pub(in crate::top) matched_bytes: Option<u64>,
    pub(in crate::top) changed: Option<Text>,
    pub(in crate::top) lost_tokens: Option<u64>,
    pub(in crate::top) verdict: Option<Text>,
}

/// From a tool's call until a request brought its result: the client's own time included.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::top) struct ToolWait {
    pub(in crate::top) name: Text,
    pub(in crate::top) began_at_ms: u64,
    pub(in crate::top) lasted_ms: f64,
}

/// A call of a tool that was made before with the same arguments.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::top) struct RepeatedCall {
    pub(in crate::top) name: Text,
    pub(in crate::top) times: u64,
}

impl Turn {
    /// Its number, and where it stands if that is not on the one straight way.
    pub(in crate::top) fn label(&self) -> String {
        let mut label = self.exchange.turn.map_or_else(String::new, count);
        for (mark, number) in [("b", self.branch), ("d", self.depth)] {
            if number > 0 {
                label += &format!(" {mark}{number}");
            }
        }
        label
    }

    /// The share of its input that a cache served.
    pub(in crate::top) fn cached_share(&self) -> Option<f64> {
        share(self.exchange.cached_tokens?, self.exchange.input_tokens?)
    }

    /// Whether a cache could have served more of it and did not.
    pub(in crate::top) fn broke_cache(&self) -> bool {
        self.prompt.as_ref().is_some_and(|prompt| {
            let verdict = prompt.verdict.as_deref();
            prompt.changed.is_some() || matches!(verdict, Some("upstream_missed" | "expired"))
        })
    }

    /// What is odd about it, in a few words each: where the cache broke, loops, an error.
    pub(in crate::top) fn oddities(&self) -> Vec<String> {
        let broke = self.prompt.as_ref().filter(|_| self.broke_cache());
        let mut odd: Vec<String> = broke.map(Prompt::broken).into_iter().collect();
        let loops = self.repeated_calls.iter();
        odd.extend(loops.map(|call| format!("loop: {} {}×", call.name, count(call.times))));
        let still = self.without_progress;
        odd.extend(still.map(|turns| format!("nothing new for {} turns", count(turns))));
        if self.exchange.has_failed() {
            odd.push(self.exchange.story());
        }
        odd
    }

    /// The tools whose results it brought, each name once.
    pub(in crate::top) fn tools(&self) -> String {
        let mut names: Vec<(&str, u64)> = Vec::new();
        for wait in &self.tool_waits {
            match names.iter_mut().find(|(name, _)| *name == &*wait.name) {
                Some((_, times)) => *times += 1,
                None => names.push((&wait.name, 1)),
            }
        }
        let names = names.into_iter().map(|(name, times)| match times {
            1 => name.to_owned(),
            _ => format!("{name} {times}×"),
        });
        names.collect::<Vec<_>>().join(", ")
    }
}

impl Prompt {
    /// Where the cache stopped to match, and what that cost.
    fn broken(&self) -> String {
        let mut text = match (&self.changed, self.verdict.as_deref()) {
            (Some(part), _) => format!("cache broke at {part}"),
            (None, Some("expired")) => "cache expired".to_owned(),
            (None, _) => "cache missed by the upstream".to_owned(),
        };
        if let Some(lost @ 1..) = self.lost_tokens {
            text += &format!(", {} tokens lost", count(lost));
        }
        text
    }

    /// How much of the earlier prompt came again as it was.
    pub(in crate::top) fn matched(&self) -> Option<String> {
        let share = share(self.matched_bytes?, self.earlier_bytes?)?;
        Some(format!("{} of the earlier prompt matched", percent(share)))
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn turn(id: u64, more: &serde_json::Value) -> Turn {
        let mut turn = json!({"exchange": {"id": id, "turn": id, "input_tokens": 100 * id, "cached_tokens": 50 * id,
            "cost_usd": "0.25"}, "previous": id - 1});
        for (name, value) in more.as_object().unwrap() {
            turn[name] = value.clone();
        }
        serde_json::from_value(turn).unwrap()
    }

    #[test]
    fn what_is_odd_of_a_turn_is_said_in_the_words_of_the_page() {
        let prompt = json!({"earlier_bytes": 1000, "matched_bytes": 200, "changed": "system", "lost_tokens": 12_345,
            "verdict": "prefix_changed"});
        let odd = turn(
            2,
            &json!({"prompt": prompt, "repeated_calls": [{"name": "weather", "times": 3}], "without_progress": 4}),
        );
        let expected = [
            "cache broke at system, 12.3k tokens lost",
            "loop: weather 3×",
            "nothing new for 4 turns",
        ];
        assert_eq!(odd.oddities(), expected);
        let matched = odd.prompt.as_ref().unwrap().matched();
        assert_eq!(
            matched.as_deref(),
            Some("20% of the earlier prompt matched")
        );
        let missed = turn(2, &json!({"prompt": {"verdict": "upstream_missed"}}));
        assert_eq!(missed.oddities(), ["cache missed by the upstream"]);
        let reused = turn(2, &json!({"prompt": {"verdict": "reused"}}));
        assert!(reused.oddities().is_empty());
    }

    #[test]
    fn sums_are_of_the_turns_of_which_it_is_known() {
        let unknown = turn(3, &json!({"exchange": {"id": 3, "input_tokens": 900}}));
        let whole = ConversationDetail {
            turns: vec![turn(1, &json!({})), turn(2, &json!({})), unknown],
            ..ConversationDetail::default()
        };
        assert_eq!(whole.cached_share(), Some(0.5));
        assert_eq!(whole.cost_until(2), Some(0.5));
        let grown: Vec<_> = whole.turns.iter().map(|turn| whole.grown(turn)).collect();
        assert_eq!(grown, [None, Some(100), Some(700)]);
        assert_eq!(ConversationDetail::default().cached_share(), None);
        assert_eq!(ConversationDetail::default().cost_until(0), None);
    }

    #[test]
    fn a_turn_on_another_way_says_so_and_a_tool_is_named_once() {
        let waits = json!([{"name": "search"}, {"name": "fetch"}, {"name": "search"}]);
        let turn = turn(4, &json!({"branch": 1, "depth": 2, "tool_waits": waits}));
        assert_eq!(turn.label(), "4 b1 d2");
        assert_eq!(turn.tools(), "search 2×, fetch");
    }
}
