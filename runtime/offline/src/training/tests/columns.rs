//! Views of columns: their source's files give what a batch would have published of them.

use arrow_array::{ArrayRef, Int32Array, TimestampMillisecondArray};
use tandem_core::hash::Digest;
use tandem_core::model::{Allowed, ColumnContract, ColumnFeature, OnError, SourceContract};

use super::*;

/// The view of [`testing::view`] over the source's own columns `doubled` and `weekday`, without a partition column.
pub(super) fn of_columns(source: &Path) -> BoundView {
    let mut view = testing::view(source);
    let feature = |name: &str, column: &str, data_type| ColumnFeature {
        name: name.to_owned(),
        column: column.to_owned(),
        data_type,
        description: String::new(),
    };
    view.view.columns =
        vec![feature("doubled", "doubled", DataType::Float64), feature("day", "weekday", DataType::String)];
    view.view.inputs = BTreeMap::from([("day".to_owned(), InputSource::Column("weekday".to_owned()))]);
    (view.signature, view.digest) = view.view.declared().unwrap();
    let mut files = testing::source(source);
    files.partition = None;
    view.view.source = ViewSource::Files(Arc::new(files));
    view
}

/// Rows as a source has them: other names, narrower types, an order of its own.
pub(super) fn source_rows(rows: &[(Option<i64>, &Row)]) -> RecordBatch {
    let columns: [(&str, ArrayRef); 7] = [
        ("unused", Arc::new(StringArray::from_iter_values(rows.iter().map(|_| "é")))),
        ("weekday", Arc::new(rows.iter().map(|row| row.1.day).collect::<StringArray>())),
        ("doubled", Arc::new(rows.iter().map(|row| row.1.doubled).collect::<Float64Array>())),
        ("offset", Arc::new(rows.iter().map(|row| row.1.sequence.map(|n| n as i32)).collect::<Int32Array>())),
        ("known_at", Arc::new(rows.iter().map(|row| row.1.created).collect::<TimestampMicrosecondArray>())),
        ("at", Arc::new(rows.iter().map(|row| row.0).collect::<TimestampMicrosecondArray>())),
        ("user", Arc::new(rows.iter().map(|row| row.1.user.map(|n| n as i32)).collect::<Int32Array>())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()
}

/// Writes a source's file in row groups of two.
pub(super) fn write_source(path: &Path, rows: &RecordBatch) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(2)).build();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), rows.schema(), Some(properties)).unwrap();
    writer.write(rows).unwrap();
    writer.close().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_source_gives_what_its_published_rows_would(
        days in proptest::collection::vec(proptest::collection::vec((row(), 0..8_u8), 0..9), 1..4),
        asked in proptest::collection::vec((proptest::option::of(0..4_i64), -6..7_i64), 0..12),
        known_by in prop_oneof![Just(KnownBy::Created), Just(KnownBy::Published), Just(KnownBy::Event)],
        delay in proptest::option::of(0..5_u64),
        ttl in proptest::option::of(0..5_u64),
    ) {
        let root = tempfile::tempdir().unwrap();
        let source = root.path().join("source");
        let (mut published, mut columns) = (testing::view("unused"), of_columns(&source));
        for view in [&mut published, &mut columns] {
            view.view.known_by = known_by;
            view.view.ttl = ttl.map(Duration::from_micros);
            view.view.publish_delay = delay.map(Duration::from_micros);
            view.view.on_error = OnError::Quarantine;
        }
        for (day, rows) in days.iter().enumerate() {
            // Nobody published them; one in eight has no event time, and is set aside.
            let unpublished = rows.iter().map(|(row, _)| Row { published: None, history: [None; 4], ..row.clone() });
            let rows: Vec<(Row, bool)> = unpublished.zip(rows.iter().map(|row| row.1 == 0)).collect();
            let kept: Vec<Row> = rows.iter().filter(|row| !row.1).map(|row| row.0.clone()).collect();
            publish(root.path(), &published, &format!("date=2026-01-0{}", day + 1), &kept);
            let all: Vec<_> = rows.iter().map(|(row, lost)| ((!lost).then_some(row.event), row)).collect();
            write_source(&source.join(format!("{day}.parquet")), &source_rows(&all));
        }
        let given = all(&TrainingSet::prepare(request(root.path(), &columns, labels(&asked))).unwrap());
        let expected = all(&TrainingSet::prepare(request(root.path(), &published, labels(&asked))).unwrap());
        prop_assert_eq!(given.columns(), expected.columns());
    }
}

