//! Emails over SMTP: their content and language, and what happens if the mail server is unavailable
//! or rejects an email.

use reqwest::Method;
use support::{
    Application, Caller, Credentials, MailServer, Member, PASSWORD, Setup, Value, certified, json, new_email,
    wait_until,
};

use super::{NEW_PASSWORD, text};

async fn with(server: &MailServer) -> Application {
    Setup::new().set("mail.smtp_url", server.url()).set("mail.from", "Natter <chat@example.test>").start().await
}

async fn verify(app: &Application, token: &str) -> support::Answer {
    app.anonymous().post("/r1/auth/verify-email", json!({ "token": token })).await
}

async fn me(member: &Caller) -> Value {
    member.get("/r1/users/me").await.data()
}

#[tokio::test]
async fn verifies_an_address_by_the_mailed_link() {
    let server = MailServer::start().await;
    let app = with(&server).await;
    let anna = app.sign_up("Anna").await;
    assert_eq!(me(&anna).await["email_verified"], false);

    let mail = server.mail_with(&anna.email, "/verify-email?token=").await;
    assert_eq!((mail.0["from"].as_str(), mail.subject()), (Some("chat@example.test"), "Verify your email"));
    assert_eq!(mail.header("auto-submitted"), "auto-generated");
    assert_eq!(mail.header("x-auto-response-suppress"), "All");
    assert_eq!(mail.header("content-language"), "en");
    let link = format!("{}/verify-email?token={}", app.url(), mail.token("verify-email"));
    for part in [mail.text(), mail.html()] {
        assert_eq!(part.matches(&link).count(), 1, "{part}");
    }
    let token = mail.token("verify-email");
    assert!(token.len() >= 43, "{token} is guessable");

    // The value stored in the database can't be used as a token.
    assert_eq!(app.database.number("SELECT COUNT(*) FROM mail_tokens").await, 1);
    assert_eq!(app.database.number(&format!("SELECT COUNT(*) FROM jobs WHERE payload LIKE '%{token}%'")).await, 0);
    wait_until("the mail job is done", || async {
        app.database.number("SELECT COUNT(*) FROM jobs WHERE kind = 'mail'").await == 0
    })
    .await;

    for wrong in ["", "x", &token[1..], &"x".repeat(100_000)] {
        verify(&app, wrong).await.refused(400, "token_invalid");
    }
    // A token is accepted only for the purpose for which it was sent.
    app.anonymous()
        .post("/r1/auth/reset-password", json!({ "token": token, "password": NEW_PASSWORD }))
        .await
        .refused(400, "token_invalid");
    let mut other_tab = anna.connect().await;
    anna.post("/r1/auth/verify-email", json!({ "token": token })).await.data_with(200);
    assert_eq!(other_tab.expect("account.own").await.payload["user_id"], json!(anna.id));
    assert_eq!(me(&anna).await["email_verified"], true, "the current session stays valid");
    verify(&app, &token).await.refused(400, "token_invalid");

    // The address is already verified, so no email is sent.
    app.anonymous().post("/r1/auth/resend-verification", json!({ "email": anna.email })).await.data_with(202);
    let ben = app.sign_up("Ben").await;
    server.mail_with(&ben.email, "/verify-email?token=").await;
    wait_until("all mail jobs are done", || async {
        app.database.number("SELECT COUNT(*) FROM jobs WHERE kind = 'mail'").await == 0
    })
    .await;
    assert_eq!(server.mails_to(&anna.email).len(), 1);
    let others = anna.get(&format!("/r1/users/{}", ben.id)).await.data();
    assert!(others.get("email_verified").is_none() && others.get("email").is_none(), "{others}");
}

#[tokio::test]
async fn verification_link_on_another_device_requires_the_password_and_keeps_the_session() {
    let server = MailServer::start().await;
    let app = with(&server).await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let tablet = anna.another_device().await;
    let program = anna.program(&["read"]).await;
    let token = server.mail_with(&anna.email, "/verify-email?token=").await.token("verify-email");
    // The browser in which the link is opened may be signed in as another user.
    verify(&app, &token).await.refused(403, "password_required");
    ben.post("/r1/auth/verify-email", json!({ "token": token })).await.refused(403, "password_required");
    program.post("/r1/auth/verify-email", json!({ "token": token })).await.refused(403, "password_required");
    let with_password = async |password: &str| {
        let body = json!({ "token": token, "password": password });
        ben.post("/r1/auth/verify-email", body).await
    };
    with_password("Wrong-Horse-9-Battery").await.refused(403, "password_wrong");
    with_password(PASSWORD).await.data_with(200);
    with_password(PASSWORD).await.refused(400, "token_invalid");
    for device in [&anna, &tablet, &program] {
        assert_eq!(me(device).await["email_verified"], true);
    }
    assert_eq!(me(&ben).await["id"], ben.id, "the session is unchanged");
}

