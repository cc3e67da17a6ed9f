//! Examples go together: definitions, and the component of the transform beside them. `flights` is run by a test of its own.

use std::fs;

use tandem::project::Opened;

use crate::harness::guests::{component, workspace};
use crate::harness::program::{tandem_registered, told};

#[test]
fn the_quickstart_goes_together() {
    let example = workspace().join("examples/quickstart");
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for inner in ["features", "transform"] {
        fs::create_dir(root.join(inner)).unwrap();
    }
    for file in ["tandem.toml", "features/transactions.toml"] {
        fs::copy(example.join(file), root.join(file)).unwrap();
    }
    fs::copy(component(&example.join("transform")), root.join("transform/quickstart_transform.wasm")).unwrap();
    let opened = Opened::open(root).unwrap_or_else(|error| panic!("{error}"));
    assert!(!opened.project.views.is_empty());
    for view in &opened.project.views {
        let bound = opened.bind(view).unwrap_or_else(|error| panic!("{error}")).bound;
        for field in bound.signature.inputs.iter().chain(&bound.signature.outputs) {
            assert!(!field.doc.is_empty(), "`{}` of {} is documented", field.name, view.name);
        }
    }
}

/// `examples/bursts` as its README says, with the component that its crate makes.
#[test]
fn an_aggregate_of_one_s_own_is_the_same_on_both_paths() {
    let example = workspace().join("examples/bursts");
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for inner in ["features", "busiest"] {
        fs::create_dir(root.join(inner)).unwrap();
    }
    for file in ["tandem.toml", "features/cards.toml", "payments.csv"] {
        fs::copy(example.join(file), root.join(file)).unwrap();
    }
    fs::copy(component(&example.join("busiest")), root.join("busiest/busiest.wasm")).unwrap();
    let run = |arguments: &[&str]| told(tandem_registered(root, arguments), 0);
    let (proved, _) = run(&["verify", "busiest/busiest.wasm", "--param", "minutes=10"]);
    assert!(proved.contains("proved: no bit differs"), "{proved}");
    run(&["import", "payments", "payments.csv"]);
    let (applied, _) = run(&["apply", "--by", "you"]);
    assert!(applied.contains("lists of events in") && applied.contains("no bit differs"), "{applied}");
    run(&["materialize", "bursts"]);
    let (report, _) = run(&["parity", "bursts", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!((&report["rows"], &report["different"]), (&120.into(), &0.into()), "{report}");

    // One of them by hand: the payments of c1 in the hour before, in stretches of ten minutes.
    let payments = fs::read_to_string(root.join("payments.csv")).unwrap();
    let minute = |at: &str| -> i64 {
        let number = |from: usize| at[from..from + 2].parse::<i64>().unwrap();
        (number(8) * 24 + number(11)) * 60 + number(14)
    };
    let of_card: Vec<(i64, i64)> = payments
        .lines()
        .filter(|line| line.starts_with("c1,"))
        .map(|line| line.split(',').collect::<Vec<_>>())
        .map(|fields| (minute(fields[1]), fields[2].parse().unwrap()))
        .collect();
    let (last, _) = of_card[of_card.len() / 2];
    let inside: Vec<&(i64, i64)> = of_card.iter().filter(|(at, _)| (last + 1 - 60..=last).contains(at)).collect();
    let stretch = |of: i64| inside.iter().filter(|(at, _)| at / 10 == of).map(|(_, cents)| cents).sum::<i64>();
    let greatest = inside.iter().map(|(at, _)| stretch(at / 10)).max().unwrap() as f64 / 100.0;
    let at = last + 1;
    let at = format!("2026-03-{:02}T{:02}:{:02}:00Z", at / 1_440, at / 60 % 24, at % 60);
    let (got, _) = run(&["get", "bursts", "card_id=c1", "--as-of", &at, "--json"]);
    let got: serde_json::Value = serde_json::from_str(&got).unwrap();
    assert_eq!(got["rows"][0]["values"]["busiest_1h"].as_f64(), Some(greatest), "{got}");
}
