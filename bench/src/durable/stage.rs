//! Set-up of a measurement: application, users, conversations and connections.

use std::time::Instant;

use support::{Application, Engine, Member, Setup};

use super::Persistence;

/// Database with its instances.
pub struct Stage {
    pub app: Application,
}

/// Sender and receiver who share a conversation.
pub struct Pair {
    pub sender: Member,
    pub receiver: Member,
    pub conversation: String,
}

impl Stage {
    pub async fn start(persistence: Persistence) -> Self {
        let (engine, instances) = match persistence {
            Persistence::Sqlite => (Engine::Sqlite, 1),
            Persistence::Postgres => (Engine::Postgres, 1),
            Persistence::PostgresPair => (Engine::Postgres, 2),
        };
        let app = Setup::new()
            .on(engine)
            .instances(instances)
            .set("realtime.max_connections_per_user", 0)
            .set("realtime.max_frames_per_second", 1_000_000)
            .start()
            .await;
        Self { app }
    }

    /// Creates pairs of users. One user of each pair is connected to the first instance, the other
    /// to the last.
    pub async fn pairs(&self, count: usize) -> Vec<Pair> {
        let (first, last) = self.ends();
        let mut pairs = Vec::with_capacity(count);
        for number in 0..count {
            let sender = Member::sign_up(&first, &format!("Sender {number}")).await;
            let receiver = Member::sign_up(&last, &format!("Receiver {number}")).await;
            let conversation = sender.open_single(&receiver).await;
            // Alternates the roles, so that messages go in both directions between the instances.
            let pair = if number % 2 == 0 {
                Pair { sender, receiver, conversation }
            } else {
                Pair { sender: receiver.clone(), receiver: sender, conversation }
            };
            pairs.push(pair);
        }
        pairs
    }

    /// Creates a single conversation with several concurrent writers.
    pub async fn one_room(&self, writers: usize) -> Vec<Pair> {
        let (first, last) = self.ends();
        let mut people = Vec::with_capacity(writers + 1);
        for number in 0..=writers {
            let base = if number % 2 == 0 { &first } else { &last };
            people.push(Member::sign_up(base, &format!("Writer {number}")).await);
        }
        let others: Vec<&Member> = people[1..].iter().collect();
        let conversation = people[0].open_group("One", &others).await;
        let receiver = people[0].clone();
        let pair = |sender: Member| Pair { sender, receiver: receiver.clone(), conversation: conversation.clone() };
        people.into_iter().skip(1).map(pair).collect()
    }

    fn ends(&self) -> (String, String) {
        let instances = &self.app.instances;
        (instances[0].url(), instances[instances.len() - 1].url())
    }
}

/// Clock that gives times as whole nanoseconds, so that messages can contain them.
#[derive(Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    pub fn start() -> Self {
        Self(Instant::now())
    }

    pub fn nanoseconds(self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Percentile of sorted values, in milliseconds.
pub fn percentile(sorted: &[u64], share: f64) -> f64 {
    if sorted.is_empty() {
        return f64::NAN;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    let place = ((sorted.len() - 1) as f64 * share).round() as usize;
    #[expect(clippy::cast_precision_loss)]
    let nanoseconds = sorted[place] as f64;
    nanoseconds / 1e6
}
