//! Sends one message to one device through its push service (RFC 8030).

use std::time::Duration;

use appcore::{
    ConversationId,
    view::{Notification, NotificationKind},
};
use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use dbcontext::query::push::Subscription;
use outgoing::{FetchLimits, OutgoingRequest};
use reqwest::{
    Method, StatusCode,
    header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
};
use serde_json::json;
use url::Url;

use super::encryption::{MAX_PLAINTEXT_LEN, encrypt};
use crate::EventLogService;

/// Time for which the push service keeps an undelivered message (header `TTL`), in seconds: one
/// day.
const TTL_SECONDS: &str = "86400";
/// Maximum length of a topic, in characters, by RFC 8030.
const MAX_TOPIC_LEN: usize = 32;
const LIMITS: FetchLimits =
    FetchLimits { max_bytes: 16 * 1024, timeout: Duration::from_secs(10), redirects: 0, truncates: false };
/// Maximum `Retry-After` of a push service that is respected.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3_600);

/// Message to send to the user's devices.
pub(crate) struct PushMessage {
    /// JSON payload. If empty, the app closes the notifications that it shows for the topic.
    text: Vec<u8>,
    /// Payload without the text of the message, used if the full one is too large for the push
    /// service.
    brief: Vec<u8>,
    /// Topic of the message: the push service replaces an undelivered message by a later one with
    /// the same topic.
    topic: String,
    is_urgent: bool,
}

/// Result of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeliveryOutcome {
    Sent,
    /// The push service no longer has the subscription.
    Gone,
    /// Temporary failure. The message should be sent again after the given time, if any.
    Later(Option<Duration>),
    /// Permanent failure.
    Refused,
}

impl PushMessage {
    pub fn from_notification(notification: &Notification, with_text: bool) -> Self {
        let json = |text: &str| {
            json!({
                "id": notification.id,
                "kind": notification.kind,
                "conversation_id": notification.conversation_id,
                "message_id": notification.message_id,
                "title": notification.title,
                "text": text,
            })
            .to_string()
            .into_bytes()
        };
        let brief = json("");
        let mut text = if with_text { json(&notification.text) } else { brief.clone() };
        if text.len() > MAX_PLAINTEXT_LEN {
            text.clone_from(&brief);
        }
        let is_urgent = !matches!(notification.kind, NotificationKind::Export | NotificationKind::System);
        Self { text, brief, topic: topic(notification.conversation_id), is_urgent }
    }

    pub fn withdrawal(conversation_id: Option<ConversationId>) -> Self {
        Self { text: Vec::new(), brief: Vec::new(), topic: topic(conversation_id), is_urgent: false }
    }
}

/// Returns the topic of a conversation, hashed so that push services don't learn the conversation
/// id.
fn topic(conversation_id: Option<ConversationId>) -> String {
    let name = conversation_id.map_or_else(|| "natter".to_owned(), |id| id.to_string());
    let mut topic = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, format!("topic:{name}").as_bytes()));
    topic.truncate(MAX_TOPIC_LEN);
    topic
}

pub(crate) async fn deliver(
    service: &EventLogService,
    device: &Subscription,
    message: &PushMessage,
) -> DeliveryOutcome {
    // Sends nothing; the app closes the notification when it next runs.
    if message.text.is_empty() && must_show(&device.endpoint) {
        return DeliveryOutcome::Sent;
    }
    let answer = send(service, device, message, &message.text).await;
    if answer.status == Some(StatusCode::PAYLOAD_TOO_LARGE) && message.text != message.brief {
        return send(service, device, message, &message.brief).await.outcome();
    }
    answer.outcome()
}

/// True if the browser revokes the push permission after a message for which no notification is
/// shown. Apple's browsers do.
fn must_show(endpoint: &str) -> bool {
    let url = Url::parse(endpoint);
    let host = url.as_ref().ok().and_then(Url::host_str).unwrap_or_default();
    host == "push.apple.com" || host.ends_with(".push.apple.com")
}

/// Response of a push service.
struct PushResponse {
    /// Status of the response; `None` if there was none.
    status: Option<StatusCode>,
    retry_after: Option<Duration>,
}

impl PushResponse {
    fn outcome(&self) -> DeliveryOutcome {
        match self.status.map_or(0, |status| status.as_u16()) {
            200..=299 => DeliveryOutcome::Sent,
            404 | 410 => DeliveryOutcome::Gone,
            // Microsoft's service uses 406 for rate limiting.
            0 | 406 | 408 | 429 | 500..=599 => DeliveryOutcome::Later(self.retry_after),
            status => {
                tracing::warn!(status, "push message rejected");
                DeliveryOutcome::Refused
            }
        }
    }
}

async fn send(service: &EventLogService, device: &Subscription, message: &PushMessage, text: &[u8]) -> PushResponse {
    let nothing = |status| PushResponse { status, retry_after: None };
    let request = match request(service, device, message, text) {
        Ok(request) => request,
        Err(error) => {
            tracing::warn!(%error, "failed to build push request");
            return nothing(Some(StatusCode::BAD_REQUEST));
        }
    };
    match service.outgoing.send(request, LIMITS).await {
        Ok(answer) => {
            let seconds = answer.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            let retry_after = seconds.map(|seconds| Duration::from_secs(seconds).min(MAX_RETRY_AFTER));
            PushResponse { status: Some(answer.status), retry_after }
        }
        // Retrying can't help, because the host name now resolves to a forbidden address.
        Err(outgoing::OutgoingError::Forbidden) => nothing(Some(StatusCode::FORBIDDEN)),
        Err(error) => {
            tracing::debug!(%error, "push service unavailable");
            nothing(None)
        }
    }
}

fn request(
    service: &EventLogService,
    device: &Subscription,
    message: &PushMessage,
    text: &[u8],
) -> anyhow::Result<OutgoingRequest> {
    let url = Url::parse(&device.endpoint)?;
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, service.push.vapid.authorization(&url, service.clock.now())?.parse()?);
    headers.insert(HeaderName::from_static("ttl"), HeaderValue::from_static(TTL_SECONDS));
    headers.insert(
        HeaderName::from_static("urgency"),
        HeaderValue::from_static(if message.is_urgent { "high" } else { "low" }),
    );
    headers.insert(HeaderName::from_static("topic"), message.topic.parse()?);
    let mut body = Vec::new();
    if !text.is_empty() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("aes128gcm"));
        body = encrypt(&device.p256dh, &device.auth, text)?;
    }
    Ok(OutgoingRequest { method: Method::POST, url, headers, body: body.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recognises_apple_push_services() {
        assert!(must_show("https://web.push.apple.com/QGuQyavXutnMH"));
        for other in [
            "https://fcm.googleapis.com/fcm/send/a",
            "https://updates.push.services.mozilla.com/wpush/v2/a",
            "https://push.apple.com.example.org/",
            "https://notpush.apple.com/",
            "nowhere",
        ] {
            assert!(!must_show(other), "{other}");
        }
    }
}
