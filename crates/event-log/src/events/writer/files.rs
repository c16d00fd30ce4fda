//! Attachments of messages. They are loaded for all messages of a batch at once, and stored with
//! the messages.

use std::collections::{BTreeSet, HashMap};

use appcore::{
    AppError, Code, ConversationId, MessageId, UploadId, UserId, WorkspaceId,
    event::DurableBody,
    view::{Message, Preview, SenderKind, TranscriptState, Upload},
};
use dbcontext::query::{
    self, Piece,
    uploads::{Attachment, StoredUpload},
};
use jobs::JobPayload as _;
use platform::cleanup::SweepJob;

use super::{
    batch::Batch,
    change::{Actor, Change, Outcome, SendMessage, SetPreviews, SetTranscript},
    log_redaction,
    messages::{live_message, sends, to_json_list},
};
use crate::events::jobs::TranscribeJob;

#[derive(Default)]
pub(super) struct BatchAttachments {
    uploads: HashMap<UploadId, StoredUpload>,
    attached: Vec<Attachment>,
    /// Storage used per workspace, in bytes. Filled only if storage is limited.
    used_bytes: HashMap<WorkspaceId, i64>,
}

impl BatchAttachments {
    pub fn into_statement(self) -> Option<Piece> {
        (!self.attached.is_empty()).then(|| query::uploads::attach(self.attached))
    }

    fn find(&self, owner: UserId, id: UploadId) -> Option<&StoredUpload> {
        self.uploads.get(&id).filter(|upload| upload.is_usable_by(owner))
    }
}

/// Loads the uploads that messages attach.
pub(super) async fn load(batch: &mut Batch<'_>, changes: &[Change]) -> Result<(), AppError> {
    let asked: Vec<UploadId> = sends(changes).flat_map(|(_, send)| send.attachments.iter().copied()).collect();
    if asked.is_empty() {
        return Ok(());
    }
    if batch.workspace_bytes() > 0 {
        // Workspaces are locked in a fixed order and before any upload, so that batches can't
        // deadlock.
        let places: BTreeSet<WorkspaceId> = sends(changes)
            .filter(|(_, send)| !send.attachments.is_empty())
            .filter_map(|(by, _)| batch.conversation(by.conversation_id).ok().map(|state| state.workspace_id))
            .collect();
        for place in places {
            query::uploads::lock_workspace_quota(batch.db, place).await?;
            let taken = query::uploads::bytes_in_workspace(batch.db, place).await?;
            batch.files.used_bytes.insert(place, taken);
        }
    }
    for row in query::uploads::lock_to_send(batch.db, asked).await? {
        batch.files.uploads.insert(row.id, row);
    }
    Ok(())
}

/// Returns the uploads that the message attaches. Fails unless all are complete and belong to the
/// sender.
pub(super) fn attachments(batch: &Batch<'_>, by: Actor, send: &SendMessage) -> Result<Vec<Upload>, AppError> {
    let mut found: Vec<Upload> = Vec::with_capacity(send.attachments.len());
    for id in &send.attachments {
        let upload = batch.files.find(by.user_id, *id).ok_or_else(attachment_not_found)?;
        if !found.iter().any(|other| other.id == *id) {
            found.push(upload.clone().try_into()?);
        }
    }
    let place = batch.conversation(by.conversation_id)?.workspace_id;
    let size: i64 = found.iter().map(|upload| upload.size).sum();
    match batch.files.used_bytes.get(&place) {
        Some(taken) if size > 0 && taken.saturating_add(size) > batch.workspace_bytes() => Err(AppError::refused(
            Code::QuotaExceeded,
            "This workspace has too little storage left. Delete files there, or ask its admins.",
        )),
        _ => Ok(found),
    }
}

/// Error for an attachment that is missing, incomplete or not the sender's.
pub fn attachment_not_found() -> AppError {
    AppError::field("attachment_ids", "not_found", "One of the files doesn't exist or isn't complete. Add it again.")
}

/// Records the attachments of a new message and enqueues transcriptions of its voice notes.
pub(super) fn attach(batch: &mut Batch<'_>, message: &Message, sender: UserId) -> Result<(), AppError> {
    if message.attachments.is_empty() {
        return Ok(());
    }
    let workspace_id = batch.conversation(message.conversation_id)?.workspace_id;
    let (message_id, conversation_id) = (message.id, message.conversation_id);
    for upload in &message.attachments {
        let (upload_id, size) = (upload.id, upload.size);
        if upload.transcript_state == Some(TranscriptState::Pending) {
            batch.enqueue_for(&TranscribeJob { conversation_id, message_id, upload_id }, conversation_id, sender)?;
        }
        batch.files.attached.push(Attachment { message_id, upload_id, conversation_id, workspace_id, size });
        batch.files.used_bytes.entry(workspace_id).and_modify(|taken| *taken = taken.saturating_add(size));
    }
    Ok(())
}

