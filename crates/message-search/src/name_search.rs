//! Search of conversations and people by name.

use ::search::fold_text;
use appcore::{
    AppError, UserId,
    view::{SearchHit, SearchResults, SearchTotal, Sender, SenderKind},
};
use dbcontext::query::search::{self as rows, Readable};

use crate::SearchService;
use crate::{MessageSearchRequest, count, hits::found_conversation, names, run_blocking};

/// Conversations by title, those with the latest activity first.
pub(super) async fn conversations(
    service: &SearchService,
    user: UserId,
    ask: &MessageSearchRequest,
    limit: usize,
) -> Result<SearchResults, AppError> {
    let text = fold_text(ask.text.trim());
    let mut found: Vec<Readable> = rows::readable_conversations(service.db.reader(), user).await?;
    found.retain(|one| ask.workspace_id.is_none_or(|id| id == one.workspace_id));
    found.retain(|one| ask.kind.is_none_or(|kind| kind == one.kind));
    let mut found = run_blocking(move || {
        found.retain(|one| one.title.as_deref().is_some_and(|title| names::has_prefix(&fold_text(title), &text)));
        found.sort_by_key(|one| std::cmp::Reverse((one.is_member, one.last_activity_at)));
        found
    })
    .await?;
    let total = Some(SearchTotal { count: count(found.len()), is_all: true });
    found.truncate(limit);
    let hit = |one: &Readable| SearchHit { conversation: Some(found_conversation(one)), ..SearchHit::default() };
    let items = found.iter().map(hit).collect();
    Ok(SearchResults { items, total, ..SearchResults::default() })
}

pub(super) async fn people(
    service: &SearchService,
    user: UserId,
    ask: &MessageSearchRequest,
    limit: usize,
) -> Result<SearchResults, AppError> {
    let text = fold_text(ask.text.trim());
    let found = rows::acquaintances(&service.db.replica().await, user, names::MAX_PEOPLE).await?;
    let mut found = run_blocking(move || {
        let named = found.into_iter().map(|one| (fold_text(&one.name), one));
        let mut named: Vec<_> = named.filter(|(name, _)| names::has_prefix(name, &text)).collect();
        named.sort_by(|(one, _), (other, _)| one.cmp(other));
        named.into_iter().map(|(_, one)| one).collect::<Vec<_>>()
    })
    .await?;
    let total = Some(SearchTotal { count: count(found.len()), is_all: true });
    found.truncate(limit);
    let items = found
        .into_iter()
        .map(|one| SearchHit {
            person: Some(Sender { kind: SenderKind::User, id: Some(one.id), name: one.name, picture: None }),
            ..SearchHit::default()
        })
        .collect();
    Ok(SearchResults { items, total, ..SearchResults::default() })
}
