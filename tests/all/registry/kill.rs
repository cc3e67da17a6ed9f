//! An apply that is killed at any moment leaves the old registration or the new one, and the next apply finishes the work.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Quickstart;
use crate::harness::program::tandem;
use crate::harness::project::files;

/// Applies that are killed: half of them anywhere, a quarter as soon as they have begun to write, a quarter soon after.
const KILLS: u32 = 24;

const SIGKILL: i32 = 9;

/// Within so much after the first write the last quarter of the kills lies, in microseconds; where disks are fast, all is written by then.
const WRITING_MICROS: u64 = 10_000;

/// The same of the quarter before it: some of the writes are still to come, on any disk.
const BEGUN_MICROS: u64 = 300;

#[test]
fn a_killed_apply_leaves_the_old_registration_or_the_new_one() {
    let project = Quickstart::new();
    project.run(&["apply", "--by", "ada", "--reason", "old"], 0);
    // Another meaning, and the same function: nothing is left to verify, so that most of the time is the registry's.
    for version in [2, 3] {
        let view = project.version(1).replacen("version = 1", &format!("version = {version}"), 1);
        project.add(&view.replacen("ttl = \"3650d\"", &format!("ttl = \"{version}d\""), 1));
    }
    let registry = project.root().join("registry");
    let kept = project.root().join("kept");
    copy(&registry, &kept);
    let catalog = || -> Value { serde_json::from_str(&project.run(&["catalog", "--json"], 0).0).unwrap() };
    let views = |catalog: &Value| -> Vec<String> {
        let views = catalog["views"].as_array().unwrap();
        views.iter().map(|view| format!("{}@{}", view["view"].as_str().unwrap(), view["version"])).collect()
    };
    let old = catalog();
    let begin = Instant::now();
    project.run(&["apply", "--by", "ada", "--reason", "new"], 0);
    let whole = begin.elapsed();
    let new = views(&catalog());
    assert_eq!((views(&old).len(), new.len()), (1, 3));

    let (mut killed, mut left_old, mut left_new, mut partial) = (0, 0, 0, 0);
    for kill in 0..KILLS {
        fs::remove_dir_all(&registry).unwrap();
        copy(&kept, &registry);
        let before = files(&registry);
        let mut child = tandem(project.root(), &["apply", "--by", "ada", "--reason", "new"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program runs");
        let jitter = RandomState::new().hash_one(kill);
        if kill % 2 == 0 {
            // Spread over the run, at a moment that no two runs of this test share.
            let part = (f64::from(kill) + (jitter % 1_000) as f64 / 500.0) / f64::from(KILLS);
            std::thread::sleep(whole.mul_f64(part));
        } else {
            let objects = registry.join("objects");
            let known = fs::read_dir(&objects).unwrap().count();
            let deadline = Instant::now() + whole * 10;
            while fs::read_dir(&objects).unwrap().count() == known && Instant::now() < deadline {
                std::thread::sleep(Duration::from_micros(50));
            }
            let within = if kill % 4 == 1 { BEGUN_MICROS } else { WRITING_MICROS };
            std::thread::sleep(Duration::from_micros(jitter % within));
        }
        child.kill().expect("it can be killed");
        killed += u32::from(child.wait().expect("it ends").signal() == Some(SIGKILL));

        let now = catalog();
        match now["registration"]["number"].as_u64() {
            Some(1) => {
                left_old += 1;
                assert_eq!(now, old, "the old registration is as it was");
                partial += u32::from(files(&registry).len() > before.len());
            }
            Some(2) => {
                left_new += 1;
                assert_eq!((views(&now), &now["registration"]["reason"]), (new.clone(), &"new".into()));
            }
            other => panic!("registration {other:?}: {now}"),
        }
        // What was there is there, as it was.
        let after = files(&registry);
        for (name, bytes) in before.iter().filter(|(name, _)| !["HEAD", "lock", ".staged"].contains(&name.as_str())) {
            assert!(after.iter().any(|(left, now)| left == name && now == bytes), "{name}");
        }
        // The next one finishes, whatever the killed one left.
        project.run(&["apply", "--by", "ada", "--reason", "new"], 0);
        assert_eq!(views(&catalog()), new);
        assert!(project.run(&["apply"], 0).0.starts_with("nothing to change"));
        assert!(!registry.join(".staged").exists(), "nothing is left staged");
    }
    assert!(
        killed > KILLS / 4 && left_old > 2 && partial > 0,
        "{killed} killed: {left_old} left the old one, {partial} of them with files of the new one; {left_new} left the new one"
    );
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for (name, bytes) in files(from) {
        let path = to.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}
