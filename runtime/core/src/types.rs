//! Types of columns and signatures of transforms, and how they map to Arrow.
//!
//! These are the types of the contract (`wit/feature.wit`). Other Arrow types are converted to them losslessly, or
//! refused by name, where data enters the engine.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use arrow_schema as arrow;

/// The input that the runtime binds to the instant for which a value is asked; no source column may have this name.
pub const AS_OF: &str = "as_of";

/// Widest float32 vector that a signature may declare, in values.
pub const VECTOR_WIDTH_MAX: u32 = 65_536;

/// Longest name of an input or output, in bytes.
pub const FIELD_NAME_BYTES_MAX: usize = 128;

/// The type of the items of a sequence. Items are never null.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ItemType {
    /// Signed 64-bit integer.
    Int64,
    /// IEEE 754 binary64.
    Float64,
    /// UTF-8 string.
    String,
}

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DataType {
    /// True or false.
    Boolean,
    /// Signed 64-bit integer.
    Int64,
    /// IEEE 754 binary64.
    Float64,
    /// Microseconds since the Unix epoch, UTC, signed 64-bit.
    Timestamp,
    /// UTF-8 string.
    String,
    /// Bytes.
    Binary,
    /// f32 vector of this many values.
    Float32Vector(u32),
    /// Sequence of items.
    Sequence(ItemType),
}

impl ItemType {
    /// The Arrow type of an item.
    pub fn to_arrow(self) -> arrow::DataType {
        match self {
            ItemType::Int64 => arrow::DataType::Int64,
            ItemType::Float64 => arrow::DataType::Float64,
            ItemType::String => arrow::DataType::Utf8,
        }
    }
}

impl DataType {
    /// The one Arrow type that holds this type inside Tandem.
    pub fn to_arrow(self) -> arrow::DataType {
        match self {
            DataType::Boolean => arrow::DataType::Boolean,
            DataType::Int64 => arrow::DataType::Int64,
            DataType::Float64 => arrow::DataType::Float64,
            DataType::Timestamp => timestamp_arrow_type(),
            DataType::String => arrow::DataType::Utf8,
            DataType::Binary => arrow::DataType::Binary,
            DataType::Float32Vector(width) => {
                arrow::DataType::FixedSizeList(item_field(arrow::DataType::Float32), width as i32)
            }
            DataType::Sequence(item) => arrow::DataType::List(item_field(item.to_arrow())),
        }
    }

    /// The type whose [`DataType::to_arrow`] is `arrow`, if there is one; the name and nullability of list items do not count.
    pub fn from_arrow(arrow: &arrow::DataType) -> Option<DataType> {
        Some(match arrow {
            arrow::DataType::Boolean => DataType::Boolean,
            arrow::DataType::Int64 => DataType::Int64,
            arrow::DataType::Float64 => DataType::Float64,
            t if *t == timestamp_arrow_type() => DataType::Timestamp,
            arrow::DataType::Utf8 => DataType::String,
            arrow::DataType::Binary => DataType::Binary,
            arrow::DataType::FixedSizeList(item, width)
                if *item.data_type() == arrow::DataType::Float32 && *width > 0 =>
            {
                DataType::Float32Vector(*width as u32)
            }
            arrow::DataType::List(item) => DataType::Sequence(match item.data_type() {
                arrow::DataType::Int64 => ItemType::Int64,
                arrow::DataType::Float64 => ItemType::Float64,
                arrow::DataType::Utf8 => ItemType::String,
                _ => return None,
            }),
            _ => return None,
        })
    }
}

/// Arrow's `timestamp[us, "UTC"]`.
pub fn timestamp_arrow_type() -> arrow::DataType {
    arrow::DataType::Timestamp(arrow::TimeUnit::Microsecond, Some("UTC".into()))
}

fn item_field(data_type: arrow::DataType) -> arrow::FieldRef {
    Arc::new(arrow::Field::new("item", data_type, false))
}

impl fmt::Display for ItemType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ItemType::Int64 => "int64",
            ItemType::Float64 => "float64",
            ItemType::String => "string",
        })
    }
}

/// As definitions and messages write it: `int64`, `float32_vector[8]`, `sequence[string]`.
impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DataType::Boolean => f.write_str("boolean"),
            DataType::Int64 => f.write_str("int64"),
            DataType::Float64 => f.write_str("float64"),
            DataType::Timestamp => f.write_str("timestamp"),
            DataType::String => f.write_str("string"),
            DataType::Binary => f.write_str("binary"),
            DataType::Float32Vector(width) => write!(f, "float32_vector[{width}]"),
            DataType::Sequence(item) => write!(f, "sequence[{item}]"),
        }
    }
}

