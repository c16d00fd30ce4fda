//! Downloads images and documents that a request names by URL, for providers that need them inline.
//! Uses the guarded HTTP client.

use std::{collections::HashMap, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use memchr::memmem;
use outgoing::{FetchLimits, FetchedResponse, Outgoing, OutgoingError};
use reqwest::Url;
use serde_json::Value;

use crate::{
    GatewayError,
    canonical::{Media, MediaKind, Part, Request, Source},
    dialect::gemini::request::is_fetchable,
};

/// Maximum number of images fetched for one request.
const MAX_PICTURES: usize = 8;
/// Maximum size of one image and of all together, in bytes: a Gemini request has up to 20 MB
/// including base64.
const MAX_PICTURE: usize = 8 * 1024 * 1024;
const MAX_TOTAL: usize = 14 * 1024 * 1024;
const MAX_CONCURRENT: usize = 4;
/// Timeout of one download, including redirects.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(10);
const LIMITS: FetchLimits =
    FetchLimits { max_bytes: MAX_PICTURE, timeout: DOWNLOAD_TIMEOUT, redirects: 3, truncates: false };

/// Replaces URLs by the downloaded data.
pub(crate) async fn inline_images(outgoing: &Outgoing, request: &mut Request) -> Result<(), GatewayError> {
    let mut named = Vec::new();
    for turn in &mut request.turns {
        collect(&mut turn.parts, &mut named);
    }
    let addresses: Vec<String> = named.iter().filter_map(|media| address(media).map(str::to_owned)).collect();
    let pictures = download(outgoing, addresses).await.map_err(|(_, error)| error)?;
    for media in named {
        if let Some((mime, data)) = address(media).and_then(|address| pictures.get(address)).cloned() {
            media.source = Source::Data { mime, data };
        }
    }
    Ok(())
}

/// Replaces the URLs of images in the body of chat completions. `None` if there are none. An error names
/// the field.
pub(crate) async fn inline_chat_images(outgoing: &Outgoing, body: &Bytes) -> Result<Option<Bytes>, GatewayError> {
    if !may_have_image_urls(body) {
        return Ok(None);
    }
    // A malformed body is reported by the provider.
    let Ok(mut value) = serde_json::from_slice::<Value>(body) else { return Ok(None) };
    let mut named = chat_image_urls(&mut value);
    if named.is_empty() {
        return Ok(None);
    }
    let addresses: Vec<String> = named.iter().filter_map(|(_, url)| url.as_str().map(str::to_owned)).collect();
    let param_of =
        |address: &str| named.iter().find(|(_, url)| url.as_str() == Some(address)).map(|(param, _)| param.clone());
    let pictures = match download(outgoing, addresses).await {
        Ok(pictures) => pictures,
        Err((address, error)) => {
            let param = address.as_deref().and_then(param_of).unwrap_or_else(|| "messages".to_owned());
            return Err(error.with_param(param));
        }
    };
    for (param, url) in &mut named {
        let Some((mime, data)) = url.as_str().and_then(|url| pictures.get(url)) else { continue };
        if mime == "application/pdf" {
            let message = "This model can't read a PDF by its address. Send its text, or its pages as pictures.";
            return Err(GatewayError::invalid_param(param.clone(), message));
        }
        **url = format!("data:{mime};base64,{data}").into();
    }
    Ok(Some(value.to_string().into()))
}

/// True if a body of chat completions may have images by URL.
pub(crate) fn may_have_image_urls(body: &[u8]) -> bool {
    let has = |text: &str| memmem::find(body, text.as_bytes()).is_some();
    has("\"image_url\"") && (has("\"http://") || has("\"https://") || has("\"HTTP"))
}

/// URLs of images in chat completions, with the names of their fields.
fn chat_image_urls(body: &mut Value) -> Vec<(String, &mut Value)> {
    let messages = body.get_mut("messages").and_then(Value::as_array_mut).into_iter().flatten();
    let mut found = Vec::new();
    for (message, fields) in messages.enumerate() {
        let parts = fields.get_mut("content").and_then(Value::as_array_mut).into_iter().flatten();
        for (place, part) in parts.enumerate() {
            let param = format!("messages[{message}].content[{place}].image_url");
            let Some(image) = part.get_mut("image_url") else { continue };
            let url = if image.is_object() { image.get_mut("url") } else { Some(image) };
            found.extend(url.filter(|url| is_web_url(url)).map(|url| (param, url)));
        }
    }
    found
}

fn is_web_url(url: &Value) -> bool {
    let begins =
        |text: &str, scheme: &str| text.get(..scheme.len()).is_some_and(|own| own.eq_ignore_ascii_case(scheme));
    url.as_str().is_some_and(|text| begins(text, "http://") || begins(text, "https://"))
}

/// Downloads images. Returns the media type and the base64 data of each URL, or an error with the URL
/// that it is about.
async fn download(
    outgoing: &Outgoing,
    mut addresses: Vec<String>,
) -> Result<HashMap<String, (String, String)>, (Option<String>, GatewayError)> {
    let named = addresses.clone();
    addresses.sort_unstable();
    addresses.dedup();
    if addresses.len() > MAX_PICTURES {
        let message = format!(
            "A request to this model can have up to {MAX_PICTURES} pictures by address. Send the others as data URLs with base64."
        );
        return Err((None, GatewayError::invalid(message)));
    }
    let pictures: HashMap<String, (String, String)> = stream::iter(addresses)
        .map(|address| async move {
            let fetching = async {
                let url: Url =
                    address.parse().map_err(|_| GatewayError::invalid("The address of a picture isn't valid."))?;
                picture(&outgoing.get(url, LIMITS).await.map_err(refusal)?)
            };
            match fetching.await {
                Ok(picture) => Ok((address, picture)),
                Err(error) => Err((Some(address), error)),
            }
        })
        .buffer_unordered(MAX_CONCURRENT)
        .try_collect()
        .await?;
    let together: usize =
        named.iter().filter_map(|address| pictures.get(address)).map(|(_, data)| data.len() / 4 * 3).sum();
    if together > MAX_TOTAL {
        let message = "The pictures named by their addresses are larger than 14 MiB together.";
        return Err((None, GatewayError::invalid(message)));
    }
    Ok(pictures)
}

/// URL of a medium that the provider can't fetch itself.
fn address(media: &Media) -> Option<&str> {
    match &media.source {
        Source::Url(url) if media.kind != MediaKind::Audio && !is_fetchable(url) => Some(url),
        Source::Url(_) | Source::Data { .. } => None,
    }
}

fn collect<'a>(parts: &'a mut [Part], named: &mut Vec<&'a mut Media>) {
    for part in parts {
        match part {
            Part::Media(media) if address(media).is_some() => named.push(media),
            Part::Result(result) => collect(&mut result.parts, named),
            _ => {}
        }
    }
}

