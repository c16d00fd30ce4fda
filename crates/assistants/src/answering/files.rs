//! Attachments as input for a model: images for models that see images, PDFs unchanged for models
//! that read them, other documents as text. The model is told about files it can't read, so that it
//! can say so; users see it in the details of the answer.

use std::{collections::HashMap, sync::Arc, time::Duration};

use ai::{ChatFile, ChatPicture, ImageLimit, estimate_tokens};
use appcore::{
    AppError, Code, MessageId, UploadId,
    view::{ContextCoverage, ContextFile, OmissionReason, Upload, UploadKind},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use dbcontext::query::messages::NamedMessage;
use extract::{Document, ExtractError};
use files::uploads::{
    self, StoredObject, is_readable,
    text::{self, TextSource},
};
use futures_util::StreamExt as _;
use gateway::Model;
use moka::future::Cache;
use platform::work_pools::WorkOwner;

use crate::AssistantsService;

/// Maximum number of images per answer, and their maximum total size in bytes of base64.
const MAX_PICTURES: usize = 8;
const MAX_PICTURE_BYTES: usize = 6 * 1024 * 1024;
/// Maximum number of PDF pages per answer, the lowest limit of the providers. Anthropic allows 600,
/// and 100 for models with a window of 200,000 tokens
/// (<https://platform.claude.com/docs/en/build-with-claude/pdf-support>), Gemini 1,000
/// (<https://ai.google.dev/gemini-api/docs/document-processing>); OpenAI is limited by the window
/// only.
const MAX_PAGES: usize = 100;
/// Maximum total size of PDFs, in bytes of base64. Providers allow more, but PDFs are sent again
/// with each question: with images and texts the request stays far below the smallest limit of the
/// providers, 32 MB for Anthropic.
const MAX_PDF_BYTES: usize = 8 * 1024 * 1024;
/// Length of the longer side of the thumbnail, in pixels. The thumbnail is used unless the model
/// supports larger images.
const THUMBNAIL_SIDE: u32 = 1280;
/// Maximum number of bytes read of one text file.
const MAX_TEXT_BYTES: u64 = 400_000;
/// Capacity of each of the two caches (document texts, scaled images), in bytes, and their idle
/// timeout.
const CACHE_BYTES: u64 = 32 * 1024 * 1024;
const CACHE_IDLE_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// Divisor of the context window: files may use half of it.
const CONTEXT_DIVISOR: usize = 2;

/// Reader of attachments for one answer.
#[derive(Clone, Copy)]
pub(crate) struct FileReader<'a> {
    service: &'a AssistantsService,
    owner: WorkOwner,
    sees_pictures: bool,
    /// Maximum useful image size of the model.
    picture_size: ImageLimit,
    reads_pdfs: bool,
    /// Token budget for files.
    token_budget: usize,
}

/// Attachments of one message as model input.
#[derive(Default)]
pub(super) struct AttachmentInput {
    pub text: String,
    pub pictures: Vec<ChatPicture>,
    pub files: Vec<ChatFile>,
    pub context_files: Vec<ContextFile>,
}

/// Numbers, bytes and tokens that further attachments of the answer may use.
struct AttachmentLimits {
    pictures: usize,
    picture_bytes: usize,
    pages: usize,
    pdf_bytes: usize,
    tokens: usize,
}

/// File in the form that the model gets.
enum FileInput {
    Picture(ChatPicture),
    Pdf { file: ChatFile, pages: usize },
    Text { text: String, is_cut: bool },
}

