//! What a form has to know before anybody is signed in.

use appcore::{
    AppError,
    config::{Config, SignUp},
};
use natter_macro::{dto, endpoint};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{Access, Ctx, Endpoint, EndpointDef, NoInput, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[EndpointDef::of::<ShowPolicy>()];

/// Who may create an account, and what a password has to be.
#[dto(response)]
pub struct EntryPolicy {
    /// Who may create an account.
    pub signup: SignUp,
    /// Whether there is no account yet, and the first one, an administrator's, is made with the setup token from the server's log.
    pub setup_token: bool,
    pub password: PasswordPolicy,
    pub messages: MessagePolicy,
    pub uploads: UploadPolicy,
    /// Whether what somebody says can be written down (`POST /r1/transcriptions`).
    pub transcriptions: bool,
    pub mail: MailDelivery,
}

/// How long messages may be, in characters.
#[dto(response)]
pub struct MessagePolicy {
    /// To people.
    pub max_chars: usize,
    /// In an `assistant` conversation.
    pub max_prompt_chars: usize,
}

/// Which files may be uploaded.
#[dto(response)]
pub struct UploadPolicy {
    /// Bytes of one file.
    pub max_bytes: usize,
    /// Types that nobody may upload; `video/*` stands for all of a family.
    pub refused_types: Vec<String>,
}

/// What becomes of mail.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MailDelivery {
    /// It is sent.
    Smtp,
    /// No mail server is set: it is written to files of the server, and reaches nobody.
    Outbox,
}

/// What a password has to be. It is not the address, whatever else is asked of it.
#[dto(response)]
pub struct PasswordPolicy {
    pub min_length: usize,
    pub upper: bool,
    pub lower: bool,
    pub digit: bool,
    /// Whether those are refused that attackers try first.
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

/// Read who may create an account
///
/// And what a password and a message have to be, so that a form can say so while it is typed, and whether mail is sent.
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
