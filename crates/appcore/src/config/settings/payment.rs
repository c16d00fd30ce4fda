//! Settings of payments.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use natter_macro::Settings;
use serde::Deserialize;

use super::seconds;
use crate::config::ConfigError;

/// Settings of payments. If no gateway is enabled, users are charged nothing.
#[derive(Clone, Debug, Deserialize, Settings)]
#[settings("payment")]
pub struct Payment {
    /// Time after which the status of a payment is polled if its gateway has not reported it, in
    /// seconds.
    #[setting(Number(1, 86_400), default = 600)]
    #[serde(deserialize_with = "seconds")]
    pub reconcile_after: Duration,
    /// Interval at which pending payments and due subscriptions are checked, in seconds.
    #[setting(Number(1, 86_400), default = 300)]
    #[serde(deserialize_with = "seconds")]
    pub reconcile_every: Duration,
    /// Number of days after which events received from gateways are deleted; payments and the
    /// ledger are kept. 0: never.
    #[setting(Number(0, 36_500), default = 400)]
    pub event_retention_days: u32,
    /// Time after the end of a subscription's period in which it still works and can be paid, in
    /// seconds.
    #[setting(Number(0, 5_184_000), default = 604_800)]
    #[serde(deserialize_with = "seconds")]
    pub grace: Duration,
    pub seller: Seller,
    /// Settings of each gateway, by the gateway's name.
    #[serde(flatten)]
    pub gateways: BTreeMap<String, GatewaySettings>,
}

/// Settings of a payment gateway, which the gateway parses itself.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct GatewaySettings(toml::Table);

impl GatewaySettings {
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.0.get(ENABLED).and_then(toml::Value::as_bool).unwrap_or_default()
    }

    /// Parses the settings except `enabled`.
    pub fn read<T: serde::de::DeserializeOwned>(&self) -> Result<T, ConfigError> {
        let mut settings = self.0.clone();
        settings.remove(ENABLED);
        settings.try_into().map_err(|error: toml::de::Error| ConfigError::new(error.message().to_owned()))
    }
}

/// The values are not printed, because some of them are secret.
impl fmt::Debug for GatewaySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewaySettings").field(ENABLED, &self.is_enabled()).finish_non_exhaustive()
    }
}

const ENABLED: &str = "enabled";

/// Seller, as printed on receipts.
#[derive(Clone, Debug, Deserialize, Settings)]
#[settings("payment.seller")]
#[serde(deny_unknown_fields)]
pub struct Seller {
    /// Name of the seller on receipts. Not set: the public host name.
    #[setting(Text, example = "Natter Ltd")]
    pub name: Option<String>,
    /// Address of the seller on receipts. \n starts a new line.
    #[setting(Text, example = "1 Example Road\\nLondon")]
    pub address: Option<String>,
    /// VAT id of the seller on receipts.
    #[setting(Text, example = "GB123456789")]
    pub vat_id: Option<String>,
    /// Name of the tax that is included in prices.
    #[setting(Text, default = "VAT")]
    pub tax_name: String,
    /// Tax rate in hundredths of a percent: 1900 is 19 %. 0: receipts show no tax.
    #[setting(Number(0, 10_000), default = 0)]
    pub tax_rate: u32,
}
