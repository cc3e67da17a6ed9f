//! The same rows from every format.

use std::fs;
use std::path::PathBuf;

use tandem_core::json::encode_value;
use tandem_core::types::{DataType, ItemType};

use super::*;

fn signature() -> Signature {
    let field = |name: &str, data_type, nullable| Field::new(name, data_type, nullable);
    Signature {
        inputs: vec![
            field("amount", DataType::Float64, false),
            field("count", DataType::Int64, true),
            field("name", DataType::String, true),
            field("words", DataType::Sequence(ItemType::String), true),
            field("as_of", DataType::Timestamp, false),
        ],
        outputs: vec![field("x", DataType::Int64, false)],
        doc: String::new(),
    }
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn read(&self, name: &str, text: &str, as_of: Option<&str>, rows_max: usize) -> Result<Rows, String> {
        let as_of = as_of.map(|text| Timestamp::parse(text).unwrap());
        let signature = signature();
        let mapping = Mapping { signature: &signature, view: None, as_of, timezone: None };
        read(&self.file(name, text), &mapping, rows_max).map_err(|error| match error {
            Error::Rows { fault, .. } => fault.to_string(),
            other => other.to_string(),
        })
    }
}

/// The rows as JSON.
fn told(rows: &Rows) -> String {
    let row = |row| {
        let values = rows.inputs.columns().iter().map(|column| {
            let data_type = DataType::from_arrow(column.data_type()).unwrap();
            encode_value(column, data_type, row)
        });
        Value::from(values.collect::<Vec<_>>()).to_string()
    };
    (0..rows.inputs.num_rows()).map(row).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_text_format_gives_the_same_rows() {
    let folder = Folder::new();
    let expected = "[0.1,9223372036854775807,\"寿司\",[\"a\",\"ü\"],\"2026-01-31T12:00:00Z\"]\n\
                    [\"NaN\",null,\"\",null,\"2026-01-31T12:00:00.000001Z\"]\n\
                    [null,-1,null,[],\"1970-01-01T00:00:00Z\"]";
    let csv = "\u{feff}name,other,amount,count,words,as_of\n\
               寿司,x,0.1,9223372036854775807,\"[\"\"a\"\",\"\"ü\"\"]\",2026-01-31T13:00:00+01:00\n\
               \"\",,NaN,,,2026-01-31T12:00:00.000001Z\n\
               ,,,-1,[],0\n";
    let array = r#"[{"amount": 0.1, "count": 9223372036854775807, "name": "寿司", "words": ["a", "ü"], "as_of": "2026-01-31T12:00:00Z"},
        {"amount": "NaN", "name": "", "words": null, "as_of": "2026-01-31T12:00:00.000001Z", "other": {}},
        {"count": -1, "words": [], "as_of": 0}]"#;
    let objects: Vec<Value> = serde_json::from_str(array).unwrap();
    let lines: String = objects.iter().map(|object| format!("{object}\n")).collect();
    for (name, text) in [("a.csv", csv), ("a.json", array), ("a.JSONL", &lines), ("a.ndjson", &lines)] {
        let rows = folder.read(name, text, None, 10).unwrap();
        assert_eq!((told(&rows).as_str(), rows.total), (expected, 3), "{name}");
    }
    let first = folder.read("a.csv", csv, None, 2).unwrap();
    assert_eq!((told(&first).as_str(), first.total), (expected.rsplit_once('\n').unwrap().0, 3));
}

#[test]
fn the_instant_comes_from_one_place() {
    let folder = Folder::new();
    let without = "amount,count,name,words\n1,2,x,[]\n";
    let told = folder.read("a.csv", without, Some("2026-01-31T12:00:00Z"), 10).map(|rows| told(&rows)).unwrap();
    assert_eq!(told, "[1.0,2,\"x\",[],\"2026-01-31T12:00:00Z\"]");
    let error = folder.read("a.csv", without, None, 10).unwrap_err();
    assert_eq!(error, "no column `as_of`, and the transform asks for the instant");
    let with = "amount,count,name,words,as_of\n1,2,x,[],0\n";
    let error = folder.read("a.csv", with, Some("2026-01-31T12:00:00Z"), 10).unwrap_err();
    assert_eq!(error, "there is a column `as_of`, and --as-of was given too");
}

#[test]
fn what_is_wrong_is_named() {
    let folder = Folder::new();
    let csv = |text| folder.read("a.csv", text, Some("2026-01-31T12:00:00Z"), 10).unwrap_err();
    assert_eq!(
        csv("amount,cuont,name,words\n1,2,x,[]\n"),
        "no column `count`, which the transform takes; there is `cuont`"
    );
    assert_eq!(csv("amount,count,name,words\n"), "it has no rows");
    assert_eq!(
        csv("amount,count,name,words\n1,2,x,[]\n1,1.0,x,[]\n"),
        "`count`, row 1: int64 expected, found 1.0; hint: write an integer from -9223372036854775808 to \
         9223372036854775807, without fraction or exponent"
    );
    assert!(
        csv("amount,count,name,words\n1,2,x,a b\n")
            .starts_with("`words`, row 0: sequence[string] expected, found \"a b\"")
    );
    let json = |text| folder.read("a.json", text, None, 10).unwrap_err();
    assert!(json("[{\"amount\": \"1\"}]").starts_with("`amount`, row 0: float64 expected, found \"1\""));
    assert_eq!(json("[]"), "it has no rows");
    let error = folder.read("a.txt", "", None, 10).unwrap_err();
    assert_eq!(error, "the name of a file of rows ends in .parquet, .csv, .json, .jsonl or .ndjson");
}
