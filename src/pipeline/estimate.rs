//! Counts the tokens that no upstream reported.
//!
//! The standard names of token counts are for what was reported, so an estimate is a fact of its own, and takes their place
//! only where a user asks for that.
//!
//! How far it is off nobody sees where nothing is reported. So of calls whose tokens are reported a share is counted too, where
//! that is asked for, and both are told side by side.
//!
//! Counting takes a hundred times longer than folding. The tables it needs take some 40 MB each; they are made when they are
//! first needed, and freed after a while without use.

use super::{EstimateTokens, Finished, Stage};
use crate::exchange::Estimate;
use crate::tokenizer::Tokenizer;

/// What the tokens of an exchange are counted in.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Uncounted {
    /// What the model was given; `None` where it was not seen whole, or is not all text.
    pub prompt: Option<PromptTexts>,
    /// What the model generated, choice by choice; `None` where not all of it is text, or too much of it.
    pub generated: Option<Vec<String>>,
}

impl Uncounted {
    /// Bytes of the texts.
    pub(super) fn weight(&self) -> usize {
        let prompt = self.prompt.iter().flat_map(|prompt| &prompt.texts);
        let texts = prompt.chain(self.generated.iter().flatten());
        texts.map(String::len).sum()
    }
}

/// A prompt, as far as tokens are concerned.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct PromptTexts {
    /// Texts that are encoded each by itself.
    pub texts: Vec<String>,
    /// Tokens on top of them: what frames messages, and those that were sent as tokens.
    pub tokens: u64,
}

/// Sets the counts that are due and were not reported.
pub(super) struct EstimateStage {
    tokenizer: Tokenizer,
    /// Whether they stand in for the reported ones.
    stands_in: bool,
}

impl EstimateStage {
    /// `None` where nothing is to be counted.
    pub(super) fn new(wanted: EstimateTokens, check_one_of: usize) -> Option<Self> {
        let stands_in = match wanted {
            EstimateTokens::Off if check_one_of == 0 => return None,
            EstimateTokens::Own | EstimateTokens::Off => false,
            EstimateTokens::Standard => true,
        };
        Some(Self {
            tokenizer: Tokenizer::default(),
            stands_in,
        })
    }
}

impl Stage for EstimateStage {
    fn name(&self) -> &'static str {
        "estimate"
    }

    fn run(&mut self, finished: &mut Finished) {
        let Some(uncounted) = finished.uncounted.take() else {
            return;
        };
        // A text that the library cannot take leaves nothing half done behind.
        let mut tokenizer = std::mem::take(&mut self.tokenizer);
        let exchange = &mut finished.exchange;
        let models = [&exchange.response.model, &exchange.request.model];
        let model = models.into_iter().flatten().next();
        let model = model.map_or("", String::as_str);
        let mut count = |texts: &[String]| -> Option<u64> {
            let counts = texts.iter().map(|text| tokenizer.count(model, text));
            counts.sum()
        };
        let prompt = uncounted.prompt.as_ref();
        let estimate = Estimate {
            input_tokens: prompt.and_then(|prompt| Some(count(&prompt.texts)? + prompt.tokens)),
            output_tokens: uncounted.generated.as_deref().and_then(&mut count),
        };
        let usage = &mut exchange.usage;
        if usage.input_tokens.or(usage.output_tokens).is_some() {
            usage.checked = estimate;
        } else {
            usage.estimate = estimate;
        }
        if self.stands_in && usage.estimate.is_there() {
            usage.input_tokens = estimate.input_tokens;
            usage.output_tokens = estimate.output_tokens;
        }
        self.tokenizer = tokenizer;
    }

    fn rest(&mut self) {
        self.tokenizer = Tokenizer::default();
    }
}
