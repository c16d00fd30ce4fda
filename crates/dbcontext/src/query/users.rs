//! Users. Queries on behalf of a user return only users with whom that user shares a workspace.

use appcore::{
    AppError, Code, Language, Timestamp, UploadId, UserId, WorkspaceId,
    page::PageRequest,
    view::{ChosenPresence, CustomStatus, PresenceStatus, UserRole, WorkspaceRole},
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::NotSet,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, ExprTrait, FromQueryResult, QueryFilter, QueryOrder,
    QuerySelect, Set,
    sea_query::{Expr, LikeExpr, Query, SelectStatement},
};

use super::{literal, raw, rows::Rows};
use crate::{
    constraint::{app_error, unique_violation},
    entity::{conversation, conversation_member, user, workspace_member},
};

pub struct NewUser {
    pub id: UserId,
    pub email: String,
    pub display_name: String,
    /// Password hash; `None` if the account has no password.
    pub password_hash: Option<String>,
    pub role: UserRole,
    /// Time at which the email address was verified.
    pub verified_at: Option<Timestamp>,
    pub language: Language,
    pub at: Timestamp,
}

/// Inserts an account; its email address must be unused.
pub async fn insert<C: ConnectionTrait>(db: &C, new: NewUser) -> Result<user::Model, AppError> {
    active_model(new)
        .insert(db)
        .await
        .map_err(|error| if unique_violation(&error) { Code::EmailTaken.into() } else { app_error(error) })
}

pub(super) fn active_model(new: NewUser) -> user::ActiveModel {
    user::ActiveModel {
        id: Set(new.id),
        email: Set(new.email),
        search_name: Set(::search::fold_name(&new.display_name)),
        display_name: Set(new.display_name),
        password_hash: Set(new.password_hash),
        role: Set(new.role),
        second_factor: Set(false),
        created_at: Set(new.at),
        updated_at: Set(new.at),
        is_deleted: Set(false),
        email_verified_at: Set(new.verified_at),
        language: Set(new.language.as_str().to_owned()),
        suspended_at: Set(None),
        suspended_reason: Set(None),
        suspended_by: Set(None),
        status_emoji: Set(None),
        status_text: Set(None),
        status_until: Set(None),
        timezone: Set(None),
        show_timezone: Set(true),
        title: Set(None),
        pronouns: Set(None),
        chosen_presence: Set(None),
    }
}

/// True if no account was ever created.
pub async fn is_empty<C: ConnectionTrait>(db: &C) -> Result<bool, AppError> {
    let any = user::Entity::find().select_only().column(user::Column::Id).into_tuple::<UserId>().one(db).await;
    Ok(any.map_err(app_error)?.is_none())
}

pub async fn by_email<C: ConnectionTrait>(db: &C, email: &str) -> Result<Option<user::Model>, AppError> {
    find_by_email(email).one(db).await.map_err(app_error)
}

pub(super) fn find_by_email(email: &str) -> sea_orm::Select<user::Entity> {
    existing_users().filter(user::Column::Email.eq(email))
}

/// Finds an account without an access check. Used for the account's owner and by internal services.
pub async fn by_id<C: ConnectionTrait>(db: &C, id: UserId) -> Result<Option<user::Model>, AppError> {
    existing_users().filter(user::Column::Id.eq(id)).one(db).await.map_err(app_error)
}

/// Public profile of a user.
#[derive(FromQueryResult)]
pub struct PublicProfile {
    pub display_name: String,
    pub picture: Option<UploadId>,
    pub is_deleted: bool,
}

/// Returns the public profile of a user, even if the account is deleted.
pub async fn public_profile<C: ConnectionTrait>(db: &C, id: UserId) -> Result<Option<PublicProfile>, AppError> {
    let sql = "SELECT u.display_name, p.upload_id AS picture, u.is_deleted \
               FROM users u LEFT JOIN user_pictures p ON p.user_id = u.id WHERE u.id = $1";
    super::raw::find_one(db, sql, vec![id.into()]).await
}

/// [`by_id`], locked until the transaction ends.
pub async fn lock<C: ConnectionTrait>(db: &C, id: UserId) -> Result<Option<user::Model>, AppError> {
    existing_users().filter(user::Column::Id.eq(id)).lock_exclusive().one(db).await.map_err(app_error)
}

/// Finds a user whom `by` may see: the user themselves, or a member of a common workspace. A guest
/// sees only users with whom they share a conversation.
pub async fn find<C: ConnectionTrait>(db: &C, by: UserId, id: UserId) -> Result<Option<user::Model>, AppError> {
    existing_users().filter(user::Column::Id.eq(id)).filter(visible_to(by)).one(db).await.map_err(app_error)
}

