//! Addressing assistants: which one answers, with which model, and in which context.

use reqwest::Method;
use support::{Application, Behaviour, Member, Setup, Socket, Upstream, UpstreamKind, Value, json, new_id};

use super::{Chat, begun};

#[tokio::test]
async fn uses_the_model_chosen_per_question_answer_and_chat() {
    let mut chat = Chat::start(Setup::new(), UpstreamKind::OpenAi).await;
    let messages = format!("/r1/conversations/{}/messages", chat.id);
    let asked_model = |chat: &Chat| chat.upstream.asked().last().unwrap().body["model"].clone();
    let question = json!({ "client_id": "c1", "content": "Hello?", "model": "large" });
    chat.anna.post(&messages, question).await.data_with(201);
    let answer = begun(&mut chat.socket, &chat.id).await;
    assert_eq!(chat.ended("message.completed").await["message"]["model"], "large");
    assert_eq!(asked_model(&chat), "large");
    // The answer is generated again with another model. Both versions are kept.
    let again = json!({ "model": "small" });
    let restarted = chat.anna.post(&format!("/r1/messages/{answer}/regenerate"), again).await.data();
    assert_eq!((&restarted["status"], &restarted["model"]), (&json!("streaming"), &json!("small")));
    let ended = chat.ended("message.completed").await;
    assert_eq!((&ended["message"]["model"], &asked_model(&chat)), (&json!("small"), &json!("small")));
    let back = chat.anna.put(&format!("/r1/messages/{answer}/version"), json!({ "index": 1 })).await.data();
    assert_eq!(back["model"], "large");
    // The model is set for the chat and then reset.
    let path = format!("/r1/conversations/{}", chat.id);
    assert_eq!(chat.anna.patch(&path, json!({ "model": "large" })).await.data()["model"], "large");
    let told = |frame: &support::Frame| frame.kind == "conversation.updated" && frame.payload["model"] == "large";
    chat.socket.find("the chat's model", told).await;
    let sent = json!({ "conversation_id": chat.id, "client_id": "c2", "content": "And now?" });
    chat.socket.request("message.send", sent).await;
    chat.ended("message.completed").await;
    assert_eq!(asked_model(&chat), "large");
    let sent = json!({ "conversation_id": chat.id, "client_id": "c3", "content": "And now?", "model": "small" });
    chat.socket.request("message.send", sent).await;
    chat.ended("message.completed").await;
    assert_eq!(asked_model(&chat), "small");
    assert!(chat.anna.patch(&path, json!({ "model": null })).await.data().get("model").is_none());

    let unknown = json!({ "client_id": "c4", "content": "Hello?", "model": "no-such-model" });
    chat.anna.post(&messages, unknown).await.names_field("model");
    chat.anna.patch(&path, json!({ "model": "no-such-model" })).await.names_field("model");
    chat.anna.post(&format!("/r1/messages/{answer}/regenerate"), json!({ "model": "none" })).await.names_field("model");
    let (ben, cara) = (chat.app.sign_up("Ben").await, chat.app.sign_up("Cara").await);
    let group = chat.anna.open_group("Team", &[&ben, &cara]).await;
    chat.anna
        .patch(&format!("/r1/conversations/{group}"), json!({ "model": "large" }))
        .await
        .refused(409, "wrong_state");
}

#[tokio::test]
async fn an_assistant_with_a_fixed_model_ignores_the_chosen_one() {
    let mut chat = Chat::start(Setup::new(), UpstreamKind::OpenAi).await;
    let new = json!({ "name": "Ada", "model": "large", "model_choice": false });
    let ada = chat.anna.post("/r1/assistants", new).await.data_with(201);
    let new = json!({ "kind": "assistant", "assistant_id": ada["id"] });
    chat.id = chat.anna.post("/r1/conversations", new).await.data_with(201)["id"].as_str().unwrap().to_owned();
    let question = json!({ "client_id": "c1", "content": "Hello?", "model": "small" });
    chat.anna.post(&format!("/r1/conversations/{}/messages", chat.id), question).await.data_with(201);
    chat.ended("message.completed").await;
    assert_eq!(chat.upstream.asked()[0].body["model"], "large");
}

