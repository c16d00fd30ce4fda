//! Event bus between instances. The bus within one process is [`appcore::event::MemoryBus`].

mod redis;
mod wire_message;

pub(crate) use redis::HEARTBEAT_INTERVAL;
pub use redis::RedisBus;
pub(crate) use wire_message::{WireMessage, channels};
