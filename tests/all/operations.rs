//! What whoever runs a server relies on: readiness, signals, the service manager.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::program::{Serving, agent, tandem, told};
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

/// Makes a token by the command; gives its text.
fn token(root: &Path, name: &str, roles: &str) -> String {
    let (token, notes) = told(tandem(root, &["token", "new", "--name", name, "--role", roles]), 0);
    assert!(notes.starts_with("note: it is shown this once"), "{notes}");
    token.trim_end().to_owned()
}

#[test]
fn a_client_needs_a_token_of_the_right_role() {
    let project = Checkouts::new();
    let root = project.root();
    project.run(&["materialize", "usual"], 0);
    let (_, notes) = told(tandem(root, &["token", "new", "--name", "x", "--role", "read"]), 2);
    assert!(notes.starts_with("error: tandem.toml names no file of tokens\nhint: add `tokens = "), "{notes}");
    fs::write(root.join("tandem.toml"), "[project]\nname = \"checkouts\"\n[server]\ntokens = \"tokens\"\n")
        .expect("a file");
    let (_, notes) = told(tandem(root, &["serve", "--log", "error"]), 1);
    assert!(notes.starts_with("error: cannot read the tokens ./tokens: No such file"), "{notes}");
    assert!(notes.contains("hint: make the first token: tandem token new"), "{notes}");

    let (reader, scraper, admin) =
        (token(root, "checkout", "read"), token(root, "prometheus", "metrics"), token(root, "ops", "admin"));
    let serving = Serving::run(tandem(root, &["serve", "--listen", "127.0.0.1:0", "--log", "warn,tandem=info"]));
    let ask = |method: &str, route: &str, token: Option<&str>, body: &Value| {
        let url = format!("{}{route}", serving.url());
        let authorization = token.map(|token| format!("Bearer {token}"));
        let mut response = if method == "GET" {
            let request = agent().get(url);
            authorization.iter().fold(request, |request, value| request.header("authorization", value)).call()
        } else {
            let request = agent().post(url).header("content-type", "application/json");
            let request = authorization.iter().fold(request, |request, value| request.header("authorization", value));
            request.send(body.to_string())
        }
        .expect("an answer");
        let challenge =
            response.headers().get("www-authenticate").map(|value| value.to_str().expect("text").to_owned());
        let text = response.body_mut().read_to_string().expect("text");
        let problem =
            serde_json::from_str::<Value>(&text).ok().and_then(|answer| answer["type"].as_str().map(str::to_owned));
        let slug = problem.map(|kind| kind.trim_start_matches("urn:tandem:problem:").to_owned());
        (response.status().as_u16(), slug, challenge)
    };
    let fine = (200, None, None);
    let get = |route: &str, token: Option<&str>| ask("GET", route, token, &Value::Null);
    for route in ["/health", "/ready"] {
        assert_eq!(get(route, None), fine, "{route}");
    }
    let plain = Some("Bearer realm=\"tandem\"".to_owned());
    let needed = (401, Some("unauthenticated".to_owned()), plain.clone());
    for route in ["/v1/views", "/metrics", "/nowhere", "/v1/views/usual"] {
        assert_eq!(get(route, None), needed, "{route}");
    }
    let invalid = Some("Bearer realm=\"tandem\", error=\"invalid_token\"".to_owned());
    assert_eq!(get("/v1/views", Some(&reader[..reader.len() - 1])), (401, Some("invalid-token".to_owned()), invalid));
    let scope = |role: &str| Some(format!("Bearer realm=\"tandem\", error=\"insufficient_scope\", scope=\"{role}\""));
    assert_eq!(get("/v1/views", Some(&scraper)), (403, Some("forbidden".to_owned()), scope("read")));
    assert_eq!(get("/metrics", Some(&reader)), (403, Some("forbidden".to_owned()), scope("metrics")));
    assert_eq!(get("/v1/views", Some(&reader)), fine);
    assert_eq!(get("/metrics", Some(&scraper)), fine);
    assert_eq!((get("/v1/views", Some(&admin)), get("/metrics", Some(&admin))), (fine.clone(), fine.clone()));
    assert_eq!(get("/nowhere", Some(&reader)), (404, Some("route-not-found".to_owned()), None));

    // Replay is for admins.
    let past = json!({"view": "usual", "entities": {"user_id": [1]}, "as_of": "2026-01-20T00:00:00Z"});
    let replay = |token: &str| ask("POST", "/v1/features", Some(token), &past);
    assert_eq!(replay(&reader), (403, Some("replay-not-allowed".to_owned()), None));
    assert_eq!(replay(&admin), fine);

    // What is revoked is refused, and what is made is let in, without a restart.
    let (list, _) = told(tandem(root, &["token", "list"]), 0);
    assert!(list.contains("checkout ") && list.contains("  metrics\n") && !list.contains("sha256"), "{list}");
    told(tandem(root, &["token", "revoke", "checkout"]), 0);
    let another = token(root, "another", "read,write");
    let begin = Instant::now();
    while get("/v1/views", Some(&reader)).0 == 200 || get("/v1/views", Some(&another)).0 != 200 {
        assert!(begin.elapsed() < Duration::from_secs(20), "the tokens are not read again");
        std::thread::sleep(Duration::from_millis(50));
    }
    // A file that cannot be read changes nothing.
    fs::write(root.join("tokens"), "damaged").expect("a file");
    serving.signal("HUP");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(get("/v1/views", Some(&another)), fine);

    let (status, log) = serving.terminate();
    assert!(status.success(), "{log}");
    assert!(log.contains("token=\"checkout\"") || log.contains("token=checkout"), "{log}");
    assert!(log.contains("the tokens cannot be read again") && log.contains("line 1: "), "{log}");
    let refused = "route=\"/metrics\" status=403";
    let refused = log.lines().find(|line| line.contains(refused)).unwrap_or_else(|| panic!("{log}"));
    assert!(refused.contains("token=\"checkout\"") && refused.contains("request_id="), "{refused}");
    for secret in [&reader, &scraper, &admin, &another] {
        assert!(!log.contains(secret.as_str()), "a token is in the log");
    }
}

