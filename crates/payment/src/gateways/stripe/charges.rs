//! Charges of saved payment methods with Stripe: a PaymentIntent per period or purchase.
//!
//! Stripe's own subscriptions aren't used, because plans, versions and periods must be the same for all gateways, and
//! the credits of a period must be granted once. An unconfirmed intent costs nothing, and a succeeded one can't be
//! confirmed again.

use appcore::Timestamp;
use async_trait::async_trait;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use url::Url;
use uuid::Uuid;

use crate::{
    ChargeAttempt, ChargeOrder, ChargeResult, Checkout, GatewayError, KnownPayment, ListedPayment, Money,
    PayerPresence, PaymentUpdate, Recurring, RemoteState, SavedMethod, SetupOrder, SetupState, Snapshot,
    WebhookSubject,
};

use super::{Stripe, failure, objects::Reference};

/// Maximum number of pages, of 100 charges each, that are read for the two days of a comparison.
const MAX_PAGES: usize = 200;
/// Prefix of intent ids.
const INTENT_PREFIX: &str = "pi_";

/// True if the reference is that of a charge, not of a checkout.
pub(crate) fn is_charge(reference: &str) -> bool {
    reference.starts_with(INTENT_PREFIX)
}

#[derive(Deserialize)]
pub(crate) struct Intent {
    id: String,
    status: String,
    amount: i64,
    #[serde(default)]
    amount_received: Option<i64>,
    currency: String,
    #[serde(default)]
    customer: Option<Reference>,
    #[serde(default)]
    payment_method: Option<ExpandableMethod>,
    #[serde(default)]
    last_payment_error: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    metadata: Option<Metadata>,
    #[serde(default)]
    next_action: Option<NextAction>,
}

#[derive(Deserialize)]
struct NextAction {
    #[serde(default)]
    redirect_to_url: Option<RedirectTo>,
}

#[derive(Deserialize)]
struct RedirectTo {
    url: String,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    payment_id: Option<Uuid>,
    /// Metadata that is set on charges of saved methods only; the intents of checkouts lack it, because the checkout
    /// reports their outcome. `false` means that the payer was present.
    #[serde(default)]
    off_session: Option<String>,
}

