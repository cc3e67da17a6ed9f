//! A disk that is full: the error says so, what was there before stays as it was, nothing half-written is seen, and the same command succeeds
//! once there is room.
//!
//! The disk is a small tmpfs in a namespace of its own, where the system gives one, and in any case a limit on the size of files.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use arrow_array::RecordBatch;

use super::project::{DAYS, Project, published, rows};
use crate::harness::guests::workspace;
use crate::harness::program::{PROGRAM, isolated, over_files, tandem, told};
use crate::harness::project::files;

/// A folder with little room.
pub(super) struct Disk {
    folder: PathBuf,
    room: Room,
}

pub(super) enum Room {
    /// A process in a mount namespace where the folder is a tmpfs.
    Tmpfs(Child),
    /// The largest file that a process may write, in bytes.
    FileBytes(u64),
    /// More than is needed.
    Plenty,
}

impl Disk {
    /// Each kind of disk that can be had, with `bytes` of room in the folder `small` of a project of its own.
    pub(super) fn each(bytes: u64, test: impl Fn(&Project, Disk)) {
        let kinds: [fn(&Path, u64) -> Option<Room>; 2] = [|_, bytes| Some(Room::FileBytes(bytes)), tmpfs];
        let mut tried = 0;
        for kind in kinds {
            let project = Project::new();
            project.told(&["check"], 0); // compiles the component, with room
            let folder = project.root().join("small");
            fs::create_dir(&folder).unwrap();
            if let Some(room) = kind(&folder, bytes) {
                test(&project, Disk { folder, room });
                tried += 1;
            }
        }
        assert!(tried > 0, "one kind at least needs nothing of the system");
    }

    /// A command in this folder, with the room that there is.
    pub(super) fn command(&self, root: &Path, program: &str, arguments: &[&str]) -> Command {
        let mut command = match &self.room {
            Room::Tmpfs(keeper) => {
                let mut command = inside(keeper);
                // Entering a mount namespace leads to its root.
                command.args(["sh", "-c", "cd \"$1\" && shift && exec \"$@\"", "sh"]).arg(root);
                command
            }
            Room::FileBytes(bytes) => {
                let mut command = Command::new("sh");
                let limit = format!("trap '' XFSZ; ulimit -f {}; exec \"$@\"", bytes / 512);
                command.args(["-c", &limit, "sh"]).current_dir(root);
                command
            }
            Room::Plenty => {
                let mut command = Command::new("env");
                command.current_dir(root);
                command
            }
        };
        command.arg(program).args(arguments);
        isolated(command)
    }

    pub(super) fn told(&self, root: &Path, arguments: &[&str], code: i32) -> (String, String) {
        told(self.command(root, PROGRAM, &over_files(arguments)), code)
    }

    /// What the system says where there is no room.
    pub(super) fn reason(&self) -> &'static str {
        match self.room {
            Room::Tmpfs(_) => "No space left on device (os error 28)",
            Room::FileBytes(_) | Room::Plenty => "File too large (os error 27)",
        }
    }

    /// The folder, as this process sees it.
    fn seen(&self) -> PathBuf {
        match &self.room {
            Room::Tmpfs(keeper) => seen(keeper, &self.folder),
            _ => self.folder.clone(),
        }
    }

    /// Leaves no room at all.
    fn fill(&mut self) {
        match &mut self.room {
            Room::Tmpfs(_) => {
                let mut filler = File::create(self.seen().join("filler")).unwrap();
                while filler.write_all(&[1; 512]).is_ok() {}
            }
            room => *room = Room::FileBytes(0),
        }
    }

    /// What kind of disk it is.
    pub(super) fn room(&self) -> &Room {
        &self.room
    }

    /// Takes the right to write away.
    pub(super) fn make_read_only(&self) {
        let Room::Tmpfs(keeper) = &self.room else { panic!("a file size is no file system") };
        let mut command = inside(keeper);
        command.args(["mount", "-o", "remount,ro"]).arg(&self.folder);
        assert!(command.status().unwrap().success(), "the tmpfs becomes read-only");
    }

    /// Makes room.
    pub(super) fn empty(&mut self) {
        let folder = self.folder.clone();
        match &mut self.room {
            Room::Tmpfs(keeper) => {
                let mut command = inside(keeper);
                command.args(["mount", "-o", "remount,size=64m"]).arg(folder);
                assert!(command.status().unwrap().success(), "the tmpfs grows");
            }
            room => *room = Room::Plenty,
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Room::Tmpfs(keeper) = &mut self.room {
            drop(keeper.stdin.take()); // it waits for the end of its input
            let _ = keeper.wait();
        }
    }
}

