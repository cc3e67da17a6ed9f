//! Encrypted connections: an authority of our own, certificates that are replaced while the server runs, and OpenSSL (by Python) as the client.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SerialNumber};

use crate::harness::program::{Serving, tandem, tandem_registered, told};
use crate::ingest;

/// One line for each line that it reads: `kept` asks over one connection that stays, `new` over a new one. It tells the status, the serial
/// number of the certificate, and the version of TLS.
const CLIENT: &str = r#"
import http.client, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[1])
if sys.argv[3] == "1.2":
    context.maximum_version = ssl.TLSVersion.TLSv1_2
def connect():
    return http.client.HTTPSConnection("127.0.0.1", int(sys.argv[2]), context=context, timeout=30)
kept = connect()
for line in sys.stdin:
    connection = kept if line.strip() == "kept" else connect()
    try:
        connection.request("GET", "/health")
        answer = connection.getresponse()
        answer.read()
        print(answer.status, int(connection.sock.getpeercert()["serialNumber"], 16), connection.sock.version(), flush=True)
    except Exception as error:
        print(type(error).__name__, error, flush=True)
"#;

struct Client {
    child: Child,
    asks: ChildStdin,
    says: BufReader<ChildStdout>,
}

impl Client {
    fn start(authority: &Path, port: &str, version: &str) -> Client {
        let mut command = Command::new("python3");
        command.args(["-c", CLIENT]).arg(authority).args([port, version]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("Python runs");
        let (asks, says) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        Client { child, asks, says: BufReader::new(says) }
    }

    fn ask(&mut self, which: &str) -> String {
        writeln!(self.asks, "{which}").expect("it reads");
        let mut line = String::new();
        self.says.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended already
        let _ = self.child.wait();
    }
}

/// An authority, whose certificate is in a file.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(file: &Path) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, "authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        fs::write(file, &pem).expect("a file");
        Authority { issuer: Issuer::new(params, key), pem }
    }

    /// Its own certificate and key.
    fn itself(&self) -> (String, String) {
        (self.pem.clone(), self.issuer.key().serialize_pem())
    }

    /// Certificate and key of 127.0.0.1, with this serial number.
    fn sign(&self, serial: u64) -> (String, String) {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, "server");
        params.serial_number = Some(SerialNumber::from(serial));
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }
}

fn write(root: &Path, (certificate, key): &(String, String)) {
    // First the one, then the other, as whoever replaces them.
    fs::write(root.join("certificate.pem"), certificate).expect("a file");
    fs::write(root.join("key.pem"), key).expect("a file");
}

fn project() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(folder.path().join("features")).expect("a folder");
    let settings = "[project]\nname = \"encrypted\"\n[server]\nlisten = \"127.0.0.1:0\"\nrequest_seconds_max = 3\n[server.tls]\ncertificate = \"certificate.pem\"\nkey = \"key.pem\"\n";
    fs::write(folder.path().join("tandem.toml"), settings).expect("a file");
    folder
}

#[test]
fn certificates_are_replaced_and_open_connections_go_on() {
    let project = project();
    let root = project.path();
    let authority = Authority::new(&root.join("authority.pem"));
    write(root, &authority.sign(7));
    let serving = Serving::run(tandem(root, &["serve", "--log", "warn,tandem=info"]));
    let port = serving.url().strip_prefix("https://127.0.0.1:").expect("it says that it encrypts").to_owned();
    let mut client = Client::start(&root.join("authority.pem"), &port, "1.3");
    assert_eq!(client.ask("kept"), "200 7 TLSv1.3");
    assert_eq!(Client::start(&root.join("authority.pem"), &port, "1.2").ask("new"), "200 7 TLSv1.2");

    // Somebody else's authority does not vouch for it.
    Authority::new(&root.join("other.pem"));
    let refused = Client::start(&root.join("other.pem"), &port, "1.3").ask("new");
    assert!(refused.starts_with("SSLCertVerificationError "), "{refused}");

    write(root, &authority.sign(8));
    let begin = Instant::now();
    while client.ask("new") != "200 8 TLSv1.3" {
        assert!(begin.elapsed() < Duration::from_secs(20), "the new certificate is not read");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(client.ask("kept"), "200 7 TLSv1.3", "the open connection goes on");

    // What does not go together changes nothing, and SIGHUP reads at once.
    fs::write(root.join("key.pem"), authority.sign(9).1).expect("a file");
    serving.signal("HUP");
    std::thread::sleep(Duration::from_millis(1_500));
    assert_eq!(client.ask("new"), "200 8 TLSv1.3");

    // Who does not speak TLS is not answered, and holds nobody up.
    let mut plain = TcpStream::connect(format!("127.0.0.1:{port}")).expect("it listens");
    plain.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").expect("it reads");
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer); // an alert, or a reset
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    let mut silent = TcpStream::connect(format!("127.0.0.1:{port}")).expect("it listens");
    silent.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    assert_eq!(silent.read(&mut [0; 16]).expect("it closes"), 0, "who says nothing is closed on");
    assert_eq!(client.ask("new"), "200 8 TLSv1.3");

    let (status, log) = serving.terminate();
    assert!(status.success(), "{log}");
    assert!(log.contains("the certificate was read again"), "{log}");
    assert!(log.contains("the certificate cannot be read again; that of before stays"), "{log}");
}

