use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray};
use proptest::prelude::*;

use super::*;

fn columns() -> Vec<EventColumn> {
    let types = [
        ("amount", DataType::Float64),
        ("count", DataType::Int64),
        ("kind", DataType::String),
        ("declined", DataType::Boolean),
        ("at", DataType::Timestamp),
        ("in", DataType::Int64),
        ("raw", DataType::Binary),
    ];
    let column =
        |(name, data_type): (&str, DataType)| EventColumn { name: name.to_owned(), column: name.to_owned(), data_type };
    types.map(column).into()
}

/// Rows: all there, all null, and one with NaN and -0.0.
fn rows() -> Vec<Column> {
    let arrays: [ArrayRef; 7] = [
        Arc::new(Float64Array::from(vec![Some(12.5), None, Some(f64::NAN)])),
        Arc::new(Int64Array::from(vec![Some(3), None, Some(-1)])),
        Arc::new(StringArray::from(vec![Some("it's"), None, Some("card")])),
        Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])),
        Arc::new(TimestampMicrosecondArray::from(vec![Some(0), None, Some(1)]).with_timezone("UTC")),
        Arc::new(Int64Array::from(vec![Some(3), None, Some(0)])),
        Arc::new(arrow_array::BinaryArray::from_opt_vec(vec![Some(b"x"), None, Some(b"y")])),
    ];
    arrays.iter().map(|array| Column::new(array).unwrap()).collect()
}

#[test]
fn rows_pass_as_sql_would_let_them() {
    let (columns, rows) = (columns(), rows());
    for (text, expected) in [
        ("amount > 12", [true, false, false]),
        ("not amount > 12", [false, false, true]),
        ("amount != 12.5", [false, false, true]),
        ("12.5 = amount", [true, false, false]),
        ("amount is null or count = 3", [true, true, false]),
        ("amount is not null", [true, false, true]),
        ("declined", [true, false, false]),
        ("NOT declined", [false, false, true]),
        ("kind in ('it''s', 'cash')", [true, false, false]),
        ("kind not in ('it''s')", [false, false, true]),
        ("kind >= 'd'", [true, false, false]),
        ("at > '1970-01-01T00:00:00Z'", [false, false, true]),
        ("count = \"in\"", [true, false, false]),
        ("count <> 3 and kind = 'card' or amount > 1e1 and count <= 3", [true, false, true]),
        ("(count <> 3 or declined) and (kind = 'card' or amount > +0.5)", [true, false, true]),
        ("raw is not null and count < 0", [false, false, true]),
        ("amount = 1 or count is null", [false, true, false]),
    ] {
        let filter = Filter::parse(text, &columns).unwrap_or_else(|error| panic!("{text}: {error}"));
        let found = [0, 1, 2].map(|row| filter.passes(&rows, row));
        assert_eq!(found, expected, "{text}");
        let again = Filter::parse(&filter.to_string(), &columns).unwrap_or_else(|error| panic!("{filter}: {error}"));
        assert_eq!(again, filter, "{text}");
        assert_eq!(again.to_string(), filter.to_string());
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let columns = columns();
    for (text, message) in [
        ("", "a column or a value is missing at the end, at character 1"),
        ("amount", "`amount` is float64 and no condition by itself, at character 1"),
        ("amont > 1", "`amont` is not a column of the events, at character 1"),
        ("amount > ", "a column or a value is missing at the end, at character 10"),
        ("amount > 'x'", "'x' is no float64, which `amount` is, at character 10"),
        ("count = 1.5", "`1.5` is no int64, which `count` is, at character 9"),
        ("count = 99999999999999999999", "`99999999999999999999` is no int64, which `count` is, at character 9"),
        ("kind = card", "`card` is not a column of the events, at character 8"),
        ("kind = null", "nothing compares with `null`, at character 8"),
        ("amount > count", "`amount` is float64 and `count` is int64, at character 10"),
        ("raw = 'x'", "`raw` is binary, which does not compare, at character 7"),
        ("at > '2024'", "'2024' is no timestamp, which `at` is, at character 6"),
        ("kind = 'x", "a quote is not closed, at character 8"),
        ("(count = 1", "`)` is missing at the end, at character 11"),
        ("count = 1 2", "`2` cannot stand here, at character 11"),
        ("count not 1", "`in` is missing before `1`, at character 11"),
        ("count in (1, )", "a value is missing before `)`, at character 14"),
        ("count in 1", "`(` is missing before `1`, at character 10"),
        ("1 = 1", "two values are compared with each other, at character 5"),
        ("amount > inf", "`inf` is not a column of the events, at character 10"),
        ("amount > 1e999", "`1e999` is no float64, which `amount` is, at character 10"),
        ("count ; 1", "`;` cannot stand here, at character 7"),
        ("declined is 1", "`null` is missing before `1`, at character 13"),
    ] {
        assert_eq!(Filter::parse(text, &columns).unwrap_err().to_string(), message, "{text}");
    }
    let deep = format!("{}declined{}", "(".repeat(100), ")".repeat(100));
    assert!(Filter::parse(&deep, &columns).unwrap_err().to_string().contains("too deep"));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[a-z0-9 ()'\"<>=!,.+-]{0,40}|(amount|count|kind|declined|and|or|not|in|is|null|[(]|[)]|=|<|1|'x'| ){0,20}") {
        if let Ok(filter) = Filter::parse(&text, &columns()) {
            prop_assert_eq!(Filter::parse(&filter.to_string(), &columns()).unwrap(), filter);
        }
    }
}
