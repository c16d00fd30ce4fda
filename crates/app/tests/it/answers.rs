//! Tests of answer workers: two instances in one process, on one database, with the demo provider.

use std::{sync::Arc, time::Duration};

use app::App;
use appcore::{
    Clock, ConversationId, InstanceId, Language, MessageId,
    auth::Principal,
    config,
    event::{BusMessage, EventBus, Listener, MemoryBus},
    text::{ClientId, Content},
    view::{ConversationKind, Message, MessageStatus},
};
use assistants::answering;
use conversations::{self, NewConversation, messages};
use dbcontext::Database;
use event_log::events::{Actor, AnswerOptions, SendMessage};
use identity::accounts::{self, Device, SignUp};
use migration::{Migrator, MigratorTrait};
use platform::Core;
use serde_json::Value;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(20);

/// Database and bus that several instances share.
struct Cluster {
    folder: TempDir,
    db: Database,
    bus: Arc<MemoryBus>,
}

/// User with a chat and an event stream.
struct Reader {
    app: Arc<App>,
    by: Principal,
    chat: ConversationId,
    envelope: Listener,
}

impl Cluster {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/natter.db", folder.path().display());
        let db = Database::connect(&url, 1).await.unwrap();
        Migrator::up(db.schema(), None).await.unwrap();
        Self { folder, db, bus: Arc::new(MemoryBus::new()) }
    }

    async fn instance(&self) -> Arc<App> {
        let data_dir = self.folder.path().as_os_str().to_owned();
        let loaded = config::load_core(None, [("NATTER__SERVER__DATA_DIR".into(), data_dir)]).unwrap();
        let bus: Arc<dyn EventBus> = Arc::clone(&self.bus) as _;
        let (config, clock) = (Arc::new(loaded.config), Clock::system());
        let core = Core::build(config, InstanceId::new(), clock, self.db.clone(), bus, None).await.unwrap();
        App::build(core).await.unwrap()
    }

    async fn reader(&self, app: Arc<App>) -> Reader {
        let new = SignUp {
            email: "anna@example.test".into(),
            password: "Correct-Horse-9-Battery".into(),
            display_name: "Anna".into(),
            invitation: None,
            setup_token: None,
            language: Language::En,
        };
        let tokens = accounts::signup(&app.identity, new, Device::new(None, None)).await.unwrap();
        let by = accounts::authenticate(&app.identity, tokens.access_token.expose()).await.unwrap();
        let new = NewConversation {
            kind: ConversationKind::Assistant,
            topic: None,
            posting: None,
            mention_all: None,
            history: None,
            title: None,
            workspace_id: None,
            member_ids: Vec::new(),
            assistant_id: None,
            client_id: None,
        };
        let chat = conversations::create(&app.conversations, &by, new).await.unwrap().0.id;
        Reader { app, by, chat, envelope: self.bus.subscribe() }
    }
}

impl Reader {
    async fn ask(&mut self, client_id: &str) -> MessageId {
        let by = Actor { conversation_id: self.chat, user_id: self.by.user_id };
        let send = SendMessage {
            client_id: ClientId::parse(client_id).unwrap(),
            content: Content::parse("Hello?", 5_000).unwrap(),
            reply_to: None,
            mentions: Vec::new(),
            here_recipients: Vec::new(),
            attachments: Vec::new(),
            thread: None,
            forwarded: None,
            has_previews: true,
            poll: None,
            asking: AnswerOptions::default(),
        };
        messages::send(&self.app.conversations, by, send, false).await.unwrap();
        self.hear("message.created").await;
        let created = self.hear("message.created").await;
        assert_eq!(created["message"]["sender"]["kind"], "assistant");
        created["message"]["id"].as_str().unwrap().parse().unwrap()
    }

    /// Returns the next event of this kind; events of other kinds are skipped.
    async fn hear(&mut self, kind: &str) -> Value {
        loop {
            let message =
                tokio::time::timeout(PATIENCE, self.envelope.recv()).await.expect("event within the timeout").unwrap();
            let BusMessage::Envelope(envelope) = message else { continue };
            if envelope.kind == kind {
                return serde_json::from_slice(&envelope.payload).unwrap();
            }
            assert!(
                !envelope.kind.starts_with("message.") || envelope.kind == "message.delta",
                "{} came before {kind}",
                envelope.kind
            );
        }
    }

    async fn message(&self, id: MessageId) -> Message {
        messages::find(&self.app.conversations, &self.by, id).await.unwrap()
    }
}

#[tokio::test]
async fn streams_an_answer_and_finishes_once() {
    let place = Cluster::new().await;
    let mut reader = place.reader(place.instance().await).await;
    let workers = [place.instance().await.start_workers(), place.instance().await.start_workers()];
    let answer = reader.ask("1").await;
    let first = reader.hear("message.delta").await;
    assert_eq!((&first["offset"], &first["text"]), (&0.into(), &"Hello. ".into()));
    let completed = reader.hear("message.completed").await;
    assert!(completed["message"]["content"].as_str().unwrap().contains("> Hello?"));
    assert_eq!(reader.message(answer).await.status, MessageStatus::Complete);
    for workers in workers {
        workers.drain().await;
    }
    while let Ok(message) = reader.envelope.try_recv() {
        if let BusMessage::Envelope(envelope) = &message {
            assert_eq!(envelope.kind, "conversation.updated", "answered twice: {message:?}");
        }
    }
}

#[tokio::test]
async fn stopping_keeps_the_partial_answer() {
    let place = Cluster::new().await;
    let mut reader = place.reader(place.instance().await).await;
    let _workers = reader.app.start_workers();
    let answer = reader.ask("1").await;
    reader.hear("message.delta").await;
    answering::stop(&reader.app.assistants, &reader.by, answer).await.unwrap();
    let completed = reader.hear("message.completed").await;
    assert_eq!(completed["message"]["status"], "stopped");
    assert!(completed["message"]["content"].as_str().unwrap().starts_with("Hello. "));
    assert!(reader.message(answer).await.content.len() < 200);
}

#[tokio::test]
async fn draining_hands_the_answer_to_another_instance() {
    let place = Cluster::new().await;
    let mut reader = place.reader(place.instance().await).await;
    let first = place.instance().await.start_workers();
    let answer = reader.ask("1").await;
    reader.hear("message.delta").await;
    first.drain().await;
    let kept = reader.message(answer).await.content;
    assert!(kept.starts_with("Hello. "), "the streamed text is kept");
    let _second = place.instance().await.start_workers();
    // The old text stays until the text of the other instance is longer.
    let updated = reader.hear("message.updated").await;
    assert_eq!(updated["message"]["status"], "streaming");
    let overtaken = updated["message"]["content"].as_str().unwrap().to_owned();
    assert!(overtaken.starts_with(&kept), "{overtaken:?} after {kept:?}");
    let completed = reader.hear("message.completed").await;
    assert_eq!(completed["message"]["id"], answer.to_string());
    assert!(completed["message"]["content"].as_str().unwrap().starts_with(&overtaken));
}
