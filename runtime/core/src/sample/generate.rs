//! Rows from a signature: ordinary values, nulls, and every value at which code stumbles.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::Schema;

use super::Cell;
use super::random::Random;
use crate::types::{DataType, Field, ItemType, Signature};

/// Values that take more bytes than this are made by rows less often: samples stay small, also for signatures of wide vectors.
const SAMPLE_BYTES_MAX: usize = 16 << 20;

/// So many rows for the inputs of `signature`, in their canonical Arrow types; fewer, if they would have more than 16 MiB.
///
/// Nulls (where an input may be null), NaN, infinities, -0.0, extremes, empty, long and non-ASCII strings are among them, alone among ordinary
/// values and all at once; and rows that are there twice.
pub fn generate(signature: &Signature, seed: u64, rows: usize) -> RecordBatch {
    let inputs = &signature.inputs;
    let mut random = Random::new(seed);
    let mut made: Vec<Vec<Cell>> = Vec::new();
    for row in 0..bounded(inputs, rows) {
        let cells = match row {
            0 => inputs.iter().map(|field| ordinary(field.data_type, &mut random)).collect(),
            1 => inputs.iter().map(|field| zero(field.data_type)).collect(),
            2 => inputs.iter().map(|field| null_or(field, || zero(field.data_type))).collect(),
            _ if row % 8 == 7 => random.pick(&made), // rows that are there twice
            _ => match row % 4 {
                0 => inputs.iter().map(|field| mixed(field, &mut random)).collect(),
                // The same place of every list of edges, moved by the column's position, so that each comes to each.
                1 => (inputs.iter().enumerate())
                    .map(|(index, field)| edge(field.data_type, row / 4 + index, &mut random))
                    .collect(),
                2 => one_at_the_edge(inputs, row, &mut random),
                _ => inputs.iter().map(|field| ordinary_or_null(field, &mut random)).collect(),
            },
        };
        made.push(cells);
    }
    batch(inputs, &made)
}

/// So many rows, each one of `base` with few values changed; for transforms that refuse most of what is made up. None if `base` has none.
pub fn vary(signature: &Signature, base: &RecordBatch, seed: u64, rows: usize) -> RecordBatch {
    let inputs = &signature.inputs;
    let mut random = Random::new(seed);
    let rows = if base.num_rows() == 0 { 0 } else { bounded(inputs, rows) };
    let made: Vec<Vec<Cell>> = (0..rows)
        .map(|row| {
            let from = random.below(base.num_rows());
            let mut cells: Vec<Cell> = base.columns().iter().map(|column| Cell::of(column, from)).collect();
            for _ in 0..=row % 3 {
                if inputs.is_empty() {
                    break;
                }
                let index = random.below(inputs.len());
                cells[index] = match random.below(4) {
                    0 => edge(inputs[index].data_type, random.below(64), &mut random),
                    1 => null_or(&inputs[index], || zero(inputs[index].data_type)),
                    // Values of other rows are sensible, their combination may be new.
                    _ => Cell::of(base.column(index), random.below(base.num_rows())),
                };
            }
            cells
        })
        .collect();
    batch(inputs, &made)
}

fn batch(inputs: &[Field], rows: &[Vec<Cell>]) -> RecordBatch {
    let columns: Vec<ArrayRef> = inputs
        .iter()
        .enumerate()
        .map(|(index, field)| Cell::column(field.data_type, rows.iter().map(|cells| &cells[index])))
        .collect();
    // Nullable whatever the signature says, like every batch of inputs: given rows may have nulls where none may be.
    let fields: Vec<_> = inputs.iter().map(|field| field.to_arrow().with_nullable(true)).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
        .expect("columns of the declared types, one value a row")
}

