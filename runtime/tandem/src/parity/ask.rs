//! A running server, asked as any client would.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{Field as ArrowField, Schema};
use serde_json::Value;
use tandem_core::json::{ColumnWriter, decode_column};
use tandem_core::model::{BoundView, InputSource};
use tandem_core::types::{AS_OF, DataType, Field};

use crate::client::{Client, plain};
use crate::error::Error;

/// What travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// JSON columns.
    Json,
    /// An Arrow IPC stream.
    Arrow,
}

/// A server's address and the format to speak.
pub struct Server {
    client: Client,
    format: Format,
}

/// Features of the rows asked for, and which of them failed, by increasing row.
pub struct Answer {
    /// One column for each output of the signature.
    pub outputs: RecordBatch,
    /// Rows without a value.
    pub failed: Vec<u32>,
}

/// Bytes of an answer.
const ANSWER_BYTES_MAX: u64 = 1 << 30;

/// What to do where nobody answers.
const NO_SERVER: &str = "is the server up? start one with `tandem serve --allow-replay`, or name it with --url";

/// What to do where somebody else answers.
const NOT_TANDEM: &str = "is it Tandem that listens there? `tandem serve` says where it does; name it with --url";

/// Characters that are shown of an answer that is not Tandem's.
const FOREIGN_CHARS_SHOWN_MAX: usize = 80;

impl Server {
    /// A server that is asked in this format.
    pub fn new(client: Client, format: Format) -> Server {
        Server { client, format }
    }

    /// Asks for the rows of `inputs`, each as of its event time. Blocking.
    pub fn ask(&self, view: &BoundView, inputs: &RecordBatch, event_times: &ArrayRef) -> Result<Answer, Error> {
        if inputs.num_rows() == 0 {
            return Ok(Answer { outputs: RecordBatch::new_empty(view.signature.output_schema()), failed: Vec::new() });
        }
        let url = self.client.url(&format!("/v1/transforms/{}@{}", view.view.name, view.view.version));
        let fail = |reason: String, hint: Option<&str>| Error::Http {
            url: url.clone(),
            reason,
            hint: hint.map(str::to_owned),
        };
        let broken = |reason: String| fail(reason, None);
        let columns = given_columns(view, inputs, event_times);
        let (content_type, body) = match self.format {
            Format::Json => ("application/json", json_body(&columns, inputs.num_rows())),
            Format::Arrow => ("application/vnd.apache.arrow.stream", arrow_body(&columns)),
        };
        let body = body.map_err(&broken)?;
        let mut response = self.client.post(&url, content_type, &body).map_err(|error| {
            let hint = self.client.lasting(&error).unwrap_or(match &error {
                ureq::Error::Protocol(_) => NOT_TANDEM,
                _ => NO_SERVER,
            });
            fail(plain(&error), Some(hint))
        })?;
        let status = response.status();
        let answer = response
            .body_mut()
            .with_config()
            .limit(ANSWER_BYTES_MAX)
            .read_to_vec()
            .map_err(|error| fail(plain(&error), None))?;
        if !status.is_success() {
            let (reason, hint) = problem(&answer);
            let hint = self.client.refused(status.as_u16()).or(hint.as_deref());
            return Err(fail(format!("{status}: {reason}"), hint));
        }
        let Some(digest) = response.headers().get("tandem-digest").and_then(|digest| digest.to_str().ok()) else {
            let reason = "the answer does not name a component, as every answer of Tandem does".to_owned();
            return Err(fail(reason, Some(NOT_TANDEM)));
        };
        if digest != view.digest.to_string() {
            let reason = format!("the server runs component {digest}, the project has {}", view.digest);
            return Err(fail(
                reason,
                Some("restart the server: it reads definitions and components once, at its start"),
            ));
        }
        match self.format {
            Format::Json => json_answer(view, inputs.num_rows(), &answer),
            Format::Arrow => arrow_answer(view, &answer),
        }
        .map_err(broken)
    }
}

/// The columns that a caller gives: what the runtime binds to the instant travels once, as `as_of`.
fn given_columns(view: &BoundView, inputs: &RecordBatch, event_times: &ArrayRef) -> Vec<(String, DataType, ArrayRef)> {
    let fields = &view.signature.inputs;
    let bound_to_instant = |field: &Field| view.view.input_source(&field.name) == InputSource::AsOf;
    let mut columns: Vec<_> = std::iter::zip(fields, inputs.columns())
        .filter(|(field, _)| !bound_to_instant(field))
        .map(|(field, array)| (field.name.clone(), field.data_type, Arc::clone(array)))
        .collect();
    if fields.iter().any(bound_to_instant) {
        columns.push((AS_OF.to_owned(), DataType::Timestamp, Arc::clone(event_times)));
    }
    columns
}

