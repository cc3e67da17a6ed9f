use super::*;
use crate::canonical::encode_row;
use crate::types::{DataType, Field, ItemType, Signature};

fn every_type() -> Signature {
    let types = [
        DataType::Boolean,
        DataType::Int64,
        DataType::Float64,
        DataType::Timestamp,
        DataType::String,
        DataType::Binary,
        DataType::Float32Vector(3),
        DataType::Sequence(ItemType::Int64),
        DataType::Sequence(ItemType::Float64),
        DataType::Sequence(ItemType::String),
    ];
    let field = |(index, data_type): (usize, DataType)| Field::new(format!("f{index}"), data_type, index % 2 == 0);
    let inputs = types.into_iter().chain(types).enumerate().map(field).collect();
    Signature { inputs, outputs: vec![Field::new("out", DataType::Int64, false)], doc: String::new() }
}

#[test]
fn the_same_seed_gives_the_same_rows() {
    let signature = every_type();
    let rows = generate(&signature, 7, 256);
    assert_eq!(rows.num_rows(), 256);
    assert_eq!(rows, generate(&signature, 7, 256));
    assert_ne!(rows, generate(&signature, 8, 256));
    // The digest of the rows of a small signature: they are the same on every machine, and golden vectors count on it.
    let small = Signature { inputs: vec![Field::new("x", DataType::Float64, true)], ..signature };
    let rows = generate(&small, 0, 64);
    let mut bytes = Vec::new();
    (0..64).for_each(|row| encode_row(rows.columns(), row, &mut bytes));
    let digest = crate::hash::Digest::of(&bytes).to_string();
    assert_eq!(digest, "sha256:97f403bec221ba5dc8580e5859af23db513a5b155113bf58dab3948f7499682f");
}

#[test]
fn nulls_are_where_they_may_be_and_edges_come_to_every_column() {
    let signature = every_type();
    let rows = generate(&signature, 0, 256);
    for (field, column) in std::iter::zip(&signature.inputs, rows.columns()) {
        assert_eq!(column.null_count() > 0, field.nullable, "{}", field.name);
        assert_eq!(DataType::from_arrow(column.data_type()), Some(field.data_type));
        let cells: Vec<_> = (0..rows.num_rows()).map(|row| Cell::of(column, row)).collect();
        let has = |what: &str, found: &dyn Fn(&Cell) -> bool| {
            assert!(cells.iter().any(found), "{}: {what}", field.name);
        };
        match field.data_type {
            DataType::Float64 => {
                has("NaN", &|cell| matches!(cell, Cell::Float64(value) if value.is_nan()));
                has("-0.0", &|cell| matches!(cell, Cell::Float64(value) if value.to_bits() == 1 << 63));
                has("infinity", &|cell| matches!(cell, Cell::Float64(f64::INFINITY)));
                has("a subnormal", &|cell| matches!(cell, Cell::Float64(value) if value.is_subnormal()));
            }
            DataType::Int64 => {
                has("the least", &|cell| matches!(cell, Cell::Int64(i64::MIN)));
                has("the greatest", &|cell| matches!(cell, Cell::Int64(i64::MAX)));
            }
            DataType::Timestamp => has("before the epoch", &|cell| matches!(cell, Cell::Timestamp(..0))),
            DataType::String => {
                has("an empty one", &|cell| matches!(cell, Cell::String(text) if text.is_empty()));
                has("a long one", &|cell| matches!(cell, Cell::String(text) if text.len() > 1_000));
                has("a non-ASCII one", &|cell| matches!(cell, Cell::String(text) if !text.is_ascii()));
            }
            DataType::Sequence(ItemType::String) => {
                has("an empty one", &|cell| matches!(cell, Cell::Strings(items) if items.is_empty()));
            }
            _ => {}
        }
    }
    let whole: Vec<Vec<u8>> = (0..rows.num_rows())
        .map(|row| {
            let mut bytes = Vec::new();
            encode_row(rows.columns(), row, &mut bytes);
            bytes
        })
        .collect();
    assert!(whole.iter().enumerate().any(|(row, bytes)| whole[..row].contains(bytes)), "a row is there twice");
}