#[tokio::test]
async fn owner_verification_invalidates_a_sign_up_with_their_address() {
    let server = MailServer::start().await;
    let app = with(&server).await;
    let thief = app.sign_up("Mallory").await;
    let mut socket = thief.connect().await;
    let token = server.mail_with(&thief.email, "/verify-email?token=").await.token("verify-email");
    // The owner of the address has the email but not the password, so the address stays unverified.
    verify(&app, &token).await.refused(403, "password_required");
    assert_eq!(me(&thief).await["email_verified"], false);
    app.anonymous().post("/r1/auth/forgot-password", json!({ "email": thief.email })).await.data_with(202);
    let token = server.mail_with(&thief.email, "/reset-password?token=").await.token("reset-password");
    let body = json!({ "token": token, "password": NEW_PASSWORD });
    app.anonymous().post("/r1/auth/reset-password", body).await.data_with(200);
    thief.get("/r1/users/me").await.refused(401, "unauthenticated");
    assert_eq!(socket.closed().await.code, 4401);
    app.anonymous().refresh(thief.refresh_token()).await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn password_reset_signs_out_all_devices() {
    let server = MailServer::start().await;
    let app = with(&server).await;
    let anna = app.sign_up("Anna").await;
    let mut socket = anna.connect().await;
    let forgot = async |email: &str| {
        let mut answer = app.anonymous().post("/r1/auth/forgot-password", json!({ "email": email })).await;
        answer.body["request_id"].take();
        (answer.status, answer.body)
    };
    let reset = async |token: &str, password: &str| {
        app.anonymous().post("/r1/auth/reset-password", json!({ "token": token, "password": password })).await
    };
    let known = forgot(&anna.email.to_uppercase()).await;
    assert_eq!(known.0, 202);
    assert_eq!(forgot("nobody@example.test").await, known, "unknown accounts get the same response");
    let first = server.mail_with(&anna.email, "/reset-password?token=").await.token("reset-password");
    forgot(&anna.email).await;
    wait_until("the second mail arrives", || async { server.mails_to(&anna.email).len() == 3 }).await;
    let second = server.mails_to(&anna.email)[2].token("reset-password");
    reset(&first, NEW_PASSWORD).await.refused(400, "token_invalid");

    let weak = reset(&second, "weak").await;
    weak.names_field("password");
    let codes: Vec<&str> = weak.body["errors"].as_array().unwrap().iter().map(|one| text(one, "code")).collect();
    assert_eq!(codes, ["too_short", "no_upper", "no_digit"], "each violated rule is named");
    reset(&second, &anna.email).await.names_field("password");
    let (one, other) = tokio::join!(reset(&second, NEW_PASSWORD), reset(&second, "Y3t-Another-Horse"));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400], "a token works once");
    let password = if one.status == 200 { NEW_PASSWORD } else { "Y3t-Another-Horse" };

    anna.get("/r1/users/me").await.refused(401, "unauthenticated");
    assert_eq!(socket.closed().await.code, 4401);
    app.anonymous().sign_in(&anna.email, PASSWORD).await.refused(401, "invalid_credentials");
    let again = Member::sign_in(&app.url(), &anna.email, password).await;
    assert_eq!(me(&again).await["email_verified"], true, "the reader of the mail verifies the address");
    server.mail_with(&anna.email, "was changed on").await;
    assert!(server.mails_to("nobody@example.test").is_empty());
}

#[tokio::test]
async fn mailed_links_expire() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let token = app.mailed_token(&anna.email, "verify-email").await;
    let hours = |hours: i64| format!("UPDATE mail_tokens SET expires_at = expires_at - {}", hours * 3_600_000);
    app.database.run(&hours(23)).await;
    app.anonymous().post("/r1/auth/forgot-password", json!({ "email": anna.email })).await.data_with(202);
    let reset = app.mailed_token(&anna.email, "reset-password").await;
    app.database.run(&hours(1)).await;
    verify(&app, &token).await.refused(400, "token_invalid");
    let body = json!({ "token": reset, "password": NEW_PASSWORD });
    app.anonymous().post("/r1/auth/reset-password", body).await.refused(400, "token_invalid");
    app.anonymous().post("/r1/auth/resend-verification", json!({ "email": anna.email })).await.data_with(202);
    wait_until("a newer token exists", || async {
        app.database.number("SELECT COUNT(*) FROM mail_tokens WHERE purpose = 'verification'").await == 1
            && app.mailed_token(&anna.email, "verify-email").await != token
    })
    .await;
    let token = app.mailed_token(&anna.email, "verify-email").await;
    anna.post("/r1/auth/verify-email", json!({ "token": token })).await.data_with(200);
}