/// Media type and base64 data of a downloaded image.
fn picture(fetched: &FetchedResponse) -> Result<(String, String), GatewayError> {
    if !fetched.status.is_success() {
        let status = fetched.status.as_u16();
        return Err(GatewayError::invalid(format!("The server of a picture answered with {status}.")));
    }
    let mime = media_type(&fetched.body).ok_or_else(|| {
        GatewayError::invalid(
            "The address of a picture doesn't lead to a picture (PNG, JPEG, WebP, GIF or HEIC) or a PDF.",
        )
    })?;
    Ok((mime.to_owned(), STANDARD.encode(&fetched.body)))
}

/// Detects the media type by the first bytes, because a server's `Content-Type` may be wrong.
fn media_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [b'%', b'P', b'D', b'F', b'-', ..] => Some("application/pdf"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        [_, _, _, _, b'f', b't', b'y', b'p', b'h', b'e', b'i' | b'v', b'c' | b'x', ..] => Some("image/heic"),
        _ => None,
    }
}

fn refusal(error: OutgoingError) -> GatewayError {
    GatewayError::invalid(match error {
        OutgoingError::Forbidden => {
            "The address of a picture can't be used. It must be public and begin with https://."
        }
        OutgoingError::TooLong => "A picture named by its address can have up to 8 MiB.",
        OutgoingError::TimedOut | OutgoingError::Unreachable | OutgoingError::TooManyRedirects => {
            "A picture couldn't be fetched from its address. Send it as a data URL with base64."
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn finds_the_urls_of_chat_images() {
        let image = |url: &str| json!({"type": "image_url", "image_url": {"url": url}});
        let mut body = json!({"messages": [
            {"role": "system", "content": "https://e.org \"image_url\""},
            {"role": "user", "content": [{"type": "text", "text": "x"}, image("https://e.org/a.png"), image("data:image/png;base64,AA")]},
            {"role": "user", "content": [{"type": "image_url", "image_url": "HTTPS://e.org/b.png"}]},
        ]});
        assert!(may_have_image_urls(body.to_string().as_bytes()));
        let found: Vec<(String, String)> = chat_image_urls(&mut body)
            .into_iter()
            .map(|(param, url)| (param, url.as_str().unwrap().to_owned()))
            .collect();
        let expected = [
            ("messages[1].content[1].image_url", "https://e.org/a.png"),
            ("messages[2].content[0].image_url", "HTTPS://e.org/b.png"),
        ];
        assert_eq!(found, expected.map(|(param, url)| (param.to_owned(), url.to_owned())));
        assert!(!may_have_image_urls(json!({"messages": [{"content": [image("data:")]}]}).to_string().as_bytes()));
    }

    #[tokio::test]
    async fn errors_name_the_field_of_an_image() {
        let outgoing = Outgoing::new(&appcore::config::Outgoing::default()).unwrap();
        for url in ["http://e.org/a.png", "https://127.0.0.1/a.png", "https://"] {
            let body =
                json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]});
            let refused = inline_chat_images(&outgoing, &body.to_string().into()).await.unwrap_err();
            assert_eq!(refused.param.as_deref(), Some("messages[0].content[0].image_url"), "{url}");
        }
        let inline = json!({"messages": [{"role": "user", "content": "https://e.org and \"image_url\""}]});
        assert_eq!(inline_chat_images(&outgoing, &inline.to_string().into()).await.unwrap(), None);
    }

    #[test]
    fn detects_media_types_by_first_bytes() {
        for (bytes, found) in [
            (&b"\x89PNG\r\n\x1a\n"[..], Some("image/png")),
            (b"\xff\xd8\xff\xe0", Some("image/jpeg")),
            (b"GIF89a", Some("image/gif")),
            (b"%PDF-1.7", Some("application/pdf")),
            (b"RIFF\0\0\0\0WEBPVP8 ", Some("image/webp")),
            (b"\0\0\0\x18ftypheic", Some("image/heic")),
            (b"<html>", None),
            (b"RIFF\0\0\0\0WAVE", None),
            (b"", None),
        ] {
            assert_eq!(media_type(bytes), found);
        }
    }
}