impl<'a> FileReader<'a> {
    /// Reader for a model with a budget of `tokens` for the whole context.
    pub fn new(service: &'a AssistantsService, owner: WorkOwner, model: Option<&Model>, tokens: usize) -> Self {
        let able = model.map(|model| &model.definition.capabilities);
        let window = able.and_then(|able| able.context_window).and_then(|window| usize::try_from(window).ok());
        // The lowest image limit of all deployments applies, because any of them may answer.
        let sizes = model.into_iter().flat_map(|model| &model.definition.deployments);
        let size = sizes.map(|deployment| ImageLimit::for_model(&deployment.model)).reduce(ImageLimit::min);
        let room = window.map_or(tokens, |window| window.min(tokens)) / CONTEXT_DIVISOR;
        Self {
            service,
            owner,
            sees_pictures: able.is_some_and(|able| able.images),
            picture_size: size.unwrap_or(ImageLimit::DEFAULT),
            reads_pdfs: able.is_some_and(|able| able.pdf),
            token_budget: room,
        }
    }

    /// Reads the attachments of these messages, which are ordered oldest first. The newest are read
    /// first, within the limits.
    pub(super) async fn read(&self, history: &[NamedMessage]) -> HashMap<MessageId, AttachmentInput> {
        let mut read = HashMap::new();
        let mut room = AttachmentLimits {
            pictures: MAX_PICTURES,
            picture_bytes: MAX_PICTURE_BYTES,
            pages: MAX_PAGES,
            pdf_bytes: MAX_PDF_BYTES,
            tokens: self.token_budget,
        };
        for message in history.iter().rev().filter(|message| message.deleted_at.is_none()) {
            let Some(attachments) = &message.attachments else { continue };
            let attachments: Vec<Upload> = match serde_json::from_str(attachments) {
                Ok(attachments) => attachments,
                Err(error) => {
                    // The attachments are skipped, because an error would block all further answers
                    // in the conversation.
                    tracing::warn!(%error, id = %message.id, "failed to parse attachments");
                    continue;
                }
            };
            let mut shown = AttachmentInput::default();
            for upload in &attachments {
                let part = self.part(upload, &mut room).await;
                shown.add(upload, part);
            }
            read.insert(message.id, shown);
        }
        read
    }

    async fn part(&self, upload: &Upload, room: &mut AttachmentLimits) -> Result<FileInput, OmissionReason> {
        let part = if upload.kind == UploadKind::Voice {
            let text = upload.transcript.clone().ok_or(OmissionReason::NoTranscript)?;
            truncate(text, false, room)
        } else if upload.media_type.starts_with("image/") && !is_readable(&upload.media_type) {
            self.picture(upload, room).await.map(FileInput::Picture)
        } else if is_readable(&upload.media_type) {
            if room.tokens == 0 {
                return Err(OmissionReason::TooLarge);
            }
            let bytes = self.bytes(StoredObject::Whole(upload.id), MAX_TEXT_BYTES).await?;
            let is_cut = u64::try_from(upload.size).unwrap_or(u64::MAX) > bytes.len() as u64;
            truncate(decode_prefix(&bytes), is_cut, room)
        } else if extract::is_readable(&upload.media_type, &upload.name) {
            if room.tokens == 0 {
                return Err(OmissionReason::TooLarge);
            }
            let known = self.document_text(upload).await?;
            match self.pdf(upload, &known, room).await? {
                Some(part) => Ok(part),
                None if known.text.is_empty() && self.reads_pdfs => Err(OmissionReason::TooLarge),
                None if known.text.is_empty() => Err(OmissionReason::NoText),
                None => truncate(known.text.clone(), known.is_cut, room),
            }
        } else {
            Err(OmissionReason::Type)
        }?;
        match &part {
            FileInput::Picture(picture) => {
                room.pictures -= 1;
                room.picture_bytes = room.picture_bytes.saturating_sub(picture.data.len());
                room.tokens = room.tokens.saturating_sub(picture.tokens);
            }
            FileInput::Pdf { file, pages } => {
                room.pages = room.pages.saturating_sub(*pages);
                room.pdf_bytes = room.pdf_bytes.saturating_sub(file.data.len());
                room.tokens = room.tokens.saturating_sub(file.tokens);
            }
            FileInput::Text { text, .. } => room.tokens = room.tokens.saturating_sub(estimate_tokens(text)),
        }
        Ok(part)
    }

