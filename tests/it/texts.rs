//! What is made of the description of the command line: completions of shells, and the manual.

use std::path::Path;
use std::process::{Command, Output};

use clap::CommandFactory as _;
use streamgauge::cli::Cli;

fn run(arguments: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_streamgauge"))
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    output
}

fn printed(arguments: &[&str]) -> String {
    String::from_utf8(run(arguments).stdout).unwrap()
}

/// Whether there is such a program here.
fn is_here(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

/// What bash offers for the last of these words.
fn offered(words: &str) -> Vec<String> {
    let script = r#"
        source <("$1" completions bash)
        COMP_WORDS=($2 $3) COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
        [ -n "$3" ] || { COMP_WORDS+=(""); COMP_CWORD=$(( COMP_CWORD + 1 )); }
        _streamgauge streamgauge "$3" "${COMP_WORDS[COMP_CWORD-1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let (before, last) = words.rsplit_once(' ').unwrap();
    let program = env!("CARGO_BIN_EXE_streamgauge");
    let output = Command::new("bash")
        .args(["-c", script, "bash", program, before, last])
        .output();
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
    let offered = String::from_utf8(output.stdout).unwrap();
    offered.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_flags_and_values() {
    if !is_here("bash") {
        return;
    }
    let commands = offered("streamgauge ");
    for command in Cli::command().get_subcommands() {
        assert!(
            commands.iter().any(|it| it == command.get_name()),
            "{commands:?}"
        );
    }
    assert_eq!(offered("streamgauge com"), ["completions"]);
    assert_eq!(offered("streamgauge top --on"), ["--once"]);
    assert_eq!(offered("streamgauge completions z"), ["zsh"]);
    assert!(offered("streamgauge serve --ups").contains(&"--upstream".to_owned()));
}

#[test]
fn every_shell_has_a_script_that_names_every_command() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = printed(&["completions", shell]);
        for command in Cli::command().get_subcommands() {
            assert!(
                script.contains(command.get_name()),
                "{shell}: {}",
                command.get_name()
            );
        }
    }
}

/// What a page says, without the marks of its fonts.
fn unmarked(page: &str) -> String {
    page.replace("\\-", "-")
        .replace("\\fB", "")
        .replace("\\fI", "")
        .replace("\\fR", "")
}

#[test]
fn the_manual_has_a_page_for_each_command_with_each_of_its_flags() {
    let folder = std::env::temp_dir().join(format!("streamgauge-man-{}", std::process::id()));
    run(&["man", "--dir", folder.to_str().unwrap()]);
    let read = |name: &str| unmarked(&std::fs::read_to_string(folder.join(name)).unwrap());
    let program = read("streamgauge.1");
    assert_eq!(program, unmarked(&printed(&["man"])));
    for command in Cli::command().get_subcommands() {
        let name = command.get_name();
        assert!(
            program.contains(&format!("streamgauge-{name}(1)")),
            "{name}"
        );
        let page = read(&format!("streamgauge-{name}.1"));
        for flag in command.get_arguments().filter_map(clap::Arg::get_long) {
            assert!(page.contains(&format!("--{flag}")), "{name} --{flag}");
        }
        let title = format!(
            ".TH STREAMGAUGE-{} 1 \"\" \"streamgauge ",
            name.to_uppercase()
        );
        assert!(page.contains(&title), "{name}: {page}");
        let about = command.get_about().unwrap().to_string();
        assert!(page.contains(&about), "{name}: {about}\n{page}");
        check(&folder.join(format!("streamgauge-{name}.1")));
    }
    check(&folder.join("streamgauge.1"));
    std::fs::remove_dir_all(folder).unwrap();
}

/// That the programs which show manuals have nothing to say against a page.
fn check(page: &Path) {
    if is_here("groff") {
        let groff = Command::new("groff")
            .args(["-man", "-ww", "-z", "-Kutf8"])
            .arg(page)
            .output();
        let said = groff.unwrap();
        assert!(
            said.status.success() && said.stderr.is_empty(),
            "{}: {said:?}",
            page.display()
        );
    }
    if is_here("mandoc") {
        let mandoc = Command::new("mandoc")
            .args(["-T", "lint", "-W", "error"])
            .arg(page)
            .output();
        let said = mandoc.unwrap();
        assert!(said.status.success(), "{}: {said:?}", page.display());
    }
}
