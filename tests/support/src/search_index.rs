//! Search index of an instance.

use std::{fs::File, path::Path};

use crate::place::wait_until;

/// Blocks writes to the search index of the first instance until it is dropped.
pub struct HeldIndex(#[expect(dead_code, reason = "locked until it is dropped")] File);

/// Acquires the lock of the index's writer. The server frees it some seconds after the last write.
pub async fn hold_search_index(data: &Path) -> HeldIndex {
    let file = data.join("search/0/.tantivy-writer.lock");
    let lock = File::options().write(true).open(file).expect("index exists");
    wait_until("the index's writer is idle", async || lock.try_lock().is_ok()).await;
    HeldIndex(lock)
}
