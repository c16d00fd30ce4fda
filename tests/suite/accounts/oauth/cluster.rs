//! OAuth across instances: a sign-in that was started on one instance is finished on another, and
//! single-use values are accepted only once.

use reqwest::Method;
use support::{Authenticator, Caller, PASSWORD, json};

use super::{COOKIE, Stage, callback};

#[tokio::test]
async fn finishes_an_oauth_sign_in_once_on_another_instance() {
    let stage = Stage::with(|setup| setup.instances(2)).await;
    let [here, there] = [0, 1].map(|at| Caller::anonymous(&stage.app.instances[at].url()));
    let gone = stage.depart(&there, "idp", "").await;
    assert!(gone.cookie.starts_with(COOKIE));
    let sent = stage.provider.sign_in(&gone.location, "ada").await;
    let path = format!("{}?{}", callback("idp"), support::form(&sent.fields));
    let come_back = |caller: &Caller| {
        let request = caller.request(Method::GET, &path).header("cookie", &gone.cookie);
        let caller = caller.clone();
        async move { caller.send(request).await }
    };
    let arrived = [come_back(&here), come_back(&there)];
    let arrived = futures_util::future::join_all(arrived).await;
    let admitted: Vec<_> = arrived.iter().filter(|answer| answer.cookies().contains("natter_access")).collect();
    assert_eq!(admitted.len(), 1, "{arrived:?}");
    stage.who(admitted[0]).await;

    let token = stage.provider.token("oidc", json!({ "sub": "ada" })).await;
    let body = json!({ "id_token": token });
    let show = |caller: &Caller| {
        let (caller, body) = (caller.clone(), body.clone());
        async move { caller.post("/r1/auth/oauth/idp/token", body).await }
    };
    let shown = futures_util::future::join_all([show(&here), show(&there)]).await;
    assert_eq!(shown.iter().filter(|answer| answer.status == 200).count(), 1, "{shown:?}");
}

#[tokio::test]
async fn accepts_a_second_factor_code_once_across_instances() {
    let stage = Stage::with(|setup| setup.instances(2)).await;
    let [here, there] = [0, 1].map(|at| Caller::anonymous(&stage.app.instances[at].url()));
    let (guarded, authenticator) = Authenticator::set_up_for_somebody(&stage.app.url()).await;
    let challenge = async |caller: &Caller| {
        let body = json!({ "email": guarded.email, "password": PASSWORD });
        caller.post("/r1/auth/signin", body).await.data_with(202)["challenge"].clone()
    };
    let (one, other) = (challenge(&here).await, challenge(&there).await);
    let code = authenticator.next_code();
    let answer = async |caller: &Caller, challenge: &support::Value| {
        caller.post("/r1/auth/signin/challenge", json!({ "challenge": challenge, "code": code })).await
    };
    answer(&there, &one).await.data_with(200);
    answer(&here, &other).await.refused(401, "mfa_invalid");
}
