//! Finds the paths between modules in Rust source, and where each leads. Knows inline modules, groups, other names
//! (`as`) and `#[cfg(test)]`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::tokens::{Token, tokens};

/// The names of the modules that lead to one, from the crate's root on: none for the root itself.
pub(crate) type Module = Vec<String>;

/// The modules of a crate, and the paths in them.
#[derive(Debug, Default)]
pub(crate) struct Source {
    /// Each by its path under `src`.
    pub(crate) files: Vec<PathBuf>,
    /// Every file and folder, and every inline module.
    pub(crate) modules: BTreeSet<Module>,
    pub(crate) uses: Vec<Use>,
}

/// A path in the source that begins with `crate`, `super` or `self`, in the binary with the library's name, or that
/// stands in a `use`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Use {
    /// Under `src`.
    pub(crate) file: PathBuf,
    pub(crate) line: usize,
    /// The module that it stands in.
    pub(crate) from: Module,
    /// Where it leads, from the root on; a last `*` stands for everything there. One that is not rooted leads to a child
    /// of `from`, or out of the crate.
    pub(crate) to: Vec<String>,
    pub(crate) is_rooted: bool,
    /// What the thing is called in `from`, where a `use` brings it there.
    pub(crate) name: Option<String>,
    /// Whether it stands in test code.
    pub(crate) in_tests: bool,
}

impl Source {
    /// Reads the files of a crate, each named by its path under `src`.
    pub(crate) fn read<'a>(files: impl IntoIterator<Item = (&'a Path, &'a str)>) -> Self {
        let mut source = Self::default();
        let mut test_modules = Vec::new();
        for (file, text) in files {
            let modules = modules_of(file);
            source.files.push(file.to_owned());
            let above = (0..=modules.len()).map(|length| modules[..length].to_vec());
            source.modules.extend(above);
            let tokens = tokens(text);
            let mut reader = Reader {
                file,
                modules,
                is_binary: file == Path::new("main.rs"),
                scopes: Vec::new(),
                is_next_test: false,
                source: &mut source,
                test_modules: &mut test_modules,
            };
            reader.read(&tokens);
        }
        for found in &mut source.uses {
            found.in_tests |= found.from.iter().any(|module| module == "tests")
                || test_modules.iter().any(|test| found.from.starts_with(test));
        }
        source
    }
}

/// The modules that lead to a file.
fn modules_of(file: &Path) -> Module {
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

/// A pair of braces.
struct Scope<'a> {
    /// Its name, where it is an inline module.
    module: Option<&'a str>,
    in_tests: bool,
}

/// Reads one file.
struct Reader<'a> {
    file: &'a Path,
    modules: Module,
    is_binary: bool,
    scopes: Vec<Scope<'a>>,
    /// Whether `#[cfg(test)]` stands before what comes next.
    is_next_test: bool,
    source: &'a mut Source,
    /// Modules in files of their own that only tests have.
    test_modules: &'a mut Vec<Module>,
}

