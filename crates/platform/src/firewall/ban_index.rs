//! In-memory copy of the table of bans, which every request is checked against.
//!
//! An address is looked up once per prefix length of any ban, so a ban of a range costs no more
//! than a ban of an address. Without bans the check is four atomic loads.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use appcore::Timestamp;
use dashmap::DashMap;
use ipnet::IpNet;

use super::network::network_of_len;

/// Number of prefix lengths that one word of the bit mask covers.
const WORD_BITS: u8 = 64;

#[derive(Default)]
pub(super) struct BanIndex {
    banned_until: DashMap<IpNet, Timestamp>,
    /// Bit mask of the prefix lengths in use: those of IPv4 in the first word, those of IPv6 in the
    /// others.
    lengths: [AtomicU64; 4],
    /// Networks changed since the last read of the table started, with the time of the change.
    changed: Mutex<HashMap<IpNet, Instant>>,
}

impl BanIndex {
    pub(super) fn is_empty(&self) -> bool {
        self.lengths.iter().all(|word| word.load(Ordering::Relaxed) == 0)
    }

    /// End of the longest ban that covers this address, if it is banned.
    pub(super) fn banned_until(&self, address: IpAddr, now: Timestamp) -> Option<Timestamp> {
        let words = match address {
            IpAddr::V4(_) => &self.lengths[..1],
            IpAddr::V6(_) => &self.lengths[1..],
        };
        let mut latest = None;
        for (word, first) in words.iter().zip([0, WORD_BITS, 2 * WORD_BITS]) {
            let mut left = word.load(Ordering::Relaxed);
            while left != 0 {
                // A word has 64 bits, so the position always fits into a `u8`.
                let length = first + u8::try_from(left.trailing_zeros()).unwrap_or_default();
                left &= left - 1;
                let found = self.banned_until.get(&network_of_len(address, length)).map(|until| *until);
                latest = latest.max(found.filter(|until| *until > now));
            }
        }
        latest
    }

    /// Bans a network. If it is banned already, the later of the two ends applies.
    pub(super) fn extend(&self, network: IpNet, until: Timestamp) {
        let mut changed = self.lock_changed();
        changed.insert(network, Instant::now());
        self.banned_until.entry(network).and_modify(|known| *known = until.max(*known)).or_insert(until);
        self.add_prefix_len(network);
    }

    /// Sets the ban of a network to its state in the table; `None` removes it.
    pub(super) fn sync(&self, network: IpNet, until: Option<Timestamp>) {
        let mut changed = self.lock_changed();
        changed.insert(network, Instant::now());
        match until {
            Some(until) => {
                self.banned_until.insert(network, until);
                self.add_prefix_len(network);
            }
            None => {
                self.banned_until.remove(&network);
                self.rebuild_prefix_lens();
            }
        }
    }

    /// Replaces all bans by the state of the table when the read started. Networks that have
    /// changed since then are left as they are.
    pub(super) fn replace(&self, standing: &HashMap<IpNet, Timestamp>, began: Instant) {
        let mut changed = self.lock_changed();
        changed.retain(|_, at| *at >= began);
        self.banned_until.retain(|network, _| standing.contains_key(network) || changed.contains_key(network));
        for (network, until) in standing {
            if !changed.contains_key(network) {
                self.banned_until.insert(*network, *until);
            }
        }
        self.rebuild_prefix_lens();
    }

    fn lock_changed(&self) -> MutexGuard<'_, HashMap<IpNet, Instant>> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add_prefix_len(&self, network: IpNet) {
        let (word, bit) = mask_bit(network);
        self.lengths[word].fetch_or(bit, Ordering::Relaxed);
    }

    /// Recomputes the prefix lengths in use. The caller must hold the lock of `changed`, so that no
    /// ban is added concurrently.
    fn rebuild_prefix_lens(&self) {
        let mut lengths = [0; 4];
        for entry in &self.banned_until {
            let (word, bit) = mask_bit(*entry.key());
            lengths[word] |= bit;
        }
        for (word, bits) in self.lengths.iter().zip(lengths) {
            word.store(bits, Ordering::Relaxed);
        }
    }
}

/// Position of a network's prefix length in the mask: index of the word, and the bit.
fn mask_bit(network: IpNet) -> (usize, u64) {
    let length = network.prefix_len();
    let first = match network {
        IpNet::V4(_) => 0,
        IpNet::V6(_) => 1,
    };
    (first + usize::from(length / WORD_BITS), 1 << (length % WORD_BITS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    fn until(book: &BanIndex, address: &str) -> Option<i64> {
        book.banned_until(address.parse().unwrap(), Timestamp(0)).map(Timestamp::millis)
    }

    #[test]
    fn addresses_match_every_network_that_contains_them() {
        let book = BanIndex::default();
        assert!(book.is_empty());
        for (text, at) in [("203.0.113.9/32", 1), ("203.0.113.0/24", 5), ("2001:db8::/64", 7), ("2001:db8:1::1/128", 9)]
        {
            book.extend(network(text), Timestamp(at));
        }
        assert_eq!(until(&book, "203.0.113.9"), Some(5), "the longest ban applies");
        assert_eq!(until(&book, "203.0.113.10"), Some(5));
        assert_eq!(until(&book, "203.0.114.9"), None);
        assert_eq!(until(&book, "2001:db8::ffff:1"), Some(7));
        assert_eq!(until(&book, "2001:db8:1::1"), Some(9));
        assert_eq!(until(&book, "2001:db8:1::2"), None);
        assert_eq!(book.banned_until("203.0.113.10".parse().unwrap(), Timestamp(5)), None, "the ban has ended");
        book.sync(network("203.0.113.0/24"), None);
        assert_eq!(until(&book, "203.0.113.9"), Some(1));
    }

    #[test]
    fn changes_after_the_read_are_kept() {
        let book = BanIndex::default();
        let (old, lifted, new) = (network("10.0.0.1/32"), network("10.0.0.2/32"), network("10.0.0.3/32"));
        book.extend(old, Timestamp(1));
        book.extend(lifted, Timestamp(1));
        let began = Instant::now();
        book.sync(lifted, None);
        book.extend(new, Timestamp(1));
        let read = HashMap::from([(lifted, Timestamp(1))]);
        book.replace(&read, began);
        assert_eq!(until(&book, "10.0.0.1"), None, "not in the table");
        assert_eq!(until(&book, "10.0.0.2"), None, "lifted after the read");
        assert_eq!(until(&book, "10.0.0.3"), Some(1), "banned after the read");
        book.replace(&HashMap::new(), Instant::now());
        assert!(book.is_empty());
    }
}
