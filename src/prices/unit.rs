//! What is priced: tokens of a kind, searches, hours. One unit may be a part of another, such as cached tokens of the input.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Something of which a call uses an amount, and which has a price.
#[derive(Debug, Deserialize)]
pub struct Unit {
    /// What a usage calls the amount: `cache_read_tokens`.
    pub name: Box<str>,
    /// What a list of prices calls the price: `cache_read_mtok`.
    pub price: Box<str>,
    /// How much of it the price is for.
    pub per: u32,
    /// What tells it from others: `direction`, `modality`, …
    #[serde(rename = "of")]
    dimensions: BTreeMap<Box<str>, Box<str>>,
}

impl Unit {
    /// A second of a machine of the user's own.
    pub(super) fn gpu_seconds() -> Self {
        Self {
            name: "gpu_seconds".into(),
            price: "gpu_second".into(),
            per: 1,
            dimensions: BTreeMap::from([("family".into(), "gpu".into())]),
        }
    }

    /// A dimension: `input` for `direction`.
    #[must_use]
    pub fn dimension(&self, name: &str) -> Option<&str> {
        self.dimensions.get(name).map(|value| &**value)
    }

    /// Whether it is counted once for each call, whatever the usage says.
    pub(super) fn is_request(&self) -> bool {
        &*self.name == "requests"
    }

    /// Whether the usage of a call says how much of it there was, and not that there was a call, or how long it took.
    pub(super) fn is_of_usage(&self) -> bool {
        !self.is_request() && self.dimension("family") != Some("gpu")
    }

    /// Whether it is tokens of a kind.
    pub(super) fn is_of_tokens(&self) -> bool {
        self.dimension("family") == Some("tokens")
    }

    /// Whether all of another unit is of this one: it says the same and more.
    pub(super) fn includes(&self, other: &Self) -> bool {
        let mut dimensions = self.dimensions.iter();
        dimensions.all(|(name, value)| other.dimension(name) == Some(value))
    }

    /// How many dimensions it has: a part has more than what it is a part of.
    pub(super) fn depth(&self) -> usize {
        self.dimensions.len()
    }

    /// Whether something may be of both units, though neither includes the other, and this unit is just that.
    pub(super) fn is_join_of(&self, left: &Self, right: &Self) -> bool {
        if left.includes(right) || right.includes(left) {
            return false;
        }
        let mut both = left.dimensions.clone();
        for (name, value) in &right.dimensions {
            if both
                .insert(name.clone(), value.clone())
                .is_some_and(|it| it != *value)
            {
                return false;
            }
        }
        both == self.dimensions
    }
}

/// There is no such unit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown unit {name}{}", did_you_mean(.nearest.as_deref()))]
pub struct UnknownUnit {
    /// As it was given.
    pub name: String,
    /// The unit whose name is like it, if there is one.
    pub nearest: Option<String>,
}

/// What an error says of the name that was most likely meant.
pub(super) fn did_you_mean(name: Option<&str>) -> String {
    name.map_or_else(String::new, |name| format!(", did you mean {name}?"))
}

/// How alike two names are, of one, so that one may be meant by the other.
const NEAR: f64 = 0.85;

/// The name that was most likely meant by one that there is not.
pub(super) fn nearest<'n>(wanted: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let alike = names.map(|name| (strsim::jaro_winkler(name, wanted), name));
    let nearest = alike.max_by(|a, b| a.0.total_cmp(&b.0));
    let near = nearest.filter(|(likeness, _)| *likeness > NEAR);
    near.map(|(_, name)| name)
}

/// All units, in the catalogue's order.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Units(Vec<Unit>);

/// Which of the units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct UnitIndex(u8);

/// Most units that there are.
pub(super) const UNITS_MAX: usize = 128;

impl UnitIndex {
    pub(super) const fn place(self) -> usize {
        self.0 as usize
    }
}

impl Units {
    /// All of them.
    pub(super) fn each(&self) -> impl Iterator<Item = (UnitIndex, &Unit)> + Clone {
        // No more than a byte counts are ever added.
        (0..).map(UnitIndex).zip(&self.0)
    }

    pub(super) fn get(&self, index: UnitIndex) -> &Unit {
        &self.0[usize::from(index.0)]
    }

    /// Input tokens and output tokens, of one of which every token is.
    pub(super) fn wholes(&self) -> impl Iterator<Item = (UnitIndex, &Unit)> {
        let is_whole = |unit: &Unit| ["input_tokens", "output_tokens"].contains(&&*unit.name);
        self.each().filter(move |(_, unit)| is_whole(unit))
    }

    /// By what a usage calls it.
    pub(super) fn named(&self, name: &str) -> Result<UnitIndex, UnknownUnit> {
        self.find(name, |unit| &unit.name)
    }

    /// By what a list of prices calls it.
    pub(super) fn priced(&self, price: &str) -> Result<UnitIndex, UnknownUnit> {
        self.find(price, |unit| &unit.price)
    }

    fn find(&self, wanted: &str, name: impl Fn(&Unit) -> &str) -> Result<UnitIndex, UnknownUnit> {
        let mut each = self.each();
        let found = each.find(|(_, unit)| name(unit) == wanted);
        found.map(|(index, _)| index).ok_or_else(|| {
            let nearest = nearest(wanted, self.0.iter().map(&name));
            UnknownUnit {
                name: wanted.to_owned(),
                nearest: nearest.map(str::to_owned),
            }
        })
    }

    /// With one that the catalogue does not have. `None` where there are too many.
    pub(super) fn and(mut self, unit: Unit) -> Option<Self> {
        self.0.push(unit);
        (self.0.len() <= UNITS_MAX).then_some(self)
    }
}