/// Returns those of these users whom `by` may see, by the rule of [`find`].
pub async fn visible_among<C: ConnectionTrait>(db: &C, by: UserId, ids: &[UserId]) -> Result<Vec<UserId>, AppError> {
    let asked = super::rows::padded_to_power_of_two(ids);
    let query = existing_users().filter(user::Column::Id.is_in(asked)).filter(visible_to(by));
    query.select_only().column(user::Column::Id).into_tuple().all(db).await.map_err(app_error)
}

/// Condition that `by` may see the user of a row. It reads the memberships of that user rather than
/// all members of the workspaces of `by`.
fn visible_to(by: UserId) -> Condition {
    let is_theirs = |column: Expr| column.equals((user::Entity, user::Column::Id));
    let in_workspace = workspaces_of(by, RoleVisibility::Everybody);
    let colleague = Query::select()
        .expr(Expr::val(1))
        .from(workspace_member::Entity)
        .and_where(is_theirs(Expr::col((workspace_member::Entity, workspace_member::Column::UserId))))
        .and_where(workspace_member::Column::IsDeleted.eq(false))
        .and_where(workspace_member::Column::WorkspaceId.in_subquery(in_workspace))
        .to_owned();
    let fellow = Query::select()
        .expr(Expr::val(1))
        .from(conversation_member::Entity)
        .and_where(is_theirs(Expr::col((conversation_member::Entity, conversation_member::Column::UserId))))
        .and_where(conversation_member::Column::IsDeleted.eq(false))
        .and_where(conversation_member::Column::ConversationId.in_subquery(conversations_of(by, None)))
        .to_owned();
    Condition::any().add(user::Column::Id.eq(by)).add(Expr::exists(colleague)).add(Expr::exists(fellow))
}

/// Lists the members of a workspace whom `by` may see, by name. Only those whose name contains
/// `text` or whose email address equals it.
pub async fn search<C: ConnectionTrait>(
    db: &C,
    by: UserId,
    workspace_id: WorkspaceId,
    text: &str,
    page: PageRequest,
) -> Result<(Vec<user::Model>, u64), AppError> {
    let members = members_of(Condition::all().add(workspace_member::Column::WorkspaceId.eq(workspace_id)));
    let query = existing_users()
        .filter(user::Column::Id.in_subquery(members))
        .filter(visible_in(workspace_id, by))
        .filter(matches_text(text))
        .order_by_asc(user::Column::SearchName)
        .order_by_asc(user::Column::Id);
    super::page::select(db, query, page).await
}

/// Condition that the name contains `text` or the email address equals it. Matches everyone if
/// `text` is blank.
pub(super) fn matches_text(text: &str) -> Condition {
    let text = text.trim().to_lowercase();
    if text.is_empty() {
        return Condition::all();
    }
    let pattern = super::like_containing(&::search::fold_name(&text));
    let name = Expr::col((user::Entity, user::Column::SearchName)).like(LikeExpr::new(pattern).escape('\\'));
    Condition::any().add(name).add(user::Column::Email.eq(text))
}

/// Condition that `by` may see the user in a workspace. Members see all members; guests see only
/// users with whom they share one of its conversations.
pub(super) fn visible_in(workspace_id: WorkspaceId, by: UserId) -> Condition {
    let in_it = |seeing| Expr::val(workspace_id).in_subquery(workspaces_of(by, seeing));
    let as_guest = Condition::any()
        .add(user::Column::Id.eq(by))
        .add(user::Column::Id.in_subquery(conversation_partners_of(by, workspace_id)));
    Condition::any()
        .add(in_it(RoleVisibility::Everybody))
        .add(Condition::all().add(in_it(RoleVisibility::ConversationPartners)).add(as_guest))
}

