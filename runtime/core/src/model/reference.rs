//! How views are named: by definitions, which pin a version, and by people and programs, who may leave it open.

use std::fmt;
use std::str::FromStr;

use crate::types::is_name;

/// One version of a view. Definitions refer to views by this alone, so that what they mean never moves.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ViewVersion {
    /// The view's name.
    pub name: String,
    /// Its version, from 1.
    pub version: u32,
}

impl ViewVersion {
    /// The version `version` of the view `name`.
    pub fn new(name: impl Into<String>, version: u32) -> Self {
        ViewVersion { name: name.into(), version }
    }
}

/// `name@version`.
impl fmt::Display for ViewVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}

/// A view as commands and requests name it: `card_risk`, `card_risk@2`, `card_risk@champion`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewReference {
    /// The view's name.
    pub name: String,
    /// Which of its versions.
    pub selector: Selector,
}

/// Which version of a view is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// The greatest one.
    Latest,
    /// This one.
    Version(u32),
    /// The one that this alias of the view points at.
    Alias(String),
}

/// A text that names no view.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` does not name a feature view; write NAME, NAME@VERSION or NAME@ALIAS")]
pub struct NotAReference(pub String);

/// Longest refused text that an error repeats, in characters.
const SHOWN_CHARS_MAX: usize = 200;

impl FromStr for ViewReference {
    type Err = NotAReference;

    /// What follows the `@` is a version if it begins with a digit, else an alias. A version is decimal, from 1, without a
    /// leading zero: one version has one spelling.
    fn from_str(text: &str) -> Result<Self, NotAReference> {
        let refused = || NotAReference(text.chars().take(SHOWN_CHARS_MAX).collect());
        let (name, selector) = match text.split_once('@') {
            None => (text, Selector::Latest),
            Some((name, version)) if version.starts_with(|c: char| c.is_ascii_digit()) => {
                let number = version.parse().ok().filter(|number: &u32| *number > 0 && number.to_string() == version);
                (name, Selector::Version(number.ok_or_else(refused)?))
            }
            Some((name, alias)) if is_name(alias) => (name, Selector::Alias(alias.to_owned())),
            Some(_) => return Err(refused()),
        };
        if !is_name(name) {
            return Err(refused());
        }
        Ok(ViewReference { name: name.to_owned(), selector })
    }
}

/// What [`FromStr`] reads.
impl fmt::Display for ViewReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match &self.selector {
            Selector::Latest => Ok(()),
            Selector::Version(version) => write!(f, "@{version}"),
            Selector::Alias(alias) => write!(f, "@{alias}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_has_one_spelling() {
        for (text, selector) in [
            ("risk", Selector::Latest),
            ("risk@2", Selector::Version(2)),
            ("risk@4294967295", Selector::Version(u32::MAX)),
            ("risk@champion", Selector::Alias("champion".to_owned())),
            ("risk@v2", Selector::Alias("v2".to_owned())),
        ] {
            let reference = ViewReference { name: "risk".to_owned(), selector };
            assert_eq!(text.parse(), Ok(reference.clone()), "{text}");
            assert_eq!(reference.to_string(), text);
        }
        let long = format!("risk@{}", "a".repeat(200));
        for wrong in [
            "",
            "@",
            "@2",
            "risk@",
            "Risk",
            "risk@X",
            "risk@+2",
            "risk@-1",
            "risk@0",
            "risk@02",
            "risk@2x",
            "risk@1@2",
            "risk@4294967296",
            "risk 2",
            &long,
        ] {
            assert!(wrong.parse::<ViewReference>().is_err(), "{wrong}");
        }
    }
}
