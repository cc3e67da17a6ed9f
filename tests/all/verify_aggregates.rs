//! Proof of functions of aggregates, against a guest that cheats in every way that the proof looks for.

use std::process::Command;

use serde_json::Value;

use crate::harness::guests::Guest;
use crate::harness::program::{tandem_registered, told};

fn verify(cheat: Option<&str>) -> Command {
    let component = Guest::Surges.path();
    let mut arguments =
        vec!["verify".to_owned(), component.display().to_string(), "--param".to_owned(), "minutes=30".to_owned()];
    if let Some(cheat) = cheat {
        arguments.extend(["--param".to_owned(), format!("cheat=\"{cheat}\"")]);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    tandem_registered(component.parent().expect("a folder"), &arguments)
}

#[test]
fn an_honest_one_is_proved() {
    let (text, _) = told(verify(None), 0);
    assert!(text.contains("proved: no bit differs in") && text.contains("merged in other groups"), "{text}");
    // A value may depend on the instant.
    told(verify(Some("late")), 0);
}

#[test]
fn what_depends_on_more_than_the_events_is_found_and_made_small() {
    let found = |cheat: &str| -> Value {
        let mut command = verify(Some(cheat));
        command.arg("--json");
        let (data, notes) = told(command, 1);
        assert!(notes.contains("set of the events"), "{notes}");
        let report: Value = serde_json::from_str(&data).expect("JSON");
        assert_eq!(report["verdict"], "different", "{report}");
        report["difference"].clone()
    };
    for (cheat, checks, events_max) in [
        ("order", &["events added in another order"][..], 2),
        ("sum", &["events added in another order", "a state for each event, merged", "merged in other groups"], 3),
        ("split", &["a state for each event, merged"], 3),
        (
            "left",
            &["merged with the state of no events", "a state for each event, merged", "merged the other way round"],
            3,
        ),
        ("empty", &["a state for each event, merged", "merged with the state of no events"], 1),
    ] {
        let difference = found(cheat);
        let check = difference["check"].as_str().expect("a check");
        assert!(checks.contains(&check), "{cheat}: {difference}");
        let events = difference["events"].as_array().expect("events").len();
        assert!(events <= events_max, "{cheat}: {difference}");
        assert!(!difference["advice"].as_str().expect("advice").is_empty());
    }
}

#[test]
fn one_that_grows_or_never_ends_is_an_error_of_its_call() {
    // The longest list has more events than its state may remember.
    let (text, _) = told(verify(Some("growth")), 1);
    assert!(
        text.contains("states within state_bytes_max") && text.contains("the limit state_bytes_max is 65536"),
        "{text}"
    );
    // None that has an event comes to an end.
    let (text, _) = told(verify(Some("loop")), 1);
    assert!(text.contains("crossed the limit fuel"), "{text}");
    let mut unknown = verify(None);
    unknown.args(["--param", "minuts=3"]);
    let (_, notes) = told(unknown, 1);
    assert!(notes.contains("unknown parameter `minuts`"), "{notes}");
}
