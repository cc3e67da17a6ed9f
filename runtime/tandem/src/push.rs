//! Rows that are pushed into a view: validated, transformed by its component, and acknowledged once they are durable.
//!
//! Whoever takes rows from somewhere (HTTP, another front) makes [`Given`] of them, by the columns of a [`PushPlan`], and hands them to [`Pusher::push`]. A row
//! is the source's row: of a view with a component its columns are the transform's inputs, of a view of columns the features themselves.
//!
//! What a push refuses is told, row by row; nothing is left out in silence. Rows of the future are set aside whatever the view says, as in a batch, and so are
//! events that come too late for a tiled view.

mod plan;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, BooleanArray, RecordBatch, UInt32Array};
use arrow_select::filter::filter_record_batch;
use arrow_select::take::take;
use tandem_core::model::{BoundView, OnError, ViewVersion};
use tandem_core::time::{Duration, Timestamp};
use tandem_core::types::{Field, RETRACTED, is_of_source};
use tandem_engine::{EngineError, OnDemand, WorkerPanic, Workers};
use tandem_online::{OnlineError, PushReport, PushTo, Row, RowOutcome, Ticket, ViewId, Writer};

pub use plan::{Given, PushPlan, Rows, is_timestamp};

/// Rows of a push that are worked on where the request is; more go to a worker.
const INLINE_ROWS_MAX: usize = 256;

/// Why a push as a whole fails. Nothing of it is acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// A view that takes no rows.
    #[error("rows cannot be pushed into feature view `{view}`: {reason}")]
    NotPushable {
        /// The view.
        view: ViewVersion,
        /// Why not.
        reason: String,
        /// What to do instead.
        hint: &'static str,
    },
    /// Rows that were refused, where one is to fail them all.
    #[error("{} of the rows cannot be stored", .0.len())]
    Refused(BTreeMap<usize, Refused>),
    /// The transform as a whole.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The online store.
    #[error(transparent)]
    Online(#[from] OnlineError),
    /// A defect of this program.
    #[error("{0}")]
    Defect(String),
}

impl From<WorkerPanic> for PushError {
    fn from(panic: WorkerPanic) -> Self {
        PushError::Engine(panic.into())
    }
}

/// Why a row is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// A value is not of its type.
    InvalidValue,
    /// It breaks the contract of the view's source.
    Contract,
    /// The event time is null.
    NullEventTime,
    /// A key is null or NaN.
    NullKey,
    /// The event time or the created time is later than now by more than `max_future`.
    Future,
    /// A row of a dimension that is valid at no instant.
    NeverValid,
    /// The transform failed on it.
    TransformError,
    /// Its key or its values have more bytes than the store takes.
    TooLarge,
    /// Of a tiled view, an event, or a version of one, further behind the newest event of its entity than the view's lateness.
    TooLate,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Reason; 9] = [
        Reason::InvalidValue,
        Reason::Contract,
        Reason::NullEventTime,
        Reason::NullKey,
        Reason::Future,
        Reason::NeverValid,
        Reason::TransformError,
        Reason::TooLarge,
        Reason::TooLate,
    ];

    /// Its word in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::InvalidValue => "invalid_value",
            Reason::Contract => "contract",
            Reason::NullEventTime => "null_event_time",
            Reason::NullKey => "null_key",
            Reason::Future => "future",
            Reason::NeverValid => "never_valid",
            Reason::TransformError => "transform_error",
            Reason::TooLarge => "too_large",
            Reason::TooLate => "too_late",
        }
    }
}

/// A row that is not stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub reason: Reason,
    /// The same, for people.
    pub message: String,
}

/// What takes pushes. Cheap to clone.
#[derive(Clone)]
pub struct Pusher {
    /// What commits them.
    pub writer: Writer,
    /// Threads for large requests.
    pub workers: Workers,
    /// Rows further past the present than this are set aside.
    pub max_future: Duration,
    /// The clock.
    pub clock: fn() -> Timestamp,
}

/// Into what rows are pushed, and how.
pub struct Push<'a> {
    /// The view.
    pub plan: &'a Arc<PushPlan>,
    /// Its number in the store.
    pub id: ViewId,
    /// Its transform; None for a view of columns.
    pub on_demand: Option<&'a OnDemand>,
    /// Where the rows go.
    pub to: PushTo,
    /// Whether a row that is refused fails the push. Rows of the future never do; of rows that break its contract the source says it.
    pub on_error: OnError,
}

