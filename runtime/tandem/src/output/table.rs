//! Tables that fit the terminal: values are cut where they must be, names never are.

use std::fmt::Write;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Columns of text where nothing says how wide the terminal is.
const WIDTH_DEFAULT: usize = 120;

/// A value is not cut to less than this.
const VALUE_WIDTH_MIN: usize = 6;

/// Between columns.
const GAP: &str = "  ";

/// A column of a table.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its name, shown whole.
    pub name: String,
    /// Whether values stand at the right edge, as numbers do.
    pub right: bool,
}

/// Rows under named columns, in two groups with a line between them.
#[derive(Debug, Clone)]
pub struct Table {
    /// The columns; the first one numbers the rows.
    pub columns: Vec<Column>,
    /// The column before which the second group begins.
    pub split: usize,
    /// A value for each column.
    pub rows: Vec<Vec<String>>,
}

/// Columns of text that a person sees: `COLUMNS`, else the terminal's, else 120.
pub fn width() -> usize {
    let said = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).filter(|columns| *columns > 0);
    said.or_else(|| terminal_size::terminal_size().map(|(width, _)| width.0.into())).unwrap_or(WIDTH_DEFAULT)
}

/// Text without characters that would move the cursor or the terminal's colours.
pub fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            let _ = write!(plain, "\\u{:04x}", u32::from(c));
        } else {
            plain.push(c);
        }
    }
    plain
}

impl Table {
    /// The table in lines of at most `width` columns; if the names alone are wider, a block of lines for each row.
    pub fn render(&self, width: usize) -> String {
        match self.widths(width) {
            Some(widths) => self.grid(&widths),
            None => self.blocks(width),
        }
    }

    fn widths(&self, width: usize) -> Option<Vec<usize>> {
        let natural = |column: usize| self.rows.iter().map(|row| row[column].width()).max().unwrap_or(0);
        let mut widths = Vec::new();
        let mut floors = Vec::new();
        for (index, column) in self.columns.iter().enumerate() {
            let values = natural(index);
            floors.push(column.name.width().max(values.min(VALUE_WIDTH_MIN)));
            widths.push(column.name.width().max(values));
        }
        // The line between the groups is a column of its own.
        let gaps = GAP.len() * self.columns.len() + 1;
        // The widest gives way first, so that short values stay whole.
        while widths.iter().sum::<usize>() + gaps > width {
            let widest =
                (0..widths.len()).filter(|index| widths[*index] > floors[*index]).max_by_key(|index| widths[*index])?;
            widths[widest] -= 1;
        }
        Some(widths)
    }

    fn grid(&self, widths: &[usize]) -> String {
        let mut text = String::new();
        let names: Vec<String> = self.columns.iter().map(|column| column.name.clone()).collect();
        for row in std::iter::once(&names).chain(&self.rows) {
            let mut line = String::new();
            for (index, value) in row.iter().enumerate() {
                if index == self.split {
                    line.push('|');
                    line.push_str(GAP);
                }
                line.push_str(&padded(&cut(value, widths[index]), widths[index], self.columns[index].right));
                line.push_str(GAP);
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    fn blocks(&self, width: usize) -> String {
        let names = self.columns.iter().map(|column| column.name.width()).max().unwrap_or(0);
        let values = width.saturating_sub(GAP.len() * 2 + names).max(VALUE_WIDTH_MIN);
        let mut text = String::new();
        for row in &self.rows {
            let _ = writeln!(text, "{} {}", self.columns[0].name, row[0]);
            for (index, (column, value)) in self.columns.iter().zip(row).enumerate().skip(1) {
                if index == self.split {
                    let _ = writeln!(text, "{GAP}{}", "-".repeat(names));
                }
                let line = format!("{GAP}{}{GAP}{}", padded(&column.name, names, false), cut(value, values));
                text.push_str(line.trim_end());
                text.push('\n');
            }
        }
        text
    }
}

/// `text` in at most `width` columns; what is cut ends in `…`.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut shown = String::new();
    let mut used = 0;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used + 1 > width {
            break;
        }
        shown.push(c);
    }
    shown.push('…');
    shown
}

fn padded(text: &str, width: usize, right: bool) -> String {
    let space = " ".repeat(width.saturating_sub(text.width()));
    if right { space + text } else { text.to_owned() + &space }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let column = |name: &str, right| Column { name: name.to_owned(), right };
        let row = |values: [&str; 4]| values.map(str::to_owned).into();
        Table {
            columns: vec![
                column("row", true),
                column("amount", true),
                column("merchant", false),
                column("length", true),
            ],
            split: 3,
            rows: vec![row(["0", "12.5", "\"Bäckerei Müller\"", "15"]), row(["1", "749.9", "\"寿司 さくら\"", "6"])],
        }
    }

    #[test]
    fn a_table_that_fits_is_shown_whole() {
        let expected = "row  amount  merchant           |  length\n  \
                          0    12.5  \"Bäckerei Müller\"  |      15\n  \
                          1   749.9  \"寿司 さくら\"      |       6\n";
        assert_eq!(table().render(80), expected);
        assert_eq!(table().render(42), expected);
    }

    #[test]
    fn values_are_cut_and_names_are_not() {
        let expected = "row  amount  merchant     |  length\n  \
                          0    12.5  \"Bäckerei …  |      15\n  \
                          1   749.9  \"寿司 さく…  |       6\n";
        assert_eq!(table().render(35), expected);
        assert!(table().render(35).lines().all(|line| line.width() <= 35));
    }

    #[test]
    fn names_that_do_not_fit_side_by_side_stand_below_each_other() {
        let expected = "row 0\n  amount    12.5\n  merchant  \"Bäckerei…\n  --------\n  length    15\n\
                        row 1\n  amount    749.9\n  merchant  \"寿司 さ…\n  --------\n  length    6\n";
        assert_eq!(table().render(22), expected);
    }

    #[test]
    fn nothing_moves_the_cursor() {
        assert_eq!(plain("a\x1b[31m\n\u{9b}é"), "a\\u001b[31m\\u000a\\u009bé");
    }
}