#[test]
fn wide_rows_are_fewer() {
    let wide = Field::new("v", DataType::Float32Vector(65_536), false);
    let signature = Signature { inputs: vec![wide], ..every_type() };
    assert_eq!(generate(&signature, 0, 256).num_rows(), 64);
    let none = Signature { inputs: vec![], ..every_type() };
    assert_eq!(generate(&none, 0, 9).num_rows(), 9);
    assert_eq!(vary(&none, &generate(&none, 0, 9), 0, 5).num_rows(), 5);
}

#[test]
fn varied_rows_are_mostly_like_their_base() {
    let signature = every_type();
    let base = generate(&signature, 0, 1);
    let varied = vary(&signature, &base, 1, 50);
    let same = |row: usize| {
        (0..signature.inputs.len())
            .filter(|column| Cell::of(base.column(*column), 0).is_same(&Cell::of(varied.column(*column), row)))
            .count()
    };
    assert!((0..50).all(|row| same(row) >= signature.inputs.len() - 3));
    assert!((0..50).any(|row| same(row) < signature.inputs.len()));
    assert_eq!(vary(&signature, &base.slice(0, 0), 1, 50).num_rows(), 0);
}

#[test]
fn cells_survive_columns() {
    let signature = every_type();
    let rows = generate(&signature, 3, 64);
    for (field, column) in std::iter::zip(&signature.inputs, rows.columns()) {
        let cells: Vec<_> = (0..rows.num_rows()).map(|row| Cell::of(column, row)).collect();
        assert_eq!(&Cell::column(field.data_type, &cells), column, "{}", field.name);
    }
}

#[test]
fn what_is_simpler_weighs_less_and_ends() {
    let signature = every_type();
    let rows = generate(&signature, 5, 64);
    for (field, column) in std::iter::zip(&signature.inputs, rows.columns()) {
        for row in 0..rows.num_rows() {
            let mut cell = Cell::of(column, row);
            let mut steps = 0;
            while let Some(simpler) = cell.simpler(field.nullable).into_iter().last() {
                assert!(simpler.weight() < cell.weight(), "{cell:?} to {simpler:?}");
                cell = simpler;
                steps += 1;
                assert!(steps < 20_000, "{cell:?}");
            }
        }
    }
    let simplest = |cell: Cell| format!("{:?}", cell.simpler(false).first());
    assert_eq!(simplest(Cell::Float64(3.7)), "Some(Float64(0.0))");
    assert_eq!(simplest(Cell::String("x".to_owned())), "Some(String(\"\"))");
    assert_eq!(simplest(Cell::Int64(0)), "None");
}

#[test]
fn bits_are_shown_and_cut() {
    assert_eq!(Cell::Float64(-0.0).bits(), "0x8000000000000000");
    assert_eq!(Cell::Int64(-1).bits(), "0xffffffffffffffff");
    assert_eq!(Cell::Boolean(true).bits(), "1");
    assert_eq!(Cell::String("é".to_owned()).bits(), "c3a9");
    assert_eq!(Cell::Binary(Vec::new()).bits(), "no bytes");
    assert_eq!(Cell::Vector(vec![1.0]).bits(), "[0x3f800000]");
    assert!(Cell::Binary(vec![0; 65]).bits().ends_with("00… (65 bytes)"));
    assert!(Cell::Int64s(vec![0; 9]).bits().ends_with(", … (9 items)]"));
    assert!(Cell::Float64(f64::NAN).is_same(&Cell::Float64(-f64::NAN)));
    assert!(!Cell::Float64(0.0).is_same(&Cell::Float64(-0.0)));
    assert!(!Cell::Null.is_same(&Cell::Int64(0)) && Cell::Null.is_same(&Cell::Null));
    assert!(!Cell::Timestamp(0).is_same(&Cell::Int64(0)));
}
