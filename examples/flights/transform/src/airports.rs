//! Where airports are.

use std::collections::BTreeMap;

use tandem_sdk::prelude::*;

/// Latitude and longitude in degrees.
pub(crate) type Position = (f64, f64);

/// Positions by IATA code.
#[derive(Debug)]
pub(crate) struct Airports<'a>(BTreeMap<&'a str, Position>);

impl<'a> Airports<'a> {
    /// The table of the parameters; all three lists are in the same order.
    pub(crate) fn new(codes: &'a [String], latitudes: &[f64], longitudes: &[f64]) -> Result<Self, CallError> {
        if codes.len() != latitudes.len() || codes.len() != longitudes.len() {
            return Err(CallError::new(format!(
                "{} airports, {} latitudes, {} longitudes: they must be equally many",
                codes.len(),
                latitudes.len(),
                longitudes.len()
            )));
        }
        let positions = latitudes.iter().copied().zip(longitudes.iter().copied());
        let table: BTreeMap<_, _> = codes.iter().map(String::as_str).zip(positions).collect();
        if table.len() != codes.len() {
            return Err(CallError::new("parameter `airports`: a code is there twice"));
        }
        Ok(Airports(table))
    }

    pub(crate) fn position(&self, code: &str) -> Option<Position> {
        self.0.get(code).copied()
    }
}

/// Great-circle distance in kilometres: the haversine formula on a sphere of the earth's mean radius (R. W. Sinnott,
/// "Virtues of the Haversine", Sky and Telescope 68, 1984).
pub(crate) fn haversine_km(from: Position, to: Position) -> f64 {
    const EARTH_RADIUS_KM: f64 = 6_371.008_8;
    let (from_latitude, to_latitude) = (from.0.to_radians(), to.0.to_radians());
    let half_latitude = (to_latitude - from_latitude) / 2.0;
    let half_longitude = (to.1 - from.1).to_radians() / 2.0;
    let h = half_latitude.sin() * half_latitude.sin()
        + from_latitude.cos() * to_latitude.cos() * half_longitude.sin() * half_longitude.sin();
    // Rounding may bring antipodes a little above 1.
    2.0 * EARTH_RADIUS_KM * h.min(1.0).sqrt().asin()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique() {
        let error = Airports::new(&["JFK".to_owned(), "JFK".to_owned()], &[1.0, 2.0], &[1.0, 2.0]).unwrap_err();
        assert_eq!(error.to_string(), "parameter `airports`: a code is there twice");
    }

    #[test]
    fn a_code_is_looked_up_exactly() {
        let codes = ["JFK".to_owned(), "LAX".to_owned()];
        let airports = Airports::new(&codes, &[1.0, 2.0], &[3.0, 4.0]).unwrap();
        assert_eq!(airports.position("LAX"), Some((2.0, 4.0)));
        assert_eq!(airports.position("lax"), None);
    }
}
