//! Downloads images and documents that a request names by URL, for providers that need them inline.
//! Uses the guarded HTTP client.

use std::{collections::HashMap, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use outgoing::{FetchLimits, FetchedResponse, Outgoing, OutgoingError};
use reqwest::Url;

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
    let mut addresses: Vec<String> = named.iter().filter_map(|media| address(media).map(str::to_owned)).collect();
    addresses.sort_unstable();
    addresses.dedup();
    if addresses.len() > MAX_PICTURES {
        return Err(GatewayError::invalid(format!(
            "A request to this model can have up to {MAX_PICTURES} pictures by address. Send the others as data URLs with base64."
        )));
    }
    let fetched: Vec<(String, String, String)> = stream::iter(addresses)
        .map(|address| async move {
            let url: Url =
                address.parse().map_err(|_| GatewayError::invalid("The address of a picture isn't valid."))?;
            let (mime, data) = picture(&outgoing.get(url, LIMITS).await.map_err(refusal)?)?;
            Ok::<_, GatewayError>((address, mime, data))
        })
        .buffer_unordered(MAX_CONCURRENT)
        .try_collect()
        .await?;
    let pictures: HashMap<String, (String, String)> =
        fetched.into_iter().map(|(address, mime, data)| (address, (mime, data))).collect();
    let together: usize = named
        .iter()
        .filter_map(|media| address(media).and_then(|address| pictures.get(address)))
        .map(|(_, data)| data.len() / 4 * 3)
        .sum();
    if together > MAX_TOTAL {
        return Err(GatewayError::invalid("The pictures named by their addresses are larger than 14 MiB together."));
    }
    for media in named {
        if let Some((mime, data)) = address(media).and_then(|address| pictures.get(address)).cloned() {
            media.source = Source::Data { mime, data };
        }
    }
    Ok(())
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
    use super::*;

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
