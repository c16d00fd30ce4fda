//! Tests of the writer on a real database: always SQLite, and PostgreSQL if `NATTER_TEST_POSTGRES`
//! is set.

use std::{sync::Arc, time::Duration};

use appcore::{
    Clock, Code, ConversationId, InstanceId, Timestamp, UserId,
    event::{BusMessage, EventBus, MemoryBus, Signal},
    text::{ClientId, Content},
    view::MemberRole,
};
use dbcontext::query;
use event_log::events::{
    AnswerOptions, Change, MemberAction, MessagePartitions, Outboxes, SendMessage, Sent, ServerAction, Writer,
};
use sea_orm::{ConnectionTrait, Statement};

use crate::fixture::{Fixture, each, limits, postgres, sqlite};

#[tokio::test]
async fn previews_of_one_user_do_not_delay_those_of_others() {
    for fixture in each(false).await {
        let (chat, people) = (fixture.open(&fixture.people).await, &fixture.people);
        let mut sent = Vec::new();
        for (n, by) in [people[0], people[0], people[0], people[1]].into_iter().enumerate() {
            let text = format!("https://example.org/{n}");
            sent.push(fixture.send(chat, by, &format!("c{n}"), &text).await.unwrap().message.id.0);
        }
        let mut read = Vec::new();
        let lease = Duration::from_secs(60);
        while let Some(job) =
            query::jobs::claim(fixture.db.writer(), ("preview", &[]), InstanceId::new(), lease).await.unwrap()
        {
            read.push(job.subject);
        }
        assert_eq!(read, [sent[0], sent[3], sent[1], sent[2]]);
    }
}

#[tokio::test]
async fn sequence_numbers_are_gapless_and_events_are_published_in_order() {
    for fixture in each(false).await {
        let mut envelope = fixture.bus.subscribe();
        let conversations = [fixture.open(&fixture.people).await, fixture.open(&fixture.people).await];
        let sends = (0..400).map(|n| {
            let (fixture, conversations) = (&fixture, &conversations);
            async move {
                fixture
                    .send(conversations[n % 2], fixture.people[n % 3], &format!("c{n}"), "text 'with' \"quotes\" ✓")
                    .await
                    .unwrap()
            }
        });
        let sent = futures_util::future::join_all(sends).await;
        for (place, id) in conversations.iter().enumerate() {
            let mut seqs: Vec<i64> =
                sent.iter().filter(|sent| sent.message.conversation_id == *id).map(|sent| sent.message.seq).collect();
            seqs.sort_unstable();
            assert_eq!(seqs, (1..=200).collect::<Vec<_>>(), "conversation {place}");
        }
        let mut last = std::collections::HashMap::new();
        while let Ok(BusMessage::Envelope(envelope)) = envelope.try_recv() {
            let position = envelope.position.unwrap();
            let before = last.insert(position.conversation_id, position.seq);
            assert_eq!(position.seq, before.map_or(0, |seq| seq + 1));
        }
        assert_eq!(last.into_values().collect::<Vec<_>>(), [200, 200]);
        assert_eq!(fixture.count("messages").await, 400);
        assert_eq!(fixture.count("conversation_events").await, 402);
    }
}

#[tokio::test]
async fn repeated_client_id_returns_the_first_message() {
    for fixture in each(false).await {
        let conversation = fixture.open(&fixture.people).await;
        let racing =
            futures_util::future::join_all((0..50).map(|_| fixture.send(conversation, fixture.people[0], "same", "x")))
                .await;
        let racing: Vec<Sent> = racing.into_iter().map(Result::unwrap).collect();
        assert_eq!(racing.iter().filter(|sent| !sent.duplicate).count(), 1);
        let later = fixture.send(conversation, fixture.people[0], "same", "y").await.unwrap();
        assert!(later.duplicate);
        assert_eq!((later.message.id, later.message.content.as_str()), (racing[0].message.id, "x"));
        assert!(!fixture.send(conversation, fixture.people[1], "same", "z").await.unwrap().duplicate);
        assert_eq!(fixture.count("messages").await, 2);
    }
}

