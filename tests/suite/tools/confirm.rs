//! Confirmation of tool calls by the user who has asked.

use support::{Behaviour, Setup, UpstreamKind, json, wait_until};

use super::Tools;

fn path(message: &str, call: &support::Value) -> String {
    format!("/r1/messages/{message}/tool_calls/{}", call["id"].as_str().unwrap())
}

#[tokio::test]
async fn a_call_waits_for_the_askers_confirmation() {
    let mut tools = Tools::start(Setup::new(), UpstreamKind::OpenAi).await;
    tools.will_call(&[("pay", json!({ "to": "Ben" })), ("add", json!({ "a": 1, "b": 1 }))]);
    let answer = tools.chat.ask("Pay Ben").await;
    let call = tools.told("waiting").await;
    assert_eq!((&call["asker_id"], call["expires_at"].is_string()), (&json!(tools.chat.anna.id), true), "{call}");
    let shown = tools.chat.message(&answer).await;
    assert_eq!((&shown["status"], &shown["tool_calls"][0]["status"]), (&json!("streaming"), &json!("waiting")));
    let stranger = tools.chat.app.sign_up("Mallory").await;
    let allow = json!({ "decision": "allow" });
    stranger.post(&path(&answer, &call), allow.clone()).await.refused(404, "not_found");
    assert!(tools.odd.effects().is_empty());
    let decided = tools.chat.anna.post(&path(&answer, &call), allow.clone()).await.data();
    assert_eq!(decided["status"], "queued");
    let message = tools.chat.ended("message.completed").await["message"].clone();
    assert_eq!(tools.odd.effects(), ["paid Ben"]);
    assert_eq!(
        (&message["tool_calls"][0]["result"], &message["content"]),
        (&json!("Paid Ben."), &json!("That is it."))
    );
    assert_eq!(message["tool_calls"][1]["status"], "done");
    tools.chat.anna.post(&path(&answer, &call), allow).await.refused(409, "wrong_state");
}

#[tokio::test]
async fn calls_without_confirmation_run_while_another_waits() {
    let mut tools = Tools::start(Setup::new(), UpstreamKind::OpenAi).await;
    tools.will_call(&[("pay", json!({ "to": "Ben" })), ("add", json!({ "a": 1, "b": 1 }))]);
    let answer = tools.chat.ask("Pay Ben").await;
    let pay = tools.told("waiting").await;
    let add = tools.told("done").await;
    assert_eq!((&add["tool"], &add["result"]), (&json!("add"), &json!("2")), "{add}");
    let shown = tools.chat.message(&answer).await;
    let statuses = [&shown["tool_calls"][0]["status"], &shown["tool_calls"][1]["status"]];
    assert_eq!(statuses, [&json!("waiting"), &json!("done")]);
    assert!(tools.odd.effects().is_empty());
    tools.chat.anna.post(&path(&answer, &pay), json!({ "decision": "allow" })).await.data();
    tools.chat.ended("message.completed").await;
    assert_eq!((tools.odd.effects(), tools.chat.upstream.asked().len()), (vec!["paid Ben".to_owned()], 2));
}

#[tokio::test]
async fn parallel_answers_have_separate_calls() {
    let mut tools = Tools::start(Setup::new(), UpstreamKind::OpenAi).await;
    tools.will_call(&[("add", json!({ "a": 1, "b": 1 }))]);
    let first = tools.answered().await;
    let message = format!("/r1/messages/{}", first["id"].as_str().unwrap());
    tools.will_call(&[("pay", json!({ "to": "Ben" }))]);
    let compared = tools.chat.anna.post(&format!("{message}/compare"), json!({ "model": "large" })).await;
    let second = compared.data_with(201)["id"].as_str().unwrap().to_owned();
    let call = tools.told("waiting").await;
    assert_eq!((&call["tool"], tools.odd.effects().len()), (&json!("pay"), 0));
    tools.chat.anna.post(&path(&second, &call), json!({ "decision": "allow" })).await.data();
    let anna = &tools.chat.anna;
    let is_kept = async || anna.get(&message).await.data()["versions"]["count"] == 2;
    wait_until("the second answer is a version of the first", is_kept).await;
    assert_eq!(tools.odd.effects(), ["paid Ben"]);
    let show = async |index: i64| anna.put(&format!("{message}/version"), json!({ "index": index })).await.data();
    let shown = show(2).await;
    let paid = &shown["tool_calls"][0];
    assert_eq!((&paid["result"], &shown["content"]), (&json!("Paid Ben."), &json!("That is it.")));
    let details = anna.get(&format!("{message}/details")).await.data();
    assert_eq!(details["tool_calls"][0]["result"], "Paid Ben.");
    assert_eq!(show(1).await["tool_calls"], first["tool_calls"]);
}

#[tokio::test]
async fn a_call_allowed_during_another_runs_afterwards() {
    let mut tools = Tools::start(Setup::new(), UpstreamKind::OpenAi).await;
    tools.will_call(&[("pay", json!({ "to": "Ben" })), ("look", json!({}))]);
    let answer = tools.chat.ask("Pay Ben").await;
    let pay = tools.told("waiting").await;
    tools.told("running").await;
    wait_until("the tool is called", || std::future::ready(tools.odd.looks() == 1)).await;
    tools.chat.anna.post(&path(&answer, &pay), json!({ "decision": "allow" })).await.data();
    tools.odd.release();
    let message = tools.chat.ended("message.completed").await["message"].clone();
    assert_eq!(tools.odd.effects(), ["paid Ben"]);
    assert_eq!((&message["tool_calls"][1]["result"], tools.odd.looks()), (&json!("Seen."), 1), "{message}");
}

