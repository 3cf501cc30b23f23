//! From flags, environment and file to one [`Config`], or to everything that is wrong with them.
//!
//! Every source is checked, also where a stronger one overrides it: an error that shows only once a flag is taken away
//! would be a trap.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use http::Uri;

use super::Config;
use super::document::{Document, Setting};
use super::environment::Environment;
use super::file::Reader;
use super::problem::{Invalid, Place, Problem};
use super::settings::{SETTINGS, variable};
use super::value::{Raw, Read, Value};

/// What the command line said, as it was written.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--config`: the file.
    pub config: Option<PathBuf>,
    /// `--listen`.
    pub listen: Option<String>,
    /// `--admin`.
    pub admin: Option<String>,
    /// `--upstream`: the URL of the only upstream.
    pub upstream: Option<String>,
}

impl Flags {
    fn settings(&self) -> [(&'static str, &'static str, Option<&str>); 2] {
        [
            ("--listen", "listen", self.listen.as_deref()),
            ("--admin", "admin", self.admin.as_deref()),
        ]
    }
}

/// Reads, checks and completes the configuration.
///
/// # Errors
///
/// Everything that is wrong, in the order flags, variables, lines of the file.
pub fn load(flags: &Flags, environment: &Environment) -> Result<Config, Invalid> {
    let mut problems = Vec::new();
    let file = read_file(flags, environment, &mut problems);
    let document = file.as_ref().map(|(path, text)| Document { path, text });
    let config = assemble(flags, environment, document, &mut problems);
    problems.sort();
    if problems.is_empty() {
        Ok(config)
    } else {
        Err(Invalid(problems))
    }
}

fn read_file(
    flags: &Flags,
    environment: &Environment,
    problems: &mut Vec<Problem>,
) -> Option<(PathBuf, String)> {
    let by_flag = flags
        .config
        .clone()
        .map(|path| (Place::Flag("--config"), path));
    let by_variable = || {
        let name = variable("config");
        let path = environment.get(&name)?.into();
        Some((Place::Variable(name), path))
    };
    let (place, path) = by_flag.or_else(by_variable)?;
    match fs::read_to_string(&path) {
        Ok(text) => Some((path, text)),
        Err(error) => {
            problems.push(Problem {
                place,
                key: String::from("config"),
                value: Some(path.display().to_string()),
                message: format!("expected a readable file: {error}"),
            });
            None
        }
    }
}

/// As [`load`], with the file read.
pub(super) fn assemble(
    flags: &Flags,
    environment: &Environment,
    document: Option<Document<'_>>,
    problems: &mut Vec<Problem>,
) -> Config {
    let mut config = Config::default();
    let mut referenced = BTreeSet::new();
    let url = upstream_url(flags, environment, problems);
    if let ([only], Some((_, url))) = (config.proxy.upstreams.as_mut_slice(), &url) {
        only.url.clone_from(url);
    }
    if let Some(document) = document {
        let mut reader = Reader {
            document,
            environment,
            url,
            problems,
            referenced: &mut referenced,
        };
        reader.read(&mut config);
    }
    for setting in SETTINGS {
        let name = variable(setting.path);
        if let Some(text) = environment.get(&name) {
            read_text(setting, Place::Variable(name), text, &mut config, problems);
        }
    }
    for (flag, path, text) in flags.settings() {
        let setting = SETTINGS.iter().find(|setting| setting.path == path);
        if let (Some(setting), Some(text)) = (setting, text) {
            read_text(setting, Place::Flag(flag), text, &mut config, problems);
        }
    }
    environment.report_strangers(&referenced, problems);
    check_whole(&config, problems);
    config
}

/// The upstream's URL by flag, or else by variable; both are checked.
fn upstream_url(
    flags: &Flags,
    environment: &Environment,
    problems: &mut Vec<Problem>,
) -> Option<(Place, Uri)> {
    let name = variable("upstream");
    let sources = [
        (Place::Flag("--upstream"), flags.upstream.as_deref()),
        (Place::Variable(name.clone()), environment.get(&name)),
    ];
    let mut urls = Vec::new();
    for (place, text) in sources {
        let Some(text) = text else {
            continue;
        };
        let raw = Raw {
            name: "upstream",
            value: Value::Text(text),
        };
        if let Some(url) = accept(raw.url(), &place, "upstream", text, problems) {
            urls.push((place, url));
        }
    }
    urls.into_iter().next()
}

fn read_text(
    setting: &Setting<Config>,
    place: Place,
    text: &str,
    config: &mut Config,
    problems: &mut Vec<Problem>,
) {
    let raw = Raw {
        name: setting.path,
        value: Value::Text(text),
    };
    accept(
        (setting.read)(&raw, config),
        &place,
        setting.path,
        text,
        problems,
    );
}

/// The value, or `None` after reporting what is wrong with it.
fn accept<T>(
    read: Read<T>,
    place: &Place,
    key: &str,
    text: &str,
    problems: &mut Vec<Problem>,
) -> Option<T> {
    let wrong = match read {
        Ok(value) => return Some(value),
        Err(wrong) => wrong,
    };
    problems.push(Problem {
        place: place.clone(),
        key: key.to_owned(),
        value: wrong.show.then(|| text.escape_debug().to_string()),
        message: wrong.message.into_owned(),
    });
    None
}

/// What only shows when everything is put together.
fn check_whole(config: &Config, problems: &mut Vec<Problem>) {
    let mut push = |key: &str, message: &str| {
        problems.push(Problem {
            place: Place::Whole,
            key: key.to_owned(),
            value: None,
            message: message.to_owned(),
        });
    };
    if let Some(tls) = &config.tls {
        for (key, path, other) in [
            ("tls.certificate", &tls.certificate, "tls.key"),
            ("tls.key", &tls.key, "tls.certificate"),
        ] {
            if path.as_os_str().is_empty() {
                push(
                    key,
                    &format!("missing, expected the path of a PEM file, since {other} is given"),
                );
            }
        }
    }
    if config.listen == config.admin && config.listen.port() != 0 {
        push("admin", "expected another address than that of listen");
    }
}
