//! Sign-up, and creation of accounts by the operator.

use support::{Application, Caller, Credentials, Engine, Member, PASSWORD, Setup, json, new_email};

use super::{NEW_PASSWORD, refused_after, text};

#[tokio::test]
async fn sign_up_returns_an_account_and_tokens() {
    let app = Application::start().await;
    let email = new_email("anna");
    let answer = app.anonymous().sign_up(&format!(" {} ", email.to_uppercase()), PASSWORD, "  Anna Đặng ").await;
    assert!(!answer.text().contains(PASSWORD) && !answer.text().contains("argon2"), "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:?}");
    let tokens = answer.data_with(201);
    assert_eq!((text(&tokens["user"], "email"), text(&tokens["user"], "display_name")), (email.as_str(), "Anna Đặng"));
    assert_eq!(text(&tokens["user"], "role"), "user");
    assert!(text(&tokens, "access_expires_at") < text(&tokens, "refresh_expires_at"));
    assert_eq!(text(&tokens, "access_expires_at").len(), "2026-01-01T00:00:00.000Z".len());
    for id in [text(&tokens["user"], "id"), text(&tokens, "session_id")] {
        assert_eq!(id.parse::<uuid::Uuid>().unwrap().get_version_num(), 7);
    }
    let caller = Caller::new(&app.url(), Credentials::Bearer(text(&tokens, "access_token").to_owned()));
    assert_eq!(caller.get("/r1/users/me").await.data()["id"], tokens["user"]["id"]);
}

#[tokio::test]
async fn rejects_invalid_sign_up_fields_by_name() {
    let app = Application::start().await;
    let anonymous = app.anonymous();
    for email in [
        "",
        "nobody",
        "a@b@c",
        "a b@example.test",
        &format!("{}@example.test", "a".repeat(300)),
        "a@example.test\r\nX: y",
    ] {
        anonymous.sign_up(email, PASSWORD, "Anna").await.names_field("email");
    }
    let long = format!("Aa1{}", "x".repeat(126));
    for password in ["", "Sh0rt", "alllower123", "ALLUPPER123", "NoDigitsAtAll", "Password123", &long] {
        anonymous.sign_up(&new_email("weak"), password, "Anna").await.names_field("password");
    }
    anonymous.sign_up("Clever1@example.test", "cLever1@example.test", "Anna").await.names_field("password");
    let long_name = "x".repeat(81);
    let bad_names =
        ["", "   ", "a\u{0}b", "a\nb", "\u{2800}", "\u{fe0f}", "An\u{202e}na", "Zz\u{301}\u{301}\u{301}\u{301}\u{301}"];
    for name in
        bad_names.into_iter().chain([long_name.as_str(), "see https://evil.example", "evil.com", "call 0900-1234"])
    {
        anonymous.sign_up(&new_email("name"), PASSWORD, name).await.names_field("display_name");
    }
    let everything = anonymous.sign_up("nobody", "weak", "").await;
    for field in ["email", "password", "display_name"] {
        everything.names_field(field);
    }
    // A passphrase of the maximum length is accepted.
    anonymous.sign_up(&new_email("long"), &format!("Aa1{}", "ơ".repeat(125)), "Anna").await.data_with(201);
    for body in
        [json!({}), json!({"email": 1, "password": [], "display_name": null}), json!([]), json!("x"), json!(null)]
    {
        let answer = anonymous.post("/r1/auth/signup", body).await;
        assert!(matches!(answer.status, 400 | 422), "{answer:?}");
    }
}

#[tokio::test]
async fn concurrent_sign_ups_with_one_address_create_one_account() {
    let app = Application::start().await;
    let email = new_email("race");
    let upper = email.to_uppercase();
    let anonymous = app.anonymous();
    let (a, b, c, d) = tokio::join!(
        anonymous.sign_up(&email, PASSWORD, "A"),
        anonymous.sign_up(&upper, PASSWORD, "B"),
        anonymous.sign_up(&email, PASSWORD, "C"),
        anonymous.sign_up(&upper, PASSWORD, "D"),
    );
    let answers = [a, b, c, d];
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1, "{answers:?}");
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        answer.refused(409, "email_taken");
    }
}

