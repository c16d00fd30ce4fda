//! What holds a connection may be dropped anywhere.
//!
//! A connection goes back to its pool by a task, and a worker that ends drops what it was about outside of its runtime, where no task can be
//! begun.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use tokio::runtime::Handle;

/// Something that is dropped within the runtime in which it was made, wherever that happens.
#[derive(Debug)]
pub(crate) struct RuntimeBound<T> {
    runtime: Handle,
    inside: Option<T>,
}

impl<T> RuntimeBound<T> {
    pub fn new(inside: T) -> Self {
        Self { runtime: Handle::current(), inside: Some(inside) }
    }

    /// `None` where it was taken out.
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
        self.inside.as_mut().map_or(Poll::Pending, |inside| Pin::new(inside).poll(context))
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

    /// As a connection of a pool does it.
    struct GivenBackByATask;
    impl Drop for GivenBackByATask {
        fn drop(&mut self) {
            tokio::spawn(async {});
        }
    }

    #[test]
    fn what_holds_a_connection_may_be_dropped_where_there_is_no_runtime() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let entered = runtime.enter();
        let held = RuntimeBound::new(GivenBackByATask);
        let mut question = RuntimeBound::new(Box::pin(async {
            let _connection = GivenBackByATask;
            pending::<()>().await;
        }));
        drop(entered);
        let asked = poll_fn(|context| Poll::Ready(Pin::new(&mut question).poll(context).is_pending()));
        assert!(runtime.block_on(asked));
        drop(question);
        drop(held);
    }
}