#[tokio::test]
async fn routes_answers_of_models_defined_by_an_administrator() {
    let (first, spare) = (Upstream::start(UpstreamKind::OpenAi).await, Upstream::start(UpstreamKind::Anthropic).await);
    let setup = Setup::new()
        .provider(&first)
        .set("ai.providers.spare.kind", "anthropic")
        .set("ai.providers.spare.base_url", spare.url())
        .set("ai.providers.spare.keys", "key-two")
        .set("ai.providers.spare.models", "haiku");
    let app = setup.start().await;
    let (admin, anna) = (app.admin().await, app.sign_up("Anna").await);
    let model = json!({
        "aliases": ["quick"],
        "deployments": [
            { "provider": "fake", "model": "tuned", "weight": 1, "priority": 0 },
            { "provider": "spare", "model": "claude", "weight": 1, "priority": 1 },
        ],
        "price": { "input": 1_000_000, "output": 1_000_000 },
    });
    admin.put("/r1/admin/models/house", model.clone()).await.data();
    let chat = anna.open_assistant().await;
    let mut socket = anna.connect().await;
    let path = format!("/r1/conversations/{chat}/messages");
    first.then(Behaviour::Refuse(500, None));
    let question = json!({ "client_id": "c1", "content": "Hello?", "model": "quick" });
    anna.post(&path, question).await.data_with(201);
    let message = socket.expect_in("message.completed", &chat).await.payload["message"].clone();
    assert_eq!(message["model"], "house");
    assert_eq!((&first.asked()[0].body["model"], &spare.asked()[0].body["model"]), (&json!("tuned"), &json!("claude")));
    let row = anna.get("/r1/usage/requests").await.data()["items"][0].clone();
    assert_eq!((&row["asked_model"], &row["deployment"]), (&json!("house"), &json!("spare")));
    assert_eq!((&row["model"], &row["tries"]), (&json!("claude"), &json!(2)));
    assert_eq!((&message["answer"]["cost"], row["cost"].as_i64() > Some(0)), (&row["cost"], true), "{row}");
    // The same applies to the assistant of the chat. The default model may be one that an
    // administrator has defined.
    anna.post("/r1/assistants", json!({ "name": "Ada", "model": "house" })).await.data_with(201);
    admin.put("/r1/admin/models/small", model).await.names_field("aliases");
    let deployments = json!([{ "provider": "spare", "model": "claude", "weight": 1, "priority": 0 }]);
    admin.put("/r1/admin/models/small", json!({ "deployments": deployments })).await.data();
    anna.send_message(&chat, "And now?").await;
    socket.expect_in("message.completed", &chat).await;
    assert_eq!((first.asked().len(), spare.asked().len()), (1, 2));
    // If the model was deleted, the answer states that.
    admin.delete("/r1/admin/models/house").await.data();
    let question = json!({ "client_id": "c2", "content": "Hello?", "model": "house" });
    anna.post(&path, question).await.names_field("model");
}

#[tokio::test]
async fn includes_the_profile_of_a_non_member_assistant_in_its_message() {
    let team = Team::start().await;
    let picture = json!({ "glyph": "🦊", "hue": 20 });
    team.assistant(&team.anna, json!({ "name": "Ada", "picture": picture })).await;
    let group = team
        .open(&team.anna, json!({ "kind": "group", "title": "Three", "member_ids": [team.ben.id, team.guest.id] }))
        .await;
    let mut socket = team.ben.connect().await;
    team.anna.send_message(&group, "Who is it, @Ada?").await;
    begun(&mut socket, &group).await;
    let completed = socket.expect_in("message.completed", &group).await.payload["message"].clone();
    assert_eq!(completed["sender"]["picture"], picture);
    let history = team.ben.history(&group).await;
    assert_eq!((&history[1]["sender"], history[0]["sender"].get("picture")), (&completed["sender"], None));
}

/// Anna, Ben and a guest, in a workspace with an AI provider.
struct Team {
    app: Application,
    upstream: Upstream,
    anna: Member,
    ben: Member,
    guest: Member,
    id: String,
}