/// Stores the transcript of a voice note and emits the updated message.
pub(super) async fn set_transcript(
    batch: &mut Batch<'_>,
    conversation_id: ConversationId,
    set: &SetTranscript,
) -> Result<Outcome, AppError> {
    batch.conversation(conversation_id)?;
    let mut message = live_message(batch, conversation_id, set.message_id).await?;
    let pending = message
        .attachments
        .iter_mut()
        .find(|upload| upload.id == set.upload_id && upload.transcript_state == Some(TranscriptState::Pending));
    let Some(upload) = pending else { return Ok(Outcome::Done) };
    let state = if set.transcript.is_some() { TranscriptState::Ready } else { TranscriptState::Failed };
    upload.transcript.clone_from(&set.transcript);
    upload.transcript_state = Some(state);
    let message_row = (message.id, to_json_list(&message.attachments)?);
    query::uploads::set_transcript(batch.db, message_row, set.upload_id, set.transcript.as_deref(), state).await?;
    log_redaction::redact(batch, &message).await?;
    batch.emit(
        conversation_id,
        DurableBody::MessageUpdated { message: Box::new(message.clone()), branch_changed: false },
    )?;
    Ok(Outcome::Done)
}

/// Stores link previews, unless the text has changed since they were requested.
pub(super) async fn set_previews(
    batch: &mut Batch<'_>,
    conversation_id: ConversationId,
    set: &SetPreviews,
) -> Result<Outcome, AppError> {
    batch.conversation(conversation_id)?;
    let message = live_message(batch, conversation_id, set.message_id).await?;
    if message.edited_at != set.edited_at || message.hidden_at.is_some() {
        return Ok(Outcome::Done);
    }
    replace_previews(batch, message, &set.previews).await
}

/// Removes the link previews of the member's own message.
pub(super) async fn remove_previews(
    batch: &mut Batch<'_>,
    by: Actor,
    message_id: MessageId,
) -> Result<Outcome, AppError> {
    batch.conversation(by.conversation_id)?;
    let message = live_message(batch, by.conversation_id, message_id).await?;
    if message.sender.kind != SenderKind::User || message.sender.id != Some(by.user_id.0) {
        return Err(AppError::refused(Code::Forbidden, "You can only remove the previews of your own messages."));
    }
    replace_previews(batch, message, &[]).await
}

async fn replace_previews(
    batch: &mut Batch<'_>,
    mut message: Message,
    previews: &[Preview],
) -> Result<Outcome, AppError> {
    let (conversation_id, message_id) = (message.conversation_id, message.id);
    let workspace_id = batch.conversation(conversation_id)?.workspace_id;
    // Previews of an earlier text may still exist.
    let before = query::previews::pictures(batch.db, message_id).await?;
    let pictures: Vec<UploadId> = previews.iter().filter_map(|preview| preview.image_upload_id).collect();
    for upload in before.into_iter().filter(|upload| !pictures.contains(upload)) {
        query::previews::detach(batch.db, message_id, upload).await?;
        query::uploads::mark_removed(batch.db, &[upload], batch.now).await?;
        batch.enqueue(SweepJob::Upload(upload).new_job()?);
    }
    if message.previews == previews {
        return Ok(Outcome::Done);
    }
    for row in query::uploads::lock_to_send(batch.db, pictures).await? {
        let (upload_id, size) = (row.id, row.size.unwrap_or_default());
        batch.files.attached.push(Attachment { message_id, upload_id, conversation_id, workspace_id, size });
    }
    message.previews = previews.to_vec();
    query::previews::set(batch.db, message_id, to_json_list(&message.previews)?).await?;
    log_redaction::redact_previews(batch, &message).await?;
    batch.emit(conversation_id, DurableBody::MessagePreviews { message_id, previews: message.previews })?;
    Ok(Outcome::Done)
}

/// Detaches the files of a deleted message and marks them for removal.
pub(super) async fn detach(batch: &mut Batch<'_>, message: MessageId) -> Result<(), AppError> {
    let detached = query::uploads::detach(batch.db, message).await?;
    query::uploads::mark_removed(batch.db, &detached, batch.now).await?;
    for upload in detached {
        // Marking the upload makes the state that was loaded outdated.
        batch.files.uploads.remove(&upload);
        batch.enqueue(SweepJob::Upload(upload).new_job()?);
    }
    Ok(())
}
