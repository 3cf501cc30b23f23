//! What is kept of a request that is a form (`multipart/form-data`).

/// The fields of a form that a dialect asked for, each with its last value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form(Vec<(&'static str, Vec<u8>)>);

impl Form {
    /// Takes a value; a later one of the same name replaces it, as servers do.
    pub fn set(&mut self, name: &'static str, value: Vec<u8>) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, kept)) => *kept = value,
            None => self.0.push((name, value)),
        }
    }

    /// The value of a field; `None` where the form has none of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let field = self.0.iter().find(|(known, _)| *known == name);
        field.map(|(_, value)| value.as_slice())
    }
}
