//! How many things of a kind one address has open at the same time.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Counts what is open, by address; of IPv6 by /64, since whoever has one address of it has all.
#[derive(Debug)]
pub struct PerAddress {
    /// 0: no limit.
    most: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
}

impl PerAddress {
    /// At most so many for each address; 0: no limit.
    #[must_use]
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, open: Mutex::default() })
    }

    /// One more of this address, until the slot is dropped. None: it has as many as it may. An unknown address has no limit.
    #[must_use]
    pub fn take(self: &Arc<Self>, address: Option<IpAddr>) -> Option<AddressSlot> {
        let Some(network) = address.map(network_of).filter(|_| self.most > 0) else {
            return Some(AddressSlot { held: None });
        };
        let mut open = self.open();
        let count = open.entry(network).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        drop(open);
        Some(AddressSlot { held: Some((Arc::clone(self), network)) })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One thing that an address has open; closed when this is dropped.
#[must_use]
#[derive(Debug)]
pub struct AddressSlot {
    held: Option<(Arc<PerAddress>, IpAddr)>,
}

impl Drop for AddressSlot {
    fn drop(&mut self) {
        let Some((counter, network)) = &self.held else { return };
        let mut open = counter.open();
        if let Some(count) = open.get_mut(network) {
            *count -= 1;
            if *count == 0 {
                open.remove(network);
            }
        }
    }
}

fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) & !u128::from(u64::MAX)).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn an_address_has_so_many_and_no_more_and_the_others_their_own() {
        let counter = PerAddress::new(2);
        let (first, _second) = (counter.take(at("192.0.2.1")), counter.take(at("::ffff:192.0.2.1")));
        assert!(first.is_some() && counter.take(at("192.0.2.1")).is_none());
        let _other = counter.take(at("192.0.2.2")).unwrap();
        drop(first);
        let again = counter.take(at("192.0.2.1"));
        assert!(again.is_some());
        drop((again, _second, _other));
        assert!(counter.open().is_empty(), "nothing is kept of addresses that have nothing open");
    }

    #[test]
    fn all_addresses_of_a_64_are_one() {
        let counter = PerAddress::new(1);
        let _held = counter.take(at("2001:db8::1"));
        assert!(counter.take(at("2001:db8::ffff:2")).is_none());
        assert!(counter.take(at("2001:db8:0:1::1")).is_some());
    }

    #[test]
    fn nothing_is_counted_without_a_limit_or_an_address() {
        let (open, closed) = (PerAddress::new(0), PerAddress::new(1));
        let slots: Vec<_> = (0..9).map(|_| (open.take(at("192.0.2.1")), closed.take(None))).collect();
        assert!(slots.iter().all(|(one, other)| one.is_some() && other.is_some()));
    }
}
