//! Requests over connections that are kept, each sent when the one before is answered.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Failure;

/// Answers in a span of time.
#[derive(Debug)]
pub(crate) struct Answers {
    /// From request to answer, in nanoseconds.
    pub(crate) latencies: Vec<f64>,
    pub(crate) elapsed: Duration,
}

/// Asks for so long over so many connections, after a tenth of that time that does not count. Each connection sends the bodies in turns.
pub(crate) fn ask(
    address: SocketAddr,
    view: &str,
    bodies: &[&str],
    connections: usize,
    span: Duration,
) -> Result<Answers, Failure> {
    let request = |body: &&str| {
        format!(
            "POST /v1/transforms/{view} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let requests: Vec<String> = bodies.iter().map(request).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let streams = try_join_all((0..connections).map(|_| TcpStream::connect(address))).await?;
        let start = Instant::now() + span / 10;
        let asking = streams.into_iter().map(|stream| connection(stream, &requests, start, start + span));
        let latencies = try_join_all(asking).await?.concat();
        Ok(Answers { latencies, elapsed: start.elapsed() })
    })
}

async fn connection(
    mut stream: TcpStream,
    requests: &[String],
    start: Instant,
    end: Instant,
) -> Result<Vec<f64>, Failure> {
    stream.set_nodelay(true)?;
    let (mut latencies, mut buffer) = (Vec::new(), Vec::new());
    for request in requests.iter().cycle() {
        let asked = Instant::now();
        if asked >= end {
            break;
        }
        stream.write_all(request.as_bytes()).await?;
        answer(&mut stream, &mut buffer).await?;
        if asked >= start {
            latencies.push(asked.elapsed().as_nanos() as f64);
        }
    }
    Ok(latencies)
}

/// Reads one answer, which must be a success with a length.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<(), Failure> {
    buffer.clear();
    let mut whole = None;
    while whole.is_none_or(|whole| buffer.len() < whole) {
        if stream.read_buf(buffer).await? == 0 {
            return Err("the server closed the connection".into());
        }
        if whole.is_none()
            && let Some(head) = buffer.windows(4).position(|window| window == b"\r\n\r\n")
        {
            let text = std::str::from_utf8(&buffer[..head])?;
            if !text.starts_with("HTTP/1.1 200") {
                return Err(String::from_utf8_lossy(buffer).into_owned().into());
            }
            let length = text.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
            });
            whole = Some(head + 4 + length.ok_or("an answer without a length")?);
        }
    }
    Ok(())
}
