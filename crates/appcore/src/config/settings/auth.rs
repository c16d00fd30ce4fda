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
    /// Seconds that an access token lives.
    #[setting(Number(1, 31_536_000), default = 172_800)]
    #[serde(deserialize_with = "seconds")]
    pub access_ttl: Duration,
    /// Seconds that a refresh token lives.
    #[setting(Number(1, 315_360_000), default = 2_592_000)]
    #[serde(deserialize_with = "seconds")]
    pub refresh_ttl: Duration,
    /// Seconds in which a refresh repeated with the same Idempotency-Key gets the same tokens.
    #[setting(Number(0, 3_600), default = 30)]
    #[serde(deserialize_with = "seconds")]
    pub refresh_grace: Duration,
    /// Seconds after a sign-in in which keys, passkeys and linked accounts can be changed; later one confirms that it is oneself.
    #[setting(WINDOW, default = 900)]
    #[serde(deserialize_with = "seconds")]
    pub fresh_for: Duration,
    /// RSA key (PEM) that signs access tokens. Not set: made at the first start and kept in the database.
    #[setting(Text, example = "/etc/natter/signing-key.pem")]
    pub private_key_file: Option<PathBuf>,
    /// Encrypts the signing keys and the secrets of authenticator apps that are kept in the database. Not set: on SQLite the secret in encryption-key in server.data_dir, made at the first start; on PostgreSQL they lie there in clear.
    #[setting(Secret, example = "a long random text")]
    pub key_encryption_secret: Option<Secret>,
    /// What the first account, the administrator's in embedded mode, is asked for at sign-up. Not set: where others can reach the server, one that is made at the start and written to the log and to setup-token in server.data_dir.
    #[setting(Secret, example = "a long random text")]
    pub setup_token: Option<Secret>,
    /// Who may create an account: anyone (open), whoever was invited (invite), nobody (closed).
    #[setting(Choice(&["open", "invite", "closed"]), default = "open")]
    pub signup: SignUp,
    /// Sign-ins to one account that may fail from one address in auth.failed_window before more are refused.
    #[setting(Number(1, 1_000_000), default = 5)]
    pub failed_signins: u32,
    // One in five of 500 people who mistype their password on their first morning.
    /// The same for all accounts together, from one address: an office may share it.
    #[setting(Number(1, 1_000_000), default = 100)]
    pub failed_signins_per_address: u32,
    /// The same for one account, from all addresses together; where its owner has signed in before is not counted.
    #[setting(Number(1, 1_000_000), default = 20)]
    pub failed_signins_per_account: u32,
    /// Seconds from the first failed sign-in until they are forgotten.
    #[setting(WINDOW, default = 900)]
    #[serde(deserialize_with = "seconds")]
    pub failed_window: Duration,
    pub password: PasswordPolicy,
    /// In the order in which they were written.
    #[serde(default, deserialize_with = "named_oauth")]
    pub oauth: Vec<OauthProvider>,
}

/// Somebody by whom people can sign in.
#[derive(Clone, Debug, Deserialize, Settings)]
#[settings("auth.oauth.*")]
#[serde(deny_unknown_fields)]
pub struct OauthProvider {
    #[serde(skip)]
    pub name: String,
    /// Which provider of identities it is: google, microsoft, apple, or any other that speaks OpenID Connect (oidc).
    #[setting(Choice(&["oidc", "google", "microsoft", "apple"]), example = "google")]
    pub kind: OauthKind,
    /// The provider's issuer, exactly as its own document has it; https, or http on this machine. Needed for oidc alone.
    #[setting(Url(&["http", "https"]), example = "https://accounts.google.com")]
    pub issuer: Option<String>,
    /// What the provider calls this server. The address to register there: {server.public_url}/r1/auth/oauth/<name>/callback.
    #[setting(Text, example = "1234.apps.googleusercontent.com")]
    pub client_id: String,
    /// What this server shows the provider. apple: not needed where the next but one settings are.
    #[setting(Credential, example = "GOCSPX-…")]
    pub client_secret: Option<Secret>,
    /// What the provider is asked for. Not set: name and e-mail address.
    #[setting(Texts, example = "openid,profile,email")]
    pub scopes: Option<Vec<String>>,
    /// Whether an address that the provider calls verified counts as verified. Not set: true for google and apple, else false.
    #[setting(Switch, example = true)]
    pub trust_email: Option<bool>,
    /// apple: the team of the developer's account.
    #[setting(Text, example = "A1B2C3D4E5")]
    pub team_id: Option<String>,
    /// apple: the name of the key.
    #[setting(Text, example = "F6G7H8I9J0")]
    pub key_id: Option<String>,
    /// apple: the key itself (PEM), which signs the client's secret for each request.
    #[setting(Text, example = "/etc/natter/apple.p8")]
    pub private_key_file: Option<PathBuf>,
}

/// Which provider of identities it is.
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
    /// Server that takes mail: smtps://…, or smtp://…, where a password is sent by STARTTLS alone, and with ?tls=none in clear. Not set: mails are written to outbox in server.data_dir.
    #[setting(SecretUrl(&["smtp", "smtps"]), example = "smtps://user:…@mail.example.org")]
    pub smtp_url: Option<Secret>,
    /// Sender of mails. Not set: natter at the host of server.public_url.
    #[setting(Text, example = "Natter <natter@example.org>")]
    pub from: Option<String>,
}

/// Who may create an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SignUp {
    Open,
    Invite,
    Closed,
}

impl OauthProvider {
    /// The longest name: it is a part of addresses.
    const MAX_NAME: usize = 40;

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let name = &self.name;
        let refuse = |what: &str| Err(ConfigError::new(format!("The setting auth.oauth.{name}{what}")));
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
        if name.len() > Self::MAX_NAME || !name.bytes().all(plain) {
            return refuse(" must have a name of small letters, digits, - and _, because it is a part of addresses.");
        }
        match &self.issuer {
            Some(issuer) if !is_private(issuer) => {
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

/// Whether nobody on the way can read or change what is sent there.
fn is_private(address: &str) -> bool {
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
