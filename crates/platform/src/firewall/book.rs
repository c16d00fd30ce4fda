//! The networks that are kept out, in this process's memory: a copy of the table that is asked for each request.
//!
//! An address is looked up once for each length of prefix that some ban has, so a ban of a range costs no more than one of an
//! address, and while there is no ban at all the answer is four loads.

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

use super::network::cut;

/// Lengths of prefixes in one word of the mask.
const WORD: u8 = 64;

#[derive(Default)]
pub(super) struct Book {
    until: DashMap<IpNet, Timestamp>,
    /// Which lengths of prefixes there are: of IPv4 in the first word, of IPv6 in the others.
    lengths: [AtomicU64; 4],
    /// What was changed since the last reading of the table began.
    changed: Mutex<HashMap<IpNet, Instant>>,
}

impl Book {
    pub(super) fn is_empty(&self) -> bool {
        self.lengths.iter().all(|word| word.load(Ordering::Relaxed) == 0)
    }

    /// Until when this address is kept out, if it is.
    pub(super) fn until(&self, address: IpAddr, now: Timestamp) -> Option<Timestamp> {
        let words = match address {
            IpAddr::V4(_) => &self.lengths[..1],
            IpAddr::V6(_) => &self.lengths[1..],
        };
        let mut latest = None;
        for (word, first) in words.iter().zip([0, WORD, 2 * WORD]) {
            let mut left = word.load(Ordering::Relaxed);
            while left != 0 {
                // There are 64 bits in a word.
                let length = first + u8::try_from(left.trailing_zeros()).unwrap_or_default();
                left &= left - 1;
                let found = self.until.get(&cut(address, length)).map(|until| *until);
                latest = latest.max(found.filter(|until| *until > now));
            }
        }
        latest
    }

    /// Bans a network, until the later of this time and that of an existing ban.
    pub(super) fn put(&self, network: IpNet, until: Timestamp) {
        let mut changed = self.change();
        changed.insert(network, Instant::now());
        self.until.entry(network).and_modify(|known| *known = until.max(*known)).or_insert(until);
        self.mark(network);
    }

    /// What the table says of this network.
    pub(super) fn set(&self, network: IpNet, until: Option<Timestamp>) {
        let mut changed = self.change();
        changed.insert(network, Instant::now());
        match until {
            Some(until) => {
                self.until.insert(network, until);
                self.mark(network);
            }
            None => {
                self.until.remove(&network);
                self.remark();
            }
        }
    }

    /// What the table said when it began to be read. Networks that have changed since are left as they are.
    pub(super) fn replace(&self, standing: &HashMap<IpNet, Timestamp>, began: Instant) {
        let mut changed = self.change();
        changed.retain(|_, at| *at >= began);
        self.until.retain(|network, _| standing.contains_key(network) || changed.contains_key(network));
        for (network, until) in standing {
            if !changed.contains_key(network) {
                self.until.insert(*network, *until);
            }
        }
        self.remark();
    }

    fn change(&self) -> MutexGuard<'_, HashMap<IpNet, Instant>> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mark(&self, network: IpNet) {
        let (word, bit) = place(network);
        self.lengths[word].fetch_or(bit, Ordering::Relaxed);
    }

    /// Forgets lengths that no network has any more. Under the lock, so that none is added meanwhile.
    fn remark(&self) {
        let mut lengths = [0; 4];
        for entry in &self.until {
            let (word, bit) = place(*entry.key());
            lengths[word] |= bit;
        }
        for (word, bits) in self.lengths.iter().zip(lengths) {
            word.store(bits, Ordering::Relaxed);
        }
    }
}

/// The bit of a prefix's length in the mask.
fn place(network: IpNet) -> (usize, u64) {
    let length = network.prefix_len();
    let first = match network {
        IpNet::V4(_) => 0,
        IpNet::V6(_) => 1,
    };
    (first + usize::from(length / WORD), 1 << (length % WORD))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    fn until(book: &Book, address: &str) -> Option<i64> {
        book.until(address.parse().unwrap(), Timestamp(0)).map(Timestamp::millis)
    }

    #[test]
    fn addresses_are_found_by_every_network_that_they_are_in() {
        let book = Book::default();
        assert!(book.is_empty());
        for (text, at) in [("203.0.113.9/32", 1), ("203.0.113.0/24", 5), ("2001:db8::/64", 7), ("2001:db8:1::1/128", 9)]
        {
            book.put(network(text), Timestamp(at));
        }
        assert_eq!(until(&book, "203.0.113.9"), Some(5), "the longest ban counts");
        assert_eq!(until(&book, "203.0.113.10"), Some(5));
        assert_eq!(until(&book, "203.0.114.9"), None);
        assert_eq!(until(&book, "2001:db8::ffff:1"), Some(7));
        assert_eq!(until(&book, "2001:db8:1::1"), Some(9));
        assert_eq!(until(&book, "2001:db8:1::2"), None);
        assert_eq!(book.until("203.0.113.10".parse().unwrap(), Timestamp(5)), None, "it is over");
        book.set(network("203.0.113.0/24"), None);
        assert_eq!(until(&book, "203.0.113.9"), Some(1));
    }

    #[test]
    fn what_has_changed_since_the_table_was_read_stays() {
        let book = Book::default();
        let (old, lifted, new) = (network("10.0.0.1/32"), network("10.0.0.2/32"), network("10.0.0.3/32"));
        book.put(old, Timestamp(1));
        book.put(lifted, Timestamp(1));
        let began = Instant::now();
        book.set(lifted, None);
        book.put(new, Timestamp(1));
        let read = HashMap::from([(lifted, Timestamp(1))]);
        book.replace(&read, began);
        assert_eq!(until(&book, "10.0.0.1"), None, "the table does not have it");
        assert_eq!(until(&book, "10.0.0.2"), None, "it was lifted after the table was read");
        assert_eq!(until(&book, "10.0.0.3"), Some(1), "it was banned after the table was read");
        book.replace(&HashMap::new(), Instant::now());
        assert!(book.is_empty());
    }
}
