//! Rows against what is expected of them.

use std::collections::HashSet;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};

use crate::canonical::{CanonicalError, RowEncoder};
use crate::hash::Digest;
use crate::model::{Allowed, Check, CheckAction, Expected, FeatureView};
use crate::suggest;
use crate::types::{DataType, Signature};

/// What came of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckResult {
    /// Its name in messages.
    pub check: String,
    /// What becomes of rows that break it.
    pub action: CheckAction,
    /// What was found instead of what was expected; None where all is well.
    pub broken: Option<String>,
}

impl CheckResult {
    /// Whether rows may not be published for it.
    pub fn fails(&self) -> bool {
        self.broken.is_some() && self.action == CheckAction::Fail
    }
}

/// A check that does not go with its view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckMistake {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// What is wrong between the checks of a view and its features.
pub fn mistakes(view: &FeatureView, signature: &Signature) -> Vec<CheckMistake> {
    let mistake = |check: &Check| {
        let feature = check.expected.feature()?;
        let name = check.expected.name();
        let Some(output) = signature.outputs.iter().find(|output| output.name == feature) else {
            let names: Vec<&str> = signature.outputs.iter().map(|output| output.name.as_str()).collect();
            let message = format!(
                "check {name} of feature view `{}` looks at a feature that its component does not give",
                view.name
            );
            return Some(CheckMistake { message, hint: suggest::hint(feature, "features", &names) });
        };
        let fits = match &check.expected {
            Expected::Range { .. } => matches!(output.data_type, DataType::Int64 | DataType::Float64),
            Expected::Values { allowed: Allowed::Texts(_), .. } => output.data_type == DataType::String,
            Expected::Values { allowed: Allowed::Integers(_), .. } => output.data_type == DataType::Int64,
            _ => true,
        };
        let hint = "ranges are of int64 and float64 features, allowed strings of string features, allowed integers of int64 ones";
        (!fits).then(|| CheckMistake {
            message: format!(
                "check {name} of feature view `{}` does not go with its type {}",
                view.name, output.data_type
            ),
            hint: hint.to_owned(),
        })
    };
    view.checks.iter().filter_map(mistake).collect()
}

/// Rows that are looked at, and what was found so far.
#[derive(Debug)]
pub struct Checker {
    checks: Vec<Check>,
    /// Positions of the checks' features among the outputs.
    features: Vec<Option<usize>>,
    rows: u64,
    /// For each check: rows that break it, and the first value that does.
    broken: Vec<(u64, Option<String>)>,
    seen: HashSet<u128>,
}

impl Checker {
    /// For the checks of a view whose mistakes were looked for ([`mistakes`]).
    pub fn new(checks: &[Check], signature: &Signature) -> Self {
        let position = |check: &Check| {
            let feature = check.expected.feature()?;
            signature.outputs.iter().position(|output| output.name == feature)
        };
        Checker {
            features: checks.iter().map(position).collect(),
            checks: checks.to_vec(),
            rows: 0,
            broken: vec![(0, None); checks.len()],
            seen: HashSet::new(),
        }
    }

