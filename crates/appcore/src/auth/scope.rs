//! Scopes of API keys.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Scope of an API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Read data and follow events.
    Read,
    /// Change data.
    Write,
    /// Call the AI gateway under `/v1`.
    Gateway,
    /// Administer the server, including reading. Effective only while the key's owner is an
    /// administrator.
    Admin,
}

impl Scope {
    const ALL: [Self; 4] = [Self::Read, Self::Write, Self::Gateway, Self::Admin];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Gateway => "gateway",
            Self::Admin => "admin",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Vec<Scope>", into = "Vec<Scope>")]
pub struct Scopes(u8);

impl Scopes {
    #[must_use]
    pub const fn contains(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns the set without all scopes but this one.
    #[must_use]
    pub const fn only(self, scope: Scope) -> Self {
        Self(self.0 & scope.bit())
    }

    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.contains(*scope))
    }

    /// Parses the stored form: names separated by commas. Unknown names are ignored, so they permit
    /// nothing.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Scope::ALL.into_iter().filter(|scope| text.split(',').any(|name| name == scope.as_str())).collect()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |set, scope| set | scope.bit()))
    }
}

impl From<Vec<Scope>> for Scopes {
    fn from(scopes: Vec<Scope>) -> Self {
        scopes.into_iter().collect()
    }
}

impl From<Scopes> for Vec<Scope> {
    fn from(scopes: Scopes) -> Self {
        scopes.iter().collect()
    }
}

impl std::fmt::Display for Scopes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.iter().map(Scope::as_str).collect();
        f.write_str(&names.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_round_trip_by_name_and_unknown_names_grant_nothing() {
        let scopes: Scopes = [Scope::Gateway, Scope::Read, Scope::Read].into_iter().collect();
        assert_eq!(scopes.to_string(), "read,gateway");
        assert_eq!(Scopes::parse("read,gateway"), scopes);
        assert!(!scopes.contains(Scope::Write));
        assert_eq!(scopes.only(Scope::Gateway).to_string(), "gateway");
        assert!(scopes.only(Scope::Admin).is_empty());
        assert!(Scopes::parse("everything,readwrite,").is_empty());
        assert_eq!(serde_json::to_string(&scopes).unwrap(), r#"["read","gateway"]"#);
    }
}
