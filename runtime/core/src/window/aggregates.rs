//! What an aggregate view says: columns of events, a filter, and features, each a function over a window.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use super::filter::{EventColumn, Filter};
use super::grid::Grid;
use super::span::{Bounds, Precision, Spans, Window};
use crate::parameter::Parameters;
use crate::time::{Duration, Zone};
use crate::types::{DataType, Field, ItemType, Signature};

/// Greatest number of values that `last_n` and `top_k` give.
pub const VALUES_MAX: u32 = 1_000;

/// Greatest number of distinct values that may be told apart exactly.
pub const EXACT_MAX: u32 = 65_536;

/// Distinct values that are told apart exactly where a feature does not say.
pub const EXACT_DEFAULT: u32 = 1_024;

/// Distinct values that `top_k` counts where a feature does not say.
pub const COUNTED_DEFAULT: u32 = 4_096;

/// How late an event of a tiled view may come where the view does not say: a day.
pub const LATENESS_DEFAULT: Duration = Duration::from_micros(24 * 3_600_000_000);

/// An aggregate view's events and features.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregates {
    /// The columns that features and filters name, in the order of their names.
    pub columns: Vec<EventColumn>,
    /// Which events count.
    pub filter: Option<Filter>,
    /// Whether the ends of windows are inside.
    pub bounds: Bounds,
    /// Whether starts of windows are rounded.
    pub precision: Precision,
    /// Of tiled windows, how far behind the newest event of its entity an event may come and still be taken online; events further behind are kept as tiles
    /// alone. None where every event counts by itself.
    pub lateness: Option<Duration>,
    /// The zone of calendar windows; UTC where there are none.
    pub zone: Zone,
    /// How long events are kept online at least: no window is longer, but for `lifetime`. None: for ever.
    pub retention: Option<Duration>,
    /// The instants at which batch publishes rows of it; None where it publishes none.
    pub every: Option<Grid>,
    /// The features, in their order; at least one.
    pub features: Vec<AggregateFeature>,
    /// The functions among them that components compute, each once.
    pub functions: Vec<ComponentFunction>,
}

/// A function that a component computes.
#[derive(Debug, Clone, PartialEq)]
pub struct ComponentFunction {
    /// The component's file.
    pub component: PathBuf,
    /// Inputs that do not come from the event's column of their own name: input to column.
    pub inputs: BTreeMap<String, String>,
    /// What the view sets for it.
    pub parameters: Parameters,
    /// What it gives.
    pub data_type: DataType,
    /// Bytes that its state may have.
    pub state_bytes_max: u64,
}

/// A feature of an aggregate view.
#[derive(Debug, Clone, PartialEq)]
pub struct AggregateFeature {
    /// Its name.
    pub name: String,
    /// What is computed.
    pub function: Function,
    /// The position of its column among [`Aggregates::columns`].
    pub column: Option<usize>,
    /// Which of the view's events count for it.
    pub filter: Option<Filter>,
    /// Of [`Function::Share`]: the condition whose share it is.
    pub of: Option<Filter>,
    /// Over which stretch of time.
    pub window: Window,
    /// For people; may be empty.
    pub description: String,
}

/// What is computed of the events in a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Function {
    /// How many there are; of a column, how many are not null.
    Count,
    /// The sum, exact and rounded once.
    Sum,
    /// The sum divided by the count, rounded once; of a boolean the share that is true.
    Mean,
    /// The share of the events for which a condition is true, of those for which it is true or false.
    Share,
    /// The least.
    Min,
    /// The greatest.
    Max,
    /// The variance of a sample, rounded once; null for fewer than two values.
    Variance,
    /// The square root of that.
    StdDev,
    /// The first value.
    First,
    /// The last value.
    Last,
    /// The last so many values, the last one last.
    LastN {
        /// How many.
        n: u32,
    },
    /// How many distinct values there are: exactly up to `exact_max`, then by a sketch with a standard error of 1.6 %.
    DistinctCount {
        /// Up to so many they are exact.
        exact_max: u32,
    },
    /// The so many most frequent values, the most frequent first, of equal ones the least. Null where there are more than `counted_max` distinct ones.
    TopK {
        /// How many.
        k: u32,
        /// Of so many values at most.
        counted_max: u32,
    },
    /// A quantile, within 1 / 128 of its magnitude.
    Quantile {
        /// From 0 to 1.
        q: f64,
    },
    /// Seconds from the last event to the instant that is asked for.
    SecondsSinceLast,
    /// What a component computes.
    Component {
        /// Its position among [`Aggregates::functions`].
        function: u32,
        /// What it gives.
        output: DataType,
    },
}

impl Function {
    /// The word of every function, as definition files have it.
    pub const WORDS: [&str; 16] = [
        "count",
        "sum",
        "mean",
        "share",
        "min",
        "max",
        "variance",
        "stddev",
        "first",
        "last",
        "last_n",
        "distinct_count",
        "top_k",
        "quantile",
        "seconds_since_last",
        "component",
    ];

