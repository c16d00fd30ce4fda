//! The files that messages carry: read for all messages of a batch together, and stored with them.

use std::collections::HashMap;

use appcore::{
    AppError, MessageId, UploadId, UserId,
    view::{Message, Upload, UploadStatus},
};
use dbcontext::query::{
    self, Piece,
    uploads::{Attachment, StoredUpload},
};
use sea_orm::DatabaseBackend;

use super::{
    batch::Batch,
    change::{Change, SendMessage},
    messages::sends,
};
use crate::{jobs::Job as _, uploads::SweepJob};

#[derive(Default)]
pub(super) struct Files {
    uploads: HashMap<UploadId, StoredUpload>,
    attached: Vec<Attachment>,
}

impl Files {
    pub fn into_pieces(self, backend: DatabaseBackend) -> Result<Option<Piece>, AppError> {
        if self.attached.is_empty() { Ok(None) } else { query::uploads::attach(backend, self.attached).map(Some) }
    }

    fn of(&self, owner: UserId, id: UploadId) -> Option<&StoredUpload> {
        let is_usable =
            |upload: &&StoredUpload| upload.owner_id == Some(owner) && upload.status == UploadStatus::Ready.as_str();
        self.uploads.get(&id).filter(is_usable)
    }
}

/// Reads the files that messages are to carry.
pub(super) async fn load(batch: &mut Batch<'_>, changes: &[Change]) -> Result<(), AppError> {
    let asked: Vec<UploadId> = sends(changes).flat_map(|send| send.attachments.iter().copied()).collect();
    if asked.is_empty() {
        return Ok(());
    }
    for row in query::uploads::get_all(batch.db, asked).await? {
        batch.files.uploads.insert(row.id, row);
    }
    Ok(())
}

/// What the message carries: the sender's own files, all of them there.
pub(super) fn attachments(batch: &Batch<'_>, send: &SendMessage) -> Result<Vec<Upload>, AppError> {
    let mut found: Vec<Upload> = Vec::with_capacity(send.attachments.len());
    for id in &send.attachments {
        let upload = batch.files.of(send.sender, *id).ok_or_else(|| {
            AppError::field(
                "attachment_ids",
                "not_found",
                "One of the files doesn't exist or isn't complete. Add it again.",
            )
        })?;
        if !found.iter().any(|other| other.id == *id) {
            found.push(upload.clone().try_into()?);
        }
    }
    Ok(found)
}

/// Notes which files a new message carries.
pub(super) fn attach(batch: &mut Batch<'_>, message: &Message) -> Result<(), AppError> {
    if message.attachments.is_empty() {
        return Ok(());
    }
    let workspace_id = batch.conversation(message.conversation_id)?.workspace_id;
    let (message_id, conversation_id) = (message.id, message.conversation_id);
    for upload in &message.attachments {
        let (upload_id, size) = (upload.id, upload.size);
        batch.files.attached.push(Attachment { message_id, upload_id, conversation_id, workspace_id, size });
    }
    Ok(())
}

/// A message's files go with it.
pub(super) async fn detach(batch: &mut Batch<'_>, message: MessageId) -> Result<(), AppError> {
    for upload in query::uploads::detach(batch.db, message).await? {
        batch.ask(SweepJob::Upload(upload).new_job()?);
    }
    Ok(())
}
