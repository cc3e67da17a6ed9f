//! The languages that a new transform may be written in.

use super::{Template, c, go, javascript, python, rust};

/// A language with a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Rust, with cargo.
    Rust,
    /// Python, with componentize-py.
    Python,
    /// JavaScript, with componentize-qjs.
    JavaScript,
    /// TypeScript, with componentize-qjs.
    TypeScript,
    /// C, with zig.
    C,
    /// Go, with its own toolchain.
    Go,
}

impl Language {
    /// Every language, in the order in which they are offered.
    pub const ALL: [Language; 6] =
        [Language::Rust, Language::Python, Language::JavaScript, Language::TypeScript, Language::C, Language::Go];

    /// As it is written on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Language::Rust => "rust",
            Language::Python => "python",
            Language::JavaScript => "javascript",
            Language::TypeScript => "typescript",
            Language::C => "c",
            Language::Go => "go",
        }
    }

    /// The language of this name.
    pub fn named(name: &str) -> Option<Language> {
        Language::ALL.into_iter().find(|language| language.name() == name)
    }

    /// Whether its SDK has functions of aggregates.
    pub fn has_aggregates(self) -> bool {
        matches!(self, Language::Rust | Language::Python)
    }

    pub(super) fn template(self) -> &'static Template {
        match self {
            Language::Rust => &rust::TEMPLATE,
            Language::Python => &python::TEMPLATE,
            Language::JavaScript | Language::TypeScript => &javascript::TEMPLATE,
            Language::C => &c::TEMPLATE,
            Language::Go => &go::TEMPLATE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_found_by_its_name() {
        for language in Language::ALL {
            assert_eq!(Language::named(language.name()), Some(language));
        }
        assert_eq!(Language::named("Rust"), None);
    }
}
