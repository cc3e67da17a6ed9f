//! Redis of Debian, and an axum handler over it that answers as Tandem does: what a team would write itself.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream as Blocking;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::routing::post;
use serde::{Deserialize, Serialize};
use tandem_core::time::Timestamp;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

use super::FEATURES;
use super::data::value;
use crate::Failure;
use crate::tools;
use crate::training::Random;

/// Bytes of an entity: the event time and its values.
const ROW_BYTES: usize = 8 * (1 + FEATURES);

/// Connections from the handler to Redis.
const CONNECTIONS: usize = 8;

/// Keys that are set at a time.
const SET_AT_ONCE: usize = 10_000;

/// A Redis with all entities in it. It ends when the last clone is dropped.
pub(crate) struct Redis {
    server: Arc<RedisServer>,
}

struct RedisServer {
    process: Child,
    port: u16,
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Redis {
    pub(crate) fn start(users: usize, items: usize) -> Result<Redis, Failure> {
        let redis = Redis::empty()?;
        for (prefix, entities) in [('u', users), ('i', items)] {
            redis.fill(prefix, entities)?;
        }
        Ok(redis)
    }

    /// Without persistence, as a cache is run.
    pub(crate) fn empty() -> Result<Redis, Failure> {
        let program = program()?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = Command::new(&program.0);
        command.env("LD_LIBRARY_PATH", &program.1).stdout(Stdio::null());
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        let process = command.spawn()?;
        let redis = Redis { server: Arc::new(RedisServer { process, port }) };
        for _ in 0..200 {
            if Blocking::connect(("127.0.0.1", port)).is_ok() {
                return Ok(redis);
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        Err("Redis does not listen".into())
    }

    pub(crate) fn again(of: &Redis) -> Redis {
        Redis { server: Arc::clone(&of.server) }
    }

    pub(crate) fn port(&self) -> u16 {
        self.server.port
    }

    pub(crate) fn id(&self) -> u32 {
        self.server.process.id()
    }

    fn fill(&self, prefix: char, entities: usize) -> Result<(), Failure> {
        let mut stream = Blocking::connect(("127.0.0.1", self.port()))?;
        let mut random = Random(entities as u64);
        for first in (0..entities).step_by(SET_AT_ONCE) {
            let count = SET_AT_ONCE.min(entities - first);
            let mut command = Vec::new();
            write!(command, "*{}\r\n$4\r\nMSET\r\n", 1 + 2 * count)?;
            for entity in first..first + count {
                let key = format!("{prefix}:{entity}");
                write!(command, "${}\r\n{key}\r\n${ROW_BYTES}\r\n", key.len())?;
                command.extend_from_slice(&random.instant().to_le_bytes());
                (0..FEATURES).for_each(|_| command.extend_from_slice(&value(&mut random).to_le_bytes()));
                command.extend_from_slice(b"\r\n");
            }
            stream.write_all(&command)?;
            let mut ok = [0; 5];
            stream.read_exact(&mut ok)?;
            if &ok != b"+OK\r\n" {
                return Err(String::from_utf8_lossy(&ok).into_owned().into());
            }
        }
        Ok(())
    }
}

/// Debian's program, unpacked into the target folder, and the folder of its libraries.
fn program() -> Result<(PathBuf, PathBuf), Failure> {
    let folder = tools::debian("redis", "benches/baselines/redis.txt")?;
    Ok((folder.join("usr/bin/redis-server"), folder.join("usr/lib/x86_64-linux-gnu")))
}

#[derive(Clone)]
struct Handler {
    connections: Arc<Vec<Mutex<TcpStream>>>,
    next: Arc<AtomicUsize>,
}

/// Serves until the end.
pub(crate) async fn serve(
    listener: TcpListener,
    port: u16,
    end: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Failure> {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        connections.push(Mutex::new(stream));
    }
    let handler = Handler { connections: Arc::new(connections), next: Arc::default() };
    let router = Router::new()
        .route("/profile", post(profile))
        .route("/rank", post(rank))
        .route("/rank/serde", post(rank_serde))
        .route("/rank/values", post(rank_values))
        .with_state(handler);
    Ok(axum::serve(listener, router).with_graceful_shutdown(end).await?)
}

#[derive(Deserialize)]
struct Profile {
    columns: ProfileColumns,
}

#[derive(Deserialize)]
struct ProfileColumns {
    user_id: Vec<i64>,
}

#[derive(Deserialize)]
struct Rank {
    common: RankCommon,
    columns: RankColumns,
}

#[derive(Deserialize)]
struct RankCommon {
    user_id: i64,
}

#[derive(Deserialize)]
struct RankColumns {
    item_id: Vec<i64>,
}

/// An answer as one declares it.
#[derive(Serialize)]
struct Ranked {
    columns: BTreeMap<String, RankedColumn>,
}

#[derive(Serialize)]
struct RankedColumn {
    values: Vec<Option<f64>>,
    statuses: Vec<&'static str>,
    event_times: Vec<Option<String>>,
}

type Answer = Result<([(HeaderName, &'static str); 1], Vec<u8>), StatusCode>;

fn answered(body: Vec<u8>) -> Answer {
    Ok(([(header::CONTENT_TYPE, "application/json")], body))
}

async fn profile(State(handler): State<Handler>, body: Bytes) -> Answer {
    let asked: Profile = serde_json::from_slice(&body).map_err(|_| StatusCode::BAD_REQUEST)?;
    let keys: Vec<String> = asked.columns.user_id.iter().map(|user| format!("u:{user}")).collect();
    let rows = handler.mget(&keys).await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    let all: Vec<usize> = (0..rows.len()).collect();
    answered(object(&[('u', &rows, &all)], true))
}

async fn rank(State(handler): State<Handler>, body: Bytes) -> Answer {
    ranked(&handler, &body, true).await
}

async fn rank_serde(State(handler): State<Handler>, body: Bytes) -> Answer {
    let (rows, user, items) = found(&handler, &body).await?;
    let mut columns = BTreeMap::new();
    for (prefix, places) in [('u', &user), ('i', &items)] {
        for feature in 0..FEATURES {
            let of_rows = || places.iter().map(|place| rows[*place].as_ref());
            let value = |row: &[u8; ROW_BYTES]| f64::from_le_bytes(eight(row, 8 * (1 + feature)));
            let event_time = |row: &[u8; ROW_BYTES]| Timestamp(i64::from_le_bytes(eight(row, 0))).to_string();
            let column = RankedColumn {
                values: of_rows().map(|row| row.map(value)).collect(),
                statuses: of_rows().map(|row| if row.is_some() { "PRESENT" } else { "NOT_FOUND" }).collect(),
                event_times: of_rows().map(|row| row.map(event_time)).collect(),
            };
            columns.insert(format!("{prefix}{feature}"), column);
        }
    }
    answered(serde_json::to_vec(&Ranked { columns }).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?)
}

async fn rank_values(State(handler): State<Handler>, body: Bytes) -> Answer {
    ranked(&handler, &body, false).await
}

async fn ranked(handler: &Handler, body: &[u8], with_statuses: bool) -> Answer {
    let (rows, user, items) = found(handler, body).await?;
    answered(object(&[('u', &rows, &user), ('i', &rows, &items)], with_statuses))
}

/// What Redis has, and where of that each row's user and item stand.
async fn found(handler: &Handler, body: &[u8]) -> Result<(Vec<Row>, Vec<usize>, Vec<usize>), StatusCode> {
    let asked: Rank = serde_json::from_slice(body).map_err(|_| StatusCode::BAD_REQUEST)?;
    let items = asked.columns.item_id.iter().map(|item| format!("i:{item}"));
    let keys: Vec<String> = [format!("u:{}", asked.common.user_id)].into_iter().chain(items).collect();
    let rows = handler.mget(&keys).await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    let (user, items) = (vec![0; rows.len() - 1], (1..rows.len()).collect());
    Ok((rows, user, items))
}

type Row = Option<[u8; ROW_BYTES]>;

/// `{"columns": {feature: {"values": [...], "statuses": [...], "event_times": [...]}}}`, or `{feature: [...]}` of the values alone.
fn object(views: &[(char, &Vec<Row>, &Vec<usize>)], with_statuses: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(512 << 10);
    out.extend_from_slice(b"{\"columns\":{");
    let mut first = true;
    for (prefix, rows, places) in views {
        for feature in 0..FEATURES {
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            let _ = write!(out, "\"{prefix}{feature}\":");
            if with_statuses {
                out.extend_from_slice(b"{\"values\":");
            }
            let at = 8 * (1 + feature);
            list(&mut out, rows, places, |out, row| {
                let _ = serde_json::to_writer(out, &f64::from_le_bytes(eight(row, at)));
            });
            if with_statuses {
                out.extend_from_slice(b",\"statuses\":");
                list(&mut out, rows, places, |out, _| out.extend_from_slice(b"\"PRESENT\""));
                out.extend_from_slice(b",\"event_times\":");
                list(&mut out, rows, places, |out, row| {
                    let time = Timestamp(i64::from_le_bytes(eight(row, 0)));
                    out.push(b'"');
                    time.write(out);
                    out.push(b'"');
                });
                out.push(b'}');
            }
        }
    }
    out.extend_from_slice(b"}}");
    out
}

fn list(out: &mut Vec<u8>, rows: &[Row], places: &[usize], mut each: impl FnMut(&mut Vec<u8>, &[u8; ROW_BYTES])) {
    out.push(b'[');
    for (index, place) in places.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        match &rows[*place] {
            Some(row) => each(out, row),
            None => out.extend_from_slice(b"null"),
        }
    }
    out.push(b']');
}

fn eight(row: &[u8; ROW_BYTES], at: usize) -> [u8; 8] {
    std::array::from_fn(|byte| row[at + byte])
}

impl Handler {
    async fn mget(&self, keys: &[String]) -> Result<Vec<Row>, Failure> {
        let mut command = Vec::with_capacity(32 * keys.len());
        write!(command, "*{}\r\n$4\r\nMGET\r\n", 1 + keys.len())?;
        for key in keys {
            write!(command, "${}\r\n{key}\r\n", key.len())?;
        }
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % CONNECTIONS;
        let mut stream = self.connections[turn].lock().await;
        stream.write_all(&command).await?;
        let mut buffer = Vec::with_capacity((ROW_BYTES + 16) * keys.len());
        let mut rows = Vec::with_capacity(keys.len());
        let mut at = None;
        loop {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Err("Redis closed the connection".into());
            }
            // The head is `*COUNT`; each value `$LENGTH` and its bytes, or `$-1`.
            let mut place = match at {
                Some(place) => place,
                None => match line_end(&buffer, 0) {
                    Some(end) => end,
                    None => continue,
                },
            };
            while rows.len() < keys.len() {
                let Some(end) = line_end(&buffer, place) else { break };
                if &buffer[place..end] == b"$-1\r\n" {
                    rows.push(None);
                    place = end;
                    continue;
                }
                let Some(bytes) = buffer.get(end..end + ROW_BYTES + 2) else { break };
                rows.push(Some(std::array::from_fn(|byte| bytes[byte])));
                place = end + ROW_BYTES + 2;
            }
            at = Some(place);
            if rows.len() == keys.len() {
                return Ok(rows);
            }
        }
    }
}

/// Behind the line that begins there.
fn line_end(buffer: &[u8], from: usize) -> Option<usize> {
    buffer.get(from..)?.windows(2).take(32).position(|two| two == b"\r\n").map(|at| from + at + 2)
}
