//! The examples of docs/reference/http.md: each request is sent, and answered as the page says.
//!
//! The page has the clock of 2026-01-01, so that is the `as_of` with which stored rows are asked for; `…` in an answer stands for any text.

use std::fs;

use serde_json::{Value, json};

use super::compare::matches;
use super::page::{Note, blocks};
use super::session::Session;
use crate::harness::guests::{component, workspace};
use crate::harness::program::agent;

const FEATURES: &str = r#"[[entity]]
name = "user"
join_keys = [{ name = "user_id", type = "int64" }]

[[source]]
name = "transactions"
path = "data/transactions"
kind = "events"
event_time = "at"

[[feature_view]]
name = "transaction_risk"
version = 1
source = "transactions"
entities = ["user"]
component = "risk.wasm"
as_of = "before"
ttl = "30d"
owner = "risk-team"
"#;

/// The page's server.
fn serve() -> Session {
    let mut session = Session::new("docs-reference-http");
    let write = |file: &str, text: &str| fs::write(session.path(file), text).expect("a file");
    write("tandem.toml", "[project]\nname = \"risk\"\n");
    write("rows.csv", "user_id,at,amount,country\n1,2025-12-31T18:20:00Z,120.5,\n");
    fs::create_dir(session.path("features")).expect("a folder");
    fs::write(session.path("features/risk.toml"), FEATURES).expect("a file");
    let built = component(&workspace().join("tests/guests/reference"));
    fs::copy(built, session.path("risk.wasm")).expect("a file");
    for command in ["import transactions rows.csv", "apply", "batch transaction_risk", "materialize transaction_risk"] {
        let (code, printed) = session.run(&format!("tandem {command}"));
        assert_eq!(code, Some(0), "{command}\n{printed}");
    }
    let (ready, printed) =
        session.start("tandem serve --allow-replay", |printed| printed.contains("tandem listens on "));
    assert!(ready, "{printed}");
    session
}

/// The status, the headers as lines and the body of an answer.
fn ask(session: &Session, route: &str, body: Option<&str>) -> (u16, String, String) {
    let agent = agent();
    let url = format!("{}{route}", session.url());
    let mut response = match body {
        Some(body) => agent.post(&url).header("content-type", "application/json").send(body),
        None => agent.get(&url).call(),
    }
    .expect("an answer");
    let headers: String = response
        .headers()
        .iter()
        .map(|(name, value)| format!("{name}: {}\n", value.to_str().expect("a text")))
        .collect();
    (response.status().as_u16(), headers, response.body_mut().read_to_string().expect("a body"))
}

/// The page shows the beginnings of digests and ids, and its own clock.
fn with_gaps(text: &str) -> String {
    let mut text = text.to_owned();
    for shown in ["5c1f…", "91aa…", "9b2f6c1e0a4d7788-1f", "9b2f6c1e0a4d7788-20"] {
        text = text.replace(shown, "…");
    }
    text.replace("tandem-as-of: 2026-01-01T00:00:00Z", "tandem-as-of: …")
}

/// Route and body of a request as the page shows it.
fn request(block: &str) -> (&str, &str) {
    let (head, body) = block.split_once("\n\n").expect("a head and a body");
    let route = head.strip_prefix("POST ").and_then(|head| head.split_once(" HTTP/1.1\n")).expect("a request").0;
    assert!(head.ends_with("\nContent-Type: application/json"), "{head}");
    (route, body)
}

fn same(expected: &str, answer: &str) {
    let expected = with_gaps(expected);
    assert!(serde_json::from_str::<Value>(&expected).is_ok(), "no JSON on the page:\n{expected}");
    assert!(matches(&expected, answer, false), "the page says:\n{expected}\nthe answer was:\n{answer}");
}

#[test]
fn requests_are_answered_as_the_page_says() {
    let page = fs::read_to_string(workspace().join("docs/reference/http.md")).expect("the page");
    let blocks = blocks(&page).expect("blocks");
    let run = blocks.iter().filter(|block| !block.notes.iter().any(|note| matches!(note, Note::NotRun(_))));
    let texts: Vec<&str> = run.map(|block| block.text.as_str()).collect();
    let [rows, rows_answer, columns, columns_answer, features, features_answer, view, ready, problem] = texts[..]
    else {
        panic!("another example, which nobody sends: {} blocks", texts.len());
    };
    let session = serve();

    let (transforms, body) = request(rows);
    let (status, headers, answer) = ask(&session, transforms, Some(body));
    let (head, expected) = rows_answer.split_once("\n\n").expect("a head and a body");
    let mut head = head.lines();
    assert_eq!(head.next(), Some(format!("HTTP/1.1 {status} OK").as_str()));
    for line in head {
        let (name, value) = line.split_once(": ").expect("a header");
        let line = with_gaps(&format!("{}: {value}", name.to_lowercase()));
        assert!(headers.lines().any(|header| matches(&line, header, false)), "no {line} in\n{headers}");
    }
    same(expected, &answer);

    let (status, _, answer) = ask(&session, transforms, Some(columns));
    assert_eq!(status, 200, "{answer}");
    same(columns_answer, &answer);

    let (route, body) = request(features);
    let mut body: Value = serde_json::from_str(body).expect("JSON");
    body["as_of"] = json!("2026-01-01T00:00:00Z");
    let (status, _, answer) = ask(&session, route, Some(&body.to_string()));
    assert_eq!(status, 200, "{answer}");
    same(features_answer, &answer);

    let (status, _, answer) = ask(&session, "/v1/views/transaction_risk", None);
    assert_eq!(status, 200, "{answer}");
    same(view, &answer);
    let (_, _, answer) = ask(&session, "/v1/views", None);
    same(&format!("{{\"registration\": 1, \"views\": [{view}]}}"), &answer);

    let row = |amount: Value| json!({ "amount": amount });
    let body = json!({ "rows": [row(json!(1)), row(json!(2)), row(json!(3)), row(json!("12"))] }).to_string();
    let (status, headers, answer) = ask(&session, transforms, Some(&body));
    assert_eq!(status, 422, "{answer}");
    assert!(headers.contains("content-type: application/problem+json\n"), "{headers}");
    same(problem, &answer);

    let (status, _, answer) = ask(&session, "/ready", None);
    assert_eq!(status, 200, "{answer}");
    let keys = |text: &str| -> Vec<String> {
        let value: Value = serde_json::from_str(text).expect("JSON");
        value.as_object().unwrap_or_else(|| panic!("{text}")).keys().cloned().collect()
    };
    assert_eq!(keys(&answer), keys(ready));

    let (_, _, answer) = ask(&session, "/health", None);
    assert!(page.contains(&format!("`{answer}`")), "{answer}");
}
