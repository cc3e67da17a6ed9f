//! One row on demand over HTTP, against a bare axum route that echoes the same JSON.

use std::path::Path;
use std::time::Duration;

use crate::Failure;
use crate::child::{RISK, Served, Task};
use crate::load::ask;
use crate::markdown::{Table, grouped, number};
use crate::project::quickstart;
use crate::race::Times;

/// Connections at a time.
const CONNECTIONS: [usize; 3] = [1, 8, 64];

/// What is asked: the row of the quickstart.
pub(crate) const BODY: &str = r#"{"rows": [{"amount": 129.5, "merchant": "  CAFÉ Ñandú ", "card_present": false, "latitude": 48.2, "longitude": 16.37, "home_latitude": 52.52, "home_longitude": 13.4}]}"#;

/// Rows of the project's data, which nobody asks for here.
const ROWS: usize = 16_000;

#[derive(Default)]
struct Samples {
    per_second: Vec<f64>,
    cpu_micros: Vec<f64>,
    latencies: Vec<f64>,
}

/// Markdown of the section.
pub(crate) fn run(quick: bool) -> Result<String, Failure> {
    let (rounds, span) = if quick { (1, Duration::from_millis(200)) } else { (7, Duration::from_secs(2)) };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let project = quickstart(ROWS)?;
    let mut table = Table::new(&[
        "server",
        "connections",
        "requests/s, median (best)",
        "× echo, median (best)",
        "p50, µs",
        "p99, µs",
        "processor µs a request",
    ]);
    for connections in CONNECTIONS {
        let [tandem, echo] = race(&project, threads, connections, rounds, span)?;
        let ratio = |of: fn(&Times) -> f64| of(&tandem.per_second) / of(&echo.per_second);
        let ratios = format!("{:.2} ({:.2})", ratio(Times::median), ratio(|times| times.quantile(1.0)));
        for (name, figures, ratios) in [("Tandem", &tandem, ratios), ("axum, echo", &echo, String::new())] {
            let per_second = |value: f64| grouped(value as u64);
            table.row(&[
                name.to_owned(),
                connections.to_string(),
                format!(
                    "{} ({})",
                    per_second(figures.per_second.median()),
                    per_second(figures.per_second.quantile(1.0))
                ),
                ratios,
                number(figures.latencies.median() / 1e3),
                number(figures.latencies.quantile(0.99) / 1e3),
                number(figures.cpu_micros.median()),
            ]);
        }
    }
    Ok(format!(
        "\n## HTTP: one row on demand\n\nThe quickstart's transform: 8 inputs, 11 features, JSON both ways. Each server is a process of its own with {threads} threads; the load generator has a third process and shares the {threads} cores, one request at a time on each connection, {rounds} spans of {} s each, in turns. Every request gets a fresh instance, and is tried on the thread that has it.\n\n{}",
        span.as_secs_f64(),
        table.render()
    ))
}

struct Figures {
    per_second: Times,
    cpu_micros: Times,
    latencies: Times,
}

fn race(
    project: &Path,
    threads: usize,
    connections: usize,
    rounds: usize,
    span: Duration,
) -> Result<[Figures; 2], Failure> {
    let servers = [Served::start(Task::Serve, project, threads)?, Served::start(Task::Echo, project, threads)?];
    let mut samples = [Samples::default(), Samples::default()];
    for _ in 0..rounds {
        for (server, samples) in std::iter::zip(&servers, &mut samples) {
            let before = server.cpu_seconds()?;
            let answers = ask(server.address, RISK, &[BODY], connections, span)?;
            let count = answers.latencies.len() as f64;
            // The processor time is that of the time before the span, too, a tenth of it.
            samples.cpu_micros.push((server.cpu_seconds()? - before) * 1e6 / (count * 1.1));
            samples.per_second.push(count / answers.elapsed.as_secs_f64());
            samples.latencies.extend(answers.latencies);
        }
    }
    Ok(samples.map(|samples| Figures {
        per_second: Times::new(samples.per_second),
        cpu_micros: Times::new(samples.cpu_micros),
        latencies: Times::new(samples.latencies),
    }))
}
