//! Settings of accounts: sign-up, sign-in, identity providers and mail.

use std::path::PathBuf;
use std::time::Duration;

use natter_macro::Settings;
use serde::{Deserialize, Deserializer, Serialize};
use url::Url;
use utoipa::ToSchema;

use super::{is_loopback, seconds};
use crate::auth::password::Policy as PasswordPolicy;
use crate::config::{ConfigError, setting::WINDOW};
use crate::secret::Secret;

#[derive(Clone, Debug, Deserialize, Settings)]
#[settings("auth")]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// Lifetime of an access token, in seconds.
    #[setting(Number(1, 31_536_000), default = 172_800)]
    #[serde(deserialize_with = "seconds")]
    pub access_ttl: Duration,
    /// Lifetime of a refresh token, in seconds.
    #[setting(Number(1, 315_360_000), default = 2_592_000)]
    #[serde(deserialize_with = "seconds")]
    pub refresh_ttl: Duration,
    /// Time in which a refresh that is repeated with the same Idempotency-Key gets the same tokens,
    /// in seconds.
    #[setting(Number(0, 3_600), default = 30)]
    #[serde(deserialize_with = "seconds")]
    pub refresh_grace: Duration,
    /// Time after a sign-in in which keys, passkeys and linked accounts can be changed, in seconds.
    /// After that users must confirm their identity.
    #[setting(WINDOW, default = 900)]
    #[serde(deserialize_with = "seconds")]
    pub fresh_for: Duration,
    /// File with the RSA key (PEM) that signs access tokens. Not set: a key is generated at the
    /// first start and stored in the database.
    #[setting(Text, example = "/etc/natter/signing-key.pem")]
    pub private_key_file: Option<PathBuf>,
    /// Secret that encrypts the signing keys and the secrets of authenticator apps in the database.
    /// Not set: on SQLite, the file encryption-key in server.data_dir, which is created at the
    /// first start; on PostgreSQL they are stored unencrypted.
    #[setting(Secret, example = "a long random text")]
    pub key_encryption_secret: Option<Secret>,
    /// Token that the sign-up of the first account requires. In embedded mode this is the account
    /// of the administrator. Not set: if the server is reachable from other machines, a token is
    /// generated at the start and written to the log and to setup-token in server.data_dir.
    #[setting(Secret, example = "a long random text")]
    pub setup_token: Option<Secret>,
    /// Sign-up policy: open to all (open), by invitation only (invite), or disabled (closed).
    #[setting(Choice(&["open", "invite", "closed"]), default = "open")]
    pub signup: SignUpPolicy,
    /// Number of failed sign-ins to one account from one address, within auth.failed_window, after
    /// which further sign-ins are refused.
    #[setting(Number(1, 1_000_000), default = 5)]
    pub failed_signins: u32,
    // The default is enough for an office of 500 people, of whom one in five mistypes their password
    // on the first morning.
    /// Number of failed sign-ins from one address, to all accounts together, after which further
    /// sign-ins are refused. Many people may share an address.
    #[setting(Number(1, 1_000_000), default = 100)]
    pub failed_signins_per_address: u32,
    /// Number of failed sign-ins to one account from all addresses together after which further
    /// sign-ins are refused. Addresses from which the owner has signed in before don't count.
    #[setting(Number(1, 1_000_000), default = 20)]
    pub failed_signins_per_account: u32,
    /// Time from the first failed sign-in until the count is reset, in seconds.
    #[setting(WINDOW, default = 900)]
    #[serde(deserialize_with = "seconds")]
    pub failed_window: Duration,
    pub password: PasswordPolicy,
    /// Identity providers, in the order of the file.
    #[serde(default, deserialize_with = "named_oauth")]
    pub oauth: Vec<OauthProvider>,
}

