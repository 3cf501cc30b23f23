//! The process's environment: variables of ours, keys to upstreams, and what only looks like ours.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

use super::problem::{Problem, nearest};
use super::settings::{SETTINGS, variable};
use crate::otel;
use crate::store::{CLOUD_PREFIXES, CloudVariables};

/// What all variables of ours begin with.
const PREFIX: &str = "STREAMGAUGE_";

/// What the standard variables for telemetry begin with.
const OTEL_PREFIX: &str = "OTEL_";

/// The variable by which instrumentations of applications are told where content goes. That of our own goes before it.
pub(super) const CAPTURE: &str = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT";

/// Most letters by which a name differs that is one of those misspelt: others of the standard differ from them by a few more.
const SLIPS_MAX: usize = 2;

/// Environment variables, copied once. Values may be secrets: there is no `Debug`.
pub struct Environment(BTreeMap<OsString, OsString>);

impl<K: Into<OsString>, V: Into<OsString>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        Self(
            variables
                .into_iter()
                .map(|(k, v)| (k.into(), v.into()))
                .collect(),
        )
    }
}

impl Environment {
    /// The environment of this process.
    #[must_use]
    pub fn of_process() -> Self {
        std::env::vars_os().collect()
    }

    /// A variable's value. An empty one counts as unset, as for the `OTEL_*` variables.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name.as_ref() as &std::ffi::OsStr)?
            .to_str()
            .filter(|value| !value.is_empty())
    }

    /// Those by which clouds are told credentials and endpoints.
    pub(super) fn of_clouds(&self) -> CloudVariables {
        let texts = self.0.iter().filter_map(|(name, value)| {
            let (name, value) = (name.to_str()?, value.to_str()?);
            let is_one = CLOUD_PREFIXES.iter().any(|it| name.starts_with(it));
            (is_one && !value.is_empty()).then(|| (name.to_owned(), value.to_owned()))
        });
        CloudVariables(texts.collect())
    }

    /// Reports variables of ours that are not UTF-8. Variables under our prefix that no key answers to are no error, since others
    /// may set them, and warned of, since a slip of the finger must not pass in silence; so is one that other programs take for
    /// the same, and one that is a standard variable misspelt. `of_upstream` are those of the only upstream, `referenced` those that hold upstreams' keys.
    pub(super) fn report_strangers(
        &self,
        of_upstream: &[String],
        referenced: &BTreeSet<String>,
        problems: &mut Vec<Problem>,
        warnings: &mut Vec<Problem>,
    ) {
        let ours: Vec<String> = SETTINGS
            .iter()
            .map(|setting| setting.path)
            .filter(|path| !path.ends_with(NAMED_BY_USER))
            .chain(["config", "upstream"])
            .map(variable)
            .chain(of_upstream.iter().cloned())
            .collect();
        for (name, value) in &self.0 {
            let name = name.to_string_lossy();
            let value = value.to_str();
            if !name.starts_with(PREFIX) || value == Some("") || referenced.contains(&*name) {
                continue;
            }
            let known = ours.iter().any(|ours| *ours == name);
            let (found, message) = match (known, value) {
                (true, None) => (&mut *problems, String::from("expected UTF-8")),
                (true, Some(_)) => continue,
                (false, value) if is_service_link(&name, value.unwrap_or_default()) => continue,
                (false, _) => (&mut *warnings, unknown(&name, &ours)),
            };
            found.push(Problem::of_variable(&name, message));
        }
        self.report_misspelt(warnings);
        if self.get("RUST_LOG").is_some() {
            let level = variable("log.level");
            let message = format!("not read: set {level} or --log-level for the level of the log");
            warnings.push(Problem::of_variable("RUST_LOG", message));
        }
    }

    /// Warns of variables that are near those of OpenTelemetry that are read. Others of that kind are for the SDKs of applications,
    /// with which we may share an environment.
    fn report_misspelt(&self, warnings: &mut Vec<Problem>) {
        let is_set = |value: &OsString| value.to_str() != Some("");
        let set = self.0.iter().filter(|(_, value)| is_set(value));
        let set = set.filter_map(|(name, _)| name.to_str()?.strip_prefix(OTEL_PREFIX));
        let mut set = set.peekable();
        if set.peek().is_none() {
            return;
        }
        let read = otel::variables();
        let read = read.iter().map(String::as_str).chain([CAPTURE]);
        let read: Vec<&str> = read
            .filter_map(|name| name.strip_prefix(OTEL_PREFIX))
            .collect();
        for part in set.filter(|part| !read.contains(part)) {
            let misspelt = nearest(part, read.iter().copied())
                .filter(|near| strsim::damerau_levenshtein(part, near) <= SLIPS_MAX);
            let near = misspelt.or_else(|| read.iter().copied().find(|it| lacks_word(part, it)));
            if let Some(near) = near {
                let message =
                    format!("unknown variable, not read; did you mean {OTEL_PREFIX}{near}");
                let name = format!("{OTEL_PREFIX}{part}");
                warnings.push(Problem::of_variable(&name, message));
            }
        }
    }
}

