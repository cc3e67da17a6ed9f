//! A circuit breaker: a transform whose calls keep failing is not called for a while.
//!
//! The states are those of Nygard, "Release It!" (2007): closed, until so many calls failed one after the other; then open, and nothing is called;
//! after a pause half open, when one call is tried, which closes it or opens it again. Pure: whoever asks says what time it is.

use std::time::{Duration, Instant};

/// Bounds of a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerOptions {
    /// Calls that fail one after the other until it opens, at least 1. Default: 20.
    pub failures: u32,
    /// How long nothing is called then. Default: 5 s.
    pub pause: Duration,
}

impl Default for BreakerOptions {
    fn default() -> Self {
        BreakerOptions { failures: 20, pause: Duration::from_secs(5) }
    }
}

/// How a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Calls go through; so many failed since the last that did not.
    Closed { failures: u32 },
    /// None goes through before this instant.
    Open { until: Instant },
    /// One is under way that decides. Should nothing be heard of it, another one may after this instant.
    HalfOpen { until: Instant },
}

/// The breaker of one transform.
#[derive(Debug)]
pub(crate) struct Breaker {
    options: BreakerOptions,
    state: State,
}

impl Breaker {
    pub(crate) fn new(options: BreakerOptions) -> Self {
        Breaker { options, state: State::Closed { failures: 0 } }
    }

    /// Whether a call may go through now.
    ///
    /// # Errors
    ///
    /// How long it is open for at least.
    pub(crate) fn admit(&mut self, now: Instant) -> Result<(), Duration> {
        match self.state {
            State::Closed { .. } => Ok(()),
            State::Open { until } | State::HalfOpen { until } if now < until => Err(until - now),
            State::Open { .. } | State::HalfOpen { .. } => {
                self.state = State::HalfOpen { until: now + self.options.pause };
                Ok(())
            }
        }
    }

    /// What came of a call that went through. Whether it opened now.
    pub(crate) fn record(&mut self, failed: bool, now: Instant) -> bool {
        let open = State::Open { until: now + self.options.pause };
        let before = self.state;
        self.state = match (before, failed) {
            (State::Closed { .. } | State::HalfOpen { .. }, false) => State::Closed { failures: 0 },
            (State::Closed { failures }, true) if failures + 1 < self.options.failures => {
                State::Closed { failures: failures + 1 }
            }
            (State::Closed { .. } | State::HalfOpen { .. }, true) => open,
            // Calls from before it opened say nothing new.
            (State::Open { .. }, _) => before,
        };
        self.state != before && self.state == open
    }

    /// Its bounds.
    pub(crate) fn options(&self) -> BreakerOptions {
        self.options
    }

    /// Whether calls are kept back.
    pub(crate) fn is_open(&self) -> bool {
        !matches!(self.state, State::Closed { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(5);

    fn breaker() -> Breaker {
        Breaker::new(BreakerOptions { failures: 3, pause: PAUSE })
    }

    fn fail(breaker: &mut Breaker, now: Instant) {
        (0..3).for_each(|_| _ = breaker.record(true, now));
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_one_call_tries_again() {
        let (mut breaker, start) = (breaker(), Instant::now());
        for failed in [true, true, false, true, true] {
            assert_eq!(breaker.admit(start), Ok(()));
            assert!(!breaker.record(failed, start), "a success between starts the count anew");
        }
        assert!(breaker.record(true, start), "the third in a row opens it");
        assert!(!breaker.record(true, start), "which is said once");
        assert!(breaker.is_open());
        assert_eq!(breaker.admit(start + Duration::from_secs(2)), Err(Duration::from_secs(3)));

        let again = start + PAUSE;
        assert_eq!(breaker.admit(again), Ok(()), "one call may try");
        assert_eq!(breaker.admit(again), Err(PAUSE), "and no other beside it");
        assert!(breaker.record(true, again), "it failed: open again");
        assert_eq!(breaker.admit(again), Err(PAUSE));
        assert_eq!(breaker.admit(again + PAUSE), Ok(()));
        assert!(!breaker.record(false, again + PAUSE));
        assert!(!breaker.is_open());
        assert_eq!(breaker.admit(again + PAUSE), Ok(()));
    }

    #[test]
    fn a_trial_that_is_never_heard_of_is_followed_by_another() {
        let (mut breaker, start) = (breaker(), Instant::now());
        fail(&mut breaker, start);
        assert_eq!(breaker.admit(start + PAUSE), Ok(()));
        assert_eq!(breaker.admit(start + PAUSE * 2), Ok(()), "after another pause");
    }

    #[test]
    fn late_answers_of_old_calls_change_nothing_while_it_is_open() {
        let (mut breaker, start) = (breaker(), Instant::now());
        fail(&mut breaker, start);
        assert!(!breaker.record(false, start));
        assert!(breaker.is_open());
    }
}
