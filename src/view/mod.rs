//! What is shown of exchanges: rows, timelines, spans, conversations and sums, as plain structs that are written as JSON.
//!
//! Everything is made from exchanges when somebody asks, and nothing before. Each struct says of itself what it is
//! ([`Shown`]), so that the description of the API cannot differ from what it answers. This room knows no socket, no sink and
//! no clock.

mod conversations;
mod curl;
mod detail;
mod entry;
mod latency;
mod row;
mod shown;
mod spans;
mod summary;
mod timeline;
mod turn;
mod words;

pub use conversations::{ConversationDetail, Conversations, Cursor, Totals, TurnDetail};
pub use detail::{Attempt, Choices, Cost, Detail, HttpFacts, Place, ToolCall};
pub use entry::{Entry, Stored};
pub use latency::Latency;
pub use row::Row;
pub(crate) use shown::shown;
pub use shown::{Schemas, Shown};
pub use spans::{Attribute, Span, SpanChoice};
pub use summary::{Step, Sums, Window};
pub use timeline::{Gap, Mark, Stall, Timeline};
pub use turn::{Prompt, RepeatedCall, ToolWait, Turn};
pub use words::{Id, NoId, Usd, clock_ms, ms};
