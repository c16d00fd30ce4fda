//! VAPID: identifies this server to push services (RFC 8292). The key is generated on the first
//! start and stored in the database, where all instances read it. It is encrypted if a secret is
//! configured.

use std::net::IpAddr;

use anyhow::Context as _;
use appcore::{Secret, Timestamp, auth::seal::StoredSecret, config::Config};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use dbcontext::{
    Database,
    query::push::{self as rows, StoredKey},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use url::Url;

/// Lifetime of a token, in seconds. RFC 8292 allows at most 24 hours.
const TTL: i64 = 12 * 3_600;

/// VAPID key pair of this server.
pub(super) struct Vapid {
    signing: EncodingKey,
    /// Public key as base64url.
    pub public: String,
    /// Contact address for the operators of push services.
    subject: String,
}

#[derive(Serialize)]
struct Claims<'a> {
    aud: &'a str,
    exp: i64,
    sub: &'a str,
}

impl Vapid {
    /// Loads the key; on the first start, generates it. If several instances start for the first
    /// time together, one of their keys is stored and all use it.
    pub async fn load(db: &Database, config: &Config) -> anyhow::Result<Self> {
        let secret = config.auth.key_encryption_secret.as_ref();
        let mut stored = rows::key(db.writer()).await?;
        if stored.is_none() {
            let made =
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).context("failed to generate a P-256 key")?;
            let pkcs8 = made.to_pkcs8v1().context("failed to encode the P-256 key")?.as_ref().to_vec();
            let public = BASE64_URL_SAFE_NO_PAD.encode(made.public_key().as_ref());
            let is_sealed = secret.is_some();
            let private_key = secret.map(|secret| sealed(secret, &pkcs8)).transpose()?.unwrap_or(pkcs8);
            rows::store_key(db.writer(), StoredKey { private_key, is_sealed }, &public).await?;
            stored = rows::key(db.writer()).await?;
        }
        let stored = stored.context("the database has no push key")?;
        let pkcs8 = match (stored.is_sealed, secret) {
            (false, None) => stored.private_key,
            (false, Some(secret)) => {
                rows::seal_key(db.writer(), sealed(secret, &stored.private_key)?).await?;
                stored.private_key
            }
            (true, None) => anyhow::bail!(
                "the push key in the database is encrypted: the setting auth.key_encryption_secret is missing"
            ),
            (true, Some(secret)) => StoredSecret::PushKey.unseal(secret, &stored.private_key)
                .context(
                    "wrong key for the push key in the database. Put back the encryption-key of this database, or the former value of auth.key_encryption_secret",
                )?,
        };
        Self::from_pkcs8(&pkcs8, subject(config))
    }

    fn from_pkcs8(pkcs8: &[u8], subject: String) -> anyhow::Result<Self> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8)
            .map_err(|_| anyhow::anyhow!("the push key is damaged"))?;
        let public = BASE64_URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        Ok(Self { signing: EncodingKey::from_ec_der(pkcs8), public, subject })
    }

    /// Returns the header `Authorization` of a request to a push endpoint.
    pub fn authorization(&self, endpoint: &Url, now: Timestamp) -> anyhow::Result<String> {
        let audience = endpoint.origin().ascii_serialization();
        let claims = Claims { aud: &audience, exp: now.seconds() + TTL, sub: &self.subject };
        let token = jsonwebtoken::encode(&Header::new(Algorithm::ES256), &claims, &self.signing)?;
        Ok(format!("vapid t={token}, k={}", self.public))
    }
}

fn sealed(secret: &Secret, pkcs8: &[u8]) -> anyhow::Result<Vec<u8>> {
    Ok(StoredSecret::PushKey.seal(secret, pkcs8)?)
}

/// Returns the contact URI that tokens name: the address of `mail.from`, or else `server.public_url`. `None` if neither
/// can be reached from the Internet; Apple's push service then rejects the tokens.
pub(super) fn contact(config: &Config) -> Option<String> {
    contact_of(config.mail.from.as_deref().unwrap_or_default(), config.server.public_url.as_ref())
}

fn contact_of(from: &str, public_url: Option<&Url>) -> Option<String> {
    let address = from.rsplit_once('<').map_or(from, |(_, address)| address.trim_end_matches('>')).trim();
    let has_domain = |host: &str| host.contains('.') && host.parse::<IpAddr>().is_err();
    if address.split_once('@').is_some_and(|(_, domain)| has_domain(domain)) {
        return Some(format!("mailto:{address}"));
    }
    let url = public_url.filter(|url| url.scheme() == "https" && url.host_str().is_some_and(has_domain))?;
    Some(url.as_str().trim_end_matches('/').to_owned())
}

/// Returns the contact URI, or a placeholder, because some push services reject tokens without one.
fn subject(config: &Config) -> String {
    contact(config).unwrap_or_else(|| {
        // Without a public address, no browser can subscribe but those on this machine.
        if config.server.public_url.is_some() {
            tracing::warn!(
                "no contact for push services: set mail.from, or server.public_url to an https address; Apple rejects pushes"
            );
        }
        "mailto:admin@localhost".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{DecodingKey, Validation};
    use serde_json::Value;

    use super::*;

    #[test]
    fn contact_is_reachable_from_the_internet() {
        let contact = |from: &str, url: &str| contact_of(from, Url::parse(url).ok().as_ref());
        let mail = Some("mailto:natter@example.org".to_owned());
        assert_eq!(contact("Natter <natter@example.org>", ""), mail);
        assert_eq!(contact("natter@example.org", "http://chat.example.org"), mail);
        let url = Some("https://chat.example.org".to_owned());
        assert_eq!(contact("natter@localhost", "https://chat.example.org"), url);
        assert_eq!(contact("", "https://chat.example.org"), url);
        for url in ["", "http://chat.example.org", "https://localhost:8443", "https://192.0.2.1"] {
            assert_eq!(contact("natter@localhost", url), None, "{url}");
        }
    }

    #[test]
    fn token_is_bound_to_one_push_service_and_verifies_with_the_public_key() {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let key = Vapid::from_pkcs8(pair.to_pkcs8v1().unwrap().as_ref(), "mailto:a@example.org".to_owned()).unwrap();
        let now = Timestamp(1_800_000_000_000);
        let endpoint = Url::parse("https://push.example.org:8443/send/abc?x=1").unwrap();
        let shown = key.authorization(&endpoint, now).unwrap();
        let (token, public) = shown.strip_prefix("vapid t=").unwrap().split_once(", k=").unwrap();
        let point = BASE64_URL_SAFE_NO_PAD.decode(public).unwrap();
        assert_eq!((point.len(), point[0]), (65, 4));
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_audience(&["https://push.example.org:8443"]);
        validation.validate_exp = false;
        let read = jsonwebtoken::decode::<Value>(token, &DecodingKey::from_ec_der(&point), &validation).unwrap();
        assert_eq!(read.claims["sub"], "mailto:a@example.org");
        assert_eq!(read.claims["exp"], 1_800_000_000 + TTL);
    }
}
