//! The server over TCP, without views.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::testing::NOW;
use super::*;

struct Running {
    address: SocketAddr,
    shutdown: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Answer {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The slug, after what holds for every problem.
    fn problem(&self) -> String {
        let problem = self.json();
        assert!(self.head.contains("content-type: application/problem+json"), "{}", self.head);
        assert_eq!(problem["status"], self.status);
        let id = problem["instance"].as_str().unwrap();
        assert!(self.head.contains(&format!("x-request-id: {id}")), "{}", self.head);
        assert!(problem["title"].is_string() && problem["detail"].is_string());
        problem["type"].as_str().unwrap().strip_prefix("urn:tandem:problem:").unwrap().to_owned()
    }
}

async fn start(settings: ServerSettings) -> Running {
    start_on(settings, Workers::start(1)).await
}

fn state(settings: ServerSettings, workers: Workers) -> ServerState {
    ServerState {
        live: Live::new(None, vec![], &[], &[]),
        store: None,
        feature_log: None,
        pusher: None,
        offline_root: None,
        settings,
        clock: || NOW,
        workers,
    }
}

async fn start_on(settings: ServerSettings, workers: Workers) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let state = state(settings, workers);
    let (shutdown, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(serve(listener, state, async {
        stopped.await.unwrap();
    }));
    Running { address, shutdown, task }
}

impl Running {
    /// Sends bytes and reads until the server closes.
    async fn send(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await.unwrap().unwrap();
        Answer::parse(&answer)
    }

    async fn request(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n");
        self.send(&format!("{head}{headers}\r\n{body}")).await
    }

