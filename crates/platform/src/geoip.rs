//! Geolocation of addresses: from the operator's database in MaxMind's format (GeoLite2, DB-IP and
//! others), otherwise from a trusted proxy's header.
//!
//! The file is read once at the start; no address leaves this machine.

use std::{net::IpAddr, path::Path};

use anyhow::Context as _;
use appcore::{Country, GeoLocation};
use maxminddb::{Reader, geoip2};

/// Maximum length of a city name.
const MAX_CITY_CHARS: usize = 80;

/// Geolocation of addresses.
pub struct GeoIp {
    database: Option<Reader<Vec<u8>>>,
}

impl GeoIp {
    /// Loads the database, if the settings name one.
    pub fn load(file: Option<&Path>) -> anyhow::Result<Self> {
        let Some(file) = file else { return Ok(Self { database: None }) };
        let broken = || format!("The setting server.geoip_database names {}, which can't be used", file.display());
        let database = Reader::open_readfile(file).with_context(broken)?;
        let kind = database.metadata().database_type.clone();
        // Databases of other kinds, such as owners of networks, have the same format but no
        // locations.
        if !["City", "Country", "Enterprise"].iter().any(|word| kind.contains(word)) {
            return Err(anyhow::anyhow!("the database type is {kind:?}, expected cities or countries"))
                .with_context(broken);
        }
        tracing::info!(kind, "geolocation database loaded");
        Ok(Self { database: Some(database) })
    }

    /// Location of an address. The database takes precedence over `told`, the country from the
    /// proxy's header, because a proxy may forward that header from the client without verifying
    /// it.
    #[must_use]
    pub fn locate(&self, address: Option<IpAddr>, told: Option<Country>) -> Option<GeoLocation> {
        let found = address.and_then(|address| self.look_up(address));
        found.or_else(|| told.map(|country| GeoLocation { country, city: None }))
    }

    fn look_up(&self, address: IpAddr) -> Option<GeoLocation> {
        let database = self.database.as_ref()?;
        let found = database.lookup(address.to_canonical()).and_then(|found| found.decode::<geoip2::City<'_>>());
        let found = found.inspect_err(|error| tracing::debug!(%error, "failed to look up address")).ok()??;
        let country = Country::parse(found.country.iso_code?)?;
        let name = found.city.names.english.or(found.city.names.german);
        let shown = |name: &str| name.chars().filter(|letter| !letter.is_control()).take(MAX_CITY_CHARS).collect();
        let city: Option<String> = name.map(shown);
        Some(GeoLocation { country, city: city.filter(|name| !name.trim().is_empty()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Option<Country> {
        Country::parse(text)
    }

    #[test]
    fn without_a_database_the_reported_country_is_used() {
        let places = GeoIp::load(None).unwrap();
        let here = Some(IpAddr::from([203, 0, 113, 7]));
        assert_eq!(places.locate(here, told("VN")).unwrap().to_string(), "VN");
        assert_eq!(places.locate(here, None), None);
    }

    #[test]
    fn invalid_databases_fail_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("places.mmdb");
        let refused = |file: &Path| format!("{:#}", GeoIp::load(Some(file)).err().unwrap());
        assert!(refused(&file).contains("places.mmdb"), "{}", refused(&file));
        std::fs::write(&file, "not this").unwrap();
        assert!(refused(&file).starts_with("The setting server.geoip_database names"), "{}", refused(&file));
    }
}