    async fn picture(&self, upload: &Upload, room: &AttachmentLimits) -> Result<ChatPicture, OmissionReason> {
        if !self.sees_pictures {
            return Err(OmissionReason::ModelBlind);
        }
        if upload.thumbhash.is_none() {
            return Err(if uploads::has_thumbnails(&upload.media_type) {
                OmissionReason::Unreadable
            } else {
                OmissionReason::Type
            });
        }
        if room.pictures == 0 {
            return Err(OmissionReason::TooMany);
        }
        // Falls back to the thumbnail if the larger size exceeds the limits.
        if let Some(size) = self.larger_size(upload)
            && let Some(picture) = self.scaled_picture(upload, StoredObject::Whole(upload.id), size, room).await
        {
            return Ok(picture);
        }
        let thumbnail = thumbnail_size(upload);
        let size = self.picture_size.fit(thumbnail.0, thumbnail.1);
        if size != thumbnail {
            let picture =
                self.scaled_picture(upload, StoredObject::Thumbnail(upload.id, THUMBNAIL_SIDE), size, room).await;
            return picture.ok_or(OmissionReason::TooMany);
        }
        let tokens = picture_tokens(size);
        if tokens > room.tokens {
            return Err(OmissionReason::TooMany);
        }
        let bytes =
            self.bytes(StoredObject::Thumbnail(upload.id, THUMBNAIL_SIDE), room.picture_bytes as u64 + 1).await?;
        let data: String = STANDARD.encode(&bytes);
        if data.len() > room.picture_bytes {
            return Err(OmissionReason::TooMany);
        }
        Ok(ChatPicture { media_type: uploads::detect(&bytes, &upload.media_type), data: data.into(), tokens })
    }

    /// Size at which the model uses the image, if it is larger than the thumbnail.
    fn larger_size(&self, upload: &Upload) -> Option<(u32, u32)> {
        let side = |side: Option<i32>| side.and_then(|side| u32::try_from(side).ok());
        let size = self.picture_size.fit(side(upload.width)?, side(upload.height)?);
        let can_be_read = u64::try_from(upload.size).is_ok_and(|size| size <= uploads::MAX_PICTURE);
        (size.0.max(size.1) > THUMBNAIL_SIDE && can_be_read).then_some(size)
    }

    /// Image scaled to this size, or `None` if it exceeds the limits or can't be decoded. Cached,
    /// because images of a chat are sent again with each answer.
    async fn scaled_picture(
        &self,
        upload: &Upload,
        from: StoredObject,
        size: (u32, u32),
        room: &AttachmentLimits,
    ) -> Option<ChatPicture> {
        let tokens = picture_tokens(size);
        if tokens > room.tokens {
            return None;
        }
        let (known, key) = (&self.service.answering.pictures, (upload.id, size));
        let picture = match known.get(&key).await {
            Some(picture) => picture,
            None => {
                let bytes = self.bytes(from, uploads::MAX_PICTURE).await.ok()?;
                let made = uploads::downscale(&self.service.files, self.owner, bytes, size.0.max(size.1)).await?;
                let (media_type, data) = (made.media_type.to_owned(), STANDARD.encode(&made.bytes));
                let picture = ChatPicture { media_type, data: data.into(), tokens };
                known.insert(key, picture.clone()).await;
                picture
            }
        };
        (picture.data.len() <= room.picture_bytes).then_some(picture)
    }

    /// Returns the unchanged PDF, if the model reads PDFs and all pages fit into the limits.
    async fn pdf(
        &self,
        upload: &Upload,
        known: &DocumentText,
        room: &AttachmentLimits,
    ) -> Result<Option<FileInput>, OmissionReason> {
        let Some(pages) = known.pages.filter(|_| self.reads_pdfs && !known.is_cut) else { return Ok(None) };
        let tokens = ChatFile::estimate(pages, &known.text);
        let most = room.pdf_bytes / 4 * 3;
        let size = usize::try_from(upload.size).unwrap_or(usize::MAX);
        if pages > room.pages || tokens > room.tokens || size > most {
            return Ok(None);
        }
        let bytes = self.bytes(StoredObject::Whole(upload.id), most as u64).await?;
        let (name, media_type) = (upload.name.clone(), upload.media_type.clone());
        let file = ChatFile { name, media_type, data: STANDARD.encode(&bytes).into(), tokens };
        Ok(Some(FileInput::Pdf { file, pages }))
    }