/// Two days of a user in hive partitions, the feature `day` from the folders' names.
fn partitioned(source: &Path) -> BoundView {
    const DAY: i64 = 86_400_000;
    for (day, value) in [(0, 1.0), (1, 2.0)] {
        let columns: [(&str, ArrayRef); 4] = [
            ("user", Arc::new(Int64Array::from(vec![1]))),
            ("at", Arc::new(TimestampMillisecondArray::from(vec![testing::NEW_YEAR + day * DAY + 5]))),
            ("doubled", Arc::new(Float64Array::from(vec![value]))),
            ("offset", Arc::new(Int64Array::from(vec![day]))),
        ];
        let rows = RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap();
        write_source(&source.join(format!("date=2026-01-0{}/a.parquet", day + 1)), &rows);
    }
    let mut view = of_columns(source);
    let mut files = testing::source(source);
    files.created_time = None;
    view.view.source = ViewSource::Files(Arc::new(files));
    view.view.known_by = KnownBy::Event;
    view.view.inputs = BTreeMap::from([("day".to_owned(), InputSource::Column("date".to_owned()))]);
    view
}

#[test]
fn partitions_after_the_last_label_are_not_read_and_older_ones_are() {
    const DAY: i64 = 86_400_000_000;
    let root = tempfile::tempdir().unwrap();
    let mut view = partitioned(&root.path().join("source"));
    view.view.ttl = Some(Duration::from_micros(3_600_000_000));
    let first = testing::NEW_YEAR * 1_000;
    let asked = |instants: &[i64]| {
        let asked: Vec<_> = instants.iter().map(|instant| (Some(1), first + instant)).collect();
        let set = TrainingSet::prepare(request(root.path(), &view, labels(&asked))).unwrap();
        let found = all(&set);
        let days: Vec<_> = found.column(3).as_string::<i32>().iter().map(|day| day.map(str::to_owned)).collect();
        let statuses: Vec<_> = found.column(5).as_string::<i32>().iter().flatten().map(str::to_owned).collect();
        (days, statuses, set.report().views[0].rows_read)
    };
    let day = |text: &str| Some(text.to_owned());
    assert_eq!(
        asked(&[6_000, DAY - 1]),
        (vec![day("2026-01-01"), None], vec!["PRESENT".to_owned(), "OUTSIDE_MAX_AGE".to_owned()], 1)
    );
    // A row of the first day is known to be too old, not to be none.
    let last = asked(&[6_000, DAY + 6_000, 9 * DAY]);
    assert_eq!(last.0, [day("2026-01-01"), day("2026-01-02"), None]);
    assert_eq!((last.1[2].as_str(), last.2), ("OUTSIDE_MAX_AGE", 2));
}

