//! From flags, environment and file to one [`Config`], or to everything that is wrong with them.
//!
//! Every source is checked, also where a stronger one overrides it: an error that shows only once a flag is taken away
//! would be a trap.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;

use http::Uri;
use http::uri::Scheme;

use super::Config;
use super::document::{Document, Setting};
use super::environment::{CAPTURE, Environment};
use super::file::FileReader;
use super::problem::{Invalid, Place, Problem, nearest};
use super::settings::{SETTINGS, variable};
use super::source::Source;
use super::upstream::{UpstreamDraft, of_upstream};
use super::value::{Given, Raw, Read};
use crate::exchange::{ContentPolicy, Endpoint};
use crate::outbound::{BadVariable, EXPECTED, proxy_for};
use crate::pipeline::PricedUpstream;
use crate::prices::Catalogue;
use crate::semconv::{KEY_FINGERPRINT, prometheus_name, provider};
use crate::store::Location;
use crate::upstream::{self, Key, UpstreamConfig, UpstreamTls, Via};

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
    /// `--log-level`.
    pub log_level: Option<String>,
    /// `--log-format`.
    pub log_format: Option<String>,
}

/// A configuration, and what is odd about where it came from.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What is no error, and was most likely not meant.
    pub warnings: Vec<Problem>,
}

impl Flags {
    fn settings(&self) -> [(&'static str, &'static str, Option<&str>); 4] {
        [
            ("--listen", "listen", self.listen.as_deref()),
            ("--admin", "admin", self.admin.as_deref()),
            ("--log-level", "log.level", self.log_level.as_deref()),
            ("--log-format", "log.format", self.log_format.as_deref()),
        ]
    }
}

/// Reads, checks and completes the configuration.
///
/// # Errors
///
/// Everything that is wrong, in the order flags, variables, lines of the file.
pub fn load(flags: &Flags, environment: &Environment) -> Result<Loaded, Invalid> {
    let (mut problems, mut warnings) = (Vec::new(), Vec::new());
    let file = read_file(flags, environment, &mut problems);
    let document = file.as_ref().map(|(path, text)| Document { path, text });
    let mut config = assemble(flags, environment, document, &mut problems, &mut warnings);
    name_providers(&mut config);
    find_proxies(&mut config, environment, &mut problems);
    let looks: [fn(&UpstreamConfig) -> Option<Problem>; 4] =
        [odd_tls, odd_url, bare_key, odd_provider];
    for upstream in &config.proxy.upstreams {
        warnings.extend(looks.iter().filter_map(|look| look(upstream)));
    }
    price_upstreams(&mut config);
    let prices = &config.pipeline.prices;
    warnings.extend(prices.oddities().into_iter().map(|message| Problem {
        value: prices.file.as_ref().map(|file| file.display().to_string()),
        ..odd("prices", message)
    }));
    problems.sort();
    if problems.is_empty() {
        Ok(Loaded { config, warnings })
    } else {
        Err(Invalid(problems))
    }
}

/// Fills in whose models an upstream has, where that is left to its host.
fn name_providers(config: &mut Config) {
    for upstream in &mut config.proxy.upstreams {
        let host = upstream.url.host().unwrap_or_default();
        let of_host = || provider::of_host(host).map(Into::into);
        upstream.provider = upstream.provider.take().or_else(of_host);
    }
}

/// What of an upstream's TLS is no error, and is better known.
fn odd_tls(upstream: &UpstreamConfig) -> Option<Problem> {
    let of = &upstream.name;
    if upstream.url.scheme() != Some(&Scheme::HTTPS) {
        let unused = upstream.tls != UpstreamTls::default();
        return unused.then(|| {
            odd(
                "upstream.tls",
                format!("not used: the URL of upstream {of} begins with http://"),
            )
        });
    }
    upstream.tls.insecure.then(|| {
        let message = format!(
            "the certificate of upstream {of} is not verified: anyone between here and there can read and change calls"
        );
        odd("upstream.tls.insecure", message)
    })
}

