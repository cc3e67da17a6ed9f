//! What came of a push, as JSON.

use serde_json::json;
use tandem_core::model::BoundView;
use tandem_online::RowOutcome;

use super::refused_row;
use crate::push::Pushed;

/// The word of each row.
fn word(outcome: Option<RowOutcome>) -> &'static str {
    match outcome {
        Some(RowOutcome::Written) => "written",
        Some(RowOutcome::Older) => "older",
        Some(RowOutcome::Unchanged) => "unchanged",
        Some(RowOutcome::Logged) => "logged",
        Some(RowOutcome::TooLate) | None => "quarantined",
    }
}

pub(super) fn json(view: &BoundView, pushed: &Pushed) -> Vec<u8> {
    let quarantined: Vec<_> = pushed.refused.iter().map(|(row, refused)| refused_row(*row, refused)).collect();
    let sequences = pushed.sequences.map(|(first, last)| [first, last]);
    let answer = json!({
        "view": view.view.name,
        "version": view.view.version,
        "digest": view.digest.to_string(),
        "rows": pushed.outcomes.len(),
        "accepted": pushed.outcomes.len() - pushed.refused.len(),
        "written": pushed.count(RowOutcome::Written),
        "older": pushed.count(RowOutcome::Older),
        "unchanged": pushed.count(RowOutcome::Unchanged),
        "logged": pushed.logged,
        "sequences": sequences,
        "published_time": pushed.published_time.map(|time| time.to_string()),
        "outcomes": pushed.outcomes.iter().map(|outcome| word(*outcome)).collect::<Vec<_>>(),
        "quarantined": quarantined,
    });
    answer.to_string().into_bytes()
}
