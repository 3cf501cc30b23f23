//! Finds modules of one folder that lead to each other, directly or by way of others. A child of a folder stands for all
//! that is below it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::source::{Module, Source, Use};

/// How many imports may be followed from name to name; those that lead to themselves have no end.
const IMPORTS_MAX: usize = 16;

/// The children of one folder: which leads to which, and by what.
type Folder<'a> = BTreeMap<String, BTreeMap<String, Vec<&'a Use>>>;

/// A circle in each group of a folder's children that lead to each other, with the paths that make it. Test code may lead
/// anywhere.
pub(crate) fn circles(source: &Source) -> Vec<String> {
    let imports = Imports::of(source);
    let mut folders: BTreeMap<&[String], Folder<'_>> = BTreeMap::new();
    for used in source.uses.iter().filter(|used| !used.in_tests) {
        let Some(to) = imports.target(&used.from, used, &[], 0) else {
            continue;
        };
        let shared = used
            .from
            .iter()
            .zip(&to)
            .take_while(|(from, to)| from == to);
        let shared = shared.count();
        if let (Some(from), Some(to)) = (used.from.get(shared), to.get(shared)) {
            let folder = folders.entry(&used.from[..shared]).or_default();
            let leads = folder.entry(from.clone()).or_default();
            leads.entry(to.clone()).or_default().push(used);
        }
    }
    let named = folders.iter().flat_map(|(path, folder)| {
        let circles = circles_in(folder).into_iter();
        circles.map(|circle| described(path, folder, &circle))
    });
    named.collect()
}

/// Imports of everything in a module: they hide where a path leads. Test code may have them.
pub(crate) fn globs(source: &Source) -> Vec<String> {
    let globs = source.uses.iter().filter(|used| {
        let is_ours = used.is_rooted || source.modules.contains(&used.to[..=used.from.len()]);
        is_ours && !used.in_tests && used.to.last().is_some_and(|last| last == "*")
    });
    let named = globs.map(|used| {
        let (file, line) = (used.file.display(), used.line);
        format!("src/{file}:{line}: `*` hides what is imported: name it")
    });
    named.collect()
}

/// What each module imports, by the name it has there.
struct Imports<'a> {
    modules: &'a BTreeSet<Module>,
    names: BTreeMap<(&'a [String], &'a str), Vec<&'a Use>>,
}

impl<'a> Imports<'a> {
    fn of(source: &'a Source) -> Self {
        let mut names: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for used in source.uses.iter().filter(|used| !used.in_tests) {
            if let Some(name) = &used.name {
                let key = (used.from.as_slice(), name.as_str());
                names.entry(key).or_default().push(used);
            }
        }
        let modules = &source.modules;
        Self { modules, names }
    }

    /// Where a path and the rest behind it lead from a module: the first module on the way that is neither that one nor
    /// above it. `None` where all of it is, and where it leads out of the crate.
    fn target(
        &self,
        from: &[String],
        used: &Use,
        rest: &[String],
        follow: usize,
    ) -> Option<Module> {
        let to = [&used.to, rest].concat();
        let known = if used.is_rooted { 0 } else { used.from.len() };
        for at in known..to.len() {
            let module = &to[..=at];
            if !self.modules.contains(module) {
                let imports = self.names.get(&(&to[..at], to[at].as_str()))?;
                let mut imports = imports.iter().filter(|_| follow < IMPORTS_MAX);
                return imports.find_map(|next| self.target(from, next, &to[at + 1..], follow + 1));
            }
            if !from.starts_with(module) {
                return Some(module.to_vec());
            }
        }
        None
    }
}

/// The shortest circle of each group of children that lead to each other, beginning with the first by name.
fn circles_in(folder: &Folder<'_>) -> Vec<Vec<String>> {
    let mut shortest: BTreeMap<BTreeSet<&str>, Vec<String>> = BTreeMap::new();
    for child in folder.keys() {
        let Some(circle) = way(folder, child, child) else {
            continue;
        };
        let together = folder.keys().filter(|other| {
            way(folder, child, other).is_some() && way(folder, other, child).is_some()
        });
        let found = shortest
            .entry(together.map(String::as_str).collect())
            .or_default();
        if found.is_empty() || circle.len() < found.len() {
            *found = circle;
        }
    }
    shortest.into_values().collect()
}

/// The shortest way from one child to another, both ends included.
fn way(folder: &Folder<'_>, from: &str, to: &str) -> Option<Vec<String>> {
    let mut seen = BTreeSet::new();
    let mut ways = VecDeque::from([vec![from.to_owned()]]);
    while let Some(way) = ways.pop_front() {
        for next in folder.get(way.last()?).into_iter().flat_map(BTreeMap::keys) {
            let longer = [way.as_slice(), std::slice::from_ref(next)].concat();
            if next == to {
                return Some(longer);
            }
            if seen.insert(next) {
                ways.push_back(longer);
            }
        }
    }
    None
}