/// A text that names no type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a type; the types are boolean, int64, float64, timestamp, string, binary, float32_vector[WIDTH], sequence[int64], sequence[float64] and sequence[string]"
)]
pub struct UnknownType(pub String);

impl FromStr for DataType {
    type Err = UnknownType;

    fn from_str(text: &str) -> Result<Self, UnknownType> {
        Ok(match text {
            "boolean" => DataType::Boolean,
            "int64" => DataType::Int64,
            "float64" => DataType::Float64,
            "timestamp" => DataType::Timestamp,
            "string" => DataType::String,
            "binary" => DataType::Binary,
            "sequence[int64]" => DataType::Sequence(ItemType::Int64),
            "sequence[float64]" => DataType::Sequence(ItemType::Float64),
            "sequence[string]" => DataType::Sequence(ItemType::String),
            _ => {
                let width = text
                    .strip_prefix("float32_vector[")
                    .and_then(|rest| rest.strip_suffix(']'))
                    .and_then(|width| width.parse().ok())
                    .filter(|width| (1..=VECTOR_WIDTH_MAX).contains(width))
                    .ok_or_else(|| UnknownType(text.to_owned()))?;
                DataType::Float32Vector(width)
            }
        })
    }
}

/// An input or an output of a transform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Lower-case letters, digits and underscores, not starting with a digit.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
    /// Whether rows may be null.
    pub nullable: bool,
    /// What it means, for people; may be empty.
    pub doc: String,
}

impl Field {
    /// A field without a doc.
    pub fn new(name: impl Into<String>, data_type: DataType, nullable: bool) -> Self {
        Field { name: name.into(), data_type, nullable, doc: String::new() }
    }

    /// The field as Arrow has it.
    pub fn to_arrow(&self) -> arrow::Field {
        arrow::Field::new(&self.name, self.data_type.to_arrow(), self.nullable)
    }
}

/// What a transform takes and gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Inputs, in the order in which a call takes them.
    pub inputs: Vec<Field>,
    /// Outputs (features), in the order in which a call gives them.
    pub outputs: Vec<Field>,
    /// What the transform does, for people; may be empty.
    pub doc: String,
}

/// Why a signature is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Nothing comes out.
    #[error("the signature has no output")]
    NoOutputs,
    /// A name that is not an identifier.
    #[error(
        "{side} {index} is named {name:?}; a name has lower-case letters, digits and underscores, does not start with a digit and has at most {FIELD_NAME_BYTES_MAX} bytes"
    )]
    Name {
        /// `input` or `output`.
        side: &'static str,
        /// Position in the signature.
        index: usize,
        /// The name, cut to a bounded length.
        name: String,
    },
    /// Two fields of one name.
    #[error("{side} `{name}` is declared twice")]
    Duplicate {
        /// `input` or `output`.
        side: &'static str,
        /// The name.
        name: String,
    },
    /// `as_of` with another type.
    #[error(
        "input `as_of` is bound by the runtime and must be a timestamp that is not nullable; it is declared as {0}"
    )]
    AsOf(String),
    /// An output with a reserved name.
    #[error(
        "output `{0}` has a name that is reserved for the time columns of a feature row (event_time, created_time, published_time, sequence, corrected_time, retracted_time, superseded_time, superseded_published_time, as_of)"
    )]
    ReservedOutput(String),
    /// A vector that is empty or too wide.
    #[error("{side} `{name}` is a float32 vector of width {width}; widths are 1 to {VECTOR_WIDTH_MAX}")]
    VectorWidth {
        /// `input` or `output`.
        side: &'static str,
        /// The name.
        name: String,
        /// The declared width.
        width: u32,
    },
}

impl Signature {
    /// Checks names, duplicates and widths.
    pub fn check(&self) -> Result<(), SignatureError> {
        if self.outputs.is_empty() {
            return Err(SignatureError::NoOutputs);
        }
        for (side, fields) in [("input", &self.inputs), ("output", &self.outputs)] {
            let mut seen = HashSet::new();
            for (index, field) in fields.iter().enumerate() {
                if !is_name(&field.name) {
                    let name = field.name.chars().take(FIELD_NAME_BYTES_MAX).collect();
                    return Err(SignatureError::Name { side, index, name });
                }
                if !seen.insert(&field.name) {
                    return Err(SignatureError::Duplicate { side, name: field.name.clone() });
                }
                if let DataType::Float32Vector(width) = field.data_type
                    && !(1..=VECTOR_WIDTH_MAX).contains(&width)
                {
                    return Err(SignatureError::VectorWidth { side, name: field.name.clone(), width });
                }
            }
        }
        if let Some(field) = self.inputs.iter().find(|field| field.name == AS_OF)
            && (field.data_type != DataType::Timestamp || field.nullable)
        {
            let nullable = if field.nullable { "nullable " } else { "" };
            return Err(SignatureError::AsOf(format!("{nullable}{}", field.data_type)));
        }
        if let Some(field) = self.outputs.iter().find(|field| is_reserved(&field.name)) {
            return Err(SignatureError::ReservedOutput(field.name.clone()));
        }
        Ok(())
    }

