//! Processes rows in batches and bisects a failing batch to isolate the poison row.

use appcore::AppError;

/// Result of a batched run: outputs, failed rows with their errors, rows not attempted.
pub struct BatchOutcome<T, R> {
    /// Outputs of the batches, in any order.
    pub outputs: Vec<R>,
    /// Rows that failed on their own, with their errors.
    pub failed: Vec<(T, AppError)>,
    /// Rows that were not attempted because the run was aborted.
    pub not_attempted: Vec<T>,
    /// Error that aborted the run, if there was one.
    pub error: Option<AppError>,
}

impl<T, R> BatchOutcome<T, R> {
    /// All rows to retry.
    pub fn rows_to_retry(&self) -> impl Iterator<Item = &T> {
        self.not_attempted.iter().chain(self.failed.iter().map(|(row, _)| row))
    }
}

/// Processes batches of up to `most` rows, and bisects those that fail. The run is aborted if
/// `work` returns `None`, or if it fails with an error that would also affect other rows (see
/// `is_of_one`).
pub async fn process_with_bisection<T: Clone, R, F: Future<Output = Result<Option<R>, AppError>>>(
    rows: &[T],
    most: usize,
    is_of_one: impl Fn(&AppError) -> bool,
    work: impl Fn(Vec<T>) -> F,
) -> BatchOutcome<T, R> {
    let mut parts: Vec<&[T]> = rows.chunks(most).collect();
    let (mut done, mut failed, mut error) = (Vec::new(), Vec::new(), None);
    while let Some(part) = parts.pop() {
        match work(part.to_vec()).await {
            Ok(Some(result)) => done.push(result),
            Ok(None) => {
                parts.push(part);
                break;
            }
            Err(why) if !is_of_one(&why) => {
                parts.push(part);
                error = Some(why);
                break;
            }
            Err(why) => {
                if let [row] = part {
                    failed.push((row.clone(), why));
                } else {
                    let (one, other) = part.split_at(part.len() / 2);
                    parts.extend([one, other]);
                }
            }
        }
    }
    BatchOutcome { outputs: done, failed, not_attempted: parts.concat(), error }
}

/// True for errors that concern a single row, such as one that can't be parsed. Other errors would
/// also affect other rows.
pub fn is_row_error(error: &AppError) -> bool {
    matches!(error, AppError::Internal(_))
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    /// Processes the rows 1 to 10 in batches of up to four with `work`; `Ok(false)` aborts the run.
    /// Returns the processed rows and the outcome.
    async fn worked(work: impl Fn(&[u8]) -> Result<bool, AppError>) -> (Vec<u8>, BatchOutcome<u8, Vec<u8>>) {
        let rows: Vec<u8> = (1..=10).collect();
        let rest = process_with_bisection(&rows, 4, is_row_error, |some| {
            std::future::ready(work(&some).map(|goes_on| goes_on.then_some(some)))
        })
        .await;
        let mut done = rest.outputs.concat();
        done.sort_unstable();
        (done, rest)
    }

    fn again(rest: &BatchOutcome<u8, Vec<u8>>) -> Vec<u8> {
        let mut rows: Vec<u8> = rest.rows_to_retry().copied().collect();
        rows.sort_unstable();
        rows
    }

    #[tokio::test]
    async fn a_poison_row_does_not_block_others() {
        let (done, rest) = worked(|some| {
            let is_bad = some.contains(&3) || some.contains(&10);
            if is_bad { Err(AppError::internal(anyhow!("unreadable row"))) } else { Ok(true) }
        })
        .await;
        assert_eq!(done, [1, 2, 4, 5, 6, 7, 8, 9], "each once");
        assert_eq!(again(&rest), [3, 10]);
        assert!(rest.not_attempted.is_empty() && rest.error.is_none());
    }

    #[tokio::test]
    async fn aborts_on_errors_that_affect_all_rows() {
        let (done, rest) = worked(|some| {
            let is_away = some.contains(&5);
            if is_away { Err(AppError::unavailable(anyhow!("no response"))) } else { Ok(true) }
        })
        .await;
        assert_eq!((done, again(&rest)), (vec![9, 10], (1..=8).collect::<Vec<_>>()));
        assert!(rest.failed.is_empty() && matches!(rest.error, Some(AppError::Unavailable(_))));
    }

    #[tokio::test]
    async fn aborts_on_request() {
        let (done, rest) = worked(|some| Ok(!some.contains(&1))).await;
        assert_eq!((done, again(&rest)), ((5..=10).collect::<Vec<_>>(), vec![1, 2, 3, 4]));
        assert!(rest.failed.is_empty() && rest.error.is_none());
        let none = process_with_bisection(&[0_u8; 0], 4, is_row_error, |_| std::future::ready(Ok(None::<()>))).await;
        assert_eq!(none.rows_to_retry().count(), 0);
    }
}
