//! Tool calls if the instance that runs them is killed and another one is running.

use support::{Behaviour, Setup, UpstreamKind, json, wait_until};

use super::Tools;

/// A lease lasts ten seconds. The other instance detects the death earlier, and it repeats no call
/// that may have taken effect.
#[tokio::test]
async fn another_instance_does_not_repeat_a_killed_instances_call() {
    let mut tools = Tools::start(Setup::new().instances(2), UpstreamKind::OpenAi).await;
    tools.set_mode("hold", "auto").await;
    let urls: Vec<String> = tools.chat.app.instances.iter().map(|instance| instance.url()).collect();
    let mut sockets = Vec::new();
    for url in &urls {
        sockets.push(tools.chat.anna.at(url).connect().await);
    }
    tools.chat.upstream.then(Behaviour::call_tool("Odd__hold", json!({})));
    tools.chat.upstream.always(Behaviour::answer("I don't know whether it happened."));
    tools.chat.anna.send_message(&tools.chat.id, "Do it").await;
    wait_until("the tool takes effect", || std::future::ready(tools.odd.effects().len() == 1)).await;
    let mut writer = None;
    for (place, socket) in sockets.iter().enumerate() {
        let instance = socket.hello["instance_id"].as_str().unwrap();
        let leased = format!("SELECT count(*) FROM jobs WHERE status = 'running' AND leased_by = '{instance}'");
        if tools.chat.app.database.number(&leased).await == 1 {
            writer = Some(place);
        }
    }
    let writer = writer.expect("one instance writes it");
    // Makes the lease last so long that it doesn't expire during the test.
    tools.chat.app.database.run("UPDATE jobs SET due_at = due_at + 3600000 WHERE status = 'running'").await;
    tools.chat.app.instances[writer].kill().await;
    let ended = sockets[1 - writer].expect_in("message.completed", &tools.chat.id).await;
    let message = &ended.payload["message"];
    assert_eq!(message["tool_calls"][0]["status"], "interrupted", "{message}");
    assert_eq!(tools.odd.effects(), ["held"], "once");
    let told = tools.chat.upstream.asked().last().unwrap().body.to_string();
    assert!(told.contains("It may or may not have taken effect"), "{told}");
}
