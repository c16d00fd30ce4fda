//! Pictures in the results of tools, for models that see them. They are made as small as models look at before they are kept.

use std::collections::HashMap;

use ai::ChatPicture;
use appcore::{AppError, ToolCallId};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use dbcontext::query::tool_calls;
use serde::{Deserialize, Serialize};

use super::Script;
use crate::{App, uploads};

/// Pictures that a model is shown with the results of all calls.
const MAX_SHOWN: usize = 8;

/// A picture as it is stored.
#[derive(Serialize, Deserialize)]
struct Kept {
    media_type: String,
    data: String,
    tokens: usize,
}

/// What is kept of a result's pictures, as JSON; none where there are none that can be read.
pub(super) async fn keep(app: &App, pictures: Vec<String>) -> Result<Option<String>, AppError> {
    let mut kept = Vec::new();
    for data in pictures {
        let Ok(bytes) = STANDARD.decode(data) else { continue };
        if let Some(small) = uploads::small_picture(app, bytes).await {
            let (media_type, data) = (small.media_type.to_owned(), STANDARD.encode(&small.bytes));
            kept.push(Kept { media_type, data, tokens: ChatPicture::estimate(small.width, small.height) });
        }
    }
    if kept.is_empty() { Ok(None) } else { serde_json::to_string(&kept).map(Some).map_err(AppError::internal) }
}

/// The pictures of an answer's calls, the newest of them.
pub(super) async fn shown(app: &App, script: &Script) -> Result<HashMap<ToolCallId, Vec<ChatPicture>>, AppError> {
    let mut shown = HashMap::new();
    let mut left = MAX_SHOWN;
    let rows = tool_calls::pictures(app.db.reader(), script.message_id, script.version, MAX_SHOWN as u64).await?;
    for row in rows {
        let kept: Vec<Kept> = serde_json::from_str(&row.pictures).map_err(AppError::internal)?;
        let picture =
            |kept: Kept| ChatPicture { media_type: kept.media_type, data: kept.data.into(), tokens: kept.tokens };
        let pictures: Vec<ChatPicture> = kept.into_iter().take(left).map(picture).collect();
        left -= pictures.len();
        shown.insert(row.id, pictures);
    }
    Ok(shown)
}
