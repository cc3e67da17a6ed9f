//! What a proof of a function of aggregates found.

use std::fmt::Write;

use serde_json::{Value, json};
use tandem_engine::verify::{AggregateDifference, AggregateReport};

use super::objects;
use crate::output::{counted, grouped, plain};

/// As a person reads it.
pub fn text(report: &AggregateReport) -> String {
    let (failed, reason) = &report.failed;
    let mut text = format!(
        "component  {}\nlists      {} of events (seed {}), {} on which a call fails\n",
        report.digest,
        counted(report.lists, "list"),
        report.seed,
        grouped(*failed)
    );
    if let Some(reason) = reason {
        let _ = writeln!(text, "           the first of those: {}", plain(reason));
    }
    let _ = writeln!(text, "states     of {} at most\n", counted(report.state_bytes, "byte"));
    let _ = writeln!(text, "{:<60}  {:>9}", "states and values compared", "times");
    for (check, compared) in &report.compared {
        let _ = writeln!(text, "{:<60}  {:>9}", check.title(), grouped(*compared));
    }
    text.push('\n');
    match &report.difference {
        Some(difference) => difference_text(&mut text, difference, report),
        None if !report.is_proved() => {
            let _ = writeln!(text, "nothing is proved: no list of generated events has a state");
        }
        None => {
            let times = report.compared.iter().map(|(_, times)| times).sum();
            let _ = writeln!(text, "proved: no bit differs in {}", counted(times, "comparison"));
        }
    }
    let (compiling, comparing) = (report.compiling.as_secs_f64(), report.comparing.as_secs_f64());
    let _ = writeln!(text, "{compiling:.2} s to compile, {comparing:.2} s to compare");
    text
}

fn difference_text(text: &mut String, difference: &AggregateDifference, report: &AggregateReport) {
    let AggregateDifference { check, events, found: (one, other), tries } = difference;
    let count = events.num_rows();
    let _ = writeln!(text, "it differs: {check}");
    let (count, tries) = (counted(count as u64, "event"), counted(*tries, "try"));
    let _ = writeln!(text, "the smallest list that still differs has {count} ({tries})");
    let lines: Vec<String> =
        objects(events, &report.signature.inputs).iter().map(|object| format!("  {object}")).collect();
    let _ = writeln!(text, "[\n{}\n]", lines.join(",\n"));
    let _ = writeln!(text, "  one way    {}\n  the other  {}", plain(one), plain(other));
    let _ = writeln!(text, "what to look for: {}", check.advice());
}

/// For programs.
pub fn json(report: &AggregateReport) -> Value {
    let compared = report.compared.iter().map(|(check, times)| json!({ "check": check.title(), "times": times }));
    let difference = report.difference.as_ref().map(|difference| {
        json!({
            "check": difference.check.title(),
            "events": objects(&difference.events, &report.signature.inputs),
            "found": [difference.found.0, difference.found.1],
            "advice": difference.check.advice(),
        })
    });
    json!({
        "digest": report.digest.to_string(),
        "verdict": match (report.is_proved(), &report.difference) {
            (true, _) => "proved",
            (false, Some(_)) => "different",
            (false, None) => "no_values",
        },
        "seed": report.seed,
        "lists": report.lists,
        "failed": report.failed.0,
        "state_bytes": report.state_bytes,
        "compared": compared.collect::<Vec<_>>(),
        "difference": difference,
        "compile_seconds": report.compiling.as_secs_f64(),
        "compare_seconds": report.comparing.as_secs_f64(),
    })
}

/// What the registry keeps of a report that found nothing. Nothing of it depends on the machine's speed.
pub fn recorded(report: &AggregateReport) -> Value {
    let times: u64 = report.compared.iter().map(|(_, times)| times).sum();
    json!({
        "summary": format!("{} of events in {}, no bit differs", counted(report.lists, "list"), counted(times, "comparison")),
        "seed": report.seed,
        "lists": report.lists,
        "failed": report.failed.0,
        "comparisons": times,
        "state_bytes": report.state_bytes,
    })
}
