//! Deletion of old rows in chunks, with a lower priority than users' requests.

use appcore::AppError;
use tokio::time::Instant;

/// Deletes chunks of up to `most` rows until a chunk is smaller than that. Pauses after each chunk
/// for as long as it took, so that other writers get their turn. Returns the number of deleted
/// rows.
pub async fn delete_in_chunks<F: Future<Output = Result<u64, AppError>>>(
    most: u64,
    remove: impl Fn() -> F,
) -> Result<u64, AppError> {
    let mut removed = 0;
    loop {
        let begun = Instant::now();
        let part = remove().await?;
        removed += part;
        if part < most {
            return Ok(removed);
        }
        tokio::time::sleep(begun.elapsed()).await;
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, time::Duration};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn deletes_everything_and_leaves_half_of_the_time_to_others() {
        let (begun, left) = (Instant::now(), Cell::new(250_u64));
        let remove = || async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let part = left.get().min(100);
            left.set(left.get() - part);
            Ok(part)
        };
        assert_eq!(delete_in_chunks(100, remove).await.unwrap(), 250);
        assert_eq!(begun.elapsed(), Duration::from_secs(5));
    }
}
