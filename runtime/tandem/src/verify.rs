//! What a proof found, as text and as JSON.

pub mod aggregates;

use std::fmt::Write;

use arrow_array::RecordBatch;
use serde_json::{Map, Value, json};
use tandem_core::json::encode_value;
use tandem_core::sample::Cell;
use tandem_core::types::{Field, Signature};
use tandem_engine::verify::golden::Replay;
use tandem_engine::verify::{Compared, Difference, Mismatch, Report, Seen, Smallest, Verdict};

use crate::output::{counted, grouped, plain};
use crate::registry::prove::Replayed;

/// A value of the smallest input is cut to so many characters in text; JSON has it whole.
const SHOWN_CHARS_MAX: usize = 200;

/// As a person reads it: rows, comparisons, and the difference or that there is none.
pub fn text(report: &Report) -> String {
    let rows = &report.rows;
    let mut text = format!(
        "component  {}\nrows       {} given, {} generated (seed {})\n",
        report.digest, rows.given, rows.generated, report.seed
    );
    let _ = write!(text, "           {} with values, {} failed by the transform", rows.with_values, rows.failed);
    let _ = writeln!(text, ", {} whose call fails or may not be made", rows.faulty);
    if rows.left_out > 0 {
        let _ = writeln!(text, "           {} left out, after too many calls that fail", rows.left_out);
    }
    let _ = writeln!(text, "\n{:<40}  {:>7}  {:>10}  {:>9}", "each row alone, against", "calls", "values", "different");
    for compared in &report.compared {
        let name = compared.check.to_string();
        let _ = match compared.skipped {
            Some(reason) => writeln!(text, "{name:<40}  {:>7}  ({reason})", "-"),
            None => writeln!(
                text,
                "{name:<40}  {:>7}  {:>10}  {:>9}",
                grouped(compared.calls),
                grouped(compared.values),
                grouped(compared.different)
            ),
        };
    }
    text.push('\n');
    match (&report.difference, report.verdict()) {
        (Some(Difference::Signature { when, what }), _) => {
            let _ = writeln!(text, "the signature differs, {when}: {}", plain(what));
        }
        (Some(Difference::Row { check, sample_row, given, found, smallest }), _) => {
            let kind = if *given { "given row" } else { "generated row" };
            let number = if *given { *sample_row } else { sample_row - rows.given };
            let _ = writeln!(text, "{kind} {number} differs: alone, and {check}");
            mismatch_text(&mut text, found, &report.signature);
            text.push('\n');
            smallest_text(&mut text, smallest, &report.signature);
        }
        (None, Verdict::NoValues) => {
            let _ = writeln!(text, "nothing is proved: no row has a value");
        }
        (None, _) => {
            let _ = writeln!(text, "proved: no bit differs in {}", counted(report.values(), "value"));
        }
    }
    let (compiling, comparing) = (report.compiling.as_secs_f64(), report.comparing.as_secs_f64());
    let _ = writeln!(text, "{compiling:.2} s to compile, {comparing:.2} s to compare");
    text
}

fn smallest_text(text: &mut String, smallest: &Smallest, signature: &Signature) {
    let rows: usize = smallest.calls.iter().map(RecordBatch::num_rows).sum();
    let _ = write!(text, "the smallest input that still differs: {}", counted(rows as u64, "row"));
    let _ = match smallest.calls.len() {
        1 => writeln!(text, " in one call"),
        calls => writeln!(text, " in {} to one instance", counted(calls as u64, "call")),
    };
    if smallest.gave_up {
        let _ = writeln!(text, "(after {}; there may be smaller ones)", counted(smallest.tries, "try"));
    }
    let mut index = 0;
    for same in smallest.calls.chunk_by(|one, other| one == other) {
        let (call, last) = (&same[0], index + same.len() - 1);
        if same.len() > 1 {
            let _ = writeln!(text, "calls {index} to {last}, each");
        } else if smallest.calls.len() > 1 {
            let _ = writeln!(text, "call {index}");
        }
        index = last + 1;
        let lines: Vec<String> = objects(call, &signature.inputs).iter().map(|object| format!("  {object}")).collect();
        let _ = writeln!(text, "[\n{}\n]", lines.join(",\n"));
    }
    let place = if smallest.calls.len() > 1 { format!(" of call {}", smallest.call) } else { String::new() };
    let _ = writeln!(text, "row {}{place}:", smallest.row);
    mismatch_text(text, &smallest.mismatch, signature);
}

fn mismatch_text(text: &mut String, mismatch: &Mismatch, signature: &Signature) {
    let name = mismatch.output.map(|index| signature.outputs[index].name.as_str());
    if let Some(name) = name {
        let _ = writeln!(text, "  output `{name}`");
    }
    for (where_, seen) in [("alone", &mismatch.alone), ("here", &mismatch.here)] {
        let _ = match seen {
            Seen::Value(cell) => writeln!(text, "  {where_:<6} {}  bits {}", cut(&value_text(cell)), cell.bits()),
            Seen::Values => writeln!(text, "  {where_:<6} has values"),
            Seen::Failed(message) => writeln!(text, "  {where_:<6} failed: {}", plain(message)),
        };
    }
}

fn cut(text: &str) -> String {
    let text = plain(text);
    if text.chars().count() <= SHOWN_CHARS_MAX {
        return text;
    }
    text.chars().take(SHOWN_CHARS_MAX).chain(['…']).collect()
}

