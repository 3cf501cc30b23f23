//! How a provider is called, and which one a host is known to be: in the well-known values of `gen_ai.provider.name`, and
//! under names of their own for those that have none.
//!
//! Governing text: open-telemetry/semantic-conventions-genai v0.1.0, `gen_ai.provider.name`: required, by the best of one's
//! knowledge, of open values; it tells whose attributes come with it, so that a server which only speaks OpenAI's language is not
//! `openai`. Where nothing is known the value is that of other such attributes, and of `gen_ai.system` before: `_OTHER`. The
//! hosts are those of the providers' API references. `gcp.gen_ai`, for which of Google's two services is not known, has no host
//! of its own.

use crate::exchange::Upstream;

/// The provider of an upstream of which nothing is known.
const OTHER: &str = "_OTHER";

/// What the provider of an upstream is called.
#[must_use]
pub fn name(upstream: &Upstream) -> &str {
    upstream.provider.as_deref().unwrap_or(OTHER)
}

/// Hosts, and all under them, by provider.
const HOSTS: &[(&str, &[&str])] = &[
    ("anthropic", &["api.anthropic.com"]),
    (
        "azure.ai.inference",
        &[
            "services.ai.azure.com",
            "models.ai.azure.com",
            "inference.ai.azure.com",
        ],
    ),
    (
        "azure.ai.openai",
        &[
            "openai.azure.com",
            "openai.azure.us",
            "openai.azure.cn",
            "cognitiveservices.azure.com",
        ],
    ),
    ("cerebras", &["api.cerebras.ai"]),
    ("cohere", &["api.cohere.com", "api.cohere.ai"]),
    ("deepseek", &["api.deepseek.com"]),
    ("fireworks_ai", &["api.fireworks.ai"]),
    ("gcp.gemini", &["generativelanguage.googleapis.com"]),
    ("groq", &["api.groq.com"]),
    ("ibm.watsonx.ai", &["ml.cloud.ibm.com"]),
    ("mistral_ai", &["api.mistral.ai", "codestral.mistral.ai"]),
    ("moonshot_ai", &["api.moonshot.ai", "api.moonshot.cn"]),
    ("openai", &["api.openai.com"]),
    ("openrouter", &["openrouter.ai"]),
    ("perplexity", &["api.perplexity.ai"]),
    ("together_ai", &["api.together.ai", "api.together.xyz"]),
    ("x_ai", &["api.x.ai"]),
];

/// Domains with services of all kinds, and how a label of the host begins or ends that is the provider's.
const SERVICES: &[(&str, &str, &[&str])] = &[
    (
        "aws.bedrock",
        "bedrock",
        &["amazonaws.com", "amazonaws.com.cn", "api.aws"],
    ),
    ("gcp.vertex_ai", "aiplatform", &["googleapis.com"]),
];

/// Names without a host of their own: of servers that say in answers what they are, and the convention's for Google's services
/// together.
const ELSEWHERE: &[&str] = &[
    "gcp.gen_ai",
    "litellm",
    "llama_cpp",
    "ollama",
    "sglang",
    "vllm",
];

/// Where the OpenAI API of a provider begins, on hosts that have nothing at the root. Others take it there, too, or have it below what
/// is the user's own.
const BASES: &[(&str, &str)] = &[
    ("anthropic", "/v1"),
    ("azure.ai.openai", "/openai/v1"),
    ("cerebras", "/v1"),
    ("cohere", "/compatibility/v1"),
    ("fireworks_ai", "/inference/v1"),
    ("gcp.gemini", "/v1beta/openai"),
    ("groq", "/openai/v1"),
    ("mistral_ai", "/v1"),
    ("moonshot_ai", "/v1"),
    ("openai", "/v1"),
    ("openrouter", "/api/v1"),
    ("together_ai", "/v1"),
    ("x_ai", "/v1"),
];

/// Every name of a provider that is known.
pub fn names() -> impl Iterator<Item = &'static str> + Clone {
    let own = HOSTS.iter().map(|(name, _)| *name);
    let services = SERVICES.iter().map(|(name, _, _)| *name);
    own.chain(services).chain(ELSEWHERE.iter().copied())
}

/// The path below which a host has the OpenAI API, where it is known to have nothing at its root.
#[must_use]
pub fn base_path(host: &str) -> Option<&'static str> {
    let provider = of_host(host)?;
    let base = BASES.iter().find(|(name, _)| *name == provider);
    base.map(|(_, path)| *path)
}

