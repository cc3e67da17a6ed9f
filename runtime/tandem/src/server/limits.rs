//! How much one request may ask for, and how much may wait: beyond it a request is refused at once.

use tandem_core::definition::ServerSettings;

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
}
