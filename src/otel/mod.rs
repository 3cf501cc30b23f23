//! What OpenTelemetry says of a process: its settings, by the standard `OTEL_*` variables, its resource, and the identity of
//! its traces.
//!
//! Everything is read from one lookup into [`Settings`], so that what is wrong is reported all at once and with the variable's
//! name. This room knows no exchange and sends nothing.
//! <https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>

mod env;
mod propagation;
mod resource;
mod settings;
mod tracing;

pub use env::{Error, Warning, percent_decode};
pub use propagation::{Carrier, Change, Propagator};
pub use resource::build as resource;
pub use settings::{
    Batch, Buckets, NotPushed, Otlp, Protocol, Settings, Temporality, Tls, Variables, variables,
};
pub use tracing::{Spans, ToolSpans, Tracing};
