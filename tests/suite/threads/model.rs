//! Random sequences of actions: three users write, reply, react, pin, follow, read and delete. For
//! each user, counts and lists must be those of a small model. Actions without an effect must
//! publish no event.

use std::collections::{BTreeMap, BTreeSet};

use support::{Application, Dice, Member, Value, by_size, json, new_id};

const PEOPLE: usize = 3;
/// Index of the user who has created the group and manages it.
const OWNER: usize = 0;
const STEPS: usize = 48;
/// Number of steps between two checks.
const LOOK: usize = 12;
/// The emoji 👍, 🎉 and 👀, each with its percent-encoding.
const EMOJI: [(&str, &str); 3] = [("👍", "%F0%9F%91%8D"), ("🎉", "%F0%9F%8E%89"), ("👀", "%F0%9F%91%80")];

/// Actions. Messages are given by their index.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Write,
    Reply(usize),
    React(usize, usize),
    TakeBack(usize, usize),
    Pin(usize, bool),
    Delete(usize),
    Follow(usize, bool),
    /// Reads a thread up to the reply with this number.
    ReadThread(usize, i64),
    /// Reads the main conversation up to this message.
    Read(usize),
}

struct Said {
    by: usize,
    root: Option<usize>,
    /// Number in the thread or in the main conversation.
    no: i64,
    /// Last number in the main conversation at that time.
    main_no: i64,
    is_deleted: bool,
    /// Emoji in the order in which they were first used, each with its users in order.
    reactions: Vec<(usize, Vec<usize>)>,
    is_pinned: bool,
}

#[derive(Default)]
struct Model {
    said: Vec<Said>,
    events: i64,
    main_no: i64,
    read_no: [i64; PEOPLE],
    /// Number of the last reply that was read, by thread and follower.
    following: BTreeMap<(usize, usize), i64>,
}

impl Model {
    fn replies(&self, root: usize) -> impl Iterator<Item = &Said> {
        self.said.iter().filter(move |said| said.root == Some(root))
    }

    fn last_no(&self, root: usize) -> i64 {
        self.replies(root).map(|reply| reply.no).max().unwrap_or(0)
    }

    /// Number of existing replies after the reply with this number.
    fn unread(&self, root: usize, read_no: i64) -> i64 {
        let unread = self.replies(root).filter(|reply| reply.no > read_no && !reply.is_deleted);
        i64::try_from(unread.count()).unwrap()
    }

    fn say(&mut self, by: usize, root: Option<usize>, no: i64) {
        let main_no = self.main_no;
        self.said.push(Said { by, root, no, main_no, is_deleted: false, reactions: Vec::new(), is_pinned: false });
        self.events += 1;
    }

    /// Applies an action to the model; returns the status that the server should answer.
    fn does(&mut self, who: usize, deed: Deed) -> u16 {
        match deed {
            Deed::Write => {
                self.main_no += 1;
                self.read_no[who] = self.main_no;
                self.say(who, None, self.main_no);
                201
            }
            Deed::Reply(root) => {
                let last = self.last_no(root);
                if last == 0 && self.said[root].is_deleted {
                    return 422;
                }
                self.say(who, Some(root), last + 1);
                self.following.insert((root, who), last + 1);
                if last == 0 {
                    self.following.entry((root, self.said[root].by)).or_insert(0);
                }
                201
            }
            Deed::React(at, _) | Deed::TakeBack(at, _) | Deed::Pin(at, _) | Deed::Delete(at)
                if self.said[at].is_deleted =>
            {
                404
            }
            Deed::React(at, emoji) => {
                let reactions = &mut self.said[at].reactions;
                let place = reactions.iter().position(|(known, _)| *known == emoji).unwrap_or(reactions.len());
                if place == reactions.len() {
                    reactions.push((emoji, Vec::new()));
                }
                if !reactions[place].1.contains(&who) {
                    reactions[place].1.push(who);
                    self.events += 1;
                }
                200
            }
            Deed::TakeBack(at, emoji) => {
                let reactions = &mut self.said[at].reactions;
                if let Some((_, by)) = reactions.iter_mut().find(|(known, by)| *known == emoji && by.contains(&who)) {
                    by.retain(|other| *other != who);
                    self.events += 1;
                }
                reactions.retain(|(_, by)| !by.is_empty());
                200
            }
            Deed::Pin(at, is_pinned) => {
                self.events += i64::from(self.said[at].is_pinned != is_pinned);
                self.said[at].is_pinned = is_pinned;
                200
            }
            Deed::Delete(at) => {
                let said = &mut self.said[at];
                if said.by != who && who != OWNER {
                    return 403;
                }
                (said.is_deleted, said.is_pinned) = (true, false);
                said.reactions.clear();
                self.events += 1;
                200
            }
            Deed::Follow(root, true) => {
                let last = self.last_no(root);
                self.following.entry((root, who)).or_insert(last);
                200
            }
            Deed::Follow(root, false) => {
                self.following.remove(&(root, who));
                200
            }
            Deed::ReadThread(root, no) => {
                let no = no.min(self.last_no(root));
                self.following.entry((root, who)).and_modify(|read| *read = no.max(*read));
                200
            }
            Deed::Read(at) => {
                self.read_no[who] = self.read_no[who].max(self.said[at].main_no);
                200
            }
        }
    }
}

