//! Tests of mail composition.

use appcore::{GeoLocation, Language, Timestamp, auth::Email, view::StoppedTopUp};
use uuid::Uuid;

use super::{MailContent, compose};

const LINK: &str = "https://chat.example.org/verify-email?token=abc-_123";

fn letters() -> Vec<MailContent> {
    let at = Timestamp(1_800_000_000_000);
    vec![
        MailContent::Verification,
        MailContent::PasswordReset,
        MailContent::Welcome,
        MailContent::Test,
        invitation("Team", "Anna"),
        MailContent::Claim { provider: "google".to_owned(), pending: Uuid::nil() },
        MailContent::NewDevice {
            user_agent: Some("Firefox".to_owned()),
            address: Some("192.0.2.1".to_owned()),
            place: GeoLocation::from_stored(Some("DE"), Some("Berlin".to_owned())),
            at,
        },
        MailContent::NewDevice { user_agent: None, address: None, place: None, at },
        MailContent::PasswordChanged { at },
        MailContent::EmailChangeNew { pending: Uuid::nil() },
        MailContent::EmailChangeCurrent { pending: Uuid::nil(), new_address: new_address() },
        MailContent::EmailChanged { at, new_address: new_address() },
        MailContent::Suspended { at },
        MailContent::Restored,
        MailContent::SecondFactorRemoved { at },
        MailContent::SignUpAttempt,
        MailContent::Paid { plan: text("Team"), amount: text("24.00 USD"), number: text("2026-0001"), page: page() },
        MailContent::Refunded { amount: text("24.00 USD"), number: text("2026-0002"), page: page() },
        MailContent::ChargeFailed {
            plan: text("Team"),
            amount: text("1 VND"),
            again_at: Some(at),
            until: at,
            page: page(),
        },
        MailContent::ChargeFailed {
            plan: text("Team"),
            amount: text("1 VND"),
            again_at: None,
            until: at,
            page: page(),
        },
        MailContent::PlanUnpaid { plan: text("Team"), until: at, page: page() },
        MailContent::PlanEnded { plan: text("Team"), page: page() },
        MailContent::PlanExpiring { plan: text("Team"), amount: text("1 VND"), at, page: page() },
        MailContent::PlanRenewing { plan: text("Team"), amount: text("1 VND"), at, page: page() },
        MailContent::TrialEnding { plan: text("Team"), at, page: page() },
        MailContent::CreditsLow { workspace: None, credits: text("1,234.5"), page: page() },
        MailContent::CreditsLow { workspace: Some(text("Team")), credits: text("0"), page: page() },
        MailContent::TopUpStopped { why: StoppedTopUp::Declined, page: page() },
        MailContent::TopUpStopped { why: StoppedTopUp::MonthlyLimit, page: page() },
        MailContent::Announcement { title: text("Maintenance"), body: text("Tonight\n\nat **ten**"), page: page() },
    ]
}

fn text(text: &str) -> String {
    text.to_owned()
}

fn new_address() -> Email {
    Email::parse("anna@example.net").unwrap()
}

fn page() -> String {
    text("plans/billing")
}

fn invitation(workspace: &str, inviter: &str) -> MailContent {
    MailContent::Invitation {
        invitation_id: Uuid::nil(),
        workspace: workspace.to_owned(),
        inviter: inviter.to_owned(),
        expires_at: Timestamp(1_800_000_000_000),
    }
}

#[test]
fn every_mail_is_composed_in_every_language_with_its_link_once() {
    for language in Language::ALL {
        for letter in letters() {
            let has_link = letter.page().is_some() || letter.link(Some(appcore::UserId::new()), Timestamp(0)).is_some();
            let link = has_link.then(|| LINK.to_owned());
            let written = compose::compose_mail(&letter, language, "chat.example.org", link).unwrap();
            for part in [&written.text, &written.html] {
                assert_eq!(part.matches(LINK).count(), usize::from(has_link), "{letter:?} {language:?}: {part}");
                assert!(!part.contains("{{") && !part.contains("{%"), "{part}");
                assert!(part.contains("chat.example.org"), "{part}");
            }
            assert!(!written.subject.is_empty() && !written.subject.contains('{'), "{}", written.subject);
            assert!(written.html.contains(&format!("<html lang=\"{}\">", language.as_str())));
        }
    }
}

#[test]
fn no_text_is_left_in_another_language() {
    /// Line of the announcement in `letters`, which is the same in all languages.
    const CONTENT: &str = "at **ten**";
    for letter in letters() {
        let mails = Language::ALL.map(|language| {
            compose::compose_mail(&letter, language, "chat.example.org", Some(LINK.to_owned())).unwrap()
        });
        for (index, mail) in mails.iter().enumerate() {
            for other in &mails[..index] {
                assert_ne!(mail.subject, other.subject, "{letter:?} in {:?} and {:?}", mail.language, other.language);
                for line in mail.text.lines().filter(|line| line.contains(' ') && *line != CONTENT) {
                    let is_shared = other.text.lines().any(|text| text == line);
                    assert!(!is_shared, "{:?} and {:?}: {line}", mail.language, other.language);
                }
            }
        }
    }
}

#[test]
fn uses_singular_for_one_credit() {
    for (language, credits, said) in [
        (Language::En, "1", "1 credit left"),
        (Language::En, "0.5", "0.5 credits left"),
        (Language::De, "1", "noch 1 Credit."),
        (Language::De, "1,000", "noch 1,000 Credits"),
    ] {
        for workspace in [None, Some(text("Team"))] {
            let letter = MailContent::CreditsLow { workspace, credits: text(credits), page: page() };
            let written = compose::compose_mail(&letter, language, "chat.example.org", Some(LINK.to_owned())).unwrap();
            assert!(written.text.contains(said), "{}", written.text);
        }
    }
}

#[test]
fn values_become_neither_markup_nor_headers() {
    let letter = invitation("<img src=x onerror=alert(1)>", "Eve {{ 7 * 7 }}");
    let write =
        |letter| compose::compose_mail(letter, Language::En, "chat.example.org", Some(LINK.to_owned())).unwrap();
    let written = write(&letter);
    assert!(!written.html.contains("<img") && written.html.contains("&lt;img"), "{}", written.html);
    assert!(!written.subject.contains(['\r', '\n']), "{}", written.subject);
    assert!(written.text.contains("<img src=x onerror=alert(1)>"), "{}", written.text);
    assert!(written.text.contains("{{ 7 * 7 }}"), "values aren't templates");
    // Names that violate today's rules for names are left out.
    let written = write(&invitation("pay at https://evil.example", "Eve\r\nBcc: all@example.org"));
    for part in [&written.subject, &written.text, &written.html] {
        assert!(!part.contains("evil") && !part.contains("Bcc"), "{part}");
    }
}
