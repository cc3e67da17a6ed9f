//! The program as a process.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;

use serde_json::Value;

use super::guests::cache;

/// The program's file.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_tandem-under-test");

/// Commands that run features.
const RUNNING: [&str; 8] = ["ingest", "batch", "explain", "training-set", "materialize", "get", "serve", "parity"];

/// What `--dev` says.
const DEV_NOTE: &str = "note: --dev runs the definition files as they are, and not what is registered\n";

/// The folder of a project with these definitions, to be run by the program.
pub(crate) fn defined(project: &str, definitions: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder.path();
    std::fs::create_dir(root.join("features")).expect("a folder");
    std::fs::write(root.join("tandem.toml"), format!("[project]\nname = {project:?}\n")).expect("a file");
    std::fs::write(root.join("features/all.toml"), definitions).expect("a file");
    folder
}

/// A call of `tandem` in the project at `root`, with nothing of this process's settings. Features run as the definition files say: that what
/// is registered runs is the subject of `registry`.
pub(crate) fn tandem(root: &Path, arguments: &[&str]) -> Command {
    tandem_registered(root, &over_files(arguments))
}

/// The arguments with `--dev`, where features run.
pub(crate) fn over_files<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    let runs = arguments.first().is_some_and(|command| RUNNING.contains(command));
    arguments.iter().copied().chain(runs.then_some("--dev")).collect()
}

/// A call of `tandem` over what is registered, with nothing of this process's settings.
pub(crate) fn tandem_registered(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).current_dir(root);
    isolated(command)
}

/// What was told on stderr, without what `--dev` says whatever the command.
pub(crate) fn without_dev_note(notes: &str) -> String {
    notes.strip_prefix(DEV_NOTE).unwrap_or(notes).to_owned()
}

/// A command with nothing of this process's settings.
pub(crate) fn isolated(mut command: Command) -> Command {
    command.stdin(Stdio::null()).env_remove("TANDEM_LOG").env("COLUMNS", "100").env("TANDEM_CACHE", cache());
    command
}

/// What a command that should end with `code` says: data, and what is beside it.
pub(crate) fn told(mut command: Command, code: i32) -> (String, String) {
    let output = command.output().expect("the program runs");
    let [data, notes] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("UTF-8"));
    assert_eq!(output.status.code(), Some(code), "{command:?}\n{data}{notes}");
    (data, without_dev_note(&notes))
}

/// Lets requests wait: other tests take the processors too, for longer than `late_millis_max` says where nothing is said of it.
fn with_patience(root: &Path) {
    const PATIENCE: &str = "[server]\nlate_millis_max = 30000\n";
    let path = root.join("tandem.toml");
    let settings = std::fs::read_to_string(&path).expect("the project's settings");
    if settings.contains("late_millis_max") {
        return;
    }
    let patient = match settings.contains("[server]\n") {
        true => settings.replacen("[server]\n", PATIENCE, 1),
        false => format!("{settings}\n{PATIENCE}"),
    };
    std::fs::write(&path, patient).expect("a file");
}

/// `tandem serve` as a process, on a port of its own. Dropped, it is killed.
pub(crate) struct Serving {
    child: Child,
    url: String,
    agent: ureq::Agent,
    /// Reads what the server logs, so that the pipe never fills.
    log: Option<JoinHandle<String>>,
}

impl Serving {
    /// Serves the project at `root`; waits until it listens.
    pub(crate) fn start(root: &Path, options: &[&str]) -> Serving {
        with_patience(root);
        Serving::run(tandem(root, &[&["serve", "--listen", "127.0.0.1:0"], options].concat()))
    }

    /// Serves what is registered for the project at `root`.
    pub(crate) fn start_registered(root: &Path, options: &[&str]) -> Serving {
        with_patience(root);
        Serving::run(tandem_registered(root, &[&["serve", "--listen", "127.0.0.1:0"], options].concat()))
    }

    /// A call of `tandem serve` that was made otherwise; waits until it listens.
    pub(crate) fn run(mut command: Command) -> Serving {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program runs");
        let mut log = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut said = String::new();
        let url = loop {
            let start = said.len();
            let read = log.read_line(&mut said).expect("lines");
            assert!(read > 0, "the server ended: {:?}\n{said}", child.wait());
            if let Some(url) = said[start..].trim().strip_prefix("tandem listens on ") {
                break url.to_owned();
            }
        };
        let read =
            |mut log: BufReader<ChildStderr>| log.read_to_string(&mut said).map(|_| said).expect("its log is UTF-8");
        Serving { child, url, agent: agent(), log: Some(std::thread::spawn(move || read(log))) }
    }

    /// Where it is: `http://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Posts JSON to a route; gives the status and the JSON that it answers.
    pub(crate) fn ask(&self, route: &str, body: &Value) -> (u16, Value) {
        let request = self.agent.post(format!("{}{route}", self.url)).header("content-type", "application/json");
        let mut response = request.send(body.to_string()).expect("an answer");
        let text = response.body_mut().read_to_string().expect("text");
        (response.status().as_u16(), serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
    }

    /// The same; it must be answered with 200.
    pub(crate) fn answer(&self, route: &str, body: &Value) -> Value {
        let (status, answer) = self.ask(route, body);
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Kills it, with SIGKILL.
    pub(crate) fn kill(&self) {
        signal(self.child.id(), "KILL");
    }

    /// Asks it to end; gives how it did and all that it logged.
    pub(crate) fn terminate(mut self) -> (ExitStatus, String) {
        signal(self.child.id(), "TERM");
        let status = self.child.wait().expect("it ends");
        let log = self.log.take().map(|log| log.join().expect("a log")).unwrap_or_default();
        (status, without_dev_note(&log))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended already
        let _ = self.child.wait();
    }
}

/// A client that takes answers of any status.
pub(crate) fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).build().into()
}

/// Sends a signal to a process that this one started.
pub(crate) fn signal(process: u32, name: &str) {
    let sent = Command::new("sh").args(["-c", &format!("kill -{name} {process}")]).status().expect("a shell");
    assert!(sent.success(), "SIG{name} cannot be sent to {process}");
}