#[tokio::test]
async fn the_first_account_needs_the_setup_token_on_a_reachable_server() {
    let policy = async |app: &Application| app.anonymous().get("/r1/auth/policy").await.data();
    let sign_up = async |app: &Application, setup_token: support::Value| {
        let body = json!({ "email": new_email("first"), "password": PASSWORD, "display_name": "First", "setup_token": setup_token });
        app.anonymous().post("/r1/auth/signup", body).await
    };
    let open = || Setup::new().on(Engine::Sqlite).from_nothing();
    let app = open().start().await;
    assert_eq!(policy(&app).await["setup_token"], false, "only the local machine reaches the server");

    let mut app = open().set("server.host", "0.0.0.0").start().await;
    assert_eq!(policy(&app).await["setup_token"], true);
    let file = app.folder().join("setup-token");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let token = std::fs::read_to_string(&file).unwrap().trim().to_owned();
    assert!(token.len() >= 43 && app.instances[0].log().iter().any(|line| line.contains(&token)));
    for wrong in [json!(null), json!(""), json!("x"), json!(token[1..])] {
        sign_up(&app, wrong).await.names_field("setup_token");
    }
    // The setup token is the same after a restart.
    app.instances[0].terminate().await;
    app.instances[0].start_again().await;
    let first = sign_up(&app, json!(format!(" {token}\n"))).await.data_with(201);
    assert_eq!(first["user"]["role"], "admin");
    assert!(!file.exists());
    assert_eq!(policy(&app).await["setup_token"], false);
    assert_eq!(sign_up(&app, json!(null)).await.data_with(201)["user"]["role"], "user");

    let app = open().set("auth.setup_token", "chosen by the operator").start().await;
    assert!(!app.folder().join("setup-token").exists());
    sign_up(&app, json!(null)).await.names_field("setup_token");
    sign_up(&app, json!("chosen by the operator")).await.data_with(201);

    // If a proxy runs on the same machine, clients need the setup token: under a public host name,
    // the proxy forwards the client's address.
    let proxied = async |app: &Application, name: &'static str, value: &'static str| {
        let anonymous = app.anonymous();
        let asked = anonymous.request(reqwest::Method::GET, "/r1/auth/policy").header(name, value);
        anonymous.send(asked).await.data()["setup_token"].clone()
    };
    let app = open().set("server.trusted_proxies", "127.0.0.1/32").start().await;
    assert_eq!(policy(&app).await["setup_token"], false);
    assert_eq!(proxied(&app, "x-forwarded-for", "203.0.113.7").await, true);

    // The operator's command works without a setup token.
    let app = open().set("server.public_url", "https://chat.example.org").start().await;
    assert_eq!(policy(&app).await["setup_token"], false);
    assert_eq!(proxied(&app, "host", "chat.example.org").await, true);
    let made = app.command(&["admin", "create", "--email", &new_email("root"), "--name", "Root"]).await;
    assert!(made.status.success(), "{made:?}");
    assert_eq!(policy(&app).await["setup_token"], false);
    assert_eq!(sign_up(&app, json!(null)).await.data_with(201)["user"]["role"], "user");
}

#[tokio::test]
async fn the_auth_policy_reports_whether_mail_is_configured() {
    for (settings, expected) in
        [(Setup::new(), "outbox"), (Setup::new().set("mail.smtp_url", "smtp://127.0.0.1:9"), "smtp")]
    {
        let app = settings.start().await;
        assert_eq!(app.anonymous().get("/r1/auth/policy").await.data()["mail"], expected);
    }
}

#[tokio::test]
async fn sign_up_can_be_closed() {
    let app = Setup::new().set("auth.signup", "closed").start().await;
    app.anonymous().sign_up(&new_email("anna"), PASSWORD, "Anna").await.refused(403, "signup_closed");
    app.admin().await;
}

#[tokio::test]
async fn the_operator_creates_administrators_and_resets_passwords() {
    let app = Application::start().await;
    let email = new_email("root");
    let said = |output: &std::process::Output| {
        (
            output.status.success(),
            String::from_utf8_lossy(if output.status.success() { &output.stdout } else { &output.stderr }).into_owned(),
        )
    };
    let (done, text) = said(&app.command(&["admin", "create", "--email", &email, "--name", "Root"]).await);
    assert!(done, "{text}");
    let password = text.trim().rsplit(' ').next().unwrap().to_owned();
    let root = Member::sign_in(&app.url(), &email, &password).await;
    assert_eq!((root.tokens["user"]["role"].as_str(), root.name.as_str()), (Some("admin"), "Root"));
    for (arguments, reason) in [
        (vec!["admin", "create", "--email", &email, "--password", PASSWORD], "already exists"),
        (vec!["admin", "create", "--email", "nonsense", "--password", PASSWORD], "valid email"),
        (vec!["admin", "create", "--email", "weak@example.test", "--password", "weak"], "at least 8"),
        (vec!["admin", "reset-password", "--email", "nobody@example.test"], "No account found"),
        (vec!["admin", "reset-password", "--email", &email, "--password", "weak"], "at least 8"),
    ] {
        let (done, text) = said(&app.command(&arguments).await);
        let sentence = text.trim().lines().last().unwrap_or_default();
        assert!(!done && sentence.contains(reason), "{arguments:?}: {text}");
    }
    root.get("/r1/users/me").await.data();

    let (done, text) =
        said(&app.command(&["admin", "reset-password", "--email", &email, "--password", NEW_PASSWORD]).await);
    assert!(done && !text.contains(NEW_PASSWORD), "{text}");
    app.anonymous().refresh(root.refresh_token()).await.refused(401, "unauthenticated");
    app.anonymous().sign_in(&email, &password).await.refused(401, "invalid_credentials");
    Member::sign_in(&app.url(), &email, NEW_PASSWORD).await;
    // The command doesn't notify the running instance, which caches a session for at most five
    // seconds.
    refused_after(&root).await;
}

#[tokio::test]
async fn accepts_international_names() {
    let app = Application::start().await;
    for (name, shown) in [
        ("Jane Doe, M.Sc.", "Jane Doe, M.Sc."),
        ("Dr.med. Anna Schmidt", "Dr.med. Anna Schmidt"),
        ("Le.Vu", "Le.Vu"),
        ("Meier, Hans 12345678", "Meier, Hans 12345678"),
        ("أحمد\u{200e}", "أحمد"),
        (
            "\u{1f3f4}\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f} Fans",
            "\u{1f3f4}\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f} Fans",
        ),
    ] {
        let made = app.anonymous().sign_up(&new_email("name"), PASSWORD, name).await.data_with(201);
        assert_eq!(text(&made["user"], "display_name"), shown, "{name:?}");
    }
    let anna = app.sign_up("Anna").await;
    let made = anna.post("/r1/workspaces", json!({ "name": "Release 20261125" })).await.data_with(201);
    assert_eq!(text(&made, "name"), "Release 20261125");
    anna.post("/r1/workspaces", json!({ "name": "see evil.com" })).await.names_field("name");
}
