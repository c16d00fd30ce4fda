//! Saving a payment method at Stripe without a purchase: a Checkout Session in setup mode.

use reqwest::Method;
use serde::Deserialize;

use super::{Stripe, charges::ExpandableMethod, objects::Reference};
use crate::{Checkout, GatewayError, SetupOrder, SetupState};

/// Currency from which Stripe derives the methods that it offers. The field is required, but a saved card works for all
/// currencies.
const CURRENCY: &str = "usd";

#[derive(Deserialize)]
struct Session {
    id: String,
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    setup_intent: Option<SetupIntent>,
}

/// A setup intent, expanded or by its id. The order matters, because the second variant accepts anything.
#[derive(Deserialize)]
#[serde(untagged)]
enum SetupIntent {
    Whole {
        status: String,
        #[serde(default)]
        customer: Option<Reference>,
        #[serde(default)]
        payment_method: Option<ExpandableMethod>,
    },
    Id(serde::de::IgnoredAny),
}

impl Session {
    fn state(self) -> SetupState {
        match (self.status.as_deref(), self.setup_intent) {
            (
                Some("complete"),
                Some(SetupIntent::Whole {
                    status,
                    customer: Some(customer),
                    payment_method: Some(ExpandableMethod::Whole(method)),
                }),
            ) if status == "succeeded" => SetupState::Kept(method.into_saved_method(customer.into_id())),
            (Some("complete"), Some(SetupIntent::Whole { status, .. })) if status == "canceled" => SetupState::Failed,
            (Some("expired"), _) => SetupState::Expired,
            _ => SetupState::Open,
        }
    }
}

impl Stripe {
    pub(crate) async fn set_up(&self, order: &SetupOrder<'_>) -> Result<Checkout, GatewayError> {
        let (id, expires_at) = (order.setup_id.to_string(), order.expires_at.seconds().to_string());
        let mut form = vec![
            ("mode", "setup"),
            ("currency", CURRENCY),
            ("client_reference_id", &id),
            ("metadata[setup_id]", &id),
            ("setup_intent_data[metadata][setup_id]", &id),
            ("success_url", order.return_url.as_str()),
            ("cancel_url", order.return_url.as_str()),
            ("expires_at", &expires_at),
        ];
        match order.save_for.customer {
            Some(customer) => form.push(("customer", customer)),
            None => form.extend([("customer_creation", "always"), ("customer_email", order.save_for.email)]),
        }
        let request = self
            .request(Method::POST, "/v1/checkout/sessions")
            .header("Idempotency-Key", format!("setup-{id}"))
            .form(&form);
        let session: Session = self.send(request).await?;
        let redirect_url =
            session.url.ok_or_else(|| GatewayError::OutcomeUnknown("the session has no address".to_owned()))?;
        Ok(Checkout { reference: session.id, redirect_url })
    }

    pub(crate) async fn setup_state(&self, reference: &str) -> Result<SetupState, GatewayError> {
        let path = format!("/v1/checkout/sessions/{reference}?expand[]=setup_intent.payment_method");
        let session: Session = self.send(self.request(Method::GET, &path)).await?;
        Ok(session.state())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn card_is_saved_when_its_intent_succeeds() {
        let state = |session: &str, intent: &str| {
            let card = r#"{"brand":"visa","last4":"4242","exp_month":12,"exp_year":2031}"#;
            let body = format!(
                r#"{{"id":"cs_1","status":"{session}","setup_intent":{{"id":"seti_1","status":"{intent}","customer":"cus_1",
                   "payment_method":{{"id":"pm_1","type":"card","card":{card}}}}}}}"#
            );
            serde_json::from_str::<Session>(&body).unwrap().state()
        };
        let SetupState::Kept(kept) = state("complete", "succeeded") else { panic!("not saved") };
        assert_eq!((kept.customer.as_str(), kept.reference.as_str(), kept.last4.as_str()), ("cus_1", "pm_1", "4242"));
        assert_eq!(state("complete", "processing"), SetupState::Open);
        assert_eq!(state("complete", "canceled"), SetupState::Failed);
        assert_eq!(state("open", "requires_payment_method"), SetupState::Open, "the payer may try another card");
        assert_eq!(state("expired", "requires_payment_method"), SetupState::Expired);
        let by_id = serde_json::from_str::<Session>(r#"{"id":"cs_1","status":"complete","setup_intent":"seti_1"}"#);
        assert_eq!(by_id.unwrap().state(), SetupState::Open, "unexpanded intent");
    }
}
