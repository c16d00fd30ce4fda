//! Export of a user's own data as a stream, so that an account of any size needs little memory.

use std::sync::Arc;

use appcore::{
    AppError, Code, ConversationId, GatewayFileId,
    auth::Principal,
    page::{MAX_PAGE_SIZE, PageRequest},
    view::{ExportedDevice, ExportedGatewayFile, ExportedIdentity, ExportedPasskey, Message},
};
use dbcontext::query::{exports, gateway_files, known_devices, mcp_connections, sections, user_settings, users};
use futures_util::{Stream, stream};
use gateway::keys;
use identity::accounts::{identities, passkeys, session_tokens, sessions};
use platform::{
    audit::{self, Action, NewAuditEntry},
    work_pools::{WorkOwner, WorkPool, WorkSlot},
};
use serde::Serialize;
use tokio::sync::mpsc::{self, error::TrySendError};
use uuid::Uuid;

use crate::{ConversationsService, notes, workspaces};

/// Number of chunks buffered for a slow reader.
const BUFFERED_CHUNKS: usize = 4;
/// Chunk size, in bytes.
const CHUNK_SIZE: usize = 16 * 1024;

/// Exports the data of the caller.
pub async fn export(
    service: Arc<ConversationsService>,
    by: Principal,
) -> Result<impl Stream<Item = Result<Vec<u8>, AppError>> + use<>, AppError> {
    let entry = NewAuditEntry::by_principal(&by, Action::Exported, None);
    let owner = WorkOwner::user(by.user_id);
    stream_export(service, by, (entry, owner)).await
}

/// Streams [`appcore::view::Export`] of `by` as JSON. The audit entry and the owner of the work are
/// those of the requester.
pub(super) async fn stream_export(
    service: Arc<ConversationsService>,
    by: Principal,
    (entry, owner): (NewAuditEntry, WorkOwner),
) -> Result<impl Stream<Item = Result<Vec<u8>, AppError>> + use<>, AppError> {
    let (sender, receiver) = mpsc::channel(BUFFERED_CHUNKS);
    let slot = Some(service.work.export.acquire(owner).await?);
    tokio::spawn(async move {
        let pool = Arc::clone(&service.work.export);
        let mut out = ExportStream { sender, text: Vec::new(), first: true, slot, pool, owner };
        match write(&service, &by, entry, &mut out).await {
            Ok(()) | Err(ExportStop::ReaderClosed) => {}
            Err(ExportStop::Failed(error)) => _ = out.sender.send(Err(error)).await,
        }
    });
    Ok(stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) }))
}

/// Reason for an early stop.
enum ExportStop {
    ReaderClosed,
    Failed(AppError),
}

impl From<AppError> for ExportStop {
    fn from(error: AppError) -> Self {
        Self::Failed(error)
    }
}

struct ExportStream {
    sender: mpsc::Sender<Result<Vec<u8>, AppError>>,
    text: Vec<u8>,
    /// True as long as the current list has no items.
    first: bool,
    /// Slot in the work pool. It is released while waiting for a slow reader, so that others can
    /// use it.
    slot: Option<WorkSlot>,
    pool: Arc<WorkPool>,
    owner: WorkOwner,
}

impl ExportStream {
    fn text(&mut self, text: &str) {
        self.text.extend_from_slice(text.as_bytes());
    }

    fn value(&mut self, value: &impl Serialize) -> Result<(), ExportStop> {
        serde_json::to_writer(&mut self.text, value).map_err(|error| AppError::internal(error).into())
    }

    fn begin(&mut self, name: &str) {
        self.text(&format!(",\"{name}\":["));
        self.first = true;
    }

    async fn item(&mut self, item: &impl Serialize) -> Result<(), ExportStop> {
        if !std::mem::take(&mut self.first) {
            self.text(",");
        }
        self.value(item)?;
        if self.text.len() >= CHUNK_SIZE { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), ExportStop> {
        let piece = Ok(std::mem::take(&mut self.text));
        match self.sender.try_send(piece) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Closed(_)) => return Err(ExportStop::ReaderClosed),
            Err(TrySendError::Full(piece)) => {
                self.slot = None;
                self.sender.send(piece).await.map_err(|_| ExportStop::ReaderClosed)?;
            }
        }
        self.slot = Some(self.pool.acquire_for_job(self.owner).await);
        Ok(())
    }

    /// Sends the remaining text as the last chunk.
    async fn finish(&mut self) -> Result<(), ExportStop> {
        self.slot = None;
        self.sender.send(Ok(std::mem::take(&mut self.text))).await.map_err(|_| ExportStop::ReaderClosed)
    }
}

