//! Views that are rebuilt beside what is served, rows whose values are removed, and copies: from the command line, with a server that pushes meanwhile.
//!
//! - `killed`: restore and expire, killed at any moment

mod killed;

use std::fmt::Write;
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tandem_core::time::Timestamp;
use tandem_online::{Store, StoreOptions};

use crate::harness::program::{tandem, told};
use crate::pushing::{Client, Shop};

const DAYS: i64 = 6;
const USERS_OF_A_DAY: i64 = 20;

fn write(shop: &Shop, name: &str, text: &str) {
    std::fs::write(shop.root().join(name), text).expect("a file");
}

/// Six days with twenty users each, each with a row of its own.
fn import(shop: &Shop) {
    let mut text = "customer,changed_at,known_at,limit_eur,country\n".to_owned();
    for user in 0..DAYS * USERS_OF_A_DAY {
        let day = 1 + user / USERS_OF_A_DAY;
        writeln!(text, "{user},2026-01-{day:02}T10:00:00Z,2026-01-{day:02}T12:00:00Z,{user}.5,DE").expect("memory");
    }
    write(shop, "first.csv", &text);
    shop.run(&["import", "accounts", "first.csv"]);
}

fn push(client: &Client, to: &str, user: i64, at: &str, credit: f64) -> String {
    let row = json!({"customer": user, "changed_at": at, "limit_eur": credit});
    let answer = client.ok("/v1/push/account", &json!({"to": to, "rows": [row]}));
    answer["outcomes"][0].as_str().expect("an outcome").to_owned()
}

/// Values of users' credit, null where there is none.
fn credits(client: &Client, users: &[i64]) -> Value {
    let rows: Vec<Value> = users.iter().map(|user| json!({"user_id": user})).collect();
    let answer = client.ok("/v1/features", &json!({"features": ["account:credit"], "rows": rows}));
    answer["rows"].as_array().expect("rows").iter().map(|row| row["values"]["credit"].clone()).collect()
}

/// Ordinals and states of the account's generations.
fn generations(shop: &Shop) -> Vec<(i64, String)> {
    let stats = shop.json(&["online", "stats"]);
    let of = |view: &Value| {
        let state = view["state"].as_str().expect("a state").to_owned();
        (view["generation"].as_i64().expect("a number"), state)
    };
    let views = stats["views"].as_array().expect("views");
    views.iter().filter(|view| view["view"] == "account@1").map(of).collect()
}

#[test]
fn a_view_is_rebuilt_beside_a_server_that_is_pushed_to() {
    let shop = Shop::new();
    import(&shop);
    shop.run(&["materialize", "account"]);
    let client = shop.serve();
    // In the log, online alone, and rolled into the history.
    assert_eq!(push(&client, "online_and_offline", 1, "2026-02-01T00:00:00Z", 1.0), "written");
    shop.run(&["log", "flush", "--dev"]);
    assert_eq!(push(&client, "online", 500, "2026-02-01T00:00:00Z", 500.0), "written");
    assert_eq!(push(&client, "online_and_offline", 501, "2026-02-01T00:00:00Z", 501.0), "written");
    // The history loses a day, with user 80.
    std::fs::remove_dir_all(shop.root().join("data/accounts/date=2026-01-05")).expect("a folder");

    let slow = ["materialize", "account", "--rebuild", "--max-rows-per-second", "40"];
    let mut child =
        tandem(shop.root(), &slow).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program runs");
    let begin = Instant::now();
    while generations(&shop).len() < 2 {
        assert!(begin.elapsed() < Duration::from_secs(60), "no generation is begun");
        std::thread::sleep(Duration::from_millis(20));
    }
    // Of two processes, while a third one builds: all are served at once.
    assert_eq!(push(&client, "online", 502, "2026-02-02T00:00:00Z", 502.0), "written");
    write(
        &shop,
        "late.csv",
        "customer,changed_at,known_at,limit_eur,country\n503,2026-01-02T09:00:00Z,2026-02-01T00:00:00Z,503,AT\n",
    );
    shop.run(&["import", "accounts", "late.csv"]);
    shop.run(&["materialize", "account", "--incremental"]);
    let users = [0, 1, 80, 119, 500, 501, 502, 503];
    let before = json!([0.5, 1.0, 80.5, 119.5, 500.0, 501.0, 502.0, 503.0]);
    assert_eq!(credits(&client, &users), before);
    assert!(child.try_wait().expect("a child").is_none(), "it is still under way");
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    assert_eq!(generations(&shop), [(0, "live".to_owned()), (1, "building".to_owned())]);
    assert_eq!(credits(&client, &users), before, "nothing of a rebuild that is not finished is served");

    let (data, notes) = shop.run(&["materialize", "account", "--rebuild", "--json"]);
    let report: Value = serde_json::from_str(&data).expect("JSON");
    assert_eq!(report["generation"], json!(1), "{data}{notes}");
    assert!(notes.contains("was gone on with") && notes.contains("tandem online drop account"), "{notes}");
    // The server that was running all the time serves the new one.
    let after = json!([0.5, 1.0, null, 119.5, 500.0, 501.0, 502.0, 503.0]);
    assert_eq!(credits(&client, &users), after);
    assert_eq!(generations(&shop), [(1, "live".to_owned()), (0, "kept".to_owned())]);
    let (_, notes) = told(tandem(shop.root(), &["materialize", "account", "--rebuild"]), 1);
    assert!(notes.contains("a generation is kept") && notes.contains("hint: drop it first"), "{notes}");

    // Back and forth, with what is pushed meanwhile in both.
    assert_eq!(push(&client, "online_and_offline", 1, "2026-02-03T00:00:00Z", 2.0), "written");
    let (told_back, _) = shop.run(&["online", "switch", "account", "--back", "--dev"]);
    assert_eq!(told_back, "account@1: generation 0 is served now\n");
    assert_eq!(credits(&client, &[1, 80]), json!([2.0, 80.5]));
    assert_eq!(push(&client, "online_and_offline", 1, "2026-02-04T00:00:00Z", 3.0), "written");
    let again = shop.json(&["online", "switch", "account", "--back", "--dev"]);
    assert_eq!(again, json!({"view": "account@1", "generation": 0, "changed": false}));
    shop.run(&["online", "switch", "account", "--dev"]);
    assert_eq!(credits(&client, &[1, 80]), json!([3.0, null]));
    let dropped = shop.json(&["online", "drop", "account", "--dev"]);
    assert_eq!(dropped["generation"], json!(0), "{dropped}");
    assert!(dropped["keys"].as_i64() >= Some(120), "{dropped}");
    assert_eq!(generations(&shop), [(1, "live".to_owned())]);
    assert_eq!(credits(&client, &[1, 80, 502]), json!([3.0, null, 502.0]));
    let (_, notes) = told(tandem(shop.root(), &["online", "switch", "account", "--back", "--dev"]), 1);
    assert!(notes.contains("no generation beside the live one") && notes.contains("hint:"), "{notes}");
}