fn tmpfs(folder: &Path, bytes: u64) -> Option<Room> {
    let script = format!("mount -t tmpfs -o size={bytes} tmpfs \"$1\" && echo mounted && read -r _");
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", &script, "sh"]).arg(folder);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut keeper = command.spawn().ok()?;
    let mut said = String::new();
    let read = BufReader::new(keeper.stdout.take()?).read_line(&mut said);
    let probe = inside(&keeper).arg("true").stderr(Stdio::null()).status();
    let usable = read.is_ok()
        && said == "mounted\n"
        && probe.is_ok_and(|status| status.success())
        && seen(&keeper, folder).is_dir();
    if !usable {
        let _ = keeper.kill();
        let _ = keeper.wait();
        return None;
    }
    Some(Room::Tmpfs(keeper))
}

/// The way into the namespace of a process.
fn inside(keeper: &Child) -> Command {
    let mut command = Command::new("nsenter");
    command.args(["--user", "--mount", "--preserve-credentials", "--target", &keeper.id().to_string(), "--"]);
    command
}

fn seen(keeper: &Child, folder: &Path) -> PathBuf {
    Path::new(&format!("/proc/{}/root", keeper.id())).join(folder.strip_prefix("/").expect("absolute"))
}

/// Rows whose features do not become small by compression.
fn many_rows(day: &str) -> RecordBatch {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 3) as i64
    };
    let many: Vec<(i64, i64)> = (0..20_000).map(|user| (10 + user, 1_000 + next() % (1 << 60))).collect();
    rows(day, &many)
}

#[test]
fn a_batch_without_room() {
    Disk::each(128 << 10, |project, mut disk| {
        project.set("[storage]\noffline = \"small/features\"");
        let batch = ["batch", "doubles"];
        disk.told(project.root(), &batch, 0);
        let features = disk.seen().join("features");
        let before = published(&features);
        assert_eq!(before.len(), 2, "two days");

        project.day(DAYS[1], &many_rows(DAYS[1]));
        let (_, notes) = disk.told(project.root(), &batch, 1);
        assert!(notes.starts_with("error: cannot write "), "{notes}");
        assert!(notes.contains("small/features/doubles/v1/date=2024-03-02/"), "{notes}");
        let end =
            format!("{}\nhint: make room on the disk, and run it again; nothing half-written is left\n", disk.reason());
        assert!(notes.ends_with(&end), "{notes}");
        assert!(published(&features) == before, "what was published is as it was, and nothing is staged");

        disk.empty();
        let (data, _) = disk.told(project.root(), &batch, 0);
        assert!(data.starts_with("20,002 rows in, 20,002 rows out, 2 partitions"), "{data}");
        let after = published(&features);
        assert!(after.len() == 2 && after[0] == before[0] && after[1].1.len() > 128 << 10);
    });
}

/// Not even the lock can be written.
#[test]
fn a_batch_without_any_room() {
    Disk::each(64 << 10, |project, mut disk| {
        project.set("[storage]\noffline = \"small/features\"");
        disk.fill();
        let (_, notes) = disk.told(project.root(), &["batch", "doubles"], 1);
        assert!(notes.starts_with("error: ") && notes.contains(disk.reason()), "{notes}");
        // A process that may write no byte to any file does not come as far.
        if let Room::Tmpfs(_) = disk.room {
            assert!(notes.starts_with("error: cannot "), "{notes}");
            assert!(notes.contains("small/features/doubles/v1"), "{notes}");
            assert!(notes.contains("\nhint: make room on the disk"), "{notes}");
        }
        assert_eq!(published(&disk.seen().join("features")), []);
        disk.empty();
        disk.told(project.root(), &["batch", "doubles"], 0);
    });
}

/// A view of aggregates over the rows that are there.
const AGGREGATES: &str = r#"[[feature_view]]
name = "recent"
version = 1
source = "events"
entities = ["user"]
columns = { amount = "int64" }
aggregates = [{ function = "sum", column = "amount", windows = ["7d"] }]
"#;

/// A view of columns over the rows of a query, which are written before they are read.
const QUERY: &str = r#"[[source]]
name = "amounts"
query = "select user_id, at, max(amount) over (partition by user_id order by at) as most from events"
tables = { events = "data/events" }
kind = "state"
event_time = "at"

[[feature_view]]
name = "most"
version = 1
source = "amounts"
entities = ["user"]
features = [{ name = "most", type = "int64" }]
"#;

