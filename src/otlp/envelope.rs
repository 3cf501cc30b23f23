//! The envelope of what is exported by OTLP: who we are.
//!
//! `ExportTraceServiceRequest`, `ResourceSpans` and `ScopeSpans` number their fields as `ExportMetricsServiceRequest`,
//! `ResourceMetrics` and `ScopeMetrics` do, and those of logs, so one form serves all.

use bytes::Bytes;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_sdk::Resource;
use prost::Message as _;

use super::protobuf;

/// Number of the field that is a span of its scope, a metric, or a log record.
pub const ITEM: u32 = 2;

/// Most bytes of the tag and the length of a field.
const LENGTH_MAX: usize = 11;

/// What stands around the spans or metrics of each request. Written once.
pub struct Envelope {
    resource: Vec<u8>,
    scope: Vec<u8>,
}

impl Envelope {
    /// The envelope of this process.
    #[must_use]
    pub fn new(resource: &Resource) -> Self {
        let resource = v1::Resource {
            attributes: ResourceAttributesWithSchema::from(resource).attributes.0,
            ..v1::Resource::default()
        };
        let scope = InstrumentationScope {
            name: "streamgauge".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        let mut envelope = Self {
            resource: Vec::new(),
            scope: Vec::new(),
        };
        protobuf::bytes(&mut envelope.resource, 1, &resource.encode_to_vec());
        protobuf::bytes(&mut envelope.scope, 1, &scope.encode_to_vec());
        envelope
    }

    /// Memory for a request with items of so many bytes, which are to be added behind what is there already.
    #[must_use]
    pub fn open(&self, bytes: usize) -> Vec<u8> {
        let mut request = Vec::with_capacity(self.room() + bytes);
        request.resize(self.room(), 0);
        request
    }

    /// The request of the items that were added, each a field with the number [`ITEM`]: one resource with one scope. They
    /// stay where they lie, and the envelope is put before them: a batch of spans is half a megabyte.
    #[must_use]
    pub fn close(&self, mut request: Vec<u8>) -> Bytes {
        let items = request.len() - self.room();
        let mut of_scope = Vec::with_capacity(self.scope.len() + LENGTH_MAX);
        protobuf::length(&mut of_scope, 2, self.scope.len() + items);
        of_scope.extend_from_slice(&self.scope);
        let mut before = Vec::with_capacity(self.room());
        let of_resource_len = self.resource.len() + of_scope.len() + items;
        protobuf::length(&mut before, 1, of_resource_len);
        before.extend_from_slice(&self.resource);
        before.extend_from_slice(&of_scope);
        let start = self.room() - before.len();
        request[start..self.room()].copy_from_slice(&before);
        Bytes::from(request).slice(start..)
    }

    /// The same of items that lie elsewhere.
    #[must_use]
    pub fn around(&self, items: &[u8]) -> Bytes {
        let mut request = self.open(items.len());
        request.extend_from_slice(items);
        self.close(request)
    }

    /// Most bytes of what stands before the items.
    const fn room(&self) -> usize {
        self.resource.len() + self.scope.len() + 2 * LENGTH_MAX
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::trace::v1::Span;

    use super::*;

    #[test]
    fn a_request_of_any_length_is_one_resource_with_one_scope_and_all_items() {
        let envelope = Envelope::new(&Resource::builder_empty().build());
        for names in [vec![], vec![1], vec![1, 100], vec![20_000, 3, 200]] {
            let spans = names.iter().map(|length| Span {
                name: "x".repeat(*length),
                ..Span::default()
            });
            let spans: Vec<Span> = spans.collect();
            let mut request = envelope.open(0);
            for span in &spans {
                protobuf::bytes(&mut request, ITEM, &span.encode_to_vec());
            }
            let request = ExportTraceServiceRequest::decode(envelope.close(request)).unwrap();
            let [resource] = &request.resource_spans[..] else {
                unreachable!("it has one resource");
            };
            assert_eq!(resource.scope_spans.len(), 1);
            assert_eq!(resource.scope_spans[0].spans, spans);
        }
    }
}
