//! Participants and conversations of a run, and its end.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Method;
use support::{Member, TestDatabase, Value, every_item, json, new_id};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::client::{Chats, Client, Notes, Orders, lock};
use crate::cluster::Cluster;
use crate::dice::Dice;
use crate::evidence::{
    Change, Chat, Conversation, Event, Evidence, Extras, Logged, Moment, ReadPosition, Says, Stored, now,
};
use crate::line::{Form, Line};
use crate::rest::Requester;
use crate::stream::StreamReader;

/// Time after the last fault within which all readers must have received all events.
const ENDING: Duration = Duration::from_secs(30);
/// Time for which the run was not scheduled, above which this counts as a stall of the machine.
const STALL: Duration = Duration::from_millis(40);
const BEAT: Duration = Duration::from_millis(10);

const CROWD: Chat = 0;
const CREW: Chat = 1;
const DUO: Chat = 2;
const QUIET: Chat = 3;
/// Conversation to which only the instance that is about to be killed writes, so that no later
/// event reveals a gap.
const HUSH: Chat = 4;
/// Public channel that has too many members to be a small conversation.
const CHANNEL: Chat = 5;
const NAMES: [&str; 6] = ["the crowd", "the crew", "the duo", "the quiet two", "the hush", "the channel"];
/// For each conversation: number of readers that also view it.
const LOOKING: [usize; 6] = [0, 0, 1, 4, 0, 0];
const GUEST: usize = 7;
/// Index of the user who joins and leaves the channel.
const VISITOR: usize = 8;
/// Number of channel members who do nothing. They make the channel large: conversations of up to 20
/// members are small.
const SILENT: usize = 14;

pub struct Stage {
    pub orders: watch::Sender<Orders>,
    /// Client that writes to [`HUSH`] on request.
    pub whisperer: Requester,
    people: Vec<Member>,
    ids: Vec<String>,
    readers: Vec<Notes>,
    writers: Vec<Notes>,
    clients: Vec<JoinHandle<()>>,
    requesters: Vec<JoinHandle<()>>,
    /// Task of the visitor. Returns the number of times that the visitor has left.
    visitor: JoinHandle<usize>,
}