/// Changes the display name.
pub async fn rename<C: ConnectionTrait>(db: &C, id: UserId, display_name: &str, at: Timestamp) -> Result<(), AppError> {
    let row = user::ActiveModel {
        display_name: Set(display_name.to_owned()),
        search_name: Set(::search::fold_name(display_name)),
        updated_at: Set(at),
        ..Default::default()
    };
    update(db, id, row).await?;
    // Also updates the name in the memberships, because members are ordered by it.
    conversation_member::Entity::update_many()
        .set(conversation_member::ActiveModel {
            search_name: Set(::search::fold_name(display_name)),
            ..Default::default()
        })
        .filter(conversation_member::Column::UserId.eq(id))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

/// Sets the language in which the user is emailed.
pub async fn set_language<C: ConnectionTrait>(
    db: &C,
    id: UserId,
    language: Language,
    at: Timestamp,
) -> Result<(), AppError> {
    let row =
        user::ActiveModel { language: Set(language.as_str().to_owned()), updated_at: Set(at), ..Default::default() };
    update(db, id, row).await
}

/// Sets the time zone, and whether it is shown to others; `None` leaves a value unchanged.
pub async fn set_timezone<C: ConnectionTrait>(
    db: &C,
    id: UserId,
    timezone: Option<Option<String>>,
    is_shown: Option<bool>,
    at: Timestamp,
) -> Result<(), AppError> {
    let row = user::ActiveModel {
        timezone: timezone.map_or(NotSet, Set),
        show_timezone: is_shown.map_or(NotSet, Set),
        updated_at: Set(at),
        ..Default::default()
    };
    update(db, id, row).await
}

/// Sets the job title and the pronouns; `None` leaves a value unchanged.
pub async fn set_profile_fields<C: ConnectionTrait>(
    db: &C,
    id: UserId,
    title: Option<Option<String>>,
    pronouns: Option<Option<String>>,
    at: Timestamp,
) -> Result<(), AppError> {
    let row = user::ActiveModel {
        title: title.map_or(NotSet, Set),
        pronouns: pronouns.map_or(NotSet, Set),
        updated_at: Set(at),
        ..Default::default()
    };
    update(db, id, row).await
}

/// Sets the presence chosen by the user.
pub async fn set_chosen_presence<C: ConnectionTrait>(
    db: &C,
    id: UserId,
    chosen: ChosenPresence,
    at: Timestamp,
) -> Result<(), AppError> {
    let kept = Some(chosen).filter(|chosen| *chosen != ChosenPresence::Online);
    let row = user::ActiveModel { chosen_presence: Set(kept), updated_at: Set(at), ..Default::default() };
    update(db, id, row).await
}

pub async fn set_password<C: ConnectionTrait>(db: &C, id: UserId, hash: &str, at: Timestamp) -> Result<(), AppError> {
    let row =
        user::ActiveModel { password_hash: Set(Some(hash.to_owned())), updated_at: Set(at), ..Default::default() };
    update(db, id, row).await
}

/// Removes the password; the account needs another sign-in method.
pub async fn remove_password<C: ConnectionTrait>(db: &C, id: UserId, at: Timestamp) -> Result<(), AppError> {
    let row = user::ActiveModel { password_hash: Set(None), updated_at: Set(at), ..Default::default() };
    update(db, id, row).await
}

/// Marks the email address as verified; returns `false` if it was already verified.
pub async fn verify<C: ConnectionTrait>(db: &C, id: UserId, at: Timestamp) -> Result<bool, AppError> {
    let row = user::ActiveModel { email_verified_at: Set(Some(at)), updated_at: Set(at), ..Default::default() };
    let done = user::Entity::update_many()
        .set(row)
        .filter(user::Column::Id.eq(id))
        .filter(user::Column::EmailVerifiedAt.is_null())
        .filter(user::Column::IsDeleted.eq(false))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(done.rows_affected > 0)
}

/// Sets an email address that has been verified. Fails with `email_taken` if another account has it.
pub async fn set_email<C: ConnectionTrait>(db: &C, id: UserId, email: &str, at: Timestamp) -> Result<(), AppError> {
    let row = user::ActiveModel {
        email: Set(email.to_owned()),
        email_verified_at: Set(Some(at)),
        updated_at: Set(at),
        ..Default::default()
    };
    let changed = user::Entity::update_many().set(row).filter(user::Column::Id.eq(id)).exec(db).await;
    changed.map_err(|error| if unique_violation(&error) { Code::EmailTaken.into() } else { app_error(error) })?;
    Ok(())
}

/// Sets whether a sign-in requires a code of an authenticator app.
pub async fn set_second_factor<C: ConnectionTrait>(
    db: &C,
    id: UserId,
    on: bool,
    at: Timestamp,
) -> Result<(), AppError> {
    update(db, id, user::ActiveModel { second_factor: Set(on), updated_at: Set(at), ..Default::default() }).await
}

pub(super) async fn update<C: ConnectionTrait>(db: &C, id: UserId, row: user::ActiveModel) -> Result<(), AppError> {
    user::Entity::update_many().set(row).filter(user::Column::Id.eq(id)).exec(db).await.map_err(app_error)?;
    Ok(())
}

fn existing_users() -> sea_orm::Select<user::Entity> {
    user::Entity::find().filter(user::Column::IsDeleted.into_expr().eq(literal(false)))
}

/// Set of users whom a member of a workspace sees, depending on the member's role.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum RoleVisibility {
    Everybody,
    /// Members of common conversations only; applies to guests.
    ConversationPartners,
}

