//! Transcripts: from nothing registered to a version that is gone, and every command's JSON.

use std::fs;

use serde_json::Value;

use super::{COMPONENT, Quickstart, same_function_other_bytes};
use crate::harness::transcript::Transcript;

const SERVICE: &str = r#"[[feature_service]]
name = "checkout"
features = ["transaction_risk@1:log_amount"]
owner = "risk@example.com"
"#;

const ALIAS: &str = r#"[[alias]]
view = "transaction_risk"
name = "champion"
version = 1
"#;

#[test]
fn from_nothing_to_a_version_that_is_gone() {
    let project = Quickstart::new();
    let mut told = Transcript::new(project.root());
    told.note("nothing is registered");
    told.run(&["catalog"], 0);
    told.run(&["history"], 0);
    told.run(&["lineage"], 0);
    told.run(&["show", "transaction_risk"], 2);
    told.run(&["rollback", "--by", "ada"], 2);
    told.run(&["plan"], 0);
    told.run(&["apply", "--dry-run"], 0);
    assert!(!project.root().join("registry").exists(), "a dry run makes nothing");

    told.note("the first registration");
    told.run(&["apply", "--by", "ada", "--reason", "first version"], 0);
    told.run(&["apply", "--by", "ada"], 0);
    told.run(&["verify", "--golden"], 0);
    told.run(&["show", "transaction_risk"], 0);

    told.note("words change");
    project.change("How unusual a card transaction is", "How unusual a transaction is for its card");
    told.run(&["plan"], 0);
    told.run(&["apply", "--by", "bob"], 0);

    told.note("a service and an alias");
    project.add(SERVICE);
    project.add(ALIAS);
    told.run(&["apply", "--by", "ada", "--reason", "for the checkout"], 0);

    told.note("a parameter changes under a registered number");
    project.change("night_starts_hour = 22", "night_starts_hour = 21");
    told.run(&["plan"], 4);
    told.run(&["apply", "--allow-breaking", "--by", "bob"], 4);
    project.change("night_starts_hour = 21", "night_starts_hour = 22");

    told.note("the component changes under a registered number");
    let component = fs::read(project.root().join(COMPONENT)).unwrap();
    fs::write(project.root().join(COMPONENT), same_function_other_bytes(&component, 1)).unwrap();
    told.run(&["plan"], 4);
    fs::write(project.root().join(COMPONENT), component).unwrap();
    told.run(&["plan"], 0);

    told.note("a new version beside the old one");
    project.add(&project.version(2));
    told.run(&["plan"], 0);
    told.run(&["apply", "--by", "bob", "--reason", "nights begin earlier"], 0);
    told.run(&["catalog"], 0);
    told.run(&["show", "checkout"], 0);
    told.run(&["lineage"], 0);
    told.run(&["lineage", "checkout", "--dot"], 0);

    told.note("the alias moves");
    project.change("name = \"champion\"\nversion = 1", "name = \"champion\"\nversion = 2");
    told.run(&["plan"], 4);
    told.run(&["apply", "--by", "bob"], 4);
    told.run(&["apply", "--by", "bob", "--allow-breaking", "--reason", "2 is the champion"], 0);

    told.note("and back, and forth again");
    told.run(&["rollback", "--by", "ada", "--reason", "false alarms doubled"], 0);
    told.run(&["plan"], 4);
    told.run(&["rollback", "6", "--by", "ada"], 0);
    told.run(&["rollback", "99", "--by", "ada"], 2);
    told.run(&["apply", "--by", "bob", "--allow-breaking"], 0);

    told.note("a production service over an experimental view");
    project.change("name = \"checkout\"\n", "name = \"checkout\"\nstage = \"production\"\n");
    told.run(&["plan"], 2);
    project.change("version = 1\nsource", "version = 1\nstage = \"production\"\nsource");
    told.run(&["apply", "--by", "ada"], 0);

    told.note("the features of a production service are frozen");
    project.change("[\"transaction_risk@1:log_amount\"]", "[\"transaction_risk@1\"]");
    told.run(&["apply", "--by", "ada", "--allow-breaking"], 4);
    project.change("[\"transaction_risk@1\"]", "[\"transaction_risk@1:log_amount\"]");

    told.note("a deprecation needs a date");
    project.change("stage = \"production\"\nsource", "stage = \"deprecated\"\nsource");
    told.run(&["plan"], 2);
    project.change(
        "stage = \"deprecated\"\nsource",
        "stage = \"deprecated\"\ndeprecated = { since = \"2026-12-01\", replacement = \"transaction_risk@2\" }\nsource",
    );
    told.run(&["apply", "--by", "ada", "--reason", "2 is better"], 0);
    told.run(&["catalog"], 0);

    told.note("a removal is refused while somebody uses the version");
    let all = project.features();
    let first = all.find("[[feature_view]]").unwrap();
    let second = first + all[first..].find("\n[[feature_service]]").unwrap();
    project.write(&format!("{}{}", &all[..first], &all[second..]));
    told.run(&["plan"], 2);
    let service = project.features().find("[[feature_service]]").unwrap();
    let alias = project.features().find("[[alias]]").unwrap();
    let features = project.features();
    project.write(&format!("{}{}", &features[..service], &features[alias..]));
    told.run(&["plan"], 4);
    told.run(&["apply", "--by", "ada"], 4);
    told.run(&["apply", "--by", "ada", "--allow-breaking", "--reason", "nobody uses 1"], 0);

    told.note("the number of a removed version stays taken");
    let gone = project.version(2).replace("version = 2", "version = 1");
    project.add(&gone);
    told.run(&["plan"], 4);
    told.run(&["history", "transaction_risk"], 0);
    told.run(&["history", "checkout"], 0);
    told.run(&["history", "nobody"], 2);
    told.run(&["show", "transaction_rsk"], 2);
    told.assert("registry/story");
}

