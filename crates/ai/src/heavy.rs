//! Large bodies are read and written beside the event loop, a few at a time: whatever stands on the loop, everybody waits for it.

use std::time::Duration;

use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

use crate::{ErrorKind, GatewayError};

/// Smaller ones take less than a millisecond.
const LARGE: usize = 256 * 1024;
/// So many are read at the same time: each takes several times its size while it is.
static PLACES: Semaphore = Semaphore::const_new(2);
/// So many answers of providers are read at the same time.
static ANSWERS: Semaphore = Semaphore::const_new(4);
/// So long one waits for a place.
const PATIENCE: Duration = Duration::from_secs(10);
const COME_AGAIN: Duration = Duration::from_secs(1);

/// Does what is done with so many bytes.
pub(crate) async fn off_loop<T: Send + 'static>(
    size: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, GatewayError> {
    if size <= LARGE {
        return Ok(work());
    }
    let place = timeout(PATIENCE, PLACES.acquire()).await.ok().and_then(Result::ok);
    let place = place.ok_or_else(|| {
        let message = "Too many large requests are being read. Please try again in a moment.";
        GatewayError::new(ErrorKind::Unavailable, message).with_retry_after(COME_AGAIN)
    })?;
    beside(place, "request", work).await
}

/// Does what is done with so many bytes of an answer. It has been paid for: it waits for its place as long as that takes, and large questions don't keep it
/// waiting.
pub(crate) async fn answer_off_loop<T: Send + 'static>(
    size: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, GatewayError> {
    if size <= LARGE {
        return Ok(work());
    }
    // Nobody closes it.
    let place = ANSWERS.acquire().await.ok();
    beside(place, "answer", work).await
}

/// `what`: what is read.
async fn beside<T: Send + 'static>(
    place: impl Send + 'static,
    what: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, GatewayError> {
    // Whoever asked may leave; the place is free when the work is done.
    let working = spawn_blocking(move || {
        let _place = place;
        work()
    });
    working.await.map_err(|error| {
        tracing::error!(%error, what, "something large could not be read");
        GatewayError::new(ErrorKind::Internal, format!("The {what} couldn't be read."))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn large_work_leaves_the_loop_free_and_only_two_are_done_at_once() {
        let here = std::thread::current().id();
        assert_eq!(
            off_loop(LARGE, || std::thread::current().id()).await.ok(),
            Some(here),
            "small work is done at once"
        );
        let (began, begun) = mpsc::channel();
        let mut ends = Vec::new();
        let mut works = Vec::new();
        for _ in 0..3 {
            let (end, ended) = mpsc::channel::<()>();
            let began = began.clone();
            ends.push(end);
            works.push(tokio::spawn(off_loop(LARGE + 1, move || {
                began.send(std::thread::current().id()).unwrap();
                ended.recv().is_err()
            })));
        }
        let two = tokio::task::spawn_blocking(move || ([begun.recv().unwrap(), begun.recv().unwrap()], begun));
        let (threads, begun) = two.await.unwrap();
        assert!(threads.iter().all(|thread| *thread != here));
        assert!(begun.try_recv().is_err(), "the third one waits");
        assert_eq!(answer_off_loop(LARGE + 1, || 7).await.ok(), Some(7), "an answer waits for no question");
        let broken = answer_off_loop::<()>(LARGE + 1, || panic!("it is broken")).await;
        assert_eq!(broken.unwrap_err().message(), "The answer couldn't be read.");
        drop(ends);
        for work in works {
            assert!(work.await.unwrap().is_ok_and(|done| done));
        }
        assert!(begun.recv().is_ok());
    }
}