#[tokio::test]
async fn refuses_non_members_without_failing_the_batch() {
    for fixture in each(false).await {
        let conversation = fixture.open(&fixture.people[..2]).await;
        let answers = futures_util::future::join_all((0..30).map(|n| {
            let (fixture, client_id) = (&fixture, format!("c{n}"));
            async move { fixture.send(conversation, fixture.people[n % 3], &client_id, "x").await }
        }))
        .await;
        for (n, answer) in answers.iter().enumerate() {
            match answer {
                Ok(_) => assert_ne!(n % 3, 2),
                Err(error) => assert_eq!((n % 3, error.code()), (2, Code::NotFound)),
            }
        }
        assert_eq!(
            fixture.send(ConversationId::new(), fixture.people[0], "c", "x").await.unwrap_err().code(),
            Code::NotFound
        );
    }
}

#[tokio::test]
async fn keeps_an_outbox_entry_until_the_bus_acknowledges_its_events() {
    for fixture in each(true).await {
        let conversation = fixture.open(&fixture.people).await;
        for n in 0..10 {
            fixture.send(conversation, fixture.people[0], &format!("c{n}"), "x").await.unwrap();
        }
        // Entries are removed together with the next batch, or after a delay.
        stage::until(async || fixture.count("event_outbox").await == 0).await;
        assert_eq!(fixture.count("conversation_events WHERE outbox_id IS NULL").await, 0);
    }
}

/// Starts a second instance's writer on the same database.
fn another_writer(fixture: &Fixture) -> Writer {
    let bus = Arc::new(MemoryBus::new());
    Writer::start(
        fixture.db.clone(),
        bus as Arc<dyn EventBus>,
        Clock::system(),
        limits(),
        Outboxes { bus: true, stream: false },
        MessagePartitions::default(),
    )
}