/// For programs. Calls of the smallest input are arrays of rows, as `--rows` and sample files take them.
pub fn json(report: &Report) -> Value {
    let rows = &report.rows;
    let compared = |compared: &Compared| {
        json!({
            "check": compared.check.name(),
            "calls": compared.calls,
            "rows": compared.rows,
            "values": compared.values,
            "different": compared.different,
            "skipped": compared.skipped,
        })
    };
    json!({
        "digest": report.digest.to_string(),
        "verdict": match report.verdict() {
            Verdict::Proved => "proved",
            Verdict::Different => "different",
            Verdict::NoValues => "no_values",
        },
        "seed": report.seed,
        "rows": {
            "given": rows.given,
            "generated": rows.generated,
            "with_values": rows.with_values,
            "failed": rows.failed,
            "faulty": rows.faulty,
            "left_out": rows.left_out,
        },
        "compared": report.compared.iter().map(compared).collect::<Vec<_>>(),
        "values": report.values(),
        "difference": report.difference.as_ref().map(|difference| difference_json(difference, &report.signature)),
        "compile_seconds": report.compiling.as_secs_f64(),
        "compare_seconds": report.comparing.as_secs_f64(),
    })
}

fn difference_json(difference: &Difference, signature: &Signature) -> Value {
    match difference {
        Difference::Signature { when, what } => json!({ "check": "signature", "when": when, "what": what }),
        Difference::Row { check, sample_row, given, found, smallest } => {
            let calls = smallest.calls.iter().map(|call| Value::from(objects(call, &signature.inputs)));
            json!({
                "check": check.name(),
                "sample_row": sample_row,
                "given": given,
                "found": mismatch_json(found, signature),
                "smallest": {
                    "calls": calls.collect::<Vec<_>>(),
                    "call": smallest.call,
                    "row": smallest.row,
                    "different": mismatch_json(&smallest.mismatch, signature),
                    "tries": smallest.tries,
                    "gave_up": smallest.gave_up,
                },
            })
        }
    }
}

fn mismatch_json(mismatch: &Mismatch, signature: &Signature) -> Value {
    let seen = |seen: &Seen| match seen {
        Seen::Value(cell) => json!({ "value": value(cell), "bits": cell.bits() }),
        Seen::Values => json!({}),
        Seen::Failed(message) => json!({ "failure": message }),
    };
    json!({
        "output": mismatch.output.map(|index| signature.outputs[index].name.as_str()),
        "alone": seen(&mismatch.alone),
        "here": seen(&mismatch.here),
    })
}

/// What came of a replay of golden vectors, as a person reads it.
pub fn replay_text(replay: &Replay, signature: &Signature) -> String {
    let mut text = format!("recorded by  {}\n", plain(&replay.recorded_by));
    let _ = writeln!(text, "rows         {}, {} different", grouped(replay.rows), grouped(replay.different));
    if let Some(difference) = &replay.difference {
        let _ = writeln!(text, "\nrecorded row {}:", difference.row);
        for object in objects(&difference.inputs, &signature.inputs) {
            let _ = writeln!(text, "[{object}]");
        }
        let _ = writeln!(text, "alone: as it was recorded; here: as it is now");
        mismatch_text(&mut text, &difference.mismatch, signature);
    }
    text
}

/// The same for programs.
pub fn replay_json(replay: &Replay, signature: &Signature) -> Value {
    let difference = replay.difference.as_ref().map(|difference| {
        let mismatch = mismatch_json(&difference.mismatch, signature);
        json!({
            "row": difference.row,
            "inputs": objects(&difference.inputs, &signature.inputs).into_iter().next(),
            "output": mismatch["output"],
            "recorded": mismatch["alone"],
            "now": mismatch["here"],
        })
    });
    json!({
        "recorded_by": replay.recorded_by,
        "rows": replay.rows,
        "values": replay.values,
        "different": replay.different,
        "difference": difference,
    })
}

/// What came of the golden vectors of registered views, as a person reads it.
pub fn replayed_text(replayed: &[Replayed]) -> String {
    let names: Vec<String> = replayed.iter().map(|replayed| replayed.bound.view.id().to_string()).collect();
    let width = names.iter().map(String::len).max().unwrap_or(0);
    let mut text = String::new();
    for (name, Replayed { replay, .. }) in std::iter::zip(&names, replayed) {
        let (rows, different) = (counted(replay.rows, "row"), grouped(replay.different));
        let _ = writeln!(text, "{name:width$}  {rows}, {different} different");
    }
    for (name, Replayed { bound, replay }) in std::iter::zip(&names, replayed) {
        if replay.different > 0 {
            let _ = write!(text, "\n{name}\n{}", replay_text(replay, &bound.signature));
        }
    }
    let different = replayed.iter().filter(|replayed| replayed.replay.different > 0).count();
    let _ = writeln!(text, "{}, {different} different", counted(replayed.len() as u64, "view"));
    text
}

/// The same for programs.
pub fn replayed_json(replayed: &[Replayed]) -> Value {
    let view = |Replayed { bound, replay }: &Replayed| {
        let mut value = replay_json(replay, &bound.signature);
        value["view"] = json!(bound.view.id().to_string());
        value
    };
    json!({ "views": replayed.iter().map(view).collect::<Vec<_>>() })
}

/// Rows as JSON objects.
fn objects(batch: &RecordBatch, fields: &[Field]) -> Vec<Value> {
    let object = |row: usize| {
        let pairs = std::iter::zip(fields, batch.columns());
        let pairs = pairs.map(|(field, column)| (field.name.clone(), encode_value(column, field.data_type, row)));
        Value::Object(pairs.collect::<Map<_, _>>())
    };
    (0..batch.num_rows()).map(object).collect()
}

fn value(cell: &Cell) -> Value {
    match cell.data_type() {
        Some(data_type) => encode_value(&Cell::column(data_type, [cell]), data_type, 0),
        None => Value::Null,
    }
}

fn value_text(cell: &Cell) -> String {
    value(cell).to_string()
}
