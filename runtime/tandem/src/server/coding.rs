//! Content codings (RFC 9110, section 8.4): bodies that come compressed, and answers that go so.

use std::io::{Read, Write};
use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::names;
use super::problem::{Kind, Problem};
use super::state::Server;

/// Answers of fewer bytes go as they are: a packet is a packet.
const COMPRESSED_BYTES_MIN: usize = 1_024;

/// Fast levels: the answer is awaited.
const ZSTD_LEVEL: i32 = 1;
const GZIP_LEVEL: u32 = 1;

/// Largest window of a zstd frame that is taken, as a power of two: memory that a decoder takes at once, 16 MiB.
const ZSTD_WINDOW_LOG_MAX: u32 = 24;

/// A coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Zstd,
}

impl Coding {
    /// In the order in which they are preferred.
    const ALL: [Coding; 2] = [Coding::Zstd, Coding::Gzip];

    const fn as_str(self) -> &'static str {
        match self {
            Coding::Gzip => "gzip",
            Coding::Zstd => "zstd",
        }
    }

    fn parse(text: &str) -> Option<Coding> {
        match text.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Some(Coding::Gzip),
            "zstd" => Some(Coding::Zstd),
            _ => None,
        }
    }

    /// The coding of the body; None where it has none.
    pub(super) fn of_body(headers: &HeaderMap) -> Result<Option<Coding>, Problem> {
        let mut given = headers.get_all(header::CONTENT_ENCODING).iter();
        let Some(value) = given.next() else { return Ok(None) };
        let text = String::from_utf8_lossy(value.as_bytes());
        if given.next().is_none() {
            if text.trim().eq_ignore_ascii_case("identity") {
                return Ok(None);
            }
            if let Some(coding) = Coding::parse(&text) {
                return Ok(Some(coding));
            }
        }
        let detail = format!("the body has the content encoding {:?}", names::cut(&text));
        Err(Problem::new(Kind::UnsupportedMediaType, detail).hint("send it as it is, or with one of gzip and zstd"))
    }

    /// The coding of `Accept-Encoding` (RFC 9110, section 12.5.3) that weighs most; None where the answer should go as it is.
    fn of_answer(headers: &HeaderMap) -> Option<Coding> {
        let mut weights: Vec<(String, f32)> = Vec::new();
        for value in headers.get_all(header::ACCEPT_ENCODING) {
            for part in value.to_str().unwrap_or_default().split(',') {
                let mut parts = part.split(';').map(str::trim);
                let name = parts.next().unwrap_or_default().to_ascii_lowercase();
                let weight = parts.find_map(|part| part.strip_prefix("q="));
                weights.push((name, weight.map_or(Some(1.0), |weight| weight.parse().ok()).unwrap_or(0.0)));
            }
        }
        let weight = |coding: Coding| {
            let named = weights.iter().find(|(name, _)| Coding::parse(name) == Some(coding));
            named.or_else(|| weights.iter().find(|(name, _)| name == "*")).map_or(0.0, |(_, weight)| *weight)
        };
        let identity = weights.iter().find(|(name, _)| name == "identity").map_or(0.0, |(_, weight)| *weight);
        // The first of equals: max_by would give the last.
        let best = Coding::ALL.into_iter().rev().max_by(|a, b| weight(*a).total_cmp(&weight(*b)))?;
        (weight(best) > 0.0 && weight(best) >= identity).then_some(best)
    }
}

/// The bytes of a coded body, at most `max`. Few bytes may become very many: no more are made than may be.
pub(super) fn decode(coding: Coding, body: &[u8], max: u64) -> Result<Bytes, Problem> {
    let broken = |error: &std::io::Error| {
        let detail = format!("the body is not {}: {error}", coding.as_str());
        Problem::new(Kind::InvalidCoding, detail).hint("the header Content-Encoding says how the body is compressed")
    };
    let reader: Box<dyn Read + '_> = match coding {
        Coding::Gzip => Box::new(MultiGzDecoder::new(body)),
        Coding::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(body).map_err(|error| broken(&error))?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(|error| broken(&error))?;
            Box::new(decoder)
        }
    };
    let mut whole = Vec::new();
    reader.take(max.saturating_add(1)).read_to_end(&mut whole).map_err(|error| broken(&error))?;
    if whole.len() as u64 > max {
        return Err(Problem::new(
            Kind::BodyTooLarge,
            format!("the body has more than {max} bytes once it is unpacked"),
        )
        .with("limit", "body_bytes_max")
        .with("max", max)
        .hint("send fewer rows at once, or raise `body_bytes_max` under `[server]` in tandem.toml"));
    }
    Ok(Bytes::from(whole))
}

