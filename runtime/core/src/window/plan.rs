//! What features take together: the states to keep, each once, and how features are finished from them.

mod error;

use std::sync::Arc;

use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, PrimitiveArray};

use super::aggregates::{AggregateFeature, Aggregates, Function};
use super::custom::{self, AggregateFunction, Bound, Custom, NotLoaded, Refused};
use super::filter::Filter;
use super::finish::Finish;
use super::span::{Spans, Window};
use super::state::{EventTimes, Inner, Kind, STATE_VERSION, State};
use super::value::Value;
use crate::canonical::{CanonicalError, Column, ColumnBuilder, NotCanonical, RowEncoder, decode_value_into};
use crate::time::Timestamp;
use crate::types::{DataType, Field};
pub use error::{NotAState, NotAnswered, TooLarge};

/// How the features of an aggregate view are computed.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What is kept, each once.
    parts: Vec<Part>,
    /// Which events a part is of; the first is the view's own.
    filters: Vec<Option<Filter>>,
    /// The windows, in the order of [`Aggregates::windows`].
    windows: Vec<WindowPlan>,
    spans: Spans,
    /// Types of the columns.
    types: Vec<DataType>,
    outputs: Vec<Field>,
    /// What components compute, in the order of [`Aggregates::functions`].
    functions: Vec<Bound>,
}

/// A state that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) kind: Kind,
    pub(super) column: Option<usize>,
    pub(super) filter: usize,
}

/// A window with what it takes.
#[derive(Debug, Clone)]
pub(super) struct WindowPlan {
    pub(super) window: Window,
    /// Its parts, as positions in [`Plan::parts`].
    pub(super) parts: Vec<usize>,
    /// Features (by their position), each with how it is finished.
    features: Vec<(usize, Finish)>,
}

/// Events with their values, looked at once.
#[derive(Debug, Clone)]
pub struct Events {
    pub(super) columns: Vec<Column>,
    /// Whether an event passes, by filter; None where all do.
    pub(super) passes: Vec<Option<Vec<bool>>>,
    event_times: PrimitiveArray<TimestampMicrosecondType>,
    created_times: PrimitiveArray<TimestampMicrosecondType>,
    sequences: PrimitiveArray<Int64Type>,
    /// For each function that a component computes the canonical bytes of its inputs; None where an input is null that may not be.
    rows: Vec<Vec<Option<Arc<[u8]>>>>,
}

impl Plan {
    /// The plan of a view's features. Functions of components give nothing but errors.
    pub fn new(aggregates: &Aggregates) -> Plan {
        Plan::with_functions(aggregates, &[])
    }

    /// The plan of a view's features, with what components compute in the order of [`Aggregates::functions`].
    pub fn with_functions(aggregates: &Aggregates, functions: &[Arc<dyn AggregateFunction>]) -> Plan {
        let known: Vec<(&str, DataType)> =
            aggregates.columns.iter().map(|column| (column.name.as_str(), column.data_type)).collect();
        let functions = aggregates.functions.iter().enumerate().map(|(index, function)| {
            let loaded = functions.get(index).map_or_else(|| Arc::new(NotLoaded) as _, Arc::clone);
            Bound { columns: custom::columns(loaded.inputs(), &function.inputs, &known), function: loaded }
        });
        let mut plan = Plan {
            functions: functions.collect(),
            parts: Vec::new(),
            filters: vec![aggregates.filter.clone()],
            windows: aggregates
                .windows()
                .into_iter()
                .map(|window| WindowPlan { window, parts: Vec::new(), features: Vec::new() })
                .collect(),
            spans: aggregates.spans(),
            types: aggregates.columns.iter().map(|column| column.data_type).collect(),
            outputs: aggregates.signature().outputs,
        };
        for (index, feature) in aggregates.features.iter().enumerate() {
            plan.add_feature(index, feature, aggregates.filter.as_ref());
        }
        plan
    }

    /// The position of the filter that is all of these.
    fn filter(&mut self, all: &[Option<&Filter>]) -> usize {
        let all = all.iter().flatten().map(|one| (*one).clone()).reduce(|all, one| all.and(&one));
        self.filters.iter().position(|known| *known == all).unwrap_or_else(|| {
            self.filters.push(all);
            self.filters.len() - 1
        })
    }

