//! Claims of ID tokens and UserInfo responses. Only the needed ones are parsed, because providers send other claims in
//! various forms and sizes: Auth0 writes `updated_at` as a date, Keycloak has its own form of `address`, and some send
//! long lists of groups. Malformed optional claims count as missing.

use std::collections::BTreeMap;

use appcore::Timestamp;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, IgnoredAny},
};
use serde_json::Value;

/// Standard claim of the address.
pub(crate) const EMAIL: &str = "email";
/// Maximum number and length of the claim names that are kept for the log.
const MAX_NAMES: usize = 40;
const MAX_NAME_CHARS: usize = 60;

/// Claims about the token itself. All of them are validated, so all must be well-formed.
#[derive(Debug, Deserialize)]
pub(crate) struct TokenClaims {
    #[serde(rename = "iss")]
    pub issuer: String,
    /// Audiences of the token. The claim may be a string instead of a list.
    #[serde(rename = "aud", default, deserialize_with = "one_or_many")]
    pub audiences: Vec<String>,
    /// Authorized party (`azp`), required if there are several audiences.
    #[serde(rename = "azp")]
    pub authorized_party: Option<String>,
    #[serde(rename = "exp", deserialize_with = "seconds")]
    pub expires_at: Timestamp,
    #[serde(rename = "iat", deserialize_with = "seconds")]
    pub issued_at: Timestamp,
    pub nonce: Option<String>,
    /// Microsoft's tenant id.
    #[serde(rename = "tid", default, deserialize_with = "text")]
    pub tenant: Option<String>,
}

/// Claims about the user, from the token or the UserInfo endpoint.
#[derive(Debug, Deserialize)]
pub(crate) struct PersonClaims {
    #[serde(rename = "sub")]
    pub subject: String,
    #[serde(default, deserialize_with = "text")]
    pub email: Option<String>,
    /// True if the provider has confirmed the address. Any value other than a clear yes counts as false.
    #[serde(default, deserialize_with = "lenient_bool")]
    pub email_verified: bool,
    #[serde(default, deserialize_with = "text")]
    name: Option<String>,
    #[serde(default, deserialize_with = "text")]
    given_name: Option<String>,
    #[serde(default, deserialize_with = "text")]
    family_name: Option<String>,
}

impl PersonClaims {
    /// Parses the claims. `email_claim` names the claim with the address. Providers verify only the standard one, so an
    /// address in another claim counts as verified if the settings trust it.
    pub(crate) fn parse(json: &[u8], email_claim: &str) -> serde_json::Result<Self> {
        let mut person: Self = serde_json::from_slice(json)?;
        if email_claim != EMAIL {
            let mut claims: BTreeMap<String, Value> = serde_json::from_slice(json)?;
            person.email = match claims.remove(email_claim) {
                Some(Value::String(address)) => Some(address),
                _ => None,
            };
            person.email_verified = person.email.is_some();
        }
        Ok(person)
    }

    /// Full name, or given and family name joined.
    pub(crate) fn name(&self) -> Option<String> {
        let said =
            |name: &Option<String>| name.as_deref().map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
        let parts = || {
            let parts: Vec<String> = [said(&self.given_name), said(&self.family_name)].into_iter().flatten().collect();
            Some(parts.join(" ")).filter(|name| !name.is_empty())
        };
        said(&self.name).or_else(parts)
    }
}

/// Names of the claims, sorted, for the log. Values are never logged.
pub(crate) fn names(json: &[u8]) -> Vec<String> {
    let claims: BTreeMap<String, IgnoredAny> = serde_json::from_slice(json).unwrap_or_default();
    let printable = |name: String| name.chars().filter(|letter| !letter.is_control()).take(MAX_NAME_CHARS).collect();
    claims.into_keys().take(MAX_NAMES).map(printable).collect()
}

/// Parses a string; anything else counts as missing.
pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => Some(text),
        _ => None,
    })
}

/// Parses a boolean, which Apple and some others write as a string.
fn lenient_bool<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Bool(said) => said,
        Value::String(said) => said == "true",
        _ => false,
    })
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(one) => Ok(vec![one]),
        many => serde_json::from_value(many).map_err(D::Error::custom),
    }
}

