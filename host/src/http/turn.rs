//! Turns: of what takes a processor, or much memory, few are done at a time.

use super::answer::Refusal;
use super::get::apart;
use super::web::Web;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use warp::http::StatusCode;

/// Does work on a thread of its own when it is its turn, for which it has the `patience` that all have. It is told how to ask whether it is still waited for: who asked may be gone, and
/// then it may end with anything. Its turn is over when the work is, whether anybody waits for it or not.
///
/// # Errors
/// 503 where its turn did not come in time, with the `family` of URLs that has so many, or the daemon is stopping.
pub(super) async fn in_turn<T: Send + 'static>(
    web: &Web,
    turns: &Arc<Semaphore>,
    family: &str,
    work: impl FnOnce(&dyn Fn() -> bool) -> T + Send + 'static,
) -> Result<T, Refusal> {
    in_turn_within(web.patience.turn, turns, family, work).await
}

/// The same with a patience of its own.
///
/// # Errors
/// As [`in_turn`].
pub(super) async fn in_turn_within<T: Send + 'static>(
    patience: Duration,
    turns: &Arc<Semaphore>,
    family: &str,
    work: impl FnOnce(&dyn Fn() -> bool) -> T + Send + 'static,
) -> Result<T, Refusal> {
    let Ok(Ok(turn)) = timeout(patience, Arc::clone(turns).acquire_owned()).await else {
        let why = format_args!("{family}: many are asked for at once; this one had no turn within {patience:?}");
        return Err(Refusal::later(StatusCode::SERVICE_UNAVAILABLE, patience, why));
    };
    // It goes with this future, that is with the connection.
    let waits = Arc::new(());
    let waited = Arc::downgrade(&waits);
    let done = apart(move || {
        let _turn = turn;
        work(&|| waited.strong_count() > 0)
    })
    .await;
    drop(waits);
    done
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::Server;
    use crate::http::web::Patience;

    #[tokio::test]
    async fn the_turn_of_who_hung_up_is_over_when_the_work_is() {
        let server = Server::still(None).await;
        let (web, turns) = (Arc::clone(&server.web), Arc::new(Semaphore::new(1)));
        let (began, has_begun) = tokio::sync::oneshot::channel();
        let (end, ends) = std::sync::mpsc::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let of = Arc::clone(&turns);
        let asked = tokio::spawn(async move {
            in_turn(&web, &of, "/x/", move |waited_for| {
                let before = waited_for();
                let _ = began.send(before);
                let _ = ends.recv();
                let _ = tell.send(waited_for());
            })
            .await
        });
        assert_eq!(has_begun.await, Ok(true));
        asked.abort();
        assert!(asked.await.is_err());
        assert_eq!(turns.available_permits(), 0, "the work goes on");
        end.send(()).unwrap();
        assert!(in_turn(&server.web, &turns, "/x/", |_| 7).await.is_ok_and(|seven| seven == 7));
        assert_eq!(told.recv(), Ok(false));
    }

    #[tokio::test]
    async fn who_gets_no_turn_is_told_to_come_again() {
        let patience = Patience { turn: Duration::from_millis(20), ..Patience::default() };
        let server = Server::with(patience).await;
        crate::http::testing::merge(&server.shared, r#"{"a":1}"#);
        let turn = Arc::clone(&server.web.looking).acquire_owned().await;
        let reply = server.get("/api/find?q=a").await;
        assert_eq!(reply.status, 503, "{}", reply.body);
        assert!(
            reply.body.contains("no turn") && reply.header("retry-after").is_some(),
            "{} {}",
            reply.head,
            reply.body
        );
        drop(turn);
        assert_eq!(server.get("/api/find?q=a").await.status, 200);
    }
}