    fn add_feature(&mut self, index: usize, feature: &AggregateFeature, of_view: Option<&Filter>) {
        let counts = [of_view, feature.filter.as_ref()];
        let filter = match &feature.of {
            None => self.filter(&counts),
            Some(of) => self.filter(&[counts[0], counts[1], Some(&of.clone().known())]),
        };
        let fulfils = feature.of.as_ref().map(|of| self.filter(&[counts[0], counts[1], Some(of)]));
        let window = self.windows.iter().position(|plan| plan.window == feature.window).expect("it is one of them");
        let column = feature.column;
        let mut part_where = |kind: Kind, column: Option<usize>, filter: usize| {
            let wanted = Part { kind, column, filter };
            let part = self.parts.iter().position(|part| *part == wanted).unwrap_or_else(|| {
                self.parts.push(wanted);
                self.parts.len() - 1
            });
            let parts = &mut self.windows[window].parts;
            parts.iter().position(|known| *known == part).unwrap_or_else(|| {
                parts.push(part);
                parts.len() - 1
            })
        };
        let mut part = |kind: Kind, column: Option<usize>| part_where(kind, column, filter);
        let finish = match feature.function {
            Function::Share => Finish::Share {
                known: part(Kind::Count, None),
                fulfil: part_where(Kind::Count, None, fulfils.unwrap_or(filter)),
            },
            Function::Count => Finish::Count(part(Kind::Count, column)),
            Function::Sum => Finish::Sum {
                events: part(Kind::Count, None),
                count: part(Kind::Count, column),
                sum: part(Kind::Sum, column),
            },
            Function::Mean => Finish::Mean { count: part(Kind::Count, column), sum: part(Kind::Sum, column) },
            Function::Variance | Function::StdDev => Finish::Variance {
                count: part(Kind::Count, column),
                sum: part(Kind::Sum, column),
                squares: part(Kind::Squares, column),
                root: feature.function == Function::StdDev,
            },
            Function::Min => Finish::Extreme(part(Kind::Min, column)),
            Function::Max => Finish::Extreme(part(Kind::Max, column)),
            Function::First => Finish::First(part(Kind::First, column)),
            Function::Last => Finish::Last(part(Kind::Last(1), column)),
            Function::LastN { n } => Finish::LastN(part(Kind::Last(n), column)),
            Function::DistinctCount { exact_max } => Finish::Distinct(part(Kind::Distinct(exact_max), column)),
            Function::TopK { k, counted_max } => {
                let part = part(Kind::Frequencies(counted_max), column);
                Finish::Top { part, k, column: column.unwrap_or_default() }
            }
            Function::Quantile { q } => Finish::Quantile { part: part(Kind::Sketch, column), q },
            Function::SecondsSinceLast => Finish::SinceLast(part(Kind::LastTime, column)),
            Function::Component { function, .. } => {
                Finish::Component { part: part(Kind::Component(function), None), function: function as usize }
            }
        };
        self.windows[window].features.push((index, finish));
    }

    /// Columns of the events.
    pub fn columns(&self) -> usize {
        self.types.len()
    }

    /// Which events windows take in.
    pub fn spans(&self) -> &Spans {
        &self.spans
    }

    /// Windows.
    pub fn windows(&self) -> usize {
        self.windows.len()
    }

    /// A window.
    pub fn window(&self, window: usize) -> Window {
        self.windows[window].window
    }

    /// What is kept, each once.
    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    pub(super) fn window_plan(&self, window: usize) -> &WindowPlan {
        &self.windows[window]
    }

    /// Whether some state depends on created times and sequences.
    pub fn orders_events(&self) -> bool {
        self.parts.iter().any(|part| matches!(part.kind, Kind::First | Kind::Last(_) | Kind::Component(_)))
    }

    /// Whether all states of a window are small.
    pub(super) fn is_small(&self, window: usize) -> bool {
        self.windows[window].parts.iter().all(|part| self.parts[*part].kind.is_small())
    }

