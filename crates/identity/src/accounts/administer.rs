//! Account operations of the operator's command line. They work while instances are running.

use std::time::Duration;

use appcore::{
    AppError, Clock, Code, SessionId, UserId,
    auth::{Email, Password, Principal},
    config::Config,
    view::{User, UserRole},
};
use dbcontext::{
    Database,
    constraint::app_error,
    query::{sessions as rows, signing_keys, users},
};
use platform::audit::{self, Action, NewAuditEntry};

use super::{
    email_change, keys, password_hash, session_tokens,
    signup::{self, Newcomer, SignUp},
};

/// Validity of an operator's token. No command takes longer.
const OPERATOR_TOKEN_TTL: Duration = Duration::from_secs(600);

/// Signs a token with which a command may call the endpoints of administrators. Returns `None` if
/// the installation has no signing key yet, because no server was started.
pub async fn operator_token(db: &Database, config: &Config, clock: &Clock) -> anyhow::Result<Option<String>> {
    let rows = signing_keys::all(db.writer()).await?;
    if rows.is_empty() && config.auth.private_key_file.is_none() {
        return Ok(None);
    }
    let now = clock.now();
    let ring = keys::ring(db, config, now, &rows).await?;
    let expires_at = now.plus(OPERATOR_TOKEN_TTL);
    ring.sign(Principal::OPERATOR, SessionId(Principal::OPERATOR.0), UserRole::Admin, now, expires_at).map(Some)
}

/// Creates an administrator account.
pub async fn create_admin(db: &Database, config: &Config, clock: &Clock, request: SignUp) -> Result<User, AppError> {
    let policy = &config.auth.password;
    let newcomer = Newcomer::parse(policy, &request.email, &request.password, &request.display_name)?;
    let hash = password_hash::hash(newcomer.password.expose()).map_err(AppError::internal)?;
    let tx = db.begin().await.map_err(app_error)?;
    // The operator vouches for the email address, so it counts as verified.
    let new = users::NewUser {
        id: UserId::new(),
        email: newcomer.email.as_str().to_owned(),
        display_name: newcomer.display_name,
        password_hash: Some(hash),
        role: UserRole::Admin,
        verified_at: Some(clock.now()),
        language: request.language,
        at: clock.now(),
    };
    let user = signup::create(&tx, config, new).await?;
    audit::record(&tx, operator_entry(Action::SignUp, user.id)).await?;
    tx.commit().await.map_err(app_error)?;
    Ok(session_tokens::own_view(&user))
}

/// Resets an account's password and ends all its sessions; running instances notice within five seconds.
pub async fn reset_password(
    db: &Database,
    config: &Config,
    clock: &Clock,
    email: &str,
    password: &str,
) -> Result<User, AppError> {
    let email = Email::parse(email).map_err(|error| AppError::Invalid(vec![error]))?;
    let password = Password::parse(&config.auth.password, "password", password, Some(&email));
    let password = password.map_err(AppError::Invalid)?;
    let hash = password_hash::hash(password.expose()).map_err(AppError::internal)?;
    let now = clock.now();
    let tx = db.begin().await.map_err(app_error)?;
    let user = users::by_email(&tx, email.as_str()).await?;
    let user = user.ok_or_else(|| AppError::refused(Code::NotFound, "No account found with this email."))?;
    users::set_password(&tx, user.id, &hash, now).await?;
    email_change::cancel_all(&tx, user.id).await?;
    rows::end_all(&tx, user.id, None, now).await?;
    audit::record(&tx, operator_entry(Action::PasswordReset, user.id)).await?;
    tx.commit().await.map_err(app_error)?;
    Ok(session_tokens::own_view(&user))
}

/// Audit entry for an action on the command line. The operator there has no account, so the actor
/// is empty.
fn operator_entry(action: Action, account: UserId) -> NewAuditEntry {
    NewAuditEntry { action, actor: None, target: Some(account.to_string()), address: None }
}
