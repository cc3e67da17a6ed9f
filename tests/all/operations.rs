//! What whoever runs a server relies on: readiness, signals, the service manager.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::harness::program::{Serving, tandem};

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

fn get(url: &str) -> (u16, Value) {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut response = agent.get(url).call().expect("an answer");
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
