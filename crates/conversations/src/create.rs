//! Creation of conversations, with the rules of each kind.

use std::collections::BTreeSet;

use appcore::{
    AppError, AssistantId, Code, ConversationId, UserId, WorkspaceId,
    auth::{Permission, Principal},
    text::ClientId,
    text_field::parse_line,
    view::{Conversation, ConversationKind, HistoryScope, MemberRole, MentionAll, Posting},
};
use dbcontext::query;
use event_log::events::{Change, CreateConversation, Created};
use identity::membership;

use super::{MAX_TITLE_CHARS, MAX_TOPIC_CHARS, find};
use crate::ConversationsService;

/// Maximum number of members added by one request.
const MAX_MEMBERS: usize = 1_000;

#[derive(Clone, Debug)]
pub struct NewConversation {
    pub kind: ConversationKind,
    pub title: Option<String>,
    pub topic: Option<String>,
    /// Members who may post; only for channels.
    pub posting: Option<Posting>,
    /// Members who may use `@all`; only for channels.
    pub mention_all: Option<MentionAll>,
    /// Visibility of earlier messages to members who join later.
    pub history: Option<HistoryScope>,
    /// Workspace; `None` means the shared one or, if there is none, the caller's personal one.
    pub workspace_id: Option<WorkspaceId>,
    /// Other members; the caller is always one.
    pub member_ids: Vec<UserId>,
    pub assistant_id: Option<AssistantId>,
    /// Idempotency key of the client.
    pub client_id: Option<ClientId>,
}

/// Creates a conversation. The flag is false if it existed already: a direct message between the
/// same two users, or a conversation with the same `client_id`.
pub async fn create(
    service: &ConversationsService,
    by: &Principal,
    new: NewConversation,
) -> Result<(Conversation, bool), AppError> {
    if new.member_ids.len() > MAX_MEMBERS {
        return Err(AppError::field("member_ids", "too_long", format!("Add up to {MAX_MEMBERS} people at a time.")));
    }
    let able = new.kind.capabilities();
    let line = |field, text: Option<&str>, max| match text.map(str::trim) {
        None | Some("") => Ok(None),
        Some(text) => parse_line(field, text, max).map(Some),
    };
    let title = line("title", new.title.as_deref(), MAX_TITLE_CHARS)?;
    let topic = line("topic", new.topic.as_deref(), MAX_TOPIC_CHARS)?;
    if able.is_channel && title.is_none() {
        return Err(AppError::field("title", "required", "Enter a channel name."));
    }
    if new.posting.is_some() && !able.is_channel {
        return Err(AppError::field("posting", "invalid", "This is only available in channels."));
    }
    if new.mention_all.is_some() && !able.is_channel {
        return Err(AppError::field("mention_all", "invalid", "This is only available in channels."));
    }
    let history = new.history.unwrap_or(HistoryScope::All);
    if history != HistoryScope::All && !able.may_hide_history {
        return Err(AppError::field("history", "invalid", "This is only available in groups and private channels."));
    }
    let workspace_id =
        membership::resolve(&service.identity, by, new.workspace_id, Permission::CreateContent).await?.id;
    let others: BTreeSet<UserId> = new.member_ids.iter().copied().filter(|id| *id != by.user_id).collect();
    check_member_count(new.kind, &others)?;
    let together: Vec<UserId> = others.iter().copied().collect();
    if !together.is_empty() && !membership::are_members(&service.identity, workspace_id, &together).await? {
        return Err(AppError::field("member_ids", "not_found", "Some of these people aren't in this workspace."));
    }
    let assistant = assistant(service, by, workspace_id, &new).await?;
    let own_role = if able.has_owner { MemberRole::Owner } else { MemberRole::Member };
    let pair_key = match together.first().filter(|_| able.is_pair) {
        Some(other) => Some(pair_key(workspace_id, by.user_id, *other)),
        None => new.client_id.as_ref().map(|client_id| client_key(by.user_id, client_id)),
    };
    let change = CreateConversation {
        id: ConversationId::new(),
        workspace_id,
        kind: new.kind,
        title: title.filter(|_| able.is_managed),
        topic: topic.filter(|_| able.is_managed),
        posting: new.posting.unwrap_or(Posting::Everyone),
        mention_all: new.mention_all.unwrap_or(MentionAll::Everyone),
        history,
        created_by: by.user_id,
        members: std::iter::once((by.user_id, own_role))
            .chain(others.into_iter().map(|id| (id, MemberRole::Member)))
            .collect(),
        assistant,
        pair_key: pair_key.clone(),
    };
    let own_id = change.id;
    let (id, is_new) = match service.events.writer.submit(Change::Create(Box::new(change))).await?.created()? {
        Created::New(id) => (id, true),
        Created::Existing => {
            let of_pair = match &pair_key {
                Some(pair_key) => {
                    query::conversations::by_pair_key(service.db.reader(), pair_key).await?.ok_or(Code::Conflict)?
                }
                None => own_id,
            };
            (of_pair, of_pair == own_id)
        }
    };
    Ok((find(service, by, id).await?, is_new))
}