/// Writes all pages of a list, mapping each item.
macro_rules! pages {
    ($out:ident, $name:literal, |$page:ident| $list:expr) => {
        pages!($out, $name, |$page| $list, |item| item)
    };
    ($out:ident, $name:literal, |$page:ident| $list:expr, |$item:ident| $shown:expr) => {
        $out.begin($name);
        for number in 1.. {
            let $page = PageRequest::new(Some(number), Some(MAX_PAGE_SIZE));
            let part = $list.await?.items;
            if part.is_empty() {
                break;
            }
            for $item in part {
                $out.item(&$shown).await?;
            }
        }
        $out.text("]");
    };
}

async fn write(
    service: &ConversationsService,
    by: &Principal,
    entry: NewAuditEntry,
    out: &mut ExportStream,
) -> Result<(), ExportStop> {
    // The entry is written before any data is sent, so that no export is missing from the audit
    // log.
    audit::record(service.db.writer(), entry).await?;
    let db = service.db.reader();
    let user = users::by_id(db, by.user_id).await?.ok_or(AppError::from(Code::Unauthenticated))?;
    out.text("{\"user\":");
    out.value(&session_tokens::own_view(&user))?;
    out.text(",\"instructions\":");
    out.value(&user_settings::instructions(db, by.user_id).await?)?;

    out.begin("sections");
    for section in sections::exported(db, by.user_id).await? {
        out.item(&section).await?;
    }
    out.text("]");

    pages!(out, "sessions", |page| sessions::list(&service.identity, by, page));
    out.begin("known_devices");
    for known in known_devices::of_user(db, by.user_id).await? {
        let device =
            ExportedDevice { address: known.network, user_agent: known.agent, last_seen_at: known.last_seen_at };
        out.item(&device).await?;
    }
    out.text("]");

    pages!(out, "identities", |page| identities::list(&service.identity, by, page), |item| ExportedIdentity {
        provider: item.provider,
        email: item.email,
        created_at: item.created_at,
        last_used_at: item.last_used_at,
    });
    pages!(out, "passkeys", |page| passkeys::list(&service.identity, by, page), |item| ExportedPasskey {
        name: item.name,
        created_at: item.created_at,
        last_used_at: item.last_used_at,
    });
    pages!(out, "api_keys", |page| keys::list(&service.gateway, by, page));
    out.begin("gateway_files");
    let mut after = GatewayFileId(Uuid::nil());
    loop {
        let part = gateway_files::of_user(db, by.user_id, after, MAX_PAGE_SIZE).await?;
        let Some(last) = part.last() else { break };
        after = last.id;
        for file in part {
            let gateway_files::GatewayFileRow { name, purpose, bytes, created_at, expires_at, .. } = file;
            out.item(&ExportedGatewayFile { name, purpose, bytes, created_at, expires_at }).await?;
        }
    }
    out.text("]");
    out.begin("tool_connections");
    for connection in mcp_connections::exported(db, by.user_id).await? {
        out.item(&connection).await?;
    }
    out.text("]");
    pages!(out, "workspaces", |page| workspaces::list(service, by, page));

    out.begin("conversations");
    let mut after = ConversationId(Uuid::nil());
    loop {
        let part = exports::conversations(db, by.user_id, after).await?;
        let Some(last) = part.last() else { break };
        after = last.id;
        for conversation in part {
            out.item(&conversation).await?;
        }
    }
    out.text("]");

    out.begin("messages");
    let mut after = ConversationId(Uuid::nil());
    loop {
        let part = exports::conversations(db, by.user_id, after).await?;
        let Some(last) = part.last() else { break };
        after = last.id;
        for conversation in part {
            write_messages(service, by, conversation.id, out).await?;
        }
    }
    out.text("]");
    // Notes may be long, so they are read in small pages.
    pages!(out, "notes", |page| notes::list(service, by, None, page));
    out.text("}");
    out.finish().await
}

async fn write_messages(
    service: &ConversationsService,
    by: &Principal,
    id: ConversationId,
    out: &mut ExportStream,
) -> Result<(), ExportStop> {
    let mut after = 0;
    loop {
        let part = exports::messages(&service.db.replica().await, by.user_id, id, after).await?;
        let Some(last) = part.last() else { return Ok(()) };
        after = last.seq;
        for row in part {
            out.item(&Message::try_from(row)?).await?;
        }
    }
}