impl Stage {
    /// Signs up all users, creates the conversations and starts the clients.
    pub async fn set(cluster: &Cluster, seed: u64) -> Self {
        let base = cluster.balancer.url();
        let names = ["Anna", "Ben", "Cleo", "Dora", "Eve", "Finn", "Gus", "Hana", "Ida"];
        let mut people = Vec::new();
        for name in names {
            people.push(Member::sign_up(&base, name).await);
        }
        let all: Vec<&Member> = people.iter().take(VISITOR).collect();
        let channel = open_channel(&base, &all).await;
        let ids = vec![
            people[0].open_group("crowd", &all[1..]).await,
            people[0].open_group("crew", &all[1..]).await,
            people[1].open_single(&people[2]).await,
            people[4].open_single(&people[5]).await,
            people[0].open_group("hush", &all[1..]).await,
            channel,
        ];
        let mut polls = Vec::new();
        for chat in [CROWD, CREW, CHANNEL] {
            polls.push(ask(&people[0], &ids[chat]).await);
        }
        let chats: Chats = Arc::new(ids.iter().cloned().zip(0..).collect::<HashMap<_, _>>());
        let (orders, listening) = watch::channel(Orders { writes: true, drop_number: 0 });
        let notes = Notes::new("Hana in a whisper", &people[GUEST]);
        let whisperer = Requester {
            member: people[GUEST].at(&base),
            notes: notes.clone(),
            chats: Arc::clone(&chats),
            writes_to: vec![ids[HUSH].clone()],
            polls: Vec::new(),
            pause: (0, 0),
            dice: Dice::of(seed, 60),
            orders: listening.clone(),
        };
        let notes_of_visitor = Notes::new("Ida who comes and goes", &people[VISITOR]);
        let visitor = Requester {
            member: people[VISITOR].at(&base),
            notes: notes_of_visitor.clone(),
            chats: Arc::clone(&chats),
            writes_to: vec![ids[CHANNEL].clone()],
            polls: Vec::new(),
            pause: (300, 2_500),
            dice: Dice::of(seed, 61),
            orders: listening.clone(),
        };
        let mut stage = Self {
            orders,
            whisperer,
            people,
            ids,
            readers: Vec::new(),
            writers: vec![notes, notes_of_visitor],
            clients: Vec::new(),
            requesters: Vec::new(),
            visitor: tokio::spawn(visitor.come_and_go()),
        };
        let door = cluster.door_url();
        let places = [
            (0, Form::Json, &base),
            (1, Form::MessagePack, &base),
            (2, Form::SocketIo, &base),
            (4, Form::Json, &door),
            (5, Form::SocketIo, &door),
            (GUEST, Form::Json, &base),
            (0, Form::MessagePack, &door),
            (VISITOR, Form::Json, &base),
            (VISITOR, Form::SocketIo, &door),
        ];
        for (number, (person, form, base)) in (1..).zip(places) {
            let member = stage.people[person].at(base);
            let notes = Notes::new(&format!("{} by {form:?} ({number})", member.name), &member);
            let mut writes_to = Vec::new();
            if person == VISITOR {
                lock(&notes.reader).is_visitor = true;
            } else {
                writes_to.push((stage.ids[CROWD].clone(), 12));
                writes_to.push((stage.ids[CHANNEL].clone(), 5));
            }
            if person < GUEST {
                writes_to.push((stage.ids[CREW].clone(), 6));
            }
            match person {
                1 | 2 => writes_to.push((stage.ids[DUO].clone(), 2)),
                4 | 5 => writes_to.push((stage.ids[QUIET].clone(), 1)),
                _ => {}
            }
            let client = Client {
                member,
                form,
                notes: notes.clone(),
                chats: Arc::clone(&chats),
                writes_to,
                views: [0, 2, VISITOR].contains(&person).then_some(CHANNEL),
                pause: (30, 150),
                dice: Dice::of(seed, number),
                orders: listening.clone(),
            };
            stage.readers.push(notes.clone());
            stage.writers.push(notes);
            stage.clients.push(tokio::spawn(client.run()));
        }
        for (number, (person, base)) in (20..).zip([(3, &base), (6, &door)]) {
            let member = stage.people[person].at(base);
            let notes = Notes::new(&format!("{} by SSE ({number})", member.name), &member);
            let reader = StreamReader {
                member,
                notes: notes.clone(),
                chats: Arc::clone(&chats),
                dice: Dice::of(seed, number),
                orders: listening.clone(),
            };
            stage.readers.push(notes);
            stage.clients.push(tokio::spawn(reader.run()));
        }
        for (number, (person, base)) in (40..).zip([(3, &base), (3, &base), (6, &door), (2, &base), (0, &base)]) {
            let member = stage.people[person].at(base);
            let opens_the_door = person == 0;
            let notes = Notes::new(&format!("{} by requests ({number})", member.name), &member);
            let requester = Requester {
                member,
                notes: notes.clone(),
                chats: Arc::clone(&chats),
                writes_to: if opens_the_door {
                    vec![stage.ids[CREW].clone()]
                } else {
                    [CROWD, CREW, CHANNEL].map(|chat| stage.ids[chat].clone()).into()
                },
                polls: polls.clone(),
                pause: if opens_the_door { (1_500, 5_000) } else { (40, 160) },
                dice: Dice::of(seed, number),
                orders: listening.clone(),
            };
            stage.writers.push(notes);
            let guest = stage.people[GUEST].id.clone();
            stage.requesters.push(if opens_the_door {
                tokio::spawn(requester.open_the_door(guest))
            } else {
                tokio::spawn(requester.write())
            });
        }
        stage
    }

