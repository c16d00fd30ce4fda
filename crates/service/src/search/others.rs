//! Conversations and people, found by their names.

use ::search::folded;
use appcore::{
    AppError, UserId,
    view::{SearchHit, SearchResults, SearchTotal, Sender, SenderKind},
};
use dbcontext::query::search::{self as rows, Readable};

use super::{Ask, count, names, place};
use crate::App;

/// Conversations by their titles, those with the newest activity first.
pub(super) async fn conversations(app: &App, user: UserId, ask: &Ask, limit: usize) -> Result<SearchResults, AppError> {
    let text = folded(ask.text.trim());
    let mut found: Vec<Readable> = rows::readable(app.db.reader(), user)
        .await?
        .into_iter()
        .filter(|one| ask.workspace_id.is_none_or(|id| id == one.workspace_id))
        .filter(|one| ask.kind.is_none_or(|kind| kind.as_str() == one.kind))
        .filter(|one| one.title.as_deref().is_some_and(|title| names::fits(&folded(title), &text)))
        .collect();
    found.sort_by_key(|one| std::cmp::Reverse((one.is_member, one.last_activity_at)));
    let total = Some(SearchTotal { count: count(found.len()), is_all: true });
    found.truncate(limit);
    let hit = |one: &Readable| Ok(SearchHit { conversation: Some(place(one)?), ..SearchHit::default() });
    let items = found.iter().map(hit).collect::<Result<_, AppError>>()?;
    Ok(SearchResults { items, total, ..SearchResults::default() })
}

/// People by their names.
pub(super) async fn people(app: &App, user: UserId, ask: &Ask, limit: usize) -> Result<SearchResults, AppError> {
    let text = folded(ask.text.trim());
    let mut found = rows::acquaintances(app.db.reader(), user, names::PEOPLE).await?;
    found.retain(|one| names::fits(&folded(&one.name), &text));
    found.sort_by_key(|one| folded(&one.name));
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
