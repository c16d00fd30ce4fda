//! Redis and PostgreSQL servers that a test run provides.

use deadpool_redis::{Config, Pool, Runtime};
use sea_orm::ConnectionTrait as _;

/// Returns a connection pool for the Redis that `NATTER_TEST_REDIS` names.
pub fn redis_pool() -> Option<Pool> {
    service("NATTER_TEST_REDIS").map(pool_of)
}

/// Returns a connection pool for a Redis that refuses every connection: nothing listens on port 1.
pub fn unreachable_redis() -> Pool {
    pool_of("redis://127.0.0.1:1".to_owned())
}

/// Creates an empty database on the server that `NATTER_TEST_POSTGRES` names, and returns its URL.
pub async fn new_postgres_database() -> Option<String> {
    let maintenance = service("NATTER_TEST_POSTGRES")?;
    let name = format!("stage_{}", uuid::Uuid::now_v7().simple());
    let server = sea_orm::Database::connect(&maintenance).await.unwrap();
    server.execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
    Some(format!("{}/{name}", maintenance.rsplit_once('/').unwrap().0))
}

/// Returns the address of a service. Tests that need it are skipped if it is missing, unless a full
/// run requires it.
fn service(variable: &str) -> Option<String> {
    let address = std::env::var(variable).ok();
    let is_required = std::env::var("NATTER_TEST_REQUIRE_SERVICES").as_deref() == Ok("1");
    assert!(address.is_some() || !is_required, "{variable} is not set");
    address
}

fn pool_of(url: String) -> Pool {
    Config::from_url(url).create_pool(Some(Runtime::Tokio1)).unwrap()
}
