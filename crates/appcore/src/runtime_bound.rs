//! Binding of connections to the runtime that opened them.
//!
//! A socket is served by the runtime that opened it, and a connection returns to its pool in a
//! task. Each worker thread of the server has its own runtime, which ends before the program does.
//! A connection that was opened there would then fail for all other threads ("a Tokio 1.x context
//! was found, but it is being shutdown"). A connection that is dropped there may find no runtime
//! for its task.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use tokio::runtime::Handle;

/// Value that is always polled and dropped within a given runtime, whatever thread uses it.
#[derive(Debug)]
pub struct RuntimeBound<T> {
    runtime: Handle,
    inside: Option<T>,
}

impl<T> RuntimeBound<T> {
    #[must_use]
    pub const fn new(runtime: Handle, inside: T) -> Self {
        Self { runtime, inside: Some(inside) }
    }

    /// Value, or `None` after [`RuntimeBound::take`].
    #[must_use]
    pub const fn get(&self) -> Option<&T> {
        self.inside.as_ref()
    }

    pub const fn take(&mut self) -> Option<T> {
        self.inside.take()
    }
}

impl<F: Future + Unpin> Future for RuntimeBound<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Self { runtime, inside } = &mut *self;
        let _entered = runtime.enter();
        inside.as_mut().map_or(Poll::Pending, |inside| Pin::new(inside).poll(context))
    }
}

impl<T> Drop for RuntimeBound<T> {
    fn drop(&mut self) {
        let _entered = self.runtime.enter();
        drop(self.inside.take());
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, poll_fn};

    use super::*;

    /// Spawns a task when it is dropped, as a pooled connection does.
    struct GivenBackByATask;
    impl Drop for GivenBackByATask {
        fn drop(&mut self) {
            tokio::spawn(async {});
        }
    }

    #[test]
    fn value_can_be_dropped_outside_of_a_runtime() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let entered = runtime.enter();
        let held = RuntimeBound::new(Handle::current(), GivenBackByATask);
        let mut question = RuntimeBound::new(
            Handle::current(),
            Box::pin(async {
                let _connection = GivenBackByATask;
                pending::<()>().await;
            }),
        );
        drop(entered);
        let asked = poll_fn(|context| Poll::Ready(Pin::new(&mut question).poll(context).is_pending()));
        assert!(runtime.block_on(asked));
        drop(question);
        drop(held);
    }

    #[test]
    fn sockets_opened_by_a_worker_outlive_it() {
        use tokio::io::AsyncReadExt as _;

        let home = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = home.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let worker = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let connecting = RuntimeBound::new(home.handle().clone(), Box::pin(tokio::net::TcpStream::connect(address)));
        let mut socket = worker.block_on(connecting).unwrap();
        drop(worker);
        drop(listener);
        let mut byte = [0];
        let read = home.block_on(socket.read(&mut byte));
        assert!(!matches!(&read, Err(error) if error.to_string().contains("shutdown")), "{read:?}");
    }
}
