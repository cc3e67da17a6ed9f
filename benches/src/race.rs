//! Contenders timed in turns, so that whatever else the machine does meets them all alike.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// Something to be timed.
pub(crate) struct Contender<'a> {
    run: Box<dyn FnMut() + 'a>,
}

impl<'a> Contender<'a> {
    pub(crate) fn new<T>(mut run: impl FnMut() -> T + 'a) -> Contender<'a> {
        Contender { run: Box::new(move || drop(black_box(run()))) }
    }

    fn time(&mut self, calls: u32) -> Duration {
        let start = Instant::now();
        for _ in 0..calls {
            (self.run)();
        }
        start.elapsed()
    }
}

/// How long to race.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Course {
    rounds: usize,
    /// A sample is as many calls as take at least so long.
    sample_min: Duration,
}

impl Course {
    /// For contenders of which some take long.
    pub(crate) fn of(rounds: usize, sample_min: Duration) -> Course {
        Course { rounds, sample_min }
    }

    pub(crate) fn new(quick: bool) -> Course {
        if quick {
            Course { rounds: 3, sample_min: Duration::from_micros(200) }
        } else {
            Course { rounds: 61, sample_min: Duration::from_millis(4) }
        }
    }
}

/// Times of one call, in nanoseconds.
#[derive(Debug, Clone)]
pub(crate) struct Times {
    sorted: Vec<f64>,
}

impl Times {
    pub(crate) fn new(mut samples: Vec<f64>) -> Times {
        samples.sort_by(f64::total_cmp);
        Times { sorted: samples }
    }

    pub(crate) fn min(&self) -> f64 {
        self.sorted[0]
    }

    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The smallest sample that so large a share of all does not exceed.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let rank = (share * self.sorted.len() as f64).ceil() as usize;
        self.sorted[rank.clamp(1, self.sorted.len()) - 1]
    }
}

/// Runs the contenders A B C A B C …; gives the times of each.
pub(crate) fn race(course: Course, contenders: &mut [Contender<'_>]) -> Vec<Times> {
    let calls: Vec<u32> = contenders.iter_mut().map(|contender| calibrate(contender, course.sample_min)).collect();
    let mut samples = vec![Vec::with_capacity(course.rounds); contenders.len()];
    for _ in 0..course.rounds {
        for (at, contender) in contenders.iter_mut().enumerate() {
            contender.time(1); // its data back into the caches that the others used
            let elapsed = contender.time(calls[at]);
            samples[at].push(elapsed.as_nanos() as f64 / f64::from(calls[at]));
        }
    }
    samples.into_iter().map(Times::new).collect()
}

fn calibrate(contender: &mut Contender<'_>, sample_min: Duration) -> u32 {
    contender.time(2); // warm
    let mut calls = 1;
    loop {
        let elapsed = contender.time(calls);
        if elapsed >= sample_min || calls >= 1 << 24 {
            return calls;
        }
        let factor = sample_min.as_secs_f64() / elapsed.as_secs_f64().max(1e-9);
        calls = (f64::from(calls) * factor.clamp(1.2, 10.0)).ceil() as u32;
    }
}
