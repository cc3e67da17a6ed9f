//! The body of a request within its limits, and media types.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use futures::StreamExt;
use tandem_core::definition::ServerSettings;
use tokio::time::{Instant, timeout_at};

use super::coding::{self, Coding};
use super::names;
use super::problem::{Kind, Problem};
use super::state::Server;

pub(super) const JSON: &str = "application/json";
pub(super) const ARROW_STREAM: &str = "application/vnd.apache.arrow.stream";

/// Bounds of decoding.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) rows_max: usize,
    pub(super) body_bytes_max: u64,
}

impl Bounds {
    pub(super) fn of(settings: &ServerSettings) -> Self {
        Bounds { rows_max: settings.rows_max, body_bytes_max: settings.body_bytes_max }
    }
}

/// How columns are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Media {
    Json,
    ArrowStream,
}

impl Media {
    const ALL: [Media; 2] = [Media::Json, Media::ArrowStream];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Media::Json => JSON,
            Media::ArrowStream => ARROW_STREAM,
        }
    }

    /// The media type of the body; one of `taken`.
    pub(super) fn of_body(headers: &HeaderMap, taken: &[Media]) -> Result<Media, Problem> {
        let names: Vec<&str> = taken.iter().map(|media| media.as_str()).collect();
        let refuse = |found: String| {
            Problem::new(Kind::UnsupportedMediaType, found).hint(format!("send {}", names.join(" or ")))
        };
        let Some(value) = headers.get(header::CONTENT_TYPE) else {
            return Err(refuse("the request has no Content-Type".to_owned()));
        };
        let text = String::from_utf8_lossy(value.as_bytes());
        let essence = text.split(';').next().unwrap_or_default().trim();
        let media = taken.iter().find(|media| essence.eq_ignore_ascii_case(media.as_str()));
        media.copied().ok_or_else(|| refuse(format!("the body has the media type {:?}", names::cut(essence))))
    }

    /// The media type of the answer: of those that `Accept` (RFC 9110, section 12.5.1) weighs most, that of the body.
    pub(super) fn of_answer(headers: &HeaderMap, body: Media) -> Result<Media, Problem> {
        let mut ranges = Vec::new();
        for value in headers.get_all(header::ACCEPT) {
            let text = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
            ranges.extend(text.split(',').filter_map(Range::parse));
        }
        if ranges.is_empty() {
            return Ok(body);
        }
        let weight = |media: Media| {
            // The most specific range that matches decides.
            let matching = ranges.iter().filter(|range| range.matches(media));
            matching.max_by_key(|range| range.specificity()).map_or(0, |range| range.thousandths)
        };
        let best = Media::ALL.into_iter().max_by_key(|media| (weight(*media), *media == body)).unwrap_or(body);
        if weight(best) > 0 {
            return Ok(best);
        }
        Err(Problem::new(Kind::NotAcceptable, "the request accepts no media type that this route gives")
            .hint(format!("accept {JSON} or {ARROW_STREAM}")))
    }
}

/// A media range of `Accept`, in lower case, with its weight.
struct Range {
    essence: String,
    thousandths: u32,
}

impl Range {
    fn parse(text: &str) -> Option<Range> {
        let mut parts = text.split(';').map(str::trim);
        let essence = parts.next().filter(|essence| !essence.is_empty())?.to_owned();
        let weight = parts.find_map(|part| part.strip_prefix("q="));
        let weight = weight.map_or(Some(1.0), |weight| weight.trim().parse::<f32>().ok())?;
        Some(Range { essence, thousandths: (weight.clamp(0.0, 1.0) * 1000.0) as u32 })
    }

    fn matches(&self, media: Media) -> bool {
        self.specificity() == 0 || self.essence == "application/*" || self.essence == media.as_str()
    }

    fn specificity(&self) -> u8 {
        match self.essence.as_str() {
            "*/*" | "*" => 0,
            range if range.ends_with("/*") => 1,
            _ => 2,
        }
    }
}

