//! The page at `/`, until the web client is there.

use axum::http::header;
use axum::response::IntoResponse;

const PAGE: &str = include_str!("home.html");
const STYLE: &str = include_str!("home.css");

pub(crate) async fn page() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], PAGE)
}

pub(crate) async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE)
}
