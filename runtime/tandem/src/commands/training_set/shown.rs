//! What came of a training set, for people and programs.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tandem_offline::training::{TrainingReport, Written};

use crate::output::{Column, Table, bytes, counted, grouped, rate, width};
use crate::training::manifest::{self, Manifest};

/// A line for the set, a table of its features.
pub(super) fn text(manifest: &Manifest, out: &Path, written: &Written, elapsed: Duration) -> String {
    let columns = ["feature", "view", "present", "default", "null", "expired", "not found", "failed"];
    let columns =
        columns.iter().enumerate().map(|(index, name)| Column { name: (*name).to_owned(), right: index >= 2 });
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    let rows = manifest.features.iter().map(|feature| {
        let rates = feature.rates;
        let mut row = vec![feature.column.clone(), feature.view.clone()];
        let shares = [
            rates.present,
            rates.defaulted,
            rates.null_value,
            rates.outside_max_age,
            rates.not_found,
            rates.transform_error,
        ];
        row.extend(shares.map(percent));
        row
    });
    let table = Table { columns: columns.collect(), split: 2, rows: rows.collect() };
    let mut text = table.render(width());
    let _ = writeln!(
        text,
        "{}, {}  {:.2} s, {}\n{}\n{}",
        counted(written.rows, "row"),
        bytes(written.bytes),
        elapsed.as_secs_f64(),
        rate(written.rows, elapsed),
        out.display(),
        manifest::path_beside(out).display(),
    );
    text
}

/// How the set was come by.
pub(super) fn explain(report: &TrainingReport, elapsed: Duration) -> String {
    let mut text = String::from("\nplan\n");
    let parts = if report.parts == 1 { "one part".to_owned() } else { format!("{} parts", report.parts) };
    let _ = writeln!(text, "  labels: {}, joined in {parts}", counted(report.labels, "row"));
    for view in &report.views {
        let _ = writeln!(
            text,
            "  join {}: {}, {} of {}, {} against {} {}; values of {}",
            view.view,
            counted(view.files, "file"),
            grouped(view.row_groups_read),
            counted(view.row_groups * report.parts, "row group"),
            counted(view.rows_read, "row"),
            grouped(view.slots),
            if view.slots == 1 { "key and time" } else { "keys and times" },
            counted(view.rows_fetched, "row"),
        );
    }
    for view in &report.computed {
        let _ = writeln!(text, "  compute {}: {}", view.view, counted(report.labels, "row"));
    }
    let phases = report.phases;
    let seconds = |duration: Duration| format!("{:.3} s", duration.as_secs_f64());
    let _ = writeln!(
        text,
        "time\n  label times and footers {}, label keys {}, keys and times of rows {}, values of rows {}, columns {} (of all threads), all {}",
        seconds(phases.prepare),
        seconds(phases.index),
        seconds(phases.offer),
        seconds(phases.fetch),
        seconds(phases.answer),
        seconds(elapsed),
    );
    text
}

/// The manifest, with where it is and what it took.
pub(super) fn json(manifest: &Manifest, out: &Path, report: &TrainingReport, elapsed: Duration) -> Value {
    let seconds = |duration: Duration| duration.as_secs_f64();
    let views = report.views.iter().map(|view| {
        json!({
            "view": view.view.to_string(),
            "files": view.files,
            "row_groups": view.row_groups,
            "row_groups_read": view.row_groups_read,
            "rows_read": view.rows_read,
            "rows_without_key": view.rows_without_key,
            "rows_set_aside": view.rows_set_aside,
            "rows_breaking_contract": view.rows_breaking_contract,
            "rows_failing_transform": view.rows_failing_transform,
            "rows_without_created_time": view.rows_without_created_time,
            "rows_fetched": view.rows_fetched,
            "slots": view.slots,
        })
    });
    json!({
        "out": out.display().to_string(),
        "manifest": manifest,
        "plan": {
            "parts": report.parts,
            "joins": views.collect::<Vec<_>>(),
            "computed": report.computed.iter().map(|view| view.view.to_string()).collect::<Vec<_>>(),
        },
        "seconds": {
            "prepare": seconds(report.phases.prepare),
            "index": seconds(report.phases.index),
            "offer": seconds(report.phases.offer),
            "fetch": seconds(report.phases.fetch),
            "answer": seconds(report.phases.answer),
            "all": seconds(elapsed),
        },
    })
}
