//! Tests of sign-up, sign-in, account settings and devices.

use std::net::IpAddr;

use appcore::{Code, auth::CredentialId, page::PageRequest, view::UserRole};
use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version, password_hash::phc::PasswordHash};
use dbcontext::query::{passkeys as rows, users};
use identity::accounts::{self, Device, PasswordChange, ProfileChange, SignUp};

use crate::instances::{Instances as _, PASSWORD, email, newcomer, principal, sign_in, sign_up, stages, until};

const ALL: fn() -> PageRequest = || PageRequest::new(None, None);

fn change(current: &str, new: &str) -> ProfileChange {
    ProfileChange {
        password: Some(PasswordChange {
            current: current.to_owned(),
            new: new.to_owned(),
            field: "password",
            device: Device::default(),
        }),
        ..ProfileChange::default()
    }
}

#[tokio::test]
async fn first_account_in_embedded_mode_is_administrator() {
    for stage in stages().await {
        let app = stage.instance().await;
        let (first, second) = (sign_up(&app.identity, "Anna").await, sign_up(&app.identity, "Ben").await);
        let expected = if stage.is_sqlite() { UserRole::Admin } else { UserRole::User };
        assert_eq!((first.user.role, second.user.role), (expected, UserRole::User));
        let own = accounts::me(&app.identity, &principal(&app.identity, &first).await).await.unwrap();
        assert_eq!(own.email.as_deref(), Some("anna@example.com"));
    }
}

#[tokio::test]
async fn concurrent_sign_ups_create_one_account() {
    for stage in stages().await {
        let apps = [stage.instance().await, stage.instance().await];
        let tasks: Vec<_> = (0..6)
            .map(|at| {
                let app = apps[at % 2].clone();
                let email = if at % 3 == 0 { "anna@example.com" } else { " ANNA@Example.com" };
                let request = SignUp { email: email.to_owned(), ..newcomer("Anna") };
                tokio::spawn(async move { accounts::signup(&app.identity, request, Device::default()).await })
            })
            .collect();
        let mut created = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(_) => created += 1,
                Err(error) => assert_eq!(error.code(), Code::EmailTaken),
            }
        }
        assert_eq!(created, 1);
    }
}

#[tokio::test]
async fn reports_all_invalid_fields() {
    let stage = stages().await.remove(0);
    let app = stage.instance().await;
    let (email, password, display_name) = ("nobody".to_owned(), "short".to_owned(), "\u{7}".to_owned());
    let request = SignUp { email, password, display_name, ..newcomer("Anna") };
    let refused = accounts::signup(&app.identity, request, Device::default()).await.unwrap_err();
    let fields: Vec<&str> = refused.fields().iter().map(|field| field.field.as_ref()).collect();
    assert_eq!(fields, ["email", "password", "password", "password", "display_name"]);
    let codes: Vec<&str> = refused.fields().iter().map(|field| field.code.as_ref()).collect();
    assert_eq!(codes[1..4], ["too_short", "no_upper", "no_digit"]);
}

#[tokio::test]
async fn refuses_sign_up_when_closed() {
    let stage = stages().await.remove(0);
    let app = stage.try_instance(&[("auth.signup", "closed")]).await.unwrap();
    let refused = accounts::signup(&app.identity, newcomer("Anna"), Device::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::SignupClosed);
}

#[tokio::test]
async fn failed_sign_ins_are_indistinguishable() {
    for stage in stages().await {
        let app = stage.instance().await;
        sign_up(&app.identity, "Anna").await;
        for (email, password) in [
            ("anna@example.com", "Tr1ckyHorsE"),
            ("ben@example.com", PASSWORD),
            ("nonsense", PASSWORD),
            ("", ""),
            ("anna@example.com\0", PASSWORD),
            ("anna@example.com", &"x".repeat(1_000_000)),
        ] {
            let refused = sign_in(&app.identity, email, password, Device::default()).await.unwrap_err();
            assert_eq!((refused.code(), refused.fields().len()), (Code::InvalidCredentials, 0), "{email}");
        }
        sign_in(&app.identity, "  Anna@EXAMPLE.com ", PASSWORD, Device::default()).await.unwrap();
    }
}

/// CPU time of this process, in clock ticks. Wall-clock time would depend on the load of the
/// machine.
fn cpu_ticks() -> u64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = text.rsplit_once(") ").unwrap();
    fields.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

