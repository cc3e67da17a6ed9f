//! Transforms that are no functions of their row, each in a way of its own: one file for each cheat, chosen by the parameter `cheat`. Each
//! answers rightly at first sight.
//!
//! They speak the contract's own types: the everyday form hides validity and what lies under nulls.

mod address;
mod age;
mod batch_mean;
mod batch_size;
mod bitmap;
mod cache;
mod counter;
mod failures;
mod junk_under_nulls;
mod nan_payload;
mod row_index;
mod signature;
mod state;
mod uninitialised;

use tandem_sdk::contract::{
    Column, DataType, Field, Outcome, Parameter, ParameterValue, RowFailure, Signature, Values,
};
use tandem_sdk::{CallError, Transform};

pub struct Cheating;

#[cfg(target_arch = "wasm32")]
tandem_sdk::bindings::export!(Cheating with_types_in tandem_sdk::bindings);

/// The columns of a call.
pub struct Rows<'a> {
    pub numbers: &'a [f64],
    pub validity: Option<&'a [u8]>,
    pub texts: Vec<&'a str>,
}

impl Rows<'_> {
    /// Whether the number of a row is there.
    pub fn has_number(&self, row: usize) -> bool {
        self.validity.is_none_or(|bits| bits[row / 8] >> (row % 8) & 1 == 1)
    }
}

/// A feature for each row, or why it has none.
pub type Answer = Vec<Result<f64, String>>;

/// A name, and what it does.
type Cheat = (&'static str, fn(&Rows<'_>) -> Answer);

const CHEATS: [Cheat; 14] = [
    ("none", |rows| (0..rows.numbers.len()).map(|row| Ok(honest(rows, row))).collect()),
    ("address", address::answer),
    ("age", age::answer),
    ("batch_mean", batch_mean::answer),
    ("batch_size", batch_size::answer),
    ("bitmap", bitmap::answer),
    ("cache", cache::answer),
    ("counter", counter::answer),
    ("failures", failures::answer),
    ("junk_under_nulls", junk_under_nulls::answer),
    ("nan_payload", nan_payload::answer),
    ("row_index", row_index::answer),
    ("state", state::answer),
    ("uninitialised", uninitialised::answer),
];

/// What an honest transform would say.
pub fn honest(rows: &Rows<'_>, row: usize) -> f64 {
    let number = if rows.has_number(row) { rows.numbers[row] } else { 0.5 };
    number * 2.0 + rows.texts[row].len() as f64
}

fn cheat(parameters: &[Parameter]) -> Result<&str, CallError> {
    match parameters {
        [Parameter { name, value: ParameterValue::Text(cheat) }] if name == "cheat" => Ok(cheat),
        _ => Err(CallError::new("give one parameter: cheat")),
    }
}

impl Transform for Cheating {
    fn describe(parameters: &[Parameter]) -> Result<Signature, CallError> {
        let cheat = cheat(parameters)?;
        let field =
            |name: &str, data_type, nullable| Field { name: name.into(), data_type, nullable, doc: String::new() };
        Ok(Signature {
            inputs: vec![field("number", DataType::Float64, true), field("text", DataType::String, false)],
            outputs: vec![field(
                "feature",
                if cheat == "signature" { signature::answer() } else { DataType::Float64 },
                false,
            )],
            doc: String::new(),
        })
    }

    fn apply(parameters: &[Parameter], _: u32, inputs: &[Column]) -> Result<Outcome, CallError> {
        let name = cheat(parameters)?;
        let (Values::Float64s(numbers), Values::Strings(texts)) = (&inputs[0].values, &inputs[1].values) else {
            return Err(CallError::new("other types than declared"));
        };
        let text =
            |ends: &[u32]| std::str::from_utf8(&texts.data[ends[0] as usize..ends[1] as usize]).unwrap_or_default();
        let rows = Rows {
            numbers,
            validity: inputs[0].validity.as_deref(),
            texts: texts.offsets.windows(2).map(text).collect(),
        };
        let (_, cheat) = CHEATS.iter().find(|(cheat, _)| *cheat == name).unwrap_or(&CHEATS[0]);
        let answer = cheat(&rows);
        let failure = |(row, result): (usize, &Result<f64, String>)| {
            result.as_ref().err().map(|message| RowFailure { row: row as u32, message: message.clone() })
        };
        Ok(Outcome {
            failed_rows: answer.iter().enumerate().filter_map(failure).collect(),
            columns: vec![Column {
                values: Values::Float64s(answer.into_iter().map(|result| result.unwrap_or(0.0)).collect()),
                validity: None,
            }],
        })
    }
}
