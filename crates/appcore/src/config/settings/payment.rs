//! Settings of payments.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use natter_macro::Settings;
use serde::Deserialize;

use super::seconds;
use crate::config::ConfigError;

/// How people pay. Where no way is on, nothing is charged.
#[derive(Clone, Debug, Deserialize, Settings)]
#[settings("payment")]
pub struct Payment {
    /// Seconds after which a payment that nobody has told of is asked about.
    #[setting(Number(1, 86_400), default = 600)]
    #[serde(deserialize_with = "seconds")]
    pub reconcile_after: Duration,
    /// Seconds between two looks for such payments, and for subscriptions that are due.
    #[setting(Number(1, 86_400), default = 300)]
    #[serde(deserialize_with = "seconds")]
    pub reconcile_every: Duration,
    /// Days after which what gateways have told is no longer kept; payments and the ledger stay. 0: never.
    #[setting(Number(0, 36_500), default = 400)]
    pub event_retention_days: u32,
    /// Seconds after the end of a subscription's period in which it still works, and can be paid.
    #[setting(Number(0, 5_184_000), default = 604_800)]
    #[serde(deserialize_with = "seconds")]
    pub grace: Duration,
    pub seller: Seller,
    /// By their names.
    #[serde(flatten)]
    pub gateways: BTreeMap<String, GatewaySettings>,
}

/// What is set of a payment gateway. The gateway's own file knows what there is.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct GatewaySettings(toml::Table);

impl GatewaySettings {
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.0.get(ENABLED).and_then(toml::Value::as_bool).unwrap_or_default()
    }

    /// All but whether it is on.
    pub fn read<T: serde::de::DeserializeOwned>(&self) -> Result<T, ConfigError> {
        let mut settings = self.0.clone();
        settings.remove(ENABLED);
        settings.try_into().map_err(|error: toml::de::Error| ConfigError::new(error.message().to_owned()))
    }
}

/// Some of it is secret.
impl fmt::Debug for GatewaySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewaySettings").field(ENABLED, &self.is_enabled()).finish_non_exhaustive()
    }
}

const ENABLED: &str = "enabled";

/// Who sells, as it stands on receipts.
#[derive(Clone, Debug, Deserialize, Settings)]
#[settings("payment.seller")]
#[serde(deny_unknown_fields)]
pub struct Seller {
    /// Who sells, on receipts. Not set: the public host name.
    #[setting(Text, example = "Natter Ltd")]
    pub name: Option<String>,
    /// The seller's address, on receipts; \n begins a line.
    #[setting(Text, example = "1 Example Road\\nLondon")]
    pub address: Option<String>,
    /// The seller's VAT id, on receipts.
    #[setting(Text, example = "GB123456789")]
    pub vat_id: Option<String>,
    /// What the tax is called that is part of prices.
    #[setting(Text, default = "VAT")]
    pub tax_name: String,
    /// Its rate in hundredths of a percent: 1900 is 19 %. 0: receipts have no line of it.
    #[setting(Number(0, 10_000), default = 0)]
    pub tax_rate: u32,
}
