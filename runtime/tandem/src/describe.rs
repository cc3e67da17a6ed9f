//! What a component takes and gives, as text and as JSON.

use std::fmt::Write;

use serde_json::{Value, json};
use tandem_core::hash::Digest;
use tandem_core::types::{Field, Signature};

/// The signature as a person reads it: a table of inputs, a table of outputs, docs beside them.
pub fn text(signature: &Signature) -> String {
    let mut text = String::new();
    if !signature.doc.is_empty() {
        let _ = writeln!(text, "{}\n", signature.doc.trim());
    }
    for (title, fields) in [("inputs", &signature.inputs), ("outputs", &signature.outputs)] {
        let _ = writeln!(text, "{title}");
        let rows: Vec<(String, String, &str)> =
            fields.iter().map(|field| (field.name.clone(), type_text(field), field.doc.as_str())).collect();
        let names = rows.iter().map(|row| row.0.len()).max().unwrap_or(0);
        let types = rows.iter().map(|row| row.1.len()).max().unwrap_or(0);
        for (name, data_type, doc) in &rows {
            let doc = doc.split_whitespace().collect::<Vec<_>>().join(" ");
            let line = format!("  {name:names$}  {data_type:types$}  {doc}");
            let _ = writeln!(text, "{}", line.trim_end());
        }
        if rows.is_empty() {
            let _ = writeln!(text, "  (none)");
        }
    }
    text
}

/// `float64`, or `float64?` where it may be null.
fn type_text(field: &Field) -> String {
    format!("{}{}", field.data_type, if field.nullable { "?" } else { "" })
}

/// Doc, inputs and outputs as JSON.
pub fn signature_json(signature: &Signature) -> Value {
    let fields = |fields: &[Field]| -> Vec<Value> {
        let field = |field: &Field| json!({ "name": field.name, "type": field.data_type.to_string(), "nullable": field.nullable, "doc": field.doc });
        fields.iter().map(field).collect()
    };
    json!({ "doc": signature.doc, "inputs": fields(&signature.inputs), "outputs": fields(&signature.outputs) })
}

/// The component with its signature as JSON.
pub fn json(signature: &Signature, digest: Digest, size_bytes: u64) -> Value {
    let mut value = json!({
        "digest": digest.to_string(),
        "size_bytes": size_bytes,
        "contract": tandem_engine::CONTRACT,
    });
    if let (Value::Object(value), Value::Object(signature)) = (&mut value, signature_json(signature)) {
        value.extend(signature);
    }
    value
}