    /// Its word in definition files; part of the definition hash.
    pub fn as_str(self) -> &'static str {
        match self {
            Function::Count => "count",
            Function::Sum => "sum",
            Function::Mean => "mean",
            Function::Share => "share",
            Function::Min => "min",
            Function::Max => "max",
            Function::Variance => "variance",
            Function::StdDev => "stddev",
            Function::First => "first",
            Function::Last => "last",
            Function::LastN { .. } => "last_n",
            Function::DistinctCount { .. } => "distinct_count",
            Function::TopK { .. } => "top_k",
            Function::Quantile { .. } => "quantile",
            Function::SecondsSinceLast => "seconds_since_last",
            Function::Component { .. } => "component",
        }
    }

    /// Whether it can do without a column.
    pub fn counts_events(self) -> bool {
        matches!(self, Function::Count | Function::Share | Function::SecondsSinceLast | Function::Component { .. })
    }

    /// What it gives of a column of this type, or of events where there is none; None if it takes no such column.
    pub fn output(self, column: Option<DataType>) -> Option<DataType> {
        use DataType::{Binary, Boolean, Float64, Int64, String, Timestamp};
        let Some(column) = column else {
            return match self {
                Function::Component { output, .. } => Some(output),
                Function::Count => Some(Int64),
                Function::Share | Function::SecondsSinceLast => Some(Float64),
                _ => None,
            };
        };
        match (self, column) {
            (Function::Count, _) => Some(Int64),
            (Function::SecondsSinceLast, _) => Some(Float64),
            (Function::Share, _) => None,
            (Function::Component { output, .. }, _) => Some(output),
            (_, DataType::Float32Vector(_) | DataType::Sequence(_)) => None,
            (Function::Sum, Boolean | Int64) => Some(Int64),
            (Function::Sum, Float64) => Some(Float64),
            (Function::Mean, Boolean | Int64 | Float64) => Some(Float64),
            (Function::Variance | Function::StdDev | Function::Quantile { .. }, Int64 | Float64) => Some(Float64),
            (Function::Min | Function::Max | Function::First | Function::Last, any) => Some(any),
            (Function::DistinctCount { .. }, _) => Some(Int64),
            (Function::LastN { .. } | Function::TopK { .. }, Int64) => Some(DataType::Sequence(ItemType::Int64)),
            (Function::LastN { .. } | Function::TopK { .. }, String) => Some(DataType::Sequence(ItemType::String)),
            (Function::LastN { .. }, Float64) => Some(DataType::Sequence(ItemType::Float64)),
            (
                Function::Sum
                | Function::Mean
                | Function::Variance
                | Function::StdDev
                | Function::Quantile { .. }
                | Function::LastN { .. }
                | Function::TopK { .. },
                Boolean | Timestamp | String | Binary | Float64,
            ) => None,
        }
    }
}

/// As names of features have it: `sum`, `last_5`, `top_3`, `p90`, `p99_9`.
impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Function::LastN { n } => write!(f, "last_{n}"),
            Function::TopK { k, .. } => write!(f, "top_{k}"),
            Function::Quantile { q } => {
                // The digits as they were written, the point moved: 0.999 is p99_9.
                let digits = format!("{q}");
                let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, ""));
                let moved = format!("{whole}{fraction:0<2}");
                let (head, tail) = moved.split_at(whole.len() + 2);
                let head = head.trim_start_matches('0');
                let head = if head.is_empty() { "0" } else { head };
                write!(f, "p{head}{}{tail}", if tail.is_empty() { "" } else { "_" })
            }
            other => f.write_str(other.as_str()),
        }
    }
}

impl AggregateFeature {
    /// The name of a feature that is given none, from the name of its column: `amount_sum_1h`, `count_1d`, `delay_p90_lifetime`.
    pub fn generated_name(column: Option<&str>, function: Function, window: Window) -> String {
        match column {
            Some(column) => format!("{column}_{function}_{window}"),
            None => format!("{function}_{window}"),
        }
    }
}

impl Aggregates {
    /// What a component would declare that computed this: the columns as inputs, the features as outputs.
    pub fn signature(&self) -> Signature {
        let input = |column: &EventColumn| Field::new(&column.name, column.data_type, true);
        let output = |feature: &AggregateFeature| {
            let column = feature.column.map(|column| self.columns[column].data_type);
            // The definition was checked; were it not, the type would be told where the view is bound.
            let data_type = feature.function.output(column).unwrap_or(DataType::Binary);
            let nullable = !matches!(feature.function, Function::Count | Function::DistinctCount { .. });
            Field { doc: feature.description.clone(), ..Field::new(&feature.name, data_type, nullable) }
        };
        Signature {
            inputs: self.columns.iter().map(input).collect(),
            outputs: self.features.iter().map(output).collect(),
            doc: String::new(),
        }
    }

    /// Which events windows take in.
    pub fn spans(&self) -> Spans {
        Spans { bounds: self.bounds, precision: self.precision, zone: self.zone.clone() }
    }

    /// The windows, each once, in the order of the features.
    pub fn windows(&self) -> Vec<Window> {
        let mut windows = Vec::new();
        for feature in &self.features {
            if !windows.contains(&feature.window) {
                windows.push(feature.window);
            }
        }
        windows
    }
}
