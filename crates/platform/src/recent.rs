//! A cache of two generations: when the young one is full or expired it becomes the old one, and the old one is dropped as a whole. An entry costs
//! its own bytes and no place in a queue, which matters where there is one for every person.

use std::{
    collections::HashMap,
    hash::Hash,
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

pub struct Recent<K, V> {
    generations: Mutex<Generations<K, V>>,
    /// Entries of one generation.
    most: usize,
    /// How long one is young. None: until it is full.
    youth: Option<Duration>,
}

struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    begun: Instant,
}

impl<K: Copy + Eq + Hash, V: Clone> Recent<K, V> {
    /// At most so many entries, each until it makes room for others.
    pub fn new(capacity: usize) -> Self {
        Self::with(capacity, None)
    }

    /// At most so many entries, none for longer than this.
    pub fn for_a_time(capacity: usize, longest: Duration) -> Self {
        Self::with(capacity, Some(longest / 2))
    }

    fn with(capacity: usize, youth: Option<Duration>) -> Self {
        let generations = Generations { young: HashMap::new(), old: HashMap::new(), begun: Instant::now() };
        Self { generations: Mutex::new(generations), most: capacity / 2, youth }
    }

    pub fn get(&self, key: &K) -> Option<V> {
        let mut now = self.now();
        if let Some(found) = now.young.get(key) {
            return Some(found.clone());
        }
        let found = now.old.get(key)?.clone();
        if self.youth.is_none() {
            // What is used stays.
            now.old.remove(key);
            self.put(&mut now, *key, found.clone());
        }
        Some(found)
    }

    pub fn insert(&self, key: K, value: V) {
        let mut now = self.now();
        now.old.remove(&key);
        self.put(&mut now, key, value);
    }

    pub fn remove(&self, key: &K) {
        let mut now = self.now();
        now.young.remove(key);
        now.old.remove(key);
    }

    pub fn retain(&self, mut stays: impl FnMut(&V) -> bool) {
        let mut now = self.now();
        now.young.retain(|_, value| stays(value));
        now.old.retain(|_, value| stays(value));
    }

    /// Drops expired entries without a look-up.
    pub fn tidy(&self) {
        drop(self.now());
    }

    fn put(&self, now: &mut Generations<K, V>, key: K, value: V) {
        if now.young.len() >= self.most {
            now.turn(Instant::now());
        }
        now.young.insert(key, value);
    }

    /// As it is now.
    fn now(&self) -> MutexGuard<'_, Generations<K, V>> {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(youth) = self.youth {
            let (now, age) = (Instant::now(), generations.begun.elapsed());
            if age >= youth * 2 {
                generations.young = HashMap::new();
            }
            if age >= youth {
                generations.turn(now);
            }
        }
        generations
    }
}

impl<K, V> Generations<K, V> {
    fn turn(&mut self, now: Instant) {
        self.old = mem::take(&mut self.young);
        self.begun = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_so_many_and_what_is_used_stays() {
        let recent = Recent::new(100);
        for n in 0..1_000_u32 {
            recent.insert(n, n);
            assert_eq!(recent.get(&0), Some(0), "it is asked for all the time");
        }
        assert_eq!(recent.get(&999), Some(999));
        assert!((0..1_000).filter(|n| recent.get(n).is_some()).count() <= 100);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_kept_for_longer_than_its_time() {
        let recent = Recent::for_a_time(100, Duration::from_secs(4));
        for second in 0..20_u64 {
            recent.insert(second, second);
            tokio::time::advance(Duration::from_secs(1)).await;
            assert_eq!(recent.get(&second), Some(second));
            for known in 0..second.saturating_sub(4) {
                assert_eq!(recent.get(&known), None, "{known} at {second}");
            }
        }
        tokio::time::advance(Duration::from_secs(9)).await;
        recent.tidy();
        let generations = recent.generations.lock().unwrap();
        assert_eq!((generations.young.capacity(), generations.old.capacity()), (0, 0));
    }

    #[test]
    fn what_is_removed_is_gone_from_both() {
        let recent = Recent::new(4);
        (0..3_u32).for_each(|n| recent.insert(n, n));
        recent.remove(&0);
        recent.retain(|n| *n != 2);
        assert_eq!((recent.get(&0), recent.get(&1), recent.get(&2)), (None, Some(1), None));
    }
}