#[tokio::test]
async fn sends_mail_in_the_recipients_language() {
    let server = MailServer::start().await;
    let app = with(&server).await;
    for (header, language, subject) in [
        ("de-AT,de;q=0.9,en;q=0.5", "de", "Bestätige deine E-Mail-Adresse"),
        ("fr-CA,vi;q=0.5", "fr", "Vérifiez votre adresse e-mail"),
        ("it,vi;q=0.5", "vi", "Xác minh email của bạn"),
        ("ja", "ja", "メールアドレスの確認"),
        ("xx", "en", "Verify your email"),
    ] {
        let email = new_email(language);
        let body = json!({ "email": email, "password": PASSWORD, "display_name": "Anna" });
        let anonymous = app.anonymous();
        let request = anonymous.request(Method::POST, "/r1/auth/signup").header("accept-language", header).json(&body);
        anonymous.send(request).await.data_with(201);
        let mail = server.mail_with(&email, "/verify-email?token=").await;
        assert_eq!((mail.subject(), mail.header("content-language")), (subject, language));
        assert!(mail.html().contains(&format!("<html lang=\"{language}\">")));
    }
}

#[tokio::test]
async fn retries_mail_while_the_mail_server_is_unavailable() {
    let mut server = MailServer::start().await;
    server.stop().await;
    let app = with(&server).await;
    let anna = app.sign_up("Anna").await;
    let waiting =
        "SELECT COUNT(*) FROM jobs WHERE kind = 'mail' AND status = 'waiting' AND attempt = 1 AND error IS NOT NULL";
    wait_until("the mail is attempted", || async { app.database.number(waiting).await == 1 }).await;
    let first_token = app.database.number("SELECT MAX(created_at) FROM mail_tokens").await;
    server.start_again().await;
    app.database.run("UPDATE jobs SET due_at = due_at - 60000 WHERE kind = 'mail'").await;
    let token = server.mail_with(&anna.email, "/verify-email?token=").await.token("verify-email");
    assert!(
        app.database.number("SELECT MAX(created_at) FROM mail_tokens").await > first_token,
        "the retry has a new token"
    );
    anna.post("/r1/auth/verify-email", json!({ "token": token })).await.data_with(200);
}

#[tokio::test]
async fn moves_mail_rejected_by_the_server_to_the_dead_letters() {
    let server = MailServer::start().await;
    let app = with(&server).await;
    let email = format!("refused-{}", new_email("anna"));
    app.anonymous().sign_up(&email, PASSWORD, "Anna").await.data_with(201);
    let dead =
        "SELECT COUNT(*) FROM jobs WHERE kind = 'mail' AND status = 'dead' AND error LIKE '%550%' AND due_at IS NULL";
    wait_until("the mail is a dead letter", || async { app.database.number(dead).await == 1 }).await;
    // An email that is rejected temporarily is sent again.
    let later = format!("later-{}", new_email("ben"));
    app.anonymous().sign_up(&later, PASSWORD, "Ben").await.data_with(201);
    let waiting = "SELECT COUNT(*) FROM jobs WHERE kind = 'mail' AND status = 'waiting' AND error IS NOT NULL";
    wait_until("the mail waits for a retry", || async { app.database.number(waiting).await == 1 }).await;
    let token = json!({ "email": later, "password": PASSWORD });
    assert_eq!(app.anonymous().post("/r1/auth/signin", token).await.status, 200, "accounts work without verification");
}

