//! Instructions of the broadcaster to all shards.

use std::time::Duration;

/// Times at which a shard closes its connections, so that those of all shards are evenly distributed over the window.
#[derive(Clone, Copy, Debug)]
pub struct DrainSchedule {
    window: Duration,
    /// Position of the shard among all shards, from 0 to 1.
    phase: f64,
}

impl DrainSchedule {
    pub(crate) fn new(window: Duration, shard: usize, shards: usize) -> Self {
        Self { window, phase: (shard as f64 + 0.5) / shards.max(1) as f64 }
    }

    /// Time from the start after which the connection with this index is closed.
    pub(crate) fn delay(self, index: usize, connections: usize) -> Duration {
        self.window.mul_f64((index as f64 + self.phase) / connections.max(1) as f64)
    }
}

/// Instruction to every shard.
#[derive(Clone, Copy, Debug)]
pub enum Instruction {
    /// Close all connections, at the times of the schedule.
    Drain(DrainSchedule),
    /// Accept connections again.
    Resume,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closes_at_most_half_of_the_connections_in_a_tenth_of_the_window() {
        let window = Duration::from_secs(1);
        for per_shard in [[1, 1], [2, 0], [1, 2], [500, 20]] {
            let mut times: Vec<Duration> = (0..2)
                .flat_map(|shard| {
                    let schedule = DrainSchedule::new(window, shard, 2);
                    (0..per_shard[shard]).map(move |index| schedule.delay(index, per_shard[shard]))
                })
                .collect();
            times.sort_unstable();
            assert!(times.iter().all(|time| *time < window));
            let half = times.len() / 2;
            assert!(times.windows(half + 1).all(|some| some[half] - some[0] > window / 10), "{times:?}");
        }
    }
}