/// At least 16 rows, whatever they weigh.
fn bounded(inputs: &[Field], rows: usize) -> usize {
    let bytes: usize = inputs
        .iter()
        .map(|field| match field.data_type {
            DataType::Float32Vector(width) => 4 * width as usize,
            DataType::Sequence(_) => 256,
            DataType::String | DataType::Binary => 512,
            _ => 8,
        })
        .sum();
    rows.min((SAMPLE_BYTES_MAX / bytes.max(1)).max(16))
}

fn null_or(field: &Field, cell: impl FnOnce() -> Cell) -> Cell {
    if field.nullable { Cell::Null } else { cell() }
}

fn ordinary_or_null(field: &Field, random: &mut Random) -> Cell {
    if field.nullable && random.one_in(4) { Cell::Null } else { ordinary(field.data_type, random) }
}

fn mixed(field: &Field, random: &mut Random) -> Cell {
    if random.one_in(2) {
        let place = random.below(64);
        edge(field.data_type, place, random)
    } else {
        ordinary_or_null(field, random)
    }
}

fn one_at_the_edge(inputs: &[Field], row: usize, random: &mut Random) -> Vec<Cell> {
    let mut cells: Vec<Cell> = inputs.iter().map(|field| ordinary(field.data_type, random)).collect();
    if !inputs.is_empty() {
        let index = row / 4 % inputs.len();
        let place = random.below(64);
        cells[index] = if random.one_in(4) && inputs[index].nullable {
            Cell::Null
        } else {
            edge(inputs[index].data_type, place, random)
        };
    }
    cells
}

fn zero(data_type: DataType) -> Cell {
    match data_type {
        DataType::Boolean => Cell::Boolean(false),
        DataType::Int64 => Cell::Int64(0),
        DataType::Float64 => Cell::Float64(0.0),
        DataType::Timestamp => Cell::Timestamp(0),
        DataType::String => Cell::String(String::new()),
        DataType::Binary => Cell::Binary(Vec::new()),
        DataType::Float32Vector(width) => Cell::Vector(vec![0.0; width as usize]),
        DataType::Sequence(ItemType::Int64) => Cell::Int64s(Vec::new()),
        DataType::Sequence(ItemType::Float64) => Cell::Float64s(Vec::new()),
        DataType::Sequence(ItemType::String) => Cell::Strings(Vec::new()),
    }
}

const INT64S: [i64; 14] = [
    i64::MAX,
    i64::MIN,
    -1,
    0,
    1,
    i64::MIN + 1,
    i64::MAX - 1,
    1 << 53,
    (1 << 53) + 1,
    i32::MAX as i64 + 1,
    i32::MIN as i64 - 1,
    u32::MAX as i64 + 1,
    255,
    -128,
];

/// One NaN: the boundary has no other. What payloads do is tried where columns are made.
const FLOAT64S: [f64; 18] = [
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    -0.0,
    0.0,
    f64::MAX,
    f64::MIN,
    f64::MIN_POSITIVE,
    5e-324,
    -5e-324,
    2.225_073_858_507_201e-308,
    0.1,
    1e23,
    9_007_199_254_740_993.0,
    9.3e18,
    -1.0,
    1e-9,
    0.5,
];

const FLOAT32S: [f32; 12] = [
    f32::NAN,
    f32::INFINITY,
    f32::NEG_INFINITY,
    -0.0,
    0.0,
    f32::MAX,
    f32::MIN,
    f32::MIN_POSITIVE,
    1e-45,
    16_777_217.0,
    0.1,
    -1.0,
];

/// 0001-01-01, 9999-12-31T23:59:59.999999Z, the edges of the epoch, a leap day, and what no calendar holds.
const TIMESTAMPS: [i64; 10] = [
    -62_135_596_800_000_000,
    253_402_300_799_999_999,
    0,
    -1,
    1,
    951_782_400_000_000,
    1_735_689_599_999_999,
    i64::MAX,
    i64::MIN,
    1_711_846_800_000_000,
];

