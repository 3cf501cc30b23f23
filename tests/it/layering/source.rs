//! Finds the paths between rooms in Rust source. It splits text into as few kinds of token as that takes, and knows
//! comments, strings, inline modules and `#[cfg(test)]`.

use std::path::Path;

/// A path from one room into another, or into itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Import {
    /// The first module of the path; `*` where everything in the crate's root was imported.
    pub(crate) room: String,
    /// Whether it stands in test code.
    pub(crate) in_tests: bool,
}

/// The modules that lead to a file, named by its path under `src`: none for the crate's root.
pub(crate) fn modules_of(file: &Path) -> Vec<String> {
    let path = file.with_extension("");
    let mut modules: Vec<String> = path
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    if modules.last().is_some_and(|last| last == "mod")
        || matches!(modules.as_slice(), [root] if root == "lib" || root == "main")
    {
        modules.pop();
    }
    modules
}

/// Every path in a file that leads out of its module by `crate` or `super`, and in the binary by the library's name.
pub(crate) fn imports(modules: &[String], is_binary: bool, text: &str) -> Vec<Import> {
    let tokens = tokens(text);
    let mut scopes = vec![Scope {
        module: None,
        in_tests: modules.last().is_some_and(|last| last == "tests"),
    }];
    let mut is_next_test = false;
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let rest = &tokens[at..];
        at += 1;
        let follows_path = at > 1 && tokens[at - 2] == Token::PathSeparator;
        match rest {
            [
                Token::Symbol('#'),
                Token::Symbol('['),
                Token::Word("cfg"),
                Token::Symbol('('),
                Token::Word("test"),
                Token::Symbol(')'),
                ..,
            ] => {
                is_next_test = true;
            }
            [Token::Symbol(';'), ..] => is_next_test = false,
            [Token::Open, ..] => {
                let module = match tokens[..at - 1] {
                    [.., Token::Word("mod"), Token::Word(name)] => Some(name),
                    _ => None,
                };
                scopes.push(Scope {
                    module,
                    in_tests: std::mem::take(&mut is_next_test),
                });
            }
            [Token::Close, ..] => {
                scopes.pop();
            }
            [Token::Word(start), Token::PathSeparator, ..] if !follows_path => {
                let inline = scopes.iter().filter_map(|scope| scope.module);
                let here: Vec<&str> = modules.iter().map(String::as_str).chain(inline).collect();
                let is_root = *start == "crate" || (is_binary && *start == "streamgauge");
                let (rooms, length) = targets(if is_root { &[] } else { &here }, rest, is_root);
                let in_tests = is_next_test || scopes.iter().any(|scope| scope.in_tests);
                found.extend(rooms.into_iter().map(|room| Import { room, in_tests }));
                at += length;
            }
            _ => {}
        }
    }
    found
}

/// A pair of braces.
struct Scope<'a> {
    /// Its name, where it is an inline module.
    module: Option<&'a str>,
    in_tests: bool,
}