/// Counts and sums of payments, and their latest.
const ACTIVITY: &str = r#"
[[source]]
name = "payments"
path = "data/payments"
kind = "events"
event_time = "at"
timezone = "UTC"

[[feature_view]]
name = "activity"
version = 1
source = "payments"
entities = ["user"]
columns = { amount = "float64" }
aggregates = [
    { function = "count", windows = ["30d", "lifetime"] },
    { function = "sum", column = "amount", windows = ["30d", "lifetime"] },
]
"#;

#[test]
fn windows_are_rebuilt_and_copied_with_what_was_pushed() {
    let shop = Shop::new();
    write(&shop, "features/activity.toml", ACTIVITY);
    let payments = |range: std::ops::Range<i64>| -> String {
        let rows = range.map(|row| format!("{},2026-01-{:02}T10:00:00Z,{row}.25\n", row % 3, 1 + row % 28));
        format!("user_id,at,amount\n{}", rows.collect::<String>())
    };
    write(&shop, "payments.csv", &payments(0..60));
    shop.run(&["import", "payments", "payments.csv"]);
    shop.run(&["materialize", "activity"]);
    let client = shop.serve();
    let push = |to: &str, hour: i64, amount: f64| {
        let row = json!({"user_id": 1, "at": format!("2026-01-30T{hour:02}:00:00Z"), "amount": amount});
        client.ok("/v1/push/activity", &json!({"to": to, "rows": [row]}));
    };
    push("online", 1, 1.5);
    push("online_and_offline", 2, 2.5);
    let get = || {
        let arguments = ["get", "activity", "user_id=0", "user_id=1", "user_id=2", "--as-of", "2026-01-31T00:00:00Z"];
        let mut found = shop.json(&arguments)["rows"].clone();
        let rows = found.as_array_mut().expect("rows");
        rows.iter_mut().map(|row| row["values"].take()).collect::<Value>()
    };
    let before = get();
    assert_eq!(before[1]["count_lifetime"], json!(22), "{before}");
    let report = shop.json(&["materialize", "activity", "--rebuild"]);
    assert_eq!((&report["generation"], &report["rows"]), (&json!(1), &json!(60)), "{report}");
    assert_eq!(get(), before);
    push("online_and_offline", 3, 3.5);
    let newer = get();
    assert_eq!(newer[1]["count_lifetime"], json!(23));
    shop.run(&["online", "switch", "activity", "--back", "--dev"]);
    assert_eq!(get(), newer);
    shop.run(&["online", "drop", "activity", "--dev"]);
    assert_eq!(get(), newer);

    // A copy made while the server runs gives all of it back to a store that is lost, with its log to the history.
    shop.run(&["online", "backup", "copy"]);
    push("online_and_offline", 4, 4.5);
    shop.run(&["log", "flush", "--dev"]);
    drop(client);
    std::fs::remove_dir_all(shop.root().join("data/online")).expect("a folder");
    let (data, notes) = shop.run(&["online", "restore", "copy", "--dev"]);
    assert_eq!((data.lines().count(), notes.as_str()), (1, ""), "{data}");
    assert!(data.starts_with("activity@1: 63 rows written, 0 older"), "{data}");
    assert_eq!(get(), newer);
    let report = shop.json(&["materialize", "activity"]);
    assert_eq!((&report["rows"], &report["written"]), (&json!(63), &json!(1)), "{report}");
    assert_eq!(get()[1]["count_lifetime"], json!(24));

    // What was in the log of the copy alone becomes history, once.
    std::fs::remove_dir_all(shop.root().join("data/features")).expect("a folder");
    for logged in [2, 0] {
        let restored = shop.json(&["online", "restore", "copy", "--dev"]);
        assert_eq!(restored["views"][0]["logged"], json!(logged), "{restored}");
    }
    assert_eq!(shop.json(&["materialize", "activity"])["rows"], json!(62));
}

