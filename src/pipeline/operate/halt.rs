//! Points between two steps of a write, at which a test has the process stand still, so that it can be killed there.
//!
//! A debug build stops at the point that `TOLLBRIDGE_HALT_AT=POINT=FILE` names, and makes that file when it is there. A
//! release build has none of this.

/// Stands still here, if a test wants that.
#[cfg(debug_assertions)]
pub(super) async fn at(point: &str) {
    static WANTED: std::sync::OnceLock<Option<(String, String)>> = std::sync::OnceLock::new();
    let wanted = WANTED.get_or_init(|| {
        let text = std::env::var("TOLLBRIDGE_HALT_AT").ok()?;
        text.split_once('=').map(|(point, file)| (point.to_owned(), file.to_owned()))
    });
    if let Some((_, file)) = wanted.as_ref().filter(|(wanted, _)| wanted == point) {
        if let Err(error) = std::fs::write(file, point) {
            tracing::error!(point, error = %error, "it cannot be told that the point is reached");
        }
        std::future::pending::<()>().await;
    }
}

/// Goes on.
#[cfg(not(debug_assertions))]
#[expect(clippy::unused_async, reason = "it is awaited where a debug build may stand still")]
pub(super) async fn at(_: &str) {}