    async fn stop(self) -> Duration {
        let started = Instant::now();
        self.shutdown.send(()).unwrap();
        timeout(Duration::from_secs(20), self.task).await.unwrap().unwrap().unwrap();
        started.elapsed()
    }
}

const JSON: &str = "content-type: application/json\r\n";

fn quick() -> ServerSettings {
    ServerSettings { request_seconds_max: 1, shutdown_seconds_max: 1, body_bytes_max: 64, ..ServerSettings::default() }
}

/// One thread for all: what keeps it busy keeps requests waiting.
#[tokio::test]
async fn a_server_that_is_late_refuses_at_once() {
    let running = start(ServerSettings { late_millis_max: 50, ..ServerSettings::default() }).await;
    assert_eq!(running.request("GET", "/v1/views", "", "").await.status, 200);
    let busy = tokio::spawn(async {
        loop {
            std::thread::sleep(Duration::from_millis(100));
            tokio::task::yield_now().await;
        }
    });
    tokio::time::sleep(Duration::from_millis(4_000)).await;
    let refused = running.request("GET", "/v1/views", "", "").await;
    assert_eq!((refused.status, refused.problem()), (503, "overloaded".to_owned()));
    assert_eq!(refused.json()["limit"], "late_millis_max");
    assert!(refused.head.contains("retry-after: "), "{}", refused.head);
    assert_eq!(running.request("GET", "/health", "", "").await.status, 200, "it is late, not dead");
    busy.abort();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(running.request("GET", "/v1/views", "", "").await.status, 200, "and then it is not late any more");
    running.stop().await;
}

/// What counts is for how long a request waited itself, not those before it.
#[tokio::test]
async fn a_request_that_waited_too_long_is_refused_alone() {
    use hyper::service::Service as _;
    use hyper_util::service::TowerToHyperService;

    let settings = ServerSettings { late_millis_max: 50, ..ServerSettings::default() };
    let routes = TowerToHyperService::new(router(state(settings, Workers::start(1))));
    for (path, millis, status) in
        [("/v1/views", 49, 200), ("/v1/views", 51, 503), ("/v1/views", 0, 200), ("/health", 5_000, 200)]
    {
        let waited = arrival::Arrival::that_waited(Duration::from_millis(millis));
        let request =
            axum::http::Request::get(path).extension(Arc::new(waited)).body(axum::body::Body::empty()).unwrap();
        let response = routes.call(request).await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{path}, {millis} ms");
        assert_eq!(response.headers().contains_key("retry-after"), status == 503);
    }
}

/// The same of what waits for a worker.
#[tokio::test]
async fn a_job_that_waited_too_long_for_a_worker_is_refused() {
    let workers = Workers::start(1);
    let (release, released) = std::sync::mpsc::channel::<()>();
    workers.submit(move || released.recv().unwrap());
    let settings = ServerSettings { late_millis_max: 50, ..ServerSettings::default() };
    let server = Server::new(state(settings, workers));
    let freed = async {
        sleep(Duration::from_millis(100)).await;
        release.send(()).unwrap();
    };
    let (late, ()) = tokio::join!(server.on_worker(|| ()), freed);
    let problem = late.unwrap_err();
    assert_eq!((problem.kind, &problem.to_json("")["limit"]), (Kind::Overloaded, &"late_millis_max".into()));
    assert_eq!(server.on_worker(|| 6 * 7).await, Ok(42), "and then nothing is late");
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_views() {
    let server = start(quick()).await;
    let health = server.request("GET", "/health", "x-request-id: my-id\r\n", "").await;
    assert_eq!(
        (health.status, health.json()),
        (200, json!({"status": "ok", "version": env!("CARGO_PKG_VERSION"), "registration": null, "behind": null}))
    );
    assert!(health.head.contains("x-request-id: my-id"), "{}", health.head);
    assert_eq!(server.request("HEAD", "/health", "", "").await.body, "");
    let views = server.request("GET", "/v1/views", "", "").await;
    assert_eq!((views.status, views.json()), (200, json!({"registration": null, "views": []})));
    assert!(views.head.contains("content-type: application/json"), "{}", views.head);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_error_is_a_problem() {
    let server = start(quick()).await;
    for (method, path, headers, body, status, slug) in [
        ("GET", "/", "", "", 404, "route-not-found"),
        ("GET", "/v1/views/risk", "", "", 404, "view-not-found"),
        ("GET", "/v1/views/%ff", "", "", 400, "invalid-path"),
        ("POST", "/v1/transforms/risk@2", JSON, "{}", 404, "view-not-found"),
        ("POST", "/v1/transforms/%ff", JSON, "{}", 400, "invalid-path"),
        ("POST", "/health", "", "", 405, "method-not-allowed"),
        ("GET", "/v1/features", "", "", 405, "method-not-allowed"),
        ("POST", "/v1/features", "", "{}", 415, "unsupported-media-type"),
        ("POST", "/v1/features", "content-type: text/csv\r\n", "{}", 415, "unsupported-media-type"),
        ("POST", "/v1/features", &format!("{JSON}accept: text/html\r\n"), "{}", 406, "not-acceptable"),
        ("POST", "/v1/features", JSON, "{", 400, "invalid-json"),
        ("POST", "/v1/features", JSON, "{}", 422, "invalid-request"),
        ("POST", "/v1/features", JSON, r#"{"view": "risk", "entities": []}"#, 404, "view-not-found"),
        ("POST", "/v1/features", JSON, &" ".repeat(65), 413, "body-too-large"),
    ] {
        let answer = server.request(method, path, headers, body).await;
        assert_eq!((answer.status, answer.problem().as_str()), (status, slug), "{method} {path} {body}");
    }
    let not_allowed = server.request("GET", "/v1/features", "", "").await;
    assert!(not_allowed.head.contains("allow: post"), "{}", not_allowed.head);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_a_length_is_counted() {
    let server = start(quick()).await;
    let chunk = "x".repeat(40);
    let head = format!("POST /v1/features HTTP/1.1\r\nhost: x\r\n{JSON}transfer-encoding: chunked\r\n\r\n");
    let answer = server.send(&format!("{head}28\r\n{chunk}\r\n28\r\n{chunk}\r\n")).await;
    assert_eq!(answer.problem(), "body-too-large");
    assert_eq!(answer.json()["max"], 64);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_senders_are_told_or_cut() {
    let server = start(quick()).await;
    let head = format!("POST /v1/features HTTP/1.1\r\nhost: x\r\n{JSON}content-length: 10\r\n\r\n");
    let answer = server.send(&format!("{head}{{")).await;
    assert_eq!((answer.status, answer.problem().as_str()), (408, "request-timeout"));

    // A head that does not end is cut, as is a connection that says nothing.
    for begun in ["GET /health HTTP/1.1\r\nhost:", ""] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(begun.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await.expect("it is cut").unwrap();
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_beyond_the_slots_are_refused_at_once() {
    let server = start(ServerSettings { concurrent_requests_max: 1, ..ServerSettings::default() }).await;
    let head =
        format!("POST /v1/features HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{JSON}content-length: 2\r\n\r\n{{");
    // A request has the slot while its body is awaited. Asking too early would take the slot away from it, so each try begins anew.
    let mut tries = 0;
    let (mut slow, refused) = loop {
        let mut slow = TcpStream::connect(server.address).await.unwrap();
        slow.write_all(head.as_bytes()).await.unwrap();
        sleep(Duration::from_millis(200)).await;
        let answer = server.request("GET", "/v1/views", "", "").await;
        if answer.status != 200 {
            break (slow, answer);
        }
        tries += 1;
        assert!(tries < 20, "the slow request never has the slot");
    };
    assert_eq!((refused.status, refused.problem().as_str()), (503, "overloaded"));
    assert!(refused.head.contains("retry-after: 1"), "{}", refused.head);
    assert_eq!(server.request("GET", "/health", "", "").await.status, 200, "a busy server is not a dead one");

    slow.write_all(b"}").await.unwrap();
    let mut answer = Vec::new();
    slow.read_to_end(&mut answer).await.unwrap();
    assert_eq!(Answer::parse(&answer).status, 422);
    assert_eq!(server.request("GET", "/v1/views", "", "").await.status, 200, "the slot is free again");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_drains_what_is_under_way_and_no_longer() {
    let settings = ServerSettings { shutdown_seconds_max: 10, ..ServerSettings::default() };
    let server = start(settings).await;
    let address = server.address;
    // An idle connection does not hold the shutdown up; a request under way does.
    let idle = TcpStream::connect(address).await.unwrap();
    let mut slow = TcpStream::connect(address).await.unwrap();
    let head = format!("POST /v1/features HTTP/1.1\r\nhost: x\r\n{JSON}content-length: 2\r\n\r\n{{");
    slow.write_all(head.as_bytes()).await.unwrap();
    sleep(Duration::from_millis(300)).await;
    let stopping = tokio::spawn(server.stop());
    sleep(Duration::from_millis(300)).await;
    assert!(!stopping.is_finished(), "a request is under way");
    assert!(TcpStream::connect(address).await.is_err(), "nothing is accepted any more");
    slow.write_all(b"}").await.unwrap();
    let mut answer = Vec::new();
    slow.read_to_end(&mut answer).await.unwrap();
    assert_eq!(Answer::parse(&answer).status, 422);
    assert!(stopping.await.unwrap() < Duration::from_secs(9), "the shutdown is over when the last request is");
    drop(idle);

    // One that never ends is cut.
    let server = start(quick()).await;
    let mut stuck = TcpStream::connect(server.address).await.unwrap();
    stuck.write_all(head.as_bytes()).await.unwrap();
    sleep(Duration::from_millis(100)).await;
    assert!(server.stop().await < Duration::from_secs(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_told_to_end_says_so_before_it_stops_accepting() {
    let settings = ServerSettings { shutdown_notice_seconds: 2, ..quick() };
    let server = start(settings).await;
    let ready = server.request("GET", "/ready", "", "").await;
    assert_eq!((ready.status, &ready.json()["status"]), (200, &json!("ready")));
    let address = server.address;
    let stopping = tokio::spawn(server.stop());
    sleep(Duration::from_millis(500)).await;
    let asking = Running { address, shutdown: oneshot::channel().0, task: tokio::spawn(async { Ok(()) }) };
    let ready = asking.request("GET", "/ready", "", "").await;
    assert_eq!((ready.status, ready.problem().as_str()), (503, "not-ready"));
    assert!(ready.body.contains("shutting down") && ready.head.contains("retry-after: 1"), "{}", ready.body);
    assert_eq!(asking.request("GET", "/health", "", "").await.status, 200);
    assert_eq!(asking.request("GET", "/v1/views", "", "").await.status, 200, "requests are still taken");
    assert!(stopping.await.unwrap() >= Duration::from_secs(2));
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_serves_one_request_after_another() {
    let server = start(quick()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    for path in ["/health", "/nowhere", "/v1/views"] {
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = [0; 4096];
        let read = timeout(Duration::from_secs(5), stream.read(&mut answer)).await.unwrap().unwrap();
        assert_eq!(Answer::parse(&answer[..read]).status, if path == "/nowhere" { 404 } else { 200 }, "{path}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_takes_too_long_is_given_up() {
    let workers = Workers::start(1);
    let (release, released) = std::sync::mpsc::channel::<()>();
    workers.submit(move || released.recv().unwrap());
    let settings = ServerSettings { request_seconds_max: 1, ..ServerSettings::default() };
    let server = start_on(settings, workers).await;
    // Large enough to be read on a worker, and the only one is busy.
    let body = format!("{}{}", r#"{"view": "risk", "entities": []}"#, " ".repeat(INLINE_BYTES_MAX));
    let answer = server.request("POST", "/v1/features", JSON, &body).await;
    assert_eq!((answer.status, answer.problem().as_str()), (504, "deadline-exceeded"));
    release.send(()).unwrap();
    let answer = server.request("POST", "/v1/features", JSON, &body).await;
    assert_eq!(answer.problem(), "view-not-found", "the worker is free again");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_full_queue_requests_are_refused_at_once() {
    let workers = Workers::start(1);
    let (release, released) = std::sync::mpsc::channel::<()>();
    workers.submit(move || released.recv().unwrap());
    // Until the thread has begun, the job waits itself, and would take the place of a request.
    let begin = Instant::now();
    while workers.load().busy == 0 {
        assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", workers.load());
        sleep(Duration::from_millis(1)).await;
    }
    let settings = ServerSettings { queue_requests_max: 2, ..ServerSettings::default() };
    let server = Arc::new(start_on(settings, workers.clone()).await);
    let body = format!("{}{}", r#"{"view": "risk", "entities": []}"#, " ".repeat(INLINE_BYTES_MAX));
    let wait: Vec<_> = (0..2)
        .map(|_| {
            let (server, body) = (Arc::clone(&server), body.clone());
            tokio::spawn(async move { server.request("POST", "/v1/features", JSON, &body).await.problem() })
        })
        .collect();
    let begin = Instant::now();
    while workers.load().waiting < 2 {
        assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", workers.load());
        sleep(Duration::from_millis(5)).await;
    }
    let refused = server.request("POST", "/v1/features", JSON, &body).await;
    assert_eq!((refused.status, refused.problem().as_str()), (503, "overloaded"));
    assert_eq!((&refused.json()["limit"], &refused.json()["max"]), (&json!("queue_requests_max"), &json!(2)));
    assert!(refused.head.contains("retry-after: 1"), "{}", refused.head);
    let metrics = server.request("GET", "/metrics", "", "").await;
    assert!(metrics.body.contains("tandem_worker_jobs_waiting{pool=\"lookup\"} 2"), "{}", metrics.body);
    assert_eq!(server.request("GET", "/ready", "", "").await.status, 200, "what watches is answered all the same");
    release.send(()).unwrap();
    for waited in wait {
        assert_eq!(waited.await.unwrap(), "view-not-found");
    }
    Arc::into_inner(server).unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_one_requests_alone_and_stays_inside() {
    async fn boom() -> &'static str {
        panic!("a secret")
    }
    let server = Arc::new(Server::new(state(quick(), Workers::start(1))));
    let guard = axum::middleware::from_fn_with_state(Arc::clone(&server), guard::guard);
    let router = Router::new().route("/boom", get(boom)).layer(guard);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (shutdown, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(async move {
        let limits = connections::Limits::of(&quick());
        connections::serve(listener, router, limits, None, async { stopped.await.unwrap() }).await;
        Ok(())
    });
    let running = Running { address, shutdown, task };
    for _ in 0..2 {
        let answer = running.request("GET", "/boom", "", "").await;
        assert_eq!((answer.status, answer.problem().as_str()), (500, "internal"));
        assert!(!answer.body.contains("secret"), "{}", answer.body);
    }
    assert_eq!(server.slots.available_permits(), quick().concurrent_requests_max, "slots are given back");
    running.stop().await;
}
