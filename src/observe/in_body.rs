//! What a client tells in the body of a request that an operator has listed, and that no dialect reads.
//!
//! The body is read once more for it, and only where something is listed.

use super::ObserveConfig;
use super::template::add_variables_of;
use super::told::{Annotation, Members, Source};
use crate::exchange::Exchange;

/// What is looked for.
#[derive(Debug)]
pub(super) struct InBody {
    annotations: Vec<Annotation>,
    conversations: Vec<Source>,
    templates: Vec<Source>,
    template_versions: Vec<Source>,
    template_variables: bool,
}

impl InBody {
    /// `None` where nothing is.
    pub(super) fn of(config: &ObserveConfig) -> Option<Box<Self>> {
        let annotations = config.annotations.iter().map(|listed| &listed.source);
        let templates = config.templates.iter().chain(&config.template_versions);
        let mut sources = annotations.chain(&config.conversations).chain(templates);
        let is_wanted = config.template_variables || sources.any(Source::is_in_body);
        is_wanted.then(|| {
            let mut annotations = config.annotations.clone();
            annotations.retain(|listed| listed.source.is_in_body());
            Box::new(Self {
                annotations,
                conversations: config.conversations.clone(),
                templates: config.templates.clone(),
                template_versions: config.template_versions.clone(),
                template_variables: config.template_variables,
            })
        })
    }

    /// Adds it to what the head of the request told, which goes before.
    pub(super) fn read(&self, body: &[u8], exchange: &mut Exchange) {
        let Some(members) = Members::of(body) else {
            return;
        };
        let told = self
            .annotations
            .iter()
            .filter_map(|listed| Some((listed.name.clone(), listed.source.value_in(&members)?)));
        exchange.annotations.extend(told);
        let find = |sources: &[Source]| sources.iter().find_map(|it| it.value_in(&members));
        if exchange.named_conversation.is_none() {
            exchange.named_conversation = find(&self.conversations);
        }
        let is_named = |exchange: &Exchange| {
            exchange
                .template
                .as_ref()
                .is_some_and(|it| it.name.is_some())
        };
        if !is_named(exchange)
            && let Some(name) = find(&self.templates)
        {
            let template = exchange.template.get_or_insert_default();
            template.name = Some(name);
            template.version = find(&self.template_versions);
        }
        if self.template_variables {
            let found = [members.metadata, members.prompt];
            add_variables_of(found, &mut exchange.template);
        }
    }
}
