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
            let mut breaks = |_: usize, value: Told<'_>| {
                *count += 1;
                if let (None, Some(value)) = (&example, value) {
                    *example = Some(value());
                }
            };
            match (&check.expected, feature) {
                (expected, Some(feature)) => each_broken(expected, feature, &mut breaks),
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
            let broken = match &check.expected {
                Expected::Unique => {
                    (*count > 0).then(|| format!("{count} of {rows} rows have the keys and event time of another"))
                }
                Expected::CompleteKeys { missing } => too_many(*count, rows, "rows lack a key", *missing, "may"),
                Expected::RowCount { min, max, partitions } => {
                    let before = &before[..before.len().min(*partitions as usize)];
                    let mean = before.iter().sum::<u64>() as f64 / before.len().max(1) as f64;
                    let (least, greatest) = (min.unwrap_or(0.0) * mean, max.map_or(f64::INFINITY, |max| max * mean));
                    (!before.is_empty() && !(least..=greatest).contains(&(rows as f64))).then(|| {
                        format!("{rows} rows; the {} partitions before have {mean:.1} in the mean, so {least:.1}..={greatest:.1} are expected", before.len())
                    })
                }
                expected => values_told(expected, *count, rows, example.as_deref()),
            };
            CheckResult { check: check.expected.name(), action: check.action, broken }
        };
        self.checks.iter().zip(&self.broken).map(result).collect()
    }
}

/// Rows that labels got, and what was found so far. Of a view's checks those count that say something of such rows: not the number of rows, and not
/// features that no label got.
#[derive(Debug, Clone)]
pub struct JoinedChecker {
    /// With the position of its feature among those that are looked at.
    checks: Vec<(Check, Option<usize>)>,
    /// Labels that got a row.
    found: u64,
    labels: u64,
    /// For each check: labels whose row breaks it, and of the rows that do the first, with its value.
    broken: Vec<(u64, Option<(u64, String)>)>,
}

/// The rows that labels got, each once.
#[derive(Debug, Clone, Copy)]
pub struct JoinedRows<'a> {
    /// Their features, in the order of [`JoinedChecker::new`].
    pub features: &'a [ArrayRef],
    /// For each, the labels that got it.
    pub labels: &'a [u64],
    /// For each, a number by which the first one is found, whatever the order in which they are shown.
    pub numbers: &'a [u64],
}

impl JoinedChecker {
    /// For the checks of a view whose mistakes were looked for ([`mistakes`]). `features`: the names of those that are joined.
    pub fn new(checks: &[Check], features: &[&str]) -> Self {
        let looked_at = checks.iter().filter_map(|check| {
            let position = check.expected.feature().map(|feature| features.iter().position(|name| *name == feature));
            let counts = !matches!(check.expected, Expected::RowCount { .. }) && position != Some(None);
            counts.then(|| (check.clone(), position.flatten()))
        });
        let checks: Vec<_> = looked_at.collect();
        JoinedChecker { broken: vec![(0, None); checks.len()], checks, found: 0, labels: 0 }
    }

    /// Whether there is nothing to look at.
    pub fn is_empty(&self) -> bool {
        self.checks.is_empty()
    }

    /// Looks at what labels got. `labels`: all of them; `without_key`: of them those whose key has a null or NaN; `tied`: those whose row has the keys and
    /// times of another one.
    pub fn look(&mut self, rows: JoinedRows<'_>, labels: u64, without_key: u64, tied: u64) {
        self.labels += labels;
        self.found += rows.labels.iter().sum::<u64>();
        for ((check, position), (count, first)) in self.checks.iter().zip(&mut self.broken) {
            match (&check.expected, position) {
                (Expected::Unique, _) => *count += tied,
                (Expected::CompleteKeys { .. }, _) => *count += without_key,
                (expected, Some(position)) => {
                    let mut breaks = |row: usize, value: Told<'_>| {
                        *count += rows.labels[row];
                        let number = rows.numbers[row];
                        if let Some(value) = value
                            && rows.labels[row] > 0
                            && first.as_ref().is_none_or(|(first, _)| number < *first)
                        {
                            *first = Some((number, value()));
                        }
                    };
                    each_broken(expected, &rows.features[*position], &mut breaks);
                }
                _ => {}
            }
        }
    }

    /// What came of the checks, in the order of the view's.
    pub fn finish(&self) -> Vec<CheckResult> {
        let (found, labels) = (self.found, self.labels);
        let results = self.checks.iter().zip(&self.broken).map(|((check, _), (count, first))| {
            let broken = match &check.expected {
                Expected::Unique => (*count > 0)
                    .then(|| format!("the rows of {count} of {found} labels have the keys and times of another")),
                Expected::CompleteKeys { missing } => too_many(*count, labels, "labels lack a key", *missing, "may"),
                expected => values_told(expected, *count, found, first.as_ref().map(|(_, value)| &value[..])),
            };
            CheckResult { check: check.expected.name(), action: check.action, broken }
        });
        results.collect()
    }
}

/// Says what a value is, where that is worth telling.
type Told<'a> = Option<&'a dyn Fn() -> String>;

