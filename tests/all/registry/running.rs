//! Commands run what is registered, whatever the definition files say meanwhile; a server follows it.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Quickstart;
use crate::harness::program::{Serving, agent, tandem_registered, told};

/// Clients that ask at the same time.
const CLIENTS: usize = 4;

/// Registrations that are made under load, half of them by rolling back.
const SWAPS: u64 = 12;

const ALIAS: &str = r#"[[alias]]
view = "transaction_risk"
name = "champion"
version = 1
"#;

/// Bucket edges of the second version. An amount of 100 is in bucket 4 of the first, and in bucket 1 of the second.
const EDGES: (&str, &str) =
    ("amount_bucket_edges = [5.0, 20.0, 50.0, 100.0, 250.0, 1_000.0]", "amount_bucket_edges = [90.0]");

fn body() -> Value {
    let row = json!({
        "amount": 100.0, "merchant": "a", "card_present": true, "latitude": 0.0, "longitude": 0.0,
        "home_latitude": 0.0, "home_longitude": 0.0,
    });
    json!({ "rows": [row] })
}

/// An answer: its registration, its version as header and as body, and its bucket.
#[derive(Debug, PartialEq, Eq, Clone)]
struct Answer {
    registration: u64,
    header: u64,
    version: u64,
    bucket: u64,
}

fn ask(agent: &ureq::Agent, url: &str, view: &str) -> Result<Answer, String> {
    let request = agent.post(format!("{url}/v1/transforms/{view}")).header("content-type", "application/json");
    let mut response = request.send(body().to_string()).map_err(|error| error.to_string())?;
    let header = |name: &str| {
        response
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
            .and_then(|text| text.parse().ok())
            .unwrap_or(0)
    };
    let (status, registration, header) = (response.status(), header("tandem-registration"), header("tandem-version"));
    let text = response.body_mut().read_to_string().map_err(|error| error.to_string())?;
    let value: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let number = |value: &Value| value.as_u64().ok_or_else(|| format!("{status}: {text}"));
    let (version, bucket) = (number(&value["version"])?, number(&value["rows"][0]["amount_bucket"])?);
    Ok(Answer { registration, header, version, bucket })
}

/// No request fails and none is answered by a mixture, while versions come, aliases move, and all of it is rolled back.
#[test]
fn a_server_follows_what_is_registered_without_a_failure_or_a_mixture() {
    let project = Quickstart::new();
    project.add(ALIAS);
    project.run(&["apply", "--by", "ada"], 0);
    let second = project.version(2).replace(EDGES.0, EDGES.1);
    assert!(second.contains(EDGES.1), "{second}");
    let serving = Serving::start_registered(project.root(), &["--log", "warn,tandem=info"]);
    let url = serving.url().to_owned();
    project.add(&second);
    project.change("name = \"champion\"\nversion = 1", "name = \"champion\"\nversion = 2");

    // Odd registrations have version 1 alone; even ones have version 2 beside it, and call it champion.
    let expected = |registration: u64| if registration.is_multiple_of(2) { (2, 1) } else { (1, 4) };
    let (stop, asked) = (AtomicBool::new(false), AtomicU64::new(0));
    let wrong: Mutex<Vec<String>> = Mutex::default();
    let seen: Mutex<BTreeMap<u64, u64>> = Mutex::default();
    let delays = std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (url, stop, asked, wrong, seen) = (&url, &stop, &asked, &wrong, &seen);
            scope.spawn(move || {
                let (agent, mut newest) = (agent(), 0);
                let views = ["transaction_risk@champion", "transaction_risk", "transaction_risk@1"];
                for turn in client.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let view = views[turn % views.len()];
                    asked.fetch_add(1, Ordering::Relaxed);
                    match ask(&agent, url, view) {
                        Ok(answer) => {
                            let registration = answer.registration;
                            let (version, bucket) = if view.ends_with("@1") { (1, 4) } else { expected(registration) };
                            if answer != (Answer { registration, header: version, version, bucket }) {
                                wrong.lock().unwrap().push(format!("{view}: {answer:?}"));
                            }
                            if registration < newest {
                                wrong.lock().unwrap().push(format!("{view}: {registration} after {newest}"));
                            }
                            newest = registration;
                            *seen.lock().unwrap().entry(registration).or_default() += 1;
                        }
                        Err(error) => wrong.lock().unwrap().push(format!("{view}: {error}")),
                    }
                }
            });
        }
        let agent = agent();
        let mut delays = Vec::new();
        for registration in 2..2 + SWAPS {
            let command: &[&str] = match registration {
                2 => &["apply", "--by", "ada", "--allow-breaking"],
                _ => &["rollback", "--by", "ada"],
            };
            project.run(command, 0);
            let begin = Instant::now();
            // Until it answers, and then a while, so that every registration is asked for.
            while ask(&agent, &url, "transaction_risk").is_ok_and(|answer| answer.registration != registration) {
                assert!(begin.elapsed() < Duration::from_secs(20), "registration {registration} is not served");
                std::thread::sleep(Duration::from_millis(5));
            }
            delays.push(begin.elapsed());
            std::thread::sleep(Duration::from_millis(50));
        }
        stop.store(true, Ordering::Relaxed);
        delays
    });
    let (status, log) = serving.terminate();
    let wrong = wrong.into_inner().unwrap();
    assert!(
        wrong.is_empty(),
        "{} of {} wrong: {:?}\n{log}",
        wrong.len(),
        asked.load(Ordering::Relaxed),
        &wrong[..wrong.len().min(5)]
    );
    let seen = seen.into_inner().unwrap();
    assert_eq!(seen.keys().copied().collect::<Vec<_>>(), (1..2 + SWAPS).collect::<Vec<_>>(), "all were asked for");
    assert!(delays.iter().all(|delay| *delay < Duration::from_secs(1)), "served within a second: {delays:?}");
    assert!(status.success(), "{log}");
    assert_eq!(log.matches("another registration is served").count() as u64, SWAPS, "{log}");
}

