//! Bounded resources: whatever a client does, its cost for the server is bounded and other clients
//! are not affected (guarantee G6 of `docs/guarantees.md`).

mod bodies;
mod floods;
mod slow;
mod strangers;
mod subscriptions;
mod unfinished;

use support::{Application, Member};

use crate::raw::Raw;

/// Number of connections that the server has not closed, including those whose client is gone.
fn connections(app: &Application) -> usize {
    // In this table, addresses and states are hexadecimal: state 01 is established, 08 is closed by
    // the client only.
    let port = format!(":{:04X}", app.instances[0].port());
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row[1].ends_with(&port) && matches!(row[3], "01" | "08")).count()
}

/// Waits until the server has at most `count` connections.
async fn connections_fall_to(app: &Application, count: usize) {
    support::wait_until(&format!("{count} connections"), || async { connections(app) <= count }).await;
}

/// Opens a native connection that reads nothing but the `hello`.
async fn silent(member: &Member) -> Raw {
    let mut raw = Raw::native(member.base(), member.access_token()).await;
    assert!(raw.text().await.contains("\"type\":\"hello\""));
    raw
}