fn check_member_count(kind: ConversationKind, others: &BTreeSet<UserId>) -> Result<(), AppError> {
    let (least, most) = kind.capabilities().other_members;
    if (least..=most).contains(&others.len()) {
        return Ok(());
    }
    let message = match (least, most) {
        (_, 0) => "A conversation with an assistant can't include other people. Create a group instead.",
        (1, 1) => "A direct message needs exactly one other person.",
        _ => "A group needs at least two other people.",
    };
    Err(AppError::field("member_ids", "invalid", message))
}

/// Resolves the assistant of the conversation, if its kind has one.
async fn assistant(
    service: &ConversationsService,
    by: &Principal,
    workspace: WorkspaceId,
    new: &NewConversation,
) -> Result<Option<AssistantId>, AppError> {
    let able = new.kind.capabilities();
    let meant = match new.assistant_id {
        Some(_) if !able.allows_assistants => {
            return Err(AppError::field("assistant_id", "invalid", "You can't add an assistant to a direct message."));
        }
        Some(id) => id,
        None if able.asks_every_message => query::assistants::DEFAULT_ID,
        None => return Ok(None),
    };
    match query::assistants::usable_in(service.db.reader(), workspace, by.user_id, meant).await? {
        Some(assistant) => Ok(Some(assistant.id)),
        None => Err(AppError::field("assistant_id", "not_found", "This assistant isn't in this workspace.")),
    }
}

fn pair_key(workspace: WorkspaceId, one: UserId, other: UserId) -> String {
    let (low, high) = if one < other { (one, other) } else { (other, one) };
    format!("{workspace}:{low}:{high}")
}

/// Key with a unique index, which makes creation with a `client_id` idempotent.
fn client_key(by: UserId, client_id: &ClientId) -> String {
    format!("{by} {}", client_id.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pair_key_is_symmetric() {
        let (workspace, one, other) = (WorkspaceId::new(), UserId::new(), UserId::new());
        assert_eq!(pair_key(workspace, one, other), pair_key(workspace, other, one));
    }

    #[test]
    fn validates_member_count_per_kind() {
        let people = |count| (0..count).map(|_| UserId::new()).collect::<BTreeSet<_>>();
        assert!(check_member_count(ConversationKind::Single, &people(1)).is_ok());
        assert!(check_member_count(ConversationKind::Single, &people(0)).is_err());
        assert!(check_member_count(ConversationKind::Group, &people(2)).is_ok());
        assert!(check_member_count(ConversationKind::Group, &people(1)).is_err());
        assert!(check_member_count(ConversationKind::Assistant, &people(0)).is_ok());
        assert!(check_member_count(ConversationKind::Assistant, &people(1)).is_err());
    }
}
