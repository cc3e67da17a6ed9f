//! Colours. Nothing is said by colour alone.

/// What a text is, for its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// Something that comes, or is as it should be.
    Good,
    /// Something to look at.
    Caution,
    /// Something that goes, or must not be.
    Bad,
    /// A heading.
    Strong,
    /// What may be skipped.
    Faint,
}

/// A way to colour texts, or to leave them alone.
#[derive(Debug, Clone, Copy)]
pub struct Paints {
    on: bool,
}

impl Paints {
    pub(super) fn new(on: bool) -> Paints {
        Paints { on }
    }

    /// The text in its colour. Its width is that of the text.
    pub fn paint(self, paint: Paint, text: &str) -> String {
        // SGR codes of ECMA-48.
        let code = match paint {
            Paint::Good => "32",
            Paint::Caution => "33",
            Paint::Bad => "31",
            Paint::Strong => "1",
            Paint::Faint => "2",
        };
        if self.on && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_coloured_where_colours_are_wanted() {
        assert_eq!(Paints::new(false).paint(Paint::Bad, "x"), "x");
        assert_eq!(Paints::new(true).paint(Paint::Bad, "x"), "\x1b[31mx\x1b[0m");
        assert_eq!(Paints::new(true).paint(Paint::Bad, ""), "");
    }
}
