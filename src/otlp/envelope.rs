//! The envelope of what is exported by OTLP: who we are.
//!
//! `ExportTraceServiceRequest`, `ResourceSpans` and `ScopeSpans` number their fields as `ExportMetricsServiceRequest`,
//! `ResourceMetrics` and `ScopeMetrics` do, and those of logs, so one form serves all.

use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_sdk::Resource;
use prost::Message as _;

use super::protobuf;

/// Number of the field that is a span of its scope, a metric, or a log record.
pub const ITEM: u32 = 2;

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

    /// The request of these items, each a field with the number [`ITEM`]: one resource with one scope.
    #[must_use]
    pub fn around(&self, items: &[u8]) -> Vec<u8> {
        let mut of_scope = Vec::with_capacity(self.scope.len() + 8);
        let of_scope_len = self.scope.len() + items.len();
        protobuf::length(&mut of_scope, 2, of_scope_len);
        let of_resource_len = self.resource.len() + of_scope.len() + of_scope_len;
        let mut request = Vec::with_capacity(of_resource_len + 8);
        protobuf::length(&mut request, 1, of_resource_len);
        for part in [&self.resource, &of_scope, &self.scope, items] {
            request.extend_from_slice(part);
        }
        request
    }
}
