//! Values as JSON has them: times, ids and money.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use rust_decimal::Decimal;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use super::{Schemas, Shown};

/// Milliseconds to the microsecond.
#[must_use]
pub fn ms(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}

/// Milliseconds since 1970.
#[must_use]
pub fn clock_ms(at: SystemTime) -> u64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

/// A number of 128 bits: 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(pub u128);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// What is no [`Id`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 32 hexadecimal digits")]
pub struct NoId;

impl FromStr for Id {
    type Err = NoId;

    fn from_str(text: &str) -> Result<Self, NoId> {
        let digits = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 32 || !text.bytes().all(digits) {
            return Err(NoId);
        }
        u128::from_str_radix(text, 16).map(Self).map_err(|_| NoId)
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl Shown for Id {
    fn schema(_schemas: &mut Schemas) -> Value {
        json!({ "type": "string", "pattern": "^[0-9a-f]{32}$" })
    }
}

/// An amount in USD: an exact decimal, as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Usd(pub Decimal);

impl Serialize for Usd {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0.normalize())
    }
}

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map(Self).map_err(D::Error::custom)
    }
}

impl Shown for Usd {
    fn schema(_schemas: &mut Schemas) -> Value {
        json!({ "type": "string", "pattern": "^-?[0-9]+([.][0-9]+)?$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_written() {
        let id = Id(0x0af7);
        assert_eq!(id.to_string(), "00000000000000000000000000000af7");
        assert_eq!(id.to_string().parse(), Ok(id));
        for wrong in [
            "",
            "af7",
            "+0000000000000000000000000000af7",
            "0000000000000000000000000000 AF7",
        ] {
            assert_eq!(wrong.parse::<Id>(), Err(NoId), "{wrong}");
        }
    }

    #[test]
    fn money_is_exact_and_without_zeros_at_its_end() {
        let usd = Usd("0.00120".parse().unwrap());
        assert_eq!(serde_json::to_value(usd).unwrap(), json!("0.0012"));
    }
}
