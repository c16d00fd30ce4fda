//! Instances that are killed while a tool is running.

use support::{Behaviour, Setup, UpstreamKind, Value, json, wait_until};

use super::Tools;

/// Waits until another worker has completed the answer.
async fn answered(tools: &mut Tools) -> Value {
    let is_over = || async {
        let history = tools.chat.anna.history(&tools.chat.id).await;
        history.last().is_some_and(|message| message["status"] == "complete")
    };
    wait_until("another worker completes the answer", is_over).await;
    tools.chat.answers().await.remove(0)
}

#[tokio::test]
async fn does_not_repeat_calls_with_side_effects() {
    let mut tools = Tools::start(Setup::new(), UpstreamKind::OpenAi).await;
    tools.set_mode("hold", "auto").await;
    tools.chat.upstream.then(Behaviour::call_tool("Odd__hold", json!({})));
    tools.chat.upstream.always(Behaviour::answer("I don't know whether it happened."));
    tools.chat.ask("Do it").await;
    tools.told("running").await;
    wait_until("the tool takes effect", || std::future::ready(tools.odd.effects().len() == 1)).await;
    tools.chat.app.instances[0].kill().await;
    tools.chat.app.instances[0].start_again().await;
    let message = answered(&mut tools).await;
    assert_eq!(message["tool_calls"][0]["status"], "interrupted", "{message}");
    assert_eq!(tools.odd.effects(), ["held"], "once");
    let told = tools.chat.upstream.asked().last().unwrap().body.to_string();
    assert!(told.contains("It may or may not have taken effect"), "{told}");
}

#[tokio::test]
async fn repeats_read_only_calls_after_a_restart() {
    let mut tools = Tools::start(Setup::new(), UpstreamKind::OpenAi).await;
    tools.chat.upstream.then(Behaviour::call_tool("Odd__look", json!({})));
    tools.chat.upstream.always(Behaviour::answer("I saw it."));
    tools.chat.ask("Look").await;
    tools.told("running").await;
    wait_until("the tool is called", || std::future::ready(tools.odd.looks() == 1)).await;
    tools.chat.app.instances[0].kill().await;
    tools.odd.release();
    tools.chat.app.instances[0].start_again().await;
    let message = answered(&mut tools).await;
    let call = &message["tool_calls"][0];
    assert_eq!((&call["status"], &call["result"]), (&json!("done"), &json!("Seen.")), "{message}");
    assert_eq!(tools.odd.looks(), 2);
}

#[tokio::test]
async fn read_only_claims_of_a_server_are_not_trusted() {
    let mut tools = Tools::start(Setup::new(), UpstreamKind::OpenAi).await;
    tools.set_mode("look", "ask").await;
    tools.chat.upstream.then(Behaviour::call_tool("Odd__look", json!({})));
    tools.chat.upstream.always(Behaviour::answer("I don't know what I saw."));
    let answer = tools.chat.ask("Look").await;
    let call = tools.told("waiting").await;
    let path = format!("/r1/messages/{answer}/tool_calls/{}", call["id"].as_str().unwrap());
    tools.chat.anna.post(&path, json!({ "decision": "allow" })).await.data();
    wait_until("the tool is called", || std::future::ready(tools.odd.looks() == 1)).await;
    tools.chat.app.instances[0].kill().await;
    tools.odd.release();
    tools.chat.app.instances[0].start_again().await;
    let message = answered(&mut tools).await;
    assert_eq!(message["tool_calls"][0]["status"], "interrupted", "{message}");
    assert_eq!(tools.odd.looks(), 1);
}

#[tokio::test]
async fn a_stopping_instance_finishes_its_call() {
    let mut tools = Tools::start(Setup::new(), UpstreamKind::OpenAi).await;
    tools.set_mode("hold", "auto").await;
    tools.chat.upstream.then(Behaviour::call_tool("Odd__hold", json!({})));
    tools.chat.upstream.always(Behaviour::answer("Done."));
    tools.chat.ask("Do it").await;
    wait_until("the tool takes effect", || std::future::ready(tools.odd.effects().len() == 1)).await;
    tools.chat.app.instances[0].ask_to_stop();
    tools.odd.release();
    tools.chat.app.instances[0].ended().await;
    tools.chat.app.instances[0].start_again().await;
    let message = answered(&mut tools).await;
    assert_eq!(message["tool_calls"][0]["result"], "Released.", "{message}");
    assert_eq!(tools.odd.effects(), ["held"]);
}
