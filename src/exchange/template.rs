//! The template that a prompt was made from, as the client tells.

use super::Exchange;

/// What a client told of it beside the call, or in the call's `metadata`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Template {
    /// Its name.
    pub name: Option<String>,
    /// Which version of it.
    pub version: Option<String>,
    /// What was put into it: names and values, cut. Empty unless that is asked for.
    pub variables: Vec<(String, String)>,
}

impl Exchange {
    /// The name of the template: as the client tells, else that of one kept at the provider.
    #[must_use]
    pub fn template_name(&self) -> Option<&str> {
        let told = self.template.as_ref().and_then(|told| told.name.as_deref());
        told.or(self.request.prompt_name.as_deref())
    }

    /// Its version, in the same way.
    #[must_use]
    pub fn template_version(&self) -> Option<&str> {
        let told = self.template.as_ref();
        match told.filter(|told| told.name.is_some()) {
            Some(told) => told.version.as_deref(),
            None => self.request.prompt_version.as_deref(),
        }
    }

    /// What was put into it.
    pub fn template_variables(&self) -> impl Iterator<Item = (&str, &str)> {
        let told = self.template.iter().flat_map(|told| &told.variables);
        told.map(|(name, value)| (name.as_str(), value.as_str()))
    }
}
