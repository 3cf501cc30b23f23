//! How a struct that is shown describes itself, as JSON Schema of OpenAPI 3.1.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

/// Something that is shown as JSON.
pub trait Shown {
    /// Its schema; that of a struct is put beside the others and referred to.
    fn schema(schemas: &mut Schemas) -> Value;
}

/// The schemas of structs, by name.
#[derive(Debug, Default)]
pub struct Schemas(BTreeMap<&'static str, Value>);

/// A field: its name, what it says, and its schema.
pub(crate) type Field = (&'static str, &'static str, Value);

impl Schemas {
    /// A reference to the schema of a struct, which is made where it is not there yet.
    pub(crate) fn object(
        &mut self,
        name: &'static str,
        says: &str,
        fields: impl FnOnce(&mut Self) -> Vec<Field>,
    ) -> Value {
        if !self.0.contains_key(name) {
            // What refers to itself finds it.
            self.0.insert(name, Value::Null);
            let fields = fields(self);
            let required: Vec<&str> = fields.iter().map(|(name, ..)| *name).collect();
            let properties = fields.iter().map(|(name, says, schema)| {
                let mut schema = schema.clone();
                schema["description"] = says.trim().into();
                ((*name).to_owned(), schema)
            });
            let schema = json!({
                "type": "object",
                "description": says.trim(),
                "properties": Value::Object(properties.collect()),
                "required": required,
                "additionalProperties": false,
            });
            self.0.insert(name, schema);
        }
        json!({ "$ref": format!("#/components/schemas/{name}") })
    }

    /// All of them.
    #[must_use]
    pub fn into_map(self) -> Map<String, Value> {
        let schemas = self.0.into_iter();
        schemas
            .map(|(name, schema)| (name.to_owned(), schema))
            .collect()
    }
}

/// A struct that is shown as JSON: what its documentation says of it and of its fields is what the API's says.
macro_rules! shown {
    ($(#[doc = $says:literal])+ $vis:vis struct $name:ident $(<$life:lifetime>)? {
        $($(#[doc = $field_says:literal])+ $field_vis:vis $field:ident: $type:ty,)+
    }) => {
        $(#[doc = $says])+
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        $vis struct $name $(<$life>)? {
            $($(#[doc = $field_says])+ $field_vis $field: $type,)+
        }

        impl $(<$life>)? $crate::view::Shown for $name $(<$life>)? {
            fn schema(schemas: &mut $crate::view::Schemas) -> serde_json::Value {
                schemas.object(stringify!($name), concat!($($says),+), |schemas| vec![
                    $((
                        stringify!($field),
                        concat!($($field_says),+),
                        <$type as $crate::view::Shown>::schema(schemas),
                    ),)+
                ])
            }
        }
    };
}

pub(crate) use shown;

impl<T: Shown> Shown for Option<T> {
    fn schema(schemas: &mut Schemas) -> Value {
        let mut schema = T::schema(schemas);
        match schema.get_mut("type") {
            Some(kind @ Value::String(_)) => {
                *kind = json!([kind.take(), "null"]);
                schema
            }
            _ => json!({ "anyOf": [schema, { "type": "null" }] }),
        }
    }
}

impl<T: Shown> Shown for Vec<T> {
    fn schema(schemas: &mut Schemas) -> Value {
        json!({ "type": "array", "items": T::schema(schemas) })
    }
}

impl<T: Shown> Shown for Arc<T> {
    fn schema(schemas: &mut Schemas) -> Value {
        T::schema(schemas)
    }
}

/// Any JSON.
impl Shown for Value {
    fn schema(_schemas: &mut Schemas) -> Value {
        json!({})
    }
}

/// Types that JSON has.
macro_rules! plain {
    ($($type:ty: $schema:tt;)+) => {
        $(impl Shown for $type {
            fn schema(_schemas: &mut Schemas) -> Value {
                json!($schema)
            }
        })+
    };
}

plain! {
    String: { "type": "string" };
    Cow<'_, str>: { "type": "string" };
    &str: { "type": "string" };
    bool: { "type": "boolean" };
    f64: { "type": "number" };
    u64: { "type": "integer", "minimum": 0 };
    u32: { "type": "integer", "minimum": 0 };
    u16: { "type": "integer", "minimum": 0 };
}
