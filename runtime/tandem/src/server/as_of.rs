//! The instant that is asked for: the server's clock, or the caller's `as_of` where replay is allowed.

use std::iter::once;

use arrow_array::ArrayRef;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use serde_json::Value;
use tandem_core::json::decode_column;
use tandem_core::time::Timestamp;
use tandem_core::types::{AS_OF, DataType, Field};

use super::json;
use super::problem::{Kind, Problem};

/// One reading of the clock for a whole request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    pub(super) now: Timestamp,
    pub(super) allow_replay: bool,
}

impl Clock {
    /// Refuses a caller's `as_of` where replay is not allowed.
    pub(super) fn check_replay(self) -> Result<(), Problem> {
        if self.allow_replay {
            return Ok(());
        }
        Err(Problem::new(Kind::ReplayNotAllowed, "the request sets `as_of`, which is the server's clock here")
            .with("input", AS_OF)
            .hint("leave `as_of` out, or set `allow_replay = true` under `[server]` in tandem.toml; a token of the role admin may set it in any case"))
    }

    /// The caller's instant for the whole request, or the clock's.
    pub(super) fn instant(self, given: Option<&Value>) -> Result<Timestamp, Problem> {
        let Some(given) = given else { return Ok(self.now) };
        self.check_replay()?;
        let array: ArrayRef =
            decode_column(&field(), once(Some(given))).map_err(|error| json::value_problem(&error).without_row())?;
        Ok(Timestamp(array.as_primitive::<TimestampMicrosecondType>().value(0)))
    }
}

/// `as_of` as a column.
pub(super) fn field() -> Field {
    Field::new(AS_OF, DataType::Timestamp, false)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_clock_rules_unless_replay_is_allowed() {
        let clock = Clock { now: Timestamp(7), allow_replay: false };
        assert_eq!(clock.instant(None), Ok(Timestamp(7)));
        let refused = clock.instant(Some(&json!(1))).unwrap_err();
        assert_eq!(refused.kind, Kind::ReplayNotAllowed);
        assert!(refused.to_json("")["hint"].as_str().unwrap().contains("`[server]`"));

        let replay = Clock { allow_replay: true, ..clock };
        assert_eq!(replay.instant(Some(&json!("1970-01-01T00:00:01Z"))), Ok(Timestamp(1_000_000)));
        assert_eq!(replay.instant(Some(&json!(5))), Ok(Timestamp(5)));
        for wrong in [json!("yesterday"), json!(null), json!([])] {
            let problem = replay.instant(Some(&wrong)).unwrap_err();
            assert_eq!((problem.kind, problem.to_json("")["input"].as_str()), (Kind::InvalidValue, Some("as_of")));
        }
    }
}
