//! Sign-up.

use appcore::{
    AppError, Code, FieldError, Language, RequestSource, UserId,
    auth::{Email, Password, password::Policy},
    config::{self, Config},
    text_field,
    view::UserRole,
};
use dbcontext::{constraint::app_error, entity::user, query::users};
use platform::audit::{self, Action, NewAuditEntry};
use sea_orm::ConnectionTrait;

use super::{
    Device, TokenPair,
    hashing::{Priority, QueuedCaller},
    known_devices, session_tokens,
};
use crate::IdentityService;
use crate::{
    mail::{self, MailContent, Recipient},
    membership::{self, invitation},
};

/// Fields of the sign-up form.
pub struct SignUp {
    pub email: String,
    pub password: String,
    pub display_name: String,
    /// Token of an invitation to a workspace.
    pub invitation: Option<String>,
    /// Setup token. Required only for the first account.
    pub setup_token: Option<String>,
    /// Language of mails.
    pub language: Language,
}

/// Validated data of a new user.
pub(super) struct Newcomer {
    pub(super) email: Email,
    pub(super) password: Password,
    pub(super) display_name: String,
}

const MAX_NAME_CHARS: usize = 80;

/// Creates an account with a personal workspace, adds it to the shared workspace, and signs it in.
/// In embedded mode the first account is an administrator's.
pub async fn signup(service: &IdentityService, request: SignUp, device: Device) -> Result<TokenPair, AppError> {
    match service.config.auth.signup {
        config::SignUpPolicy::Open => {}
        config::SignUpPolicy::Invite if request.invitation.is_some() => {}
        config::SignUpPolicy::Invite | config::SignUpPolicy::Closed => return Err(Code::SignupClosed.into()),
    }
    let policy = &service.config.auth.password;
    let newcomer = Newcomer::parse(policy, &request.email, &request.password, &request.display_name)?;
    let hash = service
        .accounts
        .hashing
        .hash(QueuedCaller::new(Priority::New, &device), newcomer.password.expose().to_owned())
        .await?;
    let now = service.clock.now();
    let tx = service.db.begin().await.map_err(app_error)?;
    let invitation = match &request.invitation {
        Some(token) => Some(invitation::validate(&tx, token, &newcomer.email, now).await?),
        None => None,
    };
    let new = users::NewUser {
        id: UserId::new(),
        email: newcomer.email.as_str().to_owned(),
        display_name: newcomer.display_name,
        password_hash: Some(hash),
        role: role_of_newcomer(&tx, service, (request.setup_token.as_deref(), device.source())).await?,
        // If the invitation's token was mailed to the address, it verifies the address.
        verified_at: invitation.as_ref().filter(|invitation| invitation.proves_address()).map(|_| now),
        language: request.language,
        at: now,
    };
    let user = match create(&tx, &service.config, new).await {
        Err(AppError::Refused { code: Code::EmailTaken, message, retry_after }) => {
            tx.rollback().await.map_err(app_error)?;
            // The address belongs to an existing account, so its owner is informed of the attempt.
            mail::enqueue(service.db.writer(), now, Recipient::Account(newcomer.email), MailContent::SignUpAttempt)
                .await?;
            service.wake_workers();
            return Err(AppError::Refused { code: Code::EmailTaken, message, retry_after });
        }
        created => created?,
    };
    if let Some(invitation) = invitation {
        invitation.accept_at_sign_up(&tx, user.id, device.ip(), now).await?;
    }
    let pair = session_tokens::open_session(&tx, service, &user, &device).await?;
    known_devices::record_sign_in(&tx, service, &user, &device).await?;
    let entry = NewAuditEntry { action: Action::SignUp, actor: Some(user.id), target: None, address: device.ip() };
    audit::record(&tx, entry).await?;
    mail::enqueue(&tx, now, Recipient::User(user.id), MailContent::Verification).await?;
    tx.commit().await.map_err(app_error)?;
    service.accounts.setup.complete();
    service.wake_workers();
    Ok(pair)
}

impl Newcomer {
    /// Validates all fields, so that the form can show all errors at once.
    pub(super) fn parse(policy: &Policy, email: &str, password: &str, display_name: &str) -> Result<Self, AppError> {
        let email = Email::parse(email);
        let password = Password::parse(policy, "password", password, email.as_ref().ok());
        let display_name = parse_name(display_name);
        match (email, password, display_name) {
            (Ok(email), Ok(password), Ok(display_name)) => Ok(Self { email, password, display_name }),
            (email, password, display_name) => {
                let mut wrong: Vec<FieldError> = email.err().into_iter().collect();
                wrong.extend(password.err().into_iter().flatten());
                wrong.extend(display_name.err().iter().flat_map(AppError::fields).cloned());
                Err(AppError::Invalid(wrong))
            }
        }
    }
}

/// Role of a new account. In embedded mode the first account is an administrator's. Its creation
/// requires the setup token, if there is one.
pub(super) async fn role_of_newcomer<C: ConnectionTrait>(
    db: &C,
    service: &IdentityService,
    (setup_token, source): (Option<&str>, RequestSource),
) -> Result<UserRole, AppError> {
    if !service.config.is_embedded() || !users::is_empty(db).await? {
        return Ok(UserRole::User);
    }
    service.accounts.setup.check(setup_token, source)?;
    Ok(UserRole::Admin)
}

/// Validates a display name.
pub(super) fn parse_name(text: &str) -> Result<String, AppError> {
    text_field::parse_name("display_name", text, MAX_NAME_CHARS)
}

/// Inserts an account and its workspace memberships, in the caller's transaction.
pub(super) async fn create<C: ConnectionTrait>(
    db: &C,
    config: &Config,
    new: users::NewUser,
) -> Result<user::Model, AppError> {
    let (role, at) = (new.role, new.at);
    let user = users::insert(db, new).await?;
    membership::add_new_account(db, config, user.id, role, at).await?;
    Ok(user)
}