/// A registration that cannot be loaded changes nothing, is told, and is served once it can be.
#[test]
fn a_registration_that_cannot_be_loaded_leaves_the_old_one() {
    let project = Quickstart::new();
    project.run(&["apply", "--by", "ada"], 0);
    let serving = Serving::start_registered(project.root(), &["--log", "warn,tandem=info"]);
    let (agent, url) = (agent(), serving.url().to_owned());
    let health = || -> Value {
        let text = agent.get(format!("{url}/health")).call().unwrap().body_mut().read_to_string().unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let until = |done: &dyn Fn(&Value) -> bool| {
        let begin = Instant::now();
        loop {
            let health = health();
            if done(&health) {
                return health;
            }
            assert!(begin.elapsed() < Duration::from_secs(30), "{health}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    assert_eq!(
        health(),
        json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION"), "registration": 1, "behind": null })
    );

    let head = project.root().join("registry/HEAD");
    let good = std::fs::read(&head).unwrap();
    std::fs::write(&head, "2 sha256:0000000000000000000000000000000000000000000000000000000000000000\n").unwrap();
    let told = until(&|health| !health["behind"].is_null());
    assert_eq!(
        (&told["status"], &told["registration"], &told["behind"]["registration"]),
        (&json!("ok"), &json!(1), &json!(2))
    );
    assert!(told["behind"]["reason"].as_str().unwrap().contains("registrations/2 is missing"), "{told}");
    assert_eq!(ask(&agent, &url, "transaction_risk").map(|answer| answer.registration), Ok(1));

    std::fs::write(&head, good).unwrap();
    project.add(&project.version(2));
    project.run(&["apply", "--by", "ada"], 0);
    until(&|health| health["registration"] == 2 && health["behind"].is_null());
    assert_eq!(ask(&agent, &url, "transaction_risk").map(|answer| (answer.registration, answer.version)), Ok((2, 2)));
    let (_, log) = serving.terminate();
    assert_eq!(log.matches("a registration cannot be served").count(), 1, "{log}");
}

/// What could not be loaded is tried again after a while, or at once where the server is asked to.
#[test]
fn sighup_tries_a_registration_again_at_once() {
    let project = Quickstart::new();
    project.run(&["apply", "--by", "ada"], 0);
    let serving = Serving::start_registered(project.root(), &["--log", "warn,tandem=info"]);
    let (agent, url) = (agent(), serving.url().to_owned());
    let health = || -> Value {
        let text = agent.get(format!("{url}/health")).call().unwrap().body_mut().read_to_string().unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let registrations = project.root().join("registry/registrations");
    let (second, aside) = (registrations.join("2"), project.root().join("aside"));
    project.add(&project.version(2));
    // Registered while the server does not look, and gone when it does.
    serving.signal("STOP");
    project.run(&["apply", "--by", "ada"], 0);
    std::fs::rename(&second, &aside).unwrap();
    serving.signal("CONT");
    let begin = Instant::now();
    while health()["behind"].is_null() {
        assert!(begin.elapsed() < Duration::from_secs(30));
        std::thread::sleep(Duration::from_millis(5));
    }
    let failed = Instant::now();
    std::fs::rename(&aside, &second).unwrap();
    serving.signal("HUP");
    while health()["registration"] != 2 {
        let retry = Duration::from_secs(tandem::following::REGISTRY_RETRY_SECONDS);
        assert!(failed.elapsed() < retry.mul_f64(0.9), "it would have been tried again anyway: {}", health());
        std::thread::sleep(Duration::from_millis(5));
    }
    let (status, log) = serving.terminate();
    assert!(status.success() && log.contains("SIGHUP"), "{log}");
}

#[test]
fn use_of_a_deprecated_view_is_told_in_answers_and_in_the_log() {
    let project = Quickstart::new();
    project.add(&project.version(2));
    project.change(
        "version = 1\n",
        "version = 1\nstage = \"deprecated\"\ndeprecated = { since = \"2026-12-01\", replacement = \"transaction_risk@2\" }\n",
    );
    project.run(&["apply", "--by", "ada"], 0);
    let serving = Serving::start_registered(project.root(), &["--log", "warn"]);
    let (agent, url) = (agent(), serving.url().to_owned());
    let headers = |view: &str| {
        let request = agent.post(format!("{url}/v1/transforms/{view}")).header("content-type", "application/json");
        let response = request.send(body().to_string()).unwrap();
        assert_eq!(response.status(), 200);
        ["deprecation", "link"].map(|name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned()))
    };
    for _ in 0..3 {
        let link = "</v1/views/transaction_risk@2>; rel=\"successor-version\"";
        assert_eq!(headers("transaction_risk@1"), [Some("@1796083200".to_owned()), Some(link.to_owned())]);
        assert_eq!(headers("transaction_risk@2"), [None, None]);
    }
    let (_, log) = serving.terminate();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("a deprecated view is used")).collect();
    assert!(matches!(lines[..], [line] if line.contains("version=1") && line.contains("2026-12-01")), "{log}");

    let (_, notes) = told(tandem_registered(project.root(), &["get", "transaction_risk@1", "user_id=1"]), 1);
    assert!(
        notes.starts_with("warning: transaction_risk@1 is deprecated since 2026-12-01; use transaction_risk@2\n"),
        "{notes}"
    );
}

#[test]
fn commands_run_what_is_registered_and_the_files_with_dev() {
    let project = Quickstart::new();
    let registered = |arguments: &[&str], code| told(tandem_registered(project.root(), arguments), code);
    for command in [&["batch", "transaction_risk"][..], &["materialize", "transaction_risk"], &["serve"]] {
        let (data, notes) = registered(command, 2);
        assert!(data.is_empty(), "{data}");
        assert_eq!(
            notes,
            "error: nothing is registered in ./registry\n\
             hint: `tandem apply` registers what the definition files say; `--dev` runs them as they are\n"
        );
    }
    project.run(&["apply", "--by", "ada"], 0);
    // The files say something else now, and even nothing that could be read.
    let good = project.features();
    project.write(&format!("{}\n[[feature_view]", good.replace("transaction_risk", "other_risk")));
    let (_, notes) = registered(&["get", "transaction_risk", "user_id=1"], 1);
    assert!(notes.contains("no online store") || notes.contains("online store"), "{notes}");
    let (_, notes) = registered(&["batch", "other_risk"], 2);
    assert!(
        notes.starts_with("error: nothing named `other_risk` is registered\nhint: there is only `transaction_risk@1`;"),
        "{notes}"
    );
    let (_, notes) = registered(&["batch", "transaction_risk", "--dev"], 2);
    assert!(notes.starts_with("error: ") || notes.contains("\nerror: "), "{notes}");
    project.write(&good.replace("transaction_risk", "other_risk"));
    let output = tandem_registered(project.root(), &["get", "other_risk", "user_id=1", "--dev"]).output().unwrap();
    let notes = String::from_utf8(output.stderr).unwrap();
    assert!(
        notes.starts_with("note: --dev runs the definition files as they are, and not what is registered\n"),
        "{notes}"
    );
    assert_eq!((output.status.code(), notes.matches("--dev").count()), (Some(1), 1), "{notes}");
}

/// How long instances live is no part of what a version means: it is changed while the server runs, and no answer changes with it.
#[test]
fn instances_are_reused_where_the_registered_view_says_so() {
    let project = Quickstart::new();
    project.run(&["apply", "--by", "ada"], 0);
    let serving = Serving::start_registered(project.root(), &["--log", "warn"]);
    let (agent, url) = (agent(), serving.url().to_owned());
    let before = ask(&agent, &url, "transaction_risk").unwrap();
    project.change("version = 1\n", "version = 1\ninstance = \"reused\"\n");
    let (plan, _) = project.run(&["plan"], 0);
    assert!(plan.contains("~ view  transaction_risk@1  documentation: instance"), "{plan}");
    project.run(&["apply", "--by", "ada"], 0);
    let deadline = Instant::now() + Duration::from_secs(30);
    while ask(&agent, &url, "transaction_risk").unwrap().registration < 2 {
        assert!(Instant::now() < deadline, "the second registration is not served");
        std::thread::sleep(Duration::from_millis(20));
    }
    // More calls than one instance gets.
    for _ in 0..600 {
        let answer = ask(&agent, &url, "transaction_risk").unwrap();
        assert_eq!((answer.registration, answer.version, answer.bucket), (2, before.version, before.bucket));
    }
    let (status, log) = serving.terminate();
    assert!(status.success(), "{log}");
}
