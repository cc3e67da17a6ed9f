//! A version of a feature view as it was registered: its definition, what its component declared, what was proved of it.

use serde_json::{Map, Value, json};
use tandem_core::hash::Digest;
use tandem_core::types::{Field, Signature};

/// The newest format of a record that this program knows: that of a view of columns. A view with a component has the one before, which earlier programs
/// read too.
const RECORD_VERSION: u64 = 2;

/// A registered version of a view.
#[derive(Debug, Clone, PartialEq)]
pub struct ViewRecord {
    /// The view with its entities and its source in the form of a definition file, paths relative to the project's folder where they were.
    pub definition: String,
    /// SHA-256 of its component, which the registry keeps; None for a view of columns.
    pub component: Option<Digest>,
    /// Hash over everything that can change a value.
    pub definition_hash: Digest,
    /// What the component declared under the view's parameters.
    pub signature: Signature,
    /// The engine that it was registered with: contract, version, flags, target.
    pub runtime_fingerprint: String,
    /// What was proved when it was registered, as the engine reports it; null where nothing was.
    pub verified: Value,
    /// The object with its golden vectors.
    pub golden: Option<Digest>,
}

impl ViewRecord {
    /// Its JSON, always the same bytes for the same record.
    pub(crate) fn encode(&self) -> String {
        let ViewRecord { definition, component, definition_hash, signature, runtime_fingerprint, verified, golden } =
            self;
        let value = json!({
            "format": if component.is_some() { RECORD_VERSION - 1 } else { RECORD_VERSION },
            "component": component.map(|component| component.to_string()),
            "definition_hash": definition_hash.to_string(),
            "runtime_fingerprint": runtime_fingerprint,
            "golden": golden.map(|golden| golden.to_string()),
            "verified": verified,
            "signature": signature_json(signature),
            "definition": definition,
        });
        format!("{value:#}\n")
    }

    /// Reads what [`ViewRecord::encode`] writes. The error is the rest of a sentence about the file.
    pub(crate) fn decode(text: &str) -> Result<ViewRecord, RecordRefused> {
        let value: Value =
            serde_json::from_str(text).map_err(|error| RecordRefused::Damaged(format!("is no JSON: {error}")))?;
        match value["format"].as_u64() {
            Some(1..=RECORD_VERSION) => {}
            Some(newer) if newer > RECORD_VERSION => {
                return Err(RecordRefused::Newer(u32::try_from(newer).unwrap_or(u32::MAX)));
            }
            _ => return Err(RecordRefused::Damaged("has no format".to_owned())),
        }
        let read = || {
            Some(ViewRecord {
                definition: value["definition"].as_str()?.to_owned(),
                component: match &value["component"] {
                    Value::Null => None,
                    component => Some(component.as_str()?.parse().ok()?),
                },
                definition_hash: value["definition_hash"].as_str()?.parse().ok()?,
                signature: signature(&value["signature"])?,
                runtime_fingerprint: value["runtime_fingerprint"].as_str()?.to_owned(),
                verified: value["verified"].clone(),
                golden: match &value["golden"] {
                    Value::Null => None,
                    golden => Some(golden.as_str()?.parse().ok()?),
                },
            })
        };
        read().ok_or_else(|| RecordRefused::Damaged("is no record of a feature view".to_owned()))
    }
}

/// Why a record is refused.
#[derive(Debug, PartialEq)]
pub(crate) enum RecordRefused {
    /// Its format is this one.
    Newer(u32),
    /// The rest of a sentence about the file.
    Damaged(String),
}

fn signature_json(signature: &Signature) -> Value {
    let fields = |fields: &[Field]| fields.iter().map(field_json).collect::<Vec<_>>();
    json!({ "doc": signature.doc, "inputs": fields(&signature.inputs), "outputs": fields(&signature.outputs) })
}

fn field_json(field: &Field) -> Value {
    let mut value = Map::new();
    value.insert("name".to_owned(), json!(field.name));
    value.insert("type".to_owned(), json!(field.data_type.to_string()));
    value.insert("nullable".to_owned(), json!(field.nullable));
    if !field.doc.is_empty() {
        value.insert("doc".to_owned(), json!(field.doc));
    }
    Value::Object(value)
}

fn signature(value: &Value) -> Option<Signature> {
    let fields = |value: &Value| value.as_array()?.iter().map(field).collect::<Option<Vec<_>>>();
    let doc = value["doc"].as_str()?.to_owned();
    Some(Signature { inputs: fields(&value["inputs"])?, outputs: fields(&value["outputs"])?, doc })
}

fn field(value: &Value) -> Option<Field> {
    let doc = match value.get("doc") {
        None => String::new(),
        Some(doc) => doc.as_str()?.to_owned(),
    };
    Some(Field {
        doc,
        ..Field::new(value["name"].as_str()?, value["type"].as_str()?.parse().ok()?, value["nullable"].as_bool()?)
    })
}

#[cfg(test)]
mod tests {
    use tandem_core::types::{DataType, ItemType};

    use super::*;

    fn record() -> ViewRecord {
        let mut documented = Field::new("at", DataType::Timestamp, false);
        documented.doc = "When it \"happened\".".to_owned();
        ViewRecord {
            definition: "[[feature_view]]\nname = \"risk\"\n".to_owned(),
            component: Some(Digest::of(b"component")),
            definition_hash: Digest::of(b"definition"),
            signature: Signature {
                inputs: vec![documented, Field::new("words", DataType::Sequence(ItemType::String), true)],
                outputs: vec![Field::new("embedding", DataType::Float32Vector(768), true)],
                doc: "Risk.\nOf a card.".to_owned(),
            },
            runtime_fingerprint: "tandem:feature@0.1.0; wasmtime 48".to_owned(),
            verified: json!({ "rows": 4096 }),
            golden: Some(Digest::of(b"golden")),
        }
    }

    #[test]
    fn a_record_survives_its_json() {
        for record in [
            record(),
            ViewRecord { golden: None, verified: Value::Null, ..record() },
            ViewRecord { component: None, ..record() },
        ] {
            let text = record.encode();
            assert_eq!(ViewRecord::decode(&text), Ok(record), "{text}");
        }
    }

    #[test]
    fn what_is_no_record_is_refused() {
        assert_eq!(ViewRecord::decode("{\"format\": 3}"), Err(RecordRefused::Newer(3)));
        let text = record().encode();
        for wrong in
            ["", "[]", "{}", "{\"format\": 1}", &text.replace("sha256:", "sha1:"), &text.replace("float32", "f32")]
        {
            assert!(matches!(ViewRecord::decode(wrong), Err(RecordRefused::Damaged(_))), "{wrong}");
        }
    }
}
