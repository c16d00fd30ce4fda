//! Deviations of providers from the standard.

use std::time::Duration;

use appcore::{Secret, Timestamp, config::OauthKind};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::{Deserialize, Serialize};

use crate::OidcError;

/// Apple's issuer, which is also the audience of Apple's client secret.
const APPLE: &str = "https://appleid.apple.com";
/// Lifetime of Apple's client secret. Apple allows half a year; it is created for each request.
const SECRET_TTL: Duration = Duration::from_secs(300);
/// Placeholder for the tenant in Microsoft's issuer.
const TENANT: &str = "{tenantid}";

/// Issuer of the provider, if the settings name none.
pub(crate) const fn default_issuer(kind: OauthKind) -> Option<&'static str> {
    match kind {
        OauthKind::Oidc => None,
        OauthKind::Google => Some("https://accounts.google.com"),
        OauthKind::Microsoft => Some("https://login.microsoftonline.com/common/v2.0"),
        OauthKind::Apple => Some(APPLE),
    }
}

pub(crate) const fn default_scopes(kind: OauthKind) -> &'static [&'static str] {
    match kind {
        OauthKind::Apple => &["openid", "name", "email"],
        OauthKind::Oidc | OauthKind::Google | OauthKind::Microsoft => &["openid", "profile", "email"],
    }
}

/// True if the provider's `email_verified` is trusted by default. Microsoft lets users enter any address.
pub(crate) const fn trusts_email(kind: OauthKind) -> bool {
    matches!(kind, OauthKind::Google | OauthKind::Apple)
}

/// True if the provider answers with a form POST. Apple requires it if scopes are requested.
pub(crate) const fn answers_by_form(kind: OauthKind) -> bool {
    matches!(kind, OauthKind::Apple)
}

/// True if the issuer in the discovery document matches the settings. Microsoft's is a template, so only its origin
/// must match.
pub(crate) fn matches_issuer(kind: OauthKind, configured: &str, said: &str) -> bool {
    let place = |text: &str| url::Url::parse(text).ok().map(|url| url.origin());
    match kind {
        OauthKind::Microsoft => place(said).is_some() && place(said) == place(configured),
        OauthKind::Oidc | OauthKind::Google | OauthKind::Apple => said == configured,
    }
}

/// Returns the issuer that a token must name, from the issuer in the discovery document and the token's tenant.
pub(crate) fn token_issuer(kind: OauthKind, said: &str, tenant: Option<&str>) -> Result<String, OidcError> {
    if !has_tenant_placeholder(kind, said) {
        return Ok(said.to_owned());
    }
    let tenant = tenant.filter(|tenant| is_guid(tenant));
    let tenant = tenant.ok_or_else(|| OidcError::invalid("the token's tenant is missing or malformed"))?;
    Ok(said.replace(TENANT, tenant))
}

/// True if the issuer in the discovery document contains the placeholder for the tenant.
pub(crate) fn has_tenant_placeholder(kind: OauthKind, said: &str) -> bool {
    kind == OauthKind::Microsoft && said.contains(TENANT)
}

fn is_guid(text: &str) -> bool {
    let dashes = [8, 13, 18, 23];
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match byte {
            b'-' => dashes.contains(&at),
            _ => byte.is_ascii_hexdigit() && !dashes.contains(&at),
        })
}

/// Apple's client credential: a key of the developer account, which is used instead of a secret.
pub(crate) struct AppleKey {
    pub team_id: String,
    pub key_id: String,
    pub key: EncodingKey,
}

impl AppleKey {
    /// Signs the client secret for one request.
    pub(crate) fn secret(&self, client_id: &str, now: Timestamp) -> Result<Secret, OidcError> {
        #[derive(Serialize)]
        struct Claims<'a> {
            iss: &'a str,
            sub: &'a str,
            aud: &'a str,
            iat: i64,
            exp: i64,
        }
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.key_id.clone());
        let claims = Claims {
            iss: &self.team_id,
            sub: client_id,
            aud: APPLE,
            iat: now.seconds(),
            exp: now.plus(SECRET_TTL).seconds(),
        };
        jsonwebtoken::encode(&header, &claims, &self.key)
            .map(Secret::from)
            .map_err(|error| OidcError::Settings(format!("failed to sign Apple's client secret: {error}")))
    }
}

/// Name in the form field `user`, which Apple sends only at the first sign-in. It is not signed.
#[must_use]
pub fn name_of_form(user: &str) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Name {
        first_name: Option<String>,
        last_name: Option<String>,
    }
    #[derive(Deserialize)]
    struct User {
        name: Option<Name>,
    }
    let name = serde_json::from_str::<User>(user).ok()?.name?;
    let whole = [name.first_name, name.last_name].into_iter().flatten().collect::<Vec<_>>().join(" ");
    Some(whole.trim().to_owned()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMON: &str = "https://login.microsoftonline.com/common/v2.0";
    const TEMPLATE: &str = "https://login.microsoftonline.com/{tenantid}/v2.0";
    const TENANT_ID: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

    #[test]
    fn microsoft_issuer_contains_the_tenant_of_the_token() {
        assert!(matches_issuer(OauthKind::Microsoft, COMMON, TEMPLATE));
        assert!(!matches_issuer(OauthKind::Microsoft, COMMON, "https://evil.example/{tenantid}/v2.0"));
        assert!(!matches_issuer(OauthKind::Oidc, COMMON, TEMPLATE));
        let issuer = |tenant| token_issuer(OauthKind::Microsoft, TEMPLATE, tenant);
        assert_eq!(
            issuer(Some(TENANT_ID)).unwrap(),
            "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0"
        );
        for wrong in [None, Some(""), Some("common"), Some("9188040d-6c67-4c5b-b112-36a304b66da/"), Some("../../evil")]
        {
            assert!(issuer(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(token_issuer(OauthKind::Oidc, TEMPLATE, Some(TENANT_ID)).unwrap(), TEMPLATE);
    }

    #[test]
    fn parses_apples_name_from_the_form() {
        let name = |text: &str| name_of_form(text);
        let form = r#"{"name":{"firstName":"Ada","lastName":"Lovelace"},"email":"ada@example.com"}"#;
        assert_eq!(name(form).as_deref(), Some("Ada Lovelace"));
        assert_eq!(name(r#"{"name":{"firstName":"Ada","lastName":null}}"#).as_deref(), Some("Ada"));
        for nothing in ["", "{", "[]", "{}", r#"{"name":{}}"#, r#"{"name":{"firstName":" "}}"#, r#"{"name":"Ada"}"#] {
            assert_eq!(name(nothing), None, "{nothing}");
        }
    }
}
