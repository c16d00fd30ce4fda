//! Whatever a client does or leaves undone, it costs the server a bounded amount, and the others nothing (G6).

mod bodies;
mod floods;
mod slow;
mod strangers;
mod subscriptions;
mod unfinished;

use support::{Application, Member};

use crate::raw::Raw;

/// Connections that the server has not closed, whether the other side is still there or not.
fn connections(app: &Application) -> usize {
    // Addresses and states are in hexadecimal: 01 is established, 08 was closed by the other side only.
    let port = format!(":{:04X}", app.instances[0].port());
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row[1].ends_with(&port) && matches!(row[3], "01" | "08")).count()
}

/// Waits until the server has no more connections than this.
async fn connections_fall_to(app: &Application, count: usize) {
    support::wait_until(&format!("{count} connections"), || async { connections(app) <= count }).await;
}

/// A native connection of which only `hello` is read.
async fn silent(member: &Member) -> Raw {
    let mut raw = Raw::native(member.base(), member.access_token()).await;
    assert!(raw.text().await.contains("\"type\":\"hello\""));
    raw
}
