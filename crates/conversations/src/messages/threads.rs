//! Threads: reading, following and solving.

use appcore::{
    AppError, Code, MessageId,
    auth::Principal,
    event::Event,
    page::{MAX_PAGE_SIZE, Page, PageRequest},
    view::{FollowedThread, Forwarded, Message, Thread, ThreadPosition},
};
use dbcontext::query::{
    self,
    threads::{self as rows, FollowerPosition},
};

pub use dbcontext::query::threads::{FollowedThreadFilter, ThreadRange};
use event_log::{
    access,
    events::{MemberAction, Solve},
    notifications::{self, NotificationReadPosition, ReadScope},
};

use super::find;
use crate::ConversationsService;

/// Lists the messages of a thread, with the caller's read position in it.
pub async fn page(
    service: &ConversationsService,
    by: &Principal,
    root_id: MessageId,
    part: ThreadRange,
) -> Result<Thread, AppError> {
    let root = root(service, by, root_id).await?;
    let part = ThreadRange { limit: part.limit.clamp(1, MAX_PAGE_SIZE), ..part };
    let db = service.db.replica().await;
    let (items, has_more) = rows::replies(&db, root_id, part).await?;
    let items = items.into_iter().map(Message::try_from).collect::<Result<_, _>>()?;
    let own = position(rows::position(&db, by.user_id, root_id).await?);
    Ok(Thread { root, items, has_more, own })
}

/// Root message of a thread. Returns `WrongState` for a reply.
async fn root(service: &ConversationsService, by: &Principal, id: MessageId) -> Result<Message, AppError> {
    let message = find(service, by, id).await?;
    if message.thread_id.is_some() {
        return Err(AppError::refused(Code::WrongState, "This message is a reply. Request the thread it belongs to."));
    }
    Ok(message)
}

fn position(follower: Option<FollowerPosition>) -> ThreadPosition {
    ThreadPosition {
        following: follower.is_some(),
        read_no: follower.map_or(0, |follower| follower.read_no),
        unread: follower.map_or(0, |follower| follower.unread),
    }
}

/// Threads that the caller follows, newest reply first.
pub async fn list(
    service: &ConversationsService,
    by: &Principal,
    which: FollowedThreadFilter,
    page: PageRequest,
) -> Result<Page<FollowedThread>, AppError> {
    let (items, total) = rows::list(&service.db.replica().await, by.user_id, which, page).await?;
    Ok(Page::new(items, page, total))
}

/// Follows a thread, with all existing replies marked as read, or unfollows it.
pub async fn follow(
    service: &ConversationsService,
    by: &Principal,
    root_id: MessageId,
    is_followed: bool,
) -> Result<ThreadPosition, AppError> {
    let root = root(service, by, root_id).await?;
    access::member(&service.events, by.user_id, root.conversation_id).await?;
    if is_followed {
        let last_no = root.thread.as_ref().map_or(0, |thread| thread.last_no);
        rows::follow_from_end(service.db.writer(), by.user_id, root_id, last_no).await?;
    } else {
        rows::unfollow(service.db.writer(), by.user_id, root_id).await?;
    }
    publish_position(service, by, &root).await
}

/// Advances the caller's read position in a thread. No effect if they don't follow it.
pub async fn read(
    service: &ConversationsService,
    by: &Principal,
    root_id: MessageId,
    no: i64,
) -> Result<ThreadPosition, AppError> {
    let root = root(service, by, root_id).await?;
    access::member(&service.events, by.user_id, root.conversation_id).await?;
    let last_no = root.thread.as_ref().map_or(0, |thread| thread.last_no);
    let no = no.min(last_no);
    rows::advance_position(service.db.writer(), by.user_id, root_id, no).await?;
    let read = NotificationReadPosition { user_id: by.user_id, scope: ReadScope::Thread(root_id), seq: no };
    notifications::mark_passed_read(&service.db, service.bus.as_ref(), service.clock.now(), &[read]).await?;
    publish_position(service, by, &root).await
}

/// Publishes the caller's thread position to their own connections.
async fn publish_position(
    service: &ConversationsService,
    by: &Principal,
    root: &Message,
) -> Result<ThreadPosition, AppError> {
    let position = position(rows::position(service.db.writer(), by.user_id, root.id).await?);
    let ThreadPosition { following, read_no, unread } = position;
    let (conversation_id, message_id) = (root.conversation_id, root.id);
    service.notify_user(
        by.user_id,
        &Event::OwnThreadChanged { conversation_id, message_id, following, read_no, unread },
    )?;
    Ok(position)
}

/// Marks a thread as solved or reopens it.
pub async fn solve(
    service: &ConversationsService,
    by: &Principal,
    message_id: MessageId,
    is_solved: bool,
) -> Result<Message, AppError> {
    let conversation_id = root(service, by, message_id).await?.conversation_id;
    let solve = MemberAction::Solve(Solve { message_id, is_solved });
    let solved = service.events.writer.submit(solve.by_member(by.user_id, conversation_id)).await;
    access::explain_not_found(&service.events, by.user_id, conversation_id, solved).await?.message()
}

/// Finds the message to forward, which the caller must be able to read.
pub async fn resolve_forward(
    service: &ConversationsService,
    by: &Principal,
    id: MessageId,
) -> Result<Forwarded, AppError> {
    let found = query::messages::find(service.db.reader(), by.user_id, id).await?;
    let found = found.filter(|message| message.deleted_at.is_none());
    found
        .map(|message| Forwarded { message_id: message.id, conversation_id: message.conversation_id })
        .ok_or_else(|| AppError::field("forward_of", "not_found", "This message doesn't exist, or you can't read it."))
}
