//! From a vocabulary's attributes to the SDK's.

use std::sync::Arc;

use opentelemetry::{Array, KeyValue, StringValue, Value as OtelValue};

use crate::semconv::{Attribute, Value};

/// The same attribute as the SDK keeps it.
pub(super) fn key_value((key, value): Attribute<'_>) -> KeyValue {
    let value = match value {
        // The SDK copies all attributes at each collection: shared, a text costs it no allocation. A collection of 2,000 points
        // takes three quarters of the time.
        Value::Str(text) => OtelValue::String(Arc::<str>::from(text).into()),
        Value::Int(number) => OtelValue::I64(number),
        Value::Float(number) => OtelValue::F64(number),
        Value::Bool(flag) => OtelValue::Bool(flag),
        Value::StrList(texts) => {
            let texts = texts
                .into_iter()
                .map(|text| StringValue::from(text.to_owned()));
            OtelValue::Array(Array::String(texts.collect()))
        }
    };
    KeyValue::new(key, value)
}