#[test]
fn a_training_set_without_room() {
    Disk::each(128 << 10, |project, mut disk| {
        let labels = |users: i64| {
            let rows: Vec<String> = (0..users).map(|user| format!("{},2024-03-09T00:00:00Z\n", 10 + user)).collect();
            let text = format!("user_id,event_time\n{}", rows.concat());
            fs::write(project.root().join("labels.csv"), text).unwrap();
        };
        project.day(DAYS[1], &many_rows(DAYS[1]));
        project.told(&["batch", "doubles"], 0);
        let set = ["training-set", "--labels", "labels.csv", "--features", "doubles", "--out", "small/train.parquet"];
        labels(10);
        disk.told(project.root(), &set, 0);
        let before = files(&disk.seen());
        assert_eq!(before.len(), 2, "a set and its manifest");

        labels(20_000);
        let (_, notes) = disk.told(project.root(), &set, 1);
        let end =
            format!("{}\nhint: make room on the disk, and run it again; nothing half-written is left\n", disk.reason());
        assert!(notes.contains("error: cannot write small/.train.parquet.") && notes.ends_with(&end), "{notes}");
        assert!(files(&disk.seen()) == before, "the set is as it was, with its manifest, and nothing is staged");
        disk.empty();
        disk.told(project.root(), &set, 0);

        // The rows of a query have no room either.
        if let Room::Tmpfs(_) = disk.room {
            return; // there is plenty by now
        }
        disk.room = Room::FileBytes(128 << 10);
        fs::write(project.root().join("features/query.toml"), QUERY).unwrap();
        let set = ["training-set", "--labels", "labels.csv", "--features", "most", "--out", "most.parquet"];
        let (_, notes) = disk.told(project.root(), &set, 1);
        assert!(notes.contains("error: cannot write ") && notes.ends_with(&end), "{notes}");
        let left = |name: &String| name.contains("quer") || name.contains("most.parquet");
        let names: Vec<String> = files(project.root()).into_iter().map(|(name, _)| name).filter(left).collect();
        assert_eq!(names, ["features/query.toml"], "nothing is left of it");
        // Nor have events that are more than memory may be taken for.
        fs::write(project.root().join("features/recent.toml"), AGGREGATES).unwrap();
        let sums = ["training-set", "--labels", "labels.csv", "--features", "recent", "--out", "sums.parquet"];
        let spilling = [&sums[..], &["--memory", "1"]].concat();
        let (_, notes) = disk.told(project.root(), &spilling, 1);
        let expected = format!(
            "error: events that do not fit into memory cannot be kept in a temporary file in {}: {}\nhint: TMPDIR names ",
            std::env::temp_dir().display(),
            disk.reason()
        );
        assert!(notes.contains(&expected), "{notes}");
        assert!(!files(project.root()).iter().any(|(name, _)| name.contains("sums.parquet")), "nothing is left of it");
        disk.empty();
        disk.told(project.root(), &sums, 0);
        let (data, _) = disk.told(project.root(), &set, 0);
        assert!(data.contains("20,000 rows"), "{data}");
    });
}

#[test]
fn an_online_store_without_room() {
    Disk::each(512 << 10, |project, mut disk| {
        project.set("[storage]\nonline = \"small/online\"");
        project.told(&["batch", "doubles"], 0);
        let get = |disk: &Disk, user: &str, value: &str| {
            let (data, _) = disk.told(project.root(), &["get", "doubles", user], 0);
            assert!(data.contains("PRESENT") && data.contains(value), "{data}");
        };
        disk.told(project.root(), &["materialize", "doubles"], 0);
        get(&disk, "user_id=1", "value   600");

        project.day(DAYS[1], &many_rows(DAYS[1]));
        project.told(&["batch", "doubles"], 0);
        let (_, notes) = disk.told(project.root(), &["materialize", "doubles"], 1);
        let begins = "error: no room on the disk for the online store ";
        let ends = format!(
            "small/online: {}\nhint: make room; what is stored can still be read, and writing resumes by itself\n",
            disk.reason()
        );
        assert!(notes.starts_with(begins) && notes.ends_with(&ends), "{notes}");
        get(&disk, "user_id=1", "value   600");
        let mut names: Vec<String> = files(&disk.seen().join("online")).into_iter().map(|(name, _)| name).collect();
        names.sort();
        assert_eq!(names, ["data.mdb", "lock.mdb"], "and no probe");

        disk.empty();
        disk.told(project.root(), &["materialize", "doubles"], 0);
        // The second day has no row of the first user any more.
        get(&disk, "user_id=1", "value   200");
        get(&disk, "user_id=20009", "value ");
    });
}