    /// Extracted beginning of a document's text; empty for a scanned PDF.
    async fn document_text(&self, upload: &Upload) -> Result<Arc<DocumentText>, OmissionReason> {
        let texts = &self.service.answering.texts;
        if let Some(known) = texts.get(&upload.id).await {
            return Ok(known);
        }
        let (name, media_type) = (upload.name.clone(), upload.media_type.clone());
        let source = TextSource { id: upload.id, name, media_type, size: upload.size };
        let slot = self.service.work.parsing.acquire_for_job(self.owner).await;
        let document = match text::document(&self.service.files, &source, &slot).await {
            Ok(Ok(document)) => document,
            Ok(Err(ExtractError::Scanned { pages })) => Document { sections: Vec::new(), pages: Some(pages) },
            Ok(Err(ExtractError::Type)) => return Err(OmissionReason::Type),
            Ok(Err(_)) => return Err(OmissionReason::Unreadable),
            Err(error) if error.code() == Code::NotFound => return Err(OmissionReason::Gone),
            Err(error) => {
                tracing::warn!(%error, "failed to read document for answer");
                return Err(OmissionReason::Unreadable);
            }
        };
        let known = Arc::new(DocumentText::from_document(&document));
        texts.insert(upload.id, Arc::clone(&known)).await;
        Ok(known)
    }

    /// Reads at most the first `most` bytes of an object.
    async fn bytes(&self, object: StoredObject, most: u64) -> Result<Vec<u8>, OmissionReason> {
        let store = &self.service.files.uploads.store;
        let found = async {
            let size = store.size(object).await?.min(most);
            let mut pieces = store.read(object, 0..size).await?;
            let mut bytes = Vec::new();
            while let Some(piece) = pieces.next().await {
                bytes.extend_from_slice(&piece?);
            }
            Ok(bytes)
        };
        found.await.map_err(|error: AppError| {
            if error.code() == Code::NotFound {
                return OmissionReason::Gone;
            }
            // The answer goes on without the file.
            tracing::warn!(%error, "failed to read file for answer");
            OmissionReason::Unreadable
        })
    }
}

impl AttachmentInput {
    fn add(&mut self, upload: &Upload, part: Result<FileInput, OmissionReason>) {
        // Closing tags in the name are escaped, so that it can't close the element.
        let (name, media_type) = (escape_closing_tags(&upload.name), &upload.media_type);
        let (how, reason, tokens) = match part {
            Ok(FileInput::Picture(picture)) => {
                self.append(&format!("[The picture {name:?} is attached.]"));
                let tokens = picture.tokens;
                self.pictures.push(picture);
                (ContextCoverage::Whole, None, Some(tokens))
            }
            Ok(FileInput::Pdf { file, .. }) => {
                self.append(&format!("[The document {name:?} is attached.]"));
                let tokens = file.tokens;
                self.files.push(file);
                (ContextCoverage::Whole, None, Some(tokens))
            }
            Ok(FileInput::Text { text, is_cut }) => {
                let tokens = estimate_tokens(&text);
                // Closing tags in the content are escaped, so that it can't close the element.
                let text = escape_closing_tags(&text);
                let rest = if is_cut { "\n[The rest of the file is left out.]" } else { "" };
                let what = if upload.kind == UploadKind::Voice { " what=\"the words of a voice note\"" } else { "" };
                self.append(&format!("<file name={name:?}{what}>\n{text}{rest}\n</file>"));
                (if is_cut { ContextCoverage::Part } else { ContextCoverage::Whole }, None, Some(tokens))
            }
            Err(reason) => {
                let why = match reason {
                    OmissionReason::ModelBlind => "you can't see pictures",
                    OmissionReason::TooLarge | OmissionReason::TooMany => "there is no room left for it",
                    OmissionReason::Type => "you can't read files of this type",
                    OmissionReason::Unreadable => "it can't be read",
                    OmissionReason::NoText => "its pages are pictures without text, such as scans, which you can't see",
                    OmissionReason::NoTranscript => "you can't hear it, and its words aren't written down",
                    OmissionReason::Gone => "it was deleted",
                };
                self.append(&format!(
                    "[The file {name:?} ({media_type}) is attached, but {why}. Say so where it matters.]"
                ));
                (ContextCoverage::Unseen, Some(reason), None)
            }
        };
        let tokens = tokens.map(|tokens| tokens as u64);
        self.context_files.push(ContextFile { upload_id: upload.id, name: upload.name.clone(), how, reason, tokens });
    }