/// Whether a name, of two words or more, is another one with one of its words left out.
fn lacks_word(name: &str, other: &str) -> bool {
    let words: Vec<&str> = other.split('_').collect();
    let without = |left_out: usize| {
        let kept = words.iter().enumerate().filter(|(at, _)| *at != left_out);
        let kept: Vec<&str> = kept.map(|(_, word)| *word).collect();
        kept.join("_")
    };
    name.contains('_') && (0..words.len()).any(|left_out| without(left_out) == name)
}

/// How the path of a key ends that stands for names of the user's own: no variable can say those.
const NAMED_BY_USER: &str = ".*";

/// The table of names of the user's own that a variable is most likely meant for.
fn table_meant(name: &str) -> Option<&'static str> {
    let mut tables = SETTINGS
        .iter()
        .filter_map(|setting| setting.path.strip_suffix(NAMED_BY_USER));
    let is_below = |table: &&str| {
        let rest = name.strip_prefix(&variable(table));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    };
    tables.find(is_below)
}

/// What to do about a variable that no key answers to.
fn unknown(name: &str, ours: &[String]) -> String {
    if let Some(table) = table_meant(name) {
        return format!("unknown variable, not read: {table} can be set only in the file");
    }
    match meant(name, ours) {
        Some(near) => format!("unknown variable, not read; did you mean {near}"),
        None => {
            "unknown variable, not read; config/streamgauge.toml names every variable".to_owned()
        }
    }
}

/// The variable of ours that was most likely meant: one that only lacks its table, else the nearest.
fn meant<'a>(unknown: &str, ours: &'a [String]) -> Option<&'a str> {
    let own = |name: &'a str| name.strip_prefix(PREFIX).unwrap_or(name);
    let part = unknown.strip_prefix(PREFIX).unwrap_or(unknown);
    let ours = || ours.iter().map(String::as_str);
    let lacks_table = |known: &str| {
        known
            .strip_suffix(part)
            .is_some_and(|table| table.ends_with('_'))
    };
    // What all begin with would make all of them near.
    let near =
        || nearest(part, ours().map(own)).and_then(|near| ours().find(|name| own(name) == near));
    ours().find(|known| lacks_table(known)).or_else(near)
}

