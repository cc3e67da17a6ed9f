//! A version of a feature view as it was registered: its definition, what its component declared, what was proved of it.

use serde_json::{Map, Value, json};
use tandem_core::hash::Digest;
use tandem_core::model::{BoundComponent, Code};
use tandem_core::types::{Field, Signature};

/// The newest format of a record that this program knows: that of a view of aggregates that runs components. Earlier programs read too what needs less.
const RECORD_VERSION: u64 = 3;

/// Of a view without components.
const WITHOUT_COMPONENT: u64 = 2;

/// Of a view with a component.
const WITH_COMPONENT: u64 = 1;

/// A registered version of a view.
#[derive(Debug, Clone, PartialEq)]
pub struct ViewRecord {
    /// The view with its entities and its source in the form of a definition file, paths relative to the project's folder where they were.
    pub definition: String,
    /// SHA-256 of its component, which the registry keeps; None for a view of columns.
    pub component: Option<Digest>,
    /// The components that a view of aggregates runs, which the registry keeps too; none of every other view.
    pub components: Vec<BoundComponent>,
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
        let ViewRecord {
            definition,
            component,
            components,
            definition_hash,
            signature,
            runtime_fingerprint,
            verified,
            golden,
        } = self;
        let format = match (component, components.is_empty()) {
            (_, false) => RECORD_VERSION,
            (Some(_), true) => WITH_COMPONENT,
            (None, true) => WITHOUT_COMPONENT,
        };
        let mut value = json!({
            "format": format,
            "component": component.map(|component| component.to_string()),
            "definition_hash": definition_hash.to_string(),
            "runtime_fingerprint": runtime_fingerprint,
            "golden": golden.map(|golden| golden.to_string()),
            "verified": verified,
            "signature": signature_json(signature),
            "definition": definition,
        });
        if !components.is_empty() {
            let component = |one: &BoundComponent| json!({ "digest": one.digest.to_string(), "signature": signature_json(&one.signature) });
            value["components"] = components.iter().map(component).collect();
        }
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
                components: match &value["components"] {
                    Value::Null => Vec::new(),
                    Value::Array(components) => components.iter().map(component).collect::<Option<_>>()?,
                    _ => return None,
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

fn component(value: &Value) -> Option<BoundComponent> {
    let digest = value["digest"].as_str()?.parse().ok()?;
    Some(BoundComponent { signature: signature(&value["signature"])?, digest, code: Code::NotLoaded })
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
            components: Vec::new(),
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
            ViewRecord {
                component: None,
                components: vec![BoundComponent {
                    signature: record().signature,
                    digest: Digest::of(b"events"),
                    code: Code::NotLoaded,
                }],
                ..record()
            },
        ] {
            let text = record.encode();
            assert_eq!(ViewRecord::decode(&text), Ok(record), "{text}");
        }
    }

    #[test]
    fn what_is_no_record_is_refused() {
        assert_eq!(ViewRecord::decode("{\"format\": 4}"), Err(RecordRefused::Newer(4)));
        let text = record().encode();
        for wrong in
            ["", "[]", "{}", "{\"format\": 1}", &text.replace("sha256:", "sha1:"), &text.replace("float32", "f32")]
        {
            assert!(matches!(ViewRecord::decode(wrong), Err(RecordRefused::Damaged(_))), "{wrong}");
        }
    }
}
