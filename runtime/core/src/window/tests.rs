//! The kernel against loops over all events, which a reader can check by eye.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::canonical::encode_row;
use crate::model::CodeError;
use crate::time::{CalendarUnit, Duration, Timestamp, Zone};
use crate::types::{DataType, Field};

const HOUR: i64 = 3_600_000_000;

/// An event of the one entity: amount (in quarters, so that float sums are exact in the oracle; NaN and infinities beside), number, word, flag.
#[derive(Debug, Clone, PartialEq)]
struct Event {
    time: i64,
    created: i64,
    sequence: i64,
    amount: Option<f64>,
    number: Option<i64>,
    word: Option<&'static str>,
    flag: Option<bool>,
    until: Option<i64>,
}

fn events(most: usize) -> impl Strategy<Value = Vec<Event>> {
    let amount = prop_oneof![
        20 => (-400..400_i64).prop_map(|quarters| quarters as f64 / 4.0),
        1 => Just(-0.0),
        1 => prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(f64::NEG_INFINITY)],
    ];
    let late = prop_oneof![6 => Just(0_i64), 2 => 0..3 * HOUR, 1 => 0..60 * HOUR];
    let event = (
        (0..80_i64, 0..4_i64).prop_map(|(hours, parts)| hours * HOUR + parts * HOUR / 4),
        late,
        proptest::option::weighted(0.9, amount),
        proptest::option::weighted(0.9, -5..6_i64),
        proptest::option::weighted(0.9, prop_oneof![Just("a"), Just("b"), Just("c"), Just("dd")]),
        proptest::option::weighted(0.9, any::<bool>()),
        proptest::option::weighted(0.1, 0..40 * HOUR),
    );
    proptest::collection::vec(event, 0..most).prop_map(|rows| {
        let event =
            |(sequence, (time, late, amount, number, word, flag, until)): (usize, (_, _, _, _, _, _, Option<i64>))| {
                Event {
                    time,
                    created: time + late,
                    sequence: sequence as i64,
                    amount,
                    number,
                    word,
                    flag,
                    until: until.map(|after| time + late + after),
                }
            };
        rows.into_iter().enumerate().map(event).collect()
    })
}

fn columns() -> Vec<EventColumn> {
    let types = [
        ("amount", DataType::Float64),
        ("flag", DataType::Boolean),
        ("number", DataType::Int64),
        ("word", DataType::String),
    ];
    types.map(|(name, data_type)| EventColumn { name: name.to_owned(), column: name.to_owned(), data_type }).into()
}

fn all_functions() -> Vec<(Function, Option<usize>)> {
    let (amount, flag, number, word) = (Some(0), Some(1), Some(2), Some(3));
    vec![
        (Function::Count, None),
        (Function::Count, amount),
        (Function::Sum, amount),
        (Function::Sum, number),
        (Function::Sum, flag),
        (Function::Mean, amount),
        (Function::Mean, flag),
        (Function::Min, amount),
        (Function::Max, amount),
        (Function::Min, word),
        (Function::Variance, number),
        (Function::StdDev, amount),
        (Function::First, number),
        (Function::Last, word),
        (Function::LastN { n: 3 }, number),
        (Function::LastN { n: 2 }, word),
        (Function::DistinctCount { exact_max: 8 }, word),
        (Function::DistinctCount { exact_max: 2 }, number),
        (Function::TopK { k: 2, counted_max: 16 }, word),
        (Function::TopK { k: 3, counted_max: 4 }, number),
        (Function::Quantile { q: 0.9 }, number),
        (Function::SecondsSinceLast, None),
    ]
}

fn windows() -> Vec<Window> {
    let hours = |hours: i64| Duration::from_micros((hours * HOUR) as u64);
    vec![
        Window::Sliding(hours(2)),
        Window::Sliding(hours(24)),
        Window::Lifetime,
        Window::Calendar(CalendarUnit::Day),
        Window::Session(hours(1)),
    ]
}

