//! Names the provider of upstreams of which neither configuration nor host says it, by what they say of themselves.
//!
//! The first that an upstream says holds for the life of the process: labels of metrics must not change from call to call
//! where several servers stand behind one URL. Calls that ended before have no provider, and keep none.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Finished, Stage};

/// What upstreams have said, by their names. Those come from the configuration, and so are few.
#[derive(Debug, Default)]
pub(super) struct ProviderStage {
    told: HashMap<Arc<str>, Arc<str>>,
}

impl Stage for ProviderStage {
    fn name(&self) -> &'static str {
        "provider"
    }

    fn run(&mut self, finished: &mut Finished) {
        let exchange = &mut *finished.exchange;
        let Some(upstream) = &mut exchange.upstream else {
            return;
        };
        if upstream.provider.is_some() {
            return;
        }
        if let Some(told) = self.told.get(&upstream.name) {
            upstream.provider = Some(Arc::clone(told));
        } else if let Some(provider) = exchange.response.provider {
            let told: Arc<str> = provider.into();
            upstream.provider = Some(Arc::clone(&told));
            self.told.insert(Arc::clone(&upstream.name), told);
            tracing::info!(
                upstream = %upstream.name,
                provider,
                "the upstream says what it is; from now on its calls have this provider, unless upstream.provider names one"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::exchange::{Exchange, Upstream};
    use crate::sink::ExchangeId;

    /// The provider of an exchange with this upstream, which says this, after the stage.
    fn named(
        stage: &mut ProviderStage,
        (name, known): (&str, Option<&str>),
        says: Option<&'static str>,
    ) -> Option<String> {
        let mut exchange = Exchange::begin(SystemTime::UNIX_EPOCH);
        exchange.upstream = Some(Upstream {
            name: name.into(),
            provider: known.map(Arc::from),
        });
        exchange.response.provider = says;
        let mut finished = Finished {
            id: ExchangeId(1),
            exchange: Box::new(exchange),
            uncounted: None,
            held: None,
        };
        stage.run(&mut finished);
        finished
            .exchange
            .upstream?
            .provider
            .as_deref()
            .map(str::to_owned)
    }

    #[test]
    fn the_first_that_an_upstream_says_holds_and_is_that_of_no_other() {
        let mut stage = ProviderStage::default();
        let (one, other) = (("one", None), ("other", None));
        assert_eq!(named(&mut stage, one, None), None);
        for says in [Some("vllm"), None, Some("ollama")] {
            assert_eq!(named(&mut stage, one, says).as_deref(), Some("vllm"));
        }
        assert_eq!(named(&mut stage, other, None), None);
        let ollama = named(&mut stage, other, Some("ollama"));
        assert_eq!(ollama.as_deref(), Some("ollama"));
    }

    #[test]
    fn what_is_known_otherwise_goes_before_what_is_said() {
        let mut stage = ProviderStage::default();
        let known = ("one", Some("openai"));
        let named = named(&mut stage, known, Some("litellm"));
        assert_eq!(named.as_deref(), Some("openai"));
    }
}
