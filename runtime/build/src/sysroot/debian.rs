//! The standard library's sources from Debian's package `rust-src`.
//!
//! The package is taken in exactly rustc's version, with apt's own client and Debian's signatures, from the
//! mirror that the machine is set up with. All of apt's state is private to the build: nothing of the machine's is read
//! but the mirror, the keyring and how to reach the network, and nothing is installed. It works for any user.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::run;

/// Suites that are searched, stable first. A machine's own suite is often too old to have the compiler that rustup
/// brings.
const SUITES: [&str; 4] = ["trixie", "trixie-backports", "forky", "sid"];

/// Taken where the machine names no mirror.
const MIRROR: &str = "http://deb.debian.org/debian";

/// Where Debian keeps the keys of its archive: 12 and older, 13 and newer.
const KEYRINGS: [&str; 2] =
    ["/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp"];

/// The folder `library` of `rust-src` in the version `release`, unpacked inside `work`; else why it cannot be had.
pub(super) fn source(release: &str, work: &Path) -> Result<PathBuf, String> {
    let keyring = KEYRINGS.iter().map(Path::new).find(|path| path.is_file()).ok_or("no keyring of Debian's archive")?;
    for folder in ["lists/partial", "cache/archives/partial", "parts", "deb"] {
        fs::create_dir_all(work.join(folder)).map_err(|error| error.to_string())?;
    }
    let mirror = mirror()?;
    tracing::info!(mirror, release, "fetching the sources, Debian's package rust-src (45 MB)");
    let write = |name: &str, content: String| fs::write(work.join(name), content).map_err(|error| error.to_string());
    write("sources.list", sources(&mirror, keyring))?;
    write("apt.conf", configuration(work))?;

    // A mirror may lack one of the suites, which fails the update and leaves the others usable.
    let update = run::output(apt(work, "apt-get").args(["-qq", "update"])).map_err(|error| error.to_string())?;
    let known = run::output(apt(work, "apt-cache").args(["madison", "rust-src"])).map_err(|error| error.to_string())?;
    let known = String::from_utf8_lossy(&known.stdout).into_owned();
    let Some(version) = version_of(&known, release) else {
        let said = run::last_lines(&update, 2);
        let versions: Vec<&str> = known.lines().filter_map(|line| line.split('|').nth(1)).map(str::trim).collect();
        return Err(match (versions.is_empty(), said.is_empty()) {
            (true, false) => format!("{mirror} cannot be read: {said}"),
            (true, true) => format!("{mirror} does not have it"),
            (false, _) => format!("{mirror} has {}, not {release}", versions.join(", ")),
        });
    };
    let package = format!("rust-src={version}");
    let download = run::output(apt(work, "apt-get").args(["-qq", "download", &package]).current_dir(work))
        .map_err(|error| error.to_string())?;
    let archive = find_archive(work)
        .ok_or_else(|| format!("{package} cannot be fetched from {mirror}: {}", run::last_lines(&download, 2)))?;
    let unpack = run::output(Command::new("dpkg-deb").arg("-x").arg(&archive).arg(work.join("deb")))
        .map_err(|error| error.to_string())?;
    let library = work.join(format!("deb/usr/src/rustc-{release}/library"));
    if !unpack.status.success() || !library.is_dir() {
        return Err(format!("{package} has no sources of the library: {}", run::last_lines(&unpack, 2)));
    }
    Ok(library)
}

/// One of apt's programs with private state.
fn apt(work: &Path, program: &str) -> Command {
    let mut command = Command::new(program);
    command.env("APT_CONFIG", work.join("apt.conf")).env("LC_ALL", "C");
    command
}

fn sources(mirror: &str, keyring: &Path) -> String {
    let keyring = keyring.display();
    SUITES.iter().map(|suite| format!("deb [signed-by={keyring}] {mirror} {suite} main\n")).collect()
}

/// The sandbox user of a root's apt may not write into our folder; for other users apt has no sandbox and ignores the
/// line.
fn configuration(work: &Path) -> String {
    let work = work.display();
    format!(
        "Dir::Etc::sourcelist \"{work}/sources.list\";
Dir::Etc::sourceparts \"/dev/null\";
Dir::Etc::preferences \"/dev/null\";
Dir::Etc::preferencesparts \"{work}/parts\";
Dir::State::lists \"{work}/lists\";
Dir::Cache \"{work}/cache\";
APT::Sandbox::User \"root\";
Acquire::Languages \"none\";
"
    )
}

/// The newest package of the release in the output of `apt-cache madison`: ` rust-src | 1.95.0+dfsg1-2 | http://…`.
fn version_of(madison: &str, release: &str) -> Option<String> {
    madison
        .lines()
        .filter_map(|line| line.split('|').nth(1))
        .map(str::trim)
        .find(|version| version.strip_prefix(release).is_some_and(|rest| rest.starts_with(['+', '-'])))
        .map(str::to_owned)
}

