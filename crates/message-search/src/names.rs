//! Resolves the names of `from:` and `in:` operators.

use std::collections::BTreeSet;

use ::search::fold_text;
use appcore::{AppError, UserId};
use dbcontext::query::search::{self as rows, Readable};
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use crate::run_blocking;

/// Maximum number of people whose names are examined.
pub(super) const MAX_PEOPLE: u32 = 20_000;

/// Finds the people who have one of these names or whose names start with one; `me` stands for the caller.
pub(super) async fn authors<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    names: &[String],
) -> Result<BTreeSet<Uuid>, AppError> {
    let mut people = rows::acquaintances(db, user, MAX_PEOPLE).await?;
    people.extend(rows::known_assistants(db, user).await?);
    let known = people.into_iter().map(|one| (one.id, one.name)).collect();
    let mut meant = resolve_unfolded(names, known).await?;
    if names.iter().any(|name| name == "me") {
        meant.insert(user.0);
    }
    Ok(meant)
}

/// Finds the conversations whose title or the names of whose other members are one of these names or start with one.
pub(super) async fn places<'a, C: ConnectionTrait>(
    db: &C,
    user: UserId,
    names: &[String],
    among: impl Iterator<Item = &'a Readable>,
) -> Result<BTreeSet<Uuid>, AppError> {
    let titled = among.filter_map(|one| Some((one.id.0, one.title.clone()?)));
    let mut known: Vec<(Uuid, String)> = titled.collect();
    let partners = rows::partners(db, user).await?;
    known.extend(partners.into_iter().map(|one| (one.id, one.name)));
    resolve_unfolded(names, known).await
}

/// Folds the known names and calls [`meant`], on a blocking thread because there may be thousands of names.
async fn resolve_unfolded(names: &[String], known: Vec<(Uuid, String)>) -> Result<BTreeSet<Uuid>, AppError> {
    let names = names.to_vec();
    run_blocking(move || {
        let known: Vec<(Uuid, String)> = known.into_iter().map(|(id, name)| (id, fold_text(&name))).collect();
        resolve(&names, &known)
    })
    .await
}

/// Returns the exact matches of the names or, if there are none, the prefix matches.
fn resolve(names: &[String], known: &[(Uuid, String)]) -> BTreeSet<Uuid> {
    let mut meant = BTreeSet::new();
    for name in names {
        let exact: Vec<Uuid> = known.iter().filter(|(_, one)| is_exactly(one, name)).map(|(id, _)| *id).collect();
        if exact.is_empty() {
            meant.extend(known.iter().filter(|(_, one)| has_prefix(one, name)).map(|(id, _)| *id));
        } else {
            meant.extend(exact);
        }
    }
    meant
}

fn is_exactly(known: &str, name: &str) -> bool {
    known == name || known.chars().filter(|letter| !letter.is_whitespace()).eq(name.chars())
}

/// True if a known name, or a word in it, starts with this prefix. Both must be folded.
pub(super) fn has_prefix(known: &str, name: &str) -> bool {
    let words = known
        .char_indices()
        .filter(|(at, _)| *at == 0 || known[..*at].chars().next_back().is_some_and(|before| !before.is_alphanumeric()));
    name.is_empty() || words.map(|(at, _)| &known[at..]).any(|rest| rest.starts_with(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_by_their_words() {
        assert!(
            has_prefix("anna berg", "anna") && has_prefix("anna berg", "ber") && has_prefix("design-review", "review")
        );
        assert!(!has_prefix("anna berg", "erg") && is_exactly("anna berg", "annaberg") && has_prefix("x", ""));
        let known = [(Uuid::from_u128(1), "general".to_owned()), (Uuid::from_u128(2), "general talk".to_owned())];
        assert_eq!(resolve(&["general".to_owned()], &known).len(), 1);
        assert_eq!(resolve(&["gen".to_owned()], &known).len(), 2);
    }
}
