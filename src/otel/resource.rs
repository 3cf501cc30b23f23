//! Who we are: the resource on every span and metric.

use opentelemetry::KeyValue;
use opentelemetry::trace::TraceId;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};

use super::env::{Reader, pairs, percent_decode};

const NAME: &str = "service.name";
const ENVIRONMENT: &str = "deployment.environment.name";
/// What [`ENVIRONMENT`] was called before semantic conventions 1.27; many backends still read it.
const OLD_ENVIRONMENT: &str = "deployment.environment";

/// Reads `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` and fills in what they leave out.
pub(super) fn read(reader: &mut Reader<impl Fn(&str) -> Option<String>>) -> Vec<(String, String)> {
    let decoded = |text: &str| {
        let decode = |(key, value): (String, String)| Some((key, percent_decode(&value)?));
        pairs(text)?
            .into_iter()
            .map(decode)
            .collect::<Option<Vec<_>>>()
    };
    let expected = "key=value pairs with commas between them, values percent-encoded";
    let mut attributes = reader
        .parsed(&["OTEL_RESOURCE_ATTRIBUTES"], expected, decoded)
        .unwrap_or_default();
    if let Some(name) = reader.text("OTEL_SERVICE_NAME") {
        attributes.retain(|(key, _)| key != NAME);
        attributes.push((NAME.to_owned(), name));
    }
    fill(&mut attributes, NAME, || "streamgauge".to_owned());
    fill(&mut attributes, "service.version", || {
        env!("CARGO_PKG_VERSION").to_owned()
    });
    fill(&mut attributes, "service.instance.id", random_uuid);
    for (from, to) in [
        (ENVIRONMENT, OLD_ENVIRONMENT),
        (OLD_ENVIRONMENT, ENVIRONMENT),
    ] {
        let value = attributes
            .iter()
            .find(|(key, _)| key == from)
            .map(|(_, value)| value.clone());
        if let Some(value) = value {
            fill(&mut attributes, to, || value);
        }
    }
    attributes
}

/// The SDK's form of it, with the SDK's own name.
#[must_use]
pub fn build(attributes: &[(String, String)]) -> Resource {
    let attributes = attributes
        .iter()
        .map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attributes(attributes)
        .build()
}

fn fill(attributes: &mut Vec<(String, String)>, key: &str, value: impl FnOnce() -> String) {
    if !attributes.iter().any(|(known, _)| known == key) {
        attributes.push((key.to_owned(), value()));
    }
}

/// A UUID of version 4 (RFC 9562, 5.4).
fn random_uuid() -> String {
    let random: TraceId = RandomIdGenerator::default().new_trace_id();
    let mut bytes = random.to_bytes();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = format!("{:032x}", u128::from_be_bytes(bytes));
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(variables: &[(&str, &str)]) -> Vec<(String, String)> {
        let variables: Vec<(String, String)> = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let lookup = move |name: &str| {
            variables
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, value)| value.clone())
        };
        let mut reader = Reader::new(lookup);
        let resource = read(&mut reader);
        assert!(reader.errors.is_empty());
        resource
    }

    fn value<'a>(resource: &'a [(String, String)], key: &str) -> Option<&'a str> {
        resource
            .iter()
            .find(|(known, _)| known == key)
            .map(|(_, value)| value.as_str())
    }

    #[test]
    fn defaults_name_service_version_and_instance() {
        let resource = resource(&[]);
        assert_eq!(value(&resource, "service.name"), Some("streamgauge"));
        assert_eq!(
            value(&resource, "service.version"),
            Some(env!("CARGO_PKG_VERSION"))
        );
        let id = value(&resource, "service.instance.id").unwrap();
        assert_eq!(
            (id.len(), &id[14..15], id.matches('-').count()),
            (36, "4", 4),
            "{id}"
        );
        assert_eq!(value(&resource, "deployment.environment.name"), None);
    }

    #[test]
    fn the_service_name_variable_wins_over_the_attributes() {
        let resource = resource(&[
            ("OTEL_SERVICE_NAME", "edge"),
            (
                "OTEL_RESOURCE_ATTRIBUTES",
                "service.name=other,team=a%2Cb,service.instance.id=i-1",
            ),
        ]);
        assert_eq!(value(&resource, "service.name"), Some("edge"));
        assert_eq!(value(&resource, "team"), Some("a,b"));
        assert_eq!(value(&resource, "service.instance.id"), Some("i-1"));
        assert_eq!(
            resource
                .iter()
                .filter(|(key, _)| key == "service.name")
                .count(),
            1
        );
    }

    #[test]
    fn both_spellings_of_the_environment_say_the_same() {
        for key in [ENVIRONMENT, OLD_ENVIRONMENT] {
            let resource = resource(&[("OTEL_RESOURCE_ATTRIBUTES", &format!("{key}=prod"))]);
            assert_eq!(value(&resource, ENVIRONMENT), Some("prod"));
            assert_eq!(value(&resource, OLD_ENVIRONMENT), Some("prod"));
        }
    }

    #[test]
    fn each_process_has_its_own_instance_id() {
        assert_ne!(random_uuid(), random_uuid());
    }
}