/// Whether a variable is one that Kubernetes sets in every container for a Service in the same namespace whose name
/// begins with `streamgauge`: `…_SERVICE_HOST`, `…_SERVICE_PORT`, `…_SERVICE_PORT_HTTP`, `…_PORT=tcp://…`,
/// `…_PORT_8080_TCP`, `…_PORT_8080_TCP_ADDR`.
fn is_service_link(name: &str, value: &str) -> bool {
    if name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
    {
        return true;
    }
    if name.ends_with("_PORT")
        && ["tcp://", "udp://", "sctp://"]
            .iter()
            .any(|scheme| value.starts_with(scheme))
    {
        return true;
    }
    let Some((_, rest)) = name.split_once("_PORT_") else {
        return false;
    };
    let mut parts = rest.split('_');
    let port = parts.next().is_some_and(|port| port.parse::<u16>().is_ok());
    let protocol = matches!(parts.next(), Some("TCP" | "UDP" | "SCTP"));
    port && protocol
        && matches!(parts.next(), None | Some("PROTO" | "PORT" | "ADDR"))
        && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strangers(variables: &[(&str, &str)]) -> Vec<String> {
        let (mut problems, mut warnings) = (Vec::new(), Vec::new());
        let environment: Environment = variables.iter().copied().collect();
        let keys = BTreeSet::from([String::from("STREAMGAUGE_KEY_A")]);
        environment.report_strangers(&[], &keys, &mut problems, &mut warnings);
        assert_eq!(problems, []);
        warnings.iter().map(Problem::to_string).collect()
    }

    #[test]
    fn service_links_of_kubernetes_are_no_strangers() {
        let links = [
            ("STREAMGAUGE_SERVICE_HOST", "10.0.0.1"),
            ("STREAMGAUGE_SERVICE_PORT", "8080"),
            ("STREAMGAUGE_SERVICE_PORT_HTTP", "8080"),
            ("STREAMGAUGE_PORT", "tcp://10.0.0.1:8080"),
            ("STREAMGAUGE_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
            ("STREAMGAUGE_PORT_8080_TCP_PROTO", "tcp"),
            ("STREAMGAUGE_PORT_8080_TCP_PORT", "8080"),
            ("STREAMGAUGE_PORT_8080_TCP_ADDR", "10.0.0.1"),
            ("STREAMGAUGE_ADMIN_PORT_9464_TCP_ADDR", "10.0.0.2"),
        ];
        assert_eq!(strangers(&links), Vec::<String>::new());
    }

    #[test]
    fn a_stranger_is_named_with_its_nearest_kin_and_without_its_value() {
        assert_eq!(
            strangers(&[
                ("STREAMGAUGE_LISTENS", "sk-secret"),
                ("OTHER", "x"),
                ("STREAMGAUGE_EMPTY", "")
            ]),
            ["STREAMGAUGE_LISTENS: unknown variable, not read; did you mean STREAMGAUGE_LISTEN"]
        );
        assert_eq!(strangers(&[("STREAMGAUGE_PORT", "8080")]).len(), 1);
        assert_eq!(
            strangers(&[("STREAMGAUGE_QUUX", "x")]),
            [
                "STREAMGAUGE_QUUX: unknown variable, not read; config/streamgauge.toml names every variable"
            ]
        );
    }

    #[test]
    fn a_standard_variable_misspelt_is_told_with_the_one_that_was_meant() {
        for (name, meant) in [
            ("OTEL_EXPORTER_OTLP_ENDPIONT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
            ("OTEL_EXPORTER_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
            ("OTEL_EXPORTER_OTLP_HEADER", "OTEL_EXPORTER_OTLP_HEADERS"),
            (
                "OTEL_EXPORTER_OTLP_TRACE_ENDPOINT",
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            ),
            ("OTEL_TRACE_SAMPLER", "OTEL_TRACES_SAMPLER"),
            ("OTEL_SERVICENAME", "OTEL_SERVICE_NAME"),
            ("OTEL_RESOURCE_ATTRIBUTE", "OTEL_RESOURCE_ATTRIBUTES"),
            (
                "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGES_CONTENT",
                "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
            ),
        ] {
            let expected = format!("{name}: unknown variable, not read; did you mean {meant}");
            assert_eq!(strangers(&[(name, "secret")]), [expected]);
        }
    }

    #[test]
    fn standard_variables_for_others_are_no_strangers() {
        for name in [
            "OTEL_ATTRIBUTE_COUNT_LIMIT",
            "OTEL_CONFIG_FILE",
            "OTEL_DOTNET_AUTO_HOME",
            "OTEL_EXPORTER_JAEGER_ENDPOINT",
            "OTEL_EXPORTER_JAEGER_TIMEOUT",
            "OTEL_EXPORTER_OTLP_PROFILES_CLIENT_CERTIFICATE",
            "OTEL_EXPORTER_OTLP_PROFILES_ENDPOINT",
            "OTEL_EXPORTER_PROMETHEUS_HOST",
            "OTEL_EXPORTER_PROMETHEUS_PORT",
            "OTEL_EXPORTER_ZIPKIN_ENDPOINT",
            "OTEL_EXPORTER_ZIPKIN_TIMEOUT",
            "OTEL_INSTRUMENTATION_GENAI_UPLOAD_BASE_PATH",
            "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST",
            "OTEL_JAVAAGENT_ENABLED",
            "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT",
            "OTEL_LOG_LEVEL",
            "OTEL_METRICS_EXEMPLAR_FILTER",
            "OTEL_METRIC_EXPORT_TIMEOUT",
            "OTEL_NODE_RESOURCE_DETECTORS",
            "OTEL_PYTHON_LOG_CORRELATION",
            "OTEL_SEMCONV_STABILITY_OPT_IN",
            "OTEL_SPAN_EVENT_COUNT_LIMIT",
        ] {
            assert_eq!(strangers(&[(name, "x")]), Vec::<String>::new(), "{name}");
        }
        let read = otel::variables();
        for name in &read {
            assert_eq!(strangers(&[(name, "x")]), Vec::<String>::new(), "{name}");
        }
        assert!(read.contains("OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY"));
        assert_eq!(
            strangers(&[("OTEL_TRACE_SAMPLER", "")]),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_variable_for_a_table_of_names_of_ones_own_is_led_to_the_file() {
        for (name, table) in [
            ("STREAMGAUGE_STORE_OPTIONS_REGION", "store.options"),
            ("STREAMGAUGE_STORE_OPTIONS", "store.options"),
            ("STREAMGAUGE_REDACT_PATTERNS_BADGE", "redact.patterns"),
        ] {
            let expected =
                format!("{name}: unknown variable, not read: {table} can be set only in the file");
            assert_eq!(strangers(&[(name, "x")]), [expected]);
        }
    }

    #[test]
    fn a_variable_that_holds_an_upstream_key_is_known() {
        assert_eq!(
            strangers(&[("STREAMGAUGE_KEY_A", "sk-secret")]),
            Vec::<String>::new()
        );
    }
}
