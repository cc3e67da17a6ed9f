//! From the log into files of the offline history, and what reads them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use serde_json::json;
use tandem_core::time::Timestamp;

use super::*;
use crate::harness::project::files;

/// Files of rows that were pushed, by their paths below the offline history.
fn pushed_files(root: &Path) -> Vec<PathBuf> {
    let features = root.join("data/features");
    if !features.exists() {
        return Vec::new();
    }
    let names = files(&features).into_iter().map(|(name, _)| name);
    names.filter(|name| name.contains("_pushed") && name.ends_with(".parquet")).map(PathBuf::from).collect()
}

/// User, value and status of each row of a training set.
fn set(root: &Path, name: &str, columns: &[&str]) -> Vec<Value> {
    let file = fs::File::open(root.join(name)).expect("the set");
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet");
    let mut rows = Vec::new();
    for batch in reader.build().expect("a reader") {
        let batch = batch.expect("rows");
        for row in 0..batch.num_rows() {
            let value = |name: &&str| {
                let column = batch.column_by_name(name).expect(name);
                let data_type = tandem_core::types::DataType::from_arrow(column.data_type()).expect("a canonical type");
                tandem_core::json::encode_value(column, data_type, row)
            };
            rows.push(columns.iter().map(value).collect());
        }
    }
    rows
}

#[test]
fn what_is_pushed_can_be_trained_on() {
    let shop = Shop::new();
    let root = shop.root();
    shop.write("spendings.csv", "user_id,at,amount,country\n1,2026-01-01T10:00:00Z,10,AT\n");
    shop.run(&["import", "spendings", "spendings.csv"]);
    shop.run(&["batch", "usual"]);
    let client = shop.serve();
    let pushed = client.ok(
        "/v1/push/usual",
        &json!({"rows": [
            {"user_id": 1, "at": "2026-01-02T10:00:00Z", "amount": 500.0, "country": "DE"},
            {"user_id": 2, "at": "2026-01-03T10:00:00Z", "amount": 700.0, "country": "DE"},
        ]}),
    );
    let published = pushed["published_time"].as_str().unwrap().to_owned();
    client.ok(
        "/v1/push/account",
        &json!({"rows": [{"customer": 2, "changed_at": "2026-01-05T00:00:00Z", "limit_eur": 9.5}]}),
    );
    assert_eq!(pushed_files(root), Vec::<PathBuf>::new());
    let shown = shop.json(&["log", "show"]);
    let rows: BTreeMap<_, _> =
        shown["views"].as_array().unwrap().iter().map(|view| (view["view"].as_str().unwrap(), &view["rows"])).collect();
    assert_eq!(rows, BTreeMap::from([("account@1", &json!(1)), ("usual@1", &json!(2))]));

    // Beside the server, which may push meanwhile.
    let flushed = shop.json(&["log", "flush", "--dev"]);
    assert_eq!(flushed["views"][1], json!({"view": "usual@1", "rows": 2, "files": 2, "corrupt": 0}));
    let expected = [
        ("account/v1/_pushed/date=2026-01-05", 1),
        ("usual/v1/_pushed/date=2026-01-02", 2),
        ("usual/v1/_pushed/date=2026-01-03", 2),
    ];
    let found = pushed_files(root);
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (file, (folder, last)) in found.iter().zip(expected) {
        let (file, end) = (file.display().to_string(), format!("-00000000000000000001-{last:020}.parquet"));
        assert!(file.starts_with(&format!("{folder}/push-")) && file.ends_with(&end), "{file}");
    }
    assert_eq!(shop.json(&["log", "show"]), json!({"views": []}));
    assert_eq!(shop.json(&["log", "flush", "--dev"]), json!({"views": []}), "there is nothing left");

    // `usual` counts rows from when they were published, `account` from when they were created, or else published.
    let later = Timestamp::parse(&published).unwrap().checked_add("1h".parse().unwrap()).unwrap();
    shop.write("labels.csv", &format!("user_id,event_time\n1,2026-01-04T00:00:00Z\n1,{later}\n2,{later}\n3,{later}\n"));
    shop.run(&["training-set", "--labels", "labels.csv", "--service", "all", "--out", "train.parquet"]);
    let risk = |user: i64| client.served("usual:risk", user).0;
    let statuses = ["user_id", "risk", "usual__status", "credit", "account__status"];
    assert_eq!(
        set(root, "train.parquet", &statuses),
        [
            json!([1, null, "NOT_FOUND", null, "NOT_FOUND"]),
            json!([1, risk(1), "PRESENT", null, "NOT_FOUND"]),
            json!([2, risk(2), "PRESENT", 9.5, "PRESENT"]),
            json!([3, null, "NOT_FOUND", null, "NOT_FOUND"]),
        ],
        "a label before the push does not see it"
    );
    let (explained, _) = shop.run(&["explain", "--service", "all", "--at", &later.to_string(), "user_id=1"]);
    assert!(explained.contains("won:") && explained.contains("_pushed/date=2026-01-02"), "{explained}");
    drop(client);

    // A store that was lost is filled from the history again, with what was pushed.
    fs::remove_dir_all(root.join("data/online")).unwrap();
    shop.run(&["materialize", "usual"]);
    shop.run(&["materialize", "account"]);
    let client = shop.serve();
    assert_eq!(client.served("account:credit", 2).0, json!(9.5));
    assert_eq!(client.served("usual:risk", 2).1, "PRESENT");
    // Its log begins anew, with the sequences of the one that was lost.
    let row = json!({"rows": [{"user_id": 8, "at": "2026-01-02T10:00:00Z", "amount": 1.0}]});
    assert_eq!(client.ok("/v1/push/usual", &row)["sequences"], json!([1, 1]));
    assert_eq!(
        shop.json(&["log", "flush", "--dev"])["views"][0]["files"],
        json!(1),
        "it is no row that is there already"
    );
    assert_eq!(pushed_files(root).len(), 4);
}

