//! What is served: a router of pages, each of which only reads.

use axum::{
    Router,
    extract::State,
    http::{HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};

use super::{Web, page};
use crate::{
    host::clock::monotonic_ns,
    telemetry::{metrics::CONTENT_TYPE, view::View},
};
use unjack_core::text;

const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const HTML: &str = "text/html; charset=utf-8";

/// All pages. `web.telemetry_path` is in its accepted form.
pub(super) fn router(web: Web) -> Router {
    Router::new()
        .route("/", get(shown))
        .route(page::VIEW_PATH, get(view))
        .route(
            page::STYLE_PATH,
            get(|| async { respond(StatusCode::OK, "text/css; charset=utf-8", page::STYLE) }),
        )
        .route(
            page::SCRIPT_PATH,
            get(|| async {
                respond(
                    StatusCode::OK,
                    "text/javascript; charset=utf-8",
                    page::SCRIPT,
                )
            }),
        )
        .route(&web.telemetry_path, get(metrics))
        .route(
            "/-/healthy",
            get(|| async { plain(StatusCode::OK, "healthy\n") }),
        )
        .route("/-/ready", get(ready))
        .fallback(|| async {
            plain(
                StatusCode::NOT_FOUND,
                "not found; see / for what there is\n",
            )
        })
        .with_state(web)
}

async fn shown(State(web): State<Web>) -> Response {
    match look(&web).await {
        Ok(view) => {
            let page = page::page(&view, &web.telemetry_path);
            respond(StatusCode::OK, HTML, page.into_string())
        }
        Err(why) => {
            let page = page::no_view(&why, &web.telemetry_path);
            respond(StatusCode::SERVICE_UNAVAILABLE, HTML, page.into_string())
        }
    }
}

async fn view(State(web): State<Web>) -> Response {
    let (status, json) = match look(&web).await {
        Ok(view) => (StatusCode::OK, serde_json::to_string(&view)),
        Err(why) => {
            let error = serde_json::json!({ "error": why });
            (
                StatusCode::SERVICE_UNAVAILABLE,
                serde_json::to_string(&error),
            )
        }
    };
    match json {
        Ok(json) => respond(status, "application/json", json),
        Err(error) => {
            tracing::error!("the view could not be written as JSON: {error}");
            plain(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the view could not be written; see the log of unjack\n",
            )
        }
    }
}

/// What there is to see, or why there is nothing. Whether the daemon is ready is
/// told as of now: the loop that would tell it may be what hangs.
async fn look(web: &Web) -> Result<View, String> {
    let found = web.snapshot.look(monotonic_ns()).await;
    let health = web.health.shown(monotonic_ns());
    match found {
        Some(view) => Ok(View {
            health,
            ..View::clone(&view)
        }),
        None => Err(health
            .not_ready
            .unwrap_or_else(|| "the daemon's loop does not answer".to_owned())),
    }
}

/// In one format, whatever the client accepts: every scraper takes it.
async fn metrics(State(web): State<Web>) -> Response {
    match web.metrics.render() {
        Ok(text) => respond(StatusCode::OK, CONTENT_TYPE, text),
        Err(error) => {
            let error = text::clean(error.to_string().as_bytes(), 256);
            tracing::error!("metrics could not be rendered: {error}");
            plain(
                StatusCode::INTERNAL_SERVER_ERROR,
                "metrics could not be rendered; see the log of unjack\n",
            )
        }
    }
}

async fn ready(State(web): State<Web>) -> Response {
    match web.health.not_ready(monotonic_ns()) {
        None => plain(StatusCode::OK, "ready\n"),
        Some(why) => plain(StatusCode::SERVICE_UNAVAILABLE, why),
    }
}

pub(super) fn plain(status: StatusCode, text: &'static str) -> Response {
    respond(status, "text/plain; charset=utf-8", text)
}

fn respond(status: StatusCode, content_type: &'static str, body: impl IntoResponse) -> Response {
    const SAME_ORIGIN: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_SECURITY_POLICY, CSP),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONNECTION, "close"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (SAME_ORIGIN, "same-origin"),
    ];
    (status, headers, body).into_response()
}