fn aggregates(bounds: Bounds, precision: Precision) -> Aggregates {
    let columns = columns();
    let filter = |text: &str| Some(Filter::parse(text, &columns).unwrap());
    let mut features = Vec::new();
    for window in windows() {
        for (function, column) in all_functions() {
            let name =
                AggregateFeature::generated_name(column.map(|column| columns[column].name.as_str()), function, window);
            features.push(AggregateFeature {
                name,
                function,
                column,
                filter: None,
                of: None,
                window,
                description: String::new(),
            });
        }
        let name = format!("flagged_{window}");
        features.push(AggregateFeature {
            name,
            function: Function::Sum,
            column: Some(2),
            filter: filter("flag and number != 3"),
            of: None,
            window,
            description: String::new(),
        });
        features.push(AggregateFeature {
            name: format!("share_{window}"),
            function: Function::Share,
            column: None,
            filter: None,
            of: filter("number > 2 or flag"),
            window,
            description: String::new(),
        });
    }
    Aggregates {
        functions: Vec::new(),
        filter: filter("word != 'c' or word is null"),
        columns,
        bounds,
        precision,
        lateness: None,
        zone: Zone::parse("Europe/Vienna").unwrap(),
        retention: None,
        every: None,
        features,
    }
}

fn looked_at(plan: &Plan, events: &[Event]) -> Events {
    let times = |times: Vec<i64>| TimestampMicrosecondArray::from(times).with_timezone("UTC");
    let arrays: [ArrayRef; 4] = [
        Arc::new(events.iter().map(|event| event.amount).collect::<Float64Array>()),
        Arc::new(events.iter().map(|event| event.flag).collect::<BooleanArray>()),
        Arc::new(events.iter().map(|event| event.number).collect::<Int64Array>()),
        Arc::new(events.iter().map(|event| event.word).collect::<StringArray>()),
    ];
    plan.events(
        &arrays,
        times(events.iter().map(|event| event.time).collect()),
        times(events.iter().map(|event| event.created).collect()),
        events.iter().map(|event| event.sequence).collect::<Int64Array>(),
    )
    .unwrap()
}

