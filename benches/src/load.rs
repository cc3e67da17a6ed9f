//! Requests over connections that are kept, each sent when the one before is answered. Those at times that do not depend on answers are `rate`'s.

use std::cell::RefCell;
use std::io::{Read as _, Write as _};
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
        Ok(Answers { latencies: latencies.concat(), refused: refused.iter().sum(), elapsed: start.elapsed() })
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
    let (mut latencies, mut refused, mut buffer) = (Vec::new(), 0, Vec::with_capacity(256 << 10));
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

/// Asks each request once, in order, as fast as they are answered over so many connections.
pub(crate) fn ask_each(address: SocketAddr, requests: &[Vec<u8>], connections: usize) -> Result<Answers, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let streams = try_join_all((0..connections).map(|_| TcpStream::connect(address))).await?;
        let (left, start) = (RefCell::new(requests.iter()), Instant::now());
        let asking = streams.into_iter().map(|mut stream| {
            let left = &left;
            async move {
                stream.set_nodelay(true)?;
                let (mut latencies, mut refused, mut buffer) = (Vec::new(), 0, Vec::with_capacity(64 << 10));
                loop {
                    let Some(request) = left.borrow_mut().next() else { return Ok::<_, Failure>((latencies, refused)) };
                    let asked = Instant::now();
                    stream.write_all(request).await?;
                    if answer(&mut stream, &mut buffer).await? {
                        latencies.push(asked.elapsed().as_nanos() as f64);
                    } else {
                        refused += 1;
                    }
                }
            }
        });
        let (latencies, refused): (Vec<_>, Vec<usize>) = try_join_all(asking).await?.into_iter().unzip();
        Ok(Answers { latencies: latencies.concat(), refused: refused.iter().sum(), elapsed: start.elapsed() })
    })
}

/// The body of the answer to one request.
pub(crate) fn body_of(address: SocketAddr, request: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut stream = std::net::TcpStream::connect(address)?;
    stream.write_all(request)?;
    let (mut head, mut whole, mut scratch) = (Head::default(), Vec::new(), [0; 4096]);
    loop {
        let bytes = stream.read(&mut scratch)?;
        whole.extend_from_slice(&scratch[..bytes]);
        let read = head.read(&scratch[..bytes])?;
        if bytes == 0 || read == Some(false) {
            return Err(String::from_utf8_lossy(&whole).into_owned().into());
        }
        if read == Some(true) {
            let end = whole.windows(4).position(|window| window == b"\r\n\r\n").ok_or("an answer without a head")?;
            return Ok(whole.split_off(end + 4));
        }
    }
}

/// An answer that is being read.
#[derive(Debug, Default)]
pub(crate) struct Head {
    /// What is there of the head, and perhaps of the body.
    bytes: Vec<u8>,
    /// Whether it is a success, and how much of the body is to come, once the head is whole.
    whole: Option<(bool, usize)>,
}

impl Head {
    /// Takes the next bytes; whether the answer is a success, and not a refusal with 503, once it is whole. Then it stands ready for the next one.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Result<Option<bool>, Failure> {
        let (taken, left) = match self.whole {
            Some((taken, left)) => (taken, left.checked_sub(bytes.len()).ok_or("more than an answer")?),
            None => {
                self.bytes.extend_from_slice(bytes);
                let Some(head) = self.bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
                    return Ok(None);
                };
                let text = std::str::from_utf8(&self.bytes[..head])?;
                let taken = !text.starts_with("HTTP/1.1 503");
                if taken && !text.starts_with("HTTP/1.1 200") {
                    return Err(String::from_utf8_lossy(&self.bytes).into_owned().into());
                }
                let length = text.lines().find_map(|line| {
                    let (name, value) = line.split_once(':')?;
                    name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
                });
                let length = length.ok_or("an answer without a length")?;
                (taken, (head + 4 + length).checked_sub(self.bytes.len()).ok_or("more than an answer")?)
            }
        };
        if left > 0 {
            self.whole = Some((taken, left));
            return Ok(None);
        }
        self.bytes.clear();
        self.whole = None;
        Ok(Some(taken))
    }
}

/// Reads one answer; whether it is a success, and not a refusal with 503.
async fn answer(stream: &mut TcpStream, scratch: &mut Vec<u8>) -> Result<bool, Failure> {
    let mut head = Head::default();
    loop {
        scratch.clear();
        if stream.read_buf(scratch).await? == 0 {
            return Err("the server closed the connection".into());
        }
        if let Some(taken) = head.read(scratch)? {
            return Ok(taken);
        }
    }
}
