//! Features of a flight, in the fast form: whole columns in, whole columns out.
//!
//! The columnar form pays here because the table of airports is prepared once for a call, not once for a row.

mod airports;

use std::f64::consts::TAU;

use airports::{Airports, haversine_km};
use tandem_sdk::prelude::*;

/// A departure.
#[derive(Input)]
pub struct Flight<'a> {
    /// When it departed; local wall time, taken as UTC.
    pub departed_at: Timestamp,
    /// IATA code of the airport it left.
    pub origin: &'a str,
    /// IATA code of the airport it went to.
    pub destination: &'a str,
    /// How late it was, in minutes; negative if early.
    pub delay_minutes: i64,
}

/// What a model of delays sees of a route's last flight.
#[derive(Output)]
pub struct Features {
    /// Great-circle distance of the two airports, in kilometres.
    pub distance_km: f64,
    /// Sine of the time of day as an angle: midnight is 0, 06:00 a quarter turn.
    pub hour_sin: f64,
    /// Cosine of the same angle. Sine and cosine together keep 23:59 next to 00:00.
    pub hour_cos: f64,
    /// Day of the week, 1 is Monday, 7 is Sunday.
    pub day_of_week: i64,
    /// How late it was, in minutes; negative if early.
    pub delay_minutes: i64,
    /// `early`, `on_time` or `late`, by the view's thresholds.
    pub delay_class: &'static str,
}

/// What the view's definition sets.
#[derive(Parameters)]
pub struct Settings {
    /// Two thresholds in minutes: in time from the first to below the second.
    pub on_time_minutes: Vec<i64>,
    /// IATA codes.
    pub airports: Vec<String>,
    /// Their latitudes, degrees north, in the same order.
    pub latitudes: Vec<f64>,
    /// Their longitudes, degrees east, in the same order.
    pub longitudes: Vec<f64>,
}

/// When and how far a flight went, and how late it was.
#[transform(columns)]
pub fn features(
    rows: usize,
    flights: FlightColumns<'_>,
    settings: &Settings,
) -> Result<(FeaturesColumns, FailedRows), CallError> {
    let airports = Airports::new(&settings.airports, &settings.latitudes, &settings.longitudes)?;
    let &[early_below, late_from] = &settings.on_time_minutes[..] else {
        return Err(CallError::new("parameter `on_time_minutes`: expected two thresholds"));
    };

    // A row that fails keeps its place; what its slots hold does not count.
    let mut failed = FailedRows::new();
    let mut distance_km = Vec::with_capacity(rows);
    for row in 0..rows {
        let position = |input, code| airports.position(code).ok_or_else(|| unknown_airport(input, code));
        let ends = position("origin", flights.origin.value(row))
            .and_then(|from| Ok((from, position("destination", flights.destination.value(row))?)));
        distance_km.push(match ends {
            Ok((from, to)) => haversine_km(from, to),
            Err(error) => {
                failed.push(row, error);
                0.0
            }
        });
    }

    let angle = |time: Timestamp| time.micros_of_day() as f64 / 86_400e6 * TAU;
    let class = |delay: &i64| match *delay {
        delay if delay < early_below => "early",
        delay if delay < late_from => "on_time",
        _ => "late",
    };
    let columns = FeaturesColumns {
        distance_km,
        hour_sin: flights.departed_at.iter().map(|time| angle(time).sin()).collect(),
        hour_cos: flights.departed_at.iter().map(|time| angle(time).cos()).collect(),
        day_of_week: flights.departed_at.iter().map(Timestamp::day_of_week).collect(),
        delay_minutes: flights.delay_minutes.to_vec(),
        delay_class: flights.delay_minutes.iter().map(class).collect(),
    };
    Ok((columns, failed))
}

fn unknown_airport(input: &'static str, code: &str) -> RowError {
    RowError::field(input, format!("airport {code:?} is not in the view's table"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_sdk::testing::Call;

    fn call() -> Call<features> {
        Call::new()
            .parameter("on_time_minutes", vec![-5, 15])
            .parameter("airports", vec!["JFK".to_owned(), "LAX".to_owned(), "SFO".to_owned()])
            .parameter("latitudes", vec![40.63975111, 33.94253611, 37.61900194])
            .parameter("longitudes", vec![-73.77892556, -118.4080744, -122.3748433])
    }

    /// 2001-01-07, a Sunday, at this hour.
    fn sunday(hour: i64) -> Timestamp {
        Timestamp::from_date(2001, 1, 7).unwrap().saturating_add_seconds(hour * 3_600)
    }

    fn flights(origins: [&str; 3], delays: [i64; 3]) -> Call<features> {
        call()
            .input("departed_at", [sunday(0), sunday(6), sunday(18)])
            .input("origin", origins)
            .input("destination", ["LAX", "JFK", "SFO"])
            .input("delay_minutes", delays)
    }

    #[test]
    fn distances_are_those_of_the_globe() {
        let results = flights(["JFK", "LAX", "LAX"], [0; 3]).apply().unwrap();
        let distances = results.output::<f64>("distance_km");
        for (distance, expected) in distances.iter().zip([3_974.0, 3_974.0, 543.0]) {
            assert!((distance.unwrap() - expected).abs() < 2.0, "{distances:?}");
        }
        assert_eq!(distances[0], distances[1], "both directions are equally long");
    }

    #[test]
    fn hours_lie_on_a_circle() {
        let results = flights(["JFK", "LAX", "LAX"], [0; 3]).apply().unwrap();
        let near = |name: &str, expected: [f64; 3]| {
            let values = results.output::<f64>(name);
            assert!(values.iter().zip(expected).all(|(v, e)| (v.unwrap() - e).abs() < 1e-12), "{name}: {values:?}");
        };
        near("hour_sin", [0.0, 1.0, -1.0]);
        near("hour_cos", [1.0, 0.0, 0.0]);
        assert_eq!(results.output::<i64>("day_of_week"), [Some(7); 3]);
    }

    #[test]
    fn classes_begin_at_their_thresholds() {
        let classes = |delays| {
            let results = flights(["JFK"; 3], delays).apply().unwrap();
            results.output::<String>("delay_class").into_iter().map(Option::unwrap).collect::<Vec<_>>()
        };
        assert_eq!(classes([-6, -5, 0]), ["early", "on_time", "on_time"]);
        assert_eq!(classes([14, 15, i64::MAX]), ["on_time", "late", "late"]);
    }

    #[test]
    fn an_unknown_airport_costs_its_own_row_alone() {
        let results = flights(["JFK", "XXX", "LAX"], [1, 2, 3]).apply().unwrap();
        assert_eq!(results.failures(), [(1, "origin: airport \"XXX\" is not in the view's table")]);
        assert_eq!(results.output::<i64>("delay_minutes"), [Some(1), None, Some(3)]);
    }

    #[test]
    fn parameters_that_do_not_fit_are_refused() {
        let call = Call::<features>::new()
            .parameter("airports", Vec::<String>::new())
            .parameter("latitudes", Vec::<f64>::new())
            .parameter("longitudes", Vec::<f64>::new())
            .parameter("on_time_minutes", vec![15]);
        let call = call.input("departed_at", [sunday(0)]).input("origin", ["JFK"]);
        let error = call.input("destination", ["LAX"]).input("delay_minutes", [0]).apply().unwrap_err();
        assert_eq!(error.to_string(), "parameter `on_time_minutes`: expected two thresholds");
        let error = Airports::new(&["JFK".to_owned()], &[1.0], &[]).unwrap_err();
        assert_eq!(error.to_string(), "1 airports, 1 latitudes, 0 longitudes: they must be equally many");
    }
}