/// What came of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// Of each row, in their order: None where it was set aside before it reached the store.
    pub outcomes: Vec<Option<RowOutcome>>,
    /// Rows that were set aside.
    pub refused: BTreeMap<usize, Refused>,
    /// When the rows were made visible; None if there were none.
    pub published_time: Option<Timestamp>,
    /// Rows that went into the log.
    pub logged: usize,
    /// First and last of their sequences; rows of other pushes may lie between them.
    pub sequences: Option<(u64, u64)>,
}

impl Pushed {
    /// Rows that were set aside since they break the contract of the source.
    pub fn broken(&self) -> usize {
        self.refused.values().filter(|refused| refused.reason == Reason::Contract).count()
    }

    /// Rows with this outcome.
    pub fn count(&self, outcome: RowOutcome) -> usize {
        self.outcomes.iter().filter(|found| **found == Some(outcome)).count()
    }
}

/// What is said of an event that comes too late.
fn too_late(plan: &PushPlan) -> Refused {
    let lateness = plan.windows().and_then(|windows| windows.lateness()).map(|lateness| lateness.to_string());
    let message = format!(
        "its event, or the one that it is a version of, lies further behind the newest event of its entity than the view's lateness ({}), so tiles alone are kept there; push it with `\"to\": \"offline\"`, and `tandem materialize --rebuild` counts it",
        lateness.unwrap_or_default()
    );
    Refused { reason: Reason::TooLate, message }
}

/// The events that the component of a view of aggregates makes of rows, and the rows that it fails on. A retraction has no values to make any of.
fn events(view: &BoundView, inputs: &RecordBatch) -> Result<(RecordBatch, BTreeMap<usize, String>), PushError> {
    let defect = |error: arrow_schema::ArrowError| PushError::Defect(error.to_string());
    let retracted = inputs.column_by_name(RETRACTED).and_then(|column| column.as_boolean_opt());
    let is_event = |row: &usize| retracted.is_none_or(|column| column.is_null(*row) || !column.value(*row));
    let made: Vec<usize> = (0..inputs.num_rows()).filter(is_event).collect();
    let mask: BooleanArray = (0..inputs.num_rows()).map(|row| Some(is_event(&row))).collect();
    let of_events = filter_record_batch(inputs, &mask).map_err(defect)?;
    let mapped = view.map_events(&of_events).map_err(|error| match error.0.downcast::<EngineError>() {
        Ok(error) => PushError::Engine(*error),
        Err(error) => PushError::Defect(error.to_string()),
    })?;
    let mut places = vec![None; inputs.num_rows()];
    made.iter().enumerate().for_each(|(place, row)| places[*row] = Some(place as u32));
    let places = UInt32Array::from(places);
    let outputs = &view.signature.outputs;
    let columns = mapped.outputs.iter().zip(outputs).map(|(column, output)| {
        match inputs.column_by_name(&output.name).filter(|_| is_of_source(&output.name)) {
            Some(passed) => Ok(Arc::clone(passed)),
            None => take(column, &places, None).map_err(defect),
        }
    });
    let columns = columns.collect::<Result<_, _>>()?;
    let fields = outputs.iter().map(|output| Field { nullable: true, ..output.clone() }.to_arrow());
    let schema = Arc::new(arrow_schema::Schema::new(fields.collect::<Vec<_>>()));
    let events = RecordBatch::try_new(schema, columns).map_err(defect)?;
    Ok((events, mapped.failures.into_iter().map(|(row, message)| (made[row], message)).collect()))
}