#[tokio::test]
async fn unknown_address_takes_as_long_as_wrong_password() {
    let stage = stages().await.remove(0);
    let app = stage.instance().await;
    sign_up(&app.identity, "Anna").await;
    let mut costs = [0; 3];
    for _ in 0..21 {
        for (at, email) in ["anna@example.com", "ben@example.com", "nonsense"].iter().enumerate() {
            let before = cpu_ticks();
            sign_in(&app.identity, email, "Wr0ngPassword", Device::default()).await.unwrap_err();
            costs[at] += cpu_ticks() - before;
        }
    }
    // A look-up that skipped the password hash would take a fiftieth of the time.
    for other in &costs[1..] {
        assert!(other * 3 > costs[0] && *other < costs[0] * 3, "{costs:?} CPU ticks");
    }
}

#[tokio::test]
async fn rehashes_weak_passwords_at_sign_in() {
    for stage in stages().await {
        let app = stage.instance().await;
        let user = sign_up(&app.identity, "Anna").await.user;
        let weak = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(64, 1, 1, None).unwrap());
        let old: PasswordHash = weak.hash_password(PASSWORD.as_bytes()).unwrap();
        users::set_password(app.db.writer(), user.id, &old.to_string(), app.clock.now()).await.unwrap();
        for _ in 0..2 {
            sign_in(&app.identity, &email("Anna"), PASSWORD, Device::default()).await.unwrap();
            let stored = users::by_id(app.db.reader(), user.id).await.unwrap().unwrap().password_hash.unwrap();
            assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        }
    }
}

#[tokio::test]
async fn password_change_needs_the_old_one_and_ends_other_sessions() {
    for stage in stages().await {
        let app = stage.instance().await;
        let here = sign_up(&app.identity, "Anna").await;
        let there = sign_in(&app.identity, &email("Anna"), PASSWORD, Device::default()).await.unwrap();
        let by = principal(&app.identity, &here).await;
        principal(&app.identity, &there).await;

        let refused =
            accounts::update_me(&app.identity, &by, change("Wr0ngPassword", "N3wPassword-x")).await.unwrap_err();
        assert_eq!(refused.code(), Code::PasswordWrong);
        let refused = accounts::update_me(&app.identity, &by, change(PASSWORD, "weak")).await.unwrap_err();
        assert_eq!(refused.fields()[0].field, "password");
        principal(&app.identity, &there).await;

        accounts::update_me(&app.identity, &by, change(PASSWORD, "N3wPassword-x")).await.unwrap();
        principal(&app.identity, &here).await;
        assert!(accounts::authenticate(&app.identity, there.access_token.expose()).await.is_err());
        assert!(sign_in(&app.identity, &email("Anna"), PASSWORD, Device::default()).await.is_err());
        sign_in(&app.identity, &email("Anna"), "N3wPassword-x", Device::default()).await.unwrap();
    }
}

#[tokio::test]
async fn sign_in_cannot_race_a_password_change() {
    for stage in stages().await {
        let app = stage.instance().await;
        let by = principal(&app.identity, &sign_up(&app.identity, "Anna").await).await;
        let passwords = [PASSWORD, "N3wPassword-x"];
        let mut refused = 0;
        // The scheduler decides which sign-ins come after the password change, so the test repeats
        // until some do.
        for attempt in 0..20 {
            let (old, new) = (passwords[attempt % 2], passwords[(attempt + 1) % 2]);
            let changing = tokio::spawn({
                let (app, by) = (app.clone(), by.clone());
                async move { accounts::update_me(&app.identity, &by, change(old, new)).await }
            });
            // Each task reads the old hash before the password change and compares it afterwards.
            let mut coming = Vec::new();
            while !changing.is_finished() && coming.len() < 48 {
                let here = app.clone();
                coming.push(tokio::spawn(async move {
                    sign_in(&here.identity, &email("Anna"), old, Device::default()).await
                }));
                accounts::me(&app.identity, &by).await.unwrap();
            }
            changing.await.unwrap().unwrap();
            for signin in coming {
                refused += usize::from(signin.await.unwrap().is_err());
            }
            let left = accounts::sessions::list(&app.identity, &by, ALL()).await.unwrap();
            assert_eq!(left.total, 1, "a session of the old password is left");
            if refused > 0 {
                break;
            }
        }
        assert!(refused > 0, "no sign-in was refused");
    }
}

