//! The transactions of one day.

use jiff::ToSpan as _;
use jiff::civil::{Date, date};

use crate::places::{CITIES, City, Merchant};
use crate::random::{SplitMix64, Weighted, exp};

const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3_600 * SECOND;

/// How busy the hours of a day are, midnight first.
const HOURS: [f64; 24] = [
    1.0, 0.6, 0.4, 0.3, 0.4, 0.8, 2.0, 4.0, 6.0, 6.5, 6.5, 7.5, 9.0, 8.5, 7.0, 6.5, 7.0, 8.5, 9.5, 9.0, 7.0, 5.0, 3.0,
    1.8,
];

/// How often each value is unknown.
const AMOUNT_NULL: f64 = 0.005;
const MERCHANT_NULL: f64 = 0.02;
const CARD_PRESENT_NULL: f64 = 0.01;
const CREATED_NULL: f64 = 0.001;

/// A row. Times are in microseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Transaction {
    pub(crate) id: i64,
    pub(crate) user_id: i64,
    pub(crate) amount: Option<f64>,
    pub(crate) currency: &'static str,
    pub(crate) merchant: Option<&'static str>,
    pub(crate) country: &'static str,
    pub(crate) card_present: Option<bool>,
    pub(crate) latitude: f64,
    pub(crate) longitude: f64,
    pub(crate) home_latitude: f64,
    pub(crate) home_longitude: f64,
    pub(crate) event_time: i64,
    pub(crate) created_time: Option<i64>,
}

/// The card holders and how often each of them and of the hours is drawn.
#[derive(Debug, Clone)]
pub(crate) struct Population {
    users: Weighted,
    hours: Weighted,
    merchants: Vec<Weighted>,
}

impl Population {
    pub(crate) fn new(users: u32) -> Self {
        Population {
            users: Weighted::zipf(users),
            hours: Weighted::new(HOURS),
            merchants: CITIES.iter().map(|city| Weighted::zipf(city.merchants.len() as u32)).collect(),
        }
    }
}

/// A day of the generated time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Day {
    /// Days since 2026-01-01.
    pub(crate) number: u32,
    pub(crate) date: Date,
}

impl Day {
    pub(crate) fn from_number(number: u32) -> Self {
        Day { number, date: date(2026, 1, 1).saturating_add(i64::from(number).days()) }
    }

    /// Midnight (UTC) in microseconds since the Unix epoch.
    fn start(self) -> i64 {
        let days = self.date.duration_since(date(1970, 1, 1)).as_hours() / 24;
        days * 24 * HOUR
    }

    /// The day's transactions in the order of event time. Day and seed alone decide them: other days need not be made.
    pub(crate) fn transactions(self, population: &Population, rows: u32, seed: u64) -> Vec<Transaction> {
        let mut random = SplitMix64::stream(seed, u64::from(self.number));
        let mut rows: Vec<_> = (0..rows).map(|_| self.transaction(population, &mut random)).collect();
        rows.sort_by_key(|row| row.event_time);
        for (position, row) in rows.iter_mut().enumerate() {
            row.id = i64::from(self.number) * 100_000_000 + position as i64;
        }
        rows
    }

    fn transaction(self, population: &Population, random: &mut SplitMix64) -> Transaction {
        let user_id = population.users.draw(random) as i64 + 1;
        let (home_city, home_latitude, home_longitude) = home(user_id);
        // Most purchases are made at home, some on a journey.
        let city = if random.chance(0.9) { home_city } else { random.below(CITIES.len() as u64) as usize };
        let merchant = CITIES[city].merchants[population.merchants[city].draw(random)];
        let event_time = self.start() + population.hours.draw(random) as i64 * HOUR + random.below(HOUR as u64) as i64;
        // Some terminals know whole seconds only.
        let event_time = if random.chance(0.2) { event_time / SECOND * SECOND } else { event_time };
        let (latitude, longitude) = near(&CITIES[city], random);
        Transaction {
            id: 0,
            user_id,
            amount: amount(&CITIES[city], merchant, random),
            currency: CITIES[city].currency,
            merchant: known(merchant.name, MERCHANT_NULL, random),
            country: CITIES[city].country,
            card_present: known(!merchant.online && random.chance(0.93), CARD_PRESENT_NULL, random),
            latitude,
            longitude,
            home_latitude,
            home_longitude,
            event_time,
            created_time: known(event_time + arrival_delay(random), CREATED_NULL, random),
        }
    }
}

