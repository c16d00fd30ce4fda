//! Every endpoint × {no credentials, somebody of another tenant, the owner of what it is about, an admin}, from the same
//! declaration as the routes. What comes out is committed: a change of who may do what shows in the review.

use std::{fmt::Write as _, path::Path};

use support::{Answer, Caller};

use super::calls::{World, send};

const SNAPSHOT: &str = "tests/suite/endpoints/access.txt";

#[tokio::test]
async fn who_may_call_what_is_as_it_was_decided() {
    let world = World::start().await;
    let mut matrix = String::from("# endpoint | access | limit | anonymous | stranger | owner | admin\n");
    for def in endpoint::r1::all() {
        let _ = write!(matrix, "{} {} | {} | {}", def.method, def.path, def.access.as_str(), def.rate.as_str());
        for who in [None, Some(&world.stranger), Some(&world.owner), Some(&world.admin)] {
            let call = world.call(def).await;
            let caller: Caller = match who {
                None => world.anonymous(),
                Some(member) if call.ends_session => Caller::clone(&*member.another_device().await),
                Some(member) => Caller::clone(member),
            };
            let answer = send(def, &caller, &call).await;
            assert!(answer.status < 500, "{answer:?}");
            let _ = write!(matrix, " | {}", cell(&answer));
        }
        matrix.push('\n');
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(SNAPSHOT);
    if std::env::var_os("NATTER_UPDATE").is_some() {
        std::fs::write(&file, &matrix).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    for (now, then) in matrix.lines().zip(committed.lines()) {
        assert_eq!(now, then, "who may call it has changed; if that is meant, run scripts/describe");
    }
    assert_eq!(
        matrix.lines().count(),
        committed.lines().count(),
        "there are other endpoints than before; run scripts/describe and look at {SNAPSHOT}"
    );
}

fn cell(answer: &Answer) -> String {
    match answer.body["code"].as_str() {
        Some(code) => format!("{} {code}", answer.status),
        None => answer.status.to_string(),
    }
}
