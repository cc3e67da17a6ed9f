//! `tandem parity` against a server that agrees, and against all others.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use serde_json::{Value, json};

use super::project::Project;
use crate::harness::guests::Guest;
use crate::harness::program::{Serving, tandem, told};
use crate::harness::project::{Event, FIRST_DAY, MICROS_PER_DAY};
use crate::harness::rows::fixed_rows;
use crate::harness::transcript::Transcript;

/// Answers every request with the same bytes; gives its URL. It lives as long as this process.
fn answering(answer: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // Who hangs up is none of this test's business.
            let _ = stream.and_then(|stream| answer_one(stream, &answer));
        }
    });
    url
}

fn answer_one(stream: TcpStream, answer: &str) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    while reader.read_line(&mut line)? > 2 {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
        line.clear();
    }
    std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink())?;
    reader.into_inner().write_all(answer.as_bytes())
}

fn response(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}")
}

#[test]
fn a_server_that_agrees() {
    let project = Project::new();
    project.told(&["batch", "doubles"], 0);
    let serving = Serving::start(project.root(), &["--allow-replay"]);
    for format in ["json", "arrow"] {
        let (data, notes) = project.told(&["parity", "doubles", "--url", serving.url(), "--format", format], 0);
        assert!(data.ends_with("\n4 rows, 24 values compared, 0 different\n") && notes.is_empty(), "{data}{notes}");
    }
    let (status, log) = serving.terminate();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn servers_that_cannot_be_compared_with() {
    let project = Project::new();
    let mut said = Transcript::new(project.root());
    // Ports change from run to run, so URLs are told by what is there.
    let mut ask = |what: &str, url: &str, code: i32| {
        let (data, notes) = project.told(&["parity", "doubles", "--url", url], code);
        said.note(what);
        let text = format!("{data}{notes}exit code {code}\n");
        said.say(&if code == 2 { text } else { text.replace(url, "URL") });
    };
    ask("before the batch", "http://127.0.0.1:1", 1);
    project.told(&["batch", "doubles"], 0);
    ask("nobody listens", "http://127.0.0.1:1", 1);
    ask("no URL", "127.0.0.1", 2);
    ask("TLS that nobody speaks", "https://127.0.0.1:1", 1);
    ask("another scheme", "ftp://127.0.0.1:1", 2);
    ask("a web page", &answering(response("200 OK", "content-type: text/html\r\n", "<html>hello</html>")), 1);
    ask("another server without the route", &answering(response("404 Not Found", "", "<html>no such page</html>")), 1);
    ask("a server that hangs up", &answering(String::new()), 1);
    ask("a server that is no HTTP", &answering("220 mail.example.com ESMTP\r\n".to_owned()), 1);

    // The same code with a custom section more: another digest.
    let other = Project::new();
    let mut component = Guest::Misbehaving.bytes();
    component.extend([0, 2, 1, b'x']);
    fs::write(other.component(), component).unwrap();
    let others = Serving::start(other.root(), &["--allow-replay"]);
    ask("a server with another component", others.url(), 1);

    let described: Value = serde_json::from_str(&project.told(&["describe", "doubles.wasm", "--json"], 0).0).unwrap();
    let digest = described["digest"].as_str().unwrap();
    let lie = |columns: Value| {
        let headers = format!("content-type: application/json\r\ntandem-digest: {digest}\r\n");
        answering(response("200 OK", &headers, &json!({ "columns": columns, "failed_rows": [] }).to_string()))
    };
    ask("an answer with a column too few", &lie(json!({ "value": [1, 2] })), 1);
    let columns = |values: [i64; 2]| {
        json!({
            "value": values, "flag": [false, false], "text": ["é", "é"], "vector": [[0.5, 0.5], [0.5, 0.5]],
            "items": [["é"], ["é"]], "real": [100.0, 200.0],
        })
    };
    ask("an answer with other values", &lie(columns([200, 401])), 3);
    said.assert("bad_input/parity");
}

/// A transform that takes `as_of` is compared as of each row's event time, and that is replay.
#[test]
fn a_server_that_allows_no_replay() {
    let events: Vec<Event> = fixed_rows(3)
        .into_iter()
        .map(|row| Event { user: Some(1), event_time: FIRST_DAY * MICROS_PER_DAY, created_time: None, row })
        .collect();
    let project = crate::harness::project::Project::new(&events);
    told(tandem(project.root(), &["batch", "every"]), 0);
    let serving = Serving::start(project.root(), &[]);
    let (data, notes) = told(tandem(project.root(), &["parity", "every", "--url", serving.url()]), 1);
    let url = serving.url();
    let expected = format!(
        "error: {url}/v1/transforms/every@1: 403 Forbidden: the request sets `as_of`, which is the server's clock here\n\
         hint: leave `as_of` out, or set `allow_replay = true` under `[server]` in tandem.toml; a token of the role admin may set it in any case\n"
    );
    assert_eq!((data.as_str(), notes.as_str()), ("", expected.as_str()));
}