    /// Looks at rows: their join keys, event times, and features in the order of the signature. The uniqueness of rows costs about 32 bytes for each.
    pub fn look(
        &mut self,
        keys: &[ArrayRef],
        event_times: &ArrayRef,
        features: &RecordBatch,
    ) -> Result<(), CanonicalError> {
        let rows = features.num_rows();
        self.rows += rows as u64;
        for (index, check) in self.checks.iter().enumerate() {
            let feature = self.features[index].map(|position| features.column(position));
            let (count, example) = &mut self.broken[index];
            let mut breaks = |row: usize, value: &dyn Fn(usize) -> String| {
                *count += 1;
                example.get_or_insert_with(|| value(row));
            };
            match (&check.expected, feature) {
                (Expected::NullRate { .. }, Some(feature)) => *count += feature.null_count() as u64,
                (Expected::Range { min, max, .. }, Some(feature)) => {
                    let (min, max) = (min.unwrap_or(f64::NEG_INFINITY), max.unwrap_or(f64::INFINITY));
                    let number = |row| match feature.as_primitive_opt::<Float64Type>() {
                        Some(floats) => floats.value(row),
                        None => feature.as_primitive::<Int64Type>().value(row) as f64,
                    };
                    let outside = |row: &usize| feature.is_valid(*row) && !(min..=max).contains(&number(*row));
                    (0..rows).filter(outside).for_each(|row| breaks(row, &|row| number(row).to_string()));
                }
                (Expected::Values { allowed: Allowed::Texts(texts), .. }, Some(feature)) => {
                    let strings = feature.as_string::<i32>();
                    let other =
                        |row: &usize| strings.is_valid(*row) && !texts.iter().any(|text| text == strings.value(*row));
                    (0..rows).filter(other).for_each(|row| breaks(row, &|row| format!("{:?}", strings.value(row))));
                }
                (Expected::Values { allowed: Allowed::Integers(allowed), .. }, Some(feature)) => {
                    let integers = feature.as_primitive::<Int64Type>();
                    let other = |row: &usize| integers.is_valid(*row) && !allowed.contains(&integers.value(*row));
                    (0..rows).filter(other).for_each(|row| breaks(row, &|row| integers.value(row).to_string()));
                }
                (Expected::Unique, _) => {
                    let columns: Vec<ArrayRef> = keys.iter().chain([event_times]).cloned().collect();
                    let encoder = RowEncoder::new(&columns)?;
                    let mut bytes = Vec::new();
                    for row in 0..rows {
                        bytes.clear();
                        encoder.encode(row, &mut bytes);
                        let Digest(digest) = Digest::of(&bytes);
                        let digest = u128::from_be_bytes(digest[..16].try_into().expect("half of a digest"));
                        *count += u64::from(!self.seen.insert(digest));
                    }
                }
                (Expected::CompleteKeys { .. }, _) => {
                    let missing = |key: &ArrayRef, row: usize| {
                        key.is_null(row)
                            || key.as_primitive_opt::<Float64Type>().is_some_and(|key| key.value(row).is_nan())
                    };
                    *count += (0..rows).filter(|row| keys.iter().any(|key| missing(key, *row))).count() as u64;
                }
                // Known at the end, or a feature that is not there.
                _ => {}
            }
        }
        Ok(())
    }

    /// What came of the checks. `before`: numbers of rows of the partitions before, the latest first.
    pub fn finish(self, before: &[u64]) -> Vec<CheckResult> {
        let rows = self.rows;
        let result = |(check, (count, example)): (&Check, &(u64, Option<String>))| {
            let of = |what: &str| format!("{count} of {rows} {what}");
            let share = *count as f64 / rows.max(1) as f64;
            let example = example.as_ref().map(|value| format!(", for instance {value}")).unwrap_or_default();
            let broken = match &check.expected {
                Expected::NullRate { max, .. } => {
                    (share > *max).then(|| format!("{}, and at most {max} of them may be", of("values are null")))
                }
                Expected::Range { min, max, .. } => (*count > 0).then(|| {
                    let bound = |bound: &Option<f64>| bound.map_or(String::new(), |bound| bound.to_string());
                    format!("{} {}..={}{example}", of("values lie outside"), bound(min), bound(max))
                }),
                Expected::Values { .. } => {
                    (*count > 0).then(|| format!("{}{example}", of("values are none of the allowed ones")))
                }
                Expected::Unique => (*count > 0).then(|| of("rows have the keys and event time of another")),
                Expected::CompleteKeys { missing } => {
                    (share > *missing).then(|| format!("{}, and at most {missing} of them may", of("rows lack a key")))
                }
                Expected::RowCount { min, max, partitions } => {
                    let before = &before[..before.len().min(*partitions as usize)];
                    let mean = before.iter().sum::<u64>() as f64 / before.len().max(1) as f64;
                    let (least, greatest) = (min.unwrap_or(0.0) * mean, max.map_or(f64::INFINITY, |max| max * mean));
                    (!before.is_empty() && !(least..=greatest).contains(&(rows as f64))).then(|| {
                        format!("{rows} rows; the {} partitions before have {mean:.1} in the mean, so {least:.1}..={greatest:.1} are expected", before.len())
                    })
                }
            };
            CheckResult { check: check.expected.name(), action: check.action, broken }
        };
        self.checks.iter().zip(&self.broken).map(result).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Float64Array, Int64Array, StringArray, TimestampMicrosecondArray};
    use proptest::prelude::*;

    use super::*;
    use crate::types::Field;

    fn signature() -> Signature {
        let field = |name: &str, data_type| Field::new(name, data_type, true);
        let outputs =
            vec![field("mean", DataType::Float64), field("country", DataType::String), field("count", DataType::Int64)];
        Signature { inputs: Vec::new(), outputs, doc: String::new() }
    }

    fn fail(expected: Expected) -> Check {
        Check { expected, action: CheckAction::Fail }
    }

