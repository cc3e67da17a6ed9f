//! What is simpler than a value: zero, one, half of it, a shorter text.

use super::Cell;

/// Items and characters up to which each is left out in turn; of longer values halves and quarters are.
const ONE_BY_ONE_MAX: usize = 16;

impl Cell {
    /// Values simpler than this one, the simplest first. Each has a smaller [`Cell::weight`], so that taking one after another ends.
    pub fn simpler(&self, nullable: bool) -> Vec<Cell> {
        let mut found: Vec<Cell> = match self {
            Cell::Null => Vec::new(),
            Cell::Boolean(_) => vec![Cell::Boolean(false)],
            Cell::Int64(value) => wholes(*value).map(Cell::Int64).collect(),
            Cell::Timestamp(value) => wholes(*value).map(Cell::Timestamp).collect(),
            Cell::Float64(value) => reals(*value).map(Cell::Float64).collect(),
            Cell::String(text) => texts(text).into_iter().map(Cell::String).collect(),
            Cell::Binary(bytes) => parts(bytes).into_iter().map(Cell::Binary).collect(),
            Cell::Vector(values) => {
                let zeros = [vec![0.0; values.len()]].into_iter();
                zeros
                    .chain(each(values, |value| reals(f64::from(*value)).map(|real| real as f32).collect()))
                    .map(Cell::Vector)
                    .collect()
            }
            Cell::Int64s(items) => {
                let simpler = each(items, |item| wholes(*item).collect());
                parts(items).into_iter().chain(simpler).map(Cell::Int64s).collect()
            }
            Cell::Float64s(items) => {
                let simpler = each(items, |item| reals(*item).collect());
                parts(items).into_iter().chain(simpler).map(Cell::Float64s).collect()
            }
            Cell::Strings(items) => {
                let simpler = each(items, |item| texts(item));
                parts(items).into_iter().chain(simpler).map(Cell::Strings).collect()
            }
        };
        if nullable && !matches!(self, Cell::Null) {
            found.push(Cell::Null);
        }
        let weight = self.weight();
        found.retain(|cell| cell.weight() < weight);
        found
    }

    /// How much a person has to take in. An ordinary zero weighs least, then a null.
    pub fn weight(&self) -> u64 {
        match self {
            Cell::Null => 1,
            Cell::Boolean(value) => u64::from(*value) * 2,
            Cell::Int64(value) | Cell::Timestamp(value) => whole_weight(*value),
            Cell::Float64(value) => real_weight(*value),
            Cell::String(text) => text_weight(text),
            Cell::Binary(bytes) => bytes.iter().map(|byte| 2 + u64::from(*byte > 0)).sum(),
            Cell::Vector(values) => values.iter().map(|value| real_weight(f64::from(*value))).sum(),
            Cell::Int64s(items) => items.iter().map(|item| 2 + whole_weight(*item)).sum(),
            Cell::Float64s(items) => items.iter().map(|item| 2 + real_weight(*item)).sum(),
            Cell::Strings(items) => items.iter().map(|item| 2 + text_weight(item)).sum(),
        }
    }
}

fn whole_weight(value: i64) -> u64 {
    if value == 0 { 0 } else { 1 + value.to_string().len() as u64 }
}

/// Shorter decimals weigh less; what is not finite weighs as much as two digits, and -0.0 a little more than zero.
fn real_weight(value: f64) -> u64 {
    match value {
        _ if value.to_bits() == 0 => 0,
        _ if value == 0.0 => 1,
        _ if !value.is_finite() => 3,
        _ => 1 + format!("{value:?}").trim_end_matches(".0").len() as u64,
    }
}

fn text_weight(text: &str) -> u64 {
    text.chars()
        .map(|c| {
            if c == 'a' {
                2
            } else if c.is_ascii_alphanumeric() {
                3
            } else {
                4
            }
        })
        .sum()
}

fn wholes(value: i64) -> impl Iterator<Item = i64> {
    let round = |unit: i64| value / unit * unit;
    [
        0,
        1,
        -1,
        2,
        value.saturating_neg(),
        value / 1_000_000,
        value / 1_000,
        value / 10,
        value / 2,
        round(1_000),
        round(10),
    ]
    .into_iter()
}

fn reals(value: f64) -> impl Iterator<Item = f64> {
    let round = |digits: f64| (value * digits).round() / digits;
    [
        0.0,
        1.0,
        -1.0,
        2.0,
        f64::NAN,
        -value,
        value.trunc(),
        round(10.0),
        round(1_000.0),
        (value / 10.0).trunc(),
        value / 2.0,
    ]
    .into_iter()
}

fn texts(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    let plain = characters.iter().map(|_| 'a').collect::<Vec<_>>();
    let single = each(&characters, |c| vec!['a', if c.is_ascii_digit() { '0' } else { 'a' }]);
    let found = parts(&characters).into_iter().chain([plain]).chain(single);
    found.map(|characters| characters.into_iter().collect()).collect()
}

/// Nothing, halves, quarters; without each of few.
fn parts<T: Clone>(items: &[T]) -> Vec<Vec<T>> {
    let length = items.len();
    let mut found = vec![Vec::new()];
    for pieces in [2, 4] {
        if length >= pieces {
            let cut = |piece: usize| (piece * length / pieces, (piece + 1) * length / pieces);
            found.extend((0..pieces).map(cut).map(|(from, to)| items[from..to].to_vec()));
            found.extend((0..pieces).map(cut).map(|(from, to)| [&items[..from], &items[to..]].concat()));
        }
    }
    if length <= ONE_BY_ONE_MAX {
        found.extend((0..length).map(|index| [&items[..index], &items[index + 1..]].concat()));
    }
    found
}

/// The items with one of them simpler, for few items.
fn each<T: Clone>(items: &[T], simpler: impl Fn(&T) -> Vec<T>) -> Vec<Vec<T>> {
    if items.len() > ONE_BY_ONE_MAX {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (index, item) in items.iter().enumerate() {
        for simple in simpler(item) {
            let mut changed = items.to_vec();
            changed[index] = simple;
            found.push(changed);
        }
    }
    found
}
