//! The folder and the processes of a page that is run.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::guests::{guests_target, workspace};

/// The address that pages name; each session has another one.
const SHOWN_ADDRESS: &str = "127.0.0.1:8080";

/// How long a command that stays running may take to say what the page shows.
const START: Duration = Duration::from_secs(60);

/// A shell in a folder, with programs of its own.
pub(super) struct Session {
    /// Where the page begins.
    folder: PathBuf,
    /// Where it is now.
    here: PathBuf,
    /// Programs, and notes of the session.
    aside: PathBuf,
    address: SocketAddr,
    running: Vec<Child>,
}

/// Shims for what a page calls. `tandem` is the program under test, with these differences: transforms are compiled in a folder that all
/// tests share, a new one gets the lock file of an example (so that no registry is asked for newer crates), and the server's address is the
/// session's, where none is given.
const TANDEM: &str = r#"#!/bin/sh
case "$1" in
new)
    "@real@" "$@" || exit
    for crate in */; do
        [ -e "$crate/Cargo.toml" ] && [ ! -e "$crate/Cargo.lock" ] && cp "@lock@" "$crate/Cargo.lock"
    done
    exit 0 ;;
build | test) exec "@real@" "$@" --target-dir "@target@" ;;
serve) case "$*" in *--listen*) ;; *) set -- "$@" --listen @address@ ;; esac ;;
parity) case "$*" in *--url*) ;; *) set -- "$@" --url http://@address@ ;; esac ;;
esac
exec "@real@" "$@"
"#;

/// Fewer rows than the page has: the program under test is not optimised.
const GENERATOR: &str = "#!/bin/sh\nexec \"@generator@\" \"$@\" --rows-per-day 200\n";

impl Session {
    /// An empty folder of this name, the same in every run: cargo knows crates by their path, and compiles what is new alone.
    pub(super) fn new(name: &str) -> Session {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guide").join(name);
        if root.exists() {
            fs::remove_dir_all(&root).expect("an earlier run can be removed");
        }
        let (folder, aside) = (root.join("folder"), root.join("aside"));
        for made in [&folder, &aside, &aside.join("bin"), &aside.join("real")] {
            fs::create_dir_all(made).expect("a folder");
        }
        let session = Session { here: folder.clone(), folder, aside, address: free_address(), running: Vec::new() };
        session.install();
        session
    }

    /// A folder of the repository, at the same place below the session's.
    pub(super) fn bring(&self, path: &str) {
        copy(&workspace().join(path), &self.folder.join(path));
        // A transform of the repository finds the SDK by a relative path.
        let manifest = self.folder.join(path).join("transform/Cargo.toml");
        let sdk = workspace().join("guest-sdk/rust");
        let text = fs::read_to_string(&manifest).expect("a manifest");
        assert!(text.contains("\"../../../guest-sdk/rust\""), "{text}");
        let text = text.replace("../../../guest-sdk/rust", sdk.to_str().expect("a text"));
        fs::write(&manifest, text).expect("a file");
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where its server is.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Changes to a folder below the session's.
    pub(super) fn go(&mut self, path: &str) {
        self.here = self.folder.join(path);
    }

    /// A path that the page names, from where it is.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.here.join(path)
    }

    fn install(&self) {
        let real = self.aside.join("real/tandem");
        // A process that looks for `tandem serve` among others shall find it.
        symlink(env!("CARGO_BIN_EXE_tandem-under-test"), &real).expect("a link");
        let fill = |text: &str| {
            text.replace("@real@", real.to_str().expect("a text"))
                .replace(
                    "@lock@",
                    workspace().join("examples/quickstart/transform/Cargo.lock").to_str().expect("a text"),
                )
                .replace("@target@", guests_target().to_str().expect("a text"))
                .replace("@generator@", env!("CARGO_BIN_EXE_quickstart-generator-under-test"))
                .replace("@address@", &self.address.to_string())
        };
        for (name, text) in [("tandem", TANDEM), ("quickstart-generator", GENERATOR)] {
            let path = self.aside.join("bin").join(name);
            fs::write(&path, fill(text)).expect("a file");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a program");
        }
        symlink(env!("CARGO_BIN_EXE_curl-stand-in"), self.aside.join("bin/curl")).expect("a link");
    }

