//! The admin pages: what is answered under which path.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::{Admin, collector};

/// What `/` says.
const INDEX: &str = "quotad\n\n\
    /metrics  what is counted, for Prometheus\n\
    /healthz  200 while the process lives\n\
    /readyz   200 while clients are served, 503 while data is loaded and after the end has begun\n";

/// The type of the text that the metrics are encoded in.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All pages. Each answers GET and HEAD; other methods get 405, other paths 404. No page reads a body.
pub(super) fn router(admin: Arc<Admin>) -> Router {
    Router::new()
        .route("/", get(|| async { INDEX }))
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .method_not_allowed_fallback(|| async { (StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n") })
        .fallback(|| async { (StatusCode::NOT_FOUND, "no such page; / lists them\n") })
        .with_state(admin)
}

async fn metrics(State(admin): State<Arc<Admin>>) -> Response {
    match collector::encode(admin) {
        Ok(text) => ([(CONTENT_TYPE, METRICS_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics could not be encoded");
            (StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be encoded\n").into_response()
        }
    }
}

async fn ready(State(admin): State<Arc<Admin>>) -> (StatusCode, String) {
    if (admin.is_ending)() {
        (StatusCode::SERVICE_UNAVAILABLE, "ending\n".to_owned())
    } else if admin.ports.lifecycle.is_loading() {
        let progress = admin.ports.lifecycle.loading_progress();
        let progress = progress
            .unwrap_or_else(|| "the truth or the store of snapshots is asked, as the log tells".to_owned());
        (StatusCode::SERVICE_UNAVAILABLE, format!("loading: {progress}\n"))
    } else {
        let loading =
            admin.ports.lifecycle.loading_progress().map(|progress| format!("loading: {progress}\n"));
        (StatusCode::OK, format!("ready\n{}", loading.unwrap_or_default()))
    }
}
