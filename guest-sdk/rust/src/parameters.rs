//! Parameters of a transform: what a view's definition sets for it.

use crate::{
    Timestamp,
    contract::{Parameter, ParameterValue as Value, VarBytes},
    error::CallError,
    views::Strings,
};

/// The parameters of a transform. Derived: `#[derive(Parameters)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a struct of parameters",
    label = "not parameters",
    note = "write `#[derive(Parameters)]` above the struct of the transform's parameters"
)]
pub trait Parameters: Sized {
    /// Takes the parameters of a call; refuses those that are unknown, missing, given twice or of the wrong type.
    fn from_parameters(given: &[Parameter]) -> Result<Self, CallError>;
}

/// No parameters: any that is given is unknown.
impl Parameters for () {
    fn from_parameters(given: &[Parameter]) -> Result<Self, CallError> {
        Given::new(given, &[]).map(|_| ())
    }
}

/// The type of a field of a parameters struct.
#[diagnostic::on_unimplemented(
    message = "a parameter cannot be a `{Self}`",
    label = "not the type of a parameter",
    note = "a parameter is a `bool`, `i64`, `f64`, `String`, `Vec<i64>`, `Vec<f64>`, `Vec<Timestamp>` or \
            `Vec<String>`, or an `Option` of one of these if it may be left out"
)]
pub trait ParameterValue: Sized {
    /// What is expected, for people.
    const EXPECTED: &'static str;

    /// The value, if it is of this type.
    fn from_value(value: &Value) -> Option<Self>;

    /// What stands in where the parameter is not given; none if it has to be.
    fn if_missing() -> Option<Self> {
        None
    }
}

impl<T: ParameterValue> ParameterValue for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn from_value(value: &Value) -> Option<Self> {
        T::from_value(value).map(Some)
    }

    fn if_missing() -> Option<Self> {
        Some(None)
    }
}

macro_rules! parameter_value {
    ($type:ty, $expected:literal, $($pattern:pat => $value:expr),+ $(,)?) => {
        impl ParameterValue for $type {
            const EXPECTED: &'static str = $expected;

            fn from_value(value: &Value) -> Option<Self> {
                match value {
                    $($pattern => $value,)+
                }
            }
        }
    };
}

parameter_value!(bool, "a boolean", Value::Boolean(value) => Some(*value), _ => None);
parameter_value!(i64, "an int64", Value::Int64(value) => Some(*value), _ => None);
parameter_value!(
    f64, "a float64 (or an int64 that is one exactly)",
    Value::Float64(value) => Some(*value),
    Value::Int64(value) => exact(*value),
    _ => None,
);
parameter_value!(String, "a text", Value::Text(value) => Some(value.clone()), _ => None);
parameter_value!(
    Vec<i64>, "a list of int64",
    Value::Int64s(values) => Some(values.clone()),
    value => empty(value),
);
parameter_value!(
    Vec<f64>, "a list of float64 (or of int64 that are float64 exactly)",
    Value::Float64s(values) => Some(values.clone()),
    Value::Int64s(values) => values.iter().map(|&value| exact(value)).collect(),
    value => empty(value),
);
parameter_value!(
    Vec<Timestamp>, "a list of timestamps",
    Value::Timestamps(values) => Some(values.iter().copied().map(Timestamp::from_micros).collect()),
    value => empty(value),
);
parameter_value!(
    Vec<String>, "a list of texts",
    Value::Texts(values) => {
        let texts = Strings::from_var_bytes(values).ok()?;
        Some(texts.iter().map(str::to_owned).collect())
    },
    value => empty(value),
);

/// The same number as a float64, if there is one. Compared as i128: a cast back to i64 would take 2^63 for i64::MAX.
fn exact(value: i64) -> Option<f64> {
    let float = value as f64;
    (float as i128 == i128::from(value)).then_some(float)
}

/// A list without items has no type of its own in a definition, so it is taken for a list of any type.
fn empty<T>(value: &Value) -> Option<Vec<T>> {
    (list_length(value) == Some(0)).then(Vec::new)
}