    fn shell(&self, script: &str, output: &File) -> Command {
        let bin = self.aside.join("bin");
        let mut path = bin.clone().into_os_string();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let mut command = Command::new("sh");
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy().into_owned();
            // This run's own settings are no author's.
            if (text.starts_with("CARGO") && text != "CARGO_HOME")
                || ["__CARGO", "RUSTFLAGS", "RUSTDOCFLAGS", "TANDEM_"].iter().any(|prefix| text.starts_with(prefix))
            {
                command.env_remove(name);
            }
        }
        command
            .args(["-c", &script.replace(SHOWN_ADDRESS, &self.address.to_string())])
            .current_dir(&self.here)
            .env("PATH", path)
            .env("PWD", &self.here)
            .env("COLUMNS", "120")
            .env("CARGO_TERM_COLOR", "never")
            .env("CARGO_TARGET_DIR", guests_target().join("native"))
            .env("TANDEM_BIN", bin)
            .env("TANDEM_LISTEN", self.address.to_string())
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a file"))
            .stderr(output.try_clone().expect("a file"));
        command
    }

    fn output(&self, name: &str) -> (PathBuf, File) {
        let path = self.aside.join(name);
        let file = File::options().create(true).append(true).open(&path).expect("a file");
        file.set_len(0).expect("an empty file");
        (path, file)
    }

    /// What was printed, with the address that pages name.
    fn printed(&self, path: &Path) -> String {
        let bytes = fs::read(path).expect("what was printed");
        String::from_utf8_lossy(&bytes).replace(&self.address.to_string(), SHOWN_ADDRESS)
    }

    /// Runs a script to its end, and stays where it goes; gives its exit code, and all that it printed.
    pub(super) fn run(&mut self, script: &str) -> (Option<i32>, String) {
        let (path, file) = self.output("printed");
        let place = self.aside.join("place");
        let script = format!("{script}\ncode=$?\npwd >'{}'\nexit $code\n", place.display());
        let status = self.shell(&script, &file).status().expect("a shell");
        if let Ok(text) = fs::read_to_string(&place) {
            self.here = PathBuf::from(text.trim_end());
        }
        (status.code(), self.printed(&path))
    }

    /// Starts a command that runs until the session ends, and waits for `ready`; gives what it printed, and whether it was.
    pub(super) fn start(&mut self, command: &str, ready: impl Fn(&str) -> bool) -> (bool, String) {
        let (path, file) = self.output(&format!("running-{}", self.running.len()));
        let child = self.shell(&format!("exec {command}"), &file).spawn().expect("a shell");
        self.running.push(child);
        let since = Instant::now();
        loop {
            let printed = self.printed(&path);
            let ended = self.running.last_mut().expect("it was just started").try_wait().expect("a child").is_some();
            if ready(&printed) || ended || since.elapsed() > START {
                return (ready(&printed) && !ended, printed);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for child in &mut self.running {
            let ended = child.kill().and_then(|()| child.wait());
            assert!(ended.is_ok() || std::thread::panicking(), "{ended:?}");
        }
        // A page that failed may not have come to the line that stops it.
        let quickstart = self.folder.join("examples/quickstart/run.sh");
        if quickstart.exists() {
            let (_, file) = self.output("stopped");
            let stopped = self.shell(&format!("{} --stop", quickstart.display()), &file).status();
            assert!(stopped.is_ok() || std::thread::panicking(), "{stopped:?}");
        }
    }
}

/// A port of no other test: those take what the system gives, which is above these.
fn free_address() -> SocketAddr {
    let mut port = 20_000 + (std::process::id() % 6_000) as u16;
    loop {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        // The sessions of this process must not meet either, and none has bound its port yet.
        if claim(port) && TcpListener::bind(address).is_ok() {
            return address;
        }
        port += 1;
    }
}

/// Whether no other session of this process has the port.
fn claim(port: u16) -> bool {
    use std::collections::BTreeSet;
    use std::sync::Mutex;
    static CLAIMED: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    CLAIMED.lock().expect("no session panics here").insert(port)
}

/// Copies a folder of the repository, without what running it makes there.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let (path, name) = (entry.path(), entry.file_name());
        let made = name == "target" || name == "data" || name.as_encoded_bytes().starts_with(b".");
        if path.is_dir() && !made {
            copy(&path, &to.join(name));
        } else if path.is_file() && path.extension().is_none_or(|ending| ending != "wasm") {
            fs::copy(&path, to.join(name)).expect("a file");
        }
    }
}
