//! Rows of a source against what is promised of its columns.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef};

use crate::model::{Allowed, ColumnContract};

/// The rows of a column that break what is promised of it, ascending, each with what it is instead: "column `amount`: -1 lies outside 0..".
/// `values` have the promised type ([`ColumnContract::data_type`]).
pub fn violations(contract: &ColumnContract, values: &ArrayRef) -> Vec<(usize, String)> {
    let ColumnContract { name, data_type: _, nullable, allowed, min, max } = contract;
    let mut broken = Vec::new();
    let mut breaks = |row: usize, why: String| broken.push((row, format!("column `{name}`: {why}")));
    if !nullable && values.null_count() > 0 {
        let nulls = (0..values.len()).filter(|row| values.is_null(*row));
        nulls.for_each(|row| breaks(row, "null, and it is promised to have a value".to_owned()));
    }
    let there = || (0..values.len()).filter(|row| values.is_valid(*row));
    match allowed {
        Some(Allowed::Texts(texts)) => {
            let strings = values.as_string::<i32>();
            let other = |row: &usize| !texts.iter().any(|text| text == strings.value(*row));
            there().filter(other).for_each(|row| breaks(row, format!("{:?} is none of {texts:?}", strings.value(row))));
        }
        Some(Allowed::Integers(allowed)) => {
            let integers = values.as_primitive::<Int64Type>();
            let other = |row: &usize| !allowed.contains(&integers.value(*row));
            there()
                .filter(other)
                .for_each(|row| breaks(row, format!("{} is none of {allowed:?}", integers.value(row))));
        }
        None => {}
    }
    if min.is_some() || max.is_some() {
        let bound = |bound: &Option<f64>| bound.map_or(String::new(), |bound| bound.to_string());
        let range = format!("{}..={}", bound(min), bound(max));
        let (least, greatest) = (min.unwrap_or(f64::NEG_INFINITY), max.unwrap_or(f64::INFINITY));
        let (floats, integers) = (values.as_primitive_opt::<Float64Type>(), values.as_primitive_opt::<Int64Type>());
        for row in there() {
            let (number, text) = match (floats, integers) {
                (Some(floats), _) => (floats.value(row), floats.value(row).to_string()),
                (None, Some(integers)) => (integers.value(row) as f64, integers.value(row).to_string()),
                (None, None) => continue,
            };
            if !(least..=greatest).contains(&number) {
                breaks(row, format!("{text} lies outside {range}"));
            }
        }
    }
    broken.sort_by_key(|(row, _)| *row);
    broken.dedup_by_key(|(row, _)| *row);
    broken
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Float64Array, Int64Array, StringArray};
    use proptest::prelude::*;

    use super::*;
    use crate::types::DataType;

    fn contract(data_type: DataType) -> ColumnContract {
        ColumnContract { name: "c".to_owned(), data_type, nullable: true, allowed: None, min: None, max: None }
    }

    fn rows(contract: &ColumnContract, values: ArrayRef) -> Vec<usize> {
        violations(contract, &values).into_iter().map(|(row, _)| row).collect()
    }

    proptest! {
        // Each promise as a sentence about one value.
        #[test]
        fn rows_are_those_that_a_loop_finds(
            numbers in prop::collection::vec(proptest::option::of(-2..5_i64), 0..8),
            nullable in any::<bool>(),
            min in proptest::option::of(-1..3_i8),
            max in proptest::option::of(-1..3_i8),
            allowed in proptest::option::of(prop::collection::vec(-1..3_i64, 1..3)),
        ) {
            let (min, max) = (min.map(f64::from), max.map(f64::from));
            let breaks = |value: Option<i64>, allowed: &Option<Vec<i64>>| match value {
                None => !nullable,
                Some(value) => {
                    min.is_some_and(|min| (value as f64) < min)
                        || max.is_some_and(|max| value as f64 > max)
                        || allowed.as_ref().is_some_and(|allowed| !allowed.contains(&value))
                }
            };
            let expected = |allowed: &Option<Vec<i64>>| -> Vec<usize> {
                (0..numbers.len()).filter(|row| breaks(numbers[*row], allowed)).collect()
            };
            let integers = ColumnContract {
                nullable, min, max, allowed: allowed.clone().map(Allowed::Integers), ..contract(DataType::Int64)
            };
            let values: Int64Array = numbers.iter().copied().collect();
            prop_assert_eq!(rows(&integers, Arc::new(values)), expected(&allowed));
            let floats = ColumnContract { nullable, min, max, ..contract(DataType::Float64) };
            let values: Float64Array = numbers.iter().map(|number| number.map(|number| number as f64)).collect();
            prop_assert_eq!(rows(&floats, Arc::new(values)), expected(&None));
            let texts = allowed.as_ref().map(|allowed| Allowed::Texts(allowed.iter().map(ToString::to_string).collect()));
            let texts = ColumnContract { nullable, allowed: texts, ..contract(DataType::String) };
            let values: StringArray = numbers.iter().map(|number| number.map(|number| number.to_string())).collect();
            let allowed_alone = |value: Option<i64>| match value {
                None => !nullable,
                Some(value) => allowed.as_ref().is_some_and(|allowed| !allowed.contains(&value)),
            };
            let expected: Vec<usize> = (0..numbers.len()).filter(|row| allowed_alone(numbers[*row])).collect();
            prop_assert_eq!(rows(&texts, Arc::new(values)), expected);
        }
    }

    #[test]
    fn what_is_broken_is_told_with_the_value() {
        let floats = ColumnContract { min: Some(0.0), ..contract(DataType::Float64) };
        let values: ArrayRef = Arc::new(Float64Array::from(vec![Some(f64::NAN), Some(-0.5), None, Some(7.0)]));
        let expected = [(0, "column `c`: NaN lies outside 0..="), (1, "column `c`: -0.5 lies outside 0..=")];
        assert_eq!(violations(&floats, &values), expected.map(|(row, text)| (row, text.to_owned())));
        let texts = Some(Allowed::Texts(vec!["AT".to_owned(), "DE".to_owned()]));
        let texts = ColumnContract { nullable: false, allowed: texts, ..contract(DataType::String) };
        let values: ArrayRef = Arc::new(StringArray::from(vec![None, Some("X"), Some("AT")]));
        let expected = [
            (0, "column `c`: null, and it is promised to have a value"),
            (1, "column `c`: \"X\" is none of [\"AT\", \"DE\"]"),
        ];
        assert_eq!(violations(&texts, &values), expected.map(|(row, text)| (row, text.to_owned())));
    }
}