fn list_length(value: &Value) -> Option<usize> {
    match value {
        Value::Int64s(values) | Value::Timestamps(values) => Some(values.len()),
        Value::Float64s(values) => Some(values.len()),
        Value::Texts(values) => Some(values.offsets.len().saturating_sub(1)),
        Value::Boolean(_) | Value::Int64(_) | Value::Float64(_) | Value::Text(_) => None,
    }
}

/// What was given, for people.
fn describe(value: &Value) -> String {
    let list = |of| format!("a list of {} {of}", list_length(value).unwrap_or(0));
    match value {
        Value::Boolean(value) => format!("the boolean {value}"),
        Value::Int64(value) => format!("the int64 {value}"),
        Value::Float64(value) => format!("the float64 {value:?}"),
        Value::Text(value) => format!("the text {value:?}"),
        Value::Int64s(_) => list("int64"),
        Value::Float64s(_) => list("float64"),
        Value::Timestamps(_) => list("timestamps"),
        Value::Texts(_) => list("texts"),
    }
}

/// The parameters of a call, as the derived [`Parameters::from_parameters`] takes them apart.
#[doc(hidden)]
#[derive(Debug)]
pub struct Given<'a>(&'a [Parameter]);

impl<'a> Given<'a> {
    /// Refuses names that are unknown, and names given twice.
    pub fn new(given: &'a [Parameter], known: &[&str]) -> Result<Self, CallError> {
        for (index, Parameter { name, .. }) in given.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                return Err(CallError::new(match known {
                    [] => format!("unknown parameter `{name}`: the transform has no parameters"),
                    _ => format!("unknown parameter `{name}`: the parameters are {}", known.join(", ")),
                }));
            }
            if given[..index].iter().any(|before| before.name == *name) {
                return Err(CallError::new(format!("parameter `{name}` is given twice")));
            }
        }
        Ok(Self(given))
    }

    /// The value of a parameter.
    pub fn take<T: ParameterValue>(&self, name: &str, doc: &str) -> Result<T, CallError> {
        let (value, given) = match self.0.iter().find(|parameter| parameter.name == name) {
            Some(parameter) => (T::from_value(&parameter.value), Some(&parameter.value)),
            None => (T::if_missing(), None),
        };
        value.ok_or_else(|| {
            let given = given.map_or_else(|| "it is missing".into(), |v| format!("given {}", describe(v)));
            let hint = if doc.is_empty() { String::new() } else { format!(" ({doc})") };
            CallError::new(format!("parameter `{name}`: expected {}, {given}{hint}", T::EXPECTED))
        })
    }
}

/// Values of parameters from Rust values, for [`testing`](crate::testing).
macro_rules! value_from {
    ($($type:ty => |$given:ident| $value:expr),* $(,)?) => {
        $(
            impl From<$type> for Value {
                fn from($given: $type) -> Self {
                    $value
                }
            }
        )*
    };
}

value_from!(
    bool => |value| Self::Boolean(value),
    i64 => |value| Self::Int64(value),
    f64 => |value| Self::Float64(value),
    &str => |value| Self::Text(value.to_owned()),
    String => |value| Self::Text(value),
    Vec<i64> => |values| Self::Int64s(values),
    Vec<f64> => |values| Self::Float64s(values),
    Vec<Timestamp> => |values| Self::Timestamps(values.into_iter().map(Timestamp::micros).collect()),
    Vec<&str> => |values| Self::Texts(texts(&values)),
    Vec<String> => |values| Self::Texts(texts(&values)),
);

