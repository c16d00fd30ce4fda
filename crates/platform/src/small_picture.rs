//! Requirements for small pictures that are shown in large numbers, such as emoji and profile
//! pictures.

use appcore::{AppError, Code, view::UploadStatus};
use dbcontext::query::uploads::StoredUpload;

pub struct SmallPictureRules {
    /// Name of the picture as it starts a sentence, such as `An emoji`.
    pub name: &'static str,
    pub media_types: [&'static str; 3],
    /// Media types as they appear in a sentence, such as `PNG, GIF or WebP`.
    pub formats: &'static str,
    pub max_bytes: i64,
    /// Maximum length of the longest side, in pixels.
    pub max_side: i32,
}

impl SmallPictureRules {
    /// Checks that an upload meets the requirements.
    pub fn check(&self, upload: &StoredUpload) -> Result<(), AppError> {
        let Self { name, media_types, formats, max_bytes, max_side } = self;
        if upload.status != UploadStatus::Ready {
            return Err(AppError::refused(Code::WrongState, "This file hasn't been uploaded completely yet."));
        }
        if !media_types.contains(&upload.media_type.as_str()) {
            return Err(AppError::refused(Code::TypeRefused, format!("{name} is a {formats} picture.")));
        }
        if upload.size.unwrap_or_default() > *max_bytes {
            let sentence = format!("{name} can have up to {} KB.", max_bytes / 1024);
            return Err(AppError::refused(Code::TooLarge, sentence));
        }
        match (upload.width, upload.height) {
            (Some(width), Some(height)) if width.max(height) <= *max_side => Ok(()),
            _ => {
                let sentence = format!("{name} can be up to {max_side} pixels wide and high.");
                Err(AppError::refused(Code::TooLarge, sentence))
            }
        }
    }
}
