//! `defaults`: TOML values as values of features, in the form that JSON has for them ([`crate::json`]). Their types are known when the view is
//! bound.

use std::collections::BTreeMap;

use serde_json::{Number, Value};
use toml::de::DeValue;

use super::reader::{self, Table, check_name};

const EXAMPLE: &str = "`defaults = { mean_30d = 0.0, country = \"AT\" }`, from feature to value";

/// Reads all defaults of a view. What is wrong is reported and left out.
pub(super) fn read(view: &Table<'_>) -> BTreeMap<String, Value> {
    let mut defaults = BTreeMap::new();
    for (key, value) in view.entries("defaults", EXAMPLE) {
        let name = key.get_ref().as_ref();
        let named = check_name(view.place, key.span(), &format!("a feature of {}", view.what), name);
        if let (true, Some(value)) = (named, json(view, name, value)) {
            defaults.insert(name.to_owned(), value);
        }
    }
    defaults
}

fn json(view: &Table<'_>, name: &str, value: &reader::Value<'_>) -> Option<Value> {
    let error = |problem: &str, hint: &str| {
        view.error(value, format!("the default of `{name}` of {} {problem}", view.what), hint.to_owned());
        None
    };
    Some(match value.get_ref() {
        DeValue::Boolean(boolean) => Value::Bool(*boolean),
        DeValue::String(text) => Value::String(text.clone().into_owned()),
        DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(integer) => Value::from(integer),
            Err(_) => return error("is outside the range of int64", "-2^63 to 2^63 - 1"),
        },
        DeValue::Float(float) => {
            let number: f64 = float.as_str().parse().unwrap_or(f64::NAN);
            match Number::from_f64(number) {
                Some(number) => Value::Number(number),
                None if number.is_infinite() && !float.as_str().contains("inf") => {
                    return error("is outside the range of float64", "write `inf` or `-inf` if that is meant");
                }
                // As JSON has them.
                None if number.is_nan() => Value::from("NaN"),
                None => Value::from(if number > 0.0 { "Infinity" } else { "-Infinity" }),
            }
        }
        // The text and not the parsed value, which has lost digits beyond nanoseconds.
        DeValue::Datetime(_) => {
            let written = view.place.file.text.get(value.span()).unwrap_or_default();
            Value::String(written.replacen(' ', "T", 1))
        }
        DeValue::Array(items) => {
            let values: Vec<Option<Value>> = items.iter().map(|item| json(view, name, item)).collect();
            Value::Array(values.into_iter().collect::<Option<_>>()?)
        }
        DeValue::Table(_) => return error("is a table", "no feature has a table as its value"),
    })
}
