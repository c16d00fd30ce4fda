//! Conversations: who talks with whom, and by which rules.

mod create;
mod members;

use std::collections::HashMap;

use appcore::{
    AppError, Code, ConversationId, UserId,
    auth::Principal,
    line::parse_line,
    page::{Page, PageRequest},
    view::{AssistantMember, Conversation, ConversationKind, Member, Message, OwnMembership},
};
pub use dbcontext::query::members::{Followed, Following};
use dbcontext::query::{self, conversations::SeenConversation};

pub use create::{NewConversation, create};
pub use members::{NewMember, add_member, leave, members, remove_member, set_role};

use crate::{
    App,
    events::{Change, DeleteConversation, UpdateConversation},
};

pub const MAX_TITLE_CHARS: usize = 120;
pub const MAX_TOPIC_CHARS: usize = 500;

/// How many members a listed conversation shows; one that is asked for by itself shows all.
const LISTED_MEMBERS: u32 = 20;

/// The caller's own conversations, newest activity first.
pub async fn list(app: &App, by: &Principal, page: PageRequest) -> Result<Page<Conversation>, AppError> {
    let (rows, total) = query::conversations::list(app.db.reader(), by.user_id, page).await?;
    Ok(Page::new(views(app, rows).await?, page, total))
}

/// A conversation that the caller is in, with its members.
pub async fn find(app: &App, by: &Principal, id: ConversationId) -> Result<Conversation, AppError> {
    let row = query::conversations::find(app.db.reader(), by.user_id, id).await?.ok_or(Code::NotFound)?;
    let mut conversation = views(app, vec![row]).await?.pop().ok_or(Code::NotFound)?;
    conversation.members = Some(members::all(app, id).await?);
    Ok(conversation)
}

/// Changes title and topic. `None` leaves one as it is; a blank text takes it away.
pub async fn update(
    app: &App,
    by: &Principal,
    id: ConversationId,
    title: Option<&str>,
    topic: Option<&str>,
) -> Result<Conversation, AppError> {
    let line = |field, text: Option<&str>, max| match text {
        None => Ok(None),
        Some(text) if text.trim().is_empty() => Ok(Some(None)),
        Some(text) => parse_line(field, text, max).map(|text| Some(Some(text))),
    };
    let update = UpdateConversation {
        conversation_id: id,
        by: by.user_id,
        title: line("title", title, MAX_TITLE_CHARS)?,
        topic: line("topic", topic, MAX_TOPIC_CHARS)?,
    };
    app.writer.submit(Change::Update(update)).await?;
    find(app, by, id).await
}

pub async fn delete(app: &App, by: &Principal, id: ConversationId) -> Result<(), AppError> {
    app.writer.submit(Change::DeleteConversation(DeleteConversation { conversation_id: id, by: by.user_id })).await?;
    Ok(())
}

/// What a person's connections follow.
pub async fn following(app: &App, user: UserId) -> Result<Following, AppError> {
    let db = app.db.clone();
    let read = move |users: Vec<UserId>| {
        let db = db.clone();
        async move { query::members::following(db.reader(), &users).await }
    };
    app.following.ask(user, read).await
}

/// The same for many people at once; whoever is in nothing is left out.
pub async fn following_many(app: &App, users: &[UserId]) -> Result<HashMap<UserId, Following>, AppError> {
    if users.is_empty() {
        return Ok(HashMap::new());
    }
    query::members::following(app.db.reader(), users).await
}

/// What the rows show: members, assistants and last messages come in one query each, however many rows there are.
async fn views(app: &App, rows: Vec<SeenConversation>) -> Result<Vec<Conversation>, AppError> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<ConversationId> = rows.iter().map(|row| row.id).collect();
    let db = app.db.reader();
    let mut members: HashMap<ConversationId, Vec<Member>> = HashMap::new();
    let listed = query::members::of_conversations(db, &ids, LISTED_MEMBERS).await?;
    for (id, member) in members::with_presence(app, listed).await? {
        members.entry(id).or_default().push(member);
    }
    let mut assistants: HashMap<ConversationId, Vec<AssistantMember>> = HashMap::new();
    for row in query::conversations::assistants(db, &ids).await? {
        assistants.entry(row.conversation_id).or_default().push(row.into());
    }
    let mut last: HashMap<ConversationId, Message> = HashMap::new();
    for row in query::messages::last_of(db, &ids).await? {
        last.insert(row.conversation_id, row.try_into()?);
    }
    rows.into_iter()
        .map(|row| {
            let kind: ConversationKind = row.kind.parse().map_err(AppError::internal)?;
            Ok(Conversation {
                id: row.id,
                kind,
                workspace_id: row.workspace_id,
                title: row.title,
                topic: row.topic,
                last_seq: row.last_seq,
                unread: row.unread,
                read_seq: row.read_seq,
                own: OwnMembership {
                    role: row.role.parse().map_err(AppError::internal)?,
                    read_seq: row.read_seq,
                    unread: row.unread,
                },
                member_count: row.member_count.unsigned_abs(),
                last_message: last.remove(&row.id),
                members: members.remove(&row.id),
                assistants: assistants.remove(&row.id).unwrap_or_default(),
                created_at: row.created_at,
                last_activity_at: row.last_activity_at,
            })
        })
        .collect()
}