/// At several sizes: where the making of a store meets the end decides what the system says.
#[test]
fn an_online_store_that_cannot_begin() {
    for bytes in [4, 8, 20, 28, 36].map(|kib| kib << 10) {
        Disk::each(bytes, |project, mut disk| {
            project.set("[storage]\nonline = \"small/online\"");
            project.told(&["batch", "doubles"], 0);
            for arguments in [&["materialize", "doubles"][..], &["serve", "--log", "error"]] {
                let (_, notes) = disk.told(project.root(), arguments, 1);
                let begins = "error: no room on the disk for the online store ";
                assert!(notes.starts_with(begins) && notes.contains("\nhint: make room"), "{bytes}: {notes}");
                assert!(notes.contains(disk.reason()), "{bytes}: {notes}");
            }
            disk.empty();
            disk.told(project.root(), &["materialize", "doubles"], 0);
        });
    }
}

#[test]
fn compiled_code_without_room() {
    Disk::each(64 << 10, |project, mut disk| {
        project.set("[storage]\ncache = \"small/cache\"");
        let left = |disk: &Disk| -> Vec<String> {
            files(&disk.seen().join("cache")).into_iter().map(|(name, _)| name).collect()
        };
        // Room for the key, and not for code: that costs time alone.
        let (data, notes) = disk.told(project.root(), &["check"], 0);
        assert!(data.starts_with("doubles@1 "), "{data}");
        assert!(notes.contains("compiled code is not kept") && notes.contains(disk.reason()), "{notes}");
        assert_eq!(left(&disk), ["key"]);

        fs::remove_dir_all(disk.seen().join("cache")).unwrap();
        disk.fill();
        let (_, notes) = disk.told(project.root(), &["check"], 1);
        let begins = "error: compiled code cannot be kept in ";
        let ends = format!(
            "small/cache: {}\nhint: make room on the disk, and run it again; nothing half-written is left\n",
            disk.reason()
        );
        assert!(notes.starts_with(begins) && notes.ends_with(&ends), "{notes}");
        assert_eq!(left(&disk), Vec::<String>::new(), "no key that is not whole");

        disk.empty();
        let (_, notes) = disk.told(project.root(), &["check"], 0);
        assert_eq!(notes, "");
        assert_eq!(left(&disk).len(), 2, "the key, and the code");
    });
}

#[test]
fn a_component_without_room() {
    // A target folder of its own, where everything is made before room is short: other tests' builds with other flags replace what is in theirs.
    let target = tempfile::tempdir().unwrap();
    let crate_dir = workspace().join("tests/guests/columnar");
    let target = ["--target-dir", target.path().to_str().unwrap()];
    Disk::each(8 << 10, |project, mut disk| {
        let with_room = [&["build", crate_dir.to_str().unwrap(), "--output", "x.wasm"], &target[..]].concat();
        project.told(&with_room, 0);
        let build = [&["build", crate_dir.to_str().unwrap(), "--output", "small/x.wasm"], &target[..]].concat();
        let (_, notes) = disk.told(project.root(), &build, 1);
        let ends = format!(
            "error: cannot write `small/x.wasm`: {}\n\
             hint: make room on the disk, and run it again; nothing half-written is left\n",
            disk.reason()
        );
        assert!(notes.ends_with(&ends), "{notes}");
        assert_eq!(files(&disk.seen()), []);

        let new = ["new", "spend", "--path", "small/spend"];
        let (_, notes) = disk.told(project.root(), &new, 1);
        assert!(notes.starts_with("error: cannot write ") && notes.contains(disk.reason()), "{notes}");
        assert!(notes.contains("\nhint: make room on the disk"), "{notes}");
        assert_eq!(fs::read_dir(disk.seen()).unwrap().count(), 0, "no folder that is half a transform");

        disk.empty();
        disk.told(project.root(), &build, 0);
        disk.told(project.root(), &new, 0);
    });
}

/// `tandem … > file` on a full disk.
#[test]
fn output_that_cannot_be_written() {
    let project = Project::new();
    let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = tandem(project.root(), &["check"]).stdout(full()).stderr(Stdio::piped()).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert_eq!(told, "error: cannot write to stdout: No space left on device (os error 28)\n");
    // Nobody can be told: the exit code says it.
    let status = tandem(project.root(), &["batch", "nothing"]).stderr(full()).status().unwrap();
    assert_eq!(status.code(), Some(2));
    let status = tandem(project.root(), &["batch", "doubles"]).stdout(Stdio::null()).stderr(full()).status().unwrap();
    assert_eq!(status.code(), Some(0));
}
