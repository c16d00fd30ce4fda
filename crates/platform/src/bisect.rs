//! Work on many rows at once, of which one may be in the way of the others.

use appcore::AppError;

/// What came of it, and what nothing came of.
pub struct Rest<T, R> {
    /// What each part came to, in any order.
    pub done: Vec<R>,
    /// Those that are in the way of others, each with why.
    pub failed: Vec<(T, AppError)>,
    /// Those that nobody came to, because it was broken off.
    pub left: Vec<T>,
    /// Why it was broken off, where that is a failure.
    pub error: Option<AppError>,
}

impl<T, R> Rest<T, R> {
    /// All that is to be tried again.
    pub fn rows(&self) -> impl Iterator<Item = &T> {
        self.left.iter().chain(self.failed.iter().map(|(row, _)| row))
    }
}

/// Works on `most` rows together, else on halves of them until the one that is in the way. It is broken off where `work` says that it is not to go on
/// (`None`), and where it fails with what would be no better for others (`is_of_one`).
pub async fn in_halves<T: Copy, R, F: Future<Output = Result<Option<R>, AppError>>>(
    rows: &[T],
    most: usize,
    is_of_one: impl Fn(&AppError) -> bool,
    work: impl Fn(Vec<T>) -> F,
) -> Rest<T, R> {
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
                    failed.push((*row, why));
                } else {
                    let (one, other) = part.split_at(part.len() / 2);
                    parts.extend([one, other]);
                }
            }
        }
    }
    Rest { done, failed, left: parts.concat(), error }
}

/// Whether a failure is of something that can't be read. Otherwise others would fare no better.
pub fn is_of_one(error: &AppError) -> bool {
    matches!(error, AppError::Internal(_))
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    /// Works on 1 to 10, at most four at once, as this says (`false`: it is not to go on). What was done, and the rest.
    async fn worked(work: impl Fn(&[u8]) -> Result<bool, AppError>) -> (Vec<u8>, Rest<u8, Vec<u8>>) {
        let rows: Vec<u8> = (1..=10).collect();
        let rest = in_halves(&rows, 4, is_of_one, |some| {
            std::future::ready(work(&some).map(|goes_on| goes_on.then_some(some)))
        })
        .await;
        let mut done = rest.done.concat();
        done.sort_unstable();
        (done, rest)
    }

    fn again(rest: &Rest<u8, Vec<u8>>) -> Vec<u8> {
        let mut rows: Vec<u8> = rest.rows().copied().collect();
        rows.sort_unstable();
        rows
    }

    #[tokio::test]
    async fn one_that_is_in_the_way_keeps_no_other() {
        let (done, rest) = worked(|some| {
            let is_bad = some.contains(&3) || some.contains(&10);
            if is_bad { Err(AppError::internal(anyhow!("it can't be read"))) } else { Ok(true) }
        })
        .await;
        assert_eq!(done, [1, 2, 4, 5, 6, 7, 8, 9], "each once");
        assert_eq!(again(&rest), [3, 10]);
        assert!(rest.left.is_empty() && rest.error.is_none());
    }

    #[tokio::test]
    async fn it_is_broken_off_where_others_would_fare_no_better() {
        let (done, rest) = worked(|some| {
            let is_away = some.contains(&5);
            if is_away { Err(AppError::unavailable(anyhow!("nobody answers"))) } else { Ok(true) }
        })
        .await;
        assert_eq!((done, again(&rest)), (vec![9, 10], (1..=8).collect::<Vec<_>>()));
        assert!(rest.failed.is_empty() && matches!(rest.error, Some(AppError::Unavailable(_))));
    }

    #[tokio::test]
    async fn it_is_broken_off_where_the_work_says_so() {
        let (done, rest) = worked(|some| Ok(!some.contains(&1))).await;
        assert_eq!((done, again(&rest)), ((5..=10).collect::<Vec<_>>(), vec![1, 2, 3, 4]));
        assert!(rest.failed.is_empty() && rest.error.is_none());
        let none = in_halves(&[0_u8; 0], 4, is_of_one, |_| std::future::ready(Ok(None::<()>))).await;
        assert_eq!(none.rows().count(), 0);
    }
}