/// Shows each value that breaks a check of values: its row, and where it is worth telling, what it is.
fn each_broken(expected: &Expected, feature: &ArrayRef, breaks: &mut dyn FnMut(usize, Told<'_>)) {
    let rows = feature.len();
    match expected {
        Expected::NullRate { .. } if feature.null_count() > 0 => {
            (0..rows).filter(|row| feature.is_null(*row)).for_each(|row| breaks(row, None));
        }
        Expected::Range { min, max, .. } => {
            let (min, max) = (min.unwrap_or(f64::NEG_INFINITY), max.unwrap_or(f64::INFINITY));
            let number = |row| match feature.as_primitive_opt::<Float64Type>() {
                Some(floats) => floats.value(row),
                None => feature.as_primitive::<Int64Type>().value(row) as f64,
            };
            let outside = |row: &usize| feature.is_valid(*row) && !(min..=max).contains(&number(*row));
            (0..rows).filter(outside).for_each(|row| breaks(row, Some(&|| number(row).to_string())));
        }
        Expected::Values { allowed: Allowed::Texts(texts), .. } => {
            let strings = feature.as_string::<i32>();
            let other = |row: &usize| strings.is_valid(*row) && !texts.iter().any(|text| text == strings.value(*row));
            (0..rows).filter(other).for_each(|row| breaks(row, Some(&|| format!("{:?}", strings.value(row)))));
        }
        Expected::Values { allowed: Allowed::Integers(allowed), .. } => {
            let integers = feature.as_primitive::<Int64Type>();
            let other = |row: &usize| integers.is_valid(*row) && !allowed.contains(&integers.value(*row));
            (0..rows).filter(other).for_each(|row| breaks(row, Some(&|| integers.value(row).to_string())));
        }
        // No checks of values, or no nulls.
        _ => {}
    }
}

/// What was found of a check of values; None where all is well.
fn values_told(expected: &Expected, count: u64, of: u64, example: Option<&str>) -> Option<String> {
    let example = example.map(|value| format!(", for instance {value}")).unwrap_or_default();
    match expected {
        Expected::NullRate { max, .. } => too_many(count, of, "values are null", *max, "may be"),
        Expected::Range { min, max, .. } => (count > 0).then(|| {
            let bound = |bound: &Option<f64>| bound.map_or(String::new(), |bound| bound.to_string());
            format!("{count} of {of} values lie outside {}..={}{example}", bound(min), bound(max))
        }),
        _ => (count > 0).then(|| format!("{count} of {of} values are none of the allowed ones{example}")),
    }
}

fn too_many(count: u64, of: u64, what: &str, max: f64, may: &str) -> Option<String> {
    let share = count as f64 / of.max(1) as f64;
    (share > max).then(|| format!("{count} of {of} {what}, and at most {max} of them {may}"))
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

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        // Each label by itself, in whatever parts they are shown.
        #[test]
        fn joined_rows_are_looked_at_once_for_each_label(
            rows in prop::collection::vec((row(), 0..4_u64), 0..8),
            split in 0..8_usize,
            missing in 0..3_u64,
        ) {
            let checks = [
                Expected::NullRate { feature: "mean".to_owned(), max: 0.25 },
                Expected::Range { feature: "mean".to_owned(), min: Some(1.0), max: None },
                Expected::Values { feature: "country".to_owned(), allowed: Allowed::Texts(vec!["AT".to_owned()]) },
                Expected::Values { feature: "count".to_owned(), allowed: Allowed::Integers(vec![1]) },
                Expected::CompleteKeys { missing: 0.1 },
                Expected::RowCount { min: Some(9.0), max: None, partitions: 1 },
            ].map(fail);
            let mut checker = JoinedChecker::new(&checks, &["mean", "country"]);
            // The last rows are shown first.
            let (first, second) = rows.split_at(split.min(rows.len()));
            for (start, part, missing) in [(first.len(), second, 0), (0, first, missing)] {
                let features: [ArrayRef; 2] = [
                    Arc::new(part.iter().map(|(row, _)| row.2).collect::<Float64Array>()),
                    Arc::new(part.iter().map(|(row, _)| row.3).collect::<StringArray>()),
                ];
                let labels: Vec<u64> = part.iter().map(|(_, labels)| *labels).collect();
                let numbers: Vec<u64> = (0..part.len() as u64).map(|row| start as u64 + row).collect();
                let all = labels.iter().sum::<u64>() + missing;
                checker.look(JoinedRows { features: &features, labels: &labels, numbers: &numbers }, all, missing, 0);
            }
            let labels: Vec<Row> = rows.iter().flat_map(|(row, labels)| std::iter::repeat_n(*row, *labels as usize)).collect();
            let count = |wanted: &dyn Fn(&Row) -> bool| labels.iter().filter(|row| wanted(row)).count();
            let expected = [
                count(&|row| row.2.is_none()) * 4 > labels.len(),
                count(&|row| row.2.is_some_and(|mean| mean.is_nan() || mean < 1.0)) > 0,
                count(&|row| row.3.is_some_and(|country| country != "AT")) > 0,
                missing * 10 > labels.len() as u64 + missing,
            ];
            let found = checker.finish();
            prop_assert_eq!(found.iter().map(|check| check.broken.is_some()).collect::<Vec<_>>(), expected.to_vec(), "{:?}", found);
            let first = rows.iter().filter_map(|(row, labels)| row.2.filter(|_| *labels > 0)).find(|mean| mean.is_nan() || *mean < 1.0);
            if let (Some(told), Some(first)) = (&found[1].broken, first) {
                prop_assert!(told.ends_with(&format!("for instance {first}")), "{}", told);
            }
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
