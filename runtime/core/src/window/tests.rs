//! The kernel against loops over all events, which a reader can check by eye.

mod components;
mod naive;

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
use naive::{inside, is, naive};

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
