//! What calls cost: a catalogue of prices, and the working by which the usage of a call comes to an amount.
//!
//! Prices are data. The catalogue that comes with the program is made from the package `genai-prices` (MIT) by
//! `scripts/prices`; which price holds, and for what, is decided as that package decides it. A file of the user's comes before
//! it. Amounts are exact decimals in USD. This room knows no exchange and reads no clock.

mod catalogue;
mod clause;
mod condition;
mod counts;
mod model;
mod own;
mod priced;
mod unit;
mod working;

pub use catalogue::{Catalogue, Entry, NotFound, Source, Wanted};
pub use condition::{Context, Day};
pub use counts::{Counts, Unpriced};
pub use own::{OwnPrices, OwnProblem};
pub use priced::Priced;
pub use unit::{Unit, UnknownUnit};
pub use working::{Amounts, Line, Working};
