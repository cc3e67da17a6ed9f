//! Attacks, one for each mode: a call that has a row with the mode is answered as the mode says. It speaks the contract's own types, since
//! the everyday form cannot answer wrongly.

use std::hint::black_box;
use std::sync::atomic::{AtomicI64, Ordering};

use tandem_sdk::contract::{
    Column, DataType, Field, ItemType, Items, Outcome, Parameter, RowFailure, Sequences, Signature, Values, VarBytes,
    Vectors,
};
use tandem_sdk::{CallError, Transform};

/// What a mode does to the call that has it; every other mode is answered rightly, with twice its value.
pub mod mode {
    pub const PANIC: i64 = 1;
    pub const SPIN: i64 = 2;
    pub const ALLOCATE: i64 = 3;
    pub const RECURSE: i64 = 4;
    pub const OUTPUT_TOO_LARGE: i64 = 5;
    pub const FAILURE: i64 = 6;
    pub const LONG_MESSAGE: i64 = 7;
    pub const ROW_MISSING: i64 = 10;
    pub const COLUMN_MISSING: i64 = 11;
    pub const OTHER_TYPE: i64 = 12;
    pub const VALIDITY_TOO_LONG: i64 = 13;
    pub const NULL_WHERE_NONE_MAY_BE: i64 = 14;
    pub const BOOLEAN_TWO: i64 = 15;
    pub const NO_OFFSETS: i64 = 16;
    pub const FIRST_OFFSET: i64 = 17;
    pub const OFFSETS_DECREASE: i64 = 18;
    pub const LAST_OFFSET: i64 = 19;
    pub const NOT_UTF8: i64 = 20;
    pub const OFFSET_INSIDE_CHARACTER: i64 = 21;
    pub const VECTOR_WIDTH: i64 = 22;
    pub const VECTOR_VALUES: i64 = 23;
    pub const OTHER_ITEMS: i64 = 24;
    pub const FAILED_ROW_BEYOND: i64 = 25;
    pub const FAILED_ROW_TWICE: i64 = 26;
    /// From here on within the contract.
    pub const STRAY_NAN: i64 = 30;
    pub const JUNK_UNDER_NULL: i64 = 31;
    /// Answered with the number of calls that the instance has had.
    pub const COUNT_CALLS: i64 = 40;
}

pub struct Misbehaving;

#[cfg(target_arch = "wasm32")]
tandem_sdk::bindings::export!(Misbehaving with_types_in tandem_sdk::bindings);

static CALLS: AtomicI64 = AtomicI64::new(0);

impl Transform for Misbehaving {
    fn describe(_: &[Parameter]) -> Result<Signature, CallError> {
        let field =
            |name: &str, data_type, nullable| Field { name: name.into(), data_type, nullable, doc: String::new() };
        Ok(Signature {
            inputs: vec![field("mode", DataType::Int64, false)],
            outputs: vec![
                field("value", DataType::Int64, false),
                field("flag", DataType::Boolean, false),
                field("text", DataType::String, true),
                field("vector", DataType::Float32Vector(2), true),
                field("items", DataType::Sequence(ItemType::String), true),
                field("real", DataType::Float64, true),
            ],
            doc: String::new(),
        })
    }

    fn apply(_: &[Parameter], rows: u32, inputs: &[Column]) -> Result<Outcome, CallError> {
        let calls = CALLS.fetch_add(1, Ordering::Relaxed) + 1;
        let Values::Int64s(modes) = &inputs[0].values else { panic!("declared as int64") };
        assert_eq!(modes.len(), rows as usize);
        let mut answer = right(modes, calls);
        for (row, mode) in modes.iter().enumerate() {
            attack(*mode, row, &mut answer)?;
        }
        Ok(answer)
    }
}

/// The answer to modes without an attack; `text` and `items` hold "é", so that there is an offset inside a character.
fn right(modes: &[i64], calls: i64) -> Outcome {
    let rows = modes.len() as u32;
    let text =
        || VarBytes { offsets: (0..=rows).map(|row| row * 2).collect(), data: "é".repeat(modes.len()).into_bytes() };
    let value = |mode: &i64| if *mode == mode::COUNT_CALLS { calls } else { mode.wrapping_mul(2) };
    let items = Sequences { offsets: (0..=rows).collect(), items: Items::Strings(text()) };
    let column = |values| Column { values, validity: None };
    Outcome {
        columns: vec![
            column(Values::Int64s(modes.iter().map(value).collect())),
            column(Values::Booleans(modes.iter().map(|mode| (mode & 1) as u8).collect())),
            column(Values::Strings(text())),
            column(Values::Float32Vectors(Vectors { width: 2, data: vec![0.5; modes.len() * 2] })),
            column(Values::Sequences(items)),
            column(Values::Float64s(modes.iter().map(|mode| *mode as f64).collect())),
        ],
        failed_rows: Vec::new(),
    }
}

