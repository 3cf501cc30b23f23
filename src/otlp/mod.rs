//! OTLP: written as bytes, put together in batches, and sent.
//!
//! Exchanges become spans, and samples become points, without the SDK's types in between: by way of those an exchange cost
//! four times as much. It knows vocabularies only as names and values.

pub mod envelope;
pub mod log;
mod outcomes;
pub mod protobuf;
pub mod queue;
pub mod send;
pub mod span;

use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use serde_json::Value;

pub use outcomes::Outcomes;
pub use send::{BuildError, Fault, SendError, Sender, Signal, Symptom, hint_of_endpoint};

/// Why an export failed.
pub type ExportError = Box<dyn std::error::Error + Send + Sync>;

/// How many items of an export the receiver rejected while it took the others, or why it took none.
pub type Exported = Result<u64, ExportError>;

/// Most bytes of the items of one request. Receivers over gRPC refuse messages of more than 4 MiB unless they are told
/// otherwise; the rest is for the resource, and for the item that goes beyond it.
pub const ITEMS_BYTES: usize = 3 << 20;

/// The value of an attribute as JSON, for what shows people that which is exported.
#[must_use]
pub fn as_json(value: Option<AnyValue>) -> Value {
    match value.and_then(|value| value.value) {
        Some(any_value::Value::StringValue(text)) => text.into(),
        Some(any_value::Value::IntValue(number)) => number.into(),
        Some(any_value::Value::DoubleValue(number)) => number.into(),
        Some(any_value::Value::BoolValue(flag)) => flag.into(),
        Some(any_value::Value::ArrayValue(list)) => {
            let values = list.values.into_iter();
            values.map(|value| as_json(Some(value))).collect()
        }
        _ => Value::Null,
    }
}
