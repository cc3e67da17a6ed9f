//! The function of a feature, and what it takes.

use toml::de::{DeFloat, DeValue};

use super::super::reader::Table;
use crate::types::DataType;
use crate::window::{COUNTED_DEFAULT, EXACT_DEFAULT, EXACT_MAX, Function, VALUES_MAX};

/// Reads a function's own keys.
pub(super) fn read_function(table: &Table<'_>, word: &'static str) -> Option<Function> {
    const OWN: [(&str, &str); 11] = [
        ("of", "share"),
        ("n", "last_n"),
        ("k", "top_k"),
        ("q", "quantile"),
        ("exact_max", "distinct_count"),
        ("counted_max", "top_k"),
        ("component", "component"),
        ("inputs", "component"),
        ("parameters", "component"),
        ("type", "component"),
        ("state_bytes_max", "component"),
    ];
    let mut complete = true;
    for (key, of) in OWN.into_iter().filter(|(_, of)| *of != word) {
        if let Some(value) = table.get(key) {
            let message =
                format!("{} has `{key}`, which goes with `{of}` alone, and its function is `{word}`", table.what);
            table.error(value, message, format!("take `{key}` out"));
            complete = false;
        }
    }
    let many = |key, example: &str| {
        let value = table.required(key, example)?;
        table.integer(key, value, 1, u64::from(VALUES_MAX)).map(|number| number as u32)
    };
    let most = |key, default| table.integer_or(key, u64::from(default), 1, u64::from(EXACT_MAX)) as u32;
    let function = match word {
        "sum" => Function::Sum,
        "mean" => Function::Mean,
        "share" => share(table)?,
        "min" => Function::Min,
        "max" => Function::Max,
        "variance" => Function::Variance,
        "stddev" => Function::StdDev,
        "first" => Function::First,
        "last" => Function::Last,
        "last_n" => Function::LastN { n: many("n", "`n = 5`, how many values are given")? },
        "distinct_count" => Function::DistinctCount { exact_max: most("exact_max", EXACT_DEFAULT) },
        "top_k" => {
            let k = many("k", "`k = 3`, how many values are given")?;
            Function::TopK { k, counted_max: most("counted_max", COUNTED_DEFAULT) }
        }
        "quantile" => Function::Quantile { q: read_quantile(table)? },
        "seconds_since_last" => Function::SecondsSinceLast,
        // Its own keys are read apart.
        "component" => Function::Component { function: 0, output: DataType::Binary },
        _ => Function::Count,
    };
    complete.then_some(function)
}

/// Checks a share's keys.
fn share(table: &Table<'_>) -> Option<Function> {
    let of = table.required("of", "`of = \"delay >= 15\"`, the condition whose share it is");
    let name = table.required("name", "`name = \"late\"`, to which the window is added");
    if let Some(value) = table.get("column") {
        let message = format!("{} has `column`, and its function is `share`", table.what);
        table.error(value, message, "its condition names the columns: take `column` out".to_owned());
        return None;
    }
    of.and(name).map(|_| Function::Share)
}

fn read_quantile(table: &Table<'_>) -> Option<f64> {
    let value = table.required("q", "`q = 0.9`, from 0 to 1")?;
    let q = match value.get_ref() {
        DeValue::Float(float) => parse_float(float),
        DeValue::Integer(integer) => integer.as_str().parse().ok(),
        _ => {
            table.wrong_type("q", value, "a number", "write it like 0.9".to_owned());
            return None;
        }
    };
    let q = q.filter(|q| (0.0..=1.0).contains(q)).map(|q| if q == 0.0 { 0.0 } else { q });
    if q.is_none() {
        let message = format!("`q` of {} must be from 0 to 1", table.what);
        table.error(value, message, "the 90th percentile is 0.9".to_owned());
    }
    q
}

fn parse_float(float: &DeFloat<'_>) -> Option<f64> {
    float.as_str().parse().ok()
}

/// The types of columns that a function takes.
pub(super) fn taken(function: Function) -> Vec<&'static str> {
    let types = [
        (DataType::Boolean, "boolean"),
        (DataType::Int64, "int64"),
        (DataType::Float64, "float64"),
        (DataType::Timestamp, "timestamp"),
        (DataType::String, "string"),
        (DataType::Binary, "binary"),
    ];
    types
        .into_iter()
        .filter(|(data_type, _)| function.output(Some(*data_type)).is_some())
        .map(|(_, name)| name)
        .collect()
}
