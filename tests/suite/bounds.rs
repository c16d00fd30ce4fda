//! Bounded resources: no client behaviour costs the server more than a bounded amount or affects others (G6).

mod bodies;
mod floods;
mod slow;
mod strangers;
mod subscriptions;
mod unfinished;

use support::{Application, Member};

use crate::raw::Raw;

/// Number of connections that the server has not closed, whether or not the peer still exists.
fn connections(app: &Application) -> usize {
    // Addresses and states are hexadecimal: 01 is established, 08 is closed by the peer only.
    let port = format!(":{:04X}", app.instances[0].port());
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row[1].ends_with(&port) && matches!(row[3], "01" | "08")).count()
}

/// Waits until the server has at most `count` connections.
async fn connections_fall_to(app: &Application, count: usize) {
    support::wait_until(&format!("{count} connections"), || async { connections(app) <= count }).await;
}

/// A native connection that reads only `hello`.
async fn silent(member: &Member) -> Raw {
    let mut raw = Raw::native(member.base(), member.access_token()).await;
    assert!(raw.text().await.contains("\"type\":\"hello\""));
    raw
}