fn described(path: &[String], folder: &Folder<'_>, circle: &[String]) -> String {
    let place = [&["src".to_owned()], path].concat().join("/");
    let mut lines = vec![format!("{place}: {}", circle.join(" → "))];
    for step in circle.windows(2) {
        lines.extend(folder[&step[0]][&step[1]].iter().map(|used| {
            let (file, line) = (used.file.display(), used.line);
            format!("  src/{file}:{line} leads to {}", used.to.join("::"))
        }));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let files = files.iter().map(|(file, text)| (Path::new(*file), *text));
        circles(&Source::read(files))
    }

    #[test]
    fn a_circle_is_named_with_the_paths_that_make_it() {
        let files = [
            ("a/mod.rs", "mod x; mod y; mod z;"),
            ("a/x.rs", "use super::y::Y;"),
            ("a/y.rs", "\nuse crate::a::z::Z;"),
            ("a/z.rs", "fn f() { super::x::g() }"),
        ];
        assert_eq!(
            found(&files),
            ["src/a: x → y → z → x\n  \
              src/a/x.rs:1 leads to a::y::Y\n  \
              src/a/y.rs:2 leads to a::z::Z\n  \
              src/a/z.rs:1 leads to a::x::g"]
        );
        assert_eq!(found(&files[..3]), [""; 0]);
    }

    #[test]
    fn of_modules_that_lead_to_each_other_the_shortest_circle_is_named() {
        let circles = found(&[
            ("a/x.rs", "use super::y::Y;"),
            ("a/y.rs", "use super::z::Z;"),
            ("a/z.rs", "use super::{x::X, y::Y};"),
            ("b/x.rs", "use super::y::Y;"),
            ("b/y.rs", "use super::x::X;"),
        ]);
        let named: Vec<_> = circles
            .iter()
            .filter_map(|told| told.lines().next())
            .collect();
        assert_eq!(named, ["src/a: y → z → y", "src/b: x → y → x"]);
    }

    #[test]
    fn a_child_stands_for_all_that_is_below_it() {
        let circles = found(&[
            ("a/x/deep.rs", "use crate::a::y::Y;"),
            ("a/y.rs", "mod inline { use super::super::x::X; }"),
            ("a/x/mod.rs", "mod deep;"),
            ("a/x.rs", "use self::deep::D;"),
        ]);
        assert_eq!(circles.len(), 1);
        assert!(circles[0].starts_with("src/a: x → y → x\n"), "{circles:?}");
        let rooms = found(&[("a/x.rs", "use crate::b;"), ("b.rs", "use crate::a::X;")]);
        assert!(rooms[0].starts_with("src: a → b → a\n"), "{rooms:?}");
    }

    #[test]
    fn what_the_folder_passes_on_counts_for_the_child_that_it_comes_from() {
        for passed_on in [
            "mod y; pub use y::Y;",
            "mod y; use y::{Z, W as Y};",
            "mod y; pub(crate) use self::y::Y;",
            "mod y; mod again { pub(super) use super::y::Y; } use again::Y;",
        ] {
            let circles = found(&[
                ("a/mod.rs", passed_on),
                ("a/x.rs", "use super::Y;"),
                ("a/y.rs", "use super::x::X;"),
            ]);
            assert_eq!(circles.len(), 1, "{passed_on}");
        }
    }

    #[test]
    fn what_the_folder_defines_itself_belongs_to_no_child() {
        let files = [
            (
                "a/mod.rs",
                "mod x; mod y; use std::fmt::Z; pub struct Y; use x::X;",
            ),
            ("a/x.rs", "use super::{Y, Z};"),
            ("a/y.rs", "use super::X;"),
        ];
        assert_eq!(found(&files), [""; 0]);
    }

    #[test]
    fn test_code_may_lead_anywhere() {
        let files = [
            ("a/x.rs", "use super::y::Y;"),
            ("a/y.rs", "#[cfg(test)] mod tests { use crate::a::x::X; }"),
        ];
        assert_eq!(found(&files), [""; 0]);
    }

    #[test]
    fn an_import_of_everything_is_named() {
        let files = [
            ("a/mod.rs", "mod x; use x::*;\npub use other::*;"),
            (
                "a/x.rs",
                "use crate::b::*; #[cfg(test)] mod tests { use super::*; }",
            ),
        ];
        let files = files.map(|(file, text)| (Path::new(file), text));
        assert_eq!(
            globs(&Source::read(files)),
            [
                "src/a/mod.rs:1: `*` hides what is imported: name it",
                "src/a/x.rs:1: `*` hides what is imported: name it"
            ]
        );
    }
}