/// Whether a host is known to have an API of the provider's own below other paths.
#[must_use]
pub fn has_own_api(host: &str) -> bool {
    matches!(of_host(host), Some("cohere" | "gcp.gemini"))
}

/// The provider that a host is known to be.
#[must_use]
pub fn of_host(host: &str) -> Option<&'static str> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let own = HOSTS
        .iter()
        .find(|(_, domains)| domains.iter().any(|domain| under(&host, domain).is_some()));
    let service = || {
        SERVICES.iter().find(|(_, service, domains)| {
            let below = domains.iter().find_map(|domain| under(&host, domain));
            below.is_some_and(|below| {
                let mut labels = below.split('.');
                labels.any(|label| label.starts_with(service) || label.ends_with(service))
            })
        })
    };
    own.map(|(provider, _)| *provider)
        .or_else(|| service().map(|(provider, _, _)| *provider))
}

/// What stands before a domain in a host that is the domain or under it.
fn under<'h>(host: &'h str, domain: &str) -> Option<&'h str> {
    let before = host.strip_suffix(domain)?;
    (before.is_empty() || before.ends_with('.')).then_some(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_hosts_tell_their_provider() {
        for (host, provider) in [
            ("api.openai.com", "openai"),
            ("eu.api.openai.com", "openai"),
            ("openrouter.ai", "openrouter"),
            ("api.together.xyz", "together_ai"),
            ("api.anthropic.com", "anthropic"),
            ("my-team.openai.azure.com", "azure.ai.openai"),
            ("my-team.openai.azure.us", "azure.ai.openai"),
            ("my-team.cognitiveservices.azure.com", "azure.ai.openai"),
            ("my-team.services.ai.azure.com", "azure.ai.inference"),
            ("llama.eastus2.models.ai.azure.com", "azure.ai.inference"),
            ("models.inference.ai.azure.com", "azure.ai.inference"),
            ("bedrock-runtime.us-east-1.amazonaws.com", "aws.bedrock"),
            (
                "bedrock-runtime-fips.us-east-1.amazonaws.com",
                "aws.bedrock",
            ),
            ("bedrock-runtime.cn-north-1.amazonaws.com.cn", "aws.bedrock"),
            ("bedrock-mantle.eu-west-1.api.aws", "aws.bedrock"),
            (
                "vpce-1.bedrock-runtime.us-east-1.vpce.amazonaws.com",
                "aws.bedrock",
            ),
            ("api.cohere.com", "cohere"),
            ("api.cohere.ai", "cohere"),
            ("api.deepseek.com", "deepseek"),
            ("generativelanguage.googleapis.com", "gcp.gemini"),
            ("aiplatform.googleapis.com", "gcp.vertex_ai"),
            ("us-central1-aiplatform.googleapis.com", "gcp.vertex_ai"),
            ("aiplatform.eu.rep.googleapis.com", "gcp.vertex_ai"),
            ("api.groq.com", "groq"),
            ("us-south.ml.cloud.ibm.com", "ibm.watsonx.ai"),
            ("api.mistral.ai", "mistral_ai"),
            ("codestral.mistral.ai", "mistral_ai"),
            ("api.moonshot.cn", "moonshot_ai"),
            ("api.moonshot.ai", "moonshot_ai"),
            ("api.perplexity.ai", "perplexity"),
            ("us-east-1.api.x.ai", "x_ai"),
            ("API.X.ai.", "x_ai"),
        ] {
            assert_eq!(of_host(host), Some(provider), "{host}");
        }
    }

    #[test]
    fn every_base_is_that_of_a_known_provider() {
        for (name, path) in BASES {
            assert!(names().any(|known| known == *name), "{name}");
            assert!(path.starts_with('/') && !path.ends_with('/'), "{path}");
        }
        assert_eq!(base_path("eu.api.openai.com"), Some("/v1"));
        assert_eq!(base_path("openrouter.ai"), Some("/api/v1"));
        for host in ["vllm", "api.deepseek.com", "api.perplexity.ai"] {
            assert_eq!(base_path(host), None, "{host}");
        }
    }

    #[test]
    fn of_other_hosts_nothing_is_known() {
        for host in [
            "vllm",
            "127.0.0.1",
            "[::1]",
            "api.openai.com.example",
            "api.x.ai.example",
            "evilapi.x.ai",
            // Somebody's own server in the cloud of a provider.
            "ec2-1-2-3-4.compute-1.amazonaws.com",
            "mine-1.us-east-1.elb.amazonaws.com",
            "storage.googleapis.com",
            "mine.azurewebsites.net",
            "",
        ] {
            assert_eq!(of_host(host), None, "{host}");
        }
    }
}
