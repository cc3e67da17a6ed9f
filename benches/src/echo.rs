//! A bare axum route that parses JSON and writes it again: what HTTP and JSON cost without Tandem.

use std::future::Future;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderName, StatusCode, header};
use axum::routing::post;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::Failure;

pub(crate) async fn serve(
    listener: TcpListener,
    end: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Failure> {
    let router = Router::new().route("/v1/transforms/{name}", post(echo));
    Ok(axum::serve(listener, router).with_graceful_shutdown(end).await?)
}

type Answer = ([(HeaderName, &'static str); 1], Vec<u8>);

async fn echo(body: Bytes) -> Result<Answer, StatusCode> {
    let value: Value = serde_json::from_slice(&body).map_err(|_| StatusCode::BAD_REQUEST)?;
    let answer = serde_json::to_vec(&value).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(([(header::CONTENT_TYPE, "application/json")], answer))
}
