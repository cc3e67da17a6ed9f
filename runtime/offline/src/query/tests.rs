//! Queries over files: what they give, and what is refused.

use std::collections::BTreeMap;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_select::concat::concat_batches;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;
use crate::testing;

fn payments(users: &[i64], amounts: &[f64]) -> RecordBatch {
    let columns: [(&str, ArrayRef); 2] = [
        ("user_id", Arc::new(Int64Array::from(users.to_vec()))),
        ("amount", Arc::new(Float64Array::from(amounts.to_vec()))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

/// Payments of two days in hive folders, and users in one file.
fn source(root: &Path, text: &str) -> Source {
    testing::write(&root.join("payments/day=1/a.parquet"), &payments(&[1, 2, 1], &[0.1, 2.0, 0.2]));
    testing::write(&root.join("payments/day=2/a.parquet"), &payments(&[1, 3], &[0.3, 4.0]));
    std::fs::write(root.join("payments/day=2/_notes.txt"), "no data").unwrap();
    let users: [(&str, ArrayRef); 2] = [
        ("user_id", Arc::new(Int64Array::from(vec![1, 2]))),
        ("country", Arc::new(StringArray::from(vec!["AT", "DE"]))),
    ];
    testing::write(&root.join("users.parquet"), &RecordBatch::try_from_iter(users).unwrap());
    let tables = [("payments", "payments"), ("users", "users.parquet")];
    let tables = tables.map(|(name, path)| (name.to_owned(), root.join(path)));
    let query = SourceQuery { text: text.to_owned(), tables: BTreeMap::from(tables) };
    Source { query: Some(query), partition: None, ..testing::source("") }
}

fn rows_of(root: &Path, text: &str) -> RecordBatch {
    let source = source(root, text);
    let (files, kept) = run(&source, source.query.as_ref().unwrap(), root, None).unwrap();
    assert_eq!((files.query.is_none(), kept.tables.len()), (true, 3));
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&files.path).unwrap()).unwrap().build().unwrap();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    let schema = schema(&source, source.query.as_ref().unwrap()).unwrap();
    let names = |schema: &Schema| schema.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
    assert_eq!(names(&schema), names(&batches[0].schema()), "the plan tells the columns");
    let folder = files.path.parent().unwrap().to_owned();
    assert!(folder.starts_with(root.join(QUERIES_FOLDER)) && folder.exists());
    drop(kept);
    assert!(!folder.exists(), "the rows go with who reads them");
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

#[test]
fn tables_are_joined_with_their_folders_as_columns() {
    let root = tempfile::tempdir().unwrap();
    let text = "select p.user_id, p.amount, p.day, u.country from payments p left join users u on p.user_id = u.user_id order by amount";
    let rows = rows_of(root.path(), text);
    let users: Vec<i64> = rows.column(0).as_primitive::<Int64Type>().values().to_vec();
    assert_eq!(users, [1, 1, 1, 2, 3]);
    let text = |column: usize| -> Vec<Option<String>> {
        let column = arrow_cast::cast(rows.column(column), &ArrowType::Utf8).unwrap();
        column.as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect()
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(text(2), [some("1"), some("1"), some("2"), some("1"), some("2")]);
    assert_eq!(text(3), [some("AT"), some("AT"), some("AT"), some("DE"), None]);
}

/// Floating-point addition is not associative: the order of rows is part of the sum, and is that of files and rows.
#[test]
fn sums_have_the_bits_of_the_files_order() {
    let root = tempfile::tempdir().unwrap();
    for _ in 0..4 {
        let rows = rows_of(
            root.path(),
            "select user_id, sum(amount) as total from payments group by user_id order by user_id",
        );
        let totals: Vec<u64> =
            rows.column(1).as_primitive::<Float64Type>().values().iter().map(|total| total.to_bits()).collect();
        assert_eq!(totals, [(0.1_f64 + 0.2 + 0.3).to_bits(), 2.0_f64.to_bits(), 4.0_f64.to_bits()]);
    }
}

#[test]
fn what_does_not_give_the_same_tomorrow_is_refused_while_planning() {
    let root = tempfile::tempdir().unwrap();
    for (text, function) in [
        ("select now() as at from payments", "now"),
        ("select user_id from payments where amount > random()", "random"),
        ("select uuid() as id from payments", "uuid"),
        ("select current_date as day from payments", "current_date"),
        ("select user_id from payments where user_id in (select cast(random() as bigint) from users)", "random"),
        ("with t as (select now() as at from users) select * from t", "now"),
    ] {
        let source = source(root.path(), text);
        let query = source.query.as_ref().unwrap();
        for error in [schema(&source, query).unwrap_err(), run(&source, query, root.path(), None).unwrap_err()] {
            let expected = format!(
                "the query of source `spendings` calls `{function}`, which does not give the same for the same rows"
            );
            assert_eq!(error.to_string(), expected, "{text}");
        }
    }
    assert_eq!(std::fs::read_dir(root.path().join(QUERIES_FOLDER)).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn a_query_that_is_none_is_told_with_its_source() {
    let root = tempfile::tempdir().unwrap();
    for (text, reason) in [
        ("select", ""),
        ("select amuont from payments", "amuont"),
        ("select * from paymets", "paymets"),
        ("create table t as select * from payments", "DDL"),
        ("copy payments to 'x.parquet'", "DML"),
        ("select 1; select 2", "statement"),
        ("select * from 'payments/day=1/a.parquet'", "payments/day=1/a.parquet"),
    ] {
        let source = source(root.path(), text);
        let error = schema(&source, source.query.as_ref().unwrap()).unwrap_err().to_string();
        assert!(
            error.starts_with("the query of source `spendings` is refused: ") && error.contains(reason),
            "{text}: {error}"
        );
    }
    let mut source = source(root.path(), "select * from payments");
    testing::write(&root.path().join("payments/elsewhere/a.parquet"), &payments(&[1], &[1.0]));
    let query = source.query.clone().unwrap();
    let error = schema(&source, &query).unwrap_err().to_string();
    assert!(error.contains("its table `payments` has files in folders of other names"), "{error}");
    std::fs::remove_dir_all(root.path().join("payments/elsewhere")).unwrap();
    source.query.as_mut().unwrap().tables.insert("users".to_owned(), root.path().join("gone"));
    let error = schema(&source, source.query.as_ref().unwrap()).unwrap_err().to_string();
    assert!(error.contains("its table `users` is not there"), "{error}");
}

/// The same tables give the same file, as old as the newest of theirs, whenever it is written.
#[test]
fn a_query_s_file_is_as_old_as_its_tables() {
    let root = tempfile::tempdir().unwrap();
    let source = source(root.path(), "select * from payments");
    let written = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000);
    for file in ["payments/day=1/a.parquet", "payments/day=2/a.parquet", "users.parquet"] {
        File::options().append(true).open(root.path().join(file)).unwrap().set_modified(written).unwrap();
    }
    let snapshot = || {
        let (files, _kept) = run(&source, source.query.as_ref().unwrap(), root.path(), None).unwrap();
        let listed = listing::list(&files, None).unwrap();
        assert_eq!(listed.partitions[0].files[0].modified, written);
        listed.snapshot()
    };
    assert_eq!(snapshot(), snapshot());
}