/// Identity provider (OAuth, OpenID Connect).
#[derive(Clone, Debug, Deserialize, Settings)]
#[settings("auth.oauth.*")]
#[serde(deny_unknown_fields)]
pub struct OauthProvider {
    #[serde(skip)]
    pub name: String,
    /// Kind of the identity provider: google, microsoft, apple, or any other provider that supports
    /// OpenID Connect (oidc).
    #[setting(Choice(&["oidc", "google", "microsoft", "apple"]), example = "google")]
    pub kind: OauthKind,
    /// Issuer, exactly as in the provider's discovery document. It must be an https URL, or http on
    /// this machine. Required only for oidc.
    #[setting(Url(&["http", "https"]), example = "https://accounts.google.com")]
    pub issuer: Option<String>,
    /// Client id at the provider. The redirect URL to register there is
    /// {server.public_url}/r1/auth/oauth/<name>/callback.
    #[setting(Text, example = "1234.apps.googleusercontent.com")]
    pub client_id: String,
    /// Client secret. For apple, it is not needed if team_id, key_id and private_key_file are set.
    #[setting(Credential, example = "GOCSPX-…")]
    pub client_secret: Option<Secret>,
    /// Requested scopes. Not set: name and email address.
    #[setting(Texts, example = "openid,profile,email")]
    pub scopes: Option<Vec<String>>,
    /// Trust e-mail addresses that the provider reports as verified. Not set: true for google and
    /// apple, otherwise false. With another email_claim, true trusts all addresses of that claim.
    #[setting(Switch, example = true)]
    pub trust_email: Option<bool>,
    /// Claim that holds the e-mail address, such as upn or preferred_username for a provider that
    /// sends no email. Not set: email.
    #[setting(Text, example = "preferred_username")]
    pub email_claim: Option<String>,
    /// Team id of the developer account, for apple.
    #[setting(Text, example = "A1B2C3D4E5")]
    pub team_id: Option<String>,
    /// Id of the key, for apple.
    #[setting(Text, example = "F6G7H8I9J0")]
    pub key_id: Option<String>,
    /// File with the key (PEM) that signs the client secret of each request, for apple.
    #[setting(Text, example = "/etc/natter/apple.p8")]
    pub private_key_file: Option<PathBuf>,
}

/// Kind of an identity provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OauthKind {
    Oidc,
    Google,
    Microsoft,
    Apple,
}

#[derive(Clone, Debug, Default, Deserialize, Settings)]
#[settings("mail")]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// Mail server: smtps://… or smtp://…. With smtp, a password is sent only after STARTTLS,
    /// unless ?tls=none allows it unencrypted. Not set: mails are written to outbox in
    /// server.data_dir.
    #[setting(SecretUrl(&["smtp", "smtps"]), example = "smtps://user:…@mail.example.org")]
    pub smtp_url: Option<Secret>,
    /// Sender of mails. Not set: natter at the host of server.public_url.
    #[setting(Text, example = "Natter <natter@example.org>")]
    pub from: Option<String>,
}

/// Sign-up policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = SignUp)]
pub enum SignUpPolicy {
    Open,
    Invite,
    Closed,
}

impl OauthProvider {
    /// Maximum length of a provider's name, which is part of URLs.
    const MAX_NAME: usize = 40;

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let name = &self.name;
        let refuse = |what: &str| Err(ConfigError::new(format!("The setting auth.oauth.{name}{what}")));
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
        if name.len() > Self::MAX_NAME || !name.bytes().all(plain) {
            return refuse(" must have a name of small letters, digits, - and _, because it is a part of addresses.");
        }
        match &self.issuer {
            Some(issuer) if !is_confidential(issuer) => {
                return refuse(".issuer must begin with https://, or be on this machine.");
            }
            None if self.kind == OauthKind::Oidc => return refuse(".issuer is missing: oidc may be anybody."),
            _ => {}
        }
        let has_key = self.team_id.is_some() && self.key_id.is_some() && self.private_key_file.is_some();
        if self.kind == OauthKind::Apple && self.client_secret.is_none() && !has_key {
            return refuse(" needs team_id, key_id and private_key_file, from which Apple's secret is made.");
        }
        Ok(())
    }
}

/// True if the connection can't be intercepted, because it uses https or stays on this machine.
fn is_confidential(address: &str) -> bool {
    Url::parse(address).is_ok_and(|url| url.scheme() == "https" || is_loopback(&url))
}

fn named_oauth<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<OauthProvider>, D::Error> {
    let table = toml::Table::deserialize(deserializer)?;
    table
        .into_iter()
        .map(|(name, value)| {
            let provider = OauthProvider::deserialize(value).map_err(serde::de::Error::custom)?;
            Ok(OauthProvider { name, ..provider })
        })
        .collect()
}