    /// Looks at events once: their columns, in the order of [`Aggregates::columns`] and of their types, and their times.
    ///
    /// # Errors
    ///
    /// A column that is of no canonical type.
    pub fn events(
        &self,
        columns: &[ArrayRef],
        event_times: PrimitiveArray<TimestampMicrosecondType>,
        created_times: PrimitiveArray<TimestampMicrosecondType>,
        sequences: PrimitiveArray<Int64Type>,
    ) -> Result<Events, CanonicalError> {
        let arrays = columns;
        let prepare = |(column, array): (usize, &ArrayRef)| {
            Column::new(array).map_err(|reason| match reason {
                NotCanonical::Type => CanonicalError::ColumnType { column, found: array.data_type().to_string() },
                NotCanonical::NullItem => CanonicalError::NullItem { column },
            })
        };
        let columns = columns.iter().enumerate().map(prepare).collect::<Result<Vec<_>, _>>()?;
        let rows = event_times.len();
        let passes = |filter: &Option<Filter>| {
            let filter = filter.as_ref()?;
            Some((0..rows).map(|row| filter.passes(&columns, row)).collect())
        };
        let passes = self.filters.iter().map(passes).collect();
        let function = |bound: &Bound| self.rows(bound, arrays, &event_times);
        let rows = self.functions.iter().map(function).collect::<Result<_, _>>()?;
        Ok(Events { columns, passes, event_times, created_times, sequences, rows })
    }

    /// The inputs of a function for each event.
    fn rows(
        &self,
        bound: &Bound,
        columns: &[ArrayRef],
        event_times: &PrimitiveArray<TimestampMicrosecondType>,
    ) -> Result<Vec<Option<Arc<[u8]>>>, CanonicalError> {
        let times: ArrayRef = Arc::new(event_times.clone().with_timezone("UTC"));
        let inputs: Vec<ArrayRef> =
            bound.columns.iter().map(|column| Arc::clone(column.map_or(&times, |column| &columns[column]))).collect();
        let encoder = RowEncoder::new(&inputs)?;
        let required = bound.function.inputs().iter().zip(&inputs).filter(|(input, _)| !input.nullable);
        let required: Vec<&ArrayRef> = required.map(|(_, column)| column).collect();
        let row = |row: usize| {
            if required.iter().any(|column| column.is_null(row)) {
                return None;
            }
            let mut bytes = Vec::new();
            encoder.encode(row, &mut bytes);
            Some(bytes.into())
        };
        Ok((0..event_times.len()).map(row).collect())
    }

    /// The states of nothing, one for each part.
    pub fn empty(&self) -> Vec<State> {
        self.parts.iter().map(|part| part.kind.empty()).collect()
    }

    /// The states of nothing for a window.
    pub(super) fn empty_of(&self, window: usize) -> Vec<State> {
        self.windows[window].parts.iter().map(|part| self.parts[*part].kind.empty()).collect()
    }

    /// The state of nothing for a part.
    pub(super) fn empty_part(&self, part: usize) -> State {
        self.parts[part].kind.empty()
    }

    /// Makes states of a window those of nothing.
    pub(super) fn reset(&self, window: usize, states: &mut [State]) {
        for (part, state) in self.windows[window].parts.iter().zip(states) {
            *state = self.parts[*part].kind.empty();
        }
    }

    /// Adds an event to the states of all parts.
    pub fn add(&self, states: &mut [State], events: &Events, row: usize) {
        for (part, state) in self.parts.iter().zip(states) {
            self.add_part(part, state, events, row);
        }
    }

    /// Adds an event to the states of a window at these places.
    #[inline]
    pub(super) fn add_to(&self, window: usize, places: &[usize], states: &mut [State], events: &Events, row: usize) {
        let parts = &self.windows[window].parts;
        for place in places {
            self.add_part(&self.parts[parts[*place]], &mut states[*place], events, row);
        }
    }

    #[inline]
    fn add_part(&self, part: &Part, state: &mut State, events: &Events, row: usize) {
        let Kind::Component(function) = part.kind else { return add(part, state, events, row) };
        if let Inner::Component(custom) = &mut state.0
            && events.passes[part.filter].as_ref().is_none_or(|passes| passes[row])
            && let Some(inputs) = &events.rows[function as usize][row]
        {
            custom.add(events.times(row), Arc::clone(inputs), &self.functions[function as usize]);
        }
    }

    fn merge_part(&self, part: &Part, state: &mut State, other: &State) {
        match (part.kind, &mut state.0, &other.0) {
            (Kind::Component(function), Inner::Component(mine), Inner::Component(theirs)) => {
                mine.merge(theirs, &self.functions[function as usize]);
            }
            _ => part.kind.merge(state, other),
        }
    }

    /// Adds the states of all parts to others.
    pub fn merge(&self, states: &mut [State], others: &[State]) {
        for ((part, state), other) in self.parts.iter().zip(states).zip(others) {
            self.merge_part(part, state, other);
        }
    }

    /// Adds states of a window at these places to others of it.
    pub(super) fn merge_of(&self, window: usize, places: &[usize], states: &mut [State], others: &[State]) {
        let parts = &self.windows[window].parts;
        for place in places {
            self.merge_part(&self.parts[parts[*place]], &mut states[*place], &others[*place]);
        }
    }