/// Reads the whole body until `deadline`, and unpacks it; at most `body_bytes_max`, before and after.
pub(super) async fn read(
    server: &Server,
    headers: &HeaderMap,
    body: Body,
    deadline: Instant,
) -> Result<Bytes, Problem> {
    let coding = Coding::of_body(headers)?;
    let body = receive(headers, body, &server.settings, deadline).await?;
    let Some(coding) = coding else { return Ok(body) };
    let max = server.settings.body_bytes_max;
    // It may be many times as large once it is unpacked.
    server.on_worker(move || coding::decode(coding, &body, max)).await?
}

/// The body as it is sent.
async fn receive(
    headers: &HeaderMap,
    body: Body,
    settings: &ServerSettings,
    deadline: Instant,
) -> Result<Bytes, Problem> {
    let max = settings.body_bytes_max;
    let too_large = || {
        Problem::new(Kind::BodyTooLarge, format!("the body has more than {max} bytes"))
            .with("limit", "body_bytes_max")
            .with("max", max)
            .hint("send fewer rows at once, or raise `body_bytes_max` under `[server]` in tandem.toml")
    };
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    // Before reading, so that a client that waits for `100 Continue` need not send it.
    if announced.is_some_and(|announced| announced > max) {
        return Err(too_large());
    }
    let read = async {
        let mut stream = body.into_data_stream();
        let mut whole: Vec<u8> = Vec::new();
        while let Some(part) = stream.next().await {
            let part = part.map_err(|_| {
                Problem::new(Kind::IncompleteBody, format!("the body ended after {} bytes", whole.len()))
            })?;
            if (whole.len() + part.len()) as u64 > max {
                return Err(too_large());
            }
            if whole.is_empty() && announced == Some(part.len() as u64) {
                return Ok(part); // the usual small request: one part, no copy
            }
            whole.extend_from_slice(&part);
        }
        Ok(Bytes::from(whole))
    };
    timeout_at(deadline, read).await.unwrap_or_else(|_| {
        let seconds = settings.request_seconds_max;
        Err(Problem::new(Kind::RequestTimeout, format!("the body was not complete after {seconds} seconds"))
            .with("limit", "request_seconds_max")
            .with("max", seconds))
    })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn content_types_are_read_without_parameters() {
        let of = |value| Media::of_body(&headers(header::CONTENT_TYPE, value), &Media::ALL);
        assert_eq!(of("application/json"), Ok(Media::Json));
        assert_eq!(of("Application/JSON; charset=utf-8"), Ok(Media::Json));
        assert_eq!(of("application/vnd.apache.arrow.stream"), Ok(Media::ArrowStream));
        for wrong in ["text/plain", "application/json2", "", "application/vnd.apache.arrow.file"] {
            assert_eq!(of(wrong).unwrap_err().kind, Kind::UnsupportedMediaType, "{wrong}");
        }
        assert_eq!(Media::of_body(&HeaderMap::new(), &Media::ALL).unwrap_err().kind, Kind::UnsupportedMediaType);
    }

    #[test]
    fn accept_is_weighed() {
        let of = |value, body| Media::of_answer(&headers(header::ACCEPT, value), body).map_err(|problem| problem.kind);
        let (json, arrow) = (Media::Json, Media::ArrowStream);
        assert_eq!(Media::of_answer(&HeaderMap::new(), arrow), Ok(arrow));
        assert_eq!(of("*/*", arrow), Ok(arrow));
        assert_eq!(of("*/*", json), Ok(json));
        assert_eq!(of("application/json", arrow), Ok(json));
        assert_eq!(of("application/vnd.apache.arrow.stream, application/json;q=0.5", json), Ok(arrow));
        assert_eq!(of("application/json;q=0, */*;q=0.1", json), Ok(arrow));
        assert_eq!(of("text/html, application/*;q=0.8", json), Ok(json));
        assert_eq!(of("text/html", json), Err(Kind::NotAcceptable));
        assert_eq!(of("application/json;q=0", json), Err(Kind::NotAcceptable));
    }
}
