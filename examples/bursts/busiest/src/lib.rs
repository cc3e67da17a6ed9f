//! How much was paid with a card in its busiest minutes.
//!
//! A stolen card is used up quickly: not the sum of a day tells it, but the most that was paid within a few minutes. Time is cut into stretches of
//! `minutes`; what is kept is what was paid in each.

use std::collections::BTreeMap;

use tandem_sdk::prelude::*;

#[derive(Parameters)]
pub struct Settings {
    /// How long a stretch is, in minutes.
    pub minutes: i64,
}

#[derive(Input)]
pub struct Payment {
    /// What was paid, in cents: integers add up to the same in any order, euros as floating-point numbers do not.
    pub cents: i64,
    /// When.
    pub event_time: Timestamp,
}

/// What was paid in each stretch that has a payment, by its number since 1970.
#[derive(State)]
pub struct Busiest {
    stretches: BTreeMap<i64, i64>,
}

/// The most that was paid within one stretch, in euros; null where nothing was.
#[aggregate]
impl Aggregate for Busiest {
    type Event<'a> = Payment;
    type Value = Option<f64>;
    type Parameters = Settings;

    fn empty(_: &Settings) -> Self {
        Busiest { stretches: BTreeMap::new() }
    }

    fn add(&mut self, event: Payment, settings: &Settings) {
        let stretch = event.event_time.micros().div_euclid(settings.minutes.max(1).saturating_mul(60_000_000));
        let cents = self.stretches.entry(stretch).or_default();
        // Saturating would depend on the order.
        *cents = cents.wrapping_add(event.cents);
    }

    fn merge(&mut self, other: Self, _: &Settings) {
        for (stretch, cents) in other.stretches {
            let mine = self.stretches.entry(stretch).or_default();
            *mine = mine.wrapping_add(cents);
        }
    }

    fn finish(&self, _: Timestamp, _: &Settings) -> Option<f64> {
        self.stretches.values().max().map(|cents| *cents as f64 / 100.0)
    }
}

#[cfg(test)]
mod tests {
    use tandem_sdk::testing::Events;

    use super::*;

    fn value(cents: &[i64], minutes: &[i64]) -> Option<f64> {
        Events::<Busiest>::new()
            .parameter("minutes", 10)
            .input("cents", cents.iter().copied())
            .input("event_time", minutes.iter().map(|minute| Timestamp::from_micros(minute * 60_000_000)))
            .value(Timestamp::from_micros(0))
            .expect("a value")
    }

    #[test]
    fn payments_of_one_stretch_add_up() {
        assert_eq!(value(&[100, 250, 300], &[0, 9, 10]), Some(3.5));
        assert_eq!(value(&[300, 100, 250], &[10, 0, 9]), Some(3.5));
        assert_eq!(value(&[-100], &[-1]), Some(-1.0));
    }

    #[test]
    fn without_payments_there_is_none() {
        assert_eq!(value(&[], &[]), None);
    }
}
