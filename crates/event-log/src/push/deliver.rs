//! One message to one device, by its push service: RFC 8030.

use std::time::Duration;

use appcore::{
    ConversationId,
    view::{Notification, NotificationKind},
};
use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use dbcontext::query::push::Subscription;
use outgoing::{Limits, Request};
use reqwest::{
    Method, StatusCode,
    header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
};
use serde_json::json;
use url::Url;

use super::encryption::{MAX_TEXT, encrypt};
use crate::EventLogService;

/// How long a push service keeps what it can't deliver, in seconds: a day.
const KEPT: &str = "86400";
/// The longest topic that push services take.
const TOPIC_CHARS: usize = 32;
const LIMITS: Limits = Limits { max_bytes: 16 * 1024, timeout: Duration::from_secs(10), redirects: 0, is_cut: false };
/// The longest that a push service may ask us to wait.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

/// What a device gets.
pub(crate) struct Message {
    /// Empty: what it shows of the topic is read.
    text: Vec<u8>,
    /// The text without what was written, where that is too long for a push service.
    brief: Vec<u8>,
    /// What is not delivered yet is replaced by what comes later of the same topic.
    topic: String,
    is_urgent: bool,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Sent,
    /// The device is no longer there.
    Gone,
    /// It may go after that time.
    Later(Option<Duration>),
    /// It will never go: our fault, or the service's.
    Refused,
}

impl Message {
    pub fn waking(notification: &Notification, with_text: bool) -> Self {
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
        if text.len() > MAX_TEXT {
            text.clone_from(&brief);
        }
        let is_urgent = !matches!(notification.kind, NotificationKind::Export | NotificationKind::System);
        Self { text, brief, topic: topic(notification.conversation_id), is_urgent }
    }

    pub fn withdrawing(conversation_id: Option<ConversationId>) -> Self {
        Self { text: Vec::new(), brief: Vec::new(), topic: topic(conversation_id), is_urgent: false }
    }
}

/// One for each conversation. Push services need not know which it is.
fn topic(conversation_id: Option<ConversationId>) -> String {
    let name = conversation_id.map_or_else(|| "natter".to_owned(), |id| id.to_string());
    let mut topic = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, format!("topic:{name}").as_bytes()));
    topic.truncate(TOPIC_CHARS);
    topic
}

pub(crate) async fn deliver(service: &EventLogService, device: &Subscription, message: &Message) -> Outcome {
    // What it shows is taken back by the app, the next time that it is woken or opened.
    if message.text.is_empty() && must_show(&device.endpoint) {
        return Outcome::Sent;
    }
    let answer = send(service, device, message, &message.text).await;
    if answer.status == Some(StatusCode::PAYLOAD_TOO_LARGE) && message.text != message.brief {
        return send(service, device, message, &message.brief).await.outcome();
    }
    answer.outcome()
}

/// Whether a browser takes away the leave to wake it where a message shows nothing: Apple's do.
fn must_show(endpoint: &str) -> bool {
    let url = Url::parse(endpoint);
    let host = url.as_ref().ok().and_then(Url::host_str).unwrap_or_default();
    host == "push.apple.com" || host.ends_with(".push.apple.com")
}

/// What a push service has answered.
struct Answer {
    /// None: nothing at all.
    status: Option<StatusCode>,
    retry_after: Option<Duration>,
}

impl Answer {
    fn outcome(&self) -> Outcome {
        match self.status.map_or(0, |status| status.as_u16()) {
            200..=299 => Outcome::Sent,
            404 | 410 => Outcome::Gone,
            // 406 is Microsoft's word for too many.
            0 | 406 | 408 | 429 | 500..=599 => Outcome::Later(self.retry_after),
            status => {
                tracing::warn!(status, "a push service refuses what it is sent");
                Outcome::Refused
            }
        }
    }
}

async fn send(service: &EventLogService, device: &Subscription, message: &Message, text: &[u8]) -> Answer {
    let nothing = |status| Answer { status, retry_after: None };
    let request = match request(service, device, message, text) {
        Ok(request) => request,
        Err(error) => {
            tracing::warn!(%error, "a push could not be put together");
            return nothing(Some(StatusCode::BAD_REQUEST));
        }
    };
    match service.outgoing.send(request, LIMITS).await {
        Ok(answer) => {
            let seconds = answer.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            let retry_after = seconds.map(|seconds| Duration::from_secs(seconds).min(LONGEST_WAIT));
            Answer { status: Some(answer.status), retry_after }
        }
        // It can't become right by waiting: the name leads somewhere else by now.
        Err(outgoing::OutgoingError::Forbidden) => nothing(Some(StatusCode::FORBIDDEN)),
        Err(error) => {
            tracing::debug!(%error, "a push service does not answer");
            nothing(None)
        }
    }
}

fn request(
    service: &EventLogService,
    device: &Subscription,
    message: &Message,
    text: &[u8],
) -> anyhow::Result<Request> {
    let url = Url::parse(&device.endpoint)?;
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, service.push.vapid.authorization(&url, service.clock.now())?.parse()?);
    headers.insert(HeaderName::from_static("ttl"), HeaderValue::from_static(KEPT));
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
    Ok(Request { method: Method::POST, url, headers, body: body.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apples_devices_are_known_by_their_service() {
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