/// How paths end that clients call, below a base URL.
const CALLED: [&str; 7] = [
    "/chat/completions",
    "/completions",
    "/responses",
    "/messages",
    "/embeddings",
    "/rerank",
    "/models",
];

/// Hosts of Azure AI Foundry, whose base URL ends as a call of others does.
const FOUNDRY: &str = ".services.ai.azure.com";

/// A base URL that nothing can be below: the provider is known to have its API elsewhere, it is the URL of one call, or a part of
/// its path is empty or there twice.
fn odd_url(upstream: &UpstreamConfig) -> Option<Problem> {
    let (url, of) = (&upstream.url, &upstream.name);
    let host = url.host()?;
    let path = url.path().trim_end_matches('/');
    let called = CALLED.iter().find(|called| path.ends_with(**called));
    if path == "/models" && host.ends_with(FOUNDRY) {
        return None;
    }
    let base = path.strip_suffix(called.copied().unwrap_or_default())?;
    let mut parts: Vec<&str> = base.split('/').filter(|part| !part.is_empty()).collect();
    let has_empty = parts.len() != base.matches('/').count();
    let before = parts.len();
    parts.dedup_by(|part, before| part == before && is_version(part));
    let has_twice = parts.len() != before;
    // Other paths than that of a version lead to APIs of their own.
    let is_elsewhere = match parts[..] {
        [] => true,
        [only] => is_version(only),
        _ => false,
    };
    let mended: String = parts.iter().flat_map(|part| ["/", part]).collect();
    let begins = |known: &str| {
        known
            .strip_prefix(&*mended)
            .is_some_and(|rest| rest.starts_with('/'))
    };
    let known = provider::base_path(host)
        .filter(|known| (is_elsewhere || begins(known)) && *known != mended)
        .filter(|_| parts.is_empty() || !provider::has_own_api(host));
    let what = match (called, known) {
        (Some(called), _) => format!("ends in {called}, and clients add that themselves"),
        (None, Some(known)) if parts.is_empty() => {
            format!("has no path, and {host} has its API below {known}")
        }
        (None, Some(known)) => {
            format!("has the path {base}, and {host} has its API below {known}")
        }
        (None, None) if has_twice => format!("has the path {base}, which has a part twice"),
        (None, None) if has_empty => format!("has the path {base}, with two slashes in a row"),
        (None, None) => return None,
    };
    let whole = url.to_string();
    let origin = whole.trim_end_matches('/').strip_suffix(path)?;
    let base = known.unwrap_or(&mended);
    let message = format!(
        "the URL of upstream {of} {what}: calls would be answered with 404; did you mean {origin}{base}"
    );
    Some(odd("upstream.url", message))
}

/// A key of ours that goes over a network that anyone may read, since the URL is without TLS and leads to a public host.
fn bare_key(upstream: &UpstreamConfig) -> Option<Problem> {
    let (url, of) = (&upstream.url, &upstream.name);
    let host = url.host()?;
    let has_key = matches!(upstream.key, Key::Own(_))
        || upstream
            .headers
            .iter()
            .any(|(_, value)| value.is_sensitive());
    if url.scheme() == Some(&Scheme::HTTPS) || !has_key || !is_public(host) {
        return None;
    }
    let message = format!(
        "the URL of upstream {of} begins with http://, and {host} is a public host: anyone between here and there can read the \
         key of this upstream, and its calls; begin it with https:// if the upstream speaks TLS"
    );
    Some(odd("upstream.url", message))
}

/// How names end that lead nowhere beyond a machine, a cluster or a company's own network.
const NOT_PUBLIC: [&str; 9] = [
    "cluster.local",
    "corp",
    "home.arpa",
    "internal",
    "lan",
    "local",
    "localhost",
    "svc",
    "test",
];

