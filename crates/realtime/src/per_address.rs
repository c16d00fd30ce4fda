//! Limit on resources that one client address may use at the same time.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Counter of the resources in use per address. IPv6 addresses are counted per /64, because a
/// client usually controls a whole /64.
#[derive(Debug)]
pub struct PerAddress {
    /// Maximum number per address; 0 means unlimited.
    most: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
}

impl PerAddress {
    /// Creates a counter with a maximum of `most` per address; 0 means unlimited.
    #[must_use]
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, open: Mutex::default() })
    }

    /// Acquires a slot, which is released on drop. Returns `None` if the address has reached its
    /// limit. Unknown addresses aren't limited.
    #[must_use]
    pub fn acquire(self: &Arc<Self>, address: Option<IpAddr>) -> Option<AddressSlot> {
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

/// Slot of an address, released on drop.
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
    fn limits_each_address_separately() {
        let counter = PerAddress::new(2);
        let (first, _second) = (counter.acquire(at("192.0.2.1")), counter.acquire(at("::ffff:192.0.2.1")));
        assert!(first.is_some() && counter.acquire(at("192.0.2.1")).is_none());
        let _other = counter.acquire(at("192.0.2.2")).unwrap();
        drop(first);
        let again = counter.acquire(at("192.0.2.1"));
        assert!(again.is_some());
        drop((again, _second, _other));
        assert!(counter.open().is_empty(), "addresses without open resources are removed");
    }

    #[test]
    fn counts_ipv6_addresses_per_64_network() {
        let counter = PerAddress::new(1);
        let _held = counter.acquire(at("2001:db8::1"));
        assert!(counter.acquire(at("2001:db8::ffff:2")).is_none());
        assert!(counter.acquire(at("2001:db8:0:1::1")).is_some());
    }

    #[test]
    fn counts_nothing_without_a_limit_or_an_address() {
        let (open, closed) = (PerAddress::new(0), PerAddress::new(1));
        let slots: Vec<_> = (0..9).map(|_| (open.acquire(at("192.0.2.1")), closed.acquire(None))).collect();
        assert!(slots.iter().all(|(one, other)| one.is_some() && other.is_some()));
    }
}
