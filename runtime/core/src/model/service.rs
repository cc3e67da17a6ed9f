//! What models use: feature services, and aliases of versions.

use std::collections::BTreeMap;
use std::fmt;

use super::{Stage, ViewVersion};
use crate::time::Duration;

/// The features that a model uses, pinned to versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureService {
    /// Its name.
    pub name: String,
    /// What it gives, in this order; at least one, none twice.
    pub features: Vec<ServiceFeatures>,
    /// Whether a feature is named `view__feature` instead of `feature`, so that two views may have one of the same name.
    pub prefix: bool,
    /// How long a request may take that brings no deadline of its own; None is the server's `request_seconds_max`.
    pub deadline: Option<Duration>,
    /// The features without which an answer is of no use, by their names in it: where one cannot be known, the request fails.
    pub required: Required,
    /// The share of its requests whose answers go into the feature log.
    pub log_share: Share,
    /// [`Stage::Experimental`] or [`Stage::Production`].
    pub stage: Stage,
    /// Who answers for it; may be empty.
    pub owner: String,
    /// For people; may be empty.
    pub description: String,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
}

/// Features of one view, as a service names them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceFeatures {
    /// The view.
    pub view: ViewVersion,
    /// One feature of it; None is all of them, in the order of the view's signature.
    pub feature: Option<String>,
}

/// `view@version` or `view@version:feature`.
impl fmt::Display for ServiceFeatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.view.fmt(f)?;
        self.feature.iter().try_for_each(|feature| write!(f, ":{feature}"))
    }
}

/// A second name for one version of a view; it may be moved to another version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// The view's name.
    pub view: String,
    /// The alias, unique among those of the view.
    pub name: String,
    /// The version that it stands for.
    pub version: u32,
}

impl Alias {
    /// The version that it stands for.
    pub fn target(&self) -> ViewVersion {
        ViewVersion::new(&self.view, self.version)
    }
}

/// `view@alias`.
impl fmt::Display for Alias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.view, self.name)
    }
}

/// Which features of a service a request cannot do without. The others are answered as far as they are known, each with its status.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Required {
    /// None: every feature is best effort.
    #[default]
    None,
    /// All of them.
    All,
    /// Those of these names, sorted, at least one.
    Features(Vec<String>),
}

impl Required {
    /// Whether a feature is one of them.
    pub fn has(&self, feature: &str) -> bool {
        match self {
            Required::None => false,
            Required::All => true,
            Required::Features(names) => names.iter().any(|name| name == feature),
        }
    }
}

/// A share from nothing to all, in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Share(u32);

impl Share {
    /// Nothing.
    pub const NONE: Share = Share(0);

    const ALL: u32 = 1_000_000;

    /// The share of this number, rounded to millionths; None outside of 0 to 1, or where a share that is not 0 would round to it.
    pub fn new(number: f64) -> Option<Share> {
        let millionths = (number * f64::from(Share::ALL)).round();
        ((0.0..=1.0).contains(&number) && (millionths > 0.0 || number == 0.0)).then_some(Share(millionths as u32))
    }

    /// Whether it has something with this hash: of uniform hashes, as many as the share says.
    pub fn has(self, hash: u64) -> bool {
        (u128::from(hash) * u128::from(Share::ALL)) >> 64 < u128::from(self.0)
    }
}

/// A decimal number.
impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == Share::ALL {
            return f.write_str("1.0");
        }
        let digits = format!("{:06}", self.0);
        let digits = digits.trim_end_matches('0');
        write!(f, "0.{}", if digits.is_empty() { "0" } else { digits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read_written_and_taken() {
        for (number, text) in [(0.0, "0.0"), (1.0, "1.0"), (0.05, "0.05"), (1e-6, "0.000001"), (0.999_999, "0.999999")]
        {
            let share = Share::new(number).unwrap();
            assert_eq!(share.to_string(), text);
            assert_eq!(text.parse::<f64>().ok().and_then(Share::new), Some(share));
        }
        for wrong in [-0.1, 1.000_001, f64::NAN, f64::INFINITY, 1e-7] {
            assert_eq!(Share::new(wrong), None, "{wrong}");
        }
        assert!(Share(Share::ALL).has(u64::MAX) && !Share::NONE.has(0));
        let hashes = (0..1_000_u64).map(|index| index * (u64::MAX / 1_000));
        assert_eq!(hashes.filter(|hash| Share::new(0.25).unwrap().has(*hash)).count(), 251);
    }
}
