//! What whoever runs a server relies on: readiness, signals, the service manager.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::program::{Serving, tandem};
use crate::training_sets::Checkouts;

/// A project without views, with these lines under `[server]`.
fn project(server: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(folder.path().join("features")).expect("a folder");
    let settings = format!("[project]\nname = \"operated\"\n[server]\nlisten = \"127.0.0.1:0\"\n{server}\n");
    fs::write(folder.path().join("tandem.toml"), settings).expect("a file");
    folder
}

fn serve(root: &Path) -> Command {
    tandem(root, &["serve", "--log", "warn,tandem=info"])
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).build().into()
}

fn get(url: &str) -> (u16, Value) {
    let mut response = agent().get(url).call().expect("an answer");
    let text = response.body_mut().read_to_string().expect("text");
    (response.status().as_u16(), serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
}

#[test]
fn a_full_disk_is_not_ready() {
    let roomy = project("disk_free_bytes_min = 0");
    let serving = Serving::run(serve(roomy.path()));
    let (status, answer) = get(&format!("{}/ready", serving.url()));
    assert_eq!((status, &answer["status"], &answer["online_entries"]), (200, &"ready".into(), &0.into()), "{answer}");
    assert!(answer["disk_free_bytes"].as_u64().is_some_and(|free| free > 0), "{answer}");

    let full = project("disk_free_bytes_min = 1_099_511_627_776"); // no disk of a test has a TiB
    let serving = Serving::run(serve(full.path()));
    let (status, answer) = get(&format!("{}/ready", serving.url()));
    assert_eq!((status, &answer["type"]), (503, &"urn:tandem:problem:not-ready".into()), "{answer}");
    assert!(answer["detail"].as_str().is_some_and(|detail| detail.contains("disk_free_bytes_min")), "{answer}");
    assert_eq!(get(&format!("{}/health", serving.url())).0, 200, "the process lives");
}

#[test]
fn a_request_may_ask_for_so_much() {
    let project = Checkouts::new();
    project.run(&["materialize", "usual"], 0);
    let settings = "[project]\nname = \"checkouts\"\n[server]\nentities_max = 3\nfeatures_max = 2\nvalues_max = 4\n";
    fs::write(project.root().join("tandem.toml"), settings).expect("a file");
    let serving = Serving::start(project.root(), &[]);
    let ask = |route: &str, body: Value| {
        let request = agent().post(format!("{}{route}", serving.url())).header("content-type", "application/json");
        let mut response = request.send(body.to_string()).expect("an answer");
        let answer = response.body_mut().read_to_string().expect("text");
        let answer: Value = serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"));
        (response.status().as_u16(), answer["type"].clone(), answer["limit"].clone())
    };
    let of_view = |users: &[i64], features: &[&str]| {
        ask("/v1/features", json!({"view": "usual", "features": features, "entities": {"user_id": users}}))
    };
    let list = |users: &[i64], features: &[&str]| {
        ask("/v1/features", json!({"features": features, "columns": {"user_id": users}}))
    };
    let fine = (200, Value::Null, Value::Null);
    let too_much = |limit: &str| (413, "urn:tandem:problem:too-much-asked".into(), limit.into());
    let (two, lists) = (["risk", "country_seen"], ["usual:risk", "usual:country_seen"]);
    assert_eq!(of_view(&[1, 2], &two), fine);
    assert_eq!(of_view(&[1, 2, 3], &two[..1]), fine);
    assert_eq!(of_view(&[1, 2, 3, 4], &two[..1]), too_much("entities_max"));
    assert_eq!(of_view(&[1, 2, 3], &two), too_much("values_max"));
    assert_eq!(list(&[1, 2, 3], &lists[..1]), fine);
    assert_eq!(list(&[1, 2, 3], &lists), too_much("values_max"));
    assert_eq!(list(&[1], &["usual:risk", "usual:country_seen", "guess:risk"]), too_much("features_max"));
    let rows = json!({"rows": [{"user_id": 1, "amount": 1}]});
    assert_eq!(ask("/v1/services/checkout", rows), too_much("features_max"), "the service has three");
}

#[test]
fn the_service_manager_is_told() {
    let project = project("");
    let path = project.path().join("notify");
    let manager = UnixDatagram::bind(&path).expect("a socket");
    manager.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    let told = || {
        let mut buffer = [0; 512];
        let read = manager.recv(&mut buffer).expect("a word in time");
        String::from_utf8(buffer[..read].to_vec()).expect("text")
    };
    let mut command = serve(project.path());
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000");
    let serving = Serving::run(command);
    assert_eq!(told(), format!("READY=1\nSTATUS=listening on {}", serving.url()));
    for _ in 0..3 {
        assert_eq!(told(), "WATCHDOG=1");
    }
    let (status, log) = serving.terminate();
    assert!(status.success(), "{log}");
    let last = std::iter::from_fn(|| Some(told())).find(|told| told != "WATCHDOG=1");
    assert_eq!(last.as_deref(), Some("STOPPING=1\nSTATUS=finishing what is under way"));
}

#[test]
fn sighup_is_not_the_end() {
    let project = project("");
    let serving = Serving::run(serve(project.path()));
    for _ in 0..3 {
        serving.signal("HUP");
        assert_eq!(get(&format!("{}/health", serving.url())).0, 200);
    }
    let (status, log) = serving.terminate();
    assert!(status.success(), "{log}");
}