#[tokio::test]
async fn mails_a_sign_in_from_an_unknown_device() {
    let server = MailServer::start().await;
    let app = with(&server).await;
    let anna = app.sign_up("Anna").await;
    let sign_in = async |agent: &str| {
        let body = json!({ "email": anna.email, "password": PASSWORD });
        let anonymous = app.anonymous();
        let request = anonymous.request(Method::POST, "/r1/auth/signin").header("user-agent", agent).json(&body);
        let tokens = anonymous.send(request).await.data_with(200);
        Caller::new(&app.url(), Credentials::Bearer(text(&tokens, "access_token").to_owned()))
    };
    anna.another_device().await;
    // No email about sign-ins is sent to an unverified address.
    sign_in("Mozilla/5.0 (Windows NT 10.0) Firefox/131.0").await;
    let token = server.mail_with(&anna.email, "/verify-email?token=").await.token("verify-email");
    anna.post("/r1/auth/verify-email", json!({ "token": token })).await.data_with(200);
    sign_in("Mozilla/5.0 (Linux; Android 14) Chrome/130.0 Safari/537.36").await;
    let mail = server.mail_with(&anna.email, "Chrome, Android").await;
    assert!(mail.text().contains("127.0.0.1"), "{mail:?}");
    // A newer version of the same browser is a known device.
    sign_in("Mozilla/5.0 (Linux; Android 14) Chrome/131.0 Safari/537.36").await;
    // The email doesn't quote a user agent that isn't recognised.
    sign_in("Bank Support, see https://evil.example <b>").await;
    wait_until("the second sign-in is mailed", || async { told(&server, &anna).len() == 2 }).await;
    assert!(told(&server, &anna).iter().all(|mail| !(mail.text().contains("evil") || mail.html().contains("evil"))));
}

/// Emails about new sign-ins.
fn told(server: &MailServer, member: &Member) -> Vec<support::Mail> {
    server.mails_to(&member.email).into_iter().filter(|mail| mail.subject() == "New sign-in to your account").collect()
}

#[tokio::test]
async fn mails_the_owner_about_a_second_sign_up_with_their_address() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    app.anonymous().sign_up(&anna.email, NEW_PASSWORD, "Not Anna").await.refused(409, "email_taken");
    let mail = app.outbox(&anna.email, "tried to create an account").await;
    assert!(!mail.contains("Not Anna"), "user agents are not quoted");
}

#[tokio::test]
async fn users_choose_their_mail_language() {
    let server = MailServer::start().await;
    let app = with(&server).await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    assert_eq!(me(&anna).await["language"], "en");
    for wrong in [json!("it"), json!("EN"), json!(""), json!(7), json!({})] {
        anna.patch("/r1/users/me", json!({ "language": wrong })).await.names_field("language");
    }
    let changed = anna.patch("/r1/users/me", json!({ "language": "vi" })).await.data();
    assert_eq!((&changed["language"], &changed["display_name"]), (&json!("vi"), &json!("Anna")));
    assert_eq!(me(&anna).await["language"], "vi");
    app.anonymous().post("/r1/auth/forgot-password", json!({ "email": anna.email })).await.data_with(202);
    let mail = server.mail_with(&anna.email, "/reset-password?token=").await;
    assert_eq!((mail.header("content-language"), mail.subject()), ("vi", "Đặt lại mật khẩu của bạn"));
    let seen = ben.get(&format!("/r1/users/{}", anna.id)).await.data();
    assert!(seen.get("language").is_none(), "{seen}");
}

#[tokio::test]
async fn sends_the_smtp_password_over_starttls() {
    let folder = tempfile::tempdir().unwrap();
    let [authority, certificate, key] = certified(folder.path()).await;
    let server = MailServer::start_with(&certificate, &key).await;
    let setup = Setup::new().set("mail.smtp_url", server.url_with_password());
    let app = setup.set("SSL_CERT_FILE", authority.display()).start().await;
    let anna = app.sign_up("Anna").await;
    let mail = server.mail_with(&anna.email, "/verify-email?token=").await;
    assert_eq!((&mail.0["user"], &mail.0["secure"]), (&json!("ann"), &json!(true)));
}

#[tokio::test]
async fn sends_the_smtp_password_without_tls_only_if_configured() {
    let server = MailServer::start().await;
    let app = Setup::new().set("mail.smtp_url", server.url_with_password()).start().await;
    let anna = app.sign_up("Anna").await;
    let output = app.command(&["doctor"]).await;
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("FAULT    mail: it offers no STARTTLS") && !said.contains("hunter22"), "{said}");
    assert!(server.mails_to(&anna.email).is_empty());

    let asked = format!("{}?tls=none", server.url_with_password());
    let app = Setup::new().set("mail.smtp_url", asked).start().await;
    let warned = "mail server password is sent in plaintext";
    assert!(app.instances[0].log().iter().any(|line| line.contains(warned)), "{:?}", app.instances[0].log());
    let ben = app.sign_up("Ben").await;
    let mail = server.mail_with(&ben.email, "/verify-email?token=").await;
    assert_eq!((&mail.0["user"], &mail.0["secure"]), (&json!("ann"), &json!(false)));
    let output = app.command(&["doctor"]).await;
    let said = String::from_utf8(output.stdout).unwrap();
    let line = said.lines().find(|line| line.starts_with("warning  mail: "));
    assert!(line.is_some_and(|line| line.contains("password in clear")), "{said}");
}