#[test]
fn every_command_speaks_json() {
    let project = Quickstart::new();
    project.add(SERVICE);
    project.add(ALIAS);
    let mut told = Transcript::new(project.root());
    told.run(&["plan", "--json"], 0);
    told.run(&["apply", "--by", "ada", "--reason", "first", "--json"], 0);
    told.run(&["apply", "--by", "ada", "--json"], 0);
    project.add(&project.version(2));
    project.change("name = \"champion\"\nversion = 1", "name = \"champion\"\nversion = 2");
    told.run(&["plan", "--json"], 4);
    told.run(&["apply", "--by", "ada", "--allow-breaking", "--json"], 0);
    told.run(&["rollback", "--by", "ada", "--json"], 0);
    told.run(&["catalog", "--json"], 0);
    told.run(&["show", "transaction_risk@champion", "--json"], 0);
    told.run(&["show", "checkout", "--json"], 0);
    told.run(&["history", "transaction_risk@champion", "--json"], 0);
    told.run(&["lineage", "checkout", "--json"], 0);
    told.run(&["verify", "--golden", "--view", "transaction_risk@champion", "--json"], 0);
    told.assert("registry/json");
}

/// Nothing of what is piped has a colour, and `--json` is one document.
#[test]
fn no_colour_where_no_terminal_is() {
    let project = Quickstart::new();
    project.run(&["apply", "--by", "ada"], 0);
    for command in [&["plan"][..], &["catalog"], &["history"], &["lineage"], &["show", "transaction_risk"]] {
        let (data, notes) = project.run(command, 0);
        assert!(!data.contains('\x1b') && notes.is_empty(), "{command:?}: {data}{notes}");
        let (data, _) = project.run(&[command, &["--json"]].concat(), 0);
        assert!(serde_json::from_str::<Value>(&data).is_ok_and(|value| value.is_object()), "{command:?}: {data}");
    }
}