/// A payment method, expanded or by its id. The order matters, because the second variant accepts anything.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum ExpandableMethod {
    Whole(ExpandedMethod),
    Id(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
pub(crate) struct ExpandedMethod {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    card: Option<Card>,
}

#[derive(Deserialize)]
struct Card {
    brand: String,
    last4: String,
    exp_month: i64,
    exp_year: i64,
}

impl ExpandedMethod {
    pub(crate) fn into_saved_method(self, customer: String) -> SavedMethod {
        let Self { id, kind, card } = self;
        let (brand, last4, exp) = match card {
            Some(card) => (card.brand, card.last4, Some((card.exp_month, card.exp_year))),
            None => (kind, String::new(), None),
        };
        SavedMethod {
            customer,
            reference: id,
            brand,
            last4,
            exp_month: exp.map(|(month, _)| month),
            exp_year: exp.map(|(_, year)| year),
        }
    }
}

impl Intent {
    fn is_payer_present(&self) -> bool {
        self.metadata.as_ref().is_some_and(|metadata| metadata.off_session.as_deref() == Some("false"))
    }

    fn into_charge_result(self) -> Result<ChargeResult, GatewayError> {
        let action = self.next_action.as_ref().and_then(|action| action.redirect_to_url.as_ref());
        let redirect_url = action.map(|action| action.url.clone()).filter(|_| self.status == "requires_action");
        Ok(ChargeResult { redirect_url, snapshot: self.snapshot()? })
    }

    fn money(&self) -> Option<Money> {
        Some(Money::new(self.amount_received.unwrap_or(self.amount), self.currency.parse().ok()?))
    }

    pub(crate) fn snapshot(self) -> Result<Snapshot, GatewayError> {
        let remote = match self.status.as_str() {
            "succeeded" => {
                let unread = || GatewayError::OutcomeUnknown("the currency can't be read".to_owned());
                RemoteState::Paid(self.money().ok_or_else(unread)?)
            }
            "canceled" => RemoteState::Failed,
            // After a decline the intent waits for another method, or for the payer.
            "requires_payment_method" if self.last_payment_error.is_some() => RemoteState::Failed,
            "requires_action" if !self.is_payer_present() => RemoteState::Failed,
            _ => RemoteState::Open,
        };
        Ok(Snapshot { remote, charge: Some(self.id) })
    }
}

/// Converts an event about an intent to an update of a payment.
pub(crate) fn intent_update(kind: &str, intent: &Intent) -> (WebhookSubject, PaymentUpdate) {
    let metadata = intent.metadata.as_ref();
    let ours = metadata.filter(|metadata| metadata.off_session.is_some()).and_then(|metadata| metadata.payment_id);
    let Some(payment_id) = ours else { return (WebhookSubject::Nothing, PaymentUpdate::Other) };
    let news = match kind {
        "payment_intent.succeeded" => intent
            .money()
            .map_or(PaymentUpdate::Foreign, |money| PaymentUpdate::Paid { money, charge: Some(intent.id.clone()) }),
        "payment_intent.payment_failed" | "payment_intent.canceled" => PaymentUpdate::Failed,
        "payment_intent.processing" => PaymentUpdate::Pending,
        _ => PaymentUpdate::Other,
    };
    (WebhookSubject::Payment(payment_id), news)
}

#[derive(Deserialize)]
struct Charges {
    data: Vec<ListedCharge>,
    #[serde(default)]
    has_more: bool,
}

/// A charge, made by any program of the account.
#[derive(Deserialize)]
struct ListedCharge {
    id: String,
    #[serde(default)]
    status: Option<String>,
    amount: i64,
    #[serde(default)]
    amount_refunded: i64,
    currency: String,
    #[serde(default)]
    payment_intent: Option<Reference>,
    #[serde(default)]
    metadata: Option<Metadata>,
}

impl ListedCharge {
    fn into_listed_payment(self) -> Option<ListedPayment> {
        if self.status.as_deref() != Some("succeeded") {
            return None;
        }
        Some(ListedPayment {
            payment_id: self.metadata.and_then(|metadata| metadata.payment_id),
            charge: self.payment_intent.map_or(self.id, Reference::into_id),
            money: Money::new(self.amount, self.currency.parse().ok()?),
            refunded: self.amount_refunded,
        })
    }
}

impl Stripe {
    /// Lists all charges of a period.
    pub(crate) async fn charges(&self, from: Timestamp, until: Timestamp) -> Result<Vec<ListedPayment>, GatewayError> {
        let (mut listed, mut after) = (Vec::new(), String::new());
        for _ in 0..MAX_PAGES {
            let (from, until) = (from.seconds(), until.seconds());
            let path = format!("/v1/charges?limit=100&created[gte]={from}&created[lt]={until}{after}");
            let page: Charges = self.send(self.request(Method::GET, &path)).await?;
            let last = page.data.last().map(|charge| format!("&starting_after={}", charge.id));
            listed.extend(page.data.into_iter().filter_map(ListedCharge::into_listed_payment));
            match last {
                Some(last) if page.has_more => after = last,
                _ => return Ok(listed),
            }
        }
        Err(GatewayError::Rejected("there are more charges than can be compared".to_owned()))
    }

    pub(crate) async fn intent(&self, id: &str) -> Result<Intent, GatewayError> {
        let path = format!("/v1/payment_intents/{id}?expand[]=payment_method");
        self.send(self.request(Method::GET, &path)).await
    }
}

#[async_trait]
impl Recurring for Stripe {
    async fn saved_method(&self, payment: &KnownPayment<'_>) -> Result<Option<SavedMethod>, GatewayError> {
        let Some(charge) = payment.charge else { return Ok(None) };
        let intent = self.intent(charge).await?;
        let (Some(customer), Some(ExpandableMethod::Whole(method))) = (intent.customer, intent.payment_method) else {
            return Ok(None);
        };
        Ok(Some(method.into_saved_method(customer.into_id())))
    }

    async fn prepare(&self, charge: &ChargeOrder<'_>) -> Result<String, GatewayError> {
        let (id, amount) = (charge.payment_id.to_string(), charge.price.amount.to_string());
        let currency = charge.price.currency.code().to_ascii_lowercase();
        let form = [
            ("amount", amount.as_str()),
            ("currency", &currency),
            ("customer", charge.customer),
            ("payment_method", charge.method),
            ("description", charge.title),
            ("metadata[payment_id]", &id),
            ("metadata[off_session]", if charge.presence == PayerPresence::Present { "false" } else { "true" }),
        ];
        let request = self
            .request(Method::POST, "/v1/payment_intents")
            .header("Idempotency-Key", format!("intent-{id}"))
            .form(&form);
        let intent: Intent = self.send(request).await?;
        Ok(intent.id)
    }

    async fn charge(
        &self,
        payment: &KnownPayment<'_>,
        attempt: &ChargeAttempt<'_>,
    ) -> Result<ChargeResult, GatewayError> {
        let path = format!("/v1/payment_intents/{}/confirm", payment.reference);
        // Stripe requires a return URL if one of the methods enabled for the account may redirect, even if a card
        // doesn't.
        let mut form = vec![("payment_method", attempt.method), ("return_url", attempt.return_url.as_str())];
        if attempt.presence == PayerPresence::Absent {
            form.push(("off_session", "true"));
        }
        let request = self
            .request(Method::POST, &path)
            .header("Idempotency-Key", format!("confirm-{}-{}", payment.payment_id, attempt.number))
            .form(&form);
        let reply = self.http.send(request).await?;
        if reply.status.is_success() {
            return reply.json::<Intent>()?.into_charge_result();
        }
        match failure(&reply) {
            // The charge was declined, or the payer would have to confirm it.
            GatewayError::Rejected(_) if reply.status == StatusCode::PAYMENT_REQUIRED => {
                Ok(ChargeResult::new_declined())
            }
            // The intent was paid before or can't be paid in this way: fetching it shows which.
            GatewayError::Rejected(reason) => match self.intent(payment.reference).await?.into_charge_result()? {
                ChargeResult { snapshot: Snapshot { remote: RemoteState::Open, .. }, redirect_url: None } => {
                    Err(GatewayError::Rejected(reason))
                }
                known => Ok(known),
            },
            away => Err(away),
        }
    }

    async fn create_setup(&self, order: &SetupOrder<'_>) -> Result<Checkout, GatewayError> {
        self.set_up(order).await
    }

    async fn fetch_setup(&self, reference: &str) -> Result<SetupState, GatewayError> {
        self.setup_state(reference).await
    }

    async fn delete_method(&self, method: &str) -> Result<(), GatewayError> {
        let path = format!("/v1/payment_methods/{method}/detach");
        let reply = self.http.send(self.request(Method::POST, &path)).await?;
        match failure(&reply) {
            _ if reply.status.is_success() => Ok(()),
            // The method was already detached.
            GatewayError::Rejected(_) if matches!(reply.status, StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND) => {
                Ok(())
            }
            error => Err(error),
        }
    }

    async fn portal(&self, customer: &str, return_url: &Url) -> Result<Option<String>, GatewayError> {
        #[derive(Deserialize)]
        struct Session {
            url: String,
        }
        let form = [("customer", customer), ("return_url", return_url.as_str())];
        let session: Session = self.send(self.request(Method::POST, "/v1/billing_portal/sessions").form(&form)).await?;
        Ok(Some(session.url))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Currency;

    fn intent(status: &str, error: bool) -> Intent {
        let error = if error { r#", "last_payment_error": {"code": "card_declined"}"# } else { "" };
        let body = format!(
            r#"{{"id":"pi_1","status":"{status}","amount":2400,"currency":"usd","payment_method":"pm_1",
               "metadata":{{"payment_id":"{}","off_session":"true"}}{error}}}"#,
            Uuid::from_u128(7)
        );
        serde_json::from_str(&body).unwrap()
    }

    #[test]
    fn charge_is_paid_on_success_and_failed_on_decline() {
        let remote = |status: &str, error: bool| intent(status, error).snapshot().unwrap().remote;
        assert_eq!(remote("succeeded", false), RemoteState::Paid(Money::new(2_400, Currency::Usd)));
        assert_eq!(remote("processing", false), RemoteState::Open);
        assert_eq!(remote("requires_payment_method", true), RemoteState::Failed);
        assert_eq!(remote("requires_confirmation", false), RemoteState::Open, "only prepared");
        assert_eq!(remote("requires_action", false), RemoteState::Failed, "the payer isn't present");
        assert_eq!(remote("something_new", false), RemoteState::Open);
        let mut wanted = intent("requires_action", false);
        wanted.metadata = Some(Metadata { payment_id: None, off_session: Some("false".to_owned()) });
        let url = "https://hooks.stripe.com/3d_secure".to_owned();
        wanted.next_action = Some(NextAction { redirect_to_url: Some(RedirectTo { url: url.clone() }) });
        let charged = wanted.into_charge_result().unwrap();
        assert_eq!(
            (charged.snapshot.remote, charged.redirect_url),
            (RemoteState::Open, Some(url)),
            "the payer is present"
        );
    }

    #[test]
    fn ignores_events_about_checkout_intents() {
        let (about, news) = intent_update("payment_intent.succeeded", &intent("succeeded", false));
        let paid = PaymentUpdate::Paid { money: Money::new(2_400, Currency::Usd), charge: Some("pi_1".to_owned()) };
        assert_eq!((about, news), (WebhookSubject::Payment(Uuid::from_u128(7)), paid));
        let mut of_checkout = intent("requires_payment_method", true);
        of_checkout.metadata = Some(Metadata { payment_id: Some(Uuid::from_u128(7)), off_session: None });
        assert_eq!(
            intent_update("payment_intent.payment_failed", &of_checkout),
            (WebhookSubject::Nothing, PaymentUpdate::Other)
        );
    }
}