#[test]
fn a_server_rolls_the_log_by_itself() {
    let shop = Shop::new();
    shop.write("tandem.toml", "[project]\nname = \"shop\"\n[push]\nroll_seconds = 1\nroll_rows = 3\n");
    let client = shop.serve();
    let push = |user: i64| {
        let row = json!({"rows": [{"customer": user, "changed_at": "2026-01-05T00:00:00Z", "limit_eur": 9.5}]});
        client.ok("/v1/push/account", &row)
    };
    (0..7).for_each(|user| drop(push(user)));
    let begin = Instant::now();
    let rows = || -> u64 {
        let show = shop.json(&["log", "show"]);
        show["views"].as_array().unwrap().iter().map(|view| view["rows"].as_u64().unwrap()).sum()
    };
    while rows() > 0 {
        assert!(begin.elapsed().as_secs() < 60, "the log is not rolled");
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    let names: Vec<String> = pushed_files(shop.root()).iter().map(|path| path.display().to_string()).collect();
    let covered: usize = names
        .iter()
        .map(|name| {
            let (first, last) =
                name.rsplit_once("push-").unwrap().1[17..].trim_end_matches(".parquet").split_once('-').unwrap();
            let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
            assert!(last - first < 3, "{name} has at most roll_rows rows");
            last - first + 1
        })
        .sum();
    assert_eq!(covered, 7, "{names:?}");
}

#[test]
fn a_store_is_counted_copied_and_written_back_while_it_is_served() {
    let shop = Shop::new();
    let client = shop.serve();
    let push = |user: i64, day: u32| {
        let time = format!("2026-01-{day:02}T00:00:00Z");
        client.ok("/v1/push/account", &json!({"rows": [{"customer": user, "changed_at": time, "limit_eur": day}]}))
    };
    (0..30).for_each(|user| drop(push(user, 1)));
    let stats = shop.json(&["online", "stats"]);
    assert_eq!((&stats["rows"], &stats["logged"], &stats["views"][0]["corrupt"]), (&json!(30), &json!(30), &json!(0)));
    let ages: i64 = stats["views"][0]["ages"].as_object().unwrap().values().map(|rows| rows.as_i64().unwrap()).sum();
    assert_eq!(ages, 30, "{stats}");
    let (table, _) = shop.run(&["online", "stats"]);
    assert!(table.contains("account@1") && table.contains("30 rows of 1 version, 30 in the push log"), "{table}");
    let copied = shop.json(&["online", "backup", "copy"]);
    assert_eq!((&copied["rows"], &copied["logged"], &copied["corrupt"]), (&json!(30), &json!(30), &json!(0)));
    let (_, refused) = told(tandem(shop.root(), &["online", "backup", "copy"]), 2);
    assert!(refused.contains("copy"), "{refused}");
    // Later rows stay, and what the store has lost comes back.
    push(3, 2);
    let restored = shop.json(&["online", "restore", "copy", "--dev"]);
    assert_eq!(
        restored["views"],
        json!([{"view": "account@1", "written": 0, "kept": 30, "logged": 30, "left_out": 0}])
    );
    assert_eq!(client.served("account:credit", 3).0, json!(2.0));
    drop(client);
    fs::remove_dir_all(shop.root().join("data/online")).unwrap();
    assert_eq!(shop.json(&["online", "restore", "copy", "--dev"])["views"][0]["written"], json!(30));
    assert_eq!(shop.serve().served("account:credit", 3).0, json!(1.0));
}
