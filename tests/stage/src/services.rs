//! Redis and PostgreSQL servers that a run of the tests provides.

use deadpool_redis::{Config, Pool, Runtime};
use sea_orm::ConnectionTrait as _;

/// Connection pool of the Redis that `NATTER_TEST_REDIS` names.
pub fn redis_pool() -> Option<Pool> {
    service("NATTER_TEST_REDIS").map(pool_of)
}

/// Connection pool of a Redis that refuses every connection: nothing listens on port 1.
pub fn unreachable_redis() -> Pool {
    pool_of("redis://127.0.0.1:1".to_owned())
}

/// URL of a new, empty database on the server that `NATTER_TEST_POSTGRES` names.
pub async fn new_postgres_database() -> Option<String> {
    let maintenance = service("NATTER_TEST_POSTGRES")?;
    let name = format!("stage_{}", uuid::Uuid::now_v7().simple());
    let server = sea_orm::Database::connect(&maintenance).await.unwrap();
    server.execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
    Some(format!("{}/{name}", maintenance.rsplit_once('/').unwrap().0))
}

/// Address of a service that tests skip unless a full run requires it.
fn service(variable: &str) -> Option<String> {
    let address = std::env::var(variable).ok();
    let is_required = std::env::var("NATTER_TEST_REQUIRE_SERVICES").as_deref() == Ok("1");
    assert!(address.is_some() || !is_required, "{variable} is not set");
    address
}

fn pool_of(url: String) -> Pool {
    Config::from_url(url).create_pool(Some(Runtime::Tokio1)).unwrap()
}
