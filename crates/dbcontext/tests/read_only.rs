//! Connections to a server that became read-only, on PostgreSQL if `NATTER_TEST_POSTGRES` names a server.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use dbcontext::Database;
use sea_orm::ConnectionTrait as _;
use uuid::Uuid;

#[tokio::test]
async fn a_refused_write_discards_the_connection() {
    let Ok(server) = std::env::var("NATTER_TEST_POSTGRES") else { return };
    let name = format!("read_only_{}", Uuid::now_v7().simple());
    let maintenance = Database::connect(&server, 1).await.unwrap();
    maintenance.writer().execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
    let (head, _) = server.rsplit_once('/').unwrap();
    let db = Database::connect(&format!("{head}/{name}"), 1).await.unwrap();
    let write = async |sql: &str| db.writer().execute_unprepared(sql).await;
    write("CREATE TABLE numbers (number BIGINT)").await.unwrap();
    // The only connection behaves like one to a former primary.
    write("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY").await.unwrap();
    let refused = write("INSERT INTO numbers VALUES (1)").await.unwrap_err();
    assert!(refused.to_string().contains("read-only"), "{refused}");
    write("INSERT INTO numbers VALUES (2)").await.unwrap();
}
