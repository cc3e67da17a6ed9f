//! Mistakes in definition files, each with its place, the line it stands in and what to do about it.

use std::fmt;
use std::ops::Range;

/// Longest piece of a source line that is shown, in characters; the rest is cut and marked.
const SHOWN_LINE_CHARS_MAX: usize = 160;

/// Characters that are kept before the underlined text when a long line is cut.
const SHOWN_LEAD_CHARS: usize = 40;

/// One mistake in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file, as it was named to the parser.
    pub file: String,
    /// Line of the first character, from 1.
    pub line: usize,
    /// Column of the first character, from 1, in characters.
    pub column: usize,
    /// What is underlined, in bytes of the file.
    pub span: Range<usize>,
    /// What is wrong, naming the thing.
    pub message: String,
    /// The whole line at `line`, without its line end.
    pub source_line: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// A mistake at `span` (bytes) of the file with this text. Spans outside the text are moved to its end.
    pub(super) fn new(file: &str, text: &str, span: Range<usize>, message: String, hint: Option<String>) -> Self {
        let start = floor_boundary(text, span.start);
        let end = floor_boundary(text, span.end).max(start);
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
        Diagnostic {
            file: file.to_owned(),
            line: text[..start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            span: start..end,
            message,
            source_line: text[line_start..line_end].trim_end_matches('\r').to_owned(),
            hint,
        }
    }

    /// Characters of the span that are on the first line, at least 1.
    fn underlined_chars(&self) -> usize {
        let lead = self.source_line.chars().take(self.column - 1).map(char::len_utf8).sum::<usize>();
        let span_end = lead + self.span.len();
        self.source_line[lead..].char_indices().take_while(|(offset, _)| lead + offset < span_end).count().max(1)
    }
}

/// The greatest character boundary of `text` that is at most `index`.
fn floor_boundary(text: &str, index: usize) -> usize {
    (0..=index.min(text.len())).rev().find(|&index| text.is_char_boundary(index)).unwrap_or(0)
}

/// A control character in a file (in a key, a value, a line) must not reach a terminal.
fn clean(c: char) -> char {
    if c.is_control() && c != '\t' { char::REPLACEMENT_CHARACTER } else { c }
}

fn cleaned(text: &str) -> String {
    text.chars().map(clean).collect()
}

/// In the style of rustc, without a line end at the end.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gutter = " ".repeat(self.line.to_string().len());
        let (shown, column, underlined) = self.shown();
        // Tabs stay tabs above the underline, so that both lines have the same width in every terminal.
        let lead: String = shown.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        writeln!(f, "error: {}", cleaned(&self.message))?;
        writeln!(f, "{gutter}--> {}:{}:{}", self.file, self.line, self.column)?;
        writeln!(f, "{gutter} |")?;
        writeln!(f, "{}", format!("{} | {shown}", self.line).trim_end())?;
        write!(f, "{gutter} | {lead}{}", "^".repeat(underlined))?;
        match &self.hint {
            Some(hint) => write!(f, "\n{gutter} = hint: {}", cleaned(hint)),
            None => Ok(()),
        }
    }
}

impl Diagnostic {
    /// The line as shown (long lines cut, control characters replaced), and the column and width of the underline in it.
    fn shown(&self) -> (String, usize, usize) {
        let underlined = self.underlined_chars();
        let length = self.source_line.chars().count();
        if length <= SHOWN_LINE_CHARS_MAX {
            return (cleaned(&self.source_line), self.column, underlined);
        }
        let skipped = (self.column - 1).saturating_sub(SHOWN_LEAD_CHARS);
        let kept = self.source_line.chars().skip(skipped).take(SHOWN_LINE_CHARS_MAX).map(clean);
        let before = if skipped > 0 { "..." } else { "" };
        let after = if skipped + SHOWN_LINE_CHARS_MAX < length { "..." } else { "" };
        let column = self.column - skipped + before.len();
        let shown: String = before.chars().chain(kept).chain(after.chars()).collect();
        let underlined = underlined.min((shown.chars().count() + 1).saturating_sub(column));
        (shown, column, underlined.max(1))
    }
}

/// Mistakes that are reported at once; what is beyond is counted. A long array of wrong items must not bury the rest.
pub const DIAGNOSTICS_MAX: usize = 500;

/// All mistakes of all files, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics {
    /// File by file in the order given, from top to bottom; at most [`DIAGNOSTICS_MAX`].
    pub found: Vec<Diagnostic>,
    /// How many more there are.
    pub omitted: usize,
}

impl Diagnostics {
    /// These, in this order; None if there are none. Those beyond [`DIAGNOSTICS_MAX`] are counted.
    pub(super) fn of(mut found: Vec<Diagnostic>) -> Option<Self> {
        let omitted = found.len().saturating_sub(DIAGNOSTICS_MAX);
        found.truncate(DIAGNOSTICS_MAX);
        (!found.is_empty()).then_some(Diagnostics { found, omitted })
    }
}

/// All of them, with an empty line between two, without a line end at the end.
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.found.iter().enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            diagnostic.fmt(f)?;
        }
        match self.omitted {
            0 => Ok(()),
            omitted => write!(f, "\n\nerror: {omitted} more, not shown"),
        }
    }
}

impl std::error::Error for Diagnostics {}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, span: Range<usize>) -> Diagnostic {
        Diagnostic::new("f.toml", text, span, "m".to_owned(), None)
    }

    #[test]
    fn places_count_characters_and_survive_every_line_end() {
        let text = "a = 1\r\n# é é\tb = 2\r\nlast";
        let tab = text.find('\t').unwrap();
        let found = at(text, tab + 1..tab + 2);
        assert_eq!((found.line, found.column, found.source_line.as_str()), (2, 7, "# é é\tb = 2"));
        assert!(found.to_string().ends_with("2 | # é é\tb = 2\n  |      \t^"), "{found}");

        let end = at(text, text.len() + 5..text.len() + 9);
        assert_eq!((end.line, end.column, end.source_line.as_str()), (3, 5, "last"));
        let empty = at("", 0..0);
        assert_eq!((empty.line, empty.column), (1, 1));
        assert!(empty.to_string().ends_with("\n1 |\n  | ^"), "{empty}");
        let inside_a_character = at("é = 1", 1..2);
        assert_eq!((inside_a_character.column, inside_a_character.span), (1, 0..2));
    }

    #[test]
    fn an_underline_ends_with_its_line() {
        let text = "a = [\n  1,\n]";
        assert!(at(text, 4..text.len()).to_string().ends_with("1 | a = [\n  |     ^"));
    }

    #[test]
    fn long_lines_are_cut_around_the_underline() {
        let text = format!("words = [{}wrong{}]", "\"x\", ".repeat(100), ", \"y\"".repeat(100));
        let start = text.find("wrong").unwrap();
        let shown = at(&text, start..start + 5).to_string();
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines[3].starts_with("1 | ...") && lines[3].ends_with("..."), "{shown}");
        let column = lines[4].find('^').unwrap();
        assert_eq!(&lines[3][column..column + 5], "wrong");
        assert_eq!(lines[4].matches('^').count(), 5);
    }

    #[test]
    fn control_characters_are_not_repeated_to_a_terminal() {
        let text = "a = \"\u{1b}[31m\"";
        let [message, hint] = ["key \u{1b}[31m", "did you mean \u{1b}[31m"].map(str::to_owned);
        let shown = Diagnostic::new("f.toml", text, 4..5, message, Some(hint)).to_string();
        assert!(!shown.contains('\u{1b}') && shown.matches('\u{fffd}').count() == 3, "{shown}");
    }
}
