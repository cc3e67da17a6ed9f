//! `tandem materialize` by what is new to the store: files that were taken are passed over, a killed run goes on, and a limit of rows holds.

use std::fmt::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::program::tandem;
use crate::pushing::Shop;

const DAYS: i64 = 12;
const USERS_OF_A_DAY: i64 = 20;

/// Twelve days with twenty users each, each with a row of its own.
fn accounts() -> String {
    let mut text = "customer,changed_at,known_at,limit_eur,country\n".to_owned();
    for user in 0..DAYS * USERS_OF_A_DAY {
        let day = 1 + user / USERS_OF_A_DAY;
        writeln!(text, "{user},2026-01-{day:02}T10:00:00Z,2026-01-{day:02}T12:00:00Z,{user}.5,DE").expect("memory");
    }
    text
}

fn import(shop: &Shop, name: &str, text: &str) {
    std::fs::write(shop.root().join(name), text).expect("a file");
    shop.run(&["import", "accounts", name, "--replace"]);
}

#[test]
fn an_incremental_run_takes_what_is_new_and_not_what_is_late() {
    let shop = Shop::new();
    import(&shop, "first.csv", &accounts());
    let run = || {
        let report = shop.json(&["materialize", "account", "--incremental"]);
        ["files", "files_before", "rows", "written"].map(|key| report[key].as_i64().expect(key))
    };
    assert_eq!(run(), [DAYS, 0, DAYS * USERS_OF_A_DAY, DAYS * USERS_OF_A_DAY]);
    assert_eq!(run(), [0, DAYS, 0, 0]);
    // A row of the second day that comes now, of a user whom nobody knew.
    import(
        &shop,
        "late.csv",
        "customer,changed_at,known_at,limit_eur,country\n999,2026-01-02T09:00:00Z,2026-02-01T00:00:00Z,9.5,AT\n",
    );
    assert_eq!(run(), [1, DAYS, 1, 1]);
    // A file that is another by now.
    let again =
        "customer,changed_at,known_at,limit_eur,country\n999,2026-01-02T09:00:00Z,2026-02-02T00:00:00Z,8.5,AT\n";
    std::thread::sleep(Duration::from_millis(20));
    import(&shop, "late.csv", again);
    assert_eq!(run(), [1, DAYS, 1, 1]);
    let found = shop.json(&["get", "account", "user_id=999"]);
    assert_eq!(found["rows"][0]["values"]["credit"], json!(8.5), "{found}");
    // A whole run reads all, whatever was taken, and the next incremental one nothing.
    let whole = shop.json(&["materialize", "account"]);
    assert_eq!((&whole["files"], &whole["written"]), (&json!(DAYS + 1), &json!(0)));
    assert_eq!(run()[0], 0);

    // A row of the future is not there yet: its file is taken again, until it is.
    import(
        &shop,
        "future.csv",
        "customer,changed_at,known_at,limit_eur,country\n5,2199-01-02T09:00:00Z,2026-02-02T00:00:00Z,1,AT\n",
    );
    assert_eq!((run()[0], run()[0]), (1, 1));
    // Nor is one that the producer comes to know of then: what is known of its user stays.
    let known = "customer,changed_at,known_at,limit_eur,country\n999,2026-02-01T09:00:00Z,2199-02-02T00:00:00Z,1,AT\n";
    import(&shop, "known.csv", known);
    let report = shop.json(&["materialize", "account", "--incremental"]);
    assert_eq!((&report["future"], &report["written"]), (&json!(2), &json!(0)), "{report}");
    assert_eq!(shop.json(&["get", "account", "user_id=999"])["rows"][0]["values"]["credit"], json!(8.5));
}

#[test]
fn a_killed_run_goes_on_where_it_was_and_a_limit_of_rows_holds() {
    let shop = Shop::new();
    import(&shop, "first.csv", &accounts());
    let limited = ["materialize", "account", "--incremental", "--max-rows-per-second", "60"];
    let mut child =
        tandem(shop.root(), &limited).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program runs");
    let begin = Instant::now();
    // Until the first days are there. Before the first row there is no store, or no such view in it.
    let user = format!("user_id={}", 3 * USERS_OF_A_DAY);
    let is_there = || {
        let output = tandem(shop.root(), &["get", "account", &user]).output().expect("the program runs");
        output.status.success() && String::from_utf8_lossy(&output.stdout).contains("PRESENT")
    };
    while !is_there() {
        assert!(begin.elapsed() < Duration::from_secs(60), "nothing comes");
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    let begin = Instant::now();
    let report = shop.json(&limited);
    let [files, before, rows] = ["files", "files_before", "rows"].map(|key| report[key].as_i64().expect(key));
    assert!(before >= 2 && files + before == DAYS, "{report}");
    assert_eq!(rows, files * USERS_OF_A_DAY);
    assert!(begin.elapsed().as_secs_f64() >= rows as f64 / 60.0 - 0.4, "{rows} rows in {:?}", begin.elapsed());
    for user in 0..DAYS * USERS_OF_A_DAY {
        if user % 17 == 0 {
            let found = shop.json(&["get", "account", &format!("user_id={user}")]);
            assert_eq!(found["rows"][0]["values"]["credit"], json!(user as f64 + 0.5), "{found}");
        }
    }
}
