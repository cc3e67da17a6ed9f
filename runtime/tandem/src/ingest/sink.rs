//! Where rows go: into the online store of this project, or to a server.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use arrow_ipc::writer::StreamWriter;
use serde_json::Value;
use tandem_core::definition::ServerSettings;
use tandem_core::model::OnError;
use tandem_engine::OnDemand;
use tandem_online::{PushTo, RowOutcome, ViewId};

use crate::client::{Client, plain};
use crate::error::Error;
use crate::push::{Push, PushError, PushPlan, Pusher, Reason, Refused};
use crate::server::pushed_rows;

/// The first pause before a server is asked again; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(100);

/// The longest.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Rows as `POST /v1/push` takes them.
pub struct Body {
    /// JSON, or an Arrow stream.
    pub bytes: Vec<u8>,
    /// Which of them.
    pub is_arrow: bool,
    /// How many rows.
    pub rows: usize,
}

/// What became of them.
#[derive(Debug, Default)]
pub struct Sent {
    /// Rows that are new and count.
    pub written: u64,
    /// Rows behind a later one.
    pub older: u64,
    /// Rows that were there already.
    pub unchanged: u64,
    /// Rows that went into the log.
    pub logged: u64,
    /// Rows that were refused, by their position: the reason's word, and a message.
    pub refused: Vec<(usize, String, String)>,
}

/// Takes rows. When it returns, what it says is taken is durable.
pub trait Sink {
    /// Blocking.
    ///
    /// # Errors
    ///
    /// Nothing is said of the rows then; they may be sent again.
    fn send(&self, body: &Body) -> Result<Sent, Error>;
}

/// The online store of this project.
pub struct Local {
    /// What takes pushes.
    pub pusher: Pusher,
    /// The view.
    pub plan: Arc<PushPlan>,
    /// Its number in the store.
    pub id: ViewId,
    /// Its transform; None for a view of columns or aggregates.
    pub on_demand: Option<OnDemand>,
    /// The limits of a request.
    pub settings: ServerSettings,
    /// What waits for the writer.
    pub runtime: tokio::runtime::Runtime,
}

impl Sink for Local {
    fn send(&self, body: &Body) -> Result<Sent, Error> {
        let given = pushed_rows(&body.bytes, body.is_arrow, &self.plan, &self.settings).map_err(Error::Data)?;
        let push = Push {
            plan: &self.plan,
            id: self.id,
            on_demand: self.on_demand.as_ref(),
            to: PushTo::BOTH,
            on_error: OnError::Quarantine,
        };
        let pushed = self.runtime.block_on(self.pusher.push(push, given));
        let pushed = pushed.map_err(|error| match error {
            PushError::Refused(refused) => broken(&refused),
            error => Error::Data(error.to_string()),
        })?;
        let count = |outcome| pushed.count(outcome) as u64;
        let refused = pushed.refused.iter();
        Ok(Sent {
            written: count(RowOutcome::Written),
            older: count(RowOutcome::Older),
            unchanged: count(RowOutcome::Unchanged),
            logged: pushed.logged as u64,
            refused: refused.map(|(row, one)| (*row, one.reason.as_str().to_owned(), one.message.clone())).collect(),
        })
    }
}

/// Rows that refuse a push in which others would be set aside: they break a contract that says so.
fn broken(refused: &BTreeMap<usize, Refused>) -> Error {
    let (row, message) = refused.iter().next().map_or((0, String::new()), |(row, one)| (*row, one.message.clone()));
    Error::ContractRow { what: format!("row {row}"), row, message, broken: refused.len() as u64 }
}

/// The same, as a server tells it; None for every other problem.
fn told_broken(answer: &Value) -> Option<Error> {
    let first = answer["failed_rows"].get(0).filter(|first| first["reason"] == Reason::Contract.as_str())?;
    let row = first["row"].as_u64()? as usize;
    let message = first["message"].as_str().unwrap_or_default().to_owned();
    let broken = answer["rows"].as_u64().unwrap_or(1);
    Some(Error::ContractRow { what: format!("row {row}"), row, message, broken })
}

/// A running server.
pub struct Remote {
    client: Client,
    url: String,
    patience: Option<Duration>,
}

impl Remote {
    /// `view`: as people name it. A server that is not there or overloaded is asked again, for so long; None: for ever.
    pub fn new(client: Client, view: &str, patience: Option<Duration>) -> Remote {
        let url = client.url(&format!("/v1/push/{view}?on_error=quarantine"));
        Remote { client, url, patience }
    }

    /// An answer, or None where it is worth another try, with why.
    fn once(&self, body: &Body) -> Result<Result<Value, String>, Error> {
        let media = if body.is_arrow { "application/vnd.apache.arrow.stream" } else { "application/json" };
        // What JSON says itself may not stand beside it.
        let url = if body.is_arrow { &self.url[..] } else { self.url.split('?').next().unwrap_or_default() };
        let mut response = match self.client.post(url, media, &body.bytes) {
            Ok(response) => response,
            Err(error) => match self.client.lasting(&error) {
                Some(hint) => {
                    let hint = Some(hint.to_owned());
                    return Err(Error::Http { url: url.to_owned(), reason: plain(&error), hint });
                }
                None => return Ok(Err(plain(&error))),
            },
        };
        let status = response.status().as_u16();
        let text = match response.body_mut().with_config().limit(1 << 30).read_to_string() {
            Ok(text) => text,
            Err(error) => return Ok(Err(plain(&error))),
        };
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        if status == 200 && answer["outcomes"].is_array() {
            return Ok(Ok(answer));
        }
        let detail = answer["detail"].as_str().unwrap_or("the answer is not Tandem's");
        if matches!(status, 408 | 429 | 500 | 502..=504) {
            return Ok(Err(format!("{status}: {detail}")));
        }
        if let Some(error) = told_broken(&answer) {
            return Err(error);
        }
        let hint = self.client.refused(status).or(answer["hint"].as_str()).map(str::to_owned);
        Err(Error::Http { url: url.to_owned(), reason: format!("{status}: {detail}"), hint })
    }
}

impl Sink for Remote {
    fn send(&self, body: &Body) -> Result<Sent, Error> {
        let begun = Instant::now();
        let mut pause = PAUSE;
        let answer = loop {
            match self.once(body)? {
                Ok(answer) => break answer,
                Err(reason) if self.patience.is_some_and(|patience| begun.elapsed() + pause > patience) => {
                    let hint =
                        "is the server up? name it with --server, or leave that out to write into this project's store";
                    return Err(Error::Http { url: self.url.clone(), reason, hint: Some(hint.to_owned()) });
                }
                Err(reason) => {
                    tracing::warn!(reason, "the server is asked again");
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        };
        let number = |name: &str| answer[name].as_u64().unwrap_or_default();
        let refused = answer["quarantined"].as_array().into_iter().flatten().map(|one| {
            let text = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
            (one["row"].as_u64().unwrap_or_default() as usize, text("reason"), text("message"))
        });
        Ok(Sent {
            written: number("written"),
            older: number("older"),
            unchanged: number("unchanged"),
            logged: number("logged"),
            refused: refused.collect(),
        })
    }
}

/// A batch as an Arrow stream.
pub(super) fn arrow(batch: &RecordBatch) -> Result<Vec<u8>, Error> {
    let fail = |error: arrow_schema::ArrowError| Error::Data(error.to_string());
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).map_err(fail)?;
    writer.write(batch).map_err(fail)?;
    writer.into_inner().map_err(fail)
}