fn strings(place: usize) -> String {
    const STRINGS: [&str; 22] = [
        "",
        " ",
        "a",
        "Zoë 東京 🦀",
        "straße",
        "STRASSE",
        "İstanbul ŉ ﬁ",
        "e\u{301}é",
        "\u{feff}bom",
        "\0",
        "a\0b",
        "\" \\ / \n\r\t",
        "\u{202e}rtl",
        "😀👩‍👩‍👧‍👦",
        "NaN",
        "null",
        "0",
        "-1e309",
        "9223372036854775808",
        "\u{10ffff}\u{e000}",
        "ǅ ẞ ς σ",
        "  padded\u{a0}",
    ];
    match place % (STRINGS.len() + 2) {
        22 => "long ".repeat(1_000),
        23 => "ünïcödé ".repeat(300),
        place => STRINGS[place].to_owned(),
    }
}

/// A value at which code stumbles; the lists are walked through by `place`.
fn edge(data_type: DataType, place: usize, random: &mut Random) -> Cell {
    match data_type {
        DataType::Boolean => Cell::Boolean(place.is_multiple_of(2)),
        DataType::Int64 => Cell::Int64(INT64S[place % INT64S.len()]),
        DataType::Float64 => Cell::Float64(FLOAT64S[place % FLOAT64S.len()]),
        DataType::Timestamp => Cell::Timestamp(TIMESTAMPS[place % TIMESTAMPS.len()]),
        DataType::String => Cell::String(strings(place)),
        DataType::Binary => Cell::Binary(match place % 5 {
            0 => vec![0xff, 0xfe, 0x00],
            1 => Vec::new(),
            2 => vec![0; 3],
            3 => (0..=255).collect(),
            _ => strings(place).into_bytes(),
        }),
        DataType::Float32Vector(width) => {
            Cell::Vector((0..width as usize).map(|index| FLOAT32S[(place + index) % FLOAT32S.len()]).collect())
        }
        DataType::Sequence(item) => {
            let length = [0, 1, 2, 7, 40][place % 5];
            let places = (0..length).map(|_| random.below(64));
            match item {
                ItemType::Int64 => Cell::Int64s(places.map(|place| INT64S[place % INT64S.len()]).collect()),
                ItemType::Float64 => Cell::Float64s(places.map(|place| FLOAT64S[place % FLOAT64S.len()]).collect()),
                ItemType::String => Cell::Strings(places.take(7).map(strings).collect()),
            }
        }
    }
}

/// A value such as data has.
fn ordinary(data_type: DataType, random: &mut Random) -> Cell {
    const WORDS: [&str; 12] =
        ["a", "card", "JFK", "LAX", "de", "EUR", "42", "acme ltd", "user_17", "2024-02-29", "Grün", "x@example.org"];
    let whole = |random: &mut Random| random.range(-20, 1_000);
    let real = |random: &mut Random| random.range(-10_000, 100_000) as f64 / 100.0;
    match data_type {
        DataType::Boolean => Cell::Boolean(random.one_in(2)),
        DataType::Int64 => Cell::Int64(whole(random)),
        DataType::Float64 => Cell::Float64(real(random)),
        // From 2000 to 2038.
        DataType::Timestamp => Cell::Timestamp(random.range(946_684_800_000_000, 2_145_916_800_000_000)),
        DataType::String => Cell::String(random.pick(&WORDS).to_owned()),
        DataType::Binary => Cell::Binary((0..random.below(9)).map(|_| random.next() as u8).collect()),
        DataType::Float32Vector(width) => {
            Cell::Vector((0..width).map(|_| random.range(-1_000, 1_000) as f32 / 1_000.0).collect())
        }
        DataType::Sequence(item) => {
            let length = random.below(6);
            match item {
                ItemType::Int64 => Cell::Int64s((0..length).map(|_| whole(random)).collect()),
                ItemType::Float64 => Cell::Float64s((0..length).map(|_| real(random)).collect()),
                ItemType::String => Cell::Strings((0..length).map(|_| random.pick(&WORDS).to_owned()).collect()),
            }
        }
    }
}
