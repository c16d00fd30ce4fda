//! Instances of the program on a [`Stage`], and people on them.

use std::sync::Arc;

use appcore::{
    AppError, Language, RequestSource,
    auth::Principal,
    config::{Config, Table},
};
use identity::accounts::{self, Device, SignUp, SignedIn, TokenPair};
pub(crate) use stage::{Stage, stages, until};

use crate::App;

/// Somebody at this machine.
const HERE: RequestSource = RequestSource { address: None, is_foreign_page: false, is_local: true, country: None };

pub(crate) const PASSWORD: &str = "Tr1ckyHorse";

/// Instances of the whole program.
pub(crate) trait Instances {
    fn configured(&self, settings: &[(&str, &str)]) -> Config;

    /// One more instance on the same database and bus.
    async fn try_instance(&self, settings: &[(&str, &str)]) -> anyhow::Result<Arc<App>>;

    async fn instance(&self) -> Arc<App> {
        self.try_instance(&[]).await.unwrap()
    }
}

impl Instances for Stage {
    fn configured(&self, settings: &[(&str, &str)]) -> Config {
        self.config(&Table::with(crate::payments::settings()), settings)
    }

    async fn try_instance(&self, settings: &[(&str, &str)]) -> anyhow::Result<Arc<App>> {
        App::build(self.core(self.configured(settings)).await?).await
    }
}

/// Signs somebody up by name.
pub(crate) async fn sign_up(app: &App, name: &str) -> TokenPair {
    accounts::signup(&app.identity, newcomer(name), Device::default().sent_by(HERE)).await.unwrap()
}

/// Signs somebody in who has no second factor.
pub(crate) async fn sign_in(app: &App, email: &str, password: &str, device: Device) -> Result<TokenPair, AppError> {
    match accounts::signin(&app.identity, email, password, device).await? {
        SignedIn::Tokens(pair) => Ok(*pair),
        SignedIn::SecondFactor(challenge) => panic!("a second factor is asked for: {:?}", challenge.methods),
    }
}

pub(crate) fn newcomer(name: &str) -> SignUp {
    SignUp {
        email: email(name),
        password: PASSWORD.to_owned(),
        display_name: name.to_owned(),
        invitation: None,
        setup_token: None,
        language: Language::En,
    }
}

pub(crate) fn email(name: &str) -> String {
    format!("{}@example.com", name.to_lowercase())
}

/// Who shows these tokens.
pub(crate) async fn principal(app: &App, pair: &TokenPair) -> Principal {
    accounts::authenticate(&app.identity, pair.access_token.expose()).await.unwrap()
}
