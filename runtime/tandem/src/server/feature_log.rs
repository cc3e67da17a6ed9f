//! Answers of feature services as rows of the feature log: which are taken, and their columns. `docs/reference/feature-log.md` describes them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_schema::{ArrowError, DataType as ArrowType, Field, Schema, SchemaRef, TimeUnit};
use serde_json::json;
use tandem_core::feature_plan::{FeaturePlan, Step};
use tandem_core::hash::Digest;
use tandem_core::model::Share;
use tandem_core::time::Timestamp;

use super::guard::RequestId;
use super::metrics::ServiceMetrics;
use super::services::vectors::Vectors;
use super::state::Server;
use crate::feature_log::{EVENT_TIME, Entry, Stream};

/// Columns that every log begins with, and one that it ends with.
const REQUEST_ID: &str = "request_id";
const REQUEST_ROW: &str = "request_row";
const SERVED_TIME: &str = "served_time";
const REGISTRATION: &str = "registration";
const VIEWS: &str = "views";

/// What of a service is logged, and how.
pub(super) struct Logged {
    share: Share,
    stream: Arc<Stream>,
    registration: Option<u64>,
    /// The views of the plan with their versions and digests, as JSON.
    views: String,
}

impl Logged {
    /// None where nothing of the service is logged.
    pub(super) fn new(
        service: &str,
        share: Share,
        plan: &FeaturePlan,
        registration: Option<u64>,
        metrics: &Arc<ServiceMetrics>,
    ) -> Option<Logged> {
        if share == Share::NONE {
            return None;
        }
        let metrics = Arc::clone(metrics);
        let stream = Stream {
            service: service.to_owned(),
            schema: schema(plan),
            counted: Box::new(move |fate, rows| metrics.logged(fate, rows)),
        };
        let bound = plan.stored.iter().map(|step| &step.view).chain(plan.computed.iter().map(|step| &step.view));
        let views = bound.map(|bound| {
            let view = &bound.view;
            json!({ "view": view.name, "version": view.version, "digest": bound.digest.to_string() })
        });
        let views = serde_json::Value::from_iter(views).to_string();
        Some(Logged { share, stream: Arc::new(stream), registration, views })
    }

    fn has(&self, id: &RequestId) -> bool {
        let hash = Digest::of(id.0.as_bytes()).0;
        self.share.has(u64::from_be_bytes(std::array::from_fn(|byte| hash[byte])))
    }
}

impl Server {
    /// Gives an answer to the feature log, if its service is logged and the request is one of those that are. Never waits.
    pub(super) fn log_vectors(&self, vectors: &Arc<Vectors>, id: &RequestId) {
        let (Some(log), Some(logged)) = (&self.feature_log, &vectors.service.logged) else { return };
        if !logged.has(id) {
            return;
        }
        let (vectors, id, served) = (Arc::clone(vectors), id.clone(), self.now());
        log.offer(Entry {
            stream: Arc::clone(&logged.stream),
            rows: vectors.rows as u64,
            columns: Box::new(move || columns(&vectors, &id, served)),
        });
    }
}

fn instant() -> ArrowType {
    ArrowType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// The columns of a service's log. Those of the request and the features keep their names, unless another column has it: then the request's is
/// `request__NAME`, a feature's `feature__NAME`.
fn schema(plan: &FeaturePlan) -> SchemaRef {
    let own = [REQUEST_ID, REQUEST_ROW, EVENT_TIME, SERVED_TIME, REGISTRATION, VIEWS];
    let mut taken: BTreeSet<String> = own.iter().map(ToString::to_string).collect();
    let mut name = |wanted: &str, prefix: &str| {
        let mut name = wanted.to_owned();
        while !taken.insert(name.clone()) {
            name = format!("{prefix}__{name}");
        }
        name
    };
    let mut features = Vec::new();
    for column in &plan.columns {
        let bound = plan.view(column.from.step);
        let of = HashMap::from([
            ("tandem.view".to_owned(), bound.view.name.clone()),
            ("tandem.version".to_owned(), bound.view.version.to_string()),
            ("tandem.digest".to_owned(), bound.digest.to_string()),
        ]);
        let feature = name(&column.name, "feature");
        features.push(Field::new(&feature, column.data_type.to_arrow(), true).with_metadata(of));
        features.push(Field::new(name(&format!("{feature}__status"), "feature"), ArrowType::Utf8, false));
        if matches!(column.from.step, Step::Stored(_)) {
            features.push(Field::new(name(&format!("{feature}__event_time"), "feature"), instant(), true));
        }
    }
    let mut fields = vec![
        Field::new(REQUEST_ID, ArrowType::Utf8, false),
        Field::new(REQUEST_ROW, ArrowType::Int64, false),
        Field::new(EVENT_TIME, instant(), false),
        Field::new(SERVED_TIME, instant(), false),
        Field::new(REGISTRATION, ArrowType::Int64, true),
    ];
    let request = plan.request.iter();
    fields.extend(request.map(|column| Field::new(name(&column.name, "request"), column.data_type.to_arrow(), true)));
    fields.extend(features);
    fields.push(Field::new(VIEWS, ArrowType::Utf8, false));
    Arc::new(Schema::new(fields))
}

fn columns(vectors: &Vectors, id: &RequestId, served: Timestamp) -> Result<RecordBatch, ArrowError> {
    let Some(logged) = &vectors.service.logged else {
        return Err(ArrowError::InvalidArgumentError("the service is not logged".to_owned()));
    };
    let rows = vectors.rows;
    let times = |time: Timestamp| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from_value(time.0, rows).with_timezone("UTC"))
    };
    let text = |text: &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, rows))) };
    let registration = logged.registration.map(|number| number as i64);
    let mut columns: Vec<ArrayRef> = vec![
        text(&id.0),
        Arc::new(Int64Array::from_iter_values(0..rows as i64)),
        times(vectors.as_of),
        times(served),
        Arc::new(std::iter::repeat_n(registration, rows).collect::<Int64Array>()),
    ];
    columns.extend(vectors.request.iter().map(Arc::clone));
    for (index, column) in vectors.service.plan.columns.iter().enumerate() {
        columns.push(vectors.column(index));
        let statuses = (0..rows).map(|row| Some(vectors.status(index, row).status.as_str()));
        columns.push(Arc::new(statuses.collect::<StringArray>()));
        if matches!(column.from.step, Step::Stored(_)) {
            let of_rows = (0..rows).map(|row| vectors.event_time(index, row).map(|time| time.0));
            columns.push(Arc::new(of_rows.collect::<TimestampMicrosecondArray>().with_timezone("UTC")));
        }
    }
    columns.push(text(&logged.views));
    RecordBatch::try_new(Arc::clone(&logged.stream.schema), columns)
}
