//! Debian's Prometheus scrapes a server that is used, with the configuration and the queries of docs/reference/metrics.md.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::guests::workspace;
use crate::harness::program::{Serving, agent};
use crate::harness::tools;
use crate::training_sets::Checkouts;

fn page() -> String {
    fs::read_to_string(workspace().join("docs/reference/metrics.md")).expect("the page")
}

/// The blocks of a language on the page.
fn blocks(language: &str) -> Vec<String> {
    let (page, begin) = (page(), format!("```{language}\n"));
    let after = page.split(&begin).skip(1);
    after.map(|rest| rest.split("```").next().expect("an end").trim().to_owned()).collect()
}

/// Prometheus on a port of its own. Dropped, it is killed.
struct Prometheus {
    child: Child,
    url: String,
}

impl Prometheus {
    fn start(folder: &Path, config: &str) -> Prometheus {
        let file = folder.join("prometheus.yml");
        fs::write(&file, config).expect("a file");
        let mut command = Command::new(tools::prometheus());
        command.arg(format!("--config.file={}", file.display()));
        command.arg("--web.listen-address=127.0.0.1:0");
        command.arg(format!("--storage.tsdb.path={}", folder.join("prometheus").display()));
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("Prometheus runs");
        let log = BufReader::new(child.stderr.take().expect("a pipe"));
        let (told, ready) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let (mut said, mut address) = (Vec::new(), None);
            for line in log.lines().map_while(Result::ok) {
                if line.contains("msg=\"Listening on\"") {
                    address = line.split_once("address=").map(|(_, address)| address.trim().to_owned());
                }
                if line.contains("Server is ready") && address.is_some() {
                    let _ = told.send(Ok(address.take().unwrap_or_default())); // who started it may be gone
                }
                said.push(line);
            }
            let _ = told.send(Err(said.join("\n")));
        });
        let ready = ready.recv_timeout(Duration::from_secs(60)).expect("a word");
        let address = ready.unwrap_or_else(|said| panic!("it ended:\n{said}"));
        Prometheus { child, url: format!("http://{address}") }
    }

    fn get(&self, route: &str, parameters: &[(&str, &str)]) -> Value {
        let request = agent().get(format!("{}/api/v1/{route}", self.url)).query_pairs(parameters.iter().copied());
        let text = request.call().expect("an answer").body_mut().read_to_string().expect("text");
        let answer: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(answer["status"], "success", "{answer}");
        answer["data"].clone()
    }

    /// The samples of a query: labels and value.
    fn query(&self, query: &str) -> Vec<(Value, f64)> {
        let data = self.get("query", &[("query", query)]);
        let sample = |sample: &Value| {
            let value = sample["value"][1].as_str().and_then(|value| value.parse().ok());
            (sample["metric"].clone(), value.unwrap_or_else(|| panic!("{sample}")))
        };
        data["result"].as_array().unwrap_or_else(|| panic!("{data}")).iter().map(sample).collect()
    }

    /// The one value of a query.
    fn value(&self, query: &str) -> Option<f64> {
        match &self.query(query)[..] {
            [] => None,
            [(_, value)] => Some(*value),
            more => panic!("{query}: {more:?}"),
        }
    }

    /// Waits until the query has this one value.
    fn wait_for(&self, query: &str, expected: f64) {
        let begin = Instant::now();
        while self.value(query) != Some(expected) {
            let seconds = begin.elapsed().as_secs();
            assert!(seconds < 60, "{query} is {:?}: {}", self.value(query), self.get("targets", &[]));
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended already
        let _ = self.child.wait();
    }
}

fn post(server: &Serving, route: &str, body: &Value) -> u16 {
    let request = agent().post(format!("{}{route}", server.url())).header("content-type", "application/json");
    request.send(body.to_string()).expect("an answer").status().as_u16()
}