impl<'a> Reader<'a> {
    fn read(&mut self, tokens: &[(Token<'a>, usize)]) {
        let only: Vec<Token<'a>> = tokens.iter().map(|(token, _)| *token).collect();
        let mut at = 0;
        while at < only.len() {
            let line = tokens[at].1;
            at += match (&only[..at], &only[at..]) {
                (
                    _,
                    [
                        Token::Symbol('#'),
                        Token::Symbol('['),
                        Token::Word("cfg"),
                        Token::Symbol('('),
                        Token::Word("test"),
                        Token::Symbol(')'),
                        ..,
                    ],
                ) => {
                    self.is_next_test = true;
                    1
                }
                (
                    _,
                    [
                        Token::Word("mod"),
                        Token::Word(name),
                        Token::Symbol(';'),
                        ..,
                    ],
                ) if self.is_next_test => {
                    let module = [self.here(), vec![(*name).to_owned()]].concat();
                    self.test_modules.push(module);
                    1
                }
                (_, [Token::Symbol(';'), ..]) => {
                    self.is_next_test = false;
                    1
                }
                (before, [Token::Open, ..]) => {
                    self.open(before);
                    1
                }
                (_, [Token::Close, ..]) => {
                    self.scopes.pop();
                    1
                }
                ([.., Token::Word("use")], rest @ [Token::Word(_), ..]) => {
                    self.path(rest, line, true)
                }
                ([.., Token::PathSeparator], _) => 1,
                (_, rest @ [Token::Word(start), Token::PathSeparator, ..])
                    if self.is_root(start) || matches!(*start, "self" | "super") =>
                {
                    self.path(rest, line, false)
                }
                _ => 1,
            };
        }
    }

    fn open(&mut self, before: &[Token<'a>]) {
        let module = match before {
            [.., Token::Word("mod"), Token::Word(name)] => Some(*name),
            _ => None,
        };
        self.scopes.push(Scope {
            module,
            in_tests: std::mem::take(&mut self.is_next_test),
        });
        if module.is_some() {
            self.source.modules.insert(self.here());
        }
    }

    fn here(&self) -> Module {
        let inline = self.scopes.iter().filter_map(|scope| scope.module);
        let inline = inline.map(str::to_owned);
        self.modules.iter().cloned().chain(inline).collect()
    }

    fn is_root(&self, word: &str) -> bool {
        word == "crate" || (self.is_binary && word == "streamgauge")
    }

    /// Reads a path and, in a `use`, the group at its end; how many tokens it takes.
    fn path(&mut self, tokens: &[Token<'a>], line: usize, is_use: bool) -> usize {
        let from = self.here();
        let (mut to, mut at) = (from.clone(), 0);
        let mut is_rooted = false;
        while let [Token::Word(word), Token::PathSeparator, ..] = tokens[at..] {
            match word {
                root if self.is_root(root) => to.clear(),
                "self" => {}
                "super" => drop(to.pop()),
                _ => break,
            }
            is_rooted = true;
            at += 2;
        }
        let mut found = Vec::new();
        at += branch(&tokens[at..], &to, is_use, &mut found);
        let in_tests = self.is_next_test || self.scopes.iter().any(|scope| scope.in_tests);
        let uses = found.into_iter().map(|(to, name)| Use {
            file: self.file.to_owned(),
            line,
            from: from.clone(),
            to,
            is_rooted,
            name: name.filter(|_| is_use),
            in_tests,
        });
        self.source.uses.extend(uses);
        at
    }
}

/// Where the rest of a path leads that has come as far as `to`, each end with its name; and how many tokens it takes.
fn branch(
    tokens: &[Token<'_>],
    to: &[String],
    is_use: bool,
    found: &mut Vec<(Vec<String>, Option<String>)>,
) -> usize {
    let step = |word: &str| [to, &[word.to_owned()]].concat();
    match *tokens {
        [Token::Word("super"), Token::PathSeparator, ref rest @ ..] => {
            let parent = &to[..to.len().saturating_sub(1)];
            2 + branch(rest, parent, is_use, found)
        }
        [Token::Word(word), Token::PathSeparator, ref rest @ ..]
            if matches!(
                rest,
                [Token::Word(_) | Token::Open | Token::Symbol('*'), ..]
            ) =>
        {
            2 + branch(rest, &step(word), is_use, found)
        }
        [Token::Word(word), ref rest @ ..] => {
            let to = if word == "self" {
                to.to_vec()
            } else {
                step(word)
            };
            match *rest {
                [Token::Word("as"), Token::Word(name), ..] if is_use => {
                    found.push((to, Some(name.to_owned())));
                    3
                }
                _ => {
                    let name = to.last().cloned();
                    found.push((to, name));
                    1
                }
            }
        }
        [Token::Symbol('*'), ..] => {
            found.push((step("*"), None));
            1
        }
        [Token::Open, ..] => {
            let mut at = 1;
            while !matches!(tokens.get(at), None | Some(Token::Close)) {
                at += branch(&tokens[at..], to, is_use, found).max(1);
            }
            at + 1
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(file: &str, text: &str) -> Source {
        Source::read([(Path::new(file), text)])
    }

    /// Where the rooted paths of a file lead.
    fn rooted(file: &str, text: &str) -> Vec<String> {
        let uses = source(file, text).uses.into_iter();
        let rooted = uses.filter(|used| used.is_rooted);
        rooted.map(|used| used.to.join("::")).collect()
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
            rooted(
                "a.rs",
                "use crate::b::C; fn f(x: crate::c::X) { crate :: d::g(); crate::e::H::<u8>::new() }"
            ),
            ["b::C", "c::X", "d::g", "e::H"]
        );
        assert_eq!(
            rooted("a.rs", "pub(crate) use other::crate_::x; use b::c;"),
            [""; 0]
        );
    }

    #[test]
    fn groups_are_opened() {
        let text = "use crate::{b, c::{self, D, e::*}, f::g,}; use crate::h;";
        assert_eq!(
            rooted("a.rs", text),
            ["b", "c", "c::D", "c::e::*", "f::g", "h"]
        );
        assert_eq!(rooted("a.rs", "use crate::*;"), ["*"]);
        assert_eq!(rooted("a.rs", "use crate::{*};"), ["*"]);
        assert_eq!(rooted("a/x.rs", "use super::{super::b, y};"), ["b", "a::y"]);
    }

    #[test]
    fn super_leads_one_module_up_and_self_nowhere() {
        assert_eq!(rooted("a.rs", "use super::b::X;"), ["b::X"]);
        assert_eq!(rooted("a/x.rs", "use super::y;"), ["a::y"]);
        assert_eq!(rooted("a/x.rs", "use super::super::b;"), ["b"]);
        assert_eq!(rooted("a/x.rs", "use self::super::super::b;"), ["b"]);
        assert_eq!(
            rooted("a.rs", "mod x { use super::*; } use super::b;"),
            ["a::*", "b"]
        );
        assert_eq!(
            rooted("a.rs", "mod x { fn f() {} use super::super::b; }"),
            ["b"]
        );
    }

    #[test]
    fn an_import_has_a_name_and_a_line() {
        let text = "\nuse crate::b::{C,\n D as E}; use x::Y; fn f() { super::g::h as u8 }";
        let found = source("a/i.rs", text).uses.into_iter();
        let found: Vec<_> = found
            .map(|used| (used.to.join("::"), used.name, used.line, used.is_rooted))
            .collect();
        let name = |name: &str| Some(name.to_owned());
        assert_eq!(
            found,
            [
                ("b::C".to_owned(), name("C"), 2, true),
                ("b::D".to_owned(), name("E"), 2, true),
                ("a::i::x::Y".to_owned(), name("Y"), 3, false),
                ("a::g::h".to_owned(), None, 3, true),
            ]
        );
    }

    #[test]
    fn the_binary_imports_by_the_name_of_the_library() {
        assert_eq!(
            rooted("main.rs", "use streamgauge::{app, config::Config};"),
            ["app", "config::Config"]
        );
        assert_eq!(rooted("a.rs", "use streamgauge::app;"), [""; 0]);
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
        assert_eq!(rooted("a.rs", text), ["e::E"]);
    }

    #[test]
    fn test_code_is_told_from_the_rest() {
        let in_tests = |files: &[(&str, &str)]| {
            let files = files.iter().map(|(file, text)| (Path::new(*file), *text));
            let uses = Source::read(files).uses.into_iter();
            let in_tests = uses.filter(|used| used.in_tests);
            in_tests.map(|used| used.to.join("::")).collect::<Vec<_>>()
        };
        let text = "use crate::b; #[cfg(test)] use crate::c; #[cfg(test)] mod tests { use crate::d; } use crate::e;";
        assert_eq!(in_tests(&[("a.rs", text)]), ["c", "d"]);
        assert_eq!(in_tests(&[("a/tests.rs", "use crate::b;")]), ["b"]);
        assert_eq!(in_tests(&[("a/tests/x.rs", "use crate::b;")]), ["b"]);
        assert_eq!(
            in_tests(&[
                ("a/x.rs", "use crate::b;"),
                ("a/mod.rs", "#[cfg(test)] mod x; mod y;"),
                ("a/y.rs", "use crate::c;")
            ]),
            ["b"]
        );
    }
}
