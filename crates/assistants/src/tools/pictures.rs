//! Images in tool results, for models that see them. Before they are stored, they are downscaled to
//! the size that models use.

use std::collections::HashMap;

use ai::ChatPicture;
use appcore::{AppError, Code, MessageId, ToolCallId, auth::Principal};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use dbcontext::query::{messages, tool_calls};
use files::uploads;
use platform::work_pools::WorkOwner;
use serde::{Deserialize, Serialize};

use super::ToolTranscript;
use crate::AssistantsService;

/// Maximum number of images that a model gets with the results of all calls together.
const MAX_SHOWN: usize = 8;

/// Stored image.
#[derive(Serialize, Deserialize)]
struct StoredPicture {
    media_type: String,
    data: String,
    tokens: usize,
}

/// Downscales the images of a result. Returns them as JSON for storage, with their number; `None`
/// if there are no readable ones.
pub(super) async fn store(
    service: &AssistantsService,
    owner: WorkOwner,
    pictures: Vec<String>,
) -> Result<Option<(String, i32)>, AppError> {
    let mut kept = Vec::new();
    for data in pictures {
        let Ok(bytes) = STANDARD.decode(data) else { continue };
        if let Some(small) = uploads::downscale_for_model(&service.files, owner, bytes).await {
            let (media_type, data) = (small.media_type.to_owned(), STANDARD.encode(&small.bytes));
            kept.push(StoredPicture { media_type, data, tokens: ChatPicture::estimate(small.width, small.height) });
        }
    }
    if kept.is_empty() {
        return Ok(None);
    }
    let count = i32::try_from(kept.len()).unwrap_or(i32::MAX);
    Ok(Some((serde_json::to_string(&kept).map_err(AppError::internal)?, count)))
}

/// Image of a result with its media type.
#[derive(Clone, Debug)]
pub struct Picture {
    pub media_type: &'static str,
    pub bytes: Bytes,
}

/// Returns an image of a call's result by its number, which starts at 1. Allowed to readers of the
/// answer.
pub async fn find(
    service: &AssistantsService,
    by: &Principal,
    message_id: MessageId,
    id: ToolCallId,
    number: u64,
) -> Result<Picture, AppError> {
    let found = messages::find(service.db.reader(), by.user_id, message_id).await?.ok_or(Code::NotFound)?;
    if found.deleted_at.is_some() || found.hidden_at.is_some() {
        return Err(Code::NotFound.into());
    }
    let kept = tool_calls::pictures_of(service.db.reader(), message_id, id).await?.ok_or(Code::NotFound)?;
    let kept: Vec<StoredPicture> = serde_json::from_str(&kept).map_err(AppError::internal)?;
    let place = usize::try_from(number).ok().and_then(|number| number.checked_sub(1)).ok_or(Code::NotFound)?;
    let kept = kept.get(place).ok_or(Code::NotFound)?;
    let bytes = STANDARD.decode(&kept.data).map_err(AppError::internal)?;
    Ok(Picture { media_type: downscaled_type(&kept.media_type), bytes: bytes.into() })
}

/// Returns the media type of an image after downscaling.
fn downscaled_type(media_type: &str) -> &'static str {
    match media_type {
        "image/png" => "image/png",
        "image/webp" => "image/webp",
        _ => "image/jpeg",
    }
}

/// Returns the latest images in the results of an answer's calls.
pub(super) async fn load(
    service: &AssistantsService,
    transcript: &ToolTranscript,
) -> Result<HashMap<ToolCallId, Vec<ChatPicture>>, AppError> {
    let mut shown = HashMap::new();
    let mut left = MAX_SHOWN;
    let rows =
        tool_calls::pictures(service.db.reader(), transcript.message_id, transcript.version, MAX_SHOWN as u64).await?;
    for row in rows {
        let kept: Vec<StoredPicture> = serde_json::from_str(&row.pictures).map_err(AppError::internal)?;
        let picture = |kept: StoredPicture| ChatPicture {
            media_type: kept.media_type,
            data: kept.data.into(),
            tokens: kept.tokens,
        };
        let pictures: Vec<ChatPicture> = kept.into_iter().take(left).map(picture).collect();
        left -= pictures.len();
        shown.insert(row.id, pictures);
    }
    Ok(shown)
}