    type Row = (Option<i64>, i64, Option<f64>, Option<&'static str>, Option<i64>);

    fn found(checks: &[Check], batches: &[Vec<Row>], before: &[u64]) -> Vec<Option<String>> {
        let mut checker = Checker::new(checks, &signature());
        for rows in batches {
            let keys: ArrayRef = Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>());
            let times: ArrayRef = Arc::new(
                TimestampMicrosecondArray::from_iter_values(rows.iter().map(|row| row.1)).with_timezone("UTC"),
            );
            let features: Vec<ArrayRef> = vec![
                Arc::new(rows.iter().map(|row| row.2).collect::<Float64Array>()),
                Arc::new(rows.iter().map(|row| row.3).collect::<StringArray>()),
                Arc::new(rows.iter().map(|row| row.4).collect::<Int64Array>()),
            ];
            let features = RecordBatch::try_new(signature().output_schema(), features).unwrap();
            checker.look(&[keys], &times, &features).unwrap();
        }
        checker.finish(before).into_iter().map(|result| result.broken).collect()
    }

    fn row() -> impl Strategy<Value = Row> {
        let mean = proptest::option::of(prop_oneof![4 => (0..5_i8).prop_map(f64::from), 1 => Just(f64::NAN)]);
        let country = proptest::option::of(prop::sample::select(vec!["AT", "DE", "X"]));
        (proptest::option::of(0..3_i64), 0..3_i64, mean, country, proptest::option::of(0..4_i64))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]

        // Each expectation as a sentence over all rows.
        #[test]
        fn a_check_says_what_a_loop_finds(
            batches in prop::collection::vec(prop::collection::vec(row(), 0..5), 0..4),
            before in prop::collection::vec(0..12_u64, 0..4),
        ) {
            let texts = Allowed::Texts(vec!["AT".to_owned(), "DE".to_owned()]);
            let checks = [
                Expected::NullRate { feature: "mean".to_owned(), max: 0.25 },
                Expected::Range { feature: "mean".to_owned(), min: Some(1.0), max: Some(3.0) },
                Expected::Values { feature: "country".to_owned(), allowed: texts },
                Expected::Values { feature: "count".to_owned(), allowed: Allowed::Integers(vec![0, 1, 2]) },
                Expected::Unique,
                Expected::CompleteKeys { missing: 0.5 },
                Expected::RowCount { min: Some(0.5), max: Some(2.0), partitions: 2 },
            ].map(fail);
            let rows: Vec<Row> = batches.concat();
            let count = |wanted: &dyn Fn(&Row) -> bool| rows.iter().filter(|row| wanted(row)).count();
            let twice = (0..rows.len()).any(|a| (0..a).any(|b| (rows[a].0, rows[a].1) == (rows[b].0, rows[b].1)));
            let last: Vec<u64> = before.iter().copied().take(2).collect();
            let expected_rows = |times: f64| times * last.iter().sum::<u64>() as f64 / last.len() as f64;
            let expected = [
                count(&|row| row.2.is_none()) * 4 > rows.len(),
                count(&|row| row.2.is_some_and(|mean| !(1.0..=3.0).contains(&mean))) > 0,
                count(&|row| row.3 == Some("X")) > 0,
                count(&|row| row.4 == Some(3)) > 0,
                twice,
                count(&|row| row.0.is_none()) * 2 > rows.len(),
                !last.is_empty() && ((rows.len() as f64) < expected_rows(0.5) || rows.len() as f64 > expected_rows(2.0)),
            ];
            let found = found(&checks, &batches, &before);
            prop_assert_eq!(found.iter().map(Option::is_some).collect::<Vec<_>>(), expected.to_vec(), "{:?}", found);
        }
    }

    #[test]
    fn what_is_broken_is_told_with_numbers() {
        let rows = vec![(Some(1), 0, Some(7.5), Some("X"), None), (Some(1), 0, None, None, Some(1))];
        let checks = [
            Expected::NullRate { feature: "mean".to_owned(), max: 0.25 },
            Expected::Range { feature: "mean".to_owned(), min: None, max: Some(3.0) },
            Expected::Values { feature: "country".to_owned(), allowed: Allowed::Texts(vec!["AT".to_owned()]) },
            Expected::Unique,
            Expected::RowCount { min: Some(0.5), max: None, partitions: 7 },
        ]
        .map(fail);
        let told: Vec<String> = found(&checks, &[rows], &[10, 12]).into_iter().flatten().collect();
        let expected = [
            "1 of 2 values are null, and at most 0.25 of them may be",
            "1 of 2 values lie outside ..=3, for instance 7.5",
            "1 of 2 values are none of the allowed ones, for instance \"X\"",
            "1 of 2 rows have the keys and event time of another",
            "2 rows; the 2 partitions before have 11.0 in the mean, so 5.5..=inf are expected",
        ];
        assert_eq!(told, expected);
    }
}