fn message(conversation_id: ConversationId, sender: UserId, client_id: &str) -> Change {
    let send = SendMessage {
        client_id: ClientId::parse(client_id).unwrap(),
        content: Content::parse("x", 5_000).unwrap(),
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
    MemberAction::Send(Box::new(send)).by_member(sender, conversation_id)
}

#[tokio::test]
async fn concurrent_writers_assign_gapless_sequence_numbers() {
    let Some(fixture) = postgres(true).await else { return };
    let writers = [fixture.writer.clone(), another_writer(&fixture)];
    let conversations = [fixture.open(&fixture.people).await, fixture.open(&fixture.people).await];
    // Sends in waves, so that conflicts occur, cease and occur again.
    for wave in 0..5 {
        let sends = (0..120).map(|n| {
            let client_id = format!("w{wave}c{}", n / 2);
            // Each message is submitted to both writers at once.
            writers[n % 2].submit(message(conversations[n / 2 % 2], fixture.people[n / 4 % 3], &client_id))
        });
        let sent: Vec<Sent> = futures_util::future::join_all(sends)
            .await
            .into_iter()
            .map(|outcome| outcome.unwrap().sent().unwrap())
            .collect();
        assert_eq!(sent.iter().filter(|sent| !sent.duplicate).count(), 60);
        // The writer returns to optimistic commits one second after a conflict. It measures this by
        // a clock that tests can't control.
        tokio::time::sleep(std::time::Duration::from_millis(if wave % 2 == 0 { 0 } else { 1_100 })).await;
    }
    assert_eq!(fixture.count("messages").await, 300);
    for id in conversations {
        let events = dbcontext::query::events::list_after(fixture.db.reader(), id, 0, 1_000).await.unwrap();
        let seqs: Vec<i64> = events.iter().map(|event| event.seq).collect();
        assert_eq!(seqs, (1..=150).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn rejects_messages_of_a_member_removed_by_another_writer() {
    let Some(fixture) = postgres(true).await else { return };
    let other = another_writer(&fixture);
    let (owner, leaver) = (fixture.people[0], fixture.people[1]);
    for round in 0..40 {
        let conversation = fixture.open(&[owner, leaver]).await;
        let sends = futures_util::future::join_all((0..30).map(|n| {
            let (writer, client_id) = (&fixture.writer, format!("r{round}c{n}"));
            async move {
                // Spreads the messages over several batches.
                for _ in 0..n * 20 {
                    tokio::task::yield_now().await;
                }
                writer.submit(message(conversation, leaver, &client_id)).await
            }
        }));
        let leave = MemberAction::RemoveMember { user_id: leaver }.by_member(leaver, conversation);
        let (_, left) = tokio::join!(sends, other.submit(leave));
        left.unwrap();
        let events = dbcontext::query::events::list_after(fixture.db.reader(), conversation, 0, 1_000).await.unwrap();
        assert_eq!(events.last().unwrap().kind, "member.removed", "round {round}");
    }
}

#[tokio::test]
async fn commits_waiting_changes_together() {
    for fixture in each(true).await {
        let conversation = fixture.open(&fixture.people).await;
        let sends = (0..512).map(|n| {
            let (fixture, client_id) = (&fixture, format!("c{n}"));
            async move { fixture.send(conversation, fixture.people[n % 3], &client_id, "x").await.unwrap() }
        });
        futures_util::future::join_all(sends).await;
        let groups =
            fixture.count("(SELECT DISTINCT outbox_id FROM conversation_events WHERE seq > 0) AS groups").await;
        assert!(groups <= 8, "512 messages in {groups} transactions");
    }
}

#[tokio::test]
async fn caches_a_name_until_the_bus_reports_its_change() {
    for fixture in each(true).await {
        let conversation = fixture.open(&fixture.people).await;
        let sender = fixture.people[0];
        let name = async |client_id: &str| {
            fixture.send(conversation, sender, client_id, "x").await.unwrap().message.sender.name
        };
        assert_eq!(name("c1").await, "Person 0");
        let backend = fixture.db.writer().get_database_backend();
        let sql = "UPDATE users SET display_name = 'Ada' WHERE id = $1";
        fixture.db.writer().execute_raw(Statement::from_sql_and_values(backend, sql, [sender.into()])).await.unwrap();
        assert_eq!(name("c2").await, "Person 0", "the cached name is used until the bus reports the change");
        drop(fixture.bus.publish(vec![BusMessage::Signal(Signal::UserChanged(sender))]));
        assert_eq!(name("c3").await, "Ada");
    }
}

#[tokio::test]
async fn departing_owner_hands_ownership_to_a_remaining_member() {
    for fixture in each(false).await {
        let [anna, ben, cleo] = fixture.people[..] else { panic!("three people") };
        let group = fixture.open(&[anna, ben, cleo]).await;
        let backend = fixture.db.writer().get_database_backend();
        let sql = "UPDATE conversation_members SET role = CASE WHEN user_id = $1 THEN 'owner' WHEN user_id = $2 THEN 'admin' ELSE role END";
        let statement = Statement::from_sql_and_values(backend, sql, [anna.into(), cleo.into()]);
        fixture.db.writer().execute_raw(statement).await.unwrap();
        fixture.send(group, anna, "early", "!").await.unwrap();
        let depart = async |user_id| {
            fixture.writer.submit(ServerAction::Depart { user_id }.on_conversation(group)).await.map(drop)
        };
        depart(anna).await.unwrap();
        let of = async || query::members::of_conversation(fixture.db.reader(), group).await.unwrap();
        let roles: Vec<_> = of().await.into_iter().map(|member| (member.user_id, member.role)).collect();
        assert!(roles.contains(&(cleo, MemberRole::Owner)) && roles.contains(&(ben, MemberRole::Member)), "{roles:?}");
        depart(anna).await.expect("the change may be repeated");
        assert_eq!(fixture.send(group, anna, "late", "?").await.unwrap_err().code(), Code::NotFound);
        let kinds: Vec<String> = query::events::list_after(fixture.db.reader(), group, 0, 10)
            .await
            .unwrap()
            .into_iter()
            .map(|event| event.kind)
            .collect();
        assert_eq!(kinds, ["message.created", "member.updated", "member.removed"]);

        // A request that arrives late can't add a user who has left the workspace.
        let now = Timestamp(1);
        query::workspaces::end_membership(
            fixture.db.writer(),
            fixture.workspace,
            anna,
            query::workspaces::MembershipEnd::Left,
            now,
        )
        .await
        .unwrap();
        let add = MemberAction::AddMember { user_id: anna }.by_member(cleo, group);
        assert_eq!(fixture.writer.submit(add).await.unwrap_err().code(), Code::NotFound);

        depart(ben).await.unwrap();
        depart(cleo).await.unwrap();
        assert_eq!(of().await.len(), 1, "the last member's conversation was deleted");
        let seen = query::conversations::find(fixture.db.reader(), cleo, group).await.unwrap();
        assert!(seen.is_none());
    }
}

/// The clean-up must also run while bus messages arrive without a pause.
#[tokio::test]
async fn removes_acknowledged_outbox_entries_while_the_bus_is_busy() {
    let fixture = sqlite(true).await;
    let bus = Arc::clone(&fixture.bus);
    let chatter = tokio::spawn(async move {
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        loop {
            tick.tick().await;
            drop(bus.publish(vec![BusMessage::Signal(Signal::JobsWaiting)]));
        }
    });
    let chat = fixture.open(&fixture.people).await;
    fixture.send(chat, fixture.people[0], "one", "hello").await.unwrap();
    stage::until(async || fixture.count("event_outbox").await == 0).await;
    chatter.abort();
}

/// While all tasks are idle, the paused clock jumps to the next timeout; this also happens while
/// SQLite commits.
#[tokio::test]
async fn publishes_a_sqlite_commit_that_outlasts_every_timeout() {
    let fixture = sqlite(false).await;
    let chat = fixture.open(&fixture.people).await;
    // From here on the sender is cached, so the writer reads nothing before it commits.
    fixture.send(chat, fixture.people[0], "zero", "hello").await.unwrap();
    let mut heard = fixture.bus.subscribe();
    tokio::time::pause();
    let _ = fixture.send(chat, fixture.people[0], "one", "again").await;
    tokio::time::resume();
    let told = async {
        loop {
            match heard.recv().await {
                Some(BusMessage::Envelope(envelope)) if envelope.payload.windows(5).any(|text| text == b"again") => {
                    return;
                }
                Some(_) => {}
                None => panic!("the bus was closed"),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), told).await.expect("the message is published");
}

/// The outbox publisher waits for Redis, which may take seconds. Meanwhile the writer removes the
/// entries that it has published itself.
#[tokio::test]
async fn an_outbox_entry_can_be_removed_while_it_is_being_published_again() {
    for fixture in each(true).await {
        let chat = fixture.open(&fixture.people).await;
        fixture.send(chat, fixture.people[0], "one", "hello").await.unwrap();
        let now = Clock::system().now();
        let claimed =
            query::events::claim_unpublished(fixture.db.writer(), Timestamp(i64::MAX), now, 64).await.unwrap();
        let removal = query::batches::remove_outbox_entries(&claimed);
        let removed = query::execute(fixture.db.writer(), vec![removal]);
        tokio::time::timeout(Duration::from_secs(10), removed).await.expect("the entries aren't locked").unwrap();
        let again = query::events::claim_unpublished(fixture.db.writer(), now, now, 64).await.unwrap();
        assert!(again.is_empty(), "claimed entries can't be claimed again immediately: {again:?}");
    }
}