#[test]
fn parity_and_ingest_show_their_tokens() {
    let project = Checkouts::new();
    let root = project.root();
    fs::write(root.join("tandem.toml"), "[project]\nname = \"checkouts\"\n[server]\ntokens = \"tokens\"\n")
        .expect("a file");
    let (reader, writer, admin) = (token(root, "a", "read"), token(root, "b", "write"), token(root, "c", "admin"));
    let serving = Serving::start(root, &[]);
    let command = |arguments: &[&str], options: &[&str]| tandem(root, &[arguments, options].concat());
    let parity = |options: &[&str]| command(&["parity", "usual", "--url", serving.url()], options);
    // None, one that was never given, and one that may not ask for the past.
    for (options, said) in [
        (&[][..], "401"),
        (&["--token", "tandem_x"], "401"),
        (&["--token", reader.as_str()], "403"),
        (&["--token", writer.as_str()], "403"),
    ] {
        let (data, notes) = told(parity(options), 1);
        assert!(data.is_empty() && notes.contains(said) && notes.contains("hint: "), "{options:?}: {notes}");
    }
    let agrees = |data: &str| assert!(data.contains(" values compared, 0 different\n"), "{data}");
    agrees(&told(parity(&["--token", &admin]), 0).0);
    agrees(&told(parity(&["--token", &admin, "--format", "arrow"]), 0).0);
    let mut by_environment = parity(&[]);
    by_environment.env("TANDEM_TOKEN", &admin);
    agrees(&told(by_environment, 0).0);

    let row = json!({"user_id": 77, "at": "2026-01-05T00:00:00Z", "amount": 12.5, "country": "DE"});
    fs::write(root.join("rows.jsonl"), format!("{row}\n")).expect("a file");
    let ingest = |options: &[&str]| command(&["ingest", "usual", "rows.jsonl", "--server", serving.url()], options);
    let encrypted = serving.url().replace("http", "https");
    for (options, said, hint) in [
        (&[][..], "401", "hint: give a token with --token"),
        (&["--token", reader.as_str()], "403", "hint: `tandem token new --role write` makes one"),
    ] {
        let (_, notes) = told(ingest(options), 1);
        assert!(notes.contains(said) && notes.contains(hint), "{options:?}: {notes}");
    }
    let (_, notes) = told(ingest(&["--token", "two words"]), 2);
    assert!(notes.starts_with("error: --token: a token has letters, digits and signs of ASCII alone"), "{notes}");
    let (_, notes) = told(tandem(root, &["ingest", "usual", "rows.jsonl", "--server", &encrypted]), 1);
    assert!(notes.contains("hint: no TLS is spoken there") && !notes.contains("asked again"), "{notes}");
    let (data, _) = told(ingest(&["--token", &writer]), 0);
    assert!(data.starts_with("1 row read, 1 accepted (1 written"), "{data}");
}

#[test]
fn without_tokens_this_machine_alone_may_connect() {
    let project = project("tokens = \"tokens\"");
    token(project.path(), "a", "read");
    drop(Serving::run(tandem(project.path(), &["serve", "--listen", "0.0.0.0:0"])));
    let open = self::project("");
    let (_, notes) = told(tandem(open.path(), &["serve", "--listen", "0.0.0.0:0", "--log", "error"]), 2);
    assert!(notes.starts_with("error: 0.0.0.0:0 can be reached from other machines"), "{notes}");
    let serving = Serving::run(tandem(open.path(), &["serve", "--listen", "0.0.0.0:0", "--allow-unauthenticated"]));
    let (_, log) = serving.terminate();
    assert!(log.contains("clients need no token"), "{log}");
    let allowed = self::project("allow_unauthenticated = true");
    drop(Serving::run(tandem(allowed.path(), &["serve", "--listen", "[::]:0"])));
    let nobody = self::project("tokens = \"tokens\"");
    fs::write(nobody.path().join("tokens"), "").expect("a file");
    let (_, log) = Serving::run(tandem(nobody.path(), &["serve"])).terminate();
    assert!(log.contains("no token is known: whoever asks is refused"), "{log}");
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
