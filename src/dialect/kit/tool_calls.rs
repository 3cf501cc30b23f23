//! Tool calls, put together from fragments.
//!
//! By the API's word a fragment names its call by `index`, and the first one brings `id` and name. Servers leave the
//! index out (Gemini), send 0 for every call (Ollama), repeat the id on each fragment (SGLang), send it empty (vLLM,
//! DashScope), or send arguments as an object (TGI); [`ToolCalls::locate`] is where that is sorted out.

use crate::dialect::contract::Facts;
use crate::dialect::kit::member::{self, count, cut, keep, typed};
use crate::dialect::part::{CallPart, Part, Words};
use crate::exchange::{Quirk, Quirks, Response, ToolCall, ToolKind};
use crate::parse::json::{Kind, Text, Value};

/// Most tool calls that are kept.
const CALLS_KEPT: usize = 128;

/// Longest name that is put together, in bytes.
const NAME_KEPT: usize = 256;

/// What the wire said of each call in [`Response::tool_calls`](crate::exchange::Response::tool_calls), beside it.
#[derive(Debug, Default)]
pub(in crate::dialect) struct ToolCalls {
    origins: Vec<Origin>,
    /// What was odd about them, by the word of OpenAI's API.
    quirks: Quirks,
}

/// How a call was named when it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// By this index.
    Index(u64),
    /// Without an index.
    Unnumbered,
    /// As the one `function_call` that a choice could have before tools came.
    Legacy,
}

/// What one fragment says; empty texts are absent.
struct Fragment<'a> {
    choice: u64,
    index: Option<u64>,
    id: Option<Text<'a>>,
    name: Option<Text<'a>>,
    kind: ToolKind,
    /// The arguments' JSON text, and how many code points it has.
    arguments: Option<Words<'a>>,
    chars: u64,
    /// Its place in an array of several.
    position: Option<u64>,
    /// What is odd about the types of its members.
    quirks: Quirks,
}

impl ToolCalls {
    /// What was odd so far.
    pub(in crate::dialect) const fn quirks(&self) -> Quirks {
        self.quirks
    }

    /// Reads the member `tool_calls` of the choice `choice`: an array, or one call. Says whether it brought anything.
    pub(in crate::dialect) fn read(
        &mut self,
        calls: Value<'_>,
        choice: u64,
        facts: &mut Facts,
    ) -> bool {
        match calls.kind() {
            Kind::Array => {
                let several = calls.elements().nth(1).is_some();
                let mut any = false;
                for (position, call) in calls.elements().enumerate() {
                    let position = several.then_some(position as u64);
                    any |= self.read_call(call, choice, position, facts);
                }
                any
            }
            Kind::Object => {
                self.quirks.insert(Quirk::CallTypes);
                self.read_call(calls, choice, None, facts)
            }
            Kind::Null => false,
            _ => {
                facts.problems.mistyped += 1;
                false
            }
        }
    }

    /// Reads the member `function_call`, the only one of its choice.
    pub(in crate::dialect) fn read_legacy(
        &mut self,
        function: Value<'_>,
        choice: u64,
        facts: &mut Facts,
    ) -> bool {
        let mut fragment = Fragment {
            choice,
            index: None,
            id: None,
            name: None,
            kind: ToolKind::Function,
            arguments: None,
            chars: 0,
            position: None,
            quirks: Quirks::default(),
        };
        fragment.read_function(function, facts);
        self.quirks |= fragment.quirks;
        let calls = &facts.response.tool_calls;
        let known = calls.iter().zip(&self.origins);
        let at = known
            .enumerate()
            .find(|(_, (call, origin))| call.choice == choice && **origin == Origin::Legacy)
            .map(|(at, _)| at);
        self.note(&fragment, at, Origin::Legacy, facts)
    }

    fn read_call(
        &mut self,
        call: Value<'_>,
        choice: u64,
        position: Option<u64>,
        facts: &mut Facts,
    ) -> bool {
        let [index, id, function, custom] = call.select(["index", "id", "function", "custom"]);
        let problems = &mut facts.problems;
        let mut fragment = Fragment {
            choice,
            index: typed(index, problems, count),
            id: typed(id, problems, Value::as_text),
            name: None,
            kind: match (function, custom) {
                (None, Some(_)) => ToolKind::Custom,
                _ => ToolKind::Function,
            },
            arguments: None,
            chars: 0,
            position,
            quirks: Quirks::default(),
        };
        let empty = fragment.id.take_if(|id| id.is_empty()).is_some();
        fragment.quirks.insert_if(empty, Quirk::CallId);
        if let Some(function) = typed(function.or(custom), problems, member::object) {
            fragment.read_function(function, facts);
        }
        let at = self.locate(
            &fragment,
            &facts.response.tool_calls,
            facts.response.truncated,
        );
        let origin = fragment.index.map_or(Origin::Unnumbered, Origin::Index);
        self.quirks |= fragment.quirks;
        self.quirks |= self.oddities(&fragment, at, &facts.response);
        self.note(&fragment, at, origin, facts)
    }