/// Whether a host is reached over networks of others: no address of a machine or of a private network, and no name that means one.
fn is_public(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match host.parse() {
        Ok(IpAddr::V4(host)) => is_public_v4(host),
        Ok(IpAddr::V6(host)) => match host.to_ipv4_mapped() {
            Some(mapped) => is_public_v4(mapped),
            None => {
                let is_own = host.is_loopback() || host.is_unspecified();
                !(is_own || host.is_unique_local() || host.is_unicast_link_local())
            }
        },
        Err(_) => {
            let name = host.trim_end_matches('.').to_ascii_lowercase();
            let is_below = |end: &&str| {
                let before = name.strip_suffix(*end);
                before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
            };
            name.contains('.') && !NOT_PUBLIC.iter().any(is_below)
        }
    }
}

/// The addresses of RFC 6598 are those of a provider's or a cloud's own network.
fn is_public_v4(host: Ipv4Addr) -> bool {
    let is_own = host.is_loopback() || host.is_unspecified() || host.is_link_local();
    let is_shared = host.octets()[0] == 100 && host.octets()[1] & 0xc0 == 64;
    !(is_own || host.is_private() || is_shared)
}

/// Whether a part of a path is that of a version, such as `v1`.
fn is_version(part: &str) -> bool {
    let number = part.strip_prefix('v').unwrap_or_default();
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// A provider that nobody knows, and whose name is like one that is known.
fn odd_provider(upstream: &UpstreamConfig) -> Option<Problem> {
    let (name, of) = (upstream.provider.as_deref()?, &upstream.name);
    let catalogue = Catalogue::bundled();
    if provider::names().any(|known| known == name) || catalogue.has_provider(name) {
        return None;
    }
    let near = nearest(name, provider::names().chain(catalogue.provider_ids()))?;
    let message = format!(
        "the provider {name} of upstream {of} is unknown: gen_ai.provider.name is {name}, as written, and no price is found by it; did you mean {near}?"
    );
    Some(odd("upstream.provider", message))
}

/// What is odd about a value wherever it stands.
fn odd(key: &str, message: String) -> Problem {
    Problem {
        place: Place::Whole,
        key: key.to_owned(),
        value: None,
        message,
    }
}

/// Hands what prices depend on to the pipeline.
fn price_upstreams(config: &mut Config) {
    let priced = config.proxy.upstreams.iter().filter_map(|upstream| {
        // One without a host is reached nowhere.
        let known = upstream::known_as(upstream).ok()?;
        let priced = PricedUpstream {
            url: upstream.url.to_string(),
            endpoint: Endpoint {
                address: known.address,
                port: known.port,
            },
            provider: known.provider,
        };
        Some((known.name, priced))
    });
    config.pipeline.prices.upstreams = priced.collect();
}

/// Looks up by which proxy each upstream is reached, where that is left to the environment.
fn find_proxies(config: &mut Config, environment: &Environment, problems: &mut Vec<Problem>) {
    for upstream in &mut config.proxy.upstreams {
        let Via::Environment(proxy) = &mut upstream.via else {
            continue;
        };
        let lookup = |name: &str| environment.get(name).map(str::to_owned);
        match proxy_for(&upstream.url, lookup) {
            Ok(found) => *proxy = found,
            Err(BadVariable { variable }) => problems.push(Problem {
                place: Place::Variable(variable.to_owned()),
                key: String::new(),
                value: None,
                message: format!("expected {EXPECTED}"),
            }),
        }
    }
    problems.dedup();
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
    warnings: &mut Vec<Problem>,
) -> Config {
    let mut config = Config::default();
    let mut referenced = BTreeSet::new();
    let url = upstream_url(flags, environment, problems);
    if let ([only], Some((_, url))) = (config.proxy.upstreams.as_mut_slice(), &url) {
        only.url.clone_from(url);
    }
    if let Some(document) = document {
        let mut reader = FileReader {
            document,
            environment,
            url,
            problems,
            referenced: &mut referenced,
        };
        reader.read(&mut config);
    }
    read_capture(environment, &mut config, problems);
    config.pipeline.store.variables = environment.of_clouds();
    for setting in SETTINGS {
        let name = variable(setting.path);
        if let Some(text) = environment.get(&name) {
            config.sources.note(setting.path, Source::Environment);
            read_text(setting, Place::Variable(name), text, &mut config, problems);
        }
    }
    for (flag, path, text) in flags.settings() {
        let setting = SETTINGS.iter().find(|setting| setting.path == path);
        if let (Some(setting), Some(text)) = (setting, text) {
            config.sources.note(setting.path, Source::Flag);
            read_text(setting, Place::Flag(flag), text, &mut config, problems);
        }
    }
    set_only_upstream(environment, &mut config, problems);
    let of_upstream: Vec<String> = of_upstream().map(|(name, _)| name).collect();
    environment.report_strangers(&of_upstream, &referenced, problems, warnings);
    let before = problems.len();
    check_whole(&config, problems);
    for problem in &mut problems[before..] {
        let place = place_set(&problem.key, &config, flags, document);
        problem.place = place.unwrap_or(Place::Whole);
    }
    config
}

/// Where a setting was set that only shows to be wrong together with others; `None` where it was not.
fn place_set(
    key: &str,
    config: &Config,
    flags: &Flags,
    document: Option<Document<'_>>,
) -> Option<Place> {
    match config.sources.of(key) {
        // Of a table of names of the user's own nobody knows where it was set.
        Source::Default | Source::File => document?.place_of(key),
        Source::Environment => Some(Place::Variable(variable(key))),
        Source::Flag => {
            let flag = flags
                .settings()
                .into_iter()
                .find(|(_, path, _)| *path == key);
            flag.map(|(flag, _, _)| Place::Flag(flag))
        }
    }
}

fn read_capture(environment: &Environment, config: &mut Config, problems: &mut Vec<Problem>) {
    let Some(text) = environment.get(CAPTURE) else {
        return;
    };
    let (attributes, events) = match text.to_ascii_uppercase().as_str() {
        "NO_CONTENT" | "FALSE" => (false, false),
        "SPAN_ONLY" => (true, false),
        // Before there was a choice content was in events.
        "EVENT_ONLY" | "TRUE" => (false, true),
        "SPAN_AND_EVENT" => (true, true),
        _ => {
            let expected =
                "expected NO_CONTENT, SPAN_ONLY, EVENT_ONLY, SPAN_AND_EVENT, true or false";
            return problems.push(Problem {
                value: Some(text.escape_debug().to_string()),
                ..Problem::of_variable(CAPTURE, expected.to_owned())
            });
        }
    };
    Arc::make_mut(&mut config.observe.content).default = ContentPolicy {
        attributes,
        events,
        store: false,
    };
}

/// Reads what variables say of the only upstream.
fn set_only_upstream(environment: &Environment, config: &mut Config, problems: &mut Vec<Problem>) {
    let given = of_upstream().filter_map(|(name, setting)| {
        let text = environment.get(&name)?;
        Some((name, setting, text))
    });
    let given: Vec<_> = given.collect();
    let only = match config.proxy.upstreams.as_mut_slice() {
        [only] if !given.is_empty() => only,
        [] | [_] => return,
        _ => {
            return problems.extend(given.iter().map(|(name, setting, text)| Problem {
                value: Some((*text).to_owned()),
                ..Problem::of_variable(
                    name,
                    format!(
                        "expected one upstream: set upstream.{} of each in the file",
                        setting.path
                    ),
                )
            }));
        }
    };
    let mut draft = UpstreamDraft::from(&*only);
    for (name, setting, text) in &given {
        let place = Place::Variable(name.clone());
        read_text(setting, place, text, &mut draft, problems);
    }
    match draft.finish(environment) {
        Ok(upstream) => *only = upstream,
        Err(wrong) => problems.extend(wrong.into_iter().map(|(key, wrong)| {
            let name = variable(&format!("upstream.{key}"));
            Problem::of_variable(&name, wrong.message.into_owned())
        })),
    }
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
            value: Given::Text(text),
        };
        if let Some(url) = accept(raw.url(), &place, "upstream", text, problems) {
            urls.push((place, url));
        }
    }
    urls.into_iter().next()
}

