//! What features are, by loops over all events.

use super::*;

/// What a feature is, by a loop over the events that lie in its window.
pub(super) fn naive(function: Function, column: Option<usize>, inside: &[&Event], at: i64) -> Naive {
    let floats: Vec<f64> = inside
        .iter()
        .filter_map(|event| match column {
            Some(0) => event.amount,
            Some(1) => event.flag.map(|flag| f64::from(u8::from(flag))),
            Some(2) => event.number.map(|number| number as f64),
            _ => None,
        })
        .collect();
    let mut words: Vec<&str> = inside.iter().filter_map(|event| event.word).collect();
    let mut by_time: Vec<&&Event> = inside.iter().collect();
    by_time.sort_by_key(|event| (event.time, event.created, event.sequence));
    let last_numbers: Vec<i64> = by_time.iter().filter_map(|event| event.number).collect();
    let last_words: Vec<&str> = by_time.iter().filter_map(|event| event.word).collect();
    let sum = floats.iter().fold(0.0, |sum, value| sum + value);
    let sum = if sum == 0.0 { 0.0 } else { sum };
    let count = floats.len() as f64;
    let float = |value: f64| Naive::Float(value);
    let some = |there: bool, value: Naive| if there { value } else { Naive::Null };
    match (function, column) {
        (Function::Component { .. }, _) => unreachable!("none of these features has a component"),
        (Function::Count, None) => Naive::Int(inside.len() as i64),
        (Function::Count, Some(_)) => Naive::Int(floats.len() as i64),
        (Function::Sum, _) => {
            let nothing = !inside.is_empty() && floats.is_empty();
            some(!nothing, if column == Some(0) { float(sum) } else { Naive::Int(sum as i64) })
        }
        (Function::Mean, _) => some(!floats.is_empty(), float(sum / count)),
        (Function::Share, _) => {
            let fulfils = |event: &&Event| match (event.number.map(|number| number > 2), event.flag) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            };
            let known: Vec<bool> = inside.iter().filter_map(fulfils).collect();
            let share = known.iter().filter(|fulfils| **fulfils).count() as f64 / known.len() as f64;
            some(!known.is_empty(), float(share))
        }
        (Function::Min | Function::Max, Some(3)) => {
            words.sort_unstable();
            words.first().map_or(Naive::Null, |word| Naive::Text((*word).to_owned()))
        }
        (Function::Min | Function::Max, _) => {
            let nan = floats.iter().any(|value| value.is_nan());
            let mut sorted = floats.clone();
            sorted.sort_by(f64::total_cmp);
            let end = if function == Function::Min { sorted.first() } else { sorted.last() };
            end.map_or(Naive::Null, |value| float(if nan { f64::NAN } else { *value }))
        }
        (Function::Variance | Function::StdDev, _) => {
            if floats.len() < 2 {
                return Naive::Null;
            }
            if floats.iter().any(|value| !value.is_finite()) {
                return float(f64::NAN);
            }
            // In quarters all is an integer, so that there is one rounding.
            let quarters: Vec<i128> = floats.iter().map(|value| (value * 4.0) as i128).collect();
            let n = quarters.len() as i128;
            let (sum, squares): (i128, i128) =
                (quarters.iter().sum(), quarters.iter().map(|quarter| quarter * quarter).sum());
            let variance = (n * squares - sum * sum) as f64 / (16 * n * (n - 1)) as f64;
            float(if function == Function::StdDev { variance.sqrt() } else { variance })
        }
        (Function::First, _) => last_numbers.first().map_or(Naive::Null, |number| Naive::Int(*number)),
        (Function::Last, _) => last_words.last().map_or(Naive::Null, |word| Naive::Text((*word).to_owned())),
        (Function::LastN { n }, Some(2)) => {
            let from = last_numbers.len().saturating_sub(n as usize);
            some(!last_numbers.is_empty(), Naive::Ints(last_numbers[from..].to_vec()))
        }
        (Function::LastN { n }, _) => {
            let from = last_words.len().saturating_sub(n as usize);
            some(
                !last_words.is_empty(),
                Naive::Texts(last_words[from..].iter().map(|word| (*word).to_owned()).collect()),
            )
        }
        (Function::DistinctCount { .. }, Some(3)) => {
            words.sort_unstable();
            words.dedup();
            Naive::Int(words.len() as i64)
        }
        // As few distinct numbers as there are, the sketch is right about; that is checked elsewhere too.
        (Function::DistinctCount { .. }, _) => {
            let mut numbers = last_numbers.clone();
            numbers.sort_unstable();
            numbers.dedup();
            Naive::Int(numbers.len() as i64)
        }
        (Function::TopK { k, .. }, Some(3)) => {
            let top = naive_top(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>(), k, usize::MAX);
            top.map_or(Naive::Null, Naive::Texts)
        }
        (Function::TopK { k, counted_max }, _) => {
            naive_top(&last_numbers, k, counted_max as usize).map_or(Naive::Null, Naive::Ints)
        }
        (Function::Quantile { q }, _) => {
            let mut sorted = last_numbers.clone();
            sorted.sort_unstable();
            if sorted.is_empty() {
                return Naive::Null;
            }
            Naive::Near(sorted[(q * (sorted.len() - 1) as f64) as usize] as f64)
        }
        (Function::SecondsSinceLast, _) => {
            let last = inside.iter().map(|event| event.time).max();
            last.map_or(Naive::Null, |last| float((at - last) as f64 / 1e6))
        }
    }
}

