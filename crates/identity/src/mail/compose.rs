//! Composition of mails: subject, text and HTML, in the reader's language.
//!
//! Sentences and page layouts are templates. In HTML, every value is escaped except the link, which
//! this installation has created itself. Subjects contain no text chosen by users; names in the
//! text are quoted.

use std::sync::LazyLock;

use appcore::{AppError, Language, Timestamp, text_field};
use minijinja::{Environment, Value, context};

use super::{
    MailContent,
    texts::{self, Text},
};

/// Maximum length of a quoted name of a user or workspace, in characters.
const MAX_QUOTED_CHARS: usize = 80;

/// Composed mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ComposedMail {
    pub subject: String,
    pub text: String,
    pub html: String,
    pub language: Language,
    /// URL for one-click unsubscription (RFC 8058).
    pub unsubscribe: Option<String>,
}

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_loader(|name| {
        Ok(match name {
            "letter.html" => Some(include_str!("templates/letter.html").to_owned()),
            "letter.txt" => Some(include_str!("templates/letter.txt").to_owned()),
            _ => None,
        })
    });
    environment
});

/// Composes the mail `letter` in `language`; `host` is the public name of this installation.
pub(super) fn compose_mail(
    letter: &MailContent,
    language: Language,
    host: &str,
    link: Option<String>,
) -> Result<ComposedMail, AppError> {
    compose(letter, language, host, link).map_err(AppError::internal)
}

fn compose(
    letter: &MailContent,
    language: Language,
    host: &str,
    link: Option<String>,
) -> Result<ComposedMail, minijinja::Error> {
    let texts = texts::of(language);
    let text = texts.of_letter(letter);
    let values = values(letter, host);
    let subject = ENVIRONMENT.render_named_str("subject.txt", text.subject, &values)?;
    // A line break in a header would start another header, so control characters are removed.
    let subject: String = subject.chars().filter(|character| !character.is_control()).collect();
    let page = |kind: &str| {
        let sentences = |sources: &[&str]| {
            let name = format!("sentence.{kind}");
            sources
                .iter()
                .map(|source| ENVIRONMENT.render_named_str(&name, source, &values))
                .collect::<Result<Vec<_>, _>>()
        };
        let Text { before, action, after, .. } = *text;
        ENVIRONMENT.get_template(&format!("letter.{kind}"))?.render(context! {
            language => language.as_str(),
            subject => subject.as_str(),
            host,
            link => link.clone(),
            action,
            before => sentences(before)?,
            after => sentences(after)?,
            footer => sentences(&[texts.footer])?,
        })
    };
    Ok(ComposedMail { text: page("txt")?, html: page("html")?, subject, language, unsubscribe: None })
}

/// Template values of a mail.
fn values(letter: &MailContent, host: &str) -> Value {
    match letter {
        MailContent::Verification
        | MailContent::PasswordReset
        | MailContent::Welcome
        | MailContent::Test
        | MailContent::SignUpAttempt
        | MailContent::EmailChangeNew { .. }
        | MailContent::Restored => context! { host },
        MailContent::EmailChangeCurrent { new_address, .. } => {
            context! { host, new_address => new_address.as_str() }
        }
        MailContent::EmailChanged { at, new_address } => {
            context! { host, new_address => new_address.as_str(), time => time(*at) }
        }
        MailContent::Invitation { workspace, inviter, expires_at, .. } => {
            context! { host, workspace => quotable(workspace), inviter => quotable(inviter), time => time(*expires_at) }
        }
        MailContent::Claim { provider, .. } => context! { host, provider },
        MailContent::NewDevice { user_agent, address, place, at } => {
            let place = place.as_ref().map(ToString::to_string);
            context! { host, user_agent, address, place, time => time(*at) }
        }
        MailContent::PasswordChanged { at }
        | MailContent::Suspended { at }
        | MailContent::SecondFactorRemoved { at } => {
            context! { host, time => time(*at) }
        }
        MailContent::Paid { plan, amount, number, .. } => context! { host, plan => quotable(plan), amount, number },
        MailContent::Refunded { amount, number, .. } => context! { host, amount, number },
        MailContent::ChargeFailed { plan, amount, again_at, until, .. } => {
            let again = again_at.map(time);
            context! { host, plan => quotable(plan), amount, again, time => time(*until) }
        }
        MailContent::PlanUnpaid { plan, until, .. } => context! { host, plan => quotable(plan), time => time(*until) },
        MailContent::PlanEnded { plan, .. } => context! { host, plan => quotable(plan) },
        MailContent::PlanExpiring { plan, amount, at, .. } | MailContent::PlanRenewing { plan, amount, at, .. } => {
            context! { host, plan => quotable(plan), amount, time => time(*at) }
        }
        MailContent::CreditsLow { workspace, credits, .. } => {
            context! { host, workspace => workspace.as_deref().and_then(quotable), credits }
        }
        MailContent::TopUpStopped { why, .. } => context! { host, why => why.as_str() },
        MailContent::Missed { count, lines, .. } => context! { host, count, lines },
        MailContent::Announcement { title, body, .. } => context! { host, title, body },
        MailContent::TrialEnding { plan, at, .. } => context! { host, plan => quotable(plan), time => time(*at) },
    }
}

/// Returns a name chosen by a user if it is safe to quote in a mail to strangers. Returns `None` if
/// mail programs would turn it into a link, or if it violates today's rules for names, as an old
/// one may.
fn quotable(name: &str) -> Option<&str> {
    let is_line = text_field::parse_line("name", name, MAX_QUOTED_CHARS).is_ok();
    (is_line && !text_field::is_auto_linked(name)).then_some(name)
}

/// Formats a time as `2026-11-20 15:04 UTC`.
fn time(at: Timestamp) -> String {
    let text = at.to_string();
    format!("{} {} UTC", text.get(..10).unwrap_or_default(), text.get(11..16).unwrap_or_default())
}
