//! `checks`: what is expected of the rows that a view publishes.

use toml::de::DeValue;

use super::reader::{Table, Value};
use crate::model::{Allowed, Check, CheckAction, Expected};

/// All keys of a check, whatever its kind.
pub(super) const CHECK_KEYS: &[&str] = &["check", "feature", "min", "max", "allowed", "partitions", "action"];

const EXAMPLE: &str = "`checks = [{ check = \"null_rate\", feature = \"mean_30d\", max = 0.05 }]`";

/// Partitions before that a row count is compared with.
const PARTITIONS_DEFAULT: u64 = 7;

/// Reads all checks of a view. What is wrong is reported and left out.
pub(super) fn read(view: &Table<'_>) -> Vec<Check> {
    let Some(value) = view.get("checks") else { return Vec::new() };
    let DeValue::Array(items) = value.get_ref() else {
        view.wrong_type("checks", value, "an array of tables", format!("write {EXAMPLE}"));
        return Vec::new();
    };
    items.iter().filter_map(|item| read_one(view, item)).collect()
}

fn read_one<'a>(view: &Table<'a>, item: &'a Value<'a>) -> Option<Check> {
    let DeValue::Table(entries) = item.get_ref() else {
        view.wrong_type("checks", item, "an array of tables", format!("write {EXAMPLE}"));
        return None;
    };
    let table = Table::open(view.place, format!("a check of {}", view.what), item.span(), entries, CHECK_KEYS);
    let kinds: [usize; 6] = std::array::from_fn(|index| index);
    let action = match table.get("action") {
        None => Some(CheckAction::Fail),
        Some(value) => table.choice("action", value, &CheckAction::ALL, CheckAction::as_str),
    };
    let kind = table.required("check", "`check = \"null_rate\"`")?;
    let kind = Expected::KINDS[table.choice("check", kind, &kinds, |index| Expected::KINDS[index])?];
    let takes: &[&str] = match kind {
        "null_rate" => &["feature", "max"],
        "range" => &["feature", "min", "max"],
        "values" => &["feature", "allowed"],
        "complete_keys" => &["max"],
        "row_count" => &["min", "max", "partitions"],
        _ => &[],
    };
    for key in ["feature", "min", "max", "allowed", "partitions"] {
        if let Some(value) = table.get(key).filter(|_| !takes.contains(&key)) {
            let message = format!("{} is `{kind}`, which has no `{key}`", table.what);
            table.error(value, message, format!("take `{key}` out"));
        }
    }
    let feature = || {
        let value = table.required("feature", "`feature = \"...\"`, the feature that is looked at")?;
        table.name("feature", value).map(str::to_owned)
    };
    let expected = match kind {
        "null_rate" => {
            let max = table
                .required("max", "`max = 0.05`, the greatest share of nulls")
                .and_then(|value| share(&table, value));
            Expected::NullRate { feature: feature()?, max: max? }
        }
        "range" => {
            let (min, max) = bounds(&table, f64::NEG_INFINITY)?;
            Expected::Range { feature: feature()?, min, max }
        }
        "values" => {
            let allowed =
                table.required("allowed", "`allowed = [\"AT\", \"DE\"]`").and_then(|value| allowed(&table, value));
            Expected::Values { feature: feature()?, allowed: allowed? }
        }
        "unique" => Expected::Unique,
        "complete_keys" => {
            Expected::CompleteKeys { missing: table.get("max").map_or(Some(0.0), |value| share(&table, value))? }
        }
        _ => {
            let (min, max) = bounds(&table, 0.0)?;
            let partitions = table.integer_or("partitions", PARTITIONS_DEFAULT, 1, 10_000) as u32;
            Expected::RowCount { min, max, partitions }
        }
    };
    Some(Check { expected, action: action? })
}

/// `min` and `max`, one at least, in their order.
pub(super) fn bounds(table: &Table<'_>, least: f64) -> Option<(Option<f64>, Option<f64>)> {
    let bound = |key: &'static str| table.get(key).map(|value| number(table, key, value, least, f64::INFINITY));
    let (min, max) = (bound("min"), bound("max"));
    if min.is_none() && max.is_none() {
        table.place.error(
            table.span.clone(),
            format!("{} has neither `min` nor `max`", table.what),
            "add one of them".to_owned(),
        );
        return None;
    }
    let (min, max) = (min.map_or(Some(None), |min| min.map(Some))?, max.map_or(Some(None), |max| max.map(Some))?);
    if let (Some(least), Some(greatest), Some(at)) = (min, max, table.get("max"))
        && least > greatest
    {
        let message = format!("`max` of {} is less than its `min`: nothing lies between", table.what);
        table.error(at, message, "exchange them".to_owned());
        return None;
    }
    Some((min, max))
}

fn share(table: &Table<'_>, value: &Value<'_>) -> Option<f64> {
    number(table, "max", value, 0.0, 1.0)
}

pub(super) fn number(table: &Table<'_>, key: &str, value: &Value<'_>, least: f64, greatest: f64) -> Option<f64> {
    let number = match value.get_ref() {
        DeValue::Integer(integer) => {
            i64::from_str_radix(integer.as_str(), integer.radix()).ok().map(|number| number as f64)
        }
        DeValue::Float(float) => float.as_str().parse().ok(),
        _ => {
            table.wrong_type(key, value, "a number", None);
            return None;
        }
    };
    let number = number.filter(|number: &f64| (least..=greatest).contains(number));
    if number.is_none() {
        let range = if greatest == 1.0 { "a share: 0 to 1" } else { "a number that is not negative, and not NaN" };
        table.error(value, format!("`{key}` of {} is out of range", table.what), format!("it is {range}"));
    }
    number
}

pub(super) fn allowed(table: &Table<'_>, value: &Value<'_>) -> Option<Allowed> {
    let DeValue::Array(items) = value.get_ref() else {
        table.wrong_type("allowed", value, "an array of strings or of integers", None);
        return None;
    };
    let texts: Option<Vec<String>> = items.iter().map(|item| item.get_ref().as_str().map(str::to_owned)).collect();
    let integers = items.iter().map(|item| match item.get_ref() {
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix()).ok(),
        _ => None,
    });
    let integers: Option<Vec<i64>> = integers.collect();
    let found = texts.map(Allowed::Texts).or(integers.map(Allowed::Integers)).filter(|_| !items.is_empty());
    if found.is_none() {
        table.wrong_type("allowed", value, "strings, or integers of 64 bits, one at least", None);
    }
    found
}