    /// Adds the states of all parts, as a tile has them, to those of a window.
    pub fn merge_tile(&self, window: usize, states: &mut [State], tile: &[State]) {
        for (part, state) in self.windows[window].parts.iter().zip(states) {
            self.merge_part(&self.parts[*part], state, &tile[*part]);
        }
    }

    /// Room for the features' values.
    pub(super) fn out(&self, rows: usize) -> Out {
        let builders = self.outputs.iter().map(|output| ColumnBuilder::new(output.data_type, rows)).collect();
        Out { builders, asked: Vec::new(), failed: Vec::new() }
    }

    /// Appends the values of a window's features at `at`; what components compute is asked for with others.
    pub(super) fn finish(&self, window: usize, states: &[State], at: Timestamp, out: &mut Out) -> Result<(), TooLarge> {
        for (feature, finish) in &self.windows[window].features {
            let Finish::Component { part, function } = finish else {
                finish.apply(states, at, &self.types, &mut out.builders[*feature]).map_err(|_| TooLarge)?;
                continue;
            };
            let Inner::Component(custom) = &states[*part].0 else { continue };
            out.asked.push(Asked { feature: *feature, function: *function, custom: Custom::clone(custom), at });
            if out.asked.len() >= ASKED_MAX {
                self.ask(out);
            }
        }
        Ok(())
    }

    /// Asks components for the values that are still missing, and appends them; null for those that fail, with the reason in `failed`.
    pub(super) fn ask(&self, out: &mut Out) {
        let asked = std::mem::take(&mut out.asked);
        let mut values: Vec<Option<Result<ArrayRef, String>>> = asked.iter().map(|_| None).collect();
        for (function, bound) in self.functions.iter().enumerate() {
            let of_function: Vec<usize> = (0..asked.len()).filter(|one| asked[*one].function == function).collect();
            if !of_function.is_empty() {
                let customs = of_function.iter().map(|one| (&asked[*one].custom, asked[*one].at));
                let found = Custom::values(customs, bound);
                of_function.iter().zip(found).for_each(|(one, value)| values[*one] = Some(value));
            }
        }
        for (Asked { feature, .. }, value) in asked.iter().zip(values) {
            let builder = &mut out.builders[*feature];
            let value = value.unwrap_or_else(|| Err("its component is not loaded".to_owned())).and_then(|value| {
                let mut row = Vec::new();
                let encoder = RowEncoder::new(&[value]).map_err(|error| error.to_string())?;
                encoder.encode(0, &mut row);
                decode_value_into(&row, builder).map_err(|error| error.to_string())
            });
            if let Err(reason) = value {
                builder.null();
                out.failed.push((*feature, reason));
            }
        }
    }

    /// Whether components compute something.
    pub fn has_components(&self) -> bool {
        !self.functions.is_empty()
    }

    /// Makes one state of what components have of each tile, in calls that tiles share. Bytes of states are the same without it.
    pub fn condense(&self, tiles: &mut [Vec<State>]) {
        for (place, part) in self.parts.iter().enumerate() {
            let Kind::Component(function) = part.kind else { continue };
            let customs = tiles.iter_mut().filter_map(|tile| match &mut tile[place].0 {
                Inner::Component(custom) => Some(&mut **custom),
                _ => None,
            });
            Custom::condense_all(customs, &self.functions[function as usize]);
        }
    }

    /// The error of a feature whose component failed.
    pub(super) fn not_answered(&self, (feature, reason): (usize, String)) -> NotAnswered {
        NotAnswered::Failed { feature: self.outputs[feature].name.clone(), reason }
    }

    /// Appends the canonical bytes of the states of all parts: one byte with [`STATE_VERSION`], then each state, in the order of the parts.
    pub fn encode(&self, states: &[State], out: &mut Vec<u8>) {
        out.push(STATE_VERSION);
        for (part, state) in self.parts.iter().zip(states) {
            match (part.kind, &state.0) {
                (Kind::Component(function), Inner::Component(custom)) => {
                    custom.encode(&self.functions[function as usize], out);
                }
                _ => Kind::encode(state, out),
            }
        }
    }

