//! Event bus within a process. It is the whole bus in embedded mode, and the local part of the
//! Redis bus.

use std::sync::{Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};

use super::{BusMessage, EventBus, Listener, PublishAck};

#[derive(Debug, Default)]
pub struct MemoryBus {
    listeners: Mutex<Vec<mpsc::UnboundedSender<BusMessage>>>,
}

impl MemoryBus {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends `messages` to all listeners of this process.
    pub fn deliver(&self, messages: &[BusMessage]) {
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| messages.iter().all(|message| listener.send(message.clone()).is_ok()));
    }
}

impl EventBus for MemoryBus {
    fn publish(&self, messages: Vec<BusMessage>) -> PublishAck {
        self.deliver(&messages);
        let (done, left) = oneshot::channel();
        let _ = done.send(Ok(()));
        left
    }

    fn subscribe(&self) -> Listener {
        let (sender, listener) = mpsc::unbounded_channel();
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        listener
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Signal, *};

    #[test]
    fn delivers_in_order_to_all_listeners_and_drops_closed_ones() {
        let bus = MemoryBus::new();
        let (mut first, second) = (bus.subscribe(), bus.subscribe());
        drop(second);
        bus.deliver(&[BusMessage::Signal(Signal::JobsWaiting), BusMessage::Signal(Signal::Gap)]);
        assert_eq!(first.try_recv().unwrap(), BusMessage::Signal(Signal::JobsWaiting));
        assert_eq!(first.try_recv().unwrap(), BusMessage::Signal(Signal::Gap));
        assert_eq!(bus.listeners.lock().unwrap().len(), 1);
    }
}