    /// The call a fragment goes on with; `None` for a new one.
    fn locate(
        &self,
        fragment: &Fragment<'_>,
        calls: &[ToolCall],
        truncated: bool,
    ) -> Option<usize> {
        let last = |is_it: &dyn Fn(&ToolCall, Origin) -> bool| {
            let known = calls.iter().zip(&self.origins);
            known
                .enumerate()
                .rev()
                .find(|(_, (call, origin))| call.choice == fragment.choice && is_it(call, **origin))
                .map(|(at, _)| at)
        };
        let has_index = |call: &ToolCall, origin: Origin, index: u64| match origin {
            Origin::Index(given) => given == index,
            Origin::Unnumbered => call.index == index,
            Origin::Legacy => false,
        };
        match (fragment.id, fragment.index) {
            (Some(id), index) => last(&|call, origin| {
                let same_index = index.is_none_or(|index| has_index(call, origin, index));
                same_index && call.id.as_deref().is_some_and(|known| id.is(known))
            })
            // An id that comes late belongs to the call at its index; any other new id is a new call.
            .or_else(|| {
                let at = last(&|call, origin| {
                    index.is_some_and(|index| has_index(call, origin, index))
                })?;
                calls[at].id.is_none().then_some(at)
            }),
            (None, Some(index)) => last(&|call, origin| has_index(call, origin, index))
                // Whole calls without an id, all at one index.
                .filter(|at| !(fragment.is_whole() && is_whole(&calls[*at]))),
            (None, None) if truncated => None,
            (None, None) => last(&|call, _| {
                fragment
                    .position
                    .is_none_or(|position| call.index == position)
            })
            .filter(|at| fragment.name.is_none() || calls[*at].name.is_empty()),
        }
    }

    /// What is odd about a fragment of the call at `at`, or of a new one.
    fn oddities(&self, fragment: &Fragment<'_>, at: Option<usize>, response: &Response) -> Quirks {
        let calls = &response.tool_calls;
        let known = at.map(|at| &calls[at]);
        let index_taken = calls.iter().zip(&self.origins).any(|(call, origin)| {
            call.choice == fragment.choice
                && fragment
                    .index
                    .is_some_and(|index| *origin == Origin::Index(index))
        });
        let id = match known {
            Some(call) => fragment
                .id
                .is_some_and(|id| call.id.as_deref().is_some_and(|known| id.is(known))),
            None => fragment.id.is_none(),
        };
        let name = known.zip(fragment.name).is_some_and(|(call, name)| {
            let pieces = !call.name.is_empty() && !name.is(&call.name);
            pieces || (call.name.is_empty() && call.arguments_chars > 0)
        });
        Quirks::seen([
            (
                fragment.index.is_none() && response.streamed,
                Quirk::NoCallIndex,
            ),
            (known.is_none() && index_taken, Quirk::SameCallIndex),
            (id, Quirk::CallId),
            (name, Quirk::LateCallName),
        ])
    }

    /// Adds a fragment to the call at `at`, or to a new one. Says whether it brought anything.
    fn note(
        &mut self,
        fragment: &Fragment<'_>,
        at: Option<usize>,
        origin: Origin,
        facts: &mut Facts,
    ) -> bool {
        let brought = fragment.id.is_some() || fragment.name.is_some() || fragment.chars > 0;
        let response = &mut facts.response;
        let calls = &mut response.tool_calls;
        let at = match at {
            Some(at) => at,
            None if !brought => return false,
            None if calls.len() == CALLS_KEPT => {
                response.truncated = true;
                facts.show(fragment.choice, &Part::Hidden);
                return brought;
            }
            None => {
                let choice = fragment.choice;
                let of_choice = calls.iter().filter(|call| call.choice == choice).count();
                calls.push(ToolCall {
                    choice,
                    index: fragment.index.unwrap_or(of_choice as u64),
                    kind: fragment.kind,
                    ..ToolCall::default()
                });
                self.origins.push(origin);
                calls.len() - 1
            }
        };
        fragment.add_to(at, facts);
        brought
    }
}

impl<'a> Fragment<'a> {
    /// Reads `function`, or `custom` of a custom tool, whose arguments are called `input`.
    fn read_function(&mut self, function: Value<'a>, facts: &mut Facts) {
        let [name, arguments, input] = function.select(["name", "arguments", "input"]);
        self.name =
            typed(name, &mut facts.problems, Value::as_text).filter(|name| !name.is_empty());
        let arguments = arguments.or(input);
        let text = arguments.is_none_or(|arguments| arguments.kind() == Kind::String);
        self.quirks.insert_if(!text, Quirk::CallTypes);
        self.arguments = arguments
            .filter(|arguments| !arguments.is_null())
            .map(Words::of_json);
        self.chars = self.arguments.map_or(0, Words::chars);
    }

    const fn is_whole(&self) -> bool {
        self.name.is_some() && self.chars > 0
    }

    /// Adds it to the call at this place.
    fn add_to(&self, at: usize, facts: &mut Facts) {
        let call = &mut facts.response.tool_calls[at];
        if self.arguments.is_some() {
            call.arguments_chars += self.chars;
            call.arguments_bytes += self.arguments.map_or(0, Words::bytes);
            call.arguments_end = Some(facts.at);
        }
        let id = self.id.filter(|_| call.id.is_none());
        if let Some(id) = id {
            call.id = Some(keep(id));
        }
        // A name comes whole, in pieces, or whole again on every fragment.
        let name = self.name.filter(|name| !name.is(&call.name));
        if let Some(name) = name {
            let room = NAME_KEPT.saturating_sub(call.name.len());
            call.name.push_str(cut(&name.decode(), room));
        }
        let part = CallPart {
            number: at as u64,
            id: id.map(Words::Json),
            name: name.map(Words::Json),
            arguments: self.arguments,
            again: false,
        };
        facts.show(self.choice, &Part::ToolCall(part));
    }
}

const fn is_whole(call: &ToolCall) -> bool {
    !call.name.is_empty() && call.arguments_chars > 0
}
