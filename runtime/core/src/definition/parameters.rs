//! `[feature_view.parameters]`: TOML values as parameters of a transform.

use toml::de::{DeArray, DeFloat, DeInteger, DeValue};

use super::reader::{Table, Value, check_name};
use crate::parameter::{ParameterValue, Parameters};
use crate::time::Timestamp;

/// Reads all parameters of a view. What is wrong is reported and left out.
pub(super) fn read(view: &Table<'_>) -> Parameters {
    let mut parameters = Parameters::new();
    for (key, value) in view.entries("parameters", "`[feature_view.parameters]` with one line for each parameter") {
        let name = key.get_ref().as_ref();
        let parameter = Parameter { view, name };
        let named = check_name(view.place, key.span(), &format!("a parameter of {}", view.what), name);
        if let (true, Some(value)) = (named, parameter.value(value)) {
            parameters.insert(name.to_owned(), value);
        }
    }
    parameters
}

struct Parameter<'t, 'a> {
    view: &'t Table<'a>,
    name: &'t str,
}

impl<'a> Parameter<'_, 'a> {
    fn error(&self, value: &Value<'_>, problem: &str, hint: impl Into<Option<String>>) {
        self.view.error(value, format!("parameter `{}` of {} {problem}", self.name, self.view.what), hint);
    }

    fn value(&self, value: &'a Value<'a>) -> Option<ParameterValue> {
        match value.get_ref() {
            DeValue::Boolean(boolean) => Some(ParameterValue::Boolean(*boolean)),
            DeValue::Integer(integer) => self.integer(value, integer).map(ParameterValue::Int64),
            DeValue::Float(float) => self.float(value, float).map(ParameterValue::Float64),
            DeValue::String(text) => Some(ParameterValue::Text(text.clone().into_owned())),
            DeValue::Array(items) => self.array(value, items),
            DeValue::Datetime(_) => {
                let written = self.view.place.file.text.get(value.span()).unwrap_or("...");
                let hint = format!("timestamps come in arrays: `{} = [{written}]`", self.name);
                self.error(value, "is a single datetime", hint);
                None
            }
            DeValue::Table(_) => {
                let hint = "a parameter is a boolean, an integer, a float, a string, or an array of integers, floats, strings or datetimes".to_owned();
                self.error(value, "is a table", hint);
                None
            }
        }
    }

    fn integer(&self, value: &Value<'_>, integer: &DeInteger<'_>) -> Option<i64> {
        let number = i64::from_str_radix(integer.as_str(), integer.radix()).ok();
        if number.is_none() {
            self.error(value, "is outside the range of int64 (-2^63 to 2^63 - 1)", None);
        }
        number
    }

    fn float(&self, value: &Value<'_>, float: &DeFloat<'_>) -> Option<f64> {
        let number: f64 = float.as_str().parse().unwrap_or(f64::NAN);
        if number.is_nan() {
            let hint = "a NaN is equal to nothing, so it cannot be part of a definition".to_owned();
            self.error(value, "is not a number", hint);
            return None;
        }
        if number.is_infinite() && !float.as_str().contains("inf") {
            self.error(value, "is outside the range of float64", "write `inf` or `-inf` if that is meant".to_owned());
            return None;
        }
        Some(number)
    }

    fn array(&self, array: &'a Value<'a>, items: &'a DeArray<'a>) -> Option<ParameterValue> {
        let Some(first) = items.first() else {
            self.error(array, "is an empty array, which has no type", None);
            return None;
        };
        // The array's type is that of its items; integers among floats are floats where that loses nothing.
        let any_float = items.iter().any(|item| item.get_ref().is_float());
        match first.get_ref() {
            DeValue::Integer(_) | DeValue::Float(_) if any_float => self
                .items(items, "floats", |item| match item.get_ref() {
                    DeValue::Float(float) => Some(self.float(item, float)),
                    DeValue::Integer(integer) => Some(self.integer(item, integer).and_then(|i| self.exact(item, i))),
                    _ => None,
                })
                .map(ParameterValue::Float64s),
            DeValue::Integer(_) => self
                .items(items, "integers", |item| item.get_ref().as_integer().map(|integer| self.integer(item, integer)))
                .map(ParameterValue::Int64s),
            DeValue::String(_) => self
                .items(items, "strings", |item| item.get_ref().as_str().map(|text| Some(text.to_owned())))
                .map(ParameterValue::Texts),
            DeValue::Datetime(_) => self
                .items(items, "datetimes", |item| item.get_ref().is_datetime().then(|| self.timestamp(item)))
                .map(ParameterValue::Timestamps),
            other => {
                let hint = "arrays are of integers, floats, strings or datetimes".to_owned();
                self.error(first, &format!("has an array of {}s", other.type_str()), hint);
                None
            }
        }
    }

    /// All items by `read`, which gives None for an item of another type and Some(None) for one that it has reported.
    fn items<T>(
        &self,
        items: &'a DeArray<'a>,
        of: &str,
        read: impl Fn(&'a Value<'a>) -> Option<Option<T>>,
    ) -> Option<Vec<T>> {
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            match read(item) {
                Some(value) => values.extend(value),
                None => {
                    let found = item.get_ref().type_str();
                    let problem = format!("is an array of {of} with an item of type {found}");
                    self.error(item, &problem, "all items of an array must have one type".to_owned());
                }
            }
        }
        (values.len() == items.len()).then_some(values)
    }

    fn exact(&self, item: &Value<'_>, integer: i64) -> Option<f64> {
        let float = integer as f64;
        // Compared as i128: 2^63 as f64 would saturate to i64::MAX on the way back.
        if float as i128 == i128::from(integer) {
            return Some(float);
        }
        let problem = format!("has {integer} among floats, which no float64 equals");
        self.error(item, &problem, "write a float, or make all items integers".to_owned());
        None
    }

    fn timestamp(&self, item: &Value<'_>) -> Option<Timestamp> {
        // The text and not the parsed value: the TOML parser cuts digits beyond nanoseconds without a word.
        let written = self.view.place.file.text.get(item.span())?;
        let datetime = item.get_ref().as_datetime()?;
        if datetime.offset.is_none() || datetime.date.is_none() {
            let hint = "write date, time and offset: 2024-01-31T12:00:00Z or 2024-01-31T12:00:00+01:00".to_owned();
            self.error(item, &format!("has `{written}`, which does not say an instant"), hint);
            return None;
        }
        let fraction = written.split_once('.').map_or("", |(_, rest)| rest);
        let fraction = &fraction[..fraction.find(|c: char| !c.is_ascii_digit()).unwrap_or(fraction.len())];
        if fraction.trim_end_matches('0').len() > 6 {
            self.error(item, &format!("has `{written}`, which is finer than microseconds"), None);
            return None;
        }
        // jiff reads second 60 as 59; an instant that Unix time does not have is refused instead.
        let leap = datetime.time.is_some_and(|time| time.second == Some(60));
        let micros = written.parse().ok().filter(|_| !leap).map(jiff::Timestamp::as_microsecond);
        if micros.is_none() {
            self.error(item, &format!("has `{written}`, which is no instant of the calendar"), None);
        }
        micros.map(Timestamp)
    }
}
