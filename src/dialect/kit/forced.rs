//! A tool that the model has no choice about: where one function is offered and must be called, its arguments are the answer.
//! That is how output of a structure was asked for before there were schemas for it, and how libraries still do it.

use super::member::keep;
use crate::parse::json::{Text, Value};

/// The members of a request that say so, in whichever API.
pub(in crate::dialect) const MEMBERS: [&str; 4] =
    ["tool_choice", "function_call", "tools", "functions"];

/// The name of that function; `None` where there are several, or none that must be called.
pub(in crate::dialect) fn forced_tool(
    [choice, old_choice, tools, functions]: [Option<Value<'_>>; MEMBERS.len()],
) -> Option<String> {
    let mut offered = tools.or(functions)?.elements();
    let only = offered.next().filter(|_| offered.next().is_none())?;
    let name = name_of(only)?;
    must_call(choice.or(old_choice)?, name).then(|| keep(name))
}

/// Whether this choice makes the model call the one function there is.
fn must_call(choice: Value<'_>, only: Text<'_>) -> bool {
    let says = |word: Option<Value<'_>>| {
        let word = word.and_then(Value::as_text);
        word.is_some_and(|word| word.is("required") || word.is("any"))
    };
    let [kind, mode] = choice.select(["type", "mode"]);
    let named = name_of(choice).is_some_and(|name| name.decode() == only.decode());
    named || says(Some(choice)) || says(kind) || says(mode)
}

/// The name of a function, which the APIs have in different places.
fn name_of(tool: Value<'_>) -> Option<Text<'_>> {
    let [name, function, custom] = tool.select(["name", "function", "custom"]);
    let inner = function
        .or(custom)
        .and_then(|function| function.get("name"));
    name.or(inner)?.as_text().filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::json;

    fn forced(request: &str) -> Option<String> {
        let request = json::parse(request.as_bytes()).unwrap();
        forced_tool(request.select(MEMBERS))
    }

    #[test]
    fn one_function_that_must_be_called_is_forced() {
        for request in [
            r#"{"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":{"type":"function","function":{"name":"f"}}}"#,
            r#"{"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"required"}"#,
            r#"{"functions":[{"name":"f"}],"function_call":{"name":"f"}}"#,
            r#"{"tools":[{"type":"function","name":"f"}],"tool_choice":{"type":"function","name":"f"}}"#,
            r#"{"tools":[{"name":"f"}],"tool_choice":{"type":"tool","name":"f"}}"#,
            r#"{"tools":[{"name":"f"}],"tool_choice":{"type":"any"}}"#,
            r#"{"tools":[{"name":"f"}],"tool_choice":{"type":"allowed_tools","mode":"required","tools":[]}}"#,
        ] {
            assert_eq!(forced(request).as_deref(), Some("f"), "{request}");
        }
    }

    #[test]
    fn a_choice_is_none_that_is_forced() {
        for request in [
            r#"{"tools":[{"name":"f"},{"name":"g"}],"tool_choice":"required"}"#,
            r#"{"tools":[{"name":"f"},{"name":"g"}],"tool_choice":{"name":"f"}}"#,
            r#"{"tools":[{"name":"f"}],"tool_choice":"auto"}"#,
            r#"{"tools":[{"name":"f"}],"tool_choice":{"type":"auto"}}"#,
            r#"{"tools":[{"name":"f"}]}"#,
            r#"{"tools":[{"type":"web_search"}],"tool_choice":"required"}"#,
            r#"{"tools":[],"tool_choice":"required"}"#,
            "{}",
        ] {
            assert_eq!(forced(request), None, "{request}");
        }
    }
}