/// The rooms that a path leads to, and how many of its tokens after the first one were read.
fn targets(here: &[&str], path: &[Token<'_>], is_root: bool) -> (Vec<String>, usize) {
    let mut module = here.len();
    let mut at = if is_root { 2 } else { 0 };
    let mut is_relative = is_root;
    while let [
        Token::Word(word @ ("self" | "super")),
        Token::PathSeparator,
        ..,
    ] = path[at..]
    {
        is_relative = true;
        module = module.saturating_sub(usize::from(word == "super"));
        at += 2;
    }
    if !is_relative {
        return (Vec::new(), 0);
    }
    if module > 0 {
        return (vec![here[0].to_owned()], at - 1);
    }
    match path.get(at) {
        Some(Token::Word(room)) => (vec![(*room).to_owned()], at),
        Some(Token::Symbol('*')) => (vec!["*".to_owned()], at),
        Some(Token::Open) => {
            let (rooms, length) = group(&path[at + 1..]);
            (rooms, at + length)
        }
        _ => (Vec::new(), at - 1),
    }
}

/// The first module of each path in a group, and how many tokens the group takes.
fn group(tokens: &[Token<'_>]) -> (Vec<String>, usize) {
    let mut rooms = Vec::new();
    let (mut depth, mut is_start) = (1, true);
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Open => depth += 1,
            Token::Close => depth -= 1,
            Token::Symbol(',') if depth == 1 => is_start = true,
            Token::Word(room) if depth == 1 && std::mem::take(&mut is_start) => {
                rooms.push((*room).to_owned())
            }
            Token::Symbol('*') if depth == 1 && std::mem::take(&mut is_start) => {
                rooms.push("*".to_owned())
            }
            _ => {}
        }
        if depth == 0 {
            return (rooms, at + 1);
        }
    }
    (rooms, tokens.len())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    PathSeparator,
    Open,
    Close,
    Symbol(char),
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if let Some(length) = silent(rest) {
            length
        } else if rest.starts_with("::") {
            tokens.push(Token::PathSeparator);
            2
        } else if is_word(first) {
            let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            tokens.push(Token::Word(&rest[..length]));
            length
        } else {
            match first {
                '{' => tokens.push(Token::Open),
                '}' => tokens.push(Token::Close),
                space if space.is_whitespace() => {}
                symbol => tokens.push(Token::Symbol(symbol)),
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    tokens
}

/// Length of the comment, string or character that `text` begins with.
fn silent(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return Some(block_comment(text));
    }
    let prefix = ["br", "cr", "r"]
        .into_iter()
        .find(|prefix| text.starts_with(prefix));
    if let Some(raw) = prefix.map(|prefix| &text[prefix.len()..]) {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let start = text.len() - raw.len() + hashes + 1;
            let end = format!("\"{}", "#".repeat(hashes));
            return Some(
                text[start..]
                    .find(&end)
                    .map_or(text.len(), |at| start + at + end.len()),
            );
        }
    }
    if text.starts_with('"') {
        return Some(quoted(text, '"'));
    }
    // A quote is a character where a quote ends it, and a lifetime elsewhere.
    let mut after = text.strip_prefix('\'')?.chars();
    match after.next()? {
        '\\' => Some(quoted(text, '\'')),
        _ if after.next() == Some('\'') => Some(quoted(text, '\'')),
        _ => Some(1),
    }
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

fn quoted(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            end if end == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rooms(file: &str, text: &str) -> Vec<String> {
        let is_binary = file == "main.rs";
        let found = imports(&modules_of(Path::new(file)), is_binary, text);
        found.into_iter().map(|import| import.room).collect()
    }

    #[test]
    fn a_file_knows_its_modules() {
        assert_eq!(modules_of(Path::new("sink/traces.rs")), ["sink", "traces"]);
        assert_eq!(modules_of(Path::new("sink/mod.rs")), ["sink"]);
        assert_eq!(modules_of(Path::new("sse.rs")), ["sse"]);
        assert_eq!(modules_of(Path::new("lib.rs")), [""; 0]);
    }

    #[test]
    fn paths_are_found_in_imports_and_in_code() {
        assert_eq!(
            rooms(
                "a.rs",
                "use crate::b::C; fn f(x: crate::c::X) { crate :: d::g(); }"
            ),
            ["b", "c", "d"]
        );
        assert_eq!(
            rooms("a.rs", "pub(crate) use other::crate_::x; use b::c;"),
            [""; 0]
        );
    }

    #[test]
    fn groups_are_opened() {
        let text = "use crate::{b, c::{self, D, e::*}, f::g}; use crate::h;";
        assert_eq!(rooms("a.rs", text), ["b", "c", "f", "h"]);
        assert_eq!(rooms("a.rs", "use crate::*;"), ["*"]);
        assert_eq!(rooms("a.rs", "use crate::{*};"), ["*"]);
    }

    #[test]
    fn super_leaves_the_room_only_from_its_top() {
        assert_eq!(rooms("a.rs", "use super::b::X;"), ["b"]);
        assert_eq!(rooms("a.rs", "use super::{b, c::D};"), ["b", "c"]);
        assert_eq!(rooms("a/x.rs", "use super::y;"), ["a"]);
        assert_eq!(rooms("a/x.rs", "use super::super::b;"), ["b"]);
        assert_eq!(rooms("a/x.rs", "use self::super::super::b;"), ["b"]);
        assert_eq!(
            rooms("a.rs", "mod tests { use super::*; } use super::b;"),
            ["a", "b"]
        );
        assert_eq!(
            rooms("a.rs", "mod tests { fn f() {} use super::super::b; }"),
            ["b"]
        );
    }

    #[test]
    fn the_binary_imports_by_the_name_of_the_library() {
        assert_eq!(
            rooms("main.rs", "use streamgauge::{app, config::Config};"),
            ["app", "config"]
        );
        assert_eq!(rooms("a.rs", "use streamgauge::app;"), [""; 0]);
    }

    #[test]
    fn comments_strings_and_lifetimes_do_not_count() {
        let text = r####"
            //! [`crate::b`]
            /* crate::b /* crate::c */ crate::d */
            const X: &'static str = "crate::b \" crate::c";
            const Y: &str = r#"crate::b " crate::c"#;
            const Z: [char; 2] = ['"', '\''];
            fn f<'a>(x: &'a crate::e::E) {}
        "####;
        assert_eq!(rooms("a.rs", text), ["e"]);
    }

    #[test]
    fn test_code_is_told_from_the_rest() {
        let text = "use crate::b; #[cfg(test)] use crate::c; #[cfg(test)] mod tests { use crate::d; } use crate::e;";
        let found = imports(&modules_of(Path::new("a.rs")), false, text);
        let in_tests: Vec<_> = found
            .iter()
            .map(|import| (import.room.as_str(), import.in_tests))
            .collect();
        assert_eq!(
            in_tests,
            [("b", false), ("c", true), ("d", true), ("e", false)]
        );
        assert!(imports(&modules_of(Path::new("a/tests.rs")), false, "use crate::b;")[0].in_tests);
    }
}