impl Team {
    async fn start() -> Self {
        let upstream = Upstream::start(UpstreamKind::OpenAi).await;
        let app = Setup::new().provider(&upstream).start().await;
        let (anna, ben, guest) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Gus").await);
        let team = anna.post("/r1/workspaces", json!({ "name": "Harbour" })).await.data_with(201);
        let id = team["id"].as_str().unwrap().to_owned();
        for (person, role) in [(&ben, "member"), (&guest, "guest")] {
            let body = json!({ "user_id": person.id, "role": role });
            anna.post(&format!("/r1/workspaces/{id}/members"), body).await.data_with(201);
        }
        Self { app, upstream, anna, ben, guest, id }
    }

    async fn open(&self, by: &Member, mut body: Value) -> String {
        body["workspace_id"] = json!(self.id);
        by.post("/r1/conversations", body).await.data_with(201)["id"].as_str().unwrap().to_owned()
    }

    async fn assistant(&self, by: &Member, mut body: Value) -> Value {
        body["workspace_id"] = json!(self.id);
        by.post("/r1/assistants", body).await.data_with(201)["id"].clone()
    }

    /// Returns the assistant that has answered, and the request that the provider received.
    async fn answered(&self, socket: &mut Socket, conversation: &str) -> (String, Value) {
        begun(socket, conversation).await;
        let completed = socket.expect_in("message.completed", conversation).await;
        let sender = completed.payload["message"]["sender"]["name"].as_str().unwrap().to_owned();
        (sender, self.upstream.asked().last().unwrap().body["messages"].clone())
    }
}

#[tokio::test]
async fn answers_mentions_of_a_workspace_assistant_in_any_conversation() {
    let team = Team::start().await;
    let ada = team.assistant(&team.anna, json!({ "name": "Ada Lovelace" })).await;
    let conversations = [
        json!({ "kind": "public_channel", "title": "harbour", "member_ids": [team.ben.id] }),
        json!({ "kind": "private_channel", "title": "quay", "member_ids": [team.ben.id] }),
        json!({ "kind": "group", "title": "Three", "member_ids": [team.ben.id, team.guest.id] }),
        json!({ "kind": "single", "member_ids": [team.ben.id] }),
    ];
    let mut socket = team.ben.connect().await;
    for new in conversations {
        let kind = new["kind"].clone();
        let id = team.open(&team.anna, new).await;
        team.ben.send_message(&id, "The tide is at six.").await;
        team.anna.send_message(&id, "When is it, @ada lovelace?").await;
        let (sender, asked) = team.answered(&mut socket, &id).await;
        assert_eq!(sender, "Ada Lovelace", "{kind}");
        assert_eq!(asked[1]["content"], "Ben: The tide is at six.\n\nAnna: When is it, @ada lovelace?", "{kind}");
        // An assistant can also be mentioned by its id, without its name in the text.
        let mention = json!([{ "kind": "assistant", "id": ada }]);
        let body = json!({ "client_id": "m1", "content": "And now?", "mentions": mention });
        team.ben.post(&format!("/r1/conversations/{id}/messages"), body).await.data_with(201);
        assert_eq!(team.answered(&mut socket, &id).await.0, "Ada Lovelace", "{kind}");
        assert!(team.anna.conversation(&id).await.get("assistants").is_none(), "the assistant became a member");
    }
}

#[tokio::test]
async fn answers_a_mention_in_a_thread_inside_the_thread() {
    let team = Team::start().await;
    let new = json!({ "kind": "public_channel", "title": "harbour", "member_ids": [team.ben.id] });
    let channel = team.open(&team.anna, new).await;
    let mut socket = team.ben.connect().await;
    team.anna.send_message(&channel, "A heron stands on the quay.").await;
    let root = team.anna.send_message(&channel, "When is the tide?").await;
    let reply = async |by: &Member, content: &str| {
        let body = json!({ "client_id": new_id(), "content": content, "thread_id": root["id"] });
        by.post(&format!("/r1/conversations/{channel}/messages"), body).await.data_with(201)
    };
    reply(&team.ben, "At six, I think.").await;
    let question = reply(&team.anna, "Is it, @Quill?").await;
    let answer = begun(&mut socket, &channel).await;
    let done = socket.expect_in("message.completed", &channel).await.payload["message"].clone();
    assert_eq!((&done["id"], &done["thread_id"], &done["reply_to"]), (&json!(answer), &root["id"], &question["id"]));
    assert_eq!(done["no"], 3);
    // The model has received the thread, but nothing else from the channel.
    let asked = team.upstream.asked().last().unwrap().body["messages"].to_string();
    assert!(asked.contains("When is the tide?") && asked.contains("At six, I think."), "{asked}");
    assert!(!asked.contains("heron"), "{asked}");
    // The answer counts as a reply in the thread, not as a message of the main conversation.
    let thread = team.ben.get(&format!("/r1/messages/{}/thread", root["id"].as_str().unwrap())).await.data();
    assert_eq!((&thread["root"]["thread"]["reply_count"], &thread["items"][2]["id"]), (&json!(3), &done["id"]));
    let who = json!({ "kind": "assistant", "id": done["sender"]["id"] });
    assert!(thread["root"]["thread"]["participants"].as_array().unwrap().contains(&who), "{thread}");
    assert_eq!(team.ben.history(&channel).await.last().unwrap()["id"], root["id"]);
    for (who, unread) in [(&team.ben, 2), (&team.anna, 1)] {
        let waiting = who.get("/r1/threads?filter=unread").await.data();
        assert_eq!((&waiting["total"], &waiting["items"][0]["unread"]), (&json!(1), &json!(unread)), "{}", who.name);
    }
}

