//! Requests over connections that are kept: each sent when the one before is answered, or at times that do not depend on answers.

use std::cell::Cell;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Failure;

/// Answers in a span of time.
#[derive(Debug)]
pub(crate) struct Answers {
    /// From request to answer, in nanoseconds: of those that were not refused.
    pub(crate) latencies: Vec<f64>,
    /// The same from when a request was sent, where that is another time.
    pub(crate) sent: Vec<f64>,
    /// Requests that were refused with 503.
    pub(crate) refused: usize,
    pub(crate) elapsed: Duration,
}

/// A request for `POST path`.
pub(crate) fn post(address: SocketAddr, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST {path} HTTP/1.1\r\nhost: {address}\r\n{headers}content-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

pub(crate) const JSON: &str = "content-type: application/json\r\n";

/// Asks for so long over so many connections, after a tenth of that time that does not count. Each connection sends the bodies in turns.
pub(crate) fn ask(
    address: SocketAddr,
    view: &str,
    bodies: &[&str],
    connections: usize,
    span: Duration,
) -> Result<Answers, Failure> {
    let path = format!("/v1/transforms/{view}");
    let requests: Vec<Vec<u8>> = bodies.iter().map(|body| post(address, &path, JSON, body.as_bytes())).collect();
    ask_all(address, &requests, connections, span)
}

/// The same of whole requests; a connection begins where the one before it is a step further.
pub(crate) fn ask_all(
    address: SocketAddr,
    requests: &[Vec<u8>],
    connections: usize,
    span: Duration,
) -> Result<Answers, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let streams = try_join_all((0..connections).map(|_| TcpStream::connect(address))).await?;
        let start = Instant::now() + span / 10;
        let asking = streams.into_iter().enumerate();
        let asking = asking.map(|(first, stream)| connection(stream, requests, first, start, start + span));
        let (latencies, refused) = try_join_all(asking).await?.into_iter().unzip::<_, _, Vec<_>, Vec<_>>();
        Ok(Answers {
            latencies: latencies.concat(),
            sent: Vec::new(),
            refused: refused.iter().sum(),
            elapsed: start.elapsed(),
        })
    })
}

async fn connection(
    mut stream: TcpStream,
    requests: &[Vec<u8>],
    first: usize,
    start: Instant,
    end: Instant,
) -> Result<(Vec<f64>, usize), Failure> {
    stream.set_nodelay(true)?;
    let (mut latencies, mut refused, mut buffer) = (Vec::new(), 0, Vec::new());
    for request in requests.iter().cycle().skip(first) {
        let asked = Instant::now();
        if asked >= end {
            break;
        }
        stream.write_all(request).await?;
        let taken = answer(&mut stream, &mut buffer).await?;
        if asked >= start {
            if taken {
                latencies.push(asked.elapsed().as_nanos() as f64);
            } else {
                refused += 1;
            }
        }
    }
    Ok((latencies, refused))
}

/// Asks `rate` times a second for so long, over so many connections. A request that finds no connection free waits for one, and its latency counts
/// from when it was due: whoever is slow is not asked less (Tene, "How not to measure latency", 2013).
pub(crate) fn ask_at(
    address: SocketAddr,
    requests: &[Vec<u8>],
    connections: usize,
    rate: f64,
    span: Duration,
) -> Result<Answers, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let streams = try_join_all((0..connections).map(|_| TcpStream::connect(address))).await?;
        let (next, start) = (Cell::new(0_usize), Instant::now() + Duration::from_millis(50));
        let count = (rate * span.as_secs_f64()) as usize;
        let asking = streams.into_iter().map(|mut stream| {
            let next = &next;
            async move {
                stream.set_nodelay(true)?;
                let (mut latencies, mut sent, mut refused, mut buffer) = (Vec::new(), Vec::new(), 0, Vec::new());
                loop {
                    let number = next.replace(next.get() + 1);
                    if number >= count {
                        return Ok::<_, Failure>(((latencies, sent), refused));
                    }
                    let due = start + Duration::from_secs_f64(number as f64 / rate);
                    // The timer wakes in whole milliseconds: what is left is waited out.
                    while Instant::now() < due {
                        let left = due - Instant::now();
                        if left > Duration::from_millis(2) {
                            tokio::time::sleep(left - Duration::from_millis(1)).await;
                        } else {
                            tokio::task::yield_now().await;
                        }
                    }
                    let asked = Instant::now();
                    stream.write_all(&requests[number % requests.len()]).await?;
                    let taken = answer(&mut stream, &mut buffer).await?;
                    // The first tenth warms up.
                    if number < count / 10 {
                    } else if taken {
                        latencies.push(due.elapsed().as_nanos() as f64);
                        sent.push(asked.elapsed().as_nanos() as f64);
                    } else {
                        refused += 1;
                    }
                }
            }
        });
        let (latencies, refused): (Vec<_>, Vec<usize>) = try_join_all(asking).await?.into_iter().unzip();
        let (latencies, sent): (Vec<Vec<f64>>, Vec<Vec<f64>>) = latencies.into_iter().unzip();
        let refused = refused.iter().sum();
        Ok(Answers { latencies: latencies.concat(), sent: sent.concat(), refused, elapsed: start.elapsed() })
    })
}

/// Reads one answer, which must have a length; whether it is a success, and not a refusal with 503.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<bool, Failure> {
    buffer.clear();
    let (mut whole, mut taken) = (None, true);
    while whole.is_none_or(|whole| buffer.len() < whole) {
        if stream.read_buf(buffer).await? == 0 {
            return Err("the server closed the connection".into());
        }
        if whole.is_none()
            && let Some(head) = buffer.windows(4).position(|window| window == b"\r\n\r\n")
        {
            let text = std::str::from_utf8(&buffer[..head])?;
            taken = !text.starts_with("HTTP/1.1 503");
            if taken && !text.starts_with("HTTP/1.1 200") {
                return Err(String::from_utf8_lossy(buffer).into_owned().into());
            }
            let length = text.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
            });
            whole = Some(head + 4 + length.ok_or("an answer without a length")?);
        }
    }
    Ok(taken)
}