fn attack(mode: i64, row: usize, answer: &mut Outcome) -> Result<(), CallError> {
    match mode {
        mode::PANIC => panic!("as asked"),
        mode::SPIN => loop {
            black_box(());
        },
        mode::ALLOCATE => {
            let mut kept = Vec::new();
            loop {
                kept.push(black_box(Vec::<u8>::with_capacity(1 << 20)));
            }
        }
        mode::RECURSE => {
            black_box(recurse(black_box(u64::MAX)));
        }
        mode::OUTPUT_TOO_LARGE => {
            let bytes = vec![b'a'; 1 << 20];
            let text = strings(answer);
            let at = text.offsets[row] as usize;
            let grown = bytes.len() as u32;
            text.data.splice(at..at, bytes);
            text.offsets[row + 1..].iter_mut().for_each(|offset| *offset += grown);
        }
        mode::FAILURE => return Err(CallError::new("the whole call is refused")),
        mode::LONG_MESSAGE => {
            answer.failed_rows.push(RowFailure { row: row as u32, message: format!("\u{7}{}", "é".repeat(100_000)) });
        }
        mode::ROW_MISSING => {
            let Values::Int64s(values) = &mut answer.columns[0].values else { unreachable!() };
            values.pop();
        }
        mode::COLUMN_MISSING => {
            answer.columns.pop();
        }
        mode::OTHER_TYPE => {
            let rows = rows(answer);
            answer.columns[0].values = Values::Timestamps(vec![0; rows]);
        }
        mode::VALIDITY_TOO_LONG => answer.columns[0].validity = Some(vec![0xff; rows(answer) / 8 + 2]),
        mode::NULL_WHERE_NONE_MAY_BE => {
            let rows = rows(answer);
            let validity = answer.columns[0].validity.get_or_insert_with(|| vec![0xff; rows.div_ceil(8)]);
            validity[row / 8] &= !(1 << (row % 8));
        }
        mode::BOOLEAN_TWO => {
            let Values::Booleans(flags) = &mut answer.columns[1].values else { unreachable!() };
            flags[row] = 2;
        }
        mode::NO_OFFSETS => strings(answer).offsets.clear(),
        mode::FIRST_OFFSET => strings(answer).offsets[0] = 2,
        mode::LAST_OFFSET => strings(answer).data.push(b'a'),
        mode::NOT_UTF8 => {
            let text = strings(answer);
            let at = text.offsets[row] as usize;
            text.data[at] = 0xff;
        }
        mode::OFFSETS_DECREASE => items(answer, row, VarBytes { offsets: vec![0, 2, 1, 2], data: "ab".into() }),
        mode::OFFSET_INSIDE_CHARACTER => items(answer, row, VarBytes { offsets: vec![0, 1, 2], data: "é".into() }),
        mode::VECTOR_WIDTH => vectors(answer).width = 3,
        mode::VECTOR_VALUES => vectors(answer).data.push(0.0),
        mode::OTHER_ITEMS => {
            let rows = rows(answer);
            let Values::Sequences(sequences) = &mut answer.columns[4].values else { unreachable!() };
            sequences.items = Items::Int64s(vec![0; rows]);
        }
        mode::FAILED_ROW_BEYOND => {
            let row = rows(answer) as u32;
            answer.failed_rows.push(RowFailure { row, message: String::new() });
        }
        mode::FAILED_ROW_TWICE => {
            let failure = RowFailure { row: row as u32, message: String::new() };
            answer.failed_rows.extend([failure.clone(), failure]);
        }
        mode::STRAY_NAN => {
            let Values::Float64s(reals) = &mut answer.columns[5].values else { unreachable!() };
            reals[row] = f64::from_bits(0xfff4_0000_0000_0000 | row as u64);
            vectors(answer).data[row * 2] = f32::from_bits(0xffa0_0001);
        }
        mode::JUNK_UNDER_NULL => {
            let rows = rows(answer);
            // The values stay as they are, and the padding bits of the validity are 1.
            for column in &mut answer.columns[2..] {
                let validity = column.validity.get_or_insert_with(|| vec![0xff; rows.div_ceil(8)]);
                validity[row / 8] &= !(1 << (row % 8));
            }
        }
        _ => {}
    }
    Ok(())
}

fn rows(answer: &Outcome) -> usize {
    match &answer.columns[1].values {
        Values::Booleans(flags) => flags.len(),
        _ => unreachable!(),
    }
}

fn strings(answer: &mut Outcome) -> &mut VarBytes {
    match &mut answer.columns[2].values {
        Values::Strings(text) => text,
        _ => unreachable!(),
    }
}

fn vectors(answer: &mut Outcome) -> &mut Vectors {
    match &mut answer.columns[3].values {
        Values::Float32Vectors(vectors) => vectors,
        _ => unreachable!(),
    }
}

/// Gives `row` these items, and no other row any.
fn items(answer: &mut Outcome, row: usize, strings: VarBytes) {
    let count = strings.offsets.len() as u32 - 1;
    let offsets = (0..=rows(answer)).map(|end| if end > row { count } else { 0 }).collect();
    answer.columns[4].values = Values::Sequences(Sequences { offsets, items: Items::Strings(strings) });
}

// Its frames lie on the engine's stack; what lies in linear memory is little, so that the engine's limit is met first.
#[inline(never)]
fn recurse(depth: u64) -> u64 {
    if depth == 0 { 0 } else { recurse(black_box(depth - 1)).wrapping_mul(31) ^ depth }
}