impl Pusher {
    /// Pushes rows. When it returns, what is acknowledged is durable. More rows than one transaction takes are committed in several; should one of those
    /// fail, the ones before it stay, and the push may be sent again: what is there already changes nothing.
    ///
    /// # Errors
    ///
    /// As [`PushError`] says.
    pub async fn push(&self, push: Push<'_>, given: Given) -> Result<Pushed, PushError> {
        let rows = given.rows;
        let (plan, now, max_future) = (Arc::clone(push.plan), (self.clock)(), self.max_future);
        let bind = move || plan.bind(given, now, max_future);
        let mut bound = if rows <= INLINE_ROWS_MAX { bind()? } else { self.workers.run(bind).await?? };
        let on_violation = push.plan.on_violation();
        let is_fault = |refused: &Refused| match refused.reason {
            Reason::Future => false,
            Reason::Contract => on_violation == OnError::Fail,
            _ => push.on_error == OnError::Fail,
        };
        let stops = |refused: &BTreeMap<usize, Refused>| refused.values().any(is_fault);
        if stops(&bound.refused) {
            bound.refused.retain(|_, refused| is_fault(refused));
            return Err(PushError::Refused(bound.refused));
        }
        let (outputs, failures) = match push.on_demand {
            Some(on_demand) if !bound.kept.is_empty() => {
                let outcome = on_demand.apply(bound.inputs.clone()).await?;
                (outcome.outputs, outcome.failures.into_iter().map(|failure| (failure.row, failure.message)).collect())
            }
            None if push.plan.view().maps_events() && !bound.kept.is_empty() => {
                let (view, inputs) = (Arc::clone(push.plan.view()), bound.inputs.clone());
                self.workers.run(move || events(&view, &inputs)).await??
            }
            Some(_) => (RecordBatch::new_empty(push.plan.view().signature.output_schema()), BTreeMap::new()),
            None if push.plan.view().maps_events() => {
                (RecordBatch::new_empty(push.plan.view().signature.output_schema()), BTreeMap::new())
            }
            None => (bound.inputs.clone(), BTreeMap::new()),
        };
        let (plan, limits) = (Arc::clone(push.plan), self.writer.store().options().clone());
        let encode = move || {
            let stored = plan.rows(&mut bound, &outputs, &failures, &limits)?;
            Ok::<_, PushError>((stored, bound.refused))
        };
        let (stored, mut refused) =
            if rows <= INLINE_ROWS_MAX { encode()? } else { self.workers.run(encode).await?? };
        if stops(&refused) {
            refused.retain(|_, refused| is_fault(refused));
            return Err(PushError::Refused(refused));
        }
        let mut pushed =
            Pushed { outcomes: vec![None; rows], refused, published_time: None, logged: 0, sequences: None };
        for (positions, ticket) in self.submit(&push, stored)? {
            let PushReport { outcomes, sequences, logged, published_time, .. } = ticket.await?;
            for (row, outcome) in positions.into_iter().zip(outcomes) {
                pushed.outcomes[row] = Some(outcome);
                if outcome == RowOutcome::TooLate {
                    pushed.refused.insert(row, too_late(push.plan));
                }
            }
            pushed.published_time = Some(published_time);
            pushed.logged += logged;
            pushed.sequences = match (pushed.sequences, sequences) {
                (Some((first, _)), Some((_, last))) => Some((first, last)),
                (before, now) => now.or(before),
            };
        }
        Ok(pushed)
    }

    /// Hands rows to the writer, in as many batches as it takes.
    fn submit(&self, push: &Push<'_>, stored: Vec<(usize, Row)>) -> Result<Vec<(Vec<usize>, Ticket)>, PushError> {
        let options = self.writer.store().options();
        let (mut tickets, mut bytes) = (Vec::new(), 0);
        let (mut positions, mut rows): (Vec<usize>, Vec<Row>) = (Vec::new(), Vec::new());
        let mut send = |positions: Vec<usize>, rows: Vec<Row>| -> Result<(), OnlineError> {
            if !rows.is_empty() {
                let ticket = match push.plan.windows() {
                    Some(windows) => self.writer.try_push_events(push.id, windows, rows, push.to),
                    None => self.writer.try_push(push.id, rows, push.to),
                };
                tickets.push((positions, ticket?));
            }
            Ok(())
        };
        for (position, row) in stored {
            let size = row.key.len() + row.record.row.len();
            if rows.len() == options.batch_rows_max || bytes + size > options.batch_bytes_max {
                send(std::mem::take(&mut positions), std::mem::take(&mut rows))?;
                bytes = 0;
            }
            bytes += size;
            positions.push(position);
            rows.push(row);
        }
        send(positions, rows)?;
        Ok(tickets)
    }
}
