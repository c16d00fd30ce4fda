//! Payments in PayPal's transaction search.
//!
//! The app needs the permission `Transaction search`; without it, each payment is fetched. Transactions are listed some
//! hours after they were made, and PayPal reports until when the list is complete; an incomplete list is not compared.

use std::collections::HashMap;

use appcore::Timestamp;
use reqwest::{Method, StatusCode};
use serde::Deserialize;

use super::{Paypal, objects::Amount};
use crate::{GatewayError, ListedPayment, Money, PaymentListing};

/// Number of transactions per page. PayPal allows up to 500, but such an answer might exceed the size limit for
/// answers.
const PAGE_SIZE: u32 = 200;
/// Maximum number of pages: PayPal lists at most 10,000 transactions of a period.
const MAX_PAGES: u32 = 50;
/// Milliseconds per day.
const DAY: i64 = 86_400_000;

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    transaction_details: Vec<Details>,
    #[serde(default)]
    last_refreshed_datetime: Option<String>,
    #[serde(default)]
    total_pages: u32,
}

#[derive(Deserialize)]
struct Details {
    transaction_info: Transaction,
}

#[derive(Deserialize)]
struct Transaction {
    transaction_id: String,
    #[serde(default)]
    paypal_reference_id: Option<String>,
    #[serde(default)]
    transaction_event_code: String,
    #[serde(default)]
    transaction_status: String,
    transaction_amount: Amount,
    #[serde(default)]
    custom_field: Option<String>,
    #[serde(default)]
    invoice_id: Option<String>,
}

impl Transaction {
    /// True for money received from a payer: the code is `T00…`, and the amount isn't negative, as it is for money
    /// sent.
    fn is_payment(&self) -> bool {
        // The transaction was completed, and perhaps reversed or refunded later.
        let is_done = matches!(self.transaction_status.as_str(), "S" | "V" | "F");
        is_done && self.transaction_event_code.starts_with("T00") && !self.transaction_amount.value.starts_with('-')
    }

    /// True for refunds: the code is `T1106` if PayPal made it and `T1107` if the merchant made it.
    fn is_refund(&self) -> bool {
        matches!(self.transaction_event_code.as_str(), "T1106" | "T1107") && self.transaction_status == "S"
    }
}

/// Payments with their refunded amounts.
fn to_listed_payments(found: Vec<Transaction>) -> Vec<ListedPayment> {
    let mut refunded: HashMap<String, i64> = HashMap::new();
    for refund in found.iter().filter(|one| one.is_refund()) {
        let amount = refund.transaction_amount.without_sign();
        if let (Some(of), Some(money)) = (&refund.paypal_reference_id, amount) {
            *refunded.entry(of.clone()).or_default() += money.amount;
        }
    }
    let payments = found.into_iter().filter(Transaction::is_payment);
    let named = |name: &Option<String>| name.as_deref().and_then(|id| id.parse().ok());
    payments
        .filter_map(|one| {
            Some(ListedPayment {
                payment_id: named(&one.custom_field).or_else(|| named(&one.invoice_id)),
                money: one.transaction_amount.money()?,
                refunded: refunded.get(&one.transaction_id).copied().unwrap_or_default(),
                charge: one.transaction_id,
            })
        })
        .collect()
}

impl Amount {
    fn without_sign(&self) -> Option<Money> {
        Money::parse(self.value.trim_start_matches('-'), self.currency_code.parse().ok()?)
    }
}

impl Paypal {
    pub(crate) async fn transactions(&self, from: Timestamp, until: Timestamp) -> Result<PaymentListing, GatewayError> {
        let mut found = Vec::new();
        let mut start = from;
        while start < until {
            let end = Timestamp((start.0 + DAY).min(until.0));
            if !self.transactions_of(start, end, &mut found).await? {
                return Ok(PaymentListing::Denied);
            }
            start = end;
        }
        Ok(PaymentListing::Charges(to_listed_payments(found)))
    }

    /// Reads the transactions of at most one day. Returns false if the app has no permission to search.
    async fn transactions_of(
        &self,
        from: Timestamp,
        until: Timestamp,
        found: &mut Vec<Transaction>,
    ) -> Result<bool, GatewayError> {
        // PayPal includes both ends of the period.
        let last = Timestamp(until.0 - 1_000);
        for number in 1..=MAX_PAGES {
            let path = format!(
                "/v1/reporting/transactions?start_date={}&end_date={}&fields=transaction_info&page_size={PAGE_SIZE}&page={number}",
                second(from),
                second(last)
            );
            let reply = self.send(Method::GET, &path, None, None).await?;
            if reply.status == StatusCode::FORBIDDEN {
                return Ok(false);
            }
            let page: Page = reply.json()?;
            let whole_until = page.last_refreshed_datetime.as_deref().and_then(|at| Timestamp::parse(at).ok());
            if whole_until.is_some_and(|at| at < last) {
                return Err(GatewayError::OutcomeUnknown("its list isn't whole yet".to_owned()));
            }
            found.extend(page.transaction_details.into_iter().map(|details| details.transaction_info));
            if number >= page.total_pages {
                return Ok(true);
            }
        }
        Err(GatewayError::Rejected("there are more transactions than can be compared".to_owned()))
    }
}

/// Formats a time for PayPal's URLs, in UTC.
fn second(at: Timestamp) -> String {
    let text = at.to_string();
    let whole = text.split(['.', 'Z']).next().unwrap_or_default();
    format!("{whole}Z")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Currency;

    #[test]
    fn formats_times_with_seconds() {
        assert_eq!(second(Timestamp(1_700_000_000_123)), "2023-11-14T22:13:20Z");
        assert_eq!(second(Timestamp(1_700_000_000_000)), "2023-11-14T22:13:20Z");
    }

    #[test]
    fn lists_payments_with_refunded_amounts() {
        let transaction = |id: &str, code: &str, status: &str, value: &str, of: Option<&str>, custom: Option<&str>| {
            serde_json::from_value::<Transaction>(serde_json::json!({
                "transaction_id": id, "transaction_event_code": code, "transaction_status": status,
                "transaction_amount": { "currency_code": "USD", "value": value },
                "paypal_reference_id": of, "custom_field": custom,
            }))
            .unwrap()
        };
        let id = uuid::Uuid::from_u128(7).to_string();
        let found = to_listed_payments(vec![
            transaction("C1", "T0006", "S", "6.00", None, Some(&id)),
            transaction("R1", "T1107", "S", "-2.00", Some("C1"), None),
            transaction("R2", "T1107", "P", "-1.00", Some("C1"), None),
            transaction("C2", "T0006", "V", "3.00", None, Some("of another program")),
            transaction("C3", "T0006", "P", "3.00", None, None),
            transaction("P1", "T0000", "S", "-9.00", None, None),
            transaction("F1", "T0400", "S", "5.00", None, None),
        ]);
        let money = |amount| Money::new(amount, Currency::Usd);
        let ours =
            ListedPayment { payment_id: id.parse().ok(), charge: "C1".to_owned(), money: money(600), refunded: 200 };
        let other = ListedPayment { payment_id: None, charge: "C2".to_owned(), money: money(300), refunded: 0 };
        assert_eq!(found, [ours, other]);
    }
}