#[tokio::test]
async fn a_mention_addresses_only_assistants_the_author_may_use() {
    let team = Team::start().await;
    team.assistant(&team.anna, json!({ "name": "Quiet", "answers_mentions": false })).await;
    team.assistant(&team.anna, json!({ "name": "Diary", "visibility": "private" })).await;
    let shared = team.assistant(&team.anna, json!({ "name": "Ada" })).await;
    let elsewhere = team.app.sign_up("Mallory").await;
    let foreign = elsewhere.post("/r1/assistants", json!({ "name": "Spy" })).await.data_with(201)["id"].clone();
    let group = team
        .open(&team.anna, json!({ "kind": "group", "title": "All", "member_ids": [team.ben.id, team.guest.id] }))
        .await;
    let path = format!("/r1/conversations/{group}/messages");
    let say = async |by: &Member, client_id: &str, content: &str, id: &Value| {
        let mentions = if id.is_null() { json!([]) } else { json!([{ "kind": "assistant", "id": id }]) };
        let body = json!({ "client_id": client_id, "content": content, "mentions": mentions });
        by.post(&path, body).await.data_with(201);
    };
    say(&team.ben, "b1", "@Quiet @Diary @Spy, anybody?", &json!(null)).await;
    say(&team.ben, "b2", "You?", &foreign).await;
    // Names in code, quotes, links and email addresses are not mentions.
    say(&team.ben, "b3", "`@Ada`, [@Ada](https://a.example), npm i @ada/utils\n\n> @Ada", &json!(null)).await;
    say(&team.guest, "g1", "@Ada?", &shared).await;
    say(&team.guest, "g2", "@Quill?", &json!(null)).await;
    assert_eq!(team.app.database.number("SELECT count(*) FROM jobs WHERE kind = 'answer'").await, 0);
    let mut socket = team.ben.connect().await;
    say(&team.anna, "a1", "@Diary?", &json!(null)).await;
    assert_eq!(team.answered(&mut socket, &group).await.0, "Diary", "its creator may ask it anywhere");
    // After the assistant is added to the conversation, the guest can see it.
    let added = json!({ "assistant_id": shared });
    team.anna.post(&format!("/r1/conversations/{group}/members"), added).await.data_with(201);
    say(&team.guest, "g3", "@Ada?", &json!(null)).await;
    assert_eq!(team.answered(&mut socket, &group).await.0, "Ada");
    // In scripts without spaces, other words may directly follow a name, and a name may itself be a
    // word. All Unicode normalisation forms are recognised.
    let named = team.assistant(&team.anna, json!({ "name": "김비서" })).await;
    assert!(named.is_string());
    say(&team.ben, "b4", "请@Ada看看", &json!(null)).await;
    assert_eq!(team.answered(&mut socket, &group).await.0, "Ada");
    let decomposed = "@\u{1100}\u{1175}\u{11b7}\u{1107}\u{1175}\u{1109}\u{1165}야";
    say(&team.ben, "b5", decomposed, &json!(null)).await;
    assert_eq!(team.answered(&mut socket, &group).await.0, "김비서");
}

