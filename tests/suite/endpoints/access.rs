//! Matrix of access: every endpoint × every kind of caller, generated from the declarations of the
//! routes. The result is committed, so that a changed permission is visible in a review, and a
//! missing endpoint fails the test.

use std::fmt::Write as _;

use appcore::Code;
use endpoint::{Access, FailureForm};
use support::{Answer, Caller, Member};

use super::{
    World,
    calls::{Call, send},
};
use crate::committed::compare;

const SNAPSHOT: &str = "tests/suite/endpoints/access.txt";
const HEAD: &str = "# endpoint | access | key | limit | nobody | expired token | key without the scope | other tenant \
                    | admin of another workspace | admin of the installation | guest | member | owner\n";

#[tokio::test]
async fn the_access_matrix_matches_the_committed_one() {
    let world = World::start().await;
    let (nobody, expired) = (world.anonymous(), world.expired());
    let mut matrix = HEAD.to_owned();
    for def in endpoint::all() {
        let scope = def.scope().map_or("-", |scope| scope.as_str());
        let access = (def.access.as_str(), scope, def.rate.as_str());
        let _ = write!(matrix, "{} {} | {} | {} | {}", def.method, def.path, access.0, access.1, access.2);
        let mut call = None;
        for (who, refusal) in [
            (&nobody, "401 unauthenticated"),
            (&expired, "401 unauthenticated"),
            (world.unable(def), "403 scope_missing"),
        ] {
            let cell = ask(&world, def, who, &mut call).await;
            // Callers whom every endpoint must reject, whatever the committed matrix says.
            let is_refused =
                if def.failure == FailureForm::Envelope { cell == refusal } else { cell[..3] == refusal[..3] };
            assert!(def.access == Access::Public || is_refused, "{} {}: {cell}", def.method, def.path);
            let _ = write!(matrix, " | {cell}");
        }
        for who in [&world.stranger, &world.foreign_admin, &world.admin, &world.guest, &world.friend, &world.owner] {
            let made = match call.take() {
                Some(made) => made,
                None => world.call(def).await,
            };
            let who = session(who, &made).await;
            call = Some(made);
            let _ = write!(matrix, " | {}", ask(&world, def, &who, &mut call).await);
        }
        matrix.push('\n');
    }
    compare(SNAPSHOT, &matrix, "permissions or endpoints have changed; if intended, run scripts/describe");
}

#[tokio::test]
async fn an_api_key_reaches_only_the_endpoints_of_its_scope() {
    let world = World::start().await;
    for def in endpoint::all().filter(|def| def.access != Access::Public) {
        let mut call = None;
        for (scope, key) in world.keys() {
            let cell = ask(&world, def, key, &mut call).await;
            let missing = match def.failure {
                FailureForm::Envelope => "403 scope_missing",
                FailureForm::Gateway if is_google(def) => "403 PERMISSION_DENIED",
                FailureForm::Gateway => "403 permission_error",
                FailureForm::Ollama => "403",
            };
            let is_allowed = def.scope() == Some(*scope);
            // The service requires a session, whatever scope the key has.
            if is_allowed && def.errors.contains(&Code::ScopeMissing) {
                continue;
            }
            assert_eq!(cell != missing, is_allowed, "{} {} with {}: {cell}", def.method, def.path, scope.as_str());
        }
    }
}

/// True if the endpoint's errors are in Google's format.
fn is_google(def: &endpoint::EndpointDef) -> bool {
    def.path.starts_with("/v1beta/") || (def.method == "POST" && def.path.starts_with("/v1/models/"))
}

/// Administrative changes that need no recent confirmation: they can be undone, and grant neither
/// money nor access.
const UNCONFIRMED: [&str; 22] = [
    "StartDrain",
    "StopDrain",
    "CreateBroadcast",
    "PreviewBroadcast",
    "ChangeBroadcast",
    "WithdrawBroadcast",
    "TakeReport",
    "ReleaseReport",
    "HideMessage",
    "RestoreMessage",
    "RequeueJob",
    "RequeueJobs",
    "RestProviderKey",
    "ReviveProviderKey",
    "ForgetLearnedSettings",
    "TestProvider",
    "TestGateway",
    "ReconcilePayment",
    "RefreshMcpServer",
    "FinishSetup",
    "TestMail",
    "TestQuestion",
];

#[test]
fn irreversible_or_financial_administration_requires_a_fresh_sign_in() {
    for def in endpoint::all().filter(|def| def.access == Access::Admin && def.method.as_str() != "GET") {
        let asks = def.refusals.contains(&Code::FreshSignInRequired);
        assert!(asks || UNCONFIRMED.contains(&def.name), "{} {} ({})", def.method, def.path, def.name);
    }
}

/// Makes the call, on new resources, or on those of the last call if that was refused.
async fn ask(world: &World, def: &'static endpoint::EndpointDef, who: &Caller, call: &mut Option<Call>) -> String {
    let made = match call.take() {
        Some(call) => call,
        None => world.call(def).await,
    };
    let answer = send(def, who, &made).await;
    assert!(answer.status < 500, "{answer:?}");
    if answer.status >= 400 {
        *call = Some(made);
    }
    cell(&answer)
}

/// Returns a caller on a separate device of the user if the call signs the caller out.
async fn session(who: &Member, call: &Call) -> Caller {
    if call.ends_session { Caller::clone(&*who.another_device().await) } else { Caller::clone(who) }
}

fn cell(answer: &Answer) -> String {
    // In other error formats, the code is in another field.
    let error = &answer.body["error"];
    let google = || error["status"].as_str();
    match answer.body["code"].as_str().or(error["code"].as_str()).or(error["type"].as_str()).or_else(google) {
        Some(code) => format!("{} {code}", answer.status),
        None => answer.status.to_string(),
    }
}