fn read_text<T>(
    setting: &Setting<T>,
    place: Place,
    text: &str,
    into: &mut T,
    problems: &mut Vec<Problem>,
) {
    let raw = Raw {
        name: setting.path,
        value: Given::Text(text),
    };
    accept(
        (setting.read)(&raw, into),
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

/// Labels that the metrics of tokens and costs have anyway, and what sums by hour are told apart by.
const TAKEN_LABELS: [&str; 6] = [
    "model",
    "upstream",
    "hour",
    "token.type",
    "http.route",
    "streamgauge.usage.source",
];

/// What only shows when everything is put together.
fn check_whole(config: &Config, problems: &mut Vec<Problem>) {
    // Of a place that is wrong it is said already, and which it would be is not known.
    let is_place = |problem: &Problem| ["store.url", "state.folder"].contains(&&*problem.key);
    let stores = config.observe.content.has_store() && !problems.iter().any(is_place);
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
    check_labels(config, &mut push);
    check_store(config, stores, &mut push);
    if config.listen == config.admin && config.listen.port() != 0 {
        push("admin", "expected an address other than that of listen");
    }
}

/// Whether each label is an attribute that there is, and no other label's name.
fn check_labels(config: &Config, push: &mut impl FnMut(&str, &str)) {
    let known = || {
        let told = config.observe.annotations.iter().map(|it| &*it.name);
        told.chain(config.telemetry.key_fingerprint.then_some(KEY_FINGERPRINT))
    };
    // Prometheus has one name for several.
    let spelled = |name: &str| prometheus_name(name, '_');
    let is_taken = |name: &str| TAKEN_LABELS.iter().any(|it| spelled(it) == spelled(name));
    for (at, label) in config.telemetry.labels.iter().enumerate() {
        let mut before = config.telemetry.labels[..at].iter();
        if let Some(same) = before.find(|other| spelled(other) == spelled(label)) {
            push(
                "telemetry.labels",
                &format!(
                    "{label:?}: it is the same label as {same:?} for Prometheus, expected one of them"
                ),
            );
        }
        if !known().any(|known| known == label) || is_taken(label) {
            let known: Vec<&str> = known().filter(|name| !is_taken(name)).collect();
            push(
                "telemetry.labels",
                &format!(
                    "{label:?}: expected one of the names in telemetry.attributes, except those that metrics have as labels already ({}); there are {}",
                    TAKEN_LABELS.join(", "),
                    known.join(", ")
                ),
            );
        }
    }
}

/// Whether there is a place for prompts where they are stored, and what is said of it fits it.
fn check_store(config: &Config, stores: bool, push: &mut impl FnMut(&str, &str)) {
    let store = &config.pipeline.store;
    let has_no_store = store.location.is_none() && config.folder.is_none();
    if stores && has_no_store {
        push(
            "store.url",
            "missing: content = \"store\" needs it, a folder or a bucket, or else state.folder",
        );
    }
    if let Some(Location::Bucket { cloud, .. }) = &store.location {
        for wrong in store.options.wrong_for(*cloud) {
            push("store.options", &wrong);
        }
    } else if stores && !has_no_store {
        // Whoever says how a bucket is asked has most likely forgotten which one, and would have what was said on the disk.
        let for_bucket = [
            ("store.endpoint", store.endpoint.is_some()),
            ("store.options", !store.options.0.is_empty()),
        ];
        let folder = match store.location {
            Some(_) => "that of store.url",
            None => "one in state.folder, without store.url",
        };
        for (key, _) in for_bucket.into_iter().filter(|(_, is_set)| *is_set) {
            push(
                key,
                &format!(
                    "it is for a bucket, and prompts would be stored in a folder, {folder}: expected store.url = \"s3://…\", \"gs://…\" \
                     or \"az://…\" with it, or no {key}"
                ),
            );
        }
    }
}