#[test]
fn rows_are_pushed_to_a_server_that_somebody_vouches_for() {
    let project = ingest::applied();
    let root = project.path();
    let authority = Authority::new(&root.join("authority.pem"));
    Authority::new(&root.join("other.pem"));
    write(root, &authority.sign(1));
    let file = root.join("tandem.toml");
    let settings = fs::read_to_string(&file).expect("settings");
    let secured = "tokens = \"tokens\"\n[server.tls]\ncertificate = \"certificate.pem\"\nkey = \"key.pem\"\n";
    let settings = settings + secured;
    fs::write(&file, settings).expect("settings");
    let (token, _) = told(tandem(root, &["token", "new", "--name", "writer", "--role", "write"]), 0);
    let serving = Serving::start_registered(root, &[]);
    fs::write(root.join("events.jsonl"), ingest::event(1, "n") + "\n" + &ingest::event(2, "n") + "\n").expect("events");

    let push_to = |server: &str, more: &[&str], code: i32| {
        let arguments = [&["ingest", "activity", "events.jsonl", "--json", "--server", server], more].concat();
        let mut command = tandem_registered(root, &arguments);
        command.env("TANDEM_TOKEN", token.trim());
        told(command, code)
    };
    let push = |more: &[&str], code: i32| push_to(serving.url(), more, code);
    // Nobody that is known vouches for it: that is told at once, and nothing is sent.
    let plain = serving.url().replace("https", "http");
    for (server, more, hint) in [
        (serving.url(), &[][..], "hint: name the certificate of the authority"),
        (serving.url(), &["--ca", "other.pem"], "hint: those of --ca do not vouch for it"),
        (&plain, &[], "hint: no HTTP is spoken there: a server with `[server.tls]` is asked with https://"),
    ] {
        let begin = Instant::now();
        let (_, notes) = push_to(server, more, 1);
        assert!(notes.contains(hint), "{server} {more:?}: {notes}");
        assert!(begin.elapsed() < Duration::from_secs(20), "it was asked again");
    }
    for (file, part) in
        [("key.pem", "something else than certificates"), ("events.jsonl", "no certificate"), ("gone.pem", "gone.pem")]
    {
        let code = if file == "gone.pem" { 1 } else { 2 };
        let (_, notes) = push(&["--ca", file], code);
        assert!(notes.contains(part), "{file}: {notes}");
    }
    let (_, notes) = push(&["--ca", "authority.pem", "--token", "another"], 1);
    assert!(notes.contains("401"), "{notes}");
    let (report, _) = push(&["--ca", "authority.pem"], 0);
    assert_eq!(ingest::json(&report)["written"], 2, "{report}");
    assert_eq!(ingest::count(root, "n"), 2);

    // A certificate that signed itself, as one that begins makes it.
    write(root, &authority.itself());
    serving.signal("HUP");
    let begin = Instant::now();
    loop {
        let arguments = ["ingest", "activity", "events.jsonl", "--server", serving.url(), "--ca", "authority.pem"];
        let notes = tandem_registered(root, &arguments).output().expect("the program runs").stderr;
        if String::from_utf8_lossy(&notes).contains("hint: the server's certificate is that of an authority") {
            break;
        }
        assert!(begin.elapsed() < Duration::from_secs(30), "{}", String::from_utf8_lossy(&notes));
    }
}

#[test]
fn files_that_cannot_be_used_are_told() {
    let project = project();
    let root = project.path();
    let authority = Authority::new(&root.join("authority.pem"));
    let (certificate, key) = authority.sign(1);
    let refused = |certificate: Option<&str>, key: &str| {
        let file = root.join("certificate.pem");
        let _ = fs::remove_file(&file); // of the one before
        if let Some(text) = certificate {
            fs::write(file, text).expect("a file");
        }
        fs::write(root.join("key.pem"), key).expect("a file");
        let (_, notes) = told(tandem(root, &["serve", "--log", "error"]), 1);
        notes.lines().next().unwrap_or_default().to_owned()
    };
    assert_eq!(
        refused(None, &key),
        "error: ./certificate.pem: the certificate cannot be read: No such file or directory (os error 2)"
    );
    assert_eq!(refused(Some("text"), &key), "error: ./certificate.pem: it holds no certificate in PEM");
    assert_eq!(refused(Some(&certificate), &certificate), "error: ./key.pem: it holds no private key in PEM");
    let others = authority.sign(2).1;
    let mixed = refused(Some(&certificate), &others);
    assert!(mixed.starts_with("error: ./certificate.pem: it cannot be used with the key ./key.pem: "), "{mixed}");
    let broken = refused(Some(&certificate.replace("\nM", "\n*")), &key);
    assert!(broken.starts_with("error: ./certificate.pem: it is no PEM file of a certificate: "), "{broken}");
}
