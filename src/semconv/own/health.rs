//! The health of the proxy's own parts: numbers that others keep, registered by the application.

use crate::semconv::{Kind, Metric};

/// `traces` or `metrics`, on [`EXPORT_FAILURES`].
pub const SIGNAL: &str = "signal";
/// `connect`, `read` or `write`, on [`STATE_ERRORS`] and [`STATE_UNSHARED`].
pub const OPERATION: &str = "operation";
/// What was wrong, on [`CONNECTIONS_REFUSED`].
pub const REASON: &str = "reason";

/// Clients' connections that were closed for a fault outside of any request, by reason. Registered by the application.
pub static CONNECTIONS_REFUSED: Metric = health(
    "streamgauge.connections.refused",
    "{connection}",
    "Connections of clients that were closed for a fault outside of any request, by reason.",
    Kind::ObservedCounter,
);
/// Exchanges that have begun and not ended. Registered by the application.
pub static IN_FLIGHT: Metric = health(
    "streamgauge.exchanges.in_flight",
    "{exchange}",
    "Exchanges in flight.",
    Kind::ObservedGauge,
);
/// Events handed to observers that none has folded yet. Registered by the application.
pub static OBSERVER_QUEUE: Metric = health(
    "streamgauge.observer.queue",
    "{event}",
    "Events that wait to be observed.",
    Kind::ObservedGauge,
);
/// Telemetry lost before it could be exported, by kind. Registered by the application.
pub static TELEMETRY_DROPPED: Metric = health(
    "streamgauge.telemetry.dropped",
    "{item}",
    "Telemetry that was dropped because a queue was full, or that no receiver took, by kind.",
    Kind::ObservedCounter,
);
/// Turns of conversations that are remembered. Registered by the application.
pub static REMEMBERED_TURNS: Metric = health(
    "streamgauge.conversation.remembered.turns",
    "{turn}",
    "Turns of conversations that are remembered.",
    Kind::ObservedGauge,
);
/// Bytes that they take. Registered by the application.
pub static REMEMBERED_BYTES: Metric = health(
    "streamgauge.conversation.remembered.bytes",
    "By",
    "Bytes that the remembered turns of conversations take, at most about.",
    Kind::ObservedGauge,
);
/// Turns that were let go, by reason. Registered by the application.
pub static FORGOTTEN_TURNS: Metric = health(
    "streamgauge.conversation.forgotten.turns",
    "{turn}",
    "Turns of conversations that are remembered no more, by reason: too old, or too many.",
    Kind::ObservedCounter,
);
/// Calls of tools whose result never came. Registered by the application.
pub static UNANSWERED_CALLS: Metric = health(
    "streamgauge.tool.unanswered_calls",
    "{call}",
    "Tool calls that were forgotten before any request brought their result.",
    Kind::ObservedCounter,
);
/// Whether state is shared with other processes. Registered by the application, where it is to be.
pub static STATE_AVAILABLE: Metric = health(
    "streamgauge.state.available",
    "{server}",
    "1 while the server by which replicas share state answers in time, else 0.",
    Kind::ObservedGauge,
);
/// What failed at sharing it, by operation. Registered by the application, likewise.
pub static STATE_ERRORS: Metric = health(
    "streamgauge.state.errors",
    "{error}",
    "Operations on the server by which replicas share state that failed or took too long, by operation.",
    Kind::ObservedCounter,
);
/// Exchanges that were not shared, by operation. Registered by the application, likewise.
pub static STATE_UNSHARED: Metric = health(
    "streamgauge.state.unshared",
    "{exchange}",
    "Exchanges that were looked at without what other replicas know, or of which they were not told, by operation.",
    Kind::ObservedCounter,
);
/// Objects of the store of prompts, by what became of them. Registered by the application, where there is one.
pub static STORE_OBJECTS: Metric = health(
    "streamgauge.store.objects",
    "{object}",
    "Messages and lists for the store of prompts, by what became of them: stored, there already, not taken by the store, dropped.",
    Kind::ObservedCounter,
);
/// What failed at storing them. Registered by the application, likewise.
pub static STORE_ERRORS: Metric = health(
    "streamgauge.store.errors",
    "{error}",
    "Attempts to store a message or a list that failed; most are followed by another.",
    Kind::ObservedCounter,
);
/// Exports that failed after their retries, by signal. Registered by the application.
pub static EXPORT_FAILURES: Metric = health(
    "streamgauge.export.failures",
    "{export}",
    "Exports that failed, by signal.",
    Kind::ObservedCounter,
);

/// The definition of such a metric.
pub(super) const fn health(
    name: &'static str,
    unit: &'static str,
    description: &'static str,
    kind: Kind,
) -> Metric {
    Metric {
        name,
        unit,
        description,
        kind,
        exemplars: false,
    }
}