    /// What [`Plan::encode`] wrote.
    ///
    /// # Errors
    ///
    /// [`NotAState`] for bytes of another version or another plan.
    pub fn decode(&self, bytes: &[u8]) -> Result<Vec<State>, NotAState> {
        let (version, mut rest) = bytes.split_first().ok_or(NotAState::Malformed)?;
        if *version != STATE_VERSION {
            return Err(NotAState::Version { found: *version });
        }
        let state = |part: &Part| {
            if let Kind::Component(function) = part.kind {
                let read = Custom::decode(&self.functions[function as usize], &mut rest);
                return read.map(|custom| State(Inner::Component(Box::new(custom)))).map_err(|refused| match refused {
                    Refused::OtherFunction => NotAState::OtherFunction,
                    Refused::Malformed => NotAState::Malformed,
                });
            }
            let data_type = part.column.map_or(DataType::Int64, |column| self.types[column]);
            part.kind.decode(data_type, &mut rest).ok_or(NotAState::Malformed)
        };
        let states = self.parts.iter().map(state).collect::<Result<Vec<State>, _>>()?;
        if rest.is_empty() { Ok(states) } else { Err(NotAState::Malformed) }
    }
}

/// Values that are asked of components together.
const ASKED_MAX: usize = 256;

/// Where values go.
pub(super) struct Out {
    /// One for each feature.
    builders: Vec<ColumnBuilder>,
    /// Values of components that are not known yet, in the order in which they are to be appended.
    asked: Vec<Asked>,
    /// Features whose components failed, which have null, and why.
    pub(super) failed: Vec<(usize, String)>,
}

struct Asked {
    feature: usize,
    function: usize,
    custom: Custom,
    at: Timestamp,
}

impl Out {
    /// One array for each feature, once all values are there.
    pub(super) fn finish(self) -> Vec<ArrayRef> {
        self.builders.into_iter().map(ColumnBuilder::finish).collect()
    }
}

/// Values of all features, of one entity after another.
pub struct Answers<'a> {
    plan: &'a Plan,
    out: Out,
}

impl<'a> Answers<'a> {
    /// Room for `rows` entities.
    pub fn new(plan: &'a Plan, rows: usize) -> Self {
        Answers { plan, out: plan.out(rows) }
    }

    /// Appends the values of a window's features at `at`, of the states of all parts. Each window once for each entity.
    ///
    /// # Errors
    ///
    /// [`TooLarge`].
    pub fn push(&mut self, window: usize, states: &[State], at: Timestamp) -> Result<(), TooLarge> {
        let mut of_window = self.plan.empty_of(window);
        self.plan.merge_tile(window, &mut of_window, states);
        self.plan.finish(window, &of_window, at, &mut self.out)
    }

    /// The features whose components failed, which have null, and why; those of the entities before are forgotten.
    pub fn take_failed(&mut self) -> Vec<(usize, String)> {
        self.plan.ask(&mut self.out);
        std::mem::take(&mut self.out.failed)
    }

    /// One array for each feature, in their order.
    pub fn finish(mut self) -> Vec<ArrayRef> {
        self.plan.ask(&mut self.out);
        self.out.finish()
    }
}

fn add(part: &Part, state: &mut State, events: &Events, row: usize) {
    if let Some(passes) = &events.passes[part.filter]
        && !passes[row]
    {
        return;
    }
    let value = match part.column {
        None => None,
        Some(column) => {
            let column = &events.columns[column];
            let value = Value::of(column, row);
            // Of vectors and sequences nothing but the presence is asked.
            if value.is_none() && column.is_null(row) {
                return;
            }
            value
        }
    };
    let times = match part.kind {
        Kind::First | Kind::Last(_) => events.times(row),
        _ => EventTimes { event_time: Timestamp(events.event_times.value(row)), created_time: None, sequence: None },
    };
    part.kind.add(state, &times, value);
}

impl Events {
    /// How many.
    pub fn len(&self) -> usize {
        self.event_times.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.event_times.is_empty()
    }

    /// When an event happened.
    pub fn event_time(&self, row: usize) -> Timestamp {
        Timestamp(self.event_times.value(row))
    }

    /// Whether an event passes the view's own filter.
    pub fn counts(&self, row: usize) -> bool {
        self.passes[0].as_ref().is_none_or(|passes| passes[row])
    }

    fn times(&self, row: usize) -> EventTimes {
        EventTimes {
            event_time: self.event_time(row),
            created_time: self.created_times.is_valid(row).then(|| Timestamp(self.created_times.value(row))),
            sequence: self.sequences.is_valid(row).then(|| self.sequences.value(row)),
        }
    }
}
