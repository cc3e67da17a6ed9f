//! How much one request may ask for, and how much may wait: beyond it a request is refused at once.

use std::time::Duration;

use tandem_core::definition::ServerSettings;
use tandem_core::types::DataType;

use super::body::Bounds;
use super::problem::{Kind, Problem};

/// Refuses an answer with more entities, features or values than the limits allow.
pub(super) fn check_answer(settings: &ServerSettings, entities: usize, features: usize) -> Result<(), Problem> {
    check("entities_max", "entities", entities, settings.entities_max)?;
    check_features(settings, features)?;
    let values = entities.saturating_mul(features);
    check("values_max", "values (entities times features)", values, settings.values_max)
}

/// Refuses more features than the limit allows.
pub(super) fn check_features(settings: &ServerSettings, features: usize) -> Result<(), Problem> {
    check("features_max", "features", features, settings.features_max)
}

fn check(limit: &str, what: &str, asked: usize, max: usize) -> Result<(), Problem> {
    if asked <= max {
        return Ok(());
    }
    Err(Problem::new(Kind::TooMuchAsked, format!("the request asks for {asked} {what}, more than {max}"))
        .with("limit", limit)
        .with("max", max)
        .hint(format!("ask in several requests, or raise `{limit}` under `[server]` in tandem.toml")))
}

/// Times by which null rows of vectors, which take the room of all their values, may make a request larger than
/// `body_bytes_max`. As text a value takes two bytes or more and as f32 four, so requests without nulls stay within it.
const VECTOR_EXPANSION_MAX: u64 = 4;

/// Refuses vectors whose null rows would take far more room than the body. `columns`: the types of what the rows are decoded to.
pub(super) fn check_vectors(
    columns: impl Iterator<Item = DataType>,
    rows: usize,
    bounds: Bounds,
) -> Result<(), Problem> {
    let width = |data_type| match data_type {
        DataType::Float32Vector(width) => u64::from(width),
        _ => 0,
    };
    let bytes = columns.map(width).sum::<u64>().saturating_mul(4).saturating_mul(rows as u64);
    let max = bounds.body_bytes_max.saturating_mul(VECTOR_EXPANSION_MAX);
    if bytes <= max {
        return Ok(());
    }
    Err(Problem::new(Kind::BodyTooLarge, format!("the vectors of {rows} rows take {bytes} bytes, nulls included"))
        .with("limit", "body_bytes_max")
        .with("max", max)
        .hint("send fewer rows at once"))
}

/// The problem of a request that has waited for too long.
pub(super) fn late(what: &str, waited: Duration, max_millis: u64) -> Problem {
    Problem::new(Kind::Overloaded, format!("the request waited for {what} for {} ms", waited.as_millis()))
        .with("limit", "late_millis_max")
        .with("max", max_millis)
        .hint("try again later, with growing pauses")
}

/// The problem of a request that would have to wait behind too many.
pub(super) fn queue_full(what: &str, max: usize) -> Problem {
    Problem::new(Kind::Overloaded, format!("{max} requests wait for {what}"))
        .with("limit", "queue_requests_max")
        .with("max", max)
        .hint("try again later, with growing pauses")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_features_and_values_have_a_bound_each() {
        let settings =
            ServerSettings { entities_max: 10, features_max: 5, values_max: 30, ..ServerSettings::default() };
        for (entities, features) in [(10, 3), (6, 5), (0, 0), (0, 5)] {
            assert_eq!(check_answer(&settings, entities, features), Ok(()), "{entities} {features}");
        }
        for (entities, features, limit, asked) in [
            (11, 1, "entities_max", "11 entities"),
            (1, 6, "features_max", "6 features"),
            (10, 4, "values_max", "40 values"),
            (usize::MAX, 5, "entities_max", "entities"),
        ] {
            let problem = check_answer(&settings, entities, features).unwrap_err();
            assert_eq!((problem.kind, &problem.to_json("")["limit"]), (Kind::TooMuchAsked, &limit.into()));
            assert!(problem.detail.contains(asked), "{}", problem.detail);
        }
    }

    #[test]
    fn null_vectors_have_a_bound_whoever_decodes_them() {
        let bounds = Bounds { rows_max: 100, body_bytes_max: 100 };
        let check = |rows| check_vectors([DataType::Float32Vector(10), DataType::Int64].into_iter(), rows, bounds);
        assert_eq!(check(10), Ok(()), "400 bytes, four times the body");
        assert_eq!(check(11).unwrap_err().kind, Kind::BodyTooLarge);
        assert_eq!(check_vectors([DataType::String].into_iter(), usize::MAX, bounds), Ok(()));
    }
}
