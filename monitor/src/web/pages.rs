//! What is served: a router of pages, each of which only reads.

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};

use super::Web;
use crate::{daemon::monotonic_ns, metrics::Format, text};

const CSP: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; form-action 'none'; base-uri 'none'";

const LANDING_PAGE: &str = "<!DOCTYPE html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width\">
<title>unjack</title>
<style>body { font: 1rem/1.5 sans-serif; margin: 3rem auto; max-width: 36rem; padding: 0 1rem }</style>
</head>
<body>
<h1>unjack</h1>
<p>Finds cryptocurrency miners by the instructions they execute, and stops them.</p>
<ul>
<li><a href=\"METRICS\">Metrics</a> for Prometheus</li>
<li><a href=\"/-/healthy\">Healthy</a>: the daemon runs</li>
<li><a href=\"/-/ready\">Ready</a>: the probes are attached, and account</li>
</ul>
</body>
</html>
";

/// All pages. `web.telemetry_path` is in its accepted form.
pub(super) fn router(web: Web) -> Router {
    Router::new()
        .route("/", get(landing_page))
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

async fn landing_page(State(web): State<Web>) -> Response {
    let page = LANDING_PAGE.replace("METRICS", &web.telemetry_path);
    respond(StatusCode::OK, "text/html; charset=utf-8", page)
}

async fn metrics(State(web): State<Web>, headers: HeaderMap) -> Response {
    let accept = headers.get_all(header::ACCEPT).iter();
    let accept: Vec<_> = accept.filter_map(|value| value.to_str().ok()).collect();
    let format = Format::accepted(&accept.join(","));
    match web.metrics.render_as(format) {
        Ok(text) => respond(StatusCode::OK, format.content_type(), text),
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
    const NO_SNIFF: (HeaderName, &str) = (header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_SECURITY_POLICY, CSP),
        (header::CONNECTION, "close"),
        NO_SNIFF,
    ];
    (status, headers, body).into_response()
}