#[tokio::test]
async fn invalid_change_leaves_the_name_unchanged() {
    for stage in stages().await {
        let app = stage.instance().await;
        let by = principal(&app.identity, &sign_up(&app.identity, "Anna").await).await;
        let named = |name: &str| ProfileChange { display_name: Some(name.to_owned()), ..ProfileChange::default() };
        assert_eq!(accounts::update_me(&app.identity, &by, named("  Ánna  ")).await.unwrap().display_name, "Ánna");
        for good in ["Đặng Thị Ánh", "山田 太郎", "فاطمه‌زهرا", "👩‍💻 Ada"] {
            assert_eq!(accounts::update_me(&app.identity, &by, named(good)).await.unwrap().display_name, good);
        }
        accounts::update_me(&app.identity, &by, named("Ánna")).await.unwrap();
        let hidden = ["\u{202e}nimdA", "\u{200b}", "Ben\u{2060}", "\u{3164}", "Be\u{ad}n"];
        for bad in ["", " ", "a\nb", &"x".repeat(81)].into_iter().chain(hidden) {
            let refused = accounts::update_me(&app.identity, &by, named(bad)).await.unwrap_err();
            assert_eq!(refused.fields()[0].field, "display_name");
        }
        let both = ProfileChange { display_name: Some("Other".to_owned()), ..change("Wr0ngPassword", "N3wPassword-x") };
        assert!(accounts::update_me(&app.identity, &by, both).await.is_err());
        assert_eq!(accounts::me(&app.identity, &by).await.unwrap().display_name, "Ánna");
    }
}

#[tokio::test]
async fn sessions_are_private_and_end_on_all_instances() {
    for stage in stages().await {
        let (app, other) = (stage.instance().await, stage.instance().await);
        let here = sign_up(&app.identity, "Anna").await;
        stage.pass(1);
        let phone = Device::new(Some("Phone\r\nX: y"), Some(IpAddr::from([192, 0, 2, 7])));
        let there = sign_in(&app.identity, &email("Anna"), PASSWORD, phone).await.unwrap();
        let by = principal(&app.identity, &here).await;
        let stranger = principal(&app.identity, &sign_up(&app.identity, "Ben").await).await;

        let devices = accounts::sessions::list(&app.identity, &by, ALL()).await.unwrap();
        assert_eq!(devices.total, 2);
        assert_eq!((devices.items[0].id, devices.items[0].current), (there.session_id, false));
        assert_eq!(devices.items[0].user_agent.as_deref(), Some("PhoneX: y"));
        assert_eq!(devices.items[0].address.as_deref(), Some("192.0.2.7"));
        assert_eq!((devices.items[1].id, devices.items[1].current), (here.session_id, true));

        let refused = accounts::sessions::terminate(&app.identity, &stranger, there.session_id).await.unwrap_err();
        assert_eq!(refused.code(), Code::NotFound);
        principal(&other.identity, &there).await;
        accounts::sessions::terminate(&app.identity, &by, there.session_id).await.unwrap();
        assert!(accounts::authenticate(&app.identity, there.access_token.expose()).await.is_err());
        // The other instance processes the event as soon as its listener is scheduled.
        until(async || accounts::authenticate(&other.identity, there.access_token.expose()).await.is_err()).await;
        assert!(accounts::refresh(&app.identity, there.refresh_token.expose(), None, Device::default()).await.is_err());
        assert_eq!(
            accounts::sessions::terminate(&app.identity, &by, there.session_id).await.unwrap_err().code(),
            Code::NotFound
        );
        let now = app.clock.now();
        let ended = accounts::sessions::ended_since(&app.identity, now).await.unwrap();
        assert_eq!(ended, [CredentialId::Session(there.session_id)].into());
        let later = accounts::sessions::ended_since(&app.identity, now.plus(std::time::Duration::from_millis(1)))
            .await
            .unwrap();
        assert!(later.is_empty(), "{later:?}");

        let third = sign_in(&app.identity, &email("Anna"), PASSWORD, Device::default()).await.unwrap();
        accounts::sessions::terminate_others(&app.identity, &by).await.unwrap();
        assert!(accounts::authenticate(&app.identity, third.access_token.expose()).await.is_err());
        accounts::logout(&app.identity, &by).await.unwrap();
        assert!(accounts::authenticate(&app.identity, here.access_token.expose()).await.is_err());
    }
}

