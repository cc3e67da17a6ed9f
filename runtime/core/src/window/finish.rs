//! How features are finished from states: the value at an instant.

use super::exact::Exact;
use super::state::{Inner, State, Sum};
use super::value::{Kept, Value};
use crate::canonical::ColumnBuilder;
use crate::time::{MICROS_PER_SECOND, Timestamp};
use crate::types::DataType;

/// How a feature is finished; positions are those in `WindowPlan::parts`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Finish {
    Count(usize),
    Sum {
        events: usize,
        count: usize,
        sum: usize,
    },
    Mean {
        count: usize,
        sum: usize,
    },
    Share {
        known: usize,
        fulfil: usize,
    },
    Variance {
        count: usize,
        sum: usize,
        squares: usize,
        root: bool,
    },
    Extreme(usize),
    First(usize),
    /// The last one of them.
    Last(usize),
    LastN(usize),
    Distinct(usize),
    Top {
        part: usize,
        k: u32,
        column: usize,
    },
    Quantile {
        part: usize,
        q: f64,
    },
    SinceLast(usize),
    Component {
        part: usize,
        function: usize,
    },
}

/// What a state of a count counts.
fn count(states: &[State], part: usize) -> u64 {
    match &states[part].0 {
        Inner::Count(count) => *count,
        _ => 0,
    }
}

fn sum(states: &[State], part: usize) -> Option<&Sum> {
    match &states[part].0 {
        Inner::Sum(sum) => Some(sum),
        _ => None,
    }
}

impl Finish {
    /// Appends the value at `at` of a window's states; `types` are those of the columns.
    pub(super) fn apply(
        self,
        states: &[State],
        at: Timestamp,
        types: &[DataType],
        out: &mut ColumnBuilder,
    ) -> Result<(), crate::canonical::OffsetOverflow> {
        let float = |out: &mut ColumnBuilder, value: Option<f64>| match value {
            Some(value) => out.float64(value),
            None => out.null(),
        };
        match self {
            Finish::Count(part) => out.int64(count(states, part) as i64),
            Finish::Distinct(part) => match &states[part].0 {
                Inner::Distinct(distinct) => out.int64(distinct.count()),
                _ => out.null(),
            },
            Finish::Sum { events, count: values, sum: part } => {
                let nothing = count(states, events) > 0 && count(states, values) == 0;
                let Some(sum) = sum(states, part).filter(|_| !nothing) else {
                    out.null();
                    return Ok(());
                };
                if out.data_type() == DataType::Float64 {
                    out.float64(sum.special().unwrap_or_else(|| sum.finite.to_f64()));
                } else {
                    match sum.finite.to_i64() {
                        Some(value) => out.int64(value),
                        None => out.null(),
                    }
                }
            }
            Finish::Mean { count: values, sum: part } => {
                let values = count(states, values);
                let sum = sum(states, part).filter(|_| values > 0);
                float(out, sum.map(|sum| sum.special().unwrap_or_else(|| sum.finite.mean(values))));
            }
            Finish::Share { known, fulfil } => {
                let known = count(states, known);
                let share = (known > 0).then(|| {
                    let mut fulfilling = Exact::ZERO;
                    fulfilling.add_scaled(i128::from(count(states, fulfil)), 0);
                    fulfilling.mean(known)
                });
                float(out, share);
            }
            Finish::Variance { count: values, sum: part, squares, root } => {
                let values = count(states, values);
                let sums = sum(states, part).zip(sum(states, squares)).filter(|_| values > 1);
                let variance = sums.map(|(sum, squares)| match sum.special() {
                    Some(_) => f64::NAN,
                    None => Exact::variance(&sum.finite, &squares.finite, values, values - 1),
                });
                float(out, variance.map(|variance| if root { variance.sqrt() } else { variance }));
            }
            Finish::Extreme(part) => match &states[part].0 {
                Inner::Extreme(Some(kept)) => one(kept, out)?,
                _ => out.null(),
            },
            Finish::First(part) => match &states[part].0 {
                Inner::First(Some(first)) => one(first.value(), out)?,
                _ => out.null(),
            },
            Finish::Last(part) => match &states[part].0 {
                Inner::Last(last) if !last.is_empty() => one(last[last.len() - 1].value(), out)?,
                _ => out.null(),
            },
            Finish::LastN(part) => match &states[part].0 {
                Inner::Last(last) if !last.is_empty() => many(last.iter().map(|placed| placed.value().value()), out)?,
                _ => out.null(),
            },
            Finish::Top { part, k, column } => match &states[part].0 {
                Inner::Frequencies(Some(counts)) if !counts.is_empty() => {
                    let value = |bytes| Value::decode(types[column], bytes);
                    let mut all: Vec<(Value<'_>, u64)> =
                        counts.iter().filter_map(|(bytes, count)| Some((value(bytes)?, *count))).collect();
                    all.sort_by(|(a, a_count), (b, b_count)| b_count.cmp(a_count).then_with(|| a.order(b)));
                    many(all.into_iter().take(k as usize).map(|(value, _)| value), out)?;
                }
                _ => out.null(),
            },
            Finish::Quantile { part, q } => float(
                out,
                match &states[part].0 {
                    Inner::Sketch(sketch) => sketch.quantile(q),
                    _ => None,
                },
            ),
            Finish::SinceLast(part) => float(
                out,
                match &states[part].0 {
                    // A difference of two times has 65 bits, so it is divided as it is rounded.
                    Inner::LastTime(Some(last)) => {
                        let mut micros = Exact::ZERO;
                        micros.add_integer(at.0);
                        micros.add_scaled(-i128::from(last.0), 0);
                        Some(micros.mean(MICROS_PER_SECOND as u64))
                    }
                    _ => None,
                },
            ),
            // The plan has the component.
            Finish::Component { .. } => out.null(),
        }
        Ok(())
    }
}

fn one(kept: &Kept, out: &mut ColumnBuilder) -> Result<(), crate::canonical::OffsetOverflow> {
    match kept {
        Kept::Boolean(value) => out.boolean(*value),
        Kept::Int64(value) | Kept::Timestamp(value) => out.int64(*value),
        Kept::Float64(value) => out.float64(*value),
        Kept::Bytes(value) => out.bytes(value)?,
    }
    Ok(())
}

fn many<'a>(
    values: impl Iterator<Item = Value<'a>>,
    out: &mut ColumnBuilder,
) -> Result<(), crate::canonical::OffsetOverflow> {
    use crate::types::ItemType;
    match out.data_type() {
        DataType::Sequence(ItemType::Float64) => out.float64s(values.map(|value| match value {
            Value::Float64(value) => value,
            _ => f64::NAN,
        })),
        DataType::Sequence(ItemType::String) => out.strings(values.map(|value| match value {
            // Values of a string column.
            Value::Bytes(bytes) => std::str::from_utf8(bytes).unwrap_or_default(),
            _ => "",
        })),
        _ => out.int64s(values.map(|value| match value {
            Value::Int64(value) | Value::Timestamp(value) => value,
            _ => 0,
        })),
    }
}