/// Sequence of actions, in a separate group.
struct Sequence<'a> {
    people: &'a [Member; PEOPLE],
    chat: String,
    /// Sequence number of the group's last event at the start.
    begin: i64,
    dice: Dice,
    model: Model,
    /// Messages that were sent, as the server has returned them.
    written: Vec<Value>,
    log: Vec<String>,
}

impl Sequence<'_> {
    fn id(&self, at: usize) -> &str {
        self.written[at]["id"].as_str().unwrap()
    }

    fn draw(&mut self) -> Deed {
        let count = self.model.said.len();
        if count == 0 {
            return Deed::Write;
        }
        let roots: Vec<usize> = (0..count).filter(|at| self.model.said[*at].root.is_none()).collect();
        let (at, root, emoji) = (self.dice.roll(count), self.dice.pick(&roots), self.dice.roll(EMOJI.len()));
        let is_on = self.dice.roll(3) > 0;
        match self.dice.roll(24) {
            0..3 => Deed::Write,
            3..9 => Deed::Reply(root),
            9..12 => Deed::React(at, emoji),
            12..14 => Deed::TakeBack(at, emoji),
            14..17 => Deed::Pin(at, is_on),
            17..19 => Deed::Delete(at),
            19..21 => Deed::Follow(root, is_on),
            21..23 => Deed::ReadThread(root, i64::try_from(self.dice.roll(8)).unwrap()),
            _ => Deed::Read(at),
        }
    }

    async fn step(&mut self) {
        let (who, deed) = (self.dice.roll(PEOPLE), self.draw());
        let person = &self.people[who];
        let on = |at: usize, rest: &str| format!("/r1/messages/{}/{rest}", self.id(at));
        let messages = format!("/r1/conversations/{}/messages", self.chat);
        let answer = match deed {
            Deed::Write => person.post(&messages, json!({ "client_id": new_id(), "content": "said" })).await,
            Deed::Reply(root) => {
                let body = json!({ "client_id": new_id(), "content": "replied", "thread_id": self.id(root) });
                person.post(&messages, body).await
            }
            Deed::React(at, emoji) => person.put(&on(at, &format!("reactions/{}", EMOJI[emoji].1)), json!({})).await,
            Deed::TakeBack(at, emoji) => person.delete(&on(at, &format!("reactions/{}", EMOJI[emoji].1))).await,
            Deed::Pin(at, true) => person.put(&on(at, "pin"), json!({})).await,
            Deed::Pin(at, false) => person.delete(&on(at, "pin")).await,
            Deed::Delete(at) => person.delete(&format!("/r1/messages/{}", self.id(at))).await,
            Deed::Follow(root, true) => person.put(&on(root, "follow"), json!({})).await,
            Deed::Follow(root, false) => person.delete(&on(root, "follow")).await,
            Deed::ReadThread(root, no) => person.post(&on(root, "thread/read"), json!({ "no": no })).await,
            Deed::Read(at) => {
                let path = format!("/r1/conversations/{}/read", self.chat);
                person.post(&path, json!({ "seq": self.written[at]["seq"] })).await
            }
        };
        self.log.push(format!("{} does {deed:?}: {}", person.name, answer.status));
        let due = self.model.does(who, deed);
        assert_eq!(answer.status, due, "{answer:?} {:#?}", self.log);
        if due == 201 {
            self.written.push(answer.data());
        }
    }

    /// Returns a message as it should be.
    fn due(&self, at: usize) -> Value {
        let said = &self.model.said[at];
        let id = |who: &usize| json!(self.people[*who].id);
        let reactions: Vec<Value> = said
            .reactions
            .iter()
            .map(|(emoji, by)| {
                let user_ids: Vec<Value> = by.iter().map(id).collect();
                json!({ "emoji": EMOJI[*emoji].0, "count": by.len(), "user_ids": user_ids })
            })
            .collect();
        let mut participants: Vec<usize> = Vec::new();
        let there = || self.model.replies(at).filter(|reply| !reply.is_deleted);
        for reply in there() {
            if !participants.contains(&reply.by) {
                participants.push(reply.by);
            }
        }
        let participants: Vec<Value> =
            participants.iter().map(|who| json!({ "kind": "user", "id": self.people[*who].id })).collect();
        let last_no = self.model.last_no(at);
        let thread = json!({ "reply_count": there().count(), "last_no": last_no, "participants": participants });
        json!({
            "id": self.id(at),
            "no": said.no,
            "is_deleted": said.is_deleted,
            "is_pinned": said.is_pinned,
            "reactions": reactions,
            "thread": if last_no > 0 { thread } else { Value::Null },
        })
    }

    fn all_due(&self, root: Option<usize>) -> Vec<Value> {
        let places = 0..self.model.said.len();
        places.filter(|at| self.model.said[*at].root == root).map(|at| self.due(at)).collect()
    }

    /// Compares everything that a user sees with the model.
    async fn look(&self, who: usize) {
        let (person, model, chat) = (&self.people[who], &self.model, &self.chat);
        let says = || format!("{} looks, after {:#?}", person.name, self.log);
        let history: Vec<Value> = person.history(chat).await.iter().map(shown).collect();
        assert_eq!(history, self.all_due(None), "{}", says());
        let conversation = person.conversation(chat).await;
        let counted = (conversation["last_seq"].as_i64(), conversation["unread"].as_i64());
        assert_eq!(counted, (Some(self.begin + model.events), Some(model.main_no - model.read_no[who])), "{}", says());
        let pins = person.get(&format!("/r1/conversations/{chat}/pins?page_size=100")).await.data();
        let pinned: BTreeSet<&str> =
            pins["items"].as_array().unwrap().iter().map(|pin| pin["id"].as_str().unwrap()).collect();
        let due: BTreeSet<&str> =
            (0..model.said.len()).filter(|at| model.said[*at].is_pinned).map(|at| self.id(at)).collect();
        assert_eq!((&pinned, &pins["total"]), (&due, &json!(due.len())), "{}", says());
        for (filter, least) in [("all", 0), ("unread", 1)] {
            let listed = person.get(&format!("/r1/threads?filter={filter}&page_size=100")).await.data();
            // Entries that belong to other groups are older.
            let here =
                listed["items"].as_array().unwrap().iter().filter(|item| item["conversation_id"] == chat.as_str());
            let followed: BTreeMap<&str, i64> =
                here.map(|item| (item["root"]["id"].as_str().unwrap(), item["unread"].as_i64().unwrap())).collect();
            let own = model.following.iter().filter(|((root, by), _)| *by == who && model.last_no(*root) > 0);
            let due: BTreeMap<&str, i64> = own
                .map(|((root, _), read)| (self.id(*root), model.unread(*root, *read)))
                .filter(|(_, unread)| *unread >= least)
                .collect();
            assert_eq!(followed, due, "{filter}; {}", says());
        }
        for root in (0..model.said.len()).filter(|at| model.said[*at].root.is_none()) {
            let thread = person.get(&format!("/r1/messages/{}/thread?limit=200", self.id(root))).await.data();
            let replies: Vec<Value> = thread["items"].as_array().unwrap().iter().map(shown).collect();
            assert_eq!((shown(&thread["root"]), replies), (self.due(root), self.all_due(Some(root))), "{}", says());
            let read = model.following.get(&(root, who));
            let unread = read.map_or(0, |read| model.unread(root, *read));
            let own = json!({ "following": read.is_some(), "read_no": read.copied().unwrap_or(0), "unread": unread });
            assert_eq!(thread["own"], own, "{}", says());
        }
    }
}

