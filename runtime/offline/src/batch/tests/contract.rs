//! The contract of a source, over the rows of a run.

use tandem_core::model::{Allowed, ColumnContract, SourceContract};
use tandem_core::types::DataType;

use super::*;

fn column(name: &str, data_type: DataType) -> ColumnContract {
    ColumnContract { name: name.to_owned(), data_type, nullable: true, allowed: None, min: None, max: None }
}

fn promised(view: &mut BoundView, columns: Vec<ColumnContract>, on_violation: OnError) {
    let ViewSource::Files(source) = &mut view.view.source else { panic!("a source of files") };
    Arc::make_mut(source).contract = SourceContract { columns, on_violation };
}

fn errors(root: &Path) -> Vec<(i64, String)> {
    let aside = read(&root.join(DAY_ONE_QUARANTINE));
    let column = |name: &str| Arc::clone(aside.column_by_name(name).unwrap());
    let (rows, errors) = (column("source_row"), column("error"));
    let errors = errors.as_string::<i32>();
    (0..aside.num_rows())
        .map(|row| (rows.as_primitive::<Int64Type>().value(row), errors.value(row).to_owned()))
        .collect()
}

#[tokio::test]
async fn rows_that_break_the_contract_stop_the_run_or_are_set_aside() {
    let (source, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    one_file(
        source.path(),
        &[
            (1, Some(NEW_YEAR), Some(1.0)),
            (2, Some(NEW_YEAR), None),
            (3, Some(NEW_YEAR), Some(-5.0)),
            (4, Some(NEW_YEAR), Some(UNLUCKY)),
            (7, Some(NEW_YEAR), Some(2.0)),
        ],
    );
    let mut view = view(source.path());
    let amount = ColumnContract { nullable: false, min: Some(0.0), ..column("amount", DataType::Float64) };
    let user = ColumnContract { allowed: Some(Allowed::Integers(vec![1, 2, 3, 4])), ..column("user", DataType::Int64) };
    promised(&mut view, vec![user, amount], OnError::Fail);
    // What stops the run is for the source to say, whatever the view does with rows that fail.
    let error = run(&view, output.path(), None).await.unwrap_err();
    let expected = "date=2026-01-01/a.parquet: row 1 breaks the contract of source `spendings`: \
        column `amount`: null, and it is promised to have a value (3 of 5 rows do)";
    assert!(error.to_string().ends_with(expected), "{error}");
    assert!(error.hint().unwrap().contains("on_violation"));
    assert_eq!(names(output.path()), Vec::<String>::new());

    let ViewSource::Files(files) = &mut view.view.source else { panic!("a source of files") };
    Arc::make_mut(files).contract.on_violation = OnError::Quarantine;
    let report = run(&view, output.path(), None).await.unwrap();
    let expected = RowCounts {
        rows_in: 5,
        rows_out: 1,
        added: 1,
        quarantined: 4,
        quarantined_contract: 3,
        ..RowCounts::default()
    };
    assert_eq!(report.rows(), expected);
    let of_source = "the contract of source `spendings`: column";
    let expected = [
        (1, format!("{of_source} `amount`: null, and it is promised to have a value")),
        (2, format!("{of_source} `amount`: -5 lies outside 0..=")),
        (3, "amount is unlucky".to_owned()),
        (4, format!("{of_source} `user`: 7 is none of [1, 2, 3, 4]")),
    ];
    assert_eq!(errors(output.path()), expected);

    // And it is for the view alone what becomes of the others.
    view.view.on_error = OnError::Fail;
    let error = run(&view, output.path(), None).await.unwrap_err();
    assert!(matches!(error, OfflineError::RowsFailed { failed: 1, .. }), "{error}");
}

#[tokio::test]
async fn a_column_that_no_view_reads_is_held_to_the_contract_too() {
    let (source, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let batch = source_batch(&rows(NEW_YEAR, 300));
    let file = source.path().join("date=2026-01-01/a.parquet");
    let mut view = view(source.path());
    view.view.on_error = OnError::Fail;
    promised(&mut view, vec![column("weight", DataType::Int64)], OnError::Quarantine);
    write(&file, &batch);
    let error = run(&view, output.path(), None).await.unwrap_err().to_string();
    assert!(
        error.ends_with("a.parquet has no column `weight`, which the contract of source `spendings` needs"),
        "{error}"
    );

    // Half of the values are no int64: they are counted and set aside, never rounded.
    let weights: ArrayRef = Arc::new(arrow_array::UInt64Array::from_iter_values(
        (0..300_u64).map(|n| if n % 2 == 0 { n } else { u64::MAX - n }),
    ));
    let columns = batch.schema().fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
    let with = |weights: ArrayRef| {
        let columns = columns.iter().cloned().zip(batch.columns().iter().cloned());
        RecordBatch::try_from_iter_with_nullable(
            columns.chain([("weight".to_owned(), weights)]).map(|(n, c)| (n, c, true)),
        )
    };
    write(&file, &with(weights).unwrap());
    let report = run(&view, output.path(), None).await.unwrap();
    assert_eq!((report.rows().rows_out, report.rows().quarantined_contract), (150, 150));
    let found = errors(output.path());
    assert_eq!(
        found.iter().map(|(row, _)| *row).collect::<Vec<_>>(),
        (0..300).filter(|n| n % 2 == 1).collect::<Vec<_>>()
    );
    assert!(
        found[0].1.starts_with("the contract of source `spendings`: column `weight`: 18446744073709551614 "),
        "{}",
        found[0].1
    );

    // A type is of all rows: it stops the run, whatever is done with rows.
    let texts: ArrayRef = Arc::new(arrow_array::StringArray::from_iter_values((0..300).map(|n| n.to_string())));
    write(&file, &with(texts).unwrap());
    let error = run(&view, output.path(), None).await.unwrap_err();
    assert!(matches!(error, OfflineError::ContractType { .. }), "{error}");
    assert!(error.to_string().contains("`weight`"), "{error}");
}