fn naive_top<T: Ord + Clone>(values: &[T], k: u32, most: usize) -> Option<Vec<T>> {
    let mut distinct: Vec<T> = values.to_vec();
    distinct.sort();
    distinct.dedup();
    if distinct.is_empty() || distinct.len() > most {
        return None;
    }
    distinct.sort_by_key(|value| std::cmp::Reverse(values.iter().filter(|other| *other == value).count()));
    distinct.truncate(k as usize);
    Some(distinct)
}

#[derive(Debug)]
pub(super) enum Naive {
    Null,
    Int(i64),
    Float(f64),
    Near(f64),
    Text(String),
    Ints(Vec<i64>),
    Texts(Vec<String>),
}

pub(super) fn is(array: &ArrayRef, row: usize, expected: &Naive) -> bool {
    if array.is_null(row) {
        return matches!(expected, Naive::Null);
    }
    let float = || array.as_primitive::<Float64Type>().value(row);
    match expected {
        Naive::Null => false,
        Naive::Int(value) => array.as_primitive_opt::<Int64Type>().is_some_and(|array| array.value(row) == *value),
        Naive::Float(value) => float().to_bits() == value.to_bits() || float().is_nan() && value.is_nan(),
        Naive::Near(value) => (float() - value).abs() <= value.abs() / 128.0,
        Naive::Text(text) => array.as_string::<i32>().value(row) == text,
        Naive::Ints(values) => array.as_list::<i32>().value(row).as_primitive::<Int64Type>().values()[..] == values[..],
        Naive::Texts(values) => {
            let items = array.as_list::<i32>().value(row);
            items.as_string::<i32>().iter().flatten().eq(values.iter().map(String::as_str))
        }
    }
}

/// The start of the day in Vienna, in winter, by hand.
fn vienna_midnight(at: i64) -> i64 {
    (at + HOUR).div_euclid(24 * HOUR) * 24 * HOUR - HOUR
}

/// The events that a window takes in at `at`, by its definition.
pub(super) fn inside(events: &[Event], window: Window, bounds: Bounds, precision: Precision, at: i64) -> Vec<&Event> {
    let happened = |event: &&Event| match bounds {
        Bounds::StartIncluded => event.time < at,
        Bounds::EndIncluded => event.time <= at,
    };
    let counts = |event: &&Event| event.created <= at && event.until.is_none_or(|until| until > at);
    let passes = |event: &&Event| event.word != Some("c");
    let all: Vec<&Event> = events.iter().filter(happened).filter(counts).filter(passes).collect();
    match window {
        Window::Lifetime => all,
        Window::Sliding(length) => {
            let start = at - length.as_micros() as i64;
            let is_inside = |event: &&Event| match (bounds, precision) {
                (Bounds::EndIncluded, _) => event.time > start,
                (_, Precision::Exact) => event.time >= start,
                (_, Precision::Tiled { hop }) => {
                    event.time >= start.div_euclid(hop.as_micros() as i64) * hop.as_micros() as i64
                }
            };
            all.into_iter().filter(is_inside).collect()
        }
        Window::Calendar(_) => all.into_iter().filter(|event| event.time >= vienna_midnight(at)).collect(),
        Window::Session(gap) => {
            let mut times: Vec<i64> = all.iter().map(|event| event.time).collect();
            times.sort_unstable();
            let mut start = at;
            while let Some(before) = times.pop() {
                if start - before > gap.as_micros() as i64 {
                    break;
                }
                start = before;
            }
            all.into_iter().filter(|event| event.time >= start).collect()
        }
    }
}
