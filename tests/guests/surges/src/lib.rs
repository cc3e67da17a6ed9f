//! An aggregate: the greatest amount that was paid within some minutes. `cheat` names what it does that it must not.

use std::collections::BTreeMap;

use tandem_sdk::prelude::*;

#[derive(Parameters)]
pub struct Settings {
    /// How long a stretch is, in minutes.
    minutes: i64,
    cheat: Option<String>,
}

#[derive(Input)]
pub struct Payment<'a> {
    /// In cents.
    pub cents: i64,
    pub shop: Option<&'a str>,
    pub event_time: Timestamp,
}

/// What was paid in each stretch, and a trace of what came by.
#[derive(State)]
pub struct Surges {
    cents: BTreeMap<i64, i64>,
    trace: f64,
    ballast: Vec<i64>,
}

impl Settings {
    fn cheats(&self, how: &str) -> bool {
        self.cheat.as_deref() == Some(how)
    }
}

/// The greatest amount that was paid within one stretch of time.
#[aggregate]
impl Aggregate for Surges {
    type Event<'a> = Payment<'a>;
    type Value = Option<f64>;
    type Parameters = Settings;

    fn empty(_: &Settings) -> Self {
        Surges { cents: BTreeMap::new(), trace: 0.0, ballast: Vec::new() }
    }

    fn add(&mut self, event: Payment<'_>, settings: &Settings) {
        assert!(event.shop != Some("cursed"), "the shop is cursed");
        let stretch = event.event_time.micros().div_euclid(settings.minutes.max(1) * 60_000_000);
        let cents = self.cents.entry(stretch).or_default();
        *cents = cents.wrapping_add(event.cents);
        if settings.cheats("order") {
            self.trace = self.trace / 3.0 + event.cents as f64;
        }
        if settings.cheats("sum") {
            self.trace += event.cents as f64 / 7.0;
        }
        if settings.cheats("growth") {
            let place = self.ballast.partition_point(|cents| *cents < event.cents);
            self.ballast.splice(place..place, [event.cents; 16]);
        }
        if settings.cheats("split") && self.trace < 2.0 {
            self.trace += 1.0;
        }
        if settings.cheats("loop") {
            while self.ballast.len() < usize::MAX {
                self.trace += 1.0;
            }
        }
    }

    fn merge(&mut self, other: Self, settings: &Settings) {
        for (stretch, cents) in other.cents {
            let mine = self.cents.entry(stretch).or_default();
            *mine = mine.wrapping_add(cents);
        }
        if settings.cheats("left") {
            // Where both are there, the last word has the one that was there before.
            self.trace = if self.trace == 0.0 { self.cents.len() as f64 } else { self.trace };
        } else {
            self.trace += other.trace;
        }
        self.ballast.extend(other.ballast);
        self.ballast.sort_unstable();
        if settings.cheats("empty") {
            self.cents.insert(0, 1);
        }
    }

    fn finish(&self, as_of: Timestamp, settings: &Settings) -> Option<f64> {
        let greatest = self.cents.values().max()?;
        let late = if settings.cheats("late") && as_of.micros() > 0 { 1.0 } else { 0.0 };
        Some(*greatest as f64 / 100.0 + late + self.trace)
    }
}
