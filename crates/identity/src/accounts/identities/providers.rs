//! Configured identity providers.

use appcore::{
    AppError, Code,
    config::{Auth, OauthKind},
};
use oidc::{OidcError, Provider};

use crate::IdentityService;

/// All providers, in the order of the settings.
pub struct Providers(Vec<Provider>);

/// Provider data for the sign-in form.
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

/// Lists the providers available for sign-in.
#[must_use]
pub fn available(service: &IdentityService) -> Vec<ProviderName> {
    let providers = service.accounts.providers.0.iter();
    providers.map(|provider| ProviderName { name: provider.name().to_owned(), kind: provider.kind() }).collect()
}

/// Converts a provider error to the error that the client gets. The reason is only logged.
pub(super) fn app_error(provider: &Provider, error: OidcError) -> AppError {
    match error {
        OidcError::Invalid(reason) => {
            tracing::info!(provider = provider.name(), reason, "provider sign-in rejected");
            Code::OauthInvalid.into()
        }
        OidcError::Unavailable(reason) => {
            AppError::unavailable(anyhow::anyhow!("identity provider {} unavailable: {reason}", provider.name()))
        }
        OidcError::Settings(reason) => AppError::internal(anyhow::anyhow!(reason)),
    }
}
