//! From a vocabulary's attributes to the SDK's.

use opentelemetry::{Array, KeyValue, StringValue, Value as OtelValue};

use crate::semconv::{Attribute, Value};

/// The same attribute as the SDK keeps it.
pub(super) fn key_value((key, value): Attribute<'_>) -> KeyValue {
    let value = match value {
        Value::Str(text) => OtelValue::String(text.into_owned().into()),
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
