//! Second factor: enrolment, challenges and guessing of codes.

use support::{Answer, Application, Authenticator, Caller, PASSWORD, Setup, Value, json};

use super::{NEW_PASSWORD, text};

/// Signs in with the password and returns the challenge for the second factor.
async fn challenge(app: &Application, email: &str) -> Value {
    app.anonymous().sign_in(email, PASSWORD).await.data_with(202)
}

async fn answer(app: &Application, challenge: &Value, field: &str, code: &str) -> Answer {
    let body = json!({ "challenge": challenge["challenge"], field: code });
    app.anonymous().post("/r1/auth/signin/challenge", body).await
}

/// Returns a code that is valid neither in the current nor in a neighbouring time step.
fn wrong_code(authenticator: &Authenticator) -> String {
    let right = [-2, -1, 0, 1, 2].map(|steps| authenticator.code_in(steps));
    (0..10).map(|n| format!("{n:06}")).find(|code| !right.contains(code)).unwrap()
}

#[tokio::test]
async fn requires_an_authenticator_code_only_after_enrolment() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    assert_eq!(anna.tokens["user"]["second_factor"], false);
    anna.post("/r1/auth/totp", json!({ "password": "Wr0ng-Password" })).await.refused(403, "password_wrong");
    anna.post("/r1/auth/totp", json!({})).await.names_field("password");
    anna.post("/r1/auth/totp/confirm", json!({ "code": "123456" })).await.refused(409, "wrong_state");
    let enrolment = anna.post("/r1/auth/totp", json!({ "password": PASSWORD })).await.data_with(201);
    let uri = text(&enrolment, "uri");
    let secret = text(&enrolment, "secret");
    assert!(secret.len() == 32 && secret.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'2'..=b'7')), "{secret}");
    assert!(uri.starts_with("otpauth://totp/Natter:") && uri.contains(&format!("secret={secret}")), "{uri}");
    assert!(uri.contains("issuer=Natter") && uri.contains("algorithm=SHA1&digits=6&period=30"), "{uri}");
    // An enrolment that is not confirmed has no effect.
    app.anonymous().sign_in(&anna.email, PASSWORD).await.data_with(200);

    // A second enrolment invalidates the secret of the first.
    let first = Authenticator::new(&enrolment);
    let second = anna.post("/r1/auth/totp", json!({ "password": PASSWORD })).await.data_with(201);
    let authenticator = Authenticator::new(&second);
    anna.post("/r1/auth/totp/confirm", json!({ "code": first.code_in(0) })).await.refused(401, "mfa_invalid");
    let body = json!({ "code": authenticator.next_code() });
    let mut other_tab = anna.connect().await;
    let codes = anna.post("/r1/auth/totp/confirm", body.clone()).await.data_with(200);
    other_tab.expect("account.own").await;
    assert_eq!(codes["recovery_codes"].as_array().map(Vec::len), Some(10));
    anna.post("/r1/auth/totp/confirm", body).await.refused(409, "wrong_state");
    anna.post("/r1/auth/totp", json!({ "password": PASSWORD })).await.refused(409, "wrong_state");
    assert_eq!(anna.get("/r1/users/me").await.data()["second_factor"], true);

    let asked = challenge(&app, &anna.email).await;
    assert_eq!(asked["methods"], json!(["totp", "recovery_code"]));
    assert!(asked["access_token"].is_null() && asked["refresh_token"].is_null(), "{asked}");
    app.anonymous().sign_in(&anna.email, "Wr0ng-Password").await.refused(401, "invalid_credentials");
    let tokens = answer(&app, &asked, "code", &authenticator.next_code()).await.data_with(200);
    let caller = Caller::new(&app.url(), support::Credentials::Bearer(text(&tokens, "access_token").to_owned()));
    assert_eq!(caller.get("/r1/users/me").await.data()["id"], anna.id.as_str());
    answer(&app, &asked, "code", &authenticator.next_code()).await.refused(401, "mfa_invalid");

    let removal = |code: String| anna.request(reqwest::Method::DELETE, "/r1/auth/totp").json(&json!({ "code": code }));
    anna.send(removal(wrong_code(&authenticator))).await.refused(401, "mfa_invalid");
    let recovery = codes["recovery_codes"][0].as_str().unwrap().to_owned();
    anna.send(removal(recovery)).await.data_with(200);
    other_tab.expect("account.own").await;
    app.anonymous().sign_in(&anna.email, PASSWORD).await.data_with(200);
}

