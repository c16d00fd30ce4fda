//! Event bus between instances. The bus within a process is [`appcore::event::MemoryBus`].

mod redis;
mod wire_message;

pub use redis::RedisBus;
pub(crate) use redis::SIGN_OF_LIFE;
pub(crate) use wire_message::{WireMessage, channels};
