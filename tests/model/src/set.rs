//! Small set of event sequence numbers.

/// Bit set of event sequence numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Set(u8);

impl Set {
    #[must_use]
    pub fn range(first: u8, last: u8) -> Self {
        (first..=last).fold(Self::default(), |set, seq| set.with(seq))
    }

    #[must_use]
    pub fn with(self, seq: u8) -> Self {
        Self(self.0 | 1 << seq)
    }

    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[must_use]
    pub fn has(self, seq: u8) -> bool {
        self.0 & (1 << seq) != 0
    }

    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..8).filter(move |seq| self.has(*seq))
    }
}
