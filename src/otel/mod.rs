//! The OpenTelemetry side of the process: exporters, resource and trace identity, by the standard `OTEL_*` variables.
//!
//! Everything is read from one lookup into [`Settings`], so that what is wrong is told all at once and with the variable's
//! name; [`build`] then makes the exporters. Nothing here is global but rustls' choice of cryptography. This room knows no
//! exchange. <https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>

mod env;
mod resource;
mod send;
mod settings;
mod trace_context;

pub use env::Error;
pub use send::{BuildError, SendError, Sender, Signal};
pub use settings::{Batch, Otlp, Protocol, Settings, Tls};
pub use trace_context::{TraceContext, Tracing};

use opentelemetry_sdk::Resource;

/// What the sinks need.
#[derive(Debug)]
pub struct Otel {
    /// Who we are.
    pub resource: Resource,
    /// Where spans go; `None` when traces are off.
    pub spans: Option<Sender>,
    /// Where metrics are pushed; `None` when they are only scraped.
    pub metrics: Option<Sender>,
    /// Gives exchanges their trace; `None` when traces are off, so that the client's headers pass untouched.
    pub tracing: Option<Tracing>,
}

/// Builds exporters and identity. Opens no connection.
///
/// # Errors
/// Where a certificate cannot be read, an exporter cannot be built, or gRPC is asked for outside a tokio runtime, which
/// must be multi-threaded: the threads that export wait for it.
pub fn build(settings: &Settings) -> Result<Otel, BuildError> {
    // Batching knows no limit of its own for an export, so the exporter keeps the stricter of the two.
    let limited = |otlp: &Otlp| Otlp {
        timeout: otlp.timeout.min(settings.batch.timeout),
        ..otlp.clone()
    };
    let spans = settings
        .traces
        .as_ref()
        .map(limited)
        .as_ref()
        .map(|otlp| Sender::new(otlp, Signal::Traces))
        .transpose()?;
    Ok(Otel {
        resource: resource::build(&settings.resource),
        tracing: spans
            .as_ref()
            .map(|_| Tracing::new(settings.sampler.clone(), settings.propagate)),
        metrics: settings
            .metrics
            .as_ref()
            .map(|otlp| Sender::new(otlp, Signal::Metrics))
            .transpose()?,
        spans,
    })
}
