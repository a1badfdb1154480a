//! HTTP: one file a family of URLs.
/// placeholder
pub async fn serve(_l: tokio::net::TcpListener, _s: std::sync::Arc<crate::core::Shared>, f: impl Future<Output = ()>) {
    f.await
}