#[test]
fn rows_that_are_too_old_lose_their_values_and_are_still_told_as_too_old() {
    let shop = Shop::new();
    write(
        &shop,
        "tandem.toml",
        "[project]\nname = \"shop\"\n[expiry]\npass_seconds = 1\npause_millis = 0\nremoved_rows_max = 7\n",
    );
    let definitions = std::fs::read_to_string(shop.root().join("features/all.toml")).expect("definitions");
    write(&shop, "features/all.toml", &definitions.replace("ttl = \"3650d\"", "ttl = \"30d\""));
    import(&shop);
    shop.run(&["materialize", "account"]);
    let client = shop.serve();
    let asked = json!({"view": "account", "entities": {"user_id": [5, 900]}});
    let told_of = || client.ok("/v1/features", &asked)["rows"].clone();
    let before = told_of();
    assert_eq!(before[0]["status"], json!("OUTSIDE_MAX_AGE"));
    assert_eq!(before[0]["event_time"], json!("2026-01-01T10:00:00Z"));
    let expired = || shop.json(&["online", "stats"])["views"][0]["expired"].as_i64().expect("a number");
    let begin = Instant::now();
    while expired() < DAYS * USERS_OF_A_DAY {
        assert!(begin.elapsed() < Duration::from_secs(60), "{} rows are left", DAYS * USERS_OF_A_DAY - expired());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(told_of(), before, "whether the values are there or not");
    let metrics = ureq::get(format!("{}/metrics", client.url())).call().expect("an answer");
    let metrics = metrics.into_body().read_to_string().expect("text");
    assert!(metrics.contains("tandem_expired_rows_total{view=\"account\",version=\"1\"} 120\n"), "{metrics}");

    // No late row comes back, and a new one does.
    assert_eq!(push(&client, "online", 5, "2025-12-31T00:00:00Z", 1.0), "older");
    assert_eq!(told_of(), before);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_micros() as i64;
    assert_eq!(push(&client, "online", 5, &Timestamp(now).to_string(), 2.0), "written");
    assert_eq!(told_of()[0]["values"]["credit"], json!(2.0));
    drop(client);
    let again = shop.json(&["materialize", "account"]);
    assert_eq!((&again["written"], &again["kept"]), (&json!(0), &json!(120)), "the history brings none of them back");
    let once = shop.json(&["online", "expire", "account", "--dev"]);
    assert_eq!((&once["looked"], &once["removed"]), (&json!(120), &json!(0)), "{once}");
    let (_, notes) = told(tandem(shop.root(), &["online", "expire", "usual", "--dev"]), 2);
    assert!(notes.contains("no `ttl`"), "{notes}");
}

#[test]
fn a_drop_that_was_stopped_is_finished_by_a_server() {
    let shop = Shop::new();
    write(&shop, "tandem.toml", "[project]\nname = \"shop\"\n[expiry]\npass_seconds = 1\n");
    import(&shop);
    shop.run(&["materialize", "account"]);
    shop.run(&["materialize", "account", "--rebuild"]);
    {
        let store = Store::open(&shop.root().join("data/online"), StoreOptions::default()).expect("a store");
        let view = store.find_view("account", 1).expect("views").expect("the account");
        store.begin_drop(view.id).expect("a generation");
    }
    assert_eq!(generations(&shop), [(1, "live".to_owned()), (0, "dropping".to_owned())]);
    let client = shop.serve();
    let begin = Instant::now();
    while generations(&shop).len() > 1 {
        assert!(begin.elapsed() < Duration::from_secs(60), "it is still there");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(shop.json(&["online", "stats"])["rows"], json!(DAYS * USERS_OF_A_DAY));
    assert_eq!(credits(&client, &[0, 119]), json!([0.5, 119.5]));
}
