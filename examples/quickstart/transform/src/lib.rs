//! Features of a card transaction, in the everyday form: one row in, one row out.

mod merchant;

use tandem_sdk::prelude::*;

/// A transaction as the payment log has it.
#[derive(Input)]
pub struct Transaction<'a> {
    /// Amount in the card's currency; unknown for some declined transactions.
    pub amount: Option<f64>,
    /// The merchant's name as it stands on the receipt.
    pub merchant: Option<&'a str>,
    /// Whether the card was at the terminal; unknown for some old terminals.
    pub card_present: Option<bool>,
    /// Where the merchant is, degrees north.
    pub latitude: f64,
    /// Where the merchant is, degrees east.
    pub longitude: f64,
    /// Where the card holder lives, degrees north.
    pub home_latitude: f64,
    /// Where the card holder lives, degrees east.
    pub home_longitude: f64,
    /// The instant for which the features are asked.
    pub as_of: Timestamp,
}

/// What the fraud model sees.
#[derive(Output)]
pub struct Features {
    /// ln(1 + amount).
    pub log_amount: Option<f64>,
    /// How many of the bucket edges the amount has reached: 0 is below the first.
    pub amount_bucket: Option<i64>,
    /// Hour of the day, UTC, 0 to 23.
    pub hour_of_day: i64,
    /// Whether it is night, UTC, by the view's hours.
    pub is_night: bool,
    /// Great-circle distance from the card holder's home to the merchant, in kilometres.
    pub distance_from_home_km: f64,
    /// The merchant's name in lower case, without space around it and with single spaces inside.
    pub merchant_normalised: Option<String>,
    /// Length of the normalised name, in characters.
    pub merchant_length: Option<i64>,
    /// The words of the normalised name, in order; none if it is unknown.
    pub merchant_words: Vec<String>,
    /// Whether one of those is a risk word of the view.
    pub has_risk_word: bool,
    /// The words hashed into four signed buckets, of unit length.
    pub merchant_embedding: Option<[f32; 4]>,
    /// Card not present, at night, or a risk word: how many of the three.
    pub risk_signals: i64,
}

/// What the view's definition sets.
#[derive(Parameters)]
pub struct Settings {
    /// Lower edges of the amount buckets, in the card's currency, ascending.
    pub amount_bucket_edges: Vec<f64>,
    /// First hour of the night, UTC.
    pub night_starts_hour: i64,
    /// First hour after the night, UTC.
    pub night_ends_hour: i64,
    /// Words in a merchant's name that stand for more risk, in lower case.
    pub risk_words: Vec<String>,
}

/// How unusual a card transaction is.
#[transform]
pub fn features(row: Transaction<'_>, settings: &Settings) -> Result<Features, RowError> {
    if let Some(amount) = row.amount
        && amount < 0.0
    {
        return Err(RowError::field("amount", format!("{amount} is negative; refunds are not transactions")));
    }
    let normalised = row.merchant.map(merchant::normalise);
    let words: Vec<String> = normalised.iter().flat_map(|name| merchant::words(name)).map(str::to_owned).collect();
    let has_risk_word = words.iter().any(|word| settings.risk_words.contains(word));
    let is_night = is_night(row.as_of.hour_of_day(), settings);
    let signals = [row.card_present == Some(false), is_night, has_risk_word];
    Ok(Features {
        log_amount: row.amount.map(f64::ln_1p),
        amount_bucket: row.amount.map(|amount| bucket(amount, &settings.amount_bucket_edges)),
        hour_of_day: row.as_of.hour_of_day(),
        is_night,
        distance_from_home_km: haversine_km((row.home_latitude, row.home_longitude), (row.latitude, row.longitude)),
        merchant_length: normalised.as_ref().map(|name| name.chars().count() as i64),
        merchant_embedding: normalised.as_ref().map(|_| merchant::embedding(&words)),
        merchant_normalised: normalised,
        merchant_words: words,
        has_risk_word,
        risk_signals: signals.iter().filter(|signal| **signal).count() as i64,
    })
}

/// A night may go past midnight (22 to 6) or not (0 to 6).
fn is_night(hour: i64, settings: &Settings) -> bool {
    let (start, end) = (settings.night_starts_hour, settings.night_ends_hour);
    if start <= end { (start..end).contains(&hour) } else { hour >= start || hour < end }
}

fn bucket(amount: f64, edges: &[f64]) -> i64 {
    edges.iter().filter(|edge| amount >= **edge).count() as i64
}

