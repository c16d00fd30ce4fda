//! Gateway adapters, one file each.

pub(crate) mod demo;
mod momo;
mod paypal;
mod stripe;
mod vnpay;

use crate::GatewayKind;

/// All gateways, in display order. A new gateway is added here.
pub(crate) static GATEWAYS: [&GatewayKind; 5] = [&demo::KIND, &stripe::KIND, &paypal::KIND, &momo::KIND, &vnpay::KIND];

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fmt::Write as _, path::PathBuf};

    use appcore::config::{self, SettingsTable};
    use url::Url;

    use super::*;
    use crate::{Currency, Gateway, GatewayName, PaymentContext, PaymentWebhookTransport};

    fn table() -> SettingsTable {
        SettingsTable::with_settings(crate::settings())
    }

    fn place(path: &str) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
    }

    /// Builds all gateways with the example values of their settings.
    fn built() -> Vec<std::sync::Arc<dyn Gateway>> {
        let variable = |pattern: &str| format!("NATTER__{}", pattern.replace('.', "__").to_uppercase());
        let variables: Vec<(String, String)> = crate::settings()
            .map(|setting| {
                let text = match setting.default {
                    config::Preset::Value("") => "example",
                    config::Preset::Value("false") => "true",
                    config::Preset::Value(text) | config::Preset::Unset(text) => text,
                };
                (variable(setting.pattern), text.to_owned())
            })
            .collect();
        let environment = variables.iter().map(|(name, value)| (name.into(), value.into()));
        let config = config::load_table(&table(), None, environment).unwrap().config;
        let around = PaymentContext { public_url: Url::parse("https://chat.test").unwrap() };
        GatewayName::all().map(|name| name.build(&config.payment.gateways[name.as_str()], &around).unwrap()).collect()
    }

    #[test]
    fn each_gateway_is_found_by_name_and_built_from_its_settings() {
        let names: Vec<&str> = GatewayName::all().map(GatewayName::as_str).collect();
        assert_eq!(names, ["demo", "stripe", "paypal", "momo", "vnpay"]);
        for (name, gateway) in GatewayName::all().zip(built()) {
            assert_eq!((name.as_str().parse::<GatewayName>(), gateway.name()), (Ok(name), name));
        }
        assert!("other".parse::<GatewayName>().is_err());
        for kind in GATEWAYS {
            let prefix = format!("payment.{}.", kind.name);
            assert!(kind.settings.iter().all(|setting| setting.pattern.starts_with(&prefix)), "{prefix}");
            assert_eq!(kind.settings[0].pattern, format!("{prefix}enabled"));
        }
    }

    #[test]
    fn enabled_gateways_require_their_settings_and_hide_secrets() {
        let load = |variables: &[(&str, &str)]| {
            let environment = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
            config::load_table(&table(), None, environment)
        };
        let on = ("NATTER__PAYMENT__STRIPE__ENABLED", "true");
        let key = ("NATTER__PAYMENT__STRIPE__SECRET_KEY", "sk_test_hunter22");
        let webhook = ("NATTER__PAYMENT__STRIPE__WEBHOOK_SECRET", "whsec_hunter22");
        for (variables, missing) in [
            (vec![on, webhook], "payment.stripe.secret_key is required if payment.stripe.enabled is true"),
            (vec![on, key], "payment.stripe.webhook_secret is required if payment.stripe.enabled is true"),
        ] {
            let sentence = load(&variables).unwrap_err().to_string();
            assert!(sentence.contains(missing), "{sentence}");
        }
        let loaded = load(&[on, key, webhook]).unwrap();
        assert!(loaded.config.payment.gateways["stripe"].is_enabled());
        assert!(!loaded.config.payment.gateways["momo"].is_enabled());
        assert!(!format!("{:?}{}", loaded.config, loaded.describe()).contains("hunter22"));
        assert!(load(&[("NATTER__PAYMENT__OTHER__ENABLED", "true")]).is_err());
    }

    #[test]
    fn reference_file_ends_with_gateway_settings() {
        let file = std::fs::read_to_string(place("config.toml")).unwrap();
        assert!(
            file == config::reference(&table()),
            "config.toml is behind the table: write it with `natter config --reference > config.toml`"
        );
        let loaded = config::load_table(&table(), Some(&place("config.toml")), []).unwrap();
        assert_eq!(loaded.config.payment.gateways.len(), GATEWAYS.len());
    }

    /// Compares a file with its expected content, or writes it if `NATTER_UPDATE` is set.
    fn hold(path: &str, wanted: &str) {
        if std::env::var_os("NATTER_UPDATE").is_some() {
            std::fs::write(place(path), wanted).unwrap();
        }
        let found = std::fs::read_to_string(place(path)).unwrap();
        assert!(found == wanted, "{path} is outdated: run `scripts/describe`");
    }

    #[test]
    fn documentation_table_lists_all_gateways() {
        const FIRST: &str = "| `{gateway}` | | takes | charges again | tells by |\n|---|---|---|---|---|\n";
        let mut table = FIRST.to_owned();
        for gateway in built() {
            let taken: Vec<&str> =
                Currency::ALL.iter().filter(|one| gateway.limits(**one).is_some()).map(|one| one.code()).collect();
            let taken = if taken.len() == Currency::ALL.len() { "all currencies".to_owned() } else { taken.join(", ") };
            let charges = if gateway.recurring().is_some() { "yes" } else { "no: the payer is mailed a link" };
            let tells = match gateway.webhook_transport() {
                PaymentWebhookTransport::Body => "POST",
                PaymentWebhookTransport::Query => "GET",
            };
            let name = gateway.name();
            let _ = writeln!(table, "| `{name}` | {} | {taken} | {charges} | {tells} |", name.label());
        }
        let page = std::fs::read_to_string(place("docs/payments.md")).unwrap();
        let begin = page.find(FIRST).unwrap();
        let end = begin + page[begin..].find("\n\n").unwrap() + 1;
        hold("docs/payments.md", &format!("{}{table}{}", &page[..begin], &page[end..]));
    }

    /// The frontend needs this table for payments of which it knows only the gateway's name.
    #[test]
    fn frontend_table_matches() {
        let known: BTreeMap<&str, serde_json::Value> = built()
            .iter()
            .map(|gateway| {
                let saves_methods = gateway.recurring().is_some();
                let known = serde_json::json!({ "label": gateway.name().label(), "saves_methods": saves_methods });
                (gateway.name().as_str(), known)
            })
            .collect();
        let text = serde_json::to_string_pretty(&known).unwrap() + "\n";
        hold("frontend/src/lib/features/billing/gateways.json", &text);
    }
}
