//! Public policies that clients need for forms before sign-in.

use appcore::{
    AppError,
    config::{Config, SignUpPolicy},
};
use natter_macro::{dto, endpoint};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{Access, Ctx, Endpoint, EndpointDef, NoInput, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[EndpointDef::of::<ShowPolicy>()];

/// Policies for sign-up, passwords, messages and uploads.
#[dto(response)]
pub struct EntryPolicy {
    /// Users who may create an account.
    pub signup: SignUpPolicy,
    /// True if the first account, an administrator's, needs the setup token from the server's log.
    pub setup_token: bool,
    pub password: PasswordPolicy,
    pub messages: MessagePolicy,
    pub uploads: UploadPolicy,
    /// True if dictation is available (`POST /r1/transcriptions`).
    pub transcriptions: bool,
    pub mail: MailDelivery,
}

/// Maximum length of messages, in characters.
#[dto(response)]
pub struct MessagePolicy {
    /// Maximum in conversations between users.
    pub max_chars: usize,
    /// Maximum in `assistant` conversations.
    pub max_prompt_chars: usize,
}

/// Restrictions on uploads.
#[dto(response)]
pub struct UploadPolicy {
    /// Maximum size of a file, in bytes.
    pub max_bytes: usize,
    /// Refused media types; `video/*` stands for all video types.
    pub refused_types: Vec<String>,
}

/// Delivery of e-mails.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MailDelivery {
    /// E-mails are sent through a mail server.
    Smtp,
    /// No mail server is configured. E-mails are written to files on the server and not delivered.
    Outbox,
}

/// Requirements for passwords. The e-mail address is never accepted.
#[dto(response)]
pub struct PasswordPolicy {
    pub min_length: usize,
    pub upper: bool,
    pub lower: bool,
    pub digit: bool,
    /// True if common passwords are refused.
    pub common: bool,
}

impl EntryPolicy {
    fn new(config: &Config, setup_token: bool) -> Self {
        let (password, messages) = (&config.auth.password, &config.messages);
        Self {
            signup: config.auth.signup,
            setup_token,
            mail: if config.mail.smtp_url.is_some() { MailDelivery::Smtp } else { MailDelivery::Outbox },
            password: PasswordPolicy {
                min_length: password.min_length,
                upper: password.upper,
                lower: password.lower,
                digit: password.digit,
                common: password.common,
            },
            uploads: UploadPolicy {
                max_bytes: config.uploads.max_bytes,
                refused_types: config.uploads.refused_types.clone(),
            },
            transcriptions: config.ai.transcription_model.is_some(),
            messages: MessagePolicy { max_chars: messages.max_chars, max_prompt_chars: messages.max_prompt_chars },
        }
    }
}

/// Show the public policies
///
/// For checks of the input while it is typed.
#[endpoint(GET "/r1/auth/policy", tag = "auth", access = Access::Public, rate = RateGroup::Read)]
impl Endpoint for ShowPolicy {
    type Request = NoInput;
    type Response = EntryPolicy;

    async fn handle(ctx: &Ctx, _: NoInput) -> Result<Reply<EntryPolicy>, AppError> {
        let app = ctx.app();
        let setup_token = app.identity.accounts.asks_for_setup_token(&app.db, ctx.source()).await?;
        Ok(Reply::of(EntryPolicy::new(&app.config, setup_token)))
    }
}
