//! What a connection that does nothing costs the server's memory.

use std::time::Duration;

use support::{Application, Member};

use crate::wire::connect;

pub struct Idle {
    pub connections: usize,
    pub bytes_each: f64,
}

pub async fn measure(app: &Application, connections: usize) -> anyhow::Result<Idle> {
    const PEOPLE: usize = 10;
    let mut people = Vec::new();
    for number in 0..PEOPLE {
        let instance = &app.instances[number % app.instances.len()];
        people.push(Member::sign_up(&instance.url(), &format!("Idler {number}")).await);
    }
    let memory = || app.instances.iter().map(support::Instance::memory).sum::<u64>();
    let mut open = Vec::with_capacity(connections);
    // The first ones fill pools and caches that are there once.
    for number in 0..100 {
        let person = &people[number % PEOPLE];
        open.push(connect(person.base(), person.access_token()).await?);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = memory();
    for number in 0..connections {
        let person = &people[number % PEOPLE];
        let (mut reader, writer) = connect(person.base(), person.access_token()).await?;
        reader.next().await?;
        reader.shrink();
        open.push((reader, writer));
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    #[expect(clippy::cast_precision_loss)]
    let bytes_each = memory().saturating_sub(before) as f64 / connections as f64;
    Ok(Idle { connections, bytes_each })
}
