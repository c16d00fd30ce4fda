//! Removing what is old: behind everything that people do, however much there is of it.

use appcore::AppError;
use tokio::time::Instant;

/// Has parts of `most` removed until one has less, and rests after each for as long as it took: others want to write, too. Answers how many
/// were removed.
pub async fn in_parts<F: Future<Output = Result<u64, AppError>>>(
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
    async fn all_of_it_goes_and_others_have_half_of_the_time() {
        let (begun, left) = (Instant::now(), Cell::new(250_u64));
        let remove = || async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let part = left.get().min(100);
            left.set(left.get() - part);
            Ok(part)
        };
        assert_eq!(in_parts(100, remove).await.unwrap(), 250);
        assert_eq!(begun.elapsed(), Duration::from_secs(5));
    }
}