/// Great-circle distance of two points in degrees (latitude, longitude), in kilometres: the haversine formula on a
/// sphere of the earth's mean radius (R. W. Sinnott, "Virtues of the Haversine", Sky and Telescope 68, 1984).
fn haversine_km(from: (f64, f64), to: (f64, f64)) -> f64 {
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

    fn settings() -> Settings {
        Settings {
            amount_bucket_edges: vec![10.0, 50.0, 250.0],
            night_starts_hour: 22,
            night_ends_hour: 6,
            risk_words: vec!["casino".to_owned(), "寿司".to_owned()],
        }
    }

    /// A purchase in Vienna by somebody who lives there, at 2026-01-15T13:00:00Z.
    fn purchase() -> Transaction<'static> {
        Transaction {
            amount: Some(12.5),
            merchant: Some("  Bäckerei   MÜLLER "),
            card_present: Some(true),
            latitude: 48.2082,
            longitude: 16.3738,
            home_latitude: 48.2082,
            home_longitude: 16.3738,
            as_of: Timestamp::from_seconds(1_768_482_000),
        }
    }

    #[test]
    fn an_ordinary_purchase() {
        let features = features(purchase(), &settings()).unwrap();
        assert!((features.log_amount.unwrap() - 13.5_f64.ln()).abs() < 1e-12);
        assert_eq!(features.amount_bucket, Some(1));
        assert_eq!((features.hour_of_day, features.is_night), (13, false));
        assert_eq!(features.distance_from_home_km, 0.0);
        assert_eq!(features.merchant_normalised.as_deref(), Some("bäckerei müller"));
        assert_eq!(features.merchant_length, Some(15));
        assert_eq!(features.merchant_words, ["bäckerei", "müller"]);
        assert!(!features.has_risk_word);
        assert_eq!(features.risk_signals, 0);
    }

    #[test]
    fn what_is_unknown_stays_unknown() {
        let row = Transaction { amount: None, merchant: None, card_present: None, ..purchase() };
        let features = features(row, &settings()).unwrap();
        assert_eq!((features.log_amount, features.amount_bucket), (None, None));
        assert_eq!((features.merchant_normalised, features.merchant_length), (None, None));
        assert_eq!(features.merchant_embedding, None);
        assert_eq!(features.merchant_words, [""; 0]);
        assert_eq!(features.risk_signals, 0);
    }

    #[test]
    fn signals_add_up() {
        let row = Transaction {
            merchant: Some("寿司 さくら"),
            card_present: Some(false),
            as_of: Timestamp::from_seconds(1_768_482_000 + 10 * 3_600),
            ..purchase()
        };
        let features = features(row, &settings()).unwrap();
        assert_eq!((features.has_risk_word, features.is_night, features.risk_signals), (true, true, 3));
    }

    #[test]
    fn buckets_begin_at_their_edges() {
        let of = |amount| features(Transaction { amount: Some(amount), ..purchase() }, &settings()).unwrap();
        assert_eq!(
            [0.0, 9.99, 10.0, 250.0, f64::INFINITY].map(|amount| of(amount).amount_bucket.unwrap()),
            [0, 0, 1, 3, 3]
        );
    }

    #[test]
    fn nights_may_go_past_midnight() {
        let night = |start, end, hour| {
            is_night(hour, &Settings { night_starts_hour: start, night_ends_hour: end, ..settings() })
        };
        assert!(night(22, 6, 23) && night(22, 6, 5) && !night(22, 6, 6) && !night(22, 6, 21));
        assert!(night(0, 6, 0) && !night(0, 6, 6) && !night(0, 6, 23));
    }

    #[test]
    fn distances_are_those_of_the_globe() {
        let vienna_to_tokyo = haversine_km((48.2082, 16.3738), (35.6762, 139.6503));
        assert!((vienna_to_tokyo - 9_130.0).abs() < 20.0, "{vienna_to_tokyo}");
        let half_way_round = haversine_km((0.0, 0.0), (0.0, 180.0));
        assert!((half_way_round - 20_015.1).abs() < 0.1, "{half_way_round}");
    }

    #[test]
    fn a_negative_amount_is_refused_by_name() {
        let error = features(Transaction { amount: Some(-1.5), ..purchase() }, &settings()).err().unwrap();
        assert_eq!(error.to_string(), "amount: -1.5 is negative; refunds are not transactions");
    }
}
