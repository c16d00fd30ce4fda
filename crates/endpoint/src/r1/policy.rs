//! What a form has to know before anybody is signed in.

use appcore::{
    AppError,
    config::{Config, SignUp},
};
use natter_macro::{dto, endpoint};

use crate::{Access, Ctx, Endpoint, EndpointDef, NoInput, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[EndpointDef::of::<ShowPolicy>()];

/// Who may create an account, and what a password has to be.
#[dto(response)]
pub struct EntryPolicy {
    /// Who may create an account.
    pub signup: SignUp,
    pub password: PasswordPolicy,
    pub messages: MessagePolicy,
}

/// How long messages may be, in characters.
#[dto(response)]
pub struct MessagePolicy {
    /// To people.
    pub max_chars: usize,
    /// In an `assistant` conversation.
    pub max_prompt_chars: usize,
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

impl From<&Config> for EntryPolicy {
    fn from(config: &Config) -> Self {
        let (auth, messages) = (&config.auth, &config.messages);
        let password = &auth.password;
        Self {
            signup: auth.signup,
            password: PasswordPolicy {
                min_length: password.min_length,
                upper: password.upper,
                lower: password.lower,
                digit: password.digit,
                common: password.common,
            },
            messages: MessagePolicy { max_chars: messages.max_chars, max_prompt_chars: messages.max_prompt_chars },
        }
    }
}

/// Read who may create an account
///
/// And what a password and a message have to be, so that a form can say so while it is typed.
#[endpoint(GET "/r1/auth/policy", tag = "auth", access = Access::Public, rate = RateGroup::Auth)]
impl Endpoint for ShowPolicy {
    type Request = NoInput;
    type Response = EntryPolicy;

    async fn handle(ctx: &Ctx, _: NoInput) -> Result<Reply<EntryPolicy>, AppError> {
        Ok(Reply::of(EntryPolicy::from(&*ctx.app().config)))
    }
}