    /// The inputs as an Arrow schema.
    pub fn input_schema(&self) -> arrow::SchemaRef {
        schema(&self.inputs)
    }

    /// The outputs as an Arrow schema.
    pub fn output_schema(&self) -> arrow::SchemaRef {
        schema(&self.outputs)
    }
}

/// Column of a feature row: when it happened.
pub const EVENT_TIME: &str = "event_time";

/// Column of a feature row: when the producer came to know it.
pub const CREATED_TIME: &str = "created_time";

/// Column of a feature row: its position in the source's log.
pub const SEQUENCE: &str = "sequence";

/// The column of feature rows with the end of a row's validity, behind the features of a view over a dimension.
pub const VALID_TO: &str = "valid_to";

/// Columns of a feature row beside its keys and features: event time, created time, published time, sequence.
pub const TIME_COLUMNS: [&str; 4] = [EVENT_TIME, CREATED_TIME, "published_time", SEQUENCE];

/// Columns of a published feature row that say at which instants it counts ([`crate::history`]): corrected, retracted, superseded, superseded published.
pub const HISTORY_COLUMNS: [&str; 4] = [CORRECTED_TIME, RETRACTED_TIME, SUPERSEDED_TIME, "superseded_published_time"];

/// Column of a published feature row: it does not count before.
pub const CORRECTED_TIME: &str = "corrected_time";

/// Column of a published feature row: since when it is gone from its source.
pub const RETRACTED_TIME: &str = "retracted_time";

/// Column of a published feature row: since when, by the producer's word, a later version stands in its place.
pub const SUPERSEDED_TIME: &str = "superseded_time";

/// The column with an event's id among the columns of events. A dot is in no name, so that it collides with nothing.
pub const EVENT_ID: &str = "source.event_id";

/// The column that is true where a row takes its event back, among the columns of events.
pub const RETRACTED: &str = "source.retracted";

/// Whether a column of events says which event a row is of, and not what happened: [`EVENT_ID`] or [`RETRACTED`].
pub fn is_of_source(name: &str) -> bool {
    name == EVENT_ID || name == RETRACTED
}

/// Whether a column of feature rows has this name whatever the view: no feature and no join key can have it.
pub fn is_reserved(name: &str) -> bool {
    name == AS_OF || TIME_COLUMNS.contains(&name) || HISTORY_COLUMNS.contains(&name)
}

fn schema(fields: &[Field]) -> arrow::SchemaRef {
    Arc::new(arrow::Schema::new(fields.iter().map(Field::to_arrow).collect::<Vec<_>>()))
}

/// Whether `name` may name an input, a feature, a join key, an entity, a source or a view.
pub fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    name.len() <= FIELD_NAME_BYTES_MAX
        && bytes.next().is_some_and(|b| b.is_ascii_lowercase() || b == b'_')
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_survives_text_and_arrow() {
        use DataType::*;
        let items = [ItemType::Int64, ItemType::Float64, ItemType::String];
        let all = [Boolean, Int64, Float64, Timestamp, String, Binary, Float32Vector(1), Float32Vector(768)]
            .into_iter()
            .chain(items.map(Sequence));
        for data_type in all {
            assert_eq!(data_type.to_string().parse(), Ok(data_type));
            assert_eq!(DataType::from_arrow(&data_type.to_arrow()), Some(data_type));
        }
        for text in ["", "int32", "float32_vector[0]", "float32_vector[65537]", "sequence[boolean]"] {
            assert_eq!(text.parse::<DataType>(), Err(UnknownType(text.to_owned())));
        }
    }

    #[test]
    fn signatures_are_checked() {
        let field = |name: &str| Field::new(name, DataType::Int64, false);
        let check = |inputs: Vec<Field>, outputs: Vec<Field>| Signature { inputs, outputs, doc: String::new() }.check();
        assert_eq!(check(vec![], vec![field("a")]), Ok(()));
        assert_eq!(check(vec![field("a")], vec![]), Err(SignatureError::NoOutputs));
        assert!(matches!(check(vec![field("A")], vec![field("a")]), Err(SignatureError::Name { side: "input", .. })));
        assert!(matches!(check(vec![], vec![field("a"), field("a")]), Err(SignatureError::Duplicate { .. })));
        assert!(matches!(check(vec![field("as_of")], vec![field("a")]), Err(SignatureError::AsOf(_))));
        assert!(matches!(check(vec![], vec![field("event_time")]), Err(SignatureError::ReservedOutput(_))));
    }
}
