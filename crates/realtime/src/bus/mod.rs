//! The bus that reaches other instances. The one within a process is [`appcore::event::MemoryBus`].

mod parcel;
mod redis;

pub(crate) use parcel::{Parcel, channels};
pub use redis::RedisBus;
pub(crate) use redis::SIGN_OF_LIFE;