#[test]
fn what_is_wrong_with_a_value_has_its_file_and_row() {
    let root = tempfile::tempdir().unwrap();
    let source = root.path().join("source");
    let row = Row {
        user: Some(1),
        event: 3,
        created: Some(3),
        published: None,
        sequence: None,
        history: [None; 4],
        doubled: Some(0.5),
        day: None,
    };
    let rows: Vec<Row> = (0..5).map(|n| Row { event: n, doubled: Some(n as f64 + 0.5), ..row.clone() }).collect();
    write_source(
        &source.join("a.parquet"),
        &source_rows(&rows.iter().map(|row| (Some(row.event), row)).collect::<Vec<_>>()),
    );
    let mut view = of_columns(&source);
    view.view.known_by = KnownBy::Event;
    view.view.on_error = OnError::Fail;
    let joined = |view: &BoundView| {
        let set = TrainingSet::prepare(request(root.path(), view, labels(&[(Some(1), 4)])))
            .and_then(|set| Ok((read(&set)?, set.report())));
        set.map_err(|error| error.to_string())
    };
    assert_eq!(joined(&view).unwrap().0.column(4).as_primitive::<Float64Type>().value(0), 3.5);
    // The greatest number of row 3, which wins, is no int64.
    let plain = source_rows(&rows.iter().map(|row| (Some(row.event), row)).collect::<Vec<_>>());
    let mut big: Vec<u64> = vec![0; 5];
    big[3] = u64::MAX;
    let schema = plain.schema();
    let columns = schema.fields().iter().map(|field| field.name().clone()).zip(plain.columns().to_vec());
    let big: ArrayRef = Arc::new(arrow_array::UInt64Array::from(big));
    let with_big = RecordBatch::try_from_iter(columns.chain([("big".to_owned(), big)])).unwrap();
    write_source(&source.join("a.parquet"), &with_big);
    view.view.columns[0] = ColumnFeature {
        name: "doubled".to_owned(),
        column: "big".to_owned(),
        data_type: DataType::Int64,
        description: String::new(),
    };
    view.view.inputs.insert("doubled".to_owned(), InputSource::Column("big".to_owned()));
    view.signature = view.view.declared().unwrap().0;
    let error = joined(&view).unwrap_err();
    assert!(error.contains("a.parquet") && error.contains("`big`, row 3"), "{error}");

    let mut nothing = rows.clone();
    nothing[1].user = None;
    let lost: Vec<_> = nothing.iter().enumerate().map(|(at, row)| ((at != 2).then_some(row.event), row)).collect();
    write_source(&source.join("a.parquet"), &source_rows(&lost));
    let mut view = of_columns(&source);
    view.view.known_by = KnownBy::Event;
    view.view.on_error = OnError::Fail;
    let error = joined(&view).unwrap_err();
    assert!(error.contains("a.parquet") && error.contains("row 2"), "{error}");
    view.view.on_error = OnError::Quarantine;
    let report = joined(&view).unwrap().1.views[0].clone();
    assert_eq!((report.rows_read, report.rows_set_aside, report.rows_without_key), (5, 1, 1));

    let mut view = of_columns(&source);
    view.digest = Digest([0; 32]);
    view.view.inputs = BTreeMap::from([("day".to_owned(), InputSource::Column("weekdy".to_owned()))]);
    let error = joined(&view).unwrap_err();
    assert!(error.contains("weekdy") && error.contains("feature `day`"), "{error}");
}

#[test]
fn rows_that_break_the_contract_are_joined_to_nothing() {
    let root = tempfile::tempdir().unwrap();
    let source = root.path().join("source");
    let row = |event, doubled, day| Row {
        user: Some(1),
        event,
        created: None,
        published: None,
        sequence: None,
        history: [None; 4],
        doubled,
        day: Some(day),
    };
    // The third row is broken in a column of which nothing is asked.
    let rows = [row(1, Some(1.0), "mon"), row(2, Some(2.0), "tue"), row(3, Some(3.0), "x"), row(4, None, "tue")];
    write_source(
        &source.join("a.parquet"),
        &source_rows(&rows.iter().map(|row| (Some(row.event), row)).collect::<Vec<_>>()),
    );
    let mut view = of_columns(&source);
    view.view.known_by = KnownBy::Event;
    view.view.on_error = OnError::Fail;
    let column = |name: &str, data_type| ColumnContract {
        name: name.to_owned(),
        data_type,
        nullable: true,
        allowed: None,
        min: None,
        max: None,
    };
    let days = Some(Allowed::Texts(vec!["mon".to_owned(), "tue".to_owned()]));
    let columns = vec![
        ColumnContract { nullable: false, ..column("doubled", DataType::Float64) },
        ColumnContract { allowed: days, ..column("weekday", DataType::String) },
    ];
    let promised = |view: &mut BoundView, on_violation| {
        let ViewSource::Files(files) = &mut view.view.source else { panic!("a source of files") };
        Arc::make_mut(files).contract = SourceContract { columns: columns.clone(), on_violation };
    };
    let asked = [(Some(1), 2), (Some(1), 4), (Some(1), 9)];
    promised(&mut view, OnError::Quarantine);
    let set = TrainingSet::prepare(request(root.path(), &view, labels(&asked))).unwrap();
    let found = all(&set);
    let doubled: Vec<_> = found.column(4).as_primitive::<Float64Type>().iter().collect();
    assert_eq!(doubled, [Some(1.0), Some(2.0), Some(2.0)]);
    let report = set.report().views[0].clone();
    assert_eq!((report.rows_read, report.rows_set_aside, report.rows_breaking_contract), (4, 2, 2));

    promised(&mut view, OnError::Fail);
    let error =
        TrainingSet::prepare(request(root.path(), &view, labels(&asked))).and_then(|set| read(&set)).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("a.parquet: row 2 breaks the contract") && error.contains("\"x\" is none of"), "{error}");
}
