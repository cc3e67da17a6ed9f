//! Servers that are asked at fixed rates: at half of what they answer at most, and beyond it.

use std::time::Duration;

use super::data::Project;
use super::redis::Redis;
use super::{Contender, REQUESTS, TandemServes};
use crate::Failure;
use crate::apart::apart;
use crate::load::ask_all;
use crate::markdown::{Table, grouped, number};
use crate::race::Times;
use crate::rate::{Answers, Arrivals, ask_at};

/// Connections of a server that is asked for more than it can answer.
const CONNECTIONS: usize = 512;

/// Connections over which its most is found: few enough that none waits for as long as it may.
const CLOSED: usize = 16;

/// Its `late_millis_max`.
const LATE_MILLIS: u64 = 1;

/// What is asked of it, of its most.
const SHARES: [f64; 6] = [0.5, 0.9, 1.2, 1.5, 2.0, 3.0];

/// All contenders, at half of what the first one answers at most over so many connections; several rounds, in turns, since what else the machine does for a
/// moment decides on the slowest hundredth.
pub(super) fn at_half<const N: usize>(
    redis: &Redis,
    contenders: impl FnOnce() -> Result<[Contender; N], Failure>,
    connections: usize,
    rounds: usize,
    span: Duration,
) -> Result<String, Failure> {
    let (apart, contenders) = apart(&[redis.id()], contenders)?;
    let first = &contenders[0];
    let most = ask_all(first.process.address(), &first.requests, connections, span)?;
    let rate = most.latencies.len() as f64 / most.elapsed.as_secs_f64() * 0.5;
    let mut table = Table::new(&[
        "server",
        "arrivals",
        "requests/s asked",
        "p50, µs, median",
        "p99, µs, median (best)",
        "p99.9, µs, median (best)",
        "processor µs a request",
        "generator late, p99, µs",
        "generator idle",
    ]);
    let cases =
        || contenders.iter().flat_map(|contender| [Arrivals::Even, Arrivals::Poisson].map(|of| (contender, of)));
    // Of each case, one of each round.
    let mut found: Vec<[Vec<f64>; 6]> = cases().map(|_| Default::default()).collect();
    for _ in 0..rounds {
        for ((contender, arrivals), found) in cases().zip(&mut found) {
            let before = contender.process.cpu_seconds()?;
            let address = contender.process.address();
            let answers = ask_at(address, &contender.requests, connections * 4, (rate, arrivals), span)?;
            let cpu = (contender.process.cpu_seconds()? - before) * 1e6 / (rate * span.as_secs_f64());
            let (latencies, late) = (Times::new(answers.latencies), Times::new(answers.late));
            let latencies = [0.5, 0.99, 0.999].map(|share| latencies.quantile(share) / 1e3);
            let all = latencies.into_iter().chain([cpu, late.quantile(0.99) / 1e3, answers.idle * 100.0]);
            found.iter_mut().zip(all).for_each(|(rounds, of_round)| rounds.push(of_round));
        }
    }
    for ((contender, arrivals), found) in cases().zip(found) {
        let [p50, p99, p999, cpu, late, idle] = found.map(Times::new);
        let best = |of: &Times| format!("{} ({})", number(of.median()), number(of.min()));
        table.row(&[
            contender.name.to_owned(),
            arrivals.as_str().to_owned(),
            grouped(rate as u64),
            number(p50.median()),
            best(&p99),
            best(&p999),
            number(cpu.median()),
            number(late.median()),
            format!("{:.0} %", idle.median()),
        ]);
    }
    Ok(format!(
        "\nAt half of what Tandem answers at most{}: latencies from when a request was due (a server that cannot keep up falls behind ever more).\n\n{}",
        apart.describe(),
        table.render()
    ))
}

/// How late the generator was, and what share of the time it had nothing to do.
fn generator(late: Vec<f64>, idle: f64) -> [String; 2] {
    [number(Times::new(late).quantile(0.99) / 1e3), format!("{:.0} %", idle * 100.0)]
}

/// More is asked than can be answered, of a server that lets nothing wait for more than [`LATE_MILLIS`].
pub(super) fn overload(project: &Project, span: Duration) -> Result<String, Failure> {
    let settings = project.root.join("tandem.toml");
    let before = std::fs::read_to_string(&settings)?;
    std::fs::write(&settings, format!("{before}[server]\nlate_millis_max = {LATE_MILLIS}\n"))?;
    let started = apart(&[], || TandemServes::start(&project.root));
    std::fs::write(&settings, before)?;
    let (apart, tandem) = started?;
    let requests = project.requests(REQUESTS, |ask| ask.profile(tandem.address()));
    let most = ask_all(tandem.address(), &requests, CLOSED, span)?;
    let most = most.latencies.len() as f64 / most.elapsed.as_secs_f64();
    let mut table = Table::new(&[
        "of the most",
        "asked/s",
        "answered/s",
        "refused/s",
        "answered: p50, µs",
        "p99, µs",
        "p99, × that at 0.9",
        "refused: p50, µs",
        "p99, µs",
        "generator late, p99, µs",
        "generator idle",
    ]);
    let mut reference = None;
    for share in SHARES {
        let rate = most * share;
        let answers = ask_at(tandem.address(), &requests, CONNECTIONS, (rate, Arrivals::Poisson), span * 2)?;
        let Answers { sent, refused, late, idle, elapsed, .. } = answers;
        let per_second = |of: &[f64]| grouped((of.len() as f64 / elapsed.as_secs_f64()) as u64);
        let quantile =
            |of: &[f64], share| if of.is_empty() { f64::NAN } else { Times::new(of.to_vec()).quantile(share) / 1e3 };
        let shown = |value: f64| if value.is_nan() { String::new() } else { number(value) };
        let p99 = quantile(&sent, 0.99);
        if share == 0.9 {
            reference = Some(p99);
        }
        let ratio = reference.map_or(String::new(), |reference| format!("{:.2}", p99 / reference));
        let [late, idle] = generator(late, idle);
        table.row(&[
            format!("{share}"),
            grouped(rate as u64),
            per_second(&sent),
            per_second(&refused),
            shown(quantile(&sent, 0.5)),
            shown(p99),
            ratio,
            shown(quantile(&refused, 0.5)),
            shown(quantile(&refused, 0.99)),
            late,
            idle,
        ]);
    }
    Ok(format!(
        "\n### Overload\n\nOne user{}, with `late_millis_max = {LATE_MILLIS}` and {CONNECTIONS} connections: so many requests a second, whatever is answered, at the times of a Poisson process; a refused client does not ask again. The most is what {CLOSED} connections get that ask again when they are answered. Latencies are from when a request was sent; *before* is 0.9 of the most.\n\n{}",
        apart.describe(),
        table.render()
    ))
}
