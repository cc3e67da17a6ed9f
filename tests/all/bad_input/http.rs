//! Requests that cannot be answered, to the program as a process: each gets a problem, and the server stays up.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_ipc::writer::StreamWriter;
use serde_json::{Value, json};

use super::project::{FEATURES, Project};
use crate::harness::guests::Guest;
use crate::harness::program::{Serving, signal, tandem};
use crate::harness::server::{ARROW, JSON};
use crate::harness::transcript::Transcript;

/// A client as any other.
pub(super) struct Client {
    url: String,
    agent: ureq::Agent,
}

/// What came of a request.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) media_type: String,
    pub(super) body: String,
}

impl Client {
    pub(super) fn new(url: &str) -> Client {
        let config =
            ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(60)));
        Client { url: url.to_owned(), agent: config.build().into() }
    }

    pub(super) fn get(&self, route: &str) -> Answer {
        Answer::of(self.agent.get(format!("{}{route}", self.url)).call())
    }

    pub(super) fn post(&self, route: &str, media_type: &str, body: &[u8]) -> Answer {
        Answer::of(self.agent.post(format!("{}{route}", self.url)).header("content-type", media_type).send(body))
    }

    /// It is healthy, and gives right values.
    pub(super) fn is_up(&self) {
        assert_eq!(self.get("/health").status, 200);
        let answer = self.post("/v1/transforms/doubles", JSON, br#"{"rows": [{"mode": 21000}]}"#);
        assert_eq!((answer.status, &answer.json()["rows"][0]["value"]), (200, &json!(42_000)), "{}", answer.body);
    }

    fn address(&self) -> &str {
        self.url.strip_prefix("http://").expect("a URL")
    }

    /// Sends bytes as they are, whatever becomes of them, and reads until the server closes the connection.
    fn send(&self, head: &str, body: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address()).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        stream.write_all(head.replace('\n', "\r\n").as_bytes()).expect("it reads");
        let _ = stream.write_all(body); // the server may have answered and closed before it has all
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        String::from_utf8(answer).expect("UTF-8")
    }
}

