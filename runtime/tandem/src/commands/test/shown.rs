//! Rows, what came of them, and why some failed: as a table and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write;

use arrow_array::RecordBatch;
use serde_json::{Map, Value, json};
use tandem_core::json::encode_value;
use tandem_core::types::{DataType, Field, Signature};
use tandem_engine::Outcome;

use crate::output::{Column, Table, counted, grouped, plain};

/// What stands in place of a failed row's first output.
const FAILED: &str = "failed";

/// A call's rows and results.
pub(super) struct Shown<'a> {
    pub(super) signature: &'a Signature,
    pub(super) inputs: &'a RecordBatch,
    pub(super) outcome: &'a Outcome,
}

impl Shown<'_> {
    fn failures(&self) -> BTreeMap<usize, &str> {
        self.outcome.failures.iter().map(|failure| (failure.row, failure.message.as_str())).collect()
    }

    /// A table of rows, then the messages of those that failed. Values are JSON, so that `null` and `"null"` differ.
    pub(super) fn text(&self, width: usize) -> String {
        let (inputs, outputs) = (&self.signature.inputs, &self.signature.outputs);
        let mut columns = vec![Column { name: "row".to_owned(), right: true }];
        columns.extend(inputs.iter().chain(outputs).map(|field| Column {
            name: field.name.clone(),
            right: matches!(field.data_type, DataType::Int64 | DataType::Float64),
        }));
        let failures = self.failures();
        let row = |row: usize| {
            let mut values = vec![row.to_string()];
            values.extend((0..inputs.len()).map(|index| cell(self.inputs, inputs, index, row)));
            let failed = failures.contains_key(&row);
            values.extend((0..outputs.len()).map(|index| match (failed, index) {
                (false, _) => cell(&self.outcome.outputs, outputs, index, row),
                (true, 0) => FAILED.to_owned(),
                (true, _) => String::new(),
            }));
            values
        };
        let rows = (0..self.inputs.num_rows()).map(row).collect();
        let mut text = Table { columns, split: 1 + inputs.len(), rows }.render(width);
        if !failures.is_empty() {
            text.push('\n');
        }
        for (row, message) in &failures {
            let _ = writeln!(text, "row {row} failed: {}", plain(message));
        }
        let _ = writeln!(
            text,
            "\n{}, {} failed",
            counted(self.inputs.num_rows() as u64, "row"),
            grouped(failures.len() as u64)
        );
        text
    }

    /// An object for each row: inputs, and outputs or the reason why there are none.
    pub(super) fn json(&self) -> Vec<Value> {
        let failures = self.failures();
        let object = |batch: &RecordBatch, fields: &[Field], row: usize| -> Map<String, Value> {
            let value = |(index, field): (usize, &Field)| {
                (field.name.clone(), encode_value(batch.column(index), field.data_type, row))
            };
            fields.iter().enumerate().map(value).collect()
        };
        let result = |row: usize| {
            let inputs = object(self.inputs, &self.signature.inputs, row);
            match failures.get(&row) {
                Some(message) => json!({ "row": row, "inputs": inputs, "failure": message }),
                None => {
                    let outputs = object(&self.outcome.outputs, &self.signature.outputs, row);
                    json!({ "row": row, "inputs": inputs, "outputs": outputs })
                }
            }
        };
        (0..self.inputs.num_rows()).map(result).collect()
    }
}

fn cell(batch: &RecordBatch, fields: &[Field], index: usize, row: usize) -> String {
    plain(&encode_value(batch.column(index), fields[index].data_type, row).to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Float64Array, StringArray};
    use tandem_engine::{Fault, RowFailure};

    use super::*;

    #[test]
    fn failed_rows_stand_out() {
        let signature = Signature {
            inputs: vec![Field::new("name", DataType::String, true)],
            outputs: vec![Field::new("length", DataType::Float64, false), Field::new("upper", DataType::String, true)],
            doc: String::new(),
        };
        let texts = |values: [Option<&str>; 3]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
        let inputs = RecordBatch::try_from_iter([("name", texts([Some("null"), None, Some("é\n")]))]).unwrap();
        let lengths = Arc::new(Float64Array::from(vec![Some(4.0), None, Some(f64::NAN)])) as ArrayRef;
        let outputs =
            RecordBatch::try_from_iter([("length", lengths), ("upper", texts([Some("NULL"), None, None]))]).unwrap();
        let failures = vec![RowFailure { row: 1, message: "name: is null\x1b[2J".to_owned(), fault: Fault::Row }];
        let outcome = Outcome { outputs, failures, fuel: 7 };
        let shown = Shown { signature: &signature, inputs: &inputs, outcome: &outcome };
        let expected = "row  name    |  length  upper\n  \
                          0  \"null\"  |     4.0  \"NULL\"\n  \
                          1  null    |  failed\n  \
                          2  \"é\\n\"   |   \"NaN\"  null\n\
                        \nrow 1 failed: name: is null\\u001b[2J\n\
                        \n3 rows, 1 failed\n";
        assert_eq!(shown.text(80), expected);
        let json = shown.json();
        assert_eq!(json[1], json!({ "row": 1, "inputs": { "name": null }, "failure": "name: is null\x1b[2J" }));
        assert_eq!(json[2]["outputs"], json!({ "length": "NaN", "upper": null }));
    }
}
