//! Geolocation of client addresses.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

/// ISO 3166-1 country code of two letters, as sent by proxies and stored in databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Country([u8; 2]);

impl Country {
    /// Parses a country code. Returns `None` if the text is not a code of two letters, or is `XX`
    /// (unknown) or `T1` (the Tor network).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let [first, second] = text.trim().as_bytes() else { return None };
        let letters = [first.to_ascii_uppercase(), second.to_ascii_uppercase()];
        (letters.iter().all(u8::is_ascii_uppercase) && letters != *b"XX").then_some(Self(letters))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        // The bytes are ASCII letters.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl Serialize for Country {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Country {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("no country has this code"))
    }
}

/// Approximate location of an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Place)]
pub struct GeoLocation {
    /// Country, as ISO 3166-1 code of two letters.
    #[schema(value_type = String, min_length = 2, max_length = 2)]
    pub country: Country,
    /// City of the geolocation database; null if only the country is known.
    pub city: Option<String>,
}

impl GeoLocation {
    /// Restores a location from its stored parts. Returns `None` without a valid country.
    #[must_use]
    pub fn from_stored(country: Option<&str>, city: Option<String>) -> Option<Self> {
        Some(Self { country: Country::parse(country?)?, city })
    }
}

/// Formats the location, such as `Berlin, DE`.
impl fmt::Display for GeoLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(city) = &self.city {
            write!(f, "{city}, ")?;
        }
        f.write_str(self.country.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_two_letter_country_codes() {
        for (text, expected) in [("DE", Some("DE")), (" vn ", Some("VN"))] {
            assert_eq!(Country::parse(text).as_ref().map(Country::as_str), expected, "{text:?}");
        }
        for none in ["", "D", "DEU", "T1", "XX", "xx", "Ä", "D\u{0}", "<>"] {
            assert_eq!(Country::parse(none), None, "{none:?}");
        }
    }

    #[test]
    fn formats_city_and_country_if_known() {
        let place = |country, city: Option<&str>| GeoLocation::from_stored(country, city.map(str::to_owned));
        assert_eq!(place(Some("DE"), Some("Berlin")).unwrap().to_string(), "Berlin, DE");
        assert_eq!(place(Some("DE"), None).unwrap().to_string(), "DE");
        assert_eq!(place(None, Some("Berlin")), None);
        let json = serde_json::to_string(&place(Some("DE"), Some("Berlin"))).unwrap();
        assert_eq!(json, r#"{"country":"DE","city":"Berlin"}"#);
        assert!(serde_json::from_str::<GeoLocation>(r#"{"country":"T1","city":null}"#).is_err());
    }
}
