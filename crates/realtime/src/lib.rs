//! Real-time connections and the delivery of events to them.
//!
//! ```text
//!  events ► bus ──► shard (one per worker thread) ──► queue ──► socket
//!                     │  order, subscriptions           ▲
//!  frames ◄── task of the connection ──► WsSession ─────┘ answers
//!                                           │
//!                                           ▼ services
//! ```
//!
//! [`upgrade`] turns a request into a connection, [`sse`] into a stream. [`socket`] reads from the
//! connection's socket and writes to it, [`connection`] decodes frames, [`session`] executes
//! commands, [`shard`] delivers the events of the followed conversations, and [`broadcaster`]
//! tracks who is online. [`bus`] carries events between instances. [`protocol`], [`codec`],
//! [`frame`], [`deflate`], [`resequencer`], [`queue`] and [`heartbeat`] are logic without sockets.

pub mod backlog;
pub mod broadcaster;
pub mod bus;
mod catch_up;
mod client;
pub mod close;
pub mod codec;
pub mod command;
mod connection;
pub mod connection_handle;
pub mod deflate;
pub mod engine;
pub mod frame;
pub mod frame_limit;
pub mod handshake;
mod heartbeat;
mod hello;
mod instruction;
pub mod per_address;
pub mod protocol;
pub mod pubsub;
pub mod queue;
pub mod resequencer;
pub mod sender;
pub mod session;
pub mod shard;
pub mod socket;
pub mod socketio;
pub mod sse;
mod sync_rate_limit;
pub mod upgrade;
mod upgrade_request;
mod uring;

use std::{ops::Deref, sync::Arc};

use assistants::AssistantsService;
use conversations::ConversationsService;
use event_log::EventLogService;
use identity::IdentityService;
use platform::{Core, rate_limits::RateLimits};

pub use broadcaster::{ShardHandle, WsBroadcaster};
pub use shard::Shard;
pub use socketio::{SocketIo, SocketIoCluster};

/// Services that connections and the delivery of events use. Dereferences to [`Core`].
pub struct RealtimeServices {
    pub identity: Arc<IdentityService>,
    pub events: Arc<EventLogService>,
    pub assistants: Arc<AssistantsService>,
    pub conversations: Arc<ConversationsService>,
    pub limits: Arc<RateLimits>,
}

impl Deref for RealtimeServices {
    type Target = Core;

    fn deref(&self) -> &Core {
        &self.identity
    }
}