impl Answer {
    fn of(response: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Answer {
        let mut response = response.expect("an answer");
        let media_type =
            response.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media_type = media_type.to_owned();
        let body = response.body_mut().read_to_string().expect("a body");
        Answer { status: response.status().as_u16(), media_type, body }
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The problem, which must be this one.
    pub(super) fn problem(&self, status: u16, slug: &str) -> Value {
        let problem = self.json();
        assert_eq!((self.status, self.media_type.as_str()), (status, "application/problem+json"), "{problem}");
        assert_eq!(problem["type"], format!("urn:tandem:problem:{slug}"), "{problem}");
        assert_eq!(problem["status"], status);
        for member in ["title", "detail", "instance"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {problem}");
        }
        problem
    }
}

/// The project of doubles, and a view of `every_type` beside it.
fn project() -> Project {
    let project = Project::new();
    project.set("[server]\nbody_bytes_max = 4_096\nrows_max = 20");
    let every = r#"
[[feature_view]]
name = "every"
version = 1
source = "events"
entities = ["user"]
component = "every.wasm"
as_of = "at_or_before"
"#;
    fs::write(project.root().join("features/doubles.toml"), format!("{FEATURES}{every}")).unwrap();
    fs::copy(Guest::EveryType.path(), project.root().join("every.wasm")).unwrap();
    project
}

/// A row that the view `every` takes, as text, with one part replaced.
fn every(from: &str, to: &str) -> String {
    let row = r#"{"flag": true, "whole": 1, "real": 0.5, "at": "2024-03-01T00:00:00Z", "text": "a", "bytes": "AA==", "vector": [1, 2, 3], "wholes": [1], "reals": [0.5], "texts": ["x"]}"#;
    assert!(row.contains(from), "{from}");
    format!(r#"{{"rows": [{}]}}"#, row.replacen(from, to, 1))
}

/// Puts a problem into the transcript, without what is new in every request.
fn show(said: &mut Transcript, what: &str, request: &str, answer: &Answer) {
    let mut problem = answer.json();
    assert_eq!(answer.media_type, "application/problem+json", "{what}: {problem}");
    assert!(answer.status < 500, "{what}: {problem}");
    assert_eq!(problem["status"], answer.status, "{what}");
    assert!(problem["instance"].as_str().is_some_and(|id| !id.is_empty()), "{what}: {problem}");
    problem["instance"] = json!("ID");
    said.note(what);
    said.say(&format!("{request}\n{problem:#}\n"));
}

#[test]
fn every_mistake_is_a_problem_and_the_server_stays_up() {
    let project = project();
    let serving = Serving::start(project.root(), &[]);
    let client = Client::new(serving.url());
    let mut said = Transcript::new(project.root());
    let answer = client.post("/v1/transforms/every", JSON, every("true", "true").as_bytes());
    assert_eq!(answer.status, 200, "the row itself is good: {}", answer.body);

    const DOUBLES: &str = "/v1/transforms/doubles";
    const EVERY: &str = "/v1/transforms/every";
    const FEATURES: &str = "/v1/features";
    let many = format!(r#"{{"rows": [{}]}}"#, vec![r#"{"mode": 100}"#; 21].join(", "));
    let long = format!(r#"{{"rows": [{{"mode": "{}"}}]}}"#, "x".repeat(5_000));
    for (what, route, media_type, body) in [
        ("JSON that ends early", DOUBLES, JSON, r#"{"rows": [{"mode": 1"#),
        ("JSON with a comma too many", DOUBLES, JSON, "{\"rows\": [\n  {\"mode\": 100,}\n]}"),
        ("no JSON at all", DOUBLES, JSON, "mode=100"),
        ("an empty body", DOUBLES, JSON, ""),
        ("something behind the JSON", DOUBLES, JSON, r#"{"rows": []} {"rows": []}"#),
        ("half of a surrogate pair", DOUBLES, JSON, r#"{"rows": [{"mode": "\ud800"}]}"#),
        ("neither rows nor columns", DOUBLES, JSON, "{}"),
        ("rows that are no array", DOUBLES, JSON, r#"{"rows": {"mode": [100]}}"#),
        ("a row that is no object", DOUBLES, JSON, r#"{"rows": [100]}"#),
        ("a key that is not known", DOUBLES, JSON, r#"{"row": [{"mode": 100}]}"#),
        ("1e400 for a float64", EVERY, JSON, &every("0.5,", "1e400,")),
        ("2^63 for an int64", EVERY, JSON, &every("\"whole\": 1", "\"whole\": 9223372036854775808")),
        ("a fraction for an int64", EVERY, JSON, &every("\"whole\": 1", "\"whole\": 1.0")),
        ("a string for an int64", EVERY, JSON, &every("\"whole\": 1", "\"whole\": \"1\"")),
        ("NaN spelled in lower case", EVERY, JSON, &every("0.5,", "\"nan\",")),
        ("NaN without quotes", EVERY, JSON, &every("0.5,", "NaN,")),
        ("a number for a boolean", EVERY, JSON, &every("true", "1")),
        ("a time without an offset", EVERY, JSON, &every("00:00:00Z", "00:00:00")),
        ("a day that is none", EVERY, JSON, &every("03-01T", "02-30T")),
        ("bytes that are not base64", EVERY, JSON, &every("AA==", "A")),
        ("a vector of another width", EVERY, JSON, &every("[1, 2, 3]", "[1, 2]")),
        ("an item of another type", EVERY, JSON, &every("\"wholes\": [1]", "\"wholes\": [1, 2.5]")),
        ("null where none may be", EVERY, JSON, &every("\"text\": \"a\"", "\"text\": null")),
        ("a column is missing", EVERY, JSON, &every("\"flag\": true, ", "")),
        ("a column is not known", EVERY, JSON, &every("\"flag\"", "\"flagg\"")),
        ("a column is there twice", EVERY, JSON, &every("\"flag\": true", "\"flag\": true, \"flag\": false")),
        ("columns of different lengths", DOUBLES, JSON, r#"{"columns": {"mode": [100], "as_of": []}}"#),
        ("as_of without the right to it", EVERY, JSON, r#"{"as_of": "2024-03-01T00:00:00Z", "rows": []}"#),
        ("more rows than may be", DOUBLES, JSON, &many),
        ("a body that is too large", DOUBLES, JSON, &long),
        ("a transform that is not there", "/v1/transforms/doubels", JSON, r#"{"rows": []}"#),
        ("a version that is not there", "/v1/transforms/doubles@2", JSON, r#"{"rows": []}"#),
        ("a path that is not UTF-8", "/v1/transforms/%ff", JSON, r#"{"rows": []}"#),
        ("a route that is not there", "/v2/transforms/doubles", JSON, r#"{"rows": []}"#),
        ("another method", "/v1/views", JSON, "{}"),
        ("another content type", DOUBLES, "text/csv", "mode\n100\n"),
        ("Arrow that is JSON", DOUBLES, ARROW, r#"{"rows": [{"mode": 100}]}"#),
        ("features of a view that is not there", FEATURES, JSON, r#"{"view": "spend", "entities": {"user_id": [1]}}"#),
        ("features that are not materialized", FEATURES, JSON, r#"{"view": "doubles", "entities": {"user_id": [1]}}"#),
        (
            "a feature that is not there",
            FEATURES,
            JSON,
            r#"{"view": "doubles", "features": ["valeu"], "entities": {"user_id": [1]}}"#,
        ),
        ("a join key that is not there", FEATURES, JSON, r#"{"view": "doubles", "entities": {"user": [1]}}"#),
        ("a join key of another type", FEATURES, JSON, r#"{"view": "doubles", "entities": [{"user_id": "one"}]}"#),
        ("entities that are missing", FEATURES, JSON, r#"{"view": "doubles"}"#),
    ] {
        let answer = client.post(route, media_type, body.as_bytes());
        show(&mut said, what, &format!("POST {route}"), &answer);
        client.is_up();
    }
    for (what, route) in [("a view that is not there", "/v1/views/spend"), ("a method of the other kind", DOUBLES)] {
        show(&mut said, what, &format!("GET {route}"), &client.get(route));
        client.is_up();
    }

    for (what, body) in arrow_streams() {
        show(&mut said, what, &format!("POST {DOUBLES} (Arrow)"), &client.post(DOUBLES, ARROW, &body));
        client.is_up();
    }
    said.assert("bad_input/http");
    let (status, log) = serving.terminate();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!log.contains("panicked") && !log.contains("ERROR"), "{log}");
    assert!(log.contains("shutting down"), "{log}");
}

/// Streams that are not what the view `doubles` takes.
fn arrow_streams() -> [(&'static str, Vec<u8>); 5] {
    let stream = |columns: Vec<(&str, ArrayRef)>| {
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
        writer.write(&batch).unwrap();
        writer.into_inner().unwrap()
    };
    let amounts = || -> ArrayRef { Arc::new(Int64Array::from(vec![100, 200])) };
    let whole = stream(vec![("mode", amounts())]);
    [
        ("an Arrow stream that is cut", whole[..whole.len() / 2].to_vec()),
        ("an Arrow stream of noise", vec![0xff; 64]),
        ("an Arrow stream with another column", stream(vec![("mode", amounts()), ("mood", amounts())])),
        ("an Arrow stream of strings", stream(vec![("mode", Arc::new(StringArray::from(vec!["100"])))])),
        ("an Arrow stream with a null", stream(vec![("mode", Arc::new(Int64Array::from(vec![Some(100), None])))])),
    ]
}

/// Bytes that no client library sends.
#[test]
fn broken_connections_are_one_clients_alone() {
    let project = project();
    let serving = Serving::start(project.root(), &[]);
    let client = Client::new(serving.url());

    let answer = client.send("this is not HTTP\n\n", b"");
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    client.is_up();

    // Hung up within the body.
    let mut stream = TcpStream::connect(client.address()).unwrap();
    let head = "POST /v1/transforms/doubles HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{";
    stream.write_all(head.as_bytes()).unwrap();
    drop(stream);
    client.is_up();

    // A body far beyond the limit, from a client that sends all of it before it reads: the answer arrives all the same.
    let body = vec![b' '; 8 << 20];
    let head = format!(
        "POST /v1/transforms/doubles HTTP/1.1\nhost: x\ncontent-type: application/json\ncontent-length: {}\n\n",
        body.len()
    );
    let answer = client.send(&head, &body);
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("\"max\":4096"), "{answer}");
    client.is_up();
    let (status, log) = serving.terminate();
    assert_eq!(status.code(), Some(0), "{log}");
}

/// A log on a disk that is full costs the log.
#[test]
fn a_log_that_cannot_be_written_stops_no_answer() {
    let project = project();
    let (mut server, client) = (0..10)
        .find_map(|_| {
            // The server cannot say which port it has, so it gets one that was free a moment ago.
            let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
            let mut command = tandem(project.root(), &["serve", "--listen", &address]);
            let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
            let mut server = command.stdout(Stdio::null()).stderr(full).spawn().expect("the program runs");
            let start = Instant::now();
            while server.try_wait().unwrap().is_none() {
                assert!(start.elapsed() < Duration::from_secs(120), "it neither listens nor ends");
                if TcpStream::connect(&address).is_ok() {
                    return Some((server, Client::new(&format!("http://{address}"))));
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            None
        })
        .expect("a port that stays free");
    for _ in 0..3 {
        client.is_up();
        client.post("/v1/transforms/doubles", JSON, b"{").problem(400, "invalid-json");
    }
    signal(server.id(), "TERM");
    assert_eq!(server.wait().unwrap().code(), Some(0));
}
