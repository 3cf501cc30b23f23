//! What stands behind a model's name: providers replace it without a word, and only the answers show it.

/// What answered, as it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// `model` of the response.
    pub model: String,
    /// `system_fingerprint`; `None` where there is none.
    pub fingerprint: Option<String>,
}

/// Something else answered than did last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// What answers now.
    pub now: Served,
    /// What did before; `None` for the first answer of a model.
    pub before: Option<Served>,
    /// Which of it had not come before; `None` where nothing, as with replicas that take turns.
    pub new: Option<Novelty>,
}

/// What is new of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Novelty {
    /// The model.
    Model,
    /// The fingerprint of the same model.
    Fingerprint,
}

impl Novelty {
    /// The value of `streamgauge.model_change.what`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Fingerprint => "fingerprint",
        }
    }
}
