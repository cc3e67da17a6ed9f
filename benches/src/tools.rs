//! Tools of other languages, installed into the target folder: where the tests put them, by the same pins.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Failure;
use crate::guests::{scratch, workspace};

/// A virtual environment with what a file below the workspace pins.
pub(crate) fn environment(name: &str, pins: &str) -> Result<PathBuf, Failure> {
    once(name, pins, |folder, pins| {
        run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
        let mut pip = Command::new(folder.join("bin/pip"));
        run(pip.args(["install", "--quiet", "--disable-pip-version-check", "-r"]).arg(pins))
    })
}

/// A folder with a `node_modules`.
pub(crate) fn modules(name: &str, pins: &str) -> Result<PathBuf, Failure> {
    once(name, pins, |folder, pins| {
        fs::copy(pins, folder.join("package.json"))?;
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund"]);
        run(npm.current_dir(folder))?;
        Ok(symlink(workspace().join("guest-sdk/js"), folder.join("node_modules/tandem-sdk"))?)
    })
}

/// Packages of Debian that a file below the workspace names, unpacked.
pub(crate) fn debian(name: &str, packages: &str) -> Result<PathBuf, Failure> {
    once(name, packages, |folder, packages| {
        let names = fs::read_to_string(packages)?;
        let download = || {
            let mut command = Command::new("apt-get");
            command.arg("download").args(names.lines()).current_dir(folder);
            command
        };
        // A machine may know no packages yet.
        if output(&mut download()).is_err() {
            run(Command::new("apt-get").arg("update"))?;
            run(&mut download())?;
        }
        run(Command::new("sh")
            .current_dir(folder)
            .args(["-ec", "for file in *.deb; do dpkg -x \"$file\" .; rm \"$file\"; done"]))
    })
}

/// Runs `install` in a folder of this name unless it ran to its end with the same pins before.
fn once(name: &str, pins: &str, install: impl FnOnce(&Path, &Path) -> Result<(), Failure>) -> Result<PathBuf, Failure> {
    let target = scratch()?.parent().ok_or("the benches lie in no target folder")?.to_owned();
    let (folder, pins) = (target.join("tools").join(name), workspace().join(pins));
    let (wanted, stamp) = (fs::read_to_string(&pins)?, folder.join("installed"));
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(folder);
    }
    let _ = fs::remove_dir_all(&folder); // it need not be there
    fs::create_dir_all(&folder)?;
    install(&folder, &pins)?;
    fs::write(stamp, wanted)?;
    Ok(folder)
}

/// Runs a command that must succeed.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    output(command).map(|_| ())
}

/// Runs a command that must succeed; gives its data.
pub(crate) fn output(command: &mut Command) -> Result<Vec<u8>, Failure> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(format!("{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr)).into())
}