/// Parses seconds since 1970, which may have a fraction.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let said = serde_json::Number::deserialize(deserializer)?.to_string();
    let whole = said.split_once('.').map_or(said.as_str(), |(whole, _)| whole);
    let seconds: i64 = whole.parse().map_err(|_| D::Error::custom("a moment out of range"))?;
    Ok(Timestamp(seconds.saturating_mul(1000)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn person(claims: Value) -> PersonClaims {
        serde_json::from_value(claims).unwrap()
    }

    #[test]
    fn only_a_clear_yes_verifies_the_address() {
        for (said, verified) in [
            (json!(true), true),
            (json!("true"), true),
            (json!(false), false),
            (json!("false"), false),
            (json!("yes"), false),
            (json!(1), false),
            (json!(null), false),
            (json!([true]), false),
        ] {
            assert_eq!(person(json!({ "sub": "1", "email_verified": said })).email_verified, verified, "{said}");
        }
        assert!(!person(json!({ "sub": "1" })).email_verified);
    }

    #[test]
    fn malformed_optional_claims_count_as_missing() {
        let odd = person(
            json!({ "sub": "1", "email": ["ada@example.com"], "name": 7, "given_name": {}, "family_name": null }),
        );
        assert_eq!((odd.email.as_deref(), odd.name()), (None, None));
        let name = |claims: Value| person(claims).name();
        assert_eq!(
            name(json!({ "sub": "1", "name": " ", "given_name": "Ada", "family_name": " Lovelace" })).unwrap(),
            "Ada Lovelace"
        );
        assert_eq!(name(json!({ "sub": "1", "name": "Ada", "family_name": "Lovelace" })).unwrap(), "Ada");
        assert!(serde_json::from_value::<PersonClaims>(json!({ "sub": 1 })).is_err());
        assert!(serde_json::from_value::<PersonClaims>(json!({})).is_err());
    }

    #[test]
    fn the_address_is_read_from_the_configured_claim() {
        let json = br#"{"sub":"1","upn":"ada@contoso.example","email_verified":false,"groups":["staff"]}"#;
        let person = PersonClaims::parse(json, "upn").unwrap();
        assert_eq!((person.email.as_deref(), person.email_verified), (Some("ada@contoso.example"), true));
        let person = PersonClaims::parse(json, EMAIL).unwrap();
        assert_eq!((person.email, person.email_verified), (None, false));
        let odd = PersonClaims::parse(json, "groups").unwrap();
        assert_eq!((odd.email, odd.email_verified), (None, false));
        assert_eq!(names(json), ["email_verified", "groups", "sub", "upn"]);
        assert!(names(b"[]").is_empty());
    }

    #[test]
    fn malformed_token_claims_are_rejected() {
        let claims = |changed: Value| {
            let mut claims = json!({ "iss": "https://a.example", "aud": "b", "exp": 20, "iat": 10 });
            for (name, value) in changed.as_object().unwrap() {
                claims[name] = value.clone();
            }
            serde_json::from_value::<TokenClaims>(claims)
        };
        let plain = claims(json!({})).unwrap();
        assert_eq!(
            (plain.audiences, plain.issued_at, plain.expires_at),
            (vec!["b".to_owned()], Timestamp(10_000), Timestamp(20_000))
        );
        let other = claims(json!({ "aud": ["b", "c"], "iat": 10.75, "nonce": null, "tid": 3, "azp": "b" })).unwrap();
        assert_eq!((other.audiences.len(), other.issued_at, other.nonce), (2, Timestamp(10_000), None));
        assert_eq!((other.tenant, other.authorized_party.as_deref()), (None, Some("b")));
        for wrong in [
            json!({ "iss": null }),
            json!({ "aud": 1 }),
            json!({ "aud": ["b", 1] }),
            json!({ "exp": null }),
            json!({ "exp": "soon" }),
            json!({ "exp": 1e300 }),
            json!({ "iat": "2026-01-01T00:00:00Z" }),
            json!({ "nonce": 1 }),
            json!({ "azp": [] }),
        ] {
            assert!(claims(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