fn find_archive(folder: &Path) -> Option<PathBuf> {
    let mut files = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    files.find(|path| path.extension().is_some_and(|extension| extension == "deb"))
}

/// Debian's mirror as the machine has it set up.
fn mirror() -> Result<String, String> {
    let mut command = Command::new("apt-get");
    command.args(["indextargets", "--format", "$(SITE) $(CODENAME)", "Created-By: Packages"]);
    let targets = run::output(&mut command).map_err(|error| error.to_string())?;
    // Before the machine's first update (a fresh container) apt knows no targets, but its sources are there.
    Ok(mirror_of_targets(&String::from_utf8_lossy(&targets.stdout))
        .or_else(|| source_files().iter().find_map(|text| mirror_of_source(text)))
        .unwrap_or_else(|| MIRROR.to_owned()))
}

/// The first site of a suite that is not one of a release's offspring (`bookworm-updates`, `-security`), which mirrors
/// may keep elsewhere.
fn mirror_of_targets(targets: &str) -> Option<String> {
    let pairs = targets.lines().filter_map(|line| line.split_once(' '));
    let mut debian = pairs.filter(|(site, codename)| is_debian(site) && !codename.contains('-'));
    debian.next().map(|(site, _)| site.to_owned())
}

/// The first mirror of a file in one-line (`deb [options] URI suite main`) or deb822 (`URIs: …`) style.
fn mirror_of_source(text: &str) -> Option<String> {
    let words = text
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("deb ") || line.starts_with("URIs:"))
        .flat_map(str::split_whitespace);
    words.filter(|word| is_debian(word)).map(|word| word.trim_end_matches('/').to_owned()).next()
}

/// Whether an address is of Debian's archive proper; mirrors keep its folder's name.
fn is_debian(site: &str) -> bool {
    site.contains("://") && site.trim_end_matches('/').ends_with("/debian")
}

fn source_files() -> Vec<String> {
    let parts = fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = parts
        .filter(|path| path.extension().is_some_and(|extension| extension == "list" || extension == "sources"))
        .collect();
    files.sort();
    files.insert(0, "/etc/apt/sources.list".into());
    files.iter().filter_map(|path| fs::read_to_string(path).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_of_exactly_the_release_is_taken() {
        let madison = " rust-src | 1.97.1+dfsg1-1 | http://deb.debian.org/debian sid/main amd64 Packages
  rust-src | 1.95.0+dfsg1-2~bpo13+1 | http://deb.debian.org/debian trixie-backports/main amd64 Packages
  rust-src | 1.95.0+dfsg1-1~bpo13+1 | http://deb.debian.org/debian trixie-backports/main amd64 Packages
";
        assert_eq!(version_of(madison, "1.95.0").as_deref(), Some("1.95.0+dfsg1-2~bpo13+1"));
        assert_eq!(version_of(madison, "1.95"), None);
        assert_eq!(version_of(madison, "1.96.0"), None);
    }

    #[test]
    fn the_machines_mirror_is_found_in_every_style() {
        let targets = "http://security.debian.org/debian-security bookworm-security
http://mirror.example/debian bookworm-updates
http://mirror.example/debian bookworm
";
        assert_eq!(mirror_of_targets(targets).as_deref(), Some("http://mirror.example/debian"));
        assert_eq!(mirror_of_targets(""), None);
        let deb822 = "Types: deb
# http://snapshot.debian.org/archive/debian/20250520T000000Z
URIs: http://deb.debian.org/debian/
Suites: bookworm bookworm-updates
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
";
        assert_eq!(mirror_of_source(deb822).as_deref(), Some("http://deb.debian.org/debian"));
        let line = "# deb http://old.example/debian sid main\ndeb [arch=amd64] https://m.example/debian sid main\n";
        assert_eq!(mirror_of_source(line).as_deref(), Some("https://m.example/debian"));
        assert_eq!(mirror_of_source("deb http://archive.ubuntu.com/ubuntu noble main\n"), None);
    }

    #[test]
    fn apt_is_confined_to_the_folder() {
        let text = configuration(Path::new("/c/a b"));
        assert!(text.contains("Dir::State::lists \"/c/a b/lists\";"), "{text}");
        assert!(text.contains("Dir::Cache \"/c/a b/cache\";"), "{text}");
        let text = sources("http://m.example/debian", Path::new("/k.gpg"));
        assert_eq!(text.lines().next(), Some("deb [signed-by=/k.gpg] http://m.example/debian trixie main"));
        assert_eq!(text.lines().count(), SUITES.len());
    }
}
