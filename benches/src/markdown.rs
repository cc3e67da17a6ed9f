//! Tables.

/// A table of Markdown: the first column is text, the others are numbers.
pub(crate) struct Table {
    lines: Vec<String>,
}

impl Table {
    pub(crate) fn new(heads: &[&str]) -> Table {
        let rule: Vec<&str> = (0..heads.len()).map(|at| if at == 0 { "---" } else { "---:" }).collect();
        Table { lines: vec![line(heads), line(&rule)] }
    }

    pub(crate) fn row<T: AsRef<str>>(&mut self, cells: &[T]) {
        self.lines.push(line(cells));
    }

    pub(crate) fn render(&self) -> String {
        self.lines.join("\n") + "\n"
    }
}

fn line<T: AsRef<str>>(cells: &[T]) -> String {
    let cells: Vec<&str> = cells.iter().map(AsRef::as_ref).collect();
    format!("| {} |", cells.join(" | "))
}

/// A number with three significant digits.
pub(crate) fn number(value: f64) -> String {
    let digits = if value == 0.0 { 0 } else { value.abs().log10().floor() as i32 };
    let decimals = usize::try_from(2 - digits).unwrap_or(0);
    format!("{value:.decimals$}")
}

/// A count with separated thousands.
pub(crate) fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
