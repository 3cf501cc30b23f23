//! What a request asks a model for.

/// What is asked of a model, by the API that asks. A request that is no call to a model has only its HTTP facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `POST …/chat/completions`.
    ChatCompletions,
    /// `POST …/completions`, the legacy text completion.
    Completions,
    /// `POST …/responses`.
    Responses,
    /// `GET …/responses/{id}`, streamed or not, and `POST …/responses/{id}/cancel`.
    FetchResponse,
    /// `POST …/messages`, Anthropic's shape.
    Messages,
    /// `POST …/embeddings`.
    Embeddings,
    /// `POST …/images/generations`, `…/images/edits` and `…/images/variations`.
    Images,
    /// `POST …/audio/speech`.
    Speech,
    /// `POST …/audio/transcriptions`.
    Transcription,
    /// `POST …/audio/translations`.
    Translation,
    /// `POST …/moderations`.
    Moderation,
    /// `POST …/rerank`, Cohere's and Jina's shape.
    Rerank,
    /// `POST …/score`, vLLM's.
    Score,
    /// `POST …/tokenize` and `…/detokenize`, vLLM's.
    Tokenize,
    /// `POST …/vector_stores/{id}/search`.
    Retrieval,
    /// `POST …/api/chat`, Ollama's own.
    OllamaChat,
    /// `POST …/api/generate`, Ollama's own.
    OllamaGenerate,
    /// `POST …/api/embed` and the older `…/api/embeddings`, Ollama's own.
    OllamaEmbed,
    /// One response of a session of `…/realtime`.
    Realtime,
}

impl Operation {
    /// Whether a model generates text, with tool calls or not, token by token: what the conventions call inference.
    #[must_use]
    pub const fn generates_text(self) -> bool {
        matches!(
            self,
            Self::ChatCompletions
                | Self::Completions
                | Self::Responses
                | Self::Messages
                | Self::OllamaChat
                | Self::OllamaGenerate
                | Self::Realtime
        )
    }

    /// Whether its request repeats a conversation, message by message.
    #[must_use]
    pub const fn has_messages(self) -> bool {
        matches!(
            self,
            Self::ChatCompletions | Self::Responses | Self::Messages | Self::OllamaChat
        )
    }

    /// Whether it is embeddings that are asked for.
    #[must_use]
    pub const fn is_embeddings(self) -> bool {
        matches!(self, Self::Embeddings | Self::OllamaEmbed)
    }

    /// Whether a model generates something that is counted in tokens. Of the other calls all tokens are input.
    #[must_use]
    pub const fn has_output_tokens(self) -> bool {
        !matches!(
            self,
            Self::Embeddings
                | Self::OllamaEmbed
                | Self::Moderation
                | Self::Rerank
                | Self::Score
                | Self::Tokenize
                | Self::Retrieval
        )
    }

    /// Whether an answer of this API is due to report tokens. Some servers do so where none are due.
    #[must_use]
    pub const fn reports_usage(self) -> bool {
        !matches!(self, Self::Moderation | Self::Tokenize | Self::Retrieval)
    }
}