#[test]
fn prometheus_scrapes_and_is_asked() {
    let project = Checkouts::new();
    let definitions = std::fs::read_to_string(project.root().join("features/all.toml")).expect("definitions");
    let with_objective = definitions.replacen("ttl = \"3d\"", "ttl = \"3d\"\nfreshness = \"2d\"", 1);
    std::fs::write(project.root().join("features/all.toml"), with_objective).expect("a file");
    for view in ["usual", "guess"] {
        project.run(&["materialize", view], 0);
    }
    let server = Serving::start(project.root(), &["--allow-replay"]);
    let prometheus = {
        let [config] = &blocks("yaml")[..] else { panic!("one configuration") };
        let address = server.url().trim_start_matches("http://");
        assert!(config.contains("127.0.0.1:8080"), "{config}");
        let config = format!("global:\n  scrape_interval: 200ms\n{}", config.replace("127.0.0.1:8080", address));
        Prometheus::start(project.root(), &config)
    };
    // Counters begin before what is counted, so that rates have a start.
    prometheus.wait_for("tandem_lookup_rows_total{view=\"usual\", status=\"PRESENT\"}", 0.0);

    // User 0 has a spending of the last day and no country; nobody is 4711.
    let ask = json!({
        "rows": [{"user_id": 0, "amount": 3}, {"user_id": 4711, "amount": 3}],
        "as_of": "2026-01-05T00:00:00Z",
    });
    for _ in 0..5 {
        assert_eq!(post(&server, "/v1/services/checkout", &ask), 200);
        assert_eq!(post(&server, "/v1/services/guessed", &ask), 200);
    }
    assert_eq!(post(&server, "/v1/services/checkout", &json!({"rows": [{"amount": 3}]})), 422);
    assert_eq!(post(&server, "/v1/services/chekout", &ask), 404);
    let one =
        json!({"view": "usual", "features": ["risk"], "entities": {"user_id": [1]}, "as_of": "2026-01-20T00:00:00Z"});
    assert_eq!(post(&server, "/v1/features", &one), 200);
    for path in ["/a", "/b?c", "/v1/nothing"] {
        assert_eq!(agent().get(format!("{}{path}", server.url())).call().expect("an answer").status(), 404);
    }

    // All that was counted is there at once, so waiting for the last of it is enough.
    prometheus.wait_for(r#"tandem_http_requests_total{route="unmatched", method="GET", status="404"}"#, 3.0);
    for (query, expected) in [
        (r#"tandem_http_requests_total{route="/v1/services/{name}", status="200"}"#, 10.0),
        (r#"tandem_http_requests_total{route="/v1/services/{name}", status="422"}"#, 1.0),
        (r#"tandem_http_requests_total{route="/v1/services/{name}", status="404"}"#, 1.0),
        (r#"tandem_http_request_duration_seconds_count{route="/v1/services/{name}"}"#, 12.0),
        (r#"tandem_service_requests_total{service="checkout", status="200"}"#, 5.0),
        (r#"tandem_service_requests_total{service="checkout", status="422"}"#, 1.0),
        (r#"tandem_service_request_duration_seconds_count{service="checkout"}"#, 6.0),
        (r#"tandem_lookup_rows_total{view="usual", version="1", status="NOT_FOUND"}"#, 10.0),
        (r#"tandem_lookup_rows_total{view="usual", status="PRESENT"}"#, 10.0),
        (r#"tandem_lookup_rows_total{view="usual", status="OUTSIDE_MAX_AGE"}"#, 1.0),
        (r#"tandem_freshness_rows_total{view="usual"}"#, 11.0),
        (r#"tandem_freshness_rows_met_total{view="usual"}"#, 10.0),
        (r#"absent(tandem_freshness_rows_total{view="guess"})"#, 1.0),
        (r#"tandem_lookup_values_total{view="guess", status="DEFAULTED"}"#, 10.0),
        ("tandem_lookup_duration_seconds_count", 11.0),
        (r#"sum(tandem_transform_errors_total)"#, 0.0),
        (r#"tandem_transform_circuit_open{view="ratio"}"#, 0.0),
        (r#"tandem_worker_jobs_waiting{pool="transform"}"#, 0.0),
        (r#"tandem_feature_age_seconds_count{view="usual"}"#, 10.0),
        (r#"tandem_transform_rows_total{view="ratio"}"#, 20.0),
        (r#"tandem_transform_failed_rows_total{view="ratio"}"#, 0.0),
        (r#"tandem_transform_duration_seconds_count{view="verdict"}"#, 5.0),
        ("tandem_online_entries", 80.0),
        ("tandem_registration_behind", 0.0),
        ("tandem_views_served", 4.0),
        ("tandem_http_requests_in_flight_max", 1024.0),
        ("absent(tandem_registration)", 1.0),
    ] {
        assert_eq!(prometheus.value(query), Some(expected), "{query}");
    }
    for query in [
        r#"tandem_transform_fuel_total{view="ratio"}"#,
        r#"tandem_transform_duration_seconds_sum{view="ratio"}"#,
        r#"tandem_feature_age_seconds_sum{view="usual"}"#,
        "tandem_online_used_bytes",
        r#"tandem_worker_threads{pool="transform"}"#,
        r#"tandem_worker_threads{pool="lookup"}"#,
    ] {
        assert!(prometheus.value(query).is_some_and(|value| value > 0.0), "{query}");
    }
    assert_eq!(prometheus.query(r#"tandem_service_requests_total{service="chekout"}"#), vec![]);

    // Types, as Prometheus understood them.
    let metadata = prometheus.get("metadata", &[]);
    for (metric, kind) in [
        ("tandem_http_requests", "counter"),
        ("tandem_feature_age_seconds", "histogram"),
        ("tandem_online_map_bytes", "gauge"),
    ] {
        assert_eq!(metadata[metric][0]["type"], kind, "{metric}");
    }

    let queries = blocks("promql");
    assert_eq!(queries.len(), 5, "{queries:?}");
    for query in queries {
        let answer = prometheus.query(&query.replace("fraud_model", "checkout"));
        if query.contains("behind") {
            assert_eq!(answer, vec![], "{query}");
        } else {
            assert!(!answer.is_empty() && answer.iter().any(|(_, value)| *value > 0.0), "{query}: {answer:?}");
        }
    }
}

#[test]
fn a_person_sees_plain_text() {
    let project = Checkouts::new();
    let server = Serving::start(project.root(), &[]);
    let told = |accept: Option<&str>| {
        let request = agent().get(format!("{}/metrics", server.url()));
        let request = accept.into_iter().fold(request, |request, accept| request.header("accept", accept));
        let mut response = request.call().expect("an answer");
        let media_type = response.headers()["content-type"].to_str().expect("text").to_owned();
        (media_type, response.body_mut().read_to_string().expect("text"))
    };
    let (media_type, text) = told(None);
    assert_eq!(media_type, "text/plain; version=0.0.4; charset=utf-8");
    assert!(
        text.contains("# HELP tandem_online_entries Rows in the online store, over all views and their generations.\n"),
        "{text}"
    );
    let (media_type, _) = told(Some("application/openmetrics-text;version=1.0.0;q=0.6,text/plain;q=0.5"));
    assert_eq!(media_type, "application/openmetrics-text; version=1.0.0; charset=utf-8");
}