#[tokio::test]
async fn an_assistant_reads_only_the_conversation_it_is_asked_in() {
    let team = Team::start().await;
    let channel = team
        .open(&team.anna, json!({ "kind": "public_channel", "title": "harbour", "member_ids": [team.ben.id] }))
        .await;
    let secret = team.open(&team.anna, json!({ "kind": "private_channel", "title": "quay" })).await;
    team.anna.send_message(&secret, "The code word is heron.").await;
    let mut socket = team.ben.connect().await;
    team.ben.send_message(&channel, "@Quill, what is the code word?").await;
    let (_, asked) = team.answered(&mut socket, &channel).await;
    assert!(!asked.to_string().contains("heron"), "{asked}");
    let deleted = team.anna.send_message(&channel, "It was heron.").await;
    team.anna.delete(&format!("/r1/messages/{}", deleted["id"].as_str().unwrap())).await.data();
    team.ben.send_message(&channel, "@Quill, and now?").await;
    let (_, asked) = team.answered(&mut socket, &channel).await;
    assert!(!asked.to_string().contains("heron"), "{asked}");
}

#[tokio::test]
async fn tells_the_model_the_country_named_by_a_trusted_proxy() {
    let setup = Setup::new().set("server.trusted_proxies", "127.0.0.0/8");
    for (setup, is_told) in [(setup, true), (Setup::new(), false)] {
        let mut chat = Chat::start(setup, UpstreamKind::OpenAi).await;
        let body = json!({ "client_id": "c1", "content": "How far is it?" });
        chat.upstream.then(Behaviour::answer("Far."));
        let path = format!("/r1/conversations/{}/messages", chat.id);
        let question = chat.anna.request(Method::POST, &path).header("CF-IPCountry", "VN").json(&body);
        chat.anna.send(question).await.data_with(201);
        chat.ended("message.completed").await;
        let system = chat.upstream.asked()[0].body["messages"][0]["content"].as_str().unwrap().to_owned();
        assert_eq!(system.contains("code VN"), is_told, "{system}");
    }
}

#[tokio::test]
async fn personal_instructions_apply_only_to_private_assistant_chats() {
    let mut chat = Chat::start(Setup::new(), UpstreamKind::OpenAi).await;
    let path = "/r1/users/me/instructions";
    // True if the model has received the instructions with this question.
    let is_told = |chat: &Chat, question: &str| {
        let asked: Vec<String> = chat.upstream.asked().iter().map(|asked| asked.body["messages"].to_string()).collect();
        let asked: Vec<&String> = asked.iter().filter(|asked| asked.contains(question)).collect();
        assert!(!asked.is_empty(), "the model did not receive {question}");
        asked.iter().any(|asked| asked.contains("Answer in rhymes, {{date}}."))
    };
    assert_eq!(chat.anna.get(path).await.data(), json!({ "instructions": "" }));
    let wishes = json!({ "instructions": " Answer in rhymes, {{date}}. " });
    let kept = json!({ "instructions": "Answer in rhymes, {{date}}." });
    assert_eq!(chat.anna.put(path, wishes).await.data(), kept);
    assert_eq!(chat.anna.get(path).await.data(), kept);
    chat.ask("Hello?").await;
    chat.ended("message.completed").await;
    assert!(is_told(&chat, "Hello?"));

    // The instructions are not used where other users read the answer.
    let (ben, cara) = (chat.app.sign_up("Ben").await, chat.app.sign_up("Cara").await);
    let group = chat.anna.open_group("All", &[&ben, &cara]).await;
    chat.anna.send_message(&group, "And here, @Quill?").await;
    chat.socket.expect_in("message.completed", &group).await;
    assert!(!is_told(&chat, "And here, @Quill?"));
    // Other users can't read the instructions.
    assert_eq!(ben.get(path).await.data(), json!({ "instructions": "" }));

    chat.anna.put(path, json!({ "instructions": "x".repeat(2_001) })).await.names_field("instructions");
    let export = chat.anna.get("/r1/users/me/export").await;
    assert!(export.text().contains("Answer in rhymes"), "the export includes the instructions");
    chat.anna.put(path, json!({ "instructions": "" })).await.data();
    chat.ask("And now?").await;
    chat.ended("message.completed").await;
    assert!(!is_told(&chat, "And now?"));
}
