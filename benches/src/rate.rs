//! Requests at times that do not depend on answers. One thread sends them and reads the answers, and never sleeps: what it measures is the server's, and by how
//! much it was late itself is told beside.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::Failure;
use crate::load::Head;
use crate::training::Random;

/// A server that answers nothing for so long is not measured any more.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// When requests are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrivals {
    /// Each as long after the one before.
    Even,
    /// Independent of each other, as those of many clients are: a Poisson process.
    Poisson,
}

impl Arrivals {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Arrivals::Even => "even",
            Arrivals::Poisson => "Poisson",
        }
    }

    /// So many times, from the start on, at `rate` a second.
    fn times(self, rate: f64, count: usize) -> Vec<Duration> {
        let mut random = Random(11);
        let mut last = 0.0;
        let times = (0..count).map(|number| {
            last = match self {
                Arrivals::Even => number as f64 / rate,
                Arrivals::Poisson => last - (1.0 - random.share()).ln() / rate,
            };
            Duration::from_secs_f64(last)
        });
        times.collect()
    }
}

/// What became of requests; the first tenth is not in it. All times in nanoseconds.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// From when a request was due, of those that were answered.
    pub(crate) latencies: Vec<f64>,
    /// The same from when it was sent.
    pub(crate) sent: Vec<f64>,
    /// From when it was sent, of those that were refused with 503.
    pub(crate) refused: Vec<f64>,
    /// By how much the generator was late: from when a request was due, and a connection was free, to when it was sent.
    pub(crate) late: Vec<f64>,
    /// From when the first was due to when the last was answered.
    pub(crate) elapsed: Duration,
    /// The share of the time in which the generator had nothing to do.
    pub(crate) idle: f64,
}

struct Connection {
    stream: TcpStream,
    /// The number of the request that is under way, and when it was sent.
    asked: Option<(usize, Instant)>,
    head: Head,
}

/// Asks `rate` times a second for so long, over so many connections. A request that finds no connection free waits for one, and its latency counts from when it was
/// due: whoever is slow is not asked less (Tene, "How not to measure latency", 2013).
pub(crate) fn ask_at(
    address: SocketAddr,
    requests: &[Vec<u8>],
    connections: usize,
    (rate, arrivals): (f64, Arrivals),
    span: Duration,
) -> Result<Answers, Failure> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(connections.max(16));
    let mut open = Vec::with_capacity(connections);
    for number in 0..connections {
        let stream = std::net::TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        poll.registry().register(&mut stream, Token(number), Interest::READABLE)?;
        open.push(Connection { stream, asked: None, head: Head::default() });
    }
    let count = (rate * span.as_secs_f64()) as usize;
    let counted = count / 10; // what is before warms up
    let due = arrivals.times(rate, count);
    let mut found = Answers::default();
    let (mut free, mut free_since): (VecDeque<usize>, Instant) = ((0..connections).collect(), Instant::now());
    let (mut next, mut answered, mut scratch) = (0, 0, vec![0; 256 << 10]);
    let start = Instant::now() + Duration::from_millis(20);
    let (mut idle, mut last) = (Duration::ZERO, Instant::now());
    while answered < count {
        let begin = Instant::now();
        let mut is_idle = true;
        while next < count && begin >= start + due[next] && !free.is_empty() {
            let connection = &mut open[free.pop_front().expect("one is free")];
            let asked = Instant::now();
            // A request is small, and the connection has nothing else to send: it takes all of it.
            connection.stream.write_all(&requests[next % requests.len()])?;
            connection.asked = Some((next, asked));
            if next >= counted {
                found.late.push((asked - free_since.max(start + due[next])).as_nanos() as f64);
            }
            next += 1;
            is_idle = false;
        }
        match poll.poll(&mut events, Some(Duration::ZERO)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            other => other?,
        }
        for event in &events {
            is_idle = false;
            let number = event.token().0;
            let connection = &mut open[number];
            let Some(taken) = connection.read(&mut scratch)? else { continue };
            let (request, sent) = connection.asked.take().ok_or("an answer that nobody asked for")?;
            last = Instant::now();
            if request >= counted {
                let took = (last - sent).as_nanos() as f64;
                if taken {
                    found.latencies.push((last - (start + due[request])).as_nanos() as f64);
                    found.sent.push(took);
                } else {
                    found.refused.push(took);
                }
            }
            if free.is_empty() {
                free_since = last;
            }
            free.push_back(number);
            answered += 1;
        }
        if is_idle {
            let now = Instant::now();
            idle += now - begin;
            if now - last > SILENCE_MAX && now > start + SILENCE_MAX {
                return Err(format!("{address} answers nothing").into());
            }
        }
    }
    found.idle = idle.as_secs_f64() / (last - start).as_secs_f64();
    found.elapsed = last - (start + due.get(counted).copied().unwrap_or_default());
    Ok(found)
}

impl Connection {
    /// Reads what is there; whether the request was taken, once its answer is whole.
    fn read(&mut self, scratch: &mut [u8]) -> Result<Option<bool>, Failure> {
        loop {
            match self.stream.read(scratch) {
                Ok(0) => return Err("the server closed the connection".into()),
                Ok(bytes) => {
                    if let Some(taken) = self.head.read(&scratch[..bytes])? {
                        return Ok(Some(taken));
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