    fn append(&mut self, text: &str) {
        if !self.text.is_empty() {
            self.text.push_str("\n\n");
        }
        self.text.push_str(text);
    }
}

/// Extracted beginning of a document's text. Cached, because documents of a chat are read again for
/// each answer.
#[derive(Debug, Default)]
pub(crate) struct DocumentText {
    text: String,
    is_cut: bool,
    /// Number of pages of a PDF, including those without text.
    pages: Option<usize>,
}

/// Cache of document texts by upload.
pub(crate) type DocumentTextCache = Cache<UploadId, Arc<DocumentText>>;

pub(super) fn document_text_cache() -> DocumentTextCache {
    let bytes = |_: &UploadId, known: &Arc<DocumentText>| u32::try_from(known.text.len()).unwrap_or(u32::MAX).max(1);
    Cache::builder().max_capacity(CACHE_BYTES).weigher(bytes).time_to_idle(CACHE_IDLE_TIMEOUT).build()
}

/// Cache of scaled images by upload and size.
pub(crate) type ScaledPictureCache = Cache<(UploadId, (u32, u32)), ChatPicture>;

pub(super) fn scaled_picture_cache() -> ScaledPictureCache {
    let bytes = |_: &(UploadId, (u32, u32)), picture: &ChatPicture| {
        u32::try_from(picture.data.len()).unwrap_or(u32::MAX).max(1)
    };
    Cache::builder().max_capacity(CACHE_BYTES).weigher(bytes).time_to_idle(CACHE_IDLE_TIMEOUT).build()
}

impl DocumentText {
    fn from_document(document: &Document) -> Self {
        let pages = document.pages.and_then(|pages| usize::try_from(pages).ok());
        let mut known = Self { pages, ..Self::default() };
        let (mut page, mut read) = (None, 0);
        for section in &document.sections {
            if section.page.is_some() && section.page != page {
                page = section.page;
                read += 1;
                known.add(&format!("[Page {}]", page.unwrap_or_default()));
            }
            if let Some(heading) = section.heading.as_deref().filter(|_| section.page.is_none()) {
                known.add(&format!("[{heading}]"));
            }
            known.add(section.text.trim());
            if known.is_cut {
                break;
            }
        }
        let blank = pages.map_or(0, |pages| pages.saturating_sub(read));
        if read > 0 && blank > 0 && !known.is_cut {
            known.add(&format!("[{blank} more pages have no text: they may be pictures, such as scans.]"));
        }
        known
    }

    fn add(&mut self, text: &str) {
        let room = usize::try_from(MAX_TEXT_BYTES).unwrap_or(usize::MAX).saturating_sub(self.text.len() + 2);
        if !self.text.is_empty() {
            self.text.push_str("\n\n");
        }
        let end = text.floor_char_boundary(room);
        self.is_cut |= end < text.len();
        self.text.push_str(&text[..end]);
    }
}