    /// Stops all writers, waits until all readers have received all events, and collects the
    /// evidence.
    pub async fn end(self, database: &TestDatabase, evidence: &mut Evidence) {
        self.orders.send_modify(|orders| orders.writes = false);
        let deadline = Instant::now() + ENDING;
        for requester in self.requesters {
            if tokio::time::timeout(ENDING, requester).await.is_err() {
                evidence.surprises.push("a request was not done at the end".into());
            }
        }
        match tokio::time::timeout(ENDING, self.visitor).await {
            Ok(Ok(visits)) => evidence.visits = visits,
            _ => evidence.surprises.push("the visitor was not done at the end".into()),
        }
        let mut members: Vec<BTreeSet<String>> = Vec::new();
        for (id, who) in self.ids.iter().zip(LOOKING) {
            let path = format!("/r1/conversations/{id}/members?page_size=100");
            let listed = patiently(&self.people[who], path).await["items"].as_array().cloned().unwrap_or_default();
            members.push(listed.iter().filter_map(|one| one["user_id"].as_str().map(str::to_owned)).collect());
        }
        loop {
            // Counted before the heads are read, because the heads would not include messages that
            // are acknowledged later.
            let outstanding: usize = self.writers.iter().map(|notes| lock(&notes.progress).outstanding).sum();
            let mut heads = BTreeMap::new();
            for (chat, who) in LOOKING.into_iter().enumerate() {
                let conversation = patiently(&self.people[who], format!("/r1/conversations/{}", self.ids[chat])).await;
                heads.insert(chat, conversation["last_seq"].as_i64().unwrap_or(0));
            }
            let behind = self.readers.iter().any(|notes| {
                let user = lock(&notes.reader).user.clone();
                notes.behind(&heads).keys().any(|chat| members[*chat].contains(&user))
            });
            if outstanding == 0 && !behind || Instant::now() > deadline {
                if outstanding > 0 {
                    evidence.surprises.push(format!("{outstanding} messages were never acknowledged"));
                }
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        for client in &self.clients {
            client.abort();
        }
        for (chat, who) in LOOKING.into_iter().enumerate() {
            let list = async |what| {
                let path = format!("/r1/conversations/{}/{what}", self.ids[chat]);
                every_item(&path, async |path| patiently(&self.people[who], path).await).await
            };
            let (log, history) = (list("events").await, list("messages").await);
            evidence.readable.push(("the log", Value::Array(log.clone()).to_string()));
            evidence.readable.push(("the history", Value::Array(history.clone()).to_string()));
            let mut positions = Vec::new();
            for person in self.people.iter().filter(|person| members[chat].contains(&person.id)) {
                let seen = patiently(person, format!("/r1/conversations/{}", self.ids[chat])).await;
                let number = |field: &str| seen[field].as_i64().unwrap_or(-1);
                let (read_seq, unread) = (number("read_seq"), number("unread"));
                positions.push(ReadPosition { user: person.id.clone(), read_seq, unread });
            }
            evidence.conversations.push(Conversation {
                name: NAMES[chat],
                is_large: chat == CHANNEL,
                log: log.iter().map(logged).collect(),
                history: history.iter().filter_map(stored).collect(),
                members: members[chat].clone(),
                positions,
            });
        }
        for (place, form) in [("a sync in JSON", Form::Json), ("a sync in MessagePack", Form::MessagePack)] {
            evidence.readable.push((place, synced(&self.people[0], form, &self.ids).await));
        }
        let mut stream = self.people[0].event_stream(Some("0")).await;
        let mut streamed = String::new();
        while let Some(frame) = stream.try_next().await {
            if frame.kind == "sync.done" {
                break;
            }
            streamed.push_str(&frame.payload.to_string());
        }
        evidence.readable.push(("a resumed stream", streamed));
        for (place, sql) in [
            ("the messages' table", "SELECT STRING_AGG(content, ' ') FROM messages"),
            ("the log's table", "SELECT STRING_AGG(payload, ' ') FROM conversation_events"),
        ] {
            evidence.readable.push((place, database.text(sql).await));
        }
        for notes in self.readers {
            evidence.readers.push(lock(&notes.reader).clone());
        }
        for notes in self.writers {
            evidence.surprises.append(&mut lock(&notes.surprises));
            evidence.removed.append(&mut lock(&notes.removed));
            evidence.writers.push(lock(&notes.writer).clone());
        }
    }
}

/// Reads a resource and retries on failure. Even after all faults are repaired, a database
/// connection that has failed silently is detected only by the next request.
async fn patiently(member: &Member, path: String) -> Value {
    let deadline = Instant::now() + ENDING;
    loop {
        let answer = member.try_send(member.request(Method::GET, &path)).await;
        match answer {
            Ok(answer) if !matches!(answer.status, 502..=504) => return answer.data(),
            _ if Instant::now() < deadline => tokio::time::sleep(Duration::from_millis(100)).await,
            _ => panic!("failed to read {path} after the last fault: {answer:?}"),
        }
    }
}

/// Creates a poll in a conversation and returns its id.
async fn ask(by: &Member, chat: &str) -> String {
    let poll = json!({ "options": ["one", "two", "three"] });
    let body = json!({ "client_id": new_id(), "content": "Which?", "poll": poll });
    text(&by.post(&format!("/r1/conversations/{chat}/messages"), body).await.data_with(201)["id"])
}

/// Creates a public channel with these users, and with so many others that it is large.
async fn open_channel(base: &str, people: &[&Member]) -> String {
    let silent = (0..SILENT).map(async |n| Member::sign_up(base, &format!("Silent {n}")).await);
    let silent = futures_util::future::join_all(silent).await;
    let ids: Vec<&str> = people[1..].iter().copied().chain(&silent).map(|member| member.id.as_str()).collect();
    let body = json!({ "kind": "public_channel", "title": "channel", "member_ids": ids });
    let channel = people[0].post("/r1/conversations", body).await.data_with(201);
    assert!(channel["member_count"].as_u64() > Some(20), "{channel}");
    text(&channel["id"])
}

/// Returns the response to a `sync` from the beginning of each conversation.
async fn synced(member: &Member, form: Form, ids: &[String]) -> String {
    let telling = async {
        let mut line = Line::open(member, form).await?;
        while line.next().await.ok()?.kind != "hello" {}
        let cursors: serde_json::Map<String, Value> = ids.iter().map(|id| (id.clone(), 0.into())).collect();
        let asked = line.send("sync", json!({ "cursors": cursors })).await?;
        let mut told = String::new();
        loop {
            let frame = line.next().await.ok()?;
            if frame.kind == "sync.done" && frame.answers.as_ref() == Some(&asked) {
                return Some(told);
            }
            told.push_str(&frame.payload.to_string());
        }
    };
    tokio::time::timeout(ENDING, telling).await.ok().flatten().expect("sync completes without faults")
}

fn stored(message: &Value) -> Option<Stored> {
    let (sender, client_id) = (text(&message["sender"]["id"]), text(&message["client_id"]));
    Some(Stored { sender, client_id, says: Says::of(message)?, has: Extras::of(message) })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn logged(row: &Value) -> Logged {
    let kind = row["type"].as_str().unwrap_or_default();
    let message = &row["payload"]["message"];
    let is_new = kind == "message.created";
    Logged {
        seq: row["seq"].as_i64().unwrap_or(0),
        event: Event::of(kind, &row["payload"]),
        committed: moment(row["created_at"].as_str().unwrap_or_default()),
        message: is_new.then(|| (text(&message["id"]), text(&message["sender"]["id"]), text(&message["client_id"]))),
        no: message["no"].as_i64().filter(|_| is_new && message["thread_id"].is_null()),
        change: Change::of(kind, &row["payload"]),
    }
}

/// Converts a timestamp such as `2026-11-20T12:00:00.000Z` to milliseconds since 1970.
pub fn moment(text: &str) -> Moment {
    let numbers: Vec<i64> =
        text.split(|one: char| !one.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect();
    let [year, month, day, hour, minute, second, millisecond] = numbers[..] else {
        panic!("{text} is not a timestamp");
    };
    // Counts the days with years that start in March, so that the leap day is the last one.
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1 - 719_468;
    ((days * 24 + hour) * 60 + minute) * 60_000 + second * 1_000 + millisecond
}

/// Records the times at which the run itself was not scheduled; the instances were not scheduled
/// then either.
pub fn watch_the_machine() -> Arc<Mutex<Vec<(Moment, i64)>>> {
    let stalls: Arc<Mutex<Vec<(Moment, i64)>>> = Arc::default();
    let seen = Arc::downgrade(&stalls);
    std::thread::spawn(move || {
        while let Some(stalls) = seen.upgrade() {
            let before = Instant::now();
            std::thread::sleep(BEAT);
            let lost = before.elapsed().saturating_sub(BEAT);
            if lost > STALL {
                let lost = i64::try_from(lost.as_millis()).unwrap_or(i64::MAX);
                stalls.lock().unwrap_or_else(PoisonError::into_inner).push((now() - lost, lost));
            }
        }
    });
    stalls
}

#[test]
fn parses_timestamps_to_milliseconds() {
    assert_eq!(moment("1970-01-01T00:00:00.000Z"), 0);
    assert_eq!(moment("2026-11-20T12:34:56.789Z"), 1_795_178_096_789);
    assert_eq!(moment("2024-02-29T23:59:59.999Z"), 1_709_251_199_999);
}
