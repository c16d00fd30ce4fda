//! Support library of the black-box tests.
//!
//! An [`Application`] is the real binary, started as a process with its own database (a SQLite
//! file, or a PostgreSQL database and a Redis). If a test needs it, several instances run behind a
//! load balancer. Callers are [`Anonymous`] or a [`Member`]. A [`Socket`] is a real-time connection
//! that is read frame by frame. An [`Upstream`] is an AI provider that follows the instructions of
//! the test. Nothing in this library depends on the server's code.
//!
//! `NATTER_TEST_DATABASE` selects the database of a run: `sqlite`, the default, or `postgres`,
//! which needs `NATTER_TEST_POSTGRES`, the URL of a maintenance database. `scripts/test` sets both,
//! and `NATTER_TEST_SIZE`, the number of cases of randomised tests.

mod application;
mod authenticator;
mod balancer;
mod bridge;
mod bus;
mod bus_server;
mod caller;
mod certificate;
mod database;
mod description;
mod dice;
mod event_stream;
mod follower;
mod identity_provider;
mod instance;
mod kafka_server;
mod mail_server;
mod member;
mod metered;
mod nginx;
mod pg_bouncer;
mod place;
mod places;
mod postgres;
mod proxy;
mod redis;
mod s3_server;
mod schema;
mod search_engine;
mod search_index;
mod socket;
mod tool_server;
mod upstream;

pub use application::{ADMIN_EMAIL, Application, PASSWORD, Setup};
pub use authenticator::Authenticator;
pub use balancer::Balancer;
pub use bridge::Bridge;
pub use bus::Bus;
pub use bus_server::BusServer;
pub use caller::{Answer, Caller, Credentials};
pub use certificate::{certified, client_certificate};
pub use database::{Engine, Stop, Stopped, TestDatabase};
pub use description::description;
pub use dice::{Dice, by_size};
pub use event_stream::{EventStream, block_field, take_block};
pub use follower::Follower;
pub use identity_provider::{IdentityProvider, SentBack, form};
pub use instance::Instance;
pub use kafka_server::KafkaServer;
pub use mail_server::{Mail, MailServer};
pub use member::{Anonymous, Member, every_item, new_email};
pub use metered::MeteredApplication;
pub use nginx::Nginx;
pub use pg_bouncer::PgBouncer;
pub use place::{PATIENCE, free_port, natter, wait_until, wait_until_equal};
pub use places::{Known, database_of_places};
pub use postgres::PostgresServer;
pub use proxy::{Proxy, Way};
pub use redis::RedisServer;
pub use s3_server::S3Server;
pub use search_engine::SearchEngine;
pub use search_index::{HeldIndex, hold_search_index};
pub use serde_json::{Value, json};
pub use socket::{Closed, Codec, Frame, Socket};
pub use tool_server::{EverythingServer, OddServer, SignedInServer};
pub use upstream::{Asked, BatchJob, Behaviour, JobCreation, JobResult, Upstream, UpstreamKind};

/// Creates an id as a client does.
#[must_use]
pub fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}