/// Truncates a text to the remaining token budget.
fn truncate(mut text: String, mut is_cut: bool, room: &AttachmentLimits) -> Result<FileInput, OmissionReason> {
    if room.tokens == 0 {
        return Err(OmissionReason::TooLarge);
    }
    let mut quarters = 0_usize;
    let end = text.char_indices().find(|(_, char)| {
        quarters += if char.is_ascii() { 1 } else { 4 };
        quarters > room.tokens.saturating_mul(4)
    });
    if let Some((end, _)) = end {
        text.truncate(end);
        is_cut = true;
    }
    Ok(FileInput::Text { text, is_cut })
}

/// Escapes closing tags of the `file` element, in any spelling.
fn escape_closing_tags(text: &str) -> String {
    let mut parts = text.split('<');
    let mut written = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let name = part.trim_start().strip_prefix('/').and_then(|name| name.trim_start().get(..4));
        let is_end = name.is_some_and(|name| name.eq_ignore_ascii_case("file"));
        written.push_str(if is_end { "<\\" } else { "<" });
        written.push_str(part);
    }
    written
}

/// Decodes text that may end within a character. NUL characters are removed.
fn decode_prefix(bytes: &[u8]) -> String {
    let text = extract::decode(bytes, None);
    text.trim_end_matches('\u{fffd}').replace('\0', "")
}

/// Size of the large thumbnail of an image.
fn thumbnail_size(upload: &Upload) -> (u32, u32) {
    let side = |side: Option<i32>| side.and_then(|side| u32::try_from(side).ok()).unwrap_or(THUMBNAIL_SIDE);
    ImageLimit { side: THUMBNAIL_SIDE, pixels: u32::MAX }.fit(side(upload.width), side(upload.height))
}

/// Estimated tokens of an image of this size.
fn picture_tokens((width, height): (u32, u32)) -> usize {
    ChatPicture::estimate(width as usize, height as usize)
}

#[cfg(test)]
mod tests {
    use extract::Section;

    use super::*;

    fn room(tokens: usize) -> AttachmentLimits {
        AttachmentLimits { pictures: 1, picture_bytes: 1, pages: 1, pdf_bytes: 1, tokens }
    }

    #[test]
    fn truncates_text_to_the_token_budget() {
        let text = |part: Result<FileInput, OmissionReason>| match part {
            Ok(FileInput::Text { text, is_cut }) => (text, is_cut),
            Ok(FileInput::Picture(_) | FileInput::Pdf { .. }) | Err(_) => panic!("no text"),
        };
        assert_eq!(text(truncate("12345678".to_owned(), false, &room(2))), ("12345678".to_owned(), false));
        assert_eq!(text(truncate("123456789".to_owned(), false, &room(2))), ("12345678".to_owned(), true));
        assert_eq!(text(truncate("ơơơ".to_owned(), false, &room(2))), ("ơơ".to_owned(), true));
        assert!(matches!(truncate("1".to_owned(), false, &room(0)), Err(OmissionReason::TooLarge)));
        let section = |text: &str, page| Section { text: text.to_owned(), page, ..Section::default() };
        let document = |sections: Vec<Section>, pages| DocumentText::from_document(&Document { sections, pages });
        let sections = vec![section("one", Some(1)), section("more", Some(1)), section("two", Some(2))];
        let known = document(sections.clone(), Some(2));
        let words = "[Page 1]\n\none\n\nmore\n\n[Page 2]\n\ntwo";
        assert_eq!((known.text.as_str(), known.is_cut), (words, false));
        assert!(document(sections, Some(5)).text.starts_with(&format!("{words}\n\n[3 more pages have no text")));
        assert!(document(vec![section(&"x".repeat(500_000), None)], None).is_cut);
        assert_eq!(document(Vec::new(), Some(3)).text, "");
        assert_eq!(decode_prefix(&"nửa\0".as_bytes()[..4]), "nử");
        assert_eq!(escape_closing_tags("a</file></ FILE>< /file></p>đ</"), "a<\\/file><\\/ FILE><\\ /file></p>đ</");
        assert_eq!(decode_prefix(b"\xff\xfeh\0i\0\0\0=\xd8"), "hi");
    }
}