/// What a feature is, by a loop over the events that lie in its window.
fn naive(function: Function, column: Option<usize>, inside: &[&Event], at: i64) -> Naive {
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
enum Naive {
    Null,
    Int(i64),
    Float(f64),
    Near(f64),
    Text(String),
    Ints(Vec<i64>),
    Texts(Vec<String>),
}

fn is(array: &ArrayRef, row: usize, expected: &Naive) -> bool {
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
fn inside(events: &[Event], window: Window, bounds: Bounds, precision: Precision, at: i64) -> Vec<&Event> {
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

fn precisions() -> impl Strategy<Value = (Bounds, Precision)> {
    prop_oneof![
        Just((Bounds::StartIncluded, Precision::Exact)),
        Just((Bounds::EndIncluded, Precision::Exact)),
        Just((Bounds::StartIncluded, Precision::Tiled { hop: Duration::from_micros(2 * HOUR as u64) })),
    ]
}

fn happened_from(bounds: Bounds, time: i64) -> i64 {
    if bounds == Bounds::StartIncluded { time + 1 } else { time }
}

fn counted(events: &[Event], bounds: Bounds) -> Vec<Counted> {
    let counted = |(row, event): (usize, &Event)| Counted {
        row,
        from: Timestamp(happened_from(bounds, event.time).max(event.created)),
        until: event.until.map(Timestamp),
    };
    events.iter().enumerate().map(counted).collect()
}

fn row_bytes(arrays: &[ArrayRef], row: usize) -> Vec<u8> {
    let mut out = Vec::new();
    encode_row(arrays, row, &mut out);
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_sweep_gives_what_loops_give(
        events in events(60),
        (bounds, precision) in precisions(),
        mut instants in proptest::collection::vec((0..90_i64, 0..5_i64), 1..40),
        shuffled in any::<u64>(),
    ) {
        instants.sort_unstable();
        let instants: Vec<Timestamp> =
            instants.into_iter().map(|(hours, parts)| Timestamp(hours * HOUR + parts * HOUR / 4)).collect();
        let aggregates = aggregates(bounds, precision);
        let plan = Plan::new(&aggregates);
        let looked_at = looked_at(&plan, &events);
        let mut counted = counted(&events, bounds);
        let by = (shuffled % (counted.len() as u64 + 1)) as usize;
        counted.rotate_left(by);
        let mut sweep = Sweep::new(&plan, &looked_at, instants.len());
        sweep.entity(counted, &instants).unwrap();
        let arrays = sweep.finish();
        for (feature, array) in aggregates.features.iter().zip(&arrays) {
            prop_assert_eq!(array.len(), instants.len());
            for (row, at) in instants.iter().enumerate() {
                let mut inside = inside(&events, feature.window, bounds, precision, at.0);
                if feature.filter.is_some() {
                    inside.retain(|event| event.flag == Some(true) && event.number.is_some_and(|number| number != 3));
                }
                let expected = naive(feature.function, feature.column, &inside, at.0);
                let of = RecordBatch::try_from_iter([("found", array.slice(row, 1))]).unwrap();
                prop_assert!(is(array, row, &expected), "{} at {}: {:?} for {:?} of {:?}", feature.name, at, of, expected, inside);
            }
        }
    }

    #[test]
    fn order_and_tiles_change_no_bit(
        (events, arrived) in events(80).prop_flat_map(|events| (Just(events.clone()), Just(events).prop_shuffle())),
        cuts in proptest::collection::vec(any::<Index>(), 0..6),
        merged in any::<Index>(),
    ) {
        let aggregates = aggregates(Bounds::StartIncluded, Precision::Exact);
        let plan = Plan::new(&aggregates);
        let one_by_one = |events: &[Event]| {
            let looked_at = looked_at(&plan, events);
            let mut states = plan.empty();
            (0..events.len()).for_each(|row| plan.add(&mut states, &looked_at, row));
            states
        };
        let bytes = |states: &[State]| {
            let mut out = Vec::new();
            plan.encode(states, &mut out);
            out
        };
        let whole = one_by_one(&events);
        // Tiles of any size, through their stored form, merged in any order.
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(arrived.len() + 1)).chain([0, arrived.len()]).collect();
        cuts.sort_unstable();
        let mut tiles: Vec<Vec<State>> = cuts.windows(2).map(|cut| one_by_one(&arrived[cut[0]..cut[1]])).collect();
        let turn = merged.index(tiles.len());
        tiles.rotate_left(turn);
        let mut states = plan.empty();
        for tile in &tiles {
            let stored = plan.decode(&bytes(tile)).unwrap();
            prop_assert_eq!(&stored, tile);
            plan.merge(&mut states, &stored);
        }
        prop_assert_eq!(bytes(&states), bytes(&whole));
        // Merged two by two instead.
        while tiles.len() > 1 {
            let last = tiles.pop().unwrap();
            let at = tiles.len() / 2;
            plan.merge(&mut tiles[at], &last);
        }
        prop_assert_eq!(bytes(&tiles[0]), bytes(&whole));
        // And the values.
        for window in 0..plan.windows() {
            let value = |states: &[State]| {
                let mut of_window = plan.empty_of(window);
                plan.merge_tile(window, &mut of_window, states);
                let mut out = plan.out(1);
                plan.finish(window, &of_window, Timestamp(100 * HOUR), &mut out).unwrap();
                let arrays: Vec<ArrayRef> = out.finish().into_iter().filter(|array| array.len() == 1).collect();
                row_bytes(&arrays, 0)
            };
            prop_assert_eq!(value(&states), value(&whole));
        }
    }

    #[test]
    fn bytes_of_states_are_read_or_refused(events in events(20), place in any::<Index>(), byte in any::<u8>(), cut in any::<Index>()) {
        let aggregates = aggregates(Bounds::StartIncluded, Precision::Exact);
        let plan = Plan::new(&aggregates);
        let looked_at = looked_at(&plan, &events);
        let mut states = plan.empty();
        (0..events.len()).for_each(|row| plan.add(&mut states, &looked_at, row));
        let mut bytes = Vec::new();
        plan.encode(&states, &mut bytes);
        prop_assert_eq!(plan.decode(&bytes[..cut.index(bytes.len())]), Err(NotAState::Malformed));
        let at = place.index(bytes.len());
        bytes[at] = byte;
        // What is read can be merged and finished, whatever it says.
        if let Ok(read) = plan.decode(&bytes) {
            plan.merge(&mut states, &read);
        }
        bytes[0] = STATE_VERSION + 1;
        prop_assert_eq!(plan.decode(&bytes), Err(NotAState::Version { found: STATE_VERSION + 1 }));
    }
}

#[test]
fn names_are_made_of_column_function_and_window() {
    let name = |column, function, window| AggregateFeature::generated_name(column, function, window);
    let window = |text: &str| Window::Sliding(Duration::parse(text).unwrap());
    assert_eq!(name(Some("amount"), Function::Sum, window("1h")), "amount_sum_1h");
    assert_eq!(name(None, Function::Count, window("36h")), "count_1d12h");
    assert_eq!(name(Some("delay"), Function::Quantile { q: 0.9 }, Window::Lifetime), "delay_p90_lifetime");
    assert_eq!(
        name(Some("delay"), Function::Quantile { q: 0.999 }, Window::Calendar(CalendarUnit::Day)),
        "delay_p99_9_today"
    );
    for (q, text) in [(0.0, "p0"), (0.05, "p5"), (0.5, "p50"), (0.995, "p99_5"), (1.0, "p100"), (0.025, "p2_5")] {
        assert_eq!(Function::Quantile { q }.to_string(), text);
    }
    assert_eq!(
        name(Some("shop"), Function::LastN { n: 5 }, Window::Session(Duration::parse("30m").unwrap())),
        "shop_last_5_session_30m"
    );
}

/// The function of a component, natively: the sum of a number's squares and the number of words, as text; it fails on the word "d".
struct Native {
    inputs: Vec<Field>,
    identity: u8,
}

impl AggregateFunction for Native {
    fn identity(&self) -> [u8; 8] {
        [self.identity; 8]
    }

    fn inputs(&self) -> &[Field] {
        &self.inputs
    }

    fn state(&self, states: &[&[u8]], events: &[ArrayRef]) -> Result<Vec<u8>, CodeError> {
        let mut sums = [0_i64; 3];
        for state in states {
            for (sum, bytes) in sums.iter_mut().zip(state.as_chunks::<8>().0) {
                *sum = sum.wrapping_add(i64::from_le_bytes(*bytes));
            }
        }
        for row in 0..events[0].len() {
            let word = events[1].as_string::<i32>();
            if word.is_valid(row) && word.value(row) == "d" {
                return Err(CodeError("no word may be d".into()));
            }
            let number = events[0].as_primitive::<Int64Type>().value(row);
            let time = events[2].as_primitive::<TimestampMicrosecondType>().value(row);
            let of_event = [number.wrapping_mul(number), i64::from(word.is_valid(row)), time];
            sums.iter_mut().zip(of_event).for_each(|(sum, more)| *sum = sum.wrapping_add(more));
        }
        Ok(sums.map(i64::to_le_bytes).concat())
    }

    fn value(&self, states: &[&[u8]], events: &[ArrayRef], at: Timestamp) -> Result<ArrayRef, CodeError> {
        let state = self.state(states, events)?;
        Ok(Arc::new(StringArray::from(vec![format!("{state:?} at {}", at.0)])))
    }
}

fn with_function() -> Aggregates {
    let mut aggregates = aggregates(Bounds::StartIncluded, Precision::Exact);
    aggregates.functions = vec![ComponentFunction {
        component: std::path::PathBuf::from("native.wasm"),
        inputs: [("count".to_owned(), "number".to_owned())].into(),
        parameters: Default::default(),
        data_type: DataType::String,
        state_bytes_max: STATE_BYTES_DEFAULT,
    }];
    let window = |window| AggregateFeature {
        name: format!("native_{window}"),
        function: Function::Component { function: 0, output: DataType::String },
        column: None,
        filter: None,
        of: None,
        window,
        description: String::new(),
    };
    aggregates.features =
        vec![window(Window::Lifetime), window(Window::Sliding(Duration::from_micros(3 * HOUR as u64)))];
    aggregates
}

fn native(identity: u8) -> Arc<dyn AggregateFunction> {
    let inputs = vec![
        Field::new("count", DataType::Int64, false),
        Field::new("word", DataType::String, true),
        Field::new("event_time", DataType::Timestamp, false),
    ];
    Arc::new(Native { inputs, identity })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn functions_of_components_know_no_order_and_no_tiles(events in events(400), cuts in proptest::collection::vec(any::<Index>(), 0..40)) {
        let aggregates = with_function();
        let plan = Plan::with_functions(&aggregates, &[native(1)]);
        let looked_at = looked_at(&plan, &events);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(events.len() + 1)).chain([0, events.len()]).collect();
        cuts.sort_unstable();
        let mut states = plan.empty();
        for cut in cuts.windows(2).rev() {
            let mut tile = plan.empty();
            (cut[0]..cut[1]).rev().for_each(|row| plan.add(&mut tile, &looked_at, row));
            let mut stored = Vec::new();
            plan.encode(&tile, &mut stored);
            plan.merge(&mut states, &plan.decode(&stored).unwrap());
        }
        let mut answers = Answers::new(&plan, 1);
        answers.push(0, &states, Timestamp(7)).unwrap();
        prop_assert_eq!(answers.take_failed(), vec![]);
        let counted = events.iter().filter(|event| event.word != Some("c") && event.number.is_some());
        let mut sums = [0_i64; 3];
        for event in counted {
            let number = event.number.unwrap_or_default();
            let of_event = [number.wrapping_mul(number), i64::from(event.word.is_some()), event.time];
            sums.iter_mut().zip(of_event).for_each(|(sum, more)| *sum = sum.wrapping_add(more));
        }
        let state = sums.map(i64::to_le_bytes).concat();
        let mut out = plan.out(1);
        let mut of_window = plan.empty_of(0);
        plan.merge_tile(0, &mut of_window, &states);
        plan.finish(0, &of_window, Timestamp(7), &mut out).unwrap();
        plan.ask(&mut out);
        let found = out.finish().remove(0);
        prop_assert_eq!(found.as_string::<i32>().value(0), format!("{state:?} at 7"));
    }
}

#[test]
fn a_function_that_fails_fails_its_feature_alone_and_another_one_s_state_is_refused() {
    let mut aggregates = with_function();
    aggregates.filter = None;
    aggregates.features.push(AggregateFeature {
        name: "count_lifetime".to_owned(),
        function: Function::Count,
        ..aggregates.features[0].clone()
    });
    let plan = Plan::with_functions(&aggregates, &[native(1)]);
    let event = |word| Event {
        time: 5,
        created: 5,
        sequence: 0,
        amount: None,
        number: Some(3),
        word: Some(word),
        flag: None,
        until: None,
    };
    let looked_at = looked_at(&plan, &[event("a"), event("d")]);
    let mut states = plan.empty();
    plan.add(&mut states, &looked_at, 0);
    let mut good = Vec::new();
    plan.encode(&states, &mut good);
    plan.add(&mut states, &looked_at, 1);
    let mut bad = Vec::new();
    plan.encode(&states, &mut bad);
    // Why it failed is kept in the place of the state.
    let mut read = plan.decode(&bad).unwrap();
    plan.merge(&mut read, &plan.decode(&good).unwrap());
    let mut answers = Answers::new(&plan, 1);
    answers.push(0, &read, Timestamp(0)).unwrap();
    answers.push(1, &read, Timestamp(0)).unwrap();
    assert_eq!(answers.take_failed(), [(0, "no word may be d".to_owned()), (1, "no word may be d".to_owned())]);
    let found = answers.finish();
    assert!(found[0].is_null(0));
    assert_eq!(found[2].as_primitive::<Int64Type>().value(0), 3);

    let other = Plan::with_functions(&aggregates, &[native(2)]);
    assert_eq!(other.decode(&good), Err(NotAState::OtherFunction));
    assert!(NotAState::OtherFunction.to_string().contains("tandem materialize"));
    assert!(matches!(plan.decode(&good[..good.len() - 1]), Err(NotAState::Malformed)));
    // Nobody loaded it.
    let unloaded = Plan::new(&aggregates);
    let mut answers = Answers::new(&unloaded, 1);
    answers.push(0, &unloaded.empty(), Timestamp(0)).unwrap();
    assert_eq!(answers.take_failed(), [(0, "its component is not loaded".to_owned())]);
}
