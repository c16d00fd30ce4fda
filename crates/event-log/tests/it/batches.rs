//! Tests of batching, and of commits whose outcome is unknown. On PostgreSQL (if
//! `NATTER_TEST_POSTGRES` is set), the writer connects through a proxy that records the queries and
//! can cut the connection.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use appcore::{
    Code, ConversationId, MessageId,
    event::{BusMessage, EventBus as _},
    text::{ClientId, Content},
};
use dbcontext::{Database, query};
use event_log::events::{
    AnswerOptions, Change, DeleteMessage, EditMessage, MemberAction, Outcome, SendMessage, UpdateConversation,
};
use sea_orm::{ConnectionTrait as _, TransactionTrait as _};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::fixture::{Fixture, each};

/// Proxy to PostgreSQL that records the queries and can cut connections.
#[derive(Clone, Default)]
struct Line {
    asked: Arc<Mutex<Vec<u8>>>,
    /// Text whose connection is cut: when a client sends it, the server executes the query, but the
    /// answer is dropped.
    cut_after: Arc<Mutex<Option<&'static str>>>,
}

impl Line {
    /// Returns the database URL through this proxy.
    async fn to(&self, url: &str) -> String {
        let (head, database) = url.rsplit_once('/').unwrap();
        let (before, server) = head.rsplit_once(['@', '/']).unwrap();
        let mark = &head[before.len()..=before.len()];
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (line, server) = (self.clone(), server.to_owned());
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let server = TcpStream::connect(&server).await.unwrap();
                tokio::spawn(line.clone().carry(client, server));
            }
        });
        format!("{before}{mark}{address}/{database}")
    }

    async fn carry(self, mut client: TcpStream, mut server: TcpStream) {
        let (mut from_client, mut from_server) = (vec![0; 65_536], vec![0; 65_536]);
        let mut is_cut = false;
        loop {
            tokio::select! {
                read = client.read(&mut from_client) => {
                    let Ok(length @ 1..) = read else { return };
                    let said = &from_client[..length];
                    is_cut |= self.hears(said);
                    if server.write_all(&from_client[..length]).await.is_err() {
                        return;
                    }
                }
                read = server.read(&mut from_server) => {
                    let Ok(length @ 1..) = read else { return };
                    if is_cut || client.write_all(&from_server[..length]).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// True if the connection must be cut after the server's answer to this message. Also records
    /// the message.
    fn hears(&self, said: &[u8]) -> bool {
        self.asked.lock().unwrap().extend_from_slice(said);
        let mut cut_after = self.cut_after.lock().unwrap();
        let is_it = cut_after.is_some_and(|text| said.windows(text.len()).any(|part| part == text.as_bytes()));
        if is_it {
            *cut_after = None;
        }
        is_it
    }

    fn cut_after(&self, text: &'static str) {
        *self.cut_after.lock().unwrap() = Some(text);
    }

    fn has_cut(&self) -> bool {
        self.cut_after.lock().unwrap().is_none()
    }

    /// Returns the queries recorded since the last call.
    fn asked(&self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut *self.asked.lock().unwrap())).into_owned()
    }
}

async fn by_line() -> Option<(Fixture, Line)> {
    let line = Line::default();
    let url = line.to(&stage::new_postgres_database().await?).await;
    Some((Fixture::on(Database::connect(&url, 4).await.unwrap(), None, true).await, line))
}

fn send(fixture: &Fixture, conversation_id: ConversationId, n: usize) -> Change {
    let send = SendMessage {
        client_id: ClientId::parse(format!("c{n}")).unwrap(),
        content: text("x"),
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
    MemberAction::Send(Box::new(send)).by_member(fixture.people[n % 3], conversation_id)
}

fn edit(fixture: &Fixture, conversation_id: ConversationId, message_id: MessageId, content: &str) -> Change {
    let (content, mentions, here) = (text(content), None, Vec::new());
    let edit = MemberAction::Edit(EditMessage { message_id, content, mentions, here_recipients: here });
    edit.by_member(fixture.people[0], conversation_id)
}

fn delete(fixture: &Fixture, conversation_id: ConversationId, message_id: MessageId) -> Change {
    MemberAction::Delete(DeleteMessage { message_id, has_more: false }).by_member(fixture.people[0], conversation_id)
}

fn text(content: &str) -> Content {
    Content::parse(content, 5_000).unwrap()
}

fn rename(fixture: &Fixture, conversation_id: ConversationId) -> Change {
    let update = MemberAction::Update(UpdateConversation {
        title: Some(Some("Another".to_owned())),
        posting: None,
        slow_mode_seconds: None,
        word_filter: None,
        entry: None,
        mention_all: None,
        topic: None,
        model: None,
    });
    update.by_member(fixture.people[0], conversation_id)
}

/// Submits all changes before the writer runs, so that they form one batch.
async fn submit_all(fixture: &Fixture, changes: Vec<Change>) -> Vec<Outcome> {
    let all = changes.into_iter().map(|change| fixture.writer.submit(change));
    futures_util::future::join_all(all).await.into_iter().map(Result::unwrap).collect()
}

async fn kinds(fixture: &Fixture, id: ConversationId) -> Vec<String> {
    let events = query::events::list_after(fixture.db.reader(), id, 0, 1_000).await.unwrap();
    events.into_iter().map(|event| event.kind).collect()
}

#[tokio::test]
async fn commits_edits_together_with_messages() {
    let Some((fixture, line)) = by_line().await else { return };
    let chat = fixture.open(&fixture.people).await;
    let first = fixture.send(chat, fixture.people[0], "first", "one").await.unwrap().message;
    line.asked();
    let mut changes: Vec<Change> = (0..20).map(|n| send(&fixture, chat, n)).collect();
    changes.insert(10, edit(&fixture, chat, first.id, "better"));
    changes.insert(15, edit(&fixture, chat, first.id, "best"));
    submit_all(&fixture, changes).await;
    let asked = line.asked();
    assert!(!asked.contains("BEGIN"), "no transaction is held open for an edit");
    let expected: Vec<&str> =
        [vec!["message.created"; 11], vec!["message.updated"], vec!["message.created"; 4]].concat();
    assert_eq!(kinds(&fixture, chat).await[..16], expected);
    let log = query::events::list_after(fixture.db.reader(), chat, 0, 1_000).await.unwrap();
    let said: String = log.iter().map(|event| event.payload.as_str()).collect();
    assert!(said.contains("best") && !said.contains("better") && !said.contains("\"one\""), "{said}");
}

#[tokio::test]
async fn commits_deletions_together_with_messages() {
    let Some((fixture, line)) = by_line().await else { return };
    let chat = fixture.open(&fixture.people).await;
    let own = fixture.send(chat, fixture.people[0], "own", "one of one's own").await.unwrap().message;
    let edited = fixture.send(chat, fixture.people[0], "edited", "one that is edited").await.unwrap().message;
    let foreign = fixture.send(chat, fixture.people[1], "foreign", "one of another").await.unwrap().message;
    line.asked();
    let mut changes: Vec<Change> = (0..20).map(|n| send(&fixture, chat, n)).collect();
    changes.insert(5, edit(&fixture, chat, edited.id, "edited before it is deleted"));
    changes.insert(10, delete(&fixture, chat, own.id));
    changes.insert(15, delete(&fixture, chat, edited.id));
    changes.push(delete(&fixture, chat, foreign.id));
    changes.push(delete(&fixture, chat, own.id));
    let all = changes.into_iter().map(|change| fixture.writer.submit(change));
    let outcomes = futures_util::future::join_all(all).await;
    let refused: Vec<_> = outcomes.iter().filter_map(|outcome| Some(outcome.as_ref().err()?.code())).collect();
    assert_eq!(refused, [Code::Forbidden, Code::NotFound]);
    let asked = line.asked();
    assert!(!asked.contains("BEGIN"), "no transaction is held open for a deletion");
    let log = query::events::list_after(fixture.db.reader(), chat, 0, 1_000).await.unwrap();
    let said: String = log.iter().map(|event| event.payload.as_str()).collect();
    for gone in ["one of one's own", "one that is edited", "edited before"] {
        assert!(!said.contains(gone), "{said}");
    }
    assert!(said.contains("one of another"));
    let seqs: Vec<i64> = log.iter().map(|event| event.seq).collect();
    assert_eq!(seqs, (1..=26).collect::<Vec<_>>());
    for (message, is_deleted) in [(own.id, true), (edited.id, true), (foreign.id, false)] {
        let stored = query::messages::get(fixture.db.reader(), message).await.unwrap().unwrap();
        assert_eq!((stored.deleted_at.is_some(), stored.content.is_empty()), (is_deleted, is_deleted), "{stored:?}");
    }
}

#[tokio::test]
async fn removes_an_edited_text_and_keeps_the_last_of_two_edits() {
    for fixture in each(true).await {
        let chat = fixture.open(&fixture.people).await;
        let message = fixture.send(chat, fixture.people[0], "first", "first words").await.unwrap().message;
        let edits = ["second words", "third words"].map(|content| edit(&fixture, chat, message.id, content));
        submit_all(&fixture, edits.into()).await;
        submit_all(&fixture, vec![edit(&fixture, chat, message.id, "fourth words")]).await;
        let stored = query::messages::get(fixture.db.reader(), message.id).await.unwrap().unwrap();
        assert_eq!(stored.content, "fourth words");
        let log = query::events::list_after(fixture.db.reader(), chat, 0, 10).await.unwrap();
        assert_eq!(log.len(), 4);
        for event in &log {
            for gone in ["first words", "second words", "third words"] {
                assert!(!event.payload.contains(gone), "{}", event.payload);
            }
        }
        // An edit and a deletion of the same message, in either order.
        let removal = delete(&fixture, chat, message.id);
        let last = edit(&fixture, chat, message.id, "fifth words");
        let all = [removal, last].map(|change| fixture.writer.submit(change));
        futures_util::future::join_all(all).await;
        let stored = query::messages::get(fixture.db.reader(), message.id).await.unwrap().unwrap();
        assert!(stored.deleted_at.is_some() && stored.content.is_empty(), "{stored:?}");
        let log = query::events::list_after(fixture.db.reader(), chat, 0, 10).await.unwrap();
        assert!(log.iter().all(|event| !event.payload.contains("words")), "{log:?}");
    }
}

#[tokio::test]
async fn messages_do_not_wait_for_locks_of_other_changes_in_their_batch() {
    let Some((fixture, _)) = by_line().await else { return };
    let (chat, other) = (fixture.open(&fixture.people).await, fixture.open(&fixture.people).await);
    let sql = format!("UPDATE conversation_members SET role = 'owner' WHERE user_id = '{}'", fixture.people[0]);
    fixture.db.writer().execute_unprepared(&sql).await.unwrap();
    // Keeps the other conversation locked while the messages are sent.
    let holder = fixture.db.schema().begin().await.unwrap();
    let hold = format!("SELECT id FROM conversations WHERE id = '{other}' FOR UPDATE");
    holder.execute_unprepared(&hold).await.unwrap();
    let renamed = fixture.writer.submit(rename(&fixture, other));
    let sends = (0..20).map(|n| fixture.writer.submit(send(&fixture, chat, n)));
    let mut renamed = std::pin::pin!(renamed);
    let mut sends = std::pin::pin!(futures_util::future::join_all(sends));
    // The rename is first in the queue.
    assert!(futures_util::poll!(&mut renamed).is_pending());
    let sent =
        tokio::time::timeout(Duration::from_secs(20), &mut sends).await.expect("sends aren't blocked by the lock");
    assert!(sent.iter().all(Result::is_ok));
    assert!(futures_util::poll!(&mut renamed).is_pending(), "the rename still waits for its lock");
    holder.rollback().await.unwrap();
    renamed.await.unwrap();
}

#[tokio::test]
async fn recognises_a_commit_whose_answer_was_lost_and_does_not_repeat_it() {
    let Some((fixture, line)) = by_line().await else { return };
    let [anna, ben, cleo] = fixture.people[..] else { panic!("three people") };
    let chat = fixture.open(&[anna, ben]).await;
    let sql = format!("UPDATE conversation_members SET role = 'owner' WHERE user_id = '{anna}'");
    fixture.db.writer().execute_unprepared(&sql).await.unwrap();
    let mut heard = fixture.bus.subscribe();

    line.cut_after("COMMIT");
    let add = MemberAction::AddMember { user_id: cleo }.by_member(anna, chat);
    let added = fixture.writer.submit(add).await.unwrap().member().unwrap();
    assert!(line.has_cut());
    assert_eq!(added.user_id, cleo);

    line.cut_after("a message that is stored");
    let sent = fixture.send(chat, anna, "one", "a message that is stored").await.unwrap();
    assert!(line.has_cut() && !sent.duplicate);

    line.cut_after("a text that is stored");
    let edited = fixture.writer.submit(edit(&fixture, chat, sent.message.id, "a text that is stored")).await.unwrap();
    assert!(line.has_cut());
    assert_eq!(edited.message().unwrap().content, "a text that is stored");

    let expected = ["member.added", "message.created", "message.updated"];
    assert_eq!(kinds(&fixture, chat).await, expected);
    let mut told = Vec::new();
    while let Ok(message) = heard.try_recv() {
        if let BusMessage::Envelope(envelope) = message {
            told.push(envelope.kind.clone());
        }
    }
    assert_eq!(told, expected, "each is published once");
}

#[tokio::test]
async fn loads_the_first_events_of_many_conversations_in_one_query() {
    for fixture in each(true).await {
        let mut positions = Vec::new();
        for n in 0..40 {
            let chat = fixture.open(&fixture.people).await;
            submit_all(&fixture, (0..n % 5 + 1).map(|n| send(&fixture, chat, n)).collect()).await;
            positions.push((chat, i64::from(n % 2 == 0)));
        }
        let read = query::events::after_each(fixture.db.reader(), &positions, 3).await.unwrap();
        for (n, (chat, seen)) in positions.iter().enumerate() {
            let seqs: Vec<i64> =
                read.iter().filter(|event| event.conversation_id == *chat).map(|event| event.seq).collect();
            let last = i64::try_from(n % 5 + 1).unwrap();
            assert_eq!(seqs, (seen + 1..=last.min(seen + 3)).collect::<Vec<_>>(), "{n}");
        }
    }
}

#[tokio::test]
async fn a_long_log_leaves_room_for_other_conversations() {
    for fixture in each(true).await {
        let mut positions = Vec::new();
        for _ in 0..3 {
            let chat = fixture.open(&fixture.people).await;
            submit_all(&fixture, (0..3).map(|n| send(&fixture, chat, n)).collect()).await;
            positions.push((chat, 0));
        }
        positions.sort_unstable();
        let long = format!("UPDATE conversation_events SET payload = '{}' WHERE seq > 0", " ".repeat(900_000));
        fixture.db.writer().execute_unprepared(&long).await.unwrap();
        let read = query::events::after_each(fixture.db.reader(), &positions, 3).await.unwrap();
        let read: Vec<_> = read.iter().map(|event| (event.conversation_id, event.seq)).collect();
        // The client has everything it needs by then.
        assert_eq!(read, positions.iter().map(|(chat, _)| (*chat, 1)).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn never_refuses_based_on_cached_state() {
    for fixture in each(true).await {
        let (chat, ben) = (fixture.open(&fixture.people).await, fixture.people[1]);
        let run = async |sql: &str| fixture.db.writer().execute_unprepared(sql).await.unwrap();
        run("UPDATE conversations SET posting = 'admins', last_seq = last_seq + 1").await;
        let refused = fixture.send(chat, ben, "first", "too soon").await;
        assert_eq!(refused.err().map(|error| error.code()), Some(Code::Forbidden));
        // Simulates a change by another instance whose event hasn't arrived yet.
        run("UPDATE conversation_members SET role = 'admin' WHERE role = 'member'").await;
        fixture.send(chat, ben, "second", "as an admin").await.unwrap();
    }
}