#[tokio::test]
async fn an_allowed_call_runs_while_another_waits() {
    let mut tools = Tools::start(Setup::new(), UpstreamKind::OpenAi).await;
    tools.will_call(&[("pay", json!({ "to": "Ben" })), ("pay", json!({ "to": "Cara" }))]);
    let answer = tools.chat.ask("Pay them").await;
    let (first, second) = (tools.told("waiting").await, tools.told("waiting").await);
    for (call, paid) in [(&second, "paid Cara"), (&first, "paid Ben")] {
        tools.chat.anna.post(&path(&answer, call), json!({ "decision": "allow" })).await.data();
        let done = tools.told("done").await;
        assert_eq!((&done["id"], tools.odd.effects().last().unwrap().as_str()), (&call["id"], paid));
    }
    let message = tools.chat.ended("message.completed").await["message"].clone();
    assert_eq!((&message["content"], tools.odd.effects().len()), (&json!("That is it."), 2));
    assert_eq!(tools.chat.upstream.asked().len(), 2, "the model is called when all calls are decided");
}

#[tokio::test]
async fn a_denied_call_is_not_made_and_the_model_is_told() {
    let mut tools = Tools::start(Setup::new(), UpstreamKind::Anthropic).await;
    tools.will_call(&[("pay", json!({ "to": "Ben" }))]);
    let answer = tools.chat.ask("Pay Ben").await;
    let call = tools.told("waiting").await;
    tools.chat.anna.post(&path(&answer, &call), json!({ "decision": "deny" })).await.data();
    let message = tools.chat.ended("message.completed").await["message"].clone();
    assert_eq!(message["tool_calls"][0]["status"], "refused");
    assert!(tools.odd.effects().is_empty());
    assert!(tools.chat.upstream.asked()[1].body.to_string().contains("The person denied this call."));
}

#[tokio::test]
async fn only_the_asker_decides_on_a_call() {
    let mut tools = Tools::start(Setup::new(), UpstreamKind::OpenAi).await;
    let conversation = tools.chat.anna.conversation(&tools.chat.id).await;
    let (ben, cara) = (tools.chat.app.sign_up("Ben").await, tools.chat.app.sign_up("Cara").await);
    tools.chat.id = tools.chat.anna.open_group("Three", &[&ben, &cara]).await;
    let members = format!("/r1/conversations/{}/members", tools.chat.id);
    let ada = json!({ "assistant_id": conversation["assistants"][0]["id"] });
    tools.chat.anna.post(&members, ada).await.data_with(201);
    tools.will_call(&[("pay", json!({ "to": "Cara" }))]);
    let answer = tools.chat.ask("@Ada, pay Cara").await;
    let call = tools.told("waiting").await;
    ben.post(&path(&answer, &call), json!({ "decision": "allow" })).await.refused(403, "forbidden");
    assert!(tools.odd.effects().is_empty());
    tools.chat.anna.post(&path(&answer, &call), json!({ "decision": "allow" })).await.data();
    tools.chat.ended("message.completed").await;
    assert_eq!(tools.odd.effects(), ["paid Cara"]);
}

#[tokio::test]
async fn a_waiting_answer_can_be_stopped() {
    let mut tools = Tools::start(Setup::new(), UpstreamKind::OpenAi).await;
    tools.will_call(&[("pay", json!({ "to": "Ben" }))]);
    let answer = tools.chat.ask("Pay Ben").await;
    let call = tools.told("waiting").await;
    tools.chat.anna.post(&format!("/r1/messages/{answer}/stop"), json!({})).await.data();
    let message = tools.chat.ended("message.completed").await["message"].clone();
    assert_eq!((&message["status"], &message["tool_calls"][0]["status"]), (&json!("stopped"), &json!("stopped")));
    tools.chat.anna.post(&path(&answer, &call), json!({ "decision": "allow" })).await.refused(409, "wrong_state");
    assert!(tools.odd.effects().is_empty());
    let jobs = "SELECT count(*) FROM jobs WHERE kind = 'answer'";
    wait_until("no job is left", || async { tools.chat.app.database.number(jobs).await == 0 }).await;
}

#[tokio::test]
async fn an_undecided_call_expires() {
    let mut tools = Tools::start(Setup::new().set("mcp.confirm_timeout", 10), UpstreamKind::OpenAi).await;
    tools.will_call(&[("pay", json!({ "to": "Ben" }))]);
    tools.chat.ask("Pay Ben").await;
    tools.told("waiting").await;
    let message = tools.chat.ended("message.completed").await["message"].clone();
    assert_eq!(message["tool_calls"][0]["status"], "expired");
    assert!(tools.odd.effects().is_empty());
}

#[tokio::test]
async fn a_waiting_answer_survives_a_restart() {
    let mut tools = Tools::start(Setup::new(), UpstreamKind::OpenAi).await;
    tools.chat.upstream.then(Behaviour::call_tool("Odd__pay", json!({ "to": "Ben" })));
    let answer = tools.chat.ask("Pay Ben").await;
    let call = tools.told("waiting").await;
    tools.chat.app.instances[0].kill().await;
    tools.chat.app.instances[0].start_again().await;
    tools.chat.socket = tools.chat.anna.connect().await;
    tools.chat.upstream.then(Behaviour::answer("Paid."));
    tools.chat.anna.post(&path(&answer, &call), json!({ "decision": "allow" })).await.data();
    let message = tools.chat.ended("message.completed").await["message"].clone();
    assert_eq!((&message["id"], &message["content"]), (&json!(answer), &json!("Paid.")));
    assert_eq!(tools.odd.effects(), ["paid Ben"]);
}