/// Subquery of the ids of the workspaces in which the user's role gives this visibility.
fn workspaces_of(user_id: UserId, seeing: RoleVisibility) -> SelectStatement {
    let is_guest = workspace_member::Column::Role.eq(WorkspaceRole::Guest.as_str());
    Query::select()
        .column(workspace_member::Column::WorkspaceId)
        .from(workspace_member::Entity)
        .and_where(workspace_member::Column::UserId.eq(user_id))
        .and_where(workspace_member::Column::IsDeleted.eq(false))
        .and_where(if seeing == RoleVisibility::ConversationPartners { is_guest } else { is_guest.not() })
        .to_owned()
}

/// Subquery of the ids of the user's conversations, in one workspace or in all.
fn conversations_of(user_id: UserId, workspace_id: Option<WorkspaceId>) -> SelectStatement {
    let mut own = Query::select();
    own.column((conversation_member::Entity, conversation_member::Column::ConversationId))
        .from(conversation_member::Entity)
        .inner_join(
            conversation::Entity,
            Expr::col((conversation::Entity, conversation::Column::Id))
                .equals((conversation_member::Entity, conversation_member::Column::ConversationId)),
        )
        .and_where(conversation_member::Column::UserId.eq(user_id))
        .and_where(conversation_member::Column::IsDeleted.eq(false))
        .and_where(conversation::Column::IsDeleted.eq(false));
    if let Some(workspace_id) = workspace_id {
        own.and_where(conversation::Column::WorkspaceId.eq(workspace_id));
    }
    own
}

/// Subquery of the ids of the users who share a conversation of this workspace with the user.
fn conversation_partners_of(user_id: UserId, workspace_id: WorkspaceId) -> SelectStatement {
    Query::select()
        .column(conversation_member::Column::UserId)
        .from(conversation_member::Entity)
        .and_where(
            conversation_member::Column::ConversationId.in_subquery(conversations_of(user_id, Some(workspace_id))),
        )
        .and_where(conversation_member::Column::IsDeleted.eq(false))
        .to_owned()
}

fn members_of(which: Condition) -> SelectStatement {
    Query::select()
        .column(workspace_member::Column::UserId)
        .from(workspace_member::Entity)
        .cond_where(which)
        .and_where(workspace_member::Column::IsDeleted.eq(false))
        .to_owned()
}

/// Presence and status that a user has set.
pub struct PresenceSettings {
    pub id: UserId,
    /// Custom status.
    pub custom_status: Option<CustomStatus>,
    /// Presence that the user has chosen by hand, shown while the user is online; `None` if
    /// presence is automatic.
    pub chosen: Option<PresenceStatus>,
}

/// Returns the presences and statuses that these users have set. Users who have set neither may be
/// left out.
pub async fn presence_settings<C: ConnectionTrait>(
    db: &C,
    people: &[UserId],
    now: Timestamp,
) -> Result<Vec<PresenceSettings>, AppError> {
    #[derive(FromQueryResult)]
    struct ChosenStatus {
        id: UserId,
        status_emoji: Option<String>,
        status_text: Option<String>,
        status_until: Option<Timestamp>,
        chosen_presence: Option<PresenceStatus>,
    }
    let backend = db.get_database_backend();
    let asked = Rows::ids(backend, people.iter().map(|id| id.0));
    let sql = format!(
        "SELECT u.id, u.status_emoji, u.status_text, u.status_until, u.chosen_presence \
         FROM {} JOIN users u ON u.id = w.id \
         WHERE u.status_emoji IS NOT NULL OR u.status_text IS NOT NULL OR u.chosen_presence IS NOT NULL",
        asked.table()
    );
    let found = raw::find::<_, ChosenStatus>(db, sql, [asked.parameter()?.into()]).await?;
    let settings = |row: ChosenStatus| {
        let is_said = (row.status_emoji.is_some() || row.status_text.is_some())
            && row.status_until.is_none_or(|until| until > now);
        let status = CustomStatus { emoji: row.status_emoji, text: row.status_text, until: row.status_until };
        PresenceSettings { id: row.id, custom_status: is_said.then_some(status), chosen: row.chosen_presence }
    };
    Ok(found.into_iter().map(settings).collect())
}

/// Sets or clears the custom status.
pub async fn set_custom_status<C: ConnectionTrait>(
    db: &C,
    id: UserId,
    status: Option<&CustomStatus>,
) -> Result<(), AppError> {
    let row = user::ActiveModel {
        status_emoji: Set(status.and_then(|status| status.emoji.clone())),
        status_text: Set(status.and_then(|status| status.text.clone())),
        status_until: Set(status.and_then(|status| status.until)),
        ..Default::default()
    };
    update(db, id, row).await
}
