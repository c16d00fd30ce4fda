//! Instances of the program on a [`Stage`], and users of them.

use std::sync::Arc;

use app::App;
use appcore::config::{Config, SettingsTable};
pub(crate) use stage::{PASSWORD, Stage, email, newcomer, principal, sign_in, sign_up, stages, until};

/// Starts instances of the whole program.
pub(crate) trait Instances {
    fn configured(&self, settings: &[(&str, &str)]) -> Config;

    /// Starts another instance on the same database and bus.
    async fn try_instance(&self, settings: &[(&str, &str)]) -> anyhow::Result<Arc<App>>;

    async fn instance(&self) -> Arc<App> {
        self.try_instance(&[]).await.unwrap()
    }
}

impl Instances for Stage {
    fn configured(&self, settings: &[(&str, &str)]) -> Config {
        self.config(&SettingsTable::with_settings(billing::payments::settings()), settings)
    }

    async fn try_instance(&self, settings: &[(&str, &str)]) -> anyhow::Result<Arc<App>> {
        App::build(self.core(self.configured(settings)).await?).await
    }
}
