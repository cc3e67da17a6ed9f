//! A well-behaved view under load, alone and beside one that attacks.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use crate::Failure;
use crate::child::{ATTACKS, RISK, Served, Task};
use crate::http::BODY;
use crate::load::{Answers, ask};
use crate::markdown::{Table, grouped, number};
use crate::project::attacked;
use crate::race::Times;

/// Connections of the view that behaves, and of the one that attacks.
const CONNECTIONS: [(usize, usize); 4] = [(1, 1), (1, 8), (8, 1), (8, 8)];

/// Attacks, in turns: a panic, an endless loop, memory without end, endless recursion, a message without end, a row too few, what is no
/// UTF-8. They are the modes of `tests/guests/misbehaving`, all under the limits that a view has by default.
const MODES: [u8; 7] = [1, 2, 3, 4, 7, 10, 20];

/// Markdown of the section.
pub(crate) fn run(quick: bool) -> Result<String, Failure> {
    let (rounds, span) = if quick { (1, Duration::from_millis(500)) } else { (7, Duration::from_secs(2)) };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let project = attacked()?;
    let bodies: Vec<String> = MODES.iter().map(|mode| format!(r#"{{"rows": [{{"mode": {mode}}}]}}"#)).collect();
    let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
    let server = Served::start(Task::ServeAttacked, &project, threads)?;
    let mut table = Table::new(&[
        "connections",
        "attacking",
        "attacks/s",
        "requests/s alone",
        "requests/s beside",
        "p50 alone, µs",
        "p50 beside, µs",
        "p99 alone, µs",
        "p99 beside, µs",
        "p99, × alone",
    ]);
    for (connections, attacking) in CONNECTIONS {
        let (mut alone, mut beside, mut attacks) = (Sample::default(), Sample::default(), Sample::default());
        for _ in 0..rounds {
            alone.add(ask(server.address, RISK, &[BODY], connections, span)?);
            let (answers, answered) = both(server.address, connections, &bodies, attacking, span)?;
            beside.add(answers);
            attacks.add(answered);
        }
        let (attacks, alone, beside) = (attacks.per_second(), alone.times()?, beside.times()?);
        let micros = |times: &Times, share: f64| times.quantile(share) / 1e3;
        table.row(&[
            connections.to_string(),
            attacking.to_string(),
            number(attacks),
            grouped(alone.0 as u64),
            grouped(beside.0 as u64),
            number(micros(&alone.1, 0.5)),
            number(micros(&beside.1, 0.5)),
            number(micros(&alone.1, 0.99)),
            number(micros(&beside.1, 0.99)),
            format!("{:.2}", micros(&beside.1, 0.99) / micros(&alone.1, 0.99)),
        ]);
    }
    Ok(format!(
        "\n## Neighbours: one view beside another that attacks\n\nOne server with {threads} threads for requests and {threads} workers. The quickstart's view is asked for one row at a time on each of its connections, {rounds} spans of {} s alone and as many beside attacks, in turns; the load generator shares the machine. Each attacking connection sends attack after attack: a panic, an endless loop, memory without end, endless recursion, a message without end, a row too few, what is no UTF-8; all under the default limits, and all answered.\n\n{}",
        span.as_secs_f64(),
        table.render()
    ))
}

/// Asks both views for the same span; those of the one that behaves come first.
fn both(
    address: SocketAddr,
    connections: usize,
    attacks: &[&str],
    attacking: usize,
    span: Duration,
) -> Result<(Answers, Answers), Failure> {
    thread::scope(|scope| {
        let attacks = scope.spawn(move || ask(address, ATTACKS, attacks, attacking, span));
        let answers = ask(address, RISK, &[BODY], connections, span)?;
        let attacks = attacks.join().map_err(|_| "the thread of the attacks panicked")??;
        Ok((answers, attacks))
    })
}

/// Answers of several spans.
#[derive(Default)]
struct Sample {
    latencies: Vec<f64>,
    elapsed: Duration,
}

impl Sample {
    fn add(&mut self, answers: Answers) {
        self.latencies.extend(answers.latencies);
        self.elapsed += answers.elapsed;
    }

    fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// Requests a second, and their latencies in nanoseconds.
    fn times(self) -> Result<(f64, Times), Failure> {
        if self.latencies.is_empty() {
            return Err("no request was answered within a span".into());
        }
        Ok((self.per_second(), Times::new(self.latencies)))
    }
}
