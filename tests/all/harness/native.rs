//! What the function of the guest `every_type` gives when it is called natively, as the columns that the engine should give.

use arrow_array::ArrayRef;
use every_type_guest::{Features, Row as Input, features};
use tandem_core::canonical::{canonical_f32, canonical_f64};
use tandem_core::types::Signature;
use tandem_sdk::Timestamp;
use tandem_sdk::contract::{Column, Values, VarBytes};
use tandem_sdk::views::{Strings, View};

use super::rows::{Cell, Dirt, Row, array};

/// Outputs whose functions come from another mathematical library natively: equal within [`ULPS_MAX`] only.
pub(crate) const INEXACT: [&str; 3] = ["sine", "logarithm", "exponential"];

/// Most that two good mathematical libraries differ by, in units in the last place.
pub(crate) const ULPS_MAX: u64 = 2;

/// The outputs of `signature` for rows without a fault.
pub(crate) fn outputs(signature: &Signature, rows: &[Row]) -> Vec<ArrayRef> {
    let mut columns: Vec<Vec<Cell>> = signature.outputs.iter().map(|_| Vec::new()).collect();
    for row in rows {
        native(row, |features| {
            for (field, column) in std::iter::zip(&signature.outputs, &mut columns) {
                column.push(cell(&field.name, features));
            }
        });
    }
    std::iter::zip(columns, &signature.outputs)
        .map(|(cells, field)| array(cells, field.data_type, Dirt::default()))
        .collect()
}

/// Calls the function and shows what it gives; outputs borrow from inputs.
fn native(row: &Row, mut show: impl FnMut(&Features<'_>)) {
    let texts = strings(&row.texts);
    let (reals, vector) = (canonical(&row.reals), row.vector.map(canonical_f32));
    let input = Input {
        flag: row.flag,
        flag_null: row.flag_null,
        whole: row.whole,
        whole_null: row.whole_null,
        real: canonical_f64(row.real),
        real_null: row.real_null.map(canonical_f64),
        at: Timestamp::from_micros(row.at),
        at_null: row.at_null.map(Timestamp::from_micros),
        text: &row.text,
        text_null: row.text_null.clone(),
        bytes: &row.bytes,
        bytes_null: row.bytes_null.clone(),
        vector: &vector,
        vector_null: row.vector_null.map(|vector| vector.map(canonical_f32)),
        wholes: &row.wholes,
        wholes_null: row.wholes_null.clone(),
        reals: &reals,
        reals_null: row.reals_null.as_deref().map(canonical),
        texts: Strings::from_column(&texts, row.texts.len()).expect("a column of strings"),
        texts_null: row.texts_null.clone(),
        fault: row.fault.as_deref(),
        as_of: Timestamp::from_micros(row.as_of),
    };
    show(&features(input).expect("a row without a fault"));
}

fn canonical(values: &[f64]) -> Vec<f64> {
    values.iter().map(|value| canonical_f64(*value)).collect()
}

fn strings(texts: &[String]) -> Column {
    let ends = texts.iter().scan(0, |end, text| {
        *end += text.len() as u32;
        Some(*end)
    });
    let values = VarBytes { offsets: std::iter::once(0).chain(ends).collect(), data: texts.concat().into_bytes() };
    Column { values: Values::Strings(values), validity: None }
}

fn cell(name: &str, features: &Features<'_>) -> Cell {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    match name {
        "flag" => Cell::Boolean(Some(features.flag)),
        "flag_null" => Cell::Boolean(features.flag_null),
        "whole" => Cell::Int64(Some(features.whole)),
        "whole_null" => Cell::Int64(features.whole_null),
        "real" => Cell::Float64(Some(canonical_f64(features.real))),
        "real_null" => Cell::Float64(features.real_null.map(canonical_f64)),
        "at" => Cell::Int64(Some(features.at.micros())),
        "at_null" => Cell::Int64(features.at_null.map(Timestamp::micros)),
        "text" => Cell::Text(Some(features.text.to_owned())),
        "text_null" => Cell::Text(features.text_null.clone()),
        "bytes" => Cell::Bytes(Some(features.bytes.to_vec())),
        "bytes_null" => Cell::Bytes(features.bytes_null.clone()),
        "vector" => Cell::Vector(Some(*features.vector)),
        "vector_null" => Cell::Vector(features.vector_null),
        "wholes" => Cell::Int64s(Some(features.wholes.to_vec())),
        "wholes_null" => Cell::Int64s(features.wholes_null.clone()),
        "reals" => Cell::Float64s(Some(canonical(features.reals))),
        "reals_null" => Cell::Float64s(features.reals_null.as_deref().map(canonical)),
        "texts" => Cell::Texts(Some(texts(&features.texts.iter().collect::<Vec<_>>()))),
        "texts_null" => Cell::Texts(features.texts_null.clone()),
        "mixed" => Cell::Float64(Some(canonical_f64(features.mixed))),
        "nothing" => Cell::Float64(Some(canonical_f64(features.nothing))),
        "sine" => Cell::Float64(Some(canonical_f64(features.sine))),
        "logarithm" => Cell::Float64(Some(canonical_f64(features.logarithm))),
        "exponential" => Cell::Float64(features.exponential.map(canonical_f64)),
        "upper" => Cell::Text(Some(features.upper.clone())),
        "characters" => Cell::Int64(features.characters),
        "bytes_reversed" => Cell::Bytes(Some(features.bytes_reversed.clone())),
        "wholes_reversed" => Cell::Int64s(Some(features.wholes_reversed.clone())),
        "reals_reversed" => Cell::Float64s(features.reals_reversed.as_deref().map(canonical)),
        "texts_reversed" => Cell::Texts(Some(texts(&features.texts_reversed))),
        "scaled" => Cell::Vector(Some(features.scaled.map(canonical_f32))),
        "age_micros" => Cell::Int64(Some(features.age_micros)),
        "bits" => Cell::Int64(Some(features.bits)),
        "item_bits" => Cell::Int64s(Some(features.item_bits.clone())),
        "asked_at" => Cell::Int64(Some(features.asked_at.micros())),
        _ => panic!("the guest has an output `{name}` that is not compared"),
    }
}
