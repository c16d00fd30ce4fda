//! The providers that the settings name.

use appcore::{
    AppError, Code,
    config::{Auth, OauthKind},
};
use oidc::{OidcError, Provider};

use crate::IdentityService;

/// Every provider, in the order of the settings.
pub struct Providers(Vec<Provider>);

/// A provider, as the sign-in form shows it.
#[derive(Clone, Debug)]
pub struct ProviderName {
    pub name: String,
    pub kind: OauthKind,
}

impl Providers {
    pub(in crate::accounts) fn build(settings: &Auth) -> anyhow::Result<Self> {
        let built: Result<_, OidcError> = settings.oauth.iter().map(Provider::build).collect();
        Ok(Self(built?))
    }

    pub(super) fn find(&self, name: &str) -> Result<&Provider, AppError> {
        let found = self.0.iter().find(|provider| provider.name() == name);
        found.ok_or_else(|| AppError::refused(Code::NotFound, "This sign-in provider doesn't exist."))
    }

    pub(super) fn kind_of(&self, name: &str) -> Option<OauthKind> {
        self.0.iter().find(|provider| provider.name() == name).map(Provider::kind)
    }
}

/// The providers that one can sign in by.
#[must_use]
pub fn available(service: &IdentityService) -> Vec<ProviderName> {
    let providers = service.accounts.providers.0.iter();
    providers.map(|provider| ProviderName { name: provider.name().to_owned(), kind: provider.kind() }).collect()
}

/// What the caller sees; the reason goes to the log.
pub(super) fn app_error(provider: &Provider, error: OidcError) -> AppError {
    match error {
        OidcError::Invalid(reason) => {
            tracing::info!(provider = provider.name(), reason, "a sign-in by a provider was refused");
            Code::OauthInvalid.into()
        }
        OidcError::Unavailable(reason) => {
            AppError::unavailable(anyhow::anyhow!("the provider {} is away: {reason}", provider.name()))
        }
        OidcError::Settings(reason) => AppError::internal(anyhow::anyhow!(reason)),
    }
}
