//! What the program says about training sets, made or refused.

use std::fs;

use super::Checkouts;
use crate::harness::transcript::Transcript;

#[test]
fn what_is_made_and_what_is_refused_is_told() {
    let project = Checkouts::new();
    let write = |name: &str, text: &str| fs::write(project.path(name), text).expect("a file");
    write(
        "labels.csv",
        "user_id,event_time,amount\n1,2026-01-03T00:00:00Z,5\n2,2026-01-05T00:00:00Z,13\n3,2026-01-09T00:00:00Z,7\n,2026-01-03T00:00:00Z,1\n",
    );
    let mut said = Transcript::new(project.root());
    let set = |more: &[&'static str]| [&["training-set", "--out", "train.parquet"][..], more].concat();
    let labels = ["--labels", "labels.csv"];
    said.run(&set(&[&labels[..], &["--service", "checkout"]].concat()), 0);
    said.run(&set(&[&labels[..], &["--features", "usual:risk,ratio@1:ratio", "--no-status"]].concat()), 0);

    said.note("what is asked for");
    said.run(&set(&[&labels[..], &["--service", "chekout"]].concat()), 2);
    said.run(&set(&[&labels[..], &["--features", "usal:risk"]].concat()), 2);
    said.run(&set(&[&labels[..], &["--features", "usual:rsk"]].concat()), 2);
    said.run(&set(&[&labels[..], &["--features", "usual:risk,usual"]].concat()), 2);
    said.run(&set(&[&labels[..], &["--features", "usual", "--column", "usr_id=user_id"]].concat()), 2);
    said.run(&set(&[&labels[..], &["--features", "usual", "--deny", "leakage", "--time", "at"]].concat()), 2);

    said.note("labels");
    said.run(&set(&["--labels", "labels.txt", "--features", "usual"]), 1);
    said.run(&set(&["--labels", "none.parquet", "--features", "usual"]), 1);
    write("empty.csv", "");
    said.run(&set(&["--labels", "empty.csv", "--features", "usual"]), 2);
    write("header.csv", "user_id,event_time\n");
    said.run(&set(&["--labels", "header.csv", "--features", "usual:risk"]), 0);
    write("local.csv", "user_id,event_time\n1,2026-01-03T00:00:00Z\n1,2026-01-03 01:00:00\n");
    said.run(&set(&["--labels", "local.csv", "--features", "usual"]), 1);
    write("null.csv", "user_id,event_time\n1,2026-01-03T00:00:00Z\n1,\n");
    said.run(&set(&["--labels", "null.csv", "--features", "usual"]), 1);
    write("key.csv", "user_id,event_time\nbob,2026-01-03T00:00:00Z\n");
    said.run(&set(&["--labels", "key.csv", "--features", "usual"]), 1);
    write("twice.csv", "user_id,event_time,event_time\n1,2026-01-03T00:00:00Z,1\n");
    said.run(&set(&["--labels", "twice.csv", "--features", "usual"]), 1);
    write("torn.parquet", "PAR1 and then nothing");
    said.run(&set(&["--labels", "torn.parquet", "--features", "usual"]), 1);
    write("torn.arrow", "ARROW1 and then nothing");
    said.run(&set(&["--labels", "torn.arrow", "--features", "usual"]), 1);

    said.note("places");
    said.run(&["training-set", "--labels", "labels.csv", "--features", "usual", "--out", "data"], 2);
    said.run(&["training-set", "--labels", "labels.csv", "--features", "usual", "--out", "nowhere/train.parquet"], 2);

    said.note("what is suspicious");
    write("own.csv", "user_id,event_time,seen_at\n6,2026-01-03T20:18:00Z,2026-01-02T00:00:00Z\n");
    said.run(&set(&["--labels", "own.csv", "--features", "usual:risk", "--observed", "seen_at"]), 0);
    fs::remove_file(project.path("train.parquet")).expect("it is there");
    said.run(
        &set(&["--labels", "own.csv", "--features", "usual:risk", "--observed", "seen_at", "--deny", "leakage"]),
        3,
    );
    said.run(&set(&[&labels[..], &["--service", "checkout", "--deny", "failures"]].concat()), 3);
    assert!(!project.path("train.parquet").exists(), "what is denied is not written");

    said.note("nothing published");
    fs::remove_dir_all(project.path("data/features")).expect("it is there");
    said.run(&set(&[&labels[..], &["--features", "usual"]].concat()), 1);
    said.assert("training_sets/told");
}