#[tokio::test]
async fn records_when_a_device_was_last_used() {
    for stage in stages().await {
        let app = stage.instance().await;
        let pair = sign_up(&app.identity, "Anna").await;
        stage.pass(120);
        let by = principal(&app.identity, &pair).await;
        let now = app.clock.now();
        until(async || accounts::sessions::list(&app.identity, &by, ALL()).await.unwrap().items[0].last_used_at == now)
            .await;
    }
}

#[tokio::test]
async fn ticket_is_valid_once_and_ends_with_the_session() {
    for stage in stages().await {
        let app = stage.instance().await;
        let by = principal(&app.identity, &sign_up(&app.identity, "Anna").await).await;
        let ticket = accounts::issue_ticket(&app.identity, &by).await.unwrap();
        assert_eq!(accounts::redeem_ticket(&app.identity, &ticket).await.unwrap(), by);
        for bad in [ticket.as_str(), "", "x", &"x".repeat(10_000)] {
            assert_eq!(accounts::redeem_ticket(&app.identity, bad).await.unwrap_err().code(), Code::Unauthenticated);
        }
        let ticket = accounts::issue_ticket(&app.identity, &by).await.unwrap();
        accounts::logout(&app.identity, &by).await.unwrap();
        assert_eq!(accounts::redeem_ticket(&app.identity, &ticket).await.unwrap_err().code(), Code::Unauthenticated);
    }
}

#[tokio::test]
async fn operator_creates_administrators_and_resets_passwords() {
    for stage in stages().await {
        let app = stage.instance().await;
        let user = accounts::create_admin(&app.db, &app.config, &app.clock, newcomer("Root")).await.unwrap();
        assert_eq!(user.role, UserRole::Admin);
        let again = accounts::create_admin(&app.db, &app.config, &app.clock, newcomer("Root")).await.unwrap_err();
        assert_eq!(again.code(), Code::EmailTaken);
        let pair = sign_in(&app.identity, &email("Root"), PASSWORD, Device::default()).await.unwrap();
        accounts::reset_password(&app.db, &app.config, &app.clock, "ROOT@example.com", "N3wPassword-x").await.unwrap();
        let ended = accounts::refresh(&app.identity, pair.refresh_token.expose(), None, Device::default()).await;
        assert_eq!(ended.unwrap_err().code(), Code::Unauthenticated);
        assert!(sign_in(&app.identity, &email("Root"), PASSWORD, Device::default()).await.is_err());
        sign_in(&app.identity, &email("Root"), "N3wPassword-x", Device::default()).await.unwrap();
        let unknown =
            accounts::reset_password(&app.db, &app.config, &app.clock, "nobody@example.com", "N3wPassword-x").await;
        assert_eq!(unknown.unwrap_err().code(), Code::NotFound);
    }
}

#[tokio::test]
async fn only_the_owner_renames_a_passkey() {
    for stage in stages().await {
        let app = stage.instance().await;
        let by = principal(&app.identity, &sign_up(&app.identity, "Anna").await).await;
        let stranger = principal(&app.identity, &sign_up(&app.identity, "Ben").await).await;
        let new = rows::NewPasskey {
            user_id: by.user_id,
            credential_id: vec![1],
            credential: "{}".to_owned(),
            name: "Passkey".to_owned(),
            at: stage.clock.now(),
        };
        let made = rows::insert(app.db.writer(), new).await.unwrap();
        let rename = async |by, name: &str| accounts::passkeys::rename(&app.identity, by, made.id, name).await;
        assert_eq!(rename(&by, " Phone ").await.unwrap().name, "Phone");
        for wrong in ["", " ", "two\nlines", &"x".repeat(81)] {
            assert_eq!(rename(&by, wrong).await.unwrap_err().code(), Code::Invalid, "{wrong:?}");
        }
        assert_eq!(rename(&stranger, "Mine").await.unwrap_err().code(), Code::NotFound);
        assert_eq!(accounts::passkeys::list(&app.identity, &by, ALL()).await.unwrap().items[0].name, "Phone");
    }
}