#[tokio::test]
async fn accepts_a_code_once_and_ends_a_challenge_after_five_wrong_answers() {
    let app = Application::start().await;
    let (guarded, authenticator) = Authenticator::set_up_for_somebody(&app.url()).await;
    let (one, other) = (challenge(&app, &guarded.email).await, challenge(&app, &guarded.email).await);
    let code = authenticator.next_code();
    answer(&app, &one, "code", &code).await.data_with(200);
    answer(&app, &other, "code", &code).await.refused(401, "mfa_invalid");
    let recovery = &authenticator.recovery_codes[0];
    answer(&app, &other, "recovery_code", &recovery.to_uppercase().replace('-', " ")).await.data_with(200);
    let third = challenge(&app, &guarded.email).await;
    answer(&app, &third, "recovery_code", recovery).await.refused(401, "mfa_invalid");
    for _ in 1..5 {
        answer(&app, &third, "code", &wrong_code(&authenticator)).await.refused(401, "mfa_invalid");
    }
    let unused = &authenticator.recovery_codes[1];
    answer(&app, &third, "recovery_code", unused).await.refused(401, "mfa_invalid");
    // The failures have ended the challenge but not used up the code, and no user is locked out.
    let fourth = challenge(&app, &guarded.email).await;
    answer(&app, &fourth, "recovery_code", unused).await.data_with(200);

    let nothing = json!({ "challenge": "nonsense", "code": authenticator.code_in(0) });
    app.anonymous().post("/r1/auth/signin/challenge", nothing).await.refused(401, "mfa_invalid");
    app.anonymous().post("/r1/auth/signin/challenge", json!({ "challenge": "x" })).await.names_field("code");
}

#[tokio::test]
async fn accepts_a_concurrently_used_code_once() {
    let app = Application::start().await;
    let (guarded, authenticator) = Authenticator::set_up_for_somebody(&app.url()).await;
    let asked = challenge(&app, &guarded.email).await;
    let body = json!({ "challenge": asked["challenge"], "recovery_code": authenticator.recovery_codes[0] });
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (anonymous, body) = (app.anonymous(), body.clone());
            tokio::spawn(async move { anonymous.post("/r1/auth/signin/challenge", body).await.status })
        })
        .collect();
    let mut admitted = 0;
    for task in tasks {
        admitted += usize::from(task.await.unwrap() == 200);
    }
    assert_eq!(admitted, 1);
}

#[tokio::test]
async fn limits_code_guesses_across_challenges() {
    let app = Application::start().await;
    let (guarded, authenticator) = Authenticator::set_up_for_somebody(&app.url()).await;
    let wrong = wrong_code(&authenticator);
    for _ in 0..4 {
        let asked = challenge(&app, &guarded.email).await;
        for _ in 0..5 {
            answer(&app, &asked, "code", &wrong).await.refused(401, "mfa_invalid");
        }
    }
    let asked = challenge(&app, &guarded.email).await;
    let refused = answer(&app, &asked, "code", &authenticator.next_code()).await;
    refused.refused(429, "too_many_signins");
    answer(&app, &asked, "recovery_code", &authenticator.recovery_codes[0]).await.data_with(200);
}

#[tokio::test]
async fn a_new_password_ends_pending_challenges() {
    let app = Application::start().await;
    let (guarded, authenticator) = Authenticator::set_up_for_somebody(&app.url()).await;
    let asked = challenge(&app, &guarded.email).await;
    let change = json!({ "current_password": PASSWORD, "password": NEW_PASSWORD });
    guarded.post("/r1/auth/change-password", change).await.data_with(200);
    answer(&app, &asked, "code", &authenticator.next_code()).await.refused(401, "mfa_invalid");
}

#[tokio::test]
async fn sets_tokens_as_cookies_and_keeps_secrets_out_of_logs_and_storage() {
    let mut app = Setup::new().from_nothing().set("auth.key_encryption_secret", "a long random text").start().await;
    let anna = app.sign_up("Anna").await;
    let enrolment = anna.post("/r1/auth/totp", json!({ "password": PASSWORD })).await.data_with(201);
    let authenticator = Authenticator::new(&enrolment);
    let codes = anna.post("/r1/auth/totp/confirm", json!({ "code": authenticator.next_code() })).await.data_with(200);
    let asked = challenge(&app, &anna.email).await;
    let anonymous = app.anonymous();
    let body = json!({ "challenge": asked["challenge"], "code": authenticator.next_code() });
    let request = anonymous.request(reqwest::Method::POST, "/r1/auth/signin/challenge").json(&body);
    let request = request.header("x-natter-transport", "cookie").header("origin", app.url());
    let admitted = anonymous.send(request).await;
    assert!(admitted.cookies().contains("natter_access="), "{admitted:?}");
    assert!(admitted.data_with(200)["access_token"].is_null());

    app.instances[0].terminate().await;
    let mut kept = app.instances[0].log().join("\n").into_bytes();
    for entry in std::fs::read_dir(app.folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            kept.extend(std::fs::read(path).unwrap());
        }
    }
    for secret in [text(&enrolment, "secret"), text(&asked, "challenge"), codes["recovery_codes"][0].as_str().unwrap()]
    {
        assert!(
            !kept.windows(secret.len()).any(|window| window == secret.as_bytes()),
            "{secret} is stored in plain text"
        );
    }
}