/// A user lives at one place, whatever the day and the seed.
fn home(user_id: i64) -> (usize, f64, f64) {
    let mut random = SplitMix64::stream(0, user_id as u64);
    let city = random.below(CITIES.len() as u64) as usize;
    let (latitude, longitude) = near(&CITIES[city], &mut random);
    (city, latitude, longitude)
}

/// A point within about ten kilometres.
fn near(city: &City, random: &mut SplitMix64) -> (f64, f64) {
    (city.latitude + (random.unit() - 0.5) * 0.2, city.longitude + (random.unit() - 0.5) * 0.2)
}

/// Log-normal around the merchant's median, in whole cents, at least one.
fn amount(city: &City, merchant: Merchant, random: &mut SplitMix64) -> Option<f64> {
    let amount = merchant.median * city.price_level * exp(0.6 * random.normal());
    known((amount * 100.0).round().max(1.0) / 100.0, AMOUNT_NULL, random)
}

/// How long until the payment system knows: seconds mostly, up to six hours when a terminal was offline, the next day
/// when it sends once a day.
fn arrival_delay(random: &mut SplitMix64) -> i64 {
    let kind = random.unit();
    let (least, most) = match kind {
        kind if kind < 0.96 => (SECOND / 2, 20 * SECOND),
        kind if kind < 0.99 => (60 * SECOND, 6 * HOUR),
        _ => (12 * HOUR, 30 * HOUR),
    };
    least + random.below((most - least) as u64) as i64
}

/// The value, or unknown this often. The numbers that a row draws are the same either way.
fn known<T>(value: T, null: f64, random: &mut SplitMix64) -> Option<T> {
    (!random.chance(null)).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transactions(number: u32) -> Vec<Transaction> {
        Day::from_number(number).transactions(&Population::new(1_000), 20_000, 1)
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        assert_eq!(Day::from_number(30).date, date(2026, 1, 31));
        assert_eq!(Day::from_number(0).start(), 1_767_225_600 * SECOND);
    }

    #[test]
    fn rows_lie_in_their_day_and_in_order() {
        let (day, rows) = (Day::from_number(5), transactions(5));
        assert_eq!(rows.len(), 20_000);
        assert!(rows.iter().all(|row| (day.start()..day.start() + 24 * HOUR).contains(&row.event_time)));
        assert!(rows.is_sorted_by_key(|row| (row.event_time, row.id)));
        assert_ne!(transactions(6)[0].user_id, 0);
    }

    #[test]
    fn values_are_realistic() {
        let rows = transactions(0);
        let share = |matches: &dyn Fn(&Transaction) -> bool| {
            rows.iter().filter(|row| matches(row)).count() as f64 / rows.len() as f64
        };
        assert!(rows.iter().all(|row| row.amount.is_none_or(|amount| amount >= 0.01)));
        assert!((0.002..0.01).contains(&share(&|row| row.amount.is_none())));
        assert!((0.01..0.03).contains(&share(&|row| row.merchant.is_none())));
        assert!((0.0001..0.003).contains(&share(&|row| row.created_time.is_none())));
        let late = |by: i64| share(&|row| row.created_time.is_some_and(|created| created - row.event_time > by));
        assert_eq!(late(0), 1.0 - share(&|row| row.created_time.is_none()));
        assert!((0.03..0.05).contains(&late(60 * SECOND)), "{}", late(60 * SECOND));
        assert!((0.005..0.015).contains(&late(12 * HOUR)), "{}", late(12 * HOUR));
        assert!(share(&|row| row.user_id == 1) > 0.1, "the first user buys often");
        let hour = |hour: i64| share(&|row| (row.event_time / HOUR) % 24 == hour);
        assert!(hour(18) > 10.0 * hour(3), "evenings are busier than nights");
    }

    #[test]
    fn a_user_keeps_the_home() {
        let of = |rows: Vec<Transaction>| {
            let row = rows.into_iter().find(|row| row.user_id == 1).unwrap();
            (row.home_latitude, row.home_longitude)
        };
        assert_eq!(of(transactions(0)), of(transactions(9)));
    }
}
