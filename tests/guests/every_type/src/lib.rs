//! Every type in and out, nullable and not, borrowed and owned: as it came, and something computed from it.

use tandem_sdk::prelude::*;

/// One value of each type, and one that may be null.
#[derive(Input)]
pub struct Row<'a> {
    /// A boolean.
    pub flag: bool,
    pub flag_null: Option<bool>,
    pub whole: i64,
    pub whole_null: Option<i64>,
    pub real: f64,
    pub real_null: Option<f64>,
    pub at: Timestamp,
    pub at_null: Option<Timestamp>,
    pub text: &'a str,
    pub text_null: Option<String>,
    pub bytes: &'a [u8],
    pub bytes_null: Option<Vec<u8>>,
    pub vector: &'a [f32; 3],
    pub vector_null: Option<[f32; 3]>,
    pub wholes: &'a [i64],
    pub wholes_null: Option<Vec<i64>>,
    pub reals: &'a [f64],
    pub reals_null: Option<Vec<f64>>,
    pub texts: Strings<'a>,
    pub texts_null: Option<Vec<String>>,
    /// Where it is there, the row fails with it.
    pub fault: Option<&'a str>,
    /// The instant for which the value is asked.
    pub as_of: Timestamp,
}

/// The same values, and values computed from them.
#[derive(Output)]
pub struct Features<'a> {
    /// As it came.
    pub flag: bool,
    pub flag_null: Option<bool>,
    pub whole: i64,
    pub whole_null: Option<i64>,
    pub real: f64,
    pub real_null: Option<f64>,
    pub at: Timestamp,
    pub at_null: Option<Timestamp>,
    pub text: &'a str,
    pub text_null: Option<String>,
    pub bytes: &'a [u8],
    pub bytes_null: Option<Vec<u8>>,
    pub vector: &'a [f32; 3],
    pub vector_null: Option<[f32; 3]>,
    pub wholes: &'a [i64],
    pub wholes_null: Option<Vec<i64>>,
    pub reals: &'a [f64],
    pub reals_null: Option<Vec<f64>>,
    pub texts: Strings<'a>,
    pub texts_null: Option<Vec<String>>,
    /// `real` × 0.1 + `whole`.
    pub mixed: f64,
    /// `real` - `real`: 0, or NaN for what is not finite.
    pub nothing: f64,
    /// Sine of `real`.
    pub sine: f64,
    /// Natural logarithm of `real`: NaN below 0.
    pub logarithm: f64,
    /// e to the power of `real_null`.
    pub exponential: Option<f64>,
    /// `text` in upper case.
    pub upper: String,
    /// Characters of `text_null`.
    pub characters: Option<i64>,
    /// `bytes`, last first.
    pub bytes_reversed: Vec<u8>,
    /// `wholes`, last first.
    pub wholes_reversed: Vec<i64>,
    /// `reals_null`, last first.
    pub reals_reversed: Option<Vec<f64>>,
    /// `texts`, last first.
    pub texts_reversed: Vec<&'a str>,
    /// `vector` × 1.5.
    pub scaled: [f32; 3],
    /// Microseconds from `at` to `as_of`, modulo 2^64.
    pub age_micros: i64,
    /// The bits of `real`: only canonical NaNs come in.
    pub bits: i64,
    /// The bits of the items of `vector` and `reals`.
    pub item_bits: Vec<i64>,
    /// `as_of` as it came.
    pub asked_at: Timestamp,
}

/// Every type, through the everyday form.
#[allow(clippy::eq_op, reason = "∞ - ∞ is NaN")]
#[transform]
pub fn features(row: Row<'_>) -> Result<Features<'_>, RowError> {
    if let Some(fault) = row.fault {
        return Err(RowError::field("fault", fault));
    }
    let vector_bits = row.vector.iter().map(|value| i64::from(value.to_bits()));
    let reals_bits = row.reals.iter().map(|value| value.to_bits() as i64);
    Ok(Features {
        flag: row.flag,
        flag_null: row.flag_null,
        whole: row.whole,
        whole_null: row.whole_null,
        real: row.real,
        real_null: row.real_null,
        at: row.at,
        at_null: row.at_null,
        text: row.text,
        bytes: row.bytes,
        bytes_null: row.bytes_null,
        vector: row.vector,
        vector_null: row.vector_null,
        wholes: row.wholes,
        wholes_null: row.wholes_null,
        reals: row.reals,
        texts: row.texts,
        texts_null: row.texts_null,
        mixed: row.real * 0.1 + row.whole as f64,
        nothing: row.real - row.real,
        sine: row.real.sin(),
        logarithm: row.real.ln(),
        exponential: row.real_null.map(f64::exp),
        upper: row.text.to_uppercase(),
        characters: row.text_null.as_ref().map(|text| text.chars().count() as i64),
        text_null: row.text_null,
        bytes_reversed: row.bytes.iter().rev().copied().collect(),
        wholes_reversed: row.wholes.iter().rev().copied().collect(),
        reals_reversed: row.reals_null.as_ref().map(|reals| reals.iter().rev().copied().collect()),
        reals_null: row.reals_null,
        texts_reversed: (0..row.texts.len()).rev().map(|index| row.texts.value(index)).collect(),
        scaled: row.vector.map(|value| value * 1.5),
        age_micros: row.as_of.micros().wrapping_sub(row.at.micros()),
        bits: row.real.to_bits() as i64,
        item_bits: vector_bits.chain(reals_bits).collect(),
        asked_at: row.as_of,
    })
}