/// Returns the fields of a message that are compared.
fn shown(message: &Value) -> Value {
    let thread = &message["thread"];
    let counted = json!({
        "reply_count": thread["reply_count"],
        "last_no": thread["last_no"],
        "participants": thread["participants"],
    });
    json!({
        "id": message["id"],
        "no": message["no"],
        "is_deleted": message["deleted_at"].is_string(),
        "is_pinned": message["pinned_at"].is_string(),
        "reactions": message["reactions"],
        "thread": if thread.is_null() { Value::Null } else { counted },
    })
}

/// Runs random sequences. The users may be connected to several instances.
pub(super) async fn draw(people: &[Member; PEOPLE]) {
    for seed in 0..by_size(4, 40) {
        let chat = people[OWNER].open_group(&format!("Sequence {seed}"), &[&people[1], &people[2]]).await;
        let mut socket = people[1].connect().await;
        let begin = people[OWNER].conversation(&chat).await["last_seq"].as_i64().unwrap();
        let log = vec![format!("seed {seed}")];
        let (dice, model, written) = (Dice::new(seed), Model::default(), Vec::new());
        let mut sequence = Sequence { people, chat, begin, dice, model, written, log };
        for step in 1..=STEPS {
            sequence.step().await;
            if step % LOOK == 0 {
                let who = sequence.dice.roll(PEOPLE);
                sequence.look(who).await;
            }
        }
        for who in 0..PEOPLE {
            sequence.look(who).await;
        }
        // Listeners have received all events in the order of the log, and the log is the same for
        // all users.
        let (chat, end) = (&sequence.chat, begin + sequence.model.events);
        let told = socket.read_until_seq(chat, end).await;
        let told: Vec<(i64, &str)> =
            told.iter().map(|frame| (frame.payload["seq"].as_i64().unwrap(), frame.kind.as_str())).collect();
        let kept = people[OWNER].event_log(chat).await;
        let kept: Vec<(i64, &str)> = kept
            .iter()
            .map(|event| (event["seq"].as_i64().unwrap(), event["type"].as_str().unwrap()))
            .filter(|(seq, _)| *seq > begin)
            .collect();
        assert_eq!(told, kept, "{:#?}", sequence.log);
        assert!(kept.iter().map(|(seq, _)| *seq).eq(begin + 1..=end), "{kept:?}");
    }
}

#[tokio::test]
async fn thread_counts_of_three_people_match_the_model() {
    let app = Application::start().await;
    draw(&[app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await]).await;
}