fn texts<T: AsRef<str>>(values: &[T]) -> VarBytes {
    let mut texts = VarBytes { offsets: vec![0], data: Vec::new() };
    for value in values {
        texts.data.extend_from_slice(value.as_ref().as_bytes());
        texts.offsets.push(texts.data.len() as u32);
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, crate::Parameters)]
    struct Settings {
        /// Amount from which
        /// a purchase is large.
        large_amount: f64,
        #[tandem(name = "limit")]
        most: Option<i64>,
        edges: Option<Vec<f64>>,
        r#type: Option<String>,
        countries: Option<Vec<String>>,
        holidays: Option<Vec<Timestamp>>,
        codes: Option<Vec<i64>>,
        strict: Option<bool>,
    }

    fn parse(given: Vec<(&str, Value)>) -> Result<Settings, String> {
        let given: Vec<_> = given.into_iter().map(|(name, value)| Parameter { name: name.to_owned(), value }).collect();
        Settings::from_parameters(&given).map_err(|error| error.to_string())
    }

    #[test]
    fn every_type_is_read() {
        let settings = parse(vec![
            ("codes", vec![1, 2].into()),
            ("countries", vec!["CH", "", "Österreich"].into()),
            ("edges", vec![0.5].into()),
            ("holidays", vec![Timestamp::from_seconds(1)].into()),
            ("large_amount", 7.5.into()),
            ("limit", 3.into()),
            ("strict", true.into()),
            ("type", "card".into()),
        ]);
        assert_eq!(
            settings,
            Ok(Settings {
                large_amount: 7.5,
                most: Some(3),
                edges: Some(vec![0.5]),
                r#type: Some("card".into()),
                countries: Some(vec!["CH".into(), "".into(), "Österreich".into()]),
                holidays: Some(vec![Timestamp::from_seconds(1)]),
                codes: Some(vec![1, 2]),
                strict: Some(true),
            })
        );
        let settings = parse(vec![("large_amount", 1.into())]).unwrap();
        assert_eq!((settings.large_amount, settings.most, settings.edges), (1.0, None, None));
    }

    #[test]
    fn an_integer_is_a_float_only_if_exactly() {
        assert_eq!(exact(-(1 << 53)), Some(-9_007_199_254_740_992.0));
        assert_eq!(exact((1 << 53) + 1), None);
        assert_eq!(exact(i64::MAX), None);
        assert_eq!(exact(i64::MIN), Some(-9_223_372_036_854_775_808.0));
        let edges = |edges: Vec<i64>| parse(vec![("large_amount", 0.into()), ("edges", edges.into())]);
        assert_eq!(edges(vec![1, 2]).unwrap().edges, Some(vec![1.0, 2.0]));
        assert_eq!(
            edges(vec![i64::MAX]).unwrap_err(),
            "parameter `edges`: expected a list of float64 (or of int64 that are float64 exactly), given a list of 1 int64"
        );
    }

    #[test]
    fn an_empty_list_is_one_of_any_type() {
        let settings = parse(vec![("large_amount", 0.into()), ("countries", Value::Float64s(vec![]))]).unwrap();
        assert_eq!(settings.countries, Some(vec![]));
    }

    #[test]
    fn wrong_parameters_are_named() {
        let missing = "parameter `large_amount`: expected a float64 (or an int64 that is one exactly), it is missing \
                       (Amount from which a purchase is large.)";
        assert_eq!(parse(vec![]).unwrap_err(), missing);
        for (name, value, message) in [
            (
                "large_amnt",
                Value::from(1.0),
                "unknown parameter `large_amnt`: the parameters are large_amount, limit, edges, type, countries, \
                 holidays, codes, strict",
            ),
            (
                "most",
                1.into(),
                "unknown parameter `most`: the parameters are large_amount, limit, edges, type, countries, holidays, codes, strict",
            ),
            ("large_amount", 1.0.into(), "parameter `large_amount` is given twice"),
            ("limit", 1.0.into(), "parameter `limit`: expected an int64, given the float64 1.0"),
            ("limit", "one".into(), "parameter `limit`: expected an int64, given the text \"one\""),
            ("strict", vec![1].into(), "parameter `strict`: expected a boolean, given a list of 1 int64"),
            ("countries", "CH".into(), "parameter `countries`: expected a list of texts, given the text \"CH\""),
        ] {
            assert_eq!(parse(vec![("large_amount", 0.into()), (name, value)]).unwrap_err(), message);
        }
        let none = <() as Parameters>::from_parameters(&[Parameter { name: "a".into(), value: 1.into() }]);
        assert_eq!(none.unwrap_err().to_string(), "unknown parameter `a`: the transform has no parameters");
    }
}