fn json_body(columns: &[(String, DataType, ArrayRef)], rows: usize) -> Result<Vec<u8>, String> {
    let mut body = b"{\"columns\":{".to_vec();
    for (index, (name, data_type, array)) in columns.iter().enumerate() {
        let writer = ColumnWriter::new(array, *data_type).map_err(|error| error.to_string())?;
        let separator = if index == 0 { "" } else { "," };
        body.extend_from_slice(format!("{separator}{}:[", Value::from(name.as_str())).as_bytes());
        for row in 0..rows {
            if row > 0 {
                body.push(b',');
            }
            writer.write(row, &mut body);
        }
        body.push(b']');
    }
    body.extend_from_slice(b"}}");
    Ok(body)
}

fn arrow_body(columns: &[(String, DataType, ArrayRef)]) -> Result<Vec<u8>, String> {
    let text = |error: arrow_schema::ArrowError| error.to_string();
    let fields: Vec<_> =
        columns.iter().map(|(name, data_type, _)| ArrowField::new(name, data_type.to_arrow(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let arrays = columns.iter().map(|(_, _, array)| Arc::clone(array)).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).map_err(text)?;
    let mut writer = StreamWriter::try_new(Vec::new(), &schema).map_err(text)?;
    writer.write(&batch).map_err(text)?;
    writer.into_inner().map_err(text)
}

fn json_answer(view: &BoundView, rows: usize, answer: &[u8]) -> Result<Answer, String> {
    let answer: Value = serde_json::from_slice(answer).map_err(|error| format!("the answer is not JSON: {error}"))?;
    let outputs = &view.signature.outputs;
    let mut arrays = Vec::with_capacity(outputs.len());
    for field in outputs {
        let values = answer["columns"][field.name.as_str()].as_array();
        let values = values.filter(|values| values.len() == rows);
        let values = values.ok_or_else(|| format!("the answer has not {rows} values of `{}`", field.name))?;
        let field = Field { nullable: true, ..field.clone() };
        let array = decode_column(&field, values.iter().map(Some)).map_err(|error| error.to_string())?;
        arrays.push(array);
    }
    let failed = answer["failed_rows"].as_array().map(Vec::as_slice).unwrap_or_default();
    let failed = failed
        .iter()
        .map(|failed| failed["row"].as_u64().and_then(|row| u32::try_from(row).ok()))
        .collect::<Option<Vec<_>>>()
        .ok_or("the answer's failed_rows have no row numbers")?;
    Ok(Answer { outputs: batch(view, arrays)?, failed })
}

fn arrow_answer(view: &BoundView, answer: &[u8]) -> Result<Answer, String> {
    let text = |error: arrow_schema::ArrowError| format!("the answer is not an Arrow stream: {error}");
    let reader = StreamReader::try_new(answer, None).map_err(text)?;
    let schema = reader.schema();
    let batches = reader.collect::<Result<Vec<_>, _>>().map_err(text)?;
    let together = arrow_select::concat::concat_batches(&schema, &batches).map_err(text)?;
    let column = |name: &str| together.column_by_name(name).ok_or_else(|| format!("the answer has no column `{name}`"));
    let arrays = view
        .signature
        .outputs
        .iter()
        .map(|field| column(&field.name).map(Arc::clone))
        .collect::<Result<Vec<_>, _>>()?;
    let errors = column("__error")?;
    let errors = errors.as_string_opt::<i32>().ok_or("the answer's column `__error` is not of strings")?;
    let failed = (0..errors.len() as u32).filter(|row| errors.is_valid(*row as usize)).collect();
    Ok(Answer { outputs: batch(view, arrays)?, failed })
}

/// The columns under the signature's names, all nullable: a failed row is null.
fn batch(view: &BoundView, arrays: Vec<ArrayRef>) -> Result<RecordBatch, String> {
    let outputs = view.signature.outputs.iter();
    let fields: Vec<_> = outputs.map(|field| ArrowField::new(&field.name, field.data_type.to_arrow(), true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).map_err(|error| error.to_string())
}

/// What a problem says and what to do about it; of anything else the start, which no server of ours has sent.
fn problem(body: &[u8]) -> (String, Option<String>) {
    let text = String::from_utf8_lossy(body);
    let problem = serde_json::from_str::<Value>(&text).unwrap_or_default();
    let part = |name: &str| problem[name].as_str().map(str::to_owned);
    match part("detail").filter(|_| part("type").is_some_and(|kind| kind.starts_with("urn:tandem:"))) {
        Some(detail) => (detail, part("hint")),
        None => {
            let start: String = text.chars().take(FOREIGN_CHARS_SHOWN_MAX).collect();
            (format!("{start:?}"), Some(NOT_TANDEM.to_owned()))
        }
    }
}
