//! Counts of the answers to an attack's requests.

use std::{cell::Cell, collections::BTreeMap, time::Duration};

use futures_util::{StreamExt as _, stream};

/// HTTP status of an answer with its error code or another remark; `None` if the connection ended
/// without an answer.
pub type Reply = Option<(u16, String)>;

/// Number of answers of each kind.
#[derive(Default)]
pub struct Answers {
    counts: BTreeMap<Reply, usize>,
    /// Number of requests without an answer when the attack ended.
    unanswered: usize,
}

impl Answers {
    pub fn add(&mut self, reply: Reply) {
        *self.counts.entry(reply).or_default() += 1;
    }

    /// Number of answers with this status.
    pub fn with_status(&self, status: u16) -> usize {
        self.counts.iter().filter(|(reply, _)| matches!(reply, Some((of, _)) if *of == status)).map(|(_, n)| n).sum()
    }

    /// True if every request was answered with this status.
    pub fn is_all(&self, status: u16) -> bool {
        self.unanswered == 0 && self.with_status(status) == self.answered()
    }

    fn answered(&self) -> usize {
        self.counts.values().sum()
    }

    pub fn in_words(&self) -> String {
        let one = |(reply, count): (&Reply, &usize)| match reply {
            Some((status, remark)) if remark.is_empty() => format!("{count} × {status}"),
            Some((status, remark)) => format!("{count} × {status} {remark}"),
            None => format!("{count} closed"),
        };
        let mut all: Vec<String> = self.counts.iter().map(one).collect();
        if self.unanswered > 0 {
            all.push(format!("{} unanswered", self.unanswered));
        }
        if all.is_empty() { "none answered".to_owned() } else { all.join(", ") }
    }
}

/// Makes requests, at most `at_once` at a time, until there are no more or `limit` has passed.
/// Counts the answers.
pub async fn count<F: Future<Output = Reply>>(
    at_once: usize,
    limit: Duration,
    requests: impl IntoIterator<Item = F>,
) -> Answers {
    let started = Cell::new(0);
    let requests = requests.into_iter().inspect(|_| started.set(started.get() + 1));
    let replies = stream::iter(requests).buffer_unordered(at_once).take_until(tokio::time::sleep(limit));
    let mut answers = replies
        .fold(Answers::default(), |mut answers, reply| async move {
            answers.add(reply);
            answers
        })
        .await;
    answers.unanswered = started.get() - answers.answered();
    answers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, remark: &str) -> Reply {
        Some((status, remark.to_owned()))
    }

    #[test]
    fn counts_answers_by_status() {
        let mut answers = Answers::default();
        let replies = [reply(429, "rate_limited"), None, reply(201, ""), reply(429, "rate_limited")];
        replies.into_iter().for_each(|reply| answers.add(reply));
        assert_eq!(answers.in_words(), "1 closed, 1 × 201, 2 × 429 rate_limited");
        assert_eq!(answers.with_status(429), 2);
    }

    #[tokio::test]
    async fn counts_requests_until_the_limit() {
        let requests = (0..3).map(async |number| match number {
            0 => std::future::pending().await,
            _ => reply(200, ""),
        });
        let answers = count(3, Duration::from_millis(50), requests).await;
        assert_eq!(answers.in_words(), "2 × 200, 1 unanswered");
    }
}
