//! How many distinct values a column has at most, without reading it: no more than whole numbers lie between its least and its greatest.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, Schema};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::statistics::Statistics;

/// Of each column of a file, by its statistics.
pub(super) fn of_file(schema: &Schema, metadata: &ParquetMetaData) -> Vec<u64> {
    let parquet = metadata.file_metadata().schema_descr();
    let of_column = |(index, field): (usize, &std::sync::Arc<arrow_schema::Field>)| {
        // Where each column before it is one of the file's, too.
        if !matches!(field.data_type(), DataType::Int64 | DataType::Int32)
            || parquet.num_columns() != schema.fields().len()
        {
            return u64::MAX;
        }
        let groups = metadata.row_groups().iter().filter(|group| group.num_rows() > 0);
        let ends = groups.map(|group| match group.column(index).statistics() {
            Some(Statistics::Int64(found)) => found.min_opt().copied().zip(found.max_opt().copied()),
            Some(Statistics::Int32(found)) => {
                found.min_opt().zip(found.max_opt()).map(|(a, b)| ((*a).into(), (*b).into()))
            }
            _ => None,
        });
        ends.collect::<Option<Vec<_>>>().map_or(u64::MAX, |ends| between(ends.into_iter()))
    };
    schema.fields().iter().enumerate().map(of_column).collect()
}

/// Of a column in memory.
pub(super) fn of_array(array: &ArrayRef) -> u64 {
    match array.data_type() {
        DataType::Int64 => between(array.as_primitive::<Int64Type>().iter().flatten().map(|value| (value, value))),
        DataType::Int32 => {
            let values = array.as_primitive::<Int32Type>().iter().flatten().map(i64::from);
            between(values.map(|value| (value, value)))
        }
        _ => u64::MAX,
    }
}

/// The whole numbers from the least to the greatest.
fn between(ends: impl Iterator<Item = (i64, i64)>) -> u64 {
    let wider = |(least, greatest): (i64, i64), (min, max): (i64, i64)| (least.min(min), greatest.max(max));
    ends.reduce(wider).map_or(0, |(least, greatest)| greatest.abs_diff(least).saturating_add(1))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Float64Array, Int32Array, Int64Array, RecordBatch, StringArray};

    use super::*;
    use crate::training::Labels;

    #[test]
    fn whole_numbers_that_lie_together_are_few() {
        let column = |values: Vec<Option<i64>>| -> ArrayRef { Arc::new(Int64Array::from(values)) };
        for (values, most) in [
            (vec![Some(7), None, Some(-1), Some(7)], 9),
            (vec![Some(i64::MIN), Some(i64::MAX)], u64::MAX),
            (vec![None], 0),
            (vec![], 0),
        ] {
            assert_eq!(of_array(&column(values)), most);
        }
        assert_eq!(of_array(&(Arc::new(StringArray::from(vec!["a"])) as ArrayRef)), u64::MAX);
    }

    #[test]
    fn a_file_says_it_by_its_statistics() {
        let root = tempfile::tempdir().unwrap();
        let columns: [(&str, ArrayRef); 4] = [
            ("text", Arc::new(StringArray::from(vec!["a"; 50]))),
            ("user", Arc::new(Int64Array::from_iter_values((0..50).map(|row| 1_000 + row % 10)))),
            ("card", Arc::new(Int32Array::from_iter_values((0..50).map(|row| row % 3 - 1)))),
            ("share", Arc::new(Float64Array::from(vec![0.5; 50]))),
        ];
        let rows = RecordBatch::try_from_iter(columns).unwrap();
        let file = root.path().join("labels.parquet");
        crate::testing::write(&file, &rows);
        for labels in [Labels::parquet(&file).unwrap(), Labels::rows(rows).unwrap()] {
            let found = ["text", "user", "card", "share", "none"].map(|column| labels.distinct_max(column));
            // Never more than there are rows.
            assert_eq!(found, [50, 10, 3, 50, 50]);
        }
    }
}