fn encode(coding: Coding, body: &[u8]) -> std::io::Result<Vec<u8>> {
    match coding {
        Coding::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::new(GZIP_LEVEL));
            encoder.write_all(body)?;
            encoder.finish()
        }
        Coding::Zstd => zstd::stream::encode_all(body, ZSTD_LEVEL),
    }
}

/// Around every route: compresses what is large enough, for clients that take it.
pub(super) async fn compress(State(server): State<Arc<Server>>, request: Request, next: Next) -> Response {
    let coding = Coding::of_answer(request.headers());
    let response = next.run(request).await;
    let Some(coding) = coding.filter(|_| is_worth_it(&response)) else { return response };
    let (mut head, body) = response.into_parts();
    // It is in memory as a whole: every answer is made so.
    let Ok(whole) = to_bytes(body, usize::MAX).await else { return Response::from_parts(head, Body::empty()) };
    let plain = whole.clone();
    let encoded = server.compute(whole.len(), move || encode(coding, &whole)).await;
    let Ok(Ok(encoded)) = encoded else { return Response::from_parts(head, Body::from(plain)) };
    head.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.as_str()));
    head.headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
    head.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(head, Body::from(encoded))
}

fn is_worth_it(response: &Response) -> bool {
    use axum::body::HttpBody;
    let bytes = response.body().size_hint().exact().unwrap_or(0);
    bytes >= COMPRESSED_BYTES_MIN as u64 && !response.headers().contains_key(header::CONTENT_ENCODING)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_answer(accepted: &'static str) -> Option<Coding> {
        Coding::of_answer(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(accepted))]))
    }

    #[test]
    fn the_coding_that_weighs_most_is_taken() {
        for (accepted, coding) in [
            ("gzip", Some(Coding::Gzip)),
            ("gzip, zstd", Some(Coding::Zstd)),
            ("gzip;q=1.0, zstd;q=0.5", Some(Coding::Gzip)),
            ("br, *;q=0.1", Some(Coding::Zstd)),
            ("*;q=0", None),
            ("gzip;q=0", None),
            ("identity, gzip;q=0.5", None),
            ("identity;q=0.5, gzip", Some(Coding::Gzip)),
            ("br", None),
            ("", None),
            ("gzip;q=much", None),
        ] {
            assert_eq!(of_answer(accepted), coding, "{accepted:?}");
        }
        assert_eq!(Coding::of_answer(&HeaderMap::new()), None);
    }

    #[test]
    fn the_coding_of_a_body_is_one_of_those_that_are_taken() {
        let of = |text: &'static str| {
            Coding::of_body(&HeaderMap::from_iter([(header::CONTENT_ENCODING, HeaderValue::from_static(text))]))
        };
        assert_eq!(Coding::of_body(&HeaderMap::new()), Ok(None));
        assert_eq!(
            [of("identity"), of("GZIP"), of("zstd")],
            [Ok(None), Ok(Some(Coding::Gzip)), Ok(Some(Coding::Zstd))]
        );
        for wrong in ["br", "gzip, zstd", ""] {
            assert_eq!(of(wrong).unwrap_err().kind, Kind::UnsupportedMediaType, "{wrong}");
        }
    }

    #[test]
    fn bodies_come_back_and_never_larger_than_they_may() {
        let text = b"features ".repeat(1_000);
        for coding in Coding::ALL {
            let coded = encode(coding, &text).unwrap();
            assert!(coded.len() < 200, "{coding:?}: {}", coded.len());
            assert_eq!(decode(coding, &coded, text.len() as u64).unwrap(), text);
            let problem = decode(coding, &coded, text.len() as u64 - 1).unwrap_err();
            assert_eq!(problem.kind, Kind::BodyTooLarge);
            for broken in [&coded[..coded.len() - 5], b"{\"rows\": []}", &[]] {
                let problem = decode(coding, broken, 1 << 20).unwrap_err();
                assert_eq!(problem.kind, Kind::InvalidCoding, "{coding:?} {broken:?}");
            }
        }
    }

    #[test]
    fn a_bomb_is_given_up_before_it_is_unpacked() {
        let bomb = encode(Coding::Zstd, &vec![0; 200 << 20]).unwrap();
        assert!(bomb.len() < 1 << 20);
        assert_eq!(decode(Coding::Zstd, &bomb, 1 << 20).unwrap_err().kind, Kind::BodyTooLarge);
    }
}
