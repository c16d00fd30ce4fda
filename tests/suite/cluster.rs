//! Several instances behind a load balancer without sticky sessions. All instances show everything
//! that is committed, whichever of them dies.

mod buses;
mod notifications;
mod partitions;
mod poolers;
mod replicas;
mod search;
mod streams;
mod tls;
mod versions;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use support::{
    Application, Balancer, Behaviour, Caller, Credentials, Follower, Member, Nginx, PATIENCE, PostgresServer, Proxy,
    Setup, Upstream, UpstreamKind, Way, json, new_id, wait_until,
};
use tokio::task::JoinHandle;

async fn two() -> Application {
    Setup::new().instances(2).start().await
}

#[tokio::test]
async fn events_cross_instances() {
    let app = two().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let there = ben.at(&app.instances[1].url());
    let mut socket = there.connect().await;
    let chat = anna.open_single(&ben).await;
    for n in 0..50 {
        anna.send_message(&chat, &format!("{n}")).await;
    }
    socket.expect_in("conversation.created", &chat).await;
    let frames = socket.read_until_seq(&chat, 50).await;
    let seqs: Vec<i64> = frames.iter().map(|frame| frame.payload["seq"].as_i64().unwrap()).collect();
    assert_eq!(seqs, (1..=50).collect::<Vec<_>>());
}

#[tokio::test]
async fn concurrent_sends_of_one_client_id_on_two_instances_create_one_message() {
    let app = two().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let there = anna.at(&app.instances[1].url());
    for _ in 0..30 {
        let client_id = new_id();
        let (one, other) =
            tokio::join!(anna.send_as(&chat, &client_id, "once"), there.send_as(&chat, &client_id, "once"));
        let mut statuses = [one.status, other.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 201], "{one:?} {other:?}");
        assert_eq!(one.data()["id"], other.data()["id"]);
    }
    assert_eq!(anna.history(&chat).await.len(), 30);
}

#[tokio::test]
async fn messages_written_on_two_instances_have_one_order() {
    let app = two().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let mut sockets = vec![ben.connect().await, ben.at(&app.instances[1].url()).connect().await];
    let senders: Vec<_> = (0..8).map(|n| anna.at(&app.instances[n % 2].url())).collect();
    let sending = senders.iter().map(|sender| async {
        for n in 0..25 {
            sender.send_message(&chat, &format!("{n}")).await;
        }
    });
    futures_util::future::join_all(sending).await;
    for socket in &mut sockets {
        let frames = socket.read_until_seq(&chat, 200).await;
        let seqs: Vec<i64> = frames.iter().map(|frame| frame.payload["seq"].as_i64().unwrap()).collect();
        assert_eq!(seqs, (1..=200).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn signing_out_takes_effect_on_other_instances() {
    let app = two().await;
    let anna = app.sign_up("Anna").await;
    let there = anna.at(&app.instances[1].url());
    let mut socket = there.connect().await;
    there.get("/r1/users/me").await.data();
    anna.post("/r1/auth/logout", json!({})).await.data();
    assert_eq!(socket.closed().await.code, 4401);
    there.get("/r1/users/me").await.refused(401, "unauthenticated");
}

/// Writes through the load balancer until told to stop, and resends requests without a response.
/// Returns the messages that were acknowledged.
fn write(member: Member, chat: String, stop: Arc<AtomicBool>) -> JoinHandle<HashSet<String>> {
    tokio::spawn(async move {
        let mut acknowledged = HashSet::new();
        let mut n = 0;
        while !stop.load(Ordering::SeqCst) {
            n += 1;
            let client_id = new_id();
            let body = json!({ "client_id": client_id, "content": format!("message {n}") });
            loop {
                let request =
                    member.request(reqwest::Method::POST, &format!("/r1/conversations/{chat}/messages")).json(&body);
                match member.try_send(request).await {
                    Ok(answer) if matches!(answer.status, 200 | 201) => break,
                    Ok(answer) => assert!(matches!(answer.status, 502..=504), "{answer:?}"),
                    Err(_) => {}
                }
                // Pause of the client before it retries.
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            acknowledged.insert(client_id);
        }
        acknowledged
    })
}

/// Checks that every acknowledged message exists exactly once, and that what each user sees equals
/// the log.
async fn check(member: &Member, chat: &str, acknowledged: &HashSet<String>, followers: &[Follower]) {
    let log = member.event_log(chat).await;
    let expected: Vec<(i64, String)> =
        log.iter().map(|event| (event["seq"].as_i64().unwrap(), event["type"].as_str().unwrap().to_owned())).collect();
    let seqs: Vec<i64> = expected.iter().map(|(seq, _)| *seq).collect();
    assert_eq!(seqs, (1..=i64::try_from(seqs.len()).unwrap()).collect::<Vec<_>>(), "the log has a gap");
    let history = member.history(chat).await;
    let stored: Vec<&str> = history.iter().map(|message| message["client_id"].as_str().unwrap()).collect();
    let once: HashSet<String> = stored.iter().map(|id| (*id).to_owned()).collect();
    assert_eq!(stored.len(), once.len(), "a message exists twice");
    assert_eq!(once.intersection(acknowledged).count(), acknowledged.len(), "an acknowledged message is missing");
    for follower in followers {
        follower.wait_for(chat, *seqs.last().unwrap()).await;
        assert_eq!(follower.seen(chat), expected);
        assert_eq!(follower.unannounced_jumps(), 0, "a gap without a resync");
    }
}

struct Load {
    chat: String,
    anna: Member,
    followers: Vec<Follower>,
    stop: Arc<AtomicBool>,
    writers: Vec<JoinHandle<HashSet<String>>>,
}

impl Load {
    /// Starts two users who write and follow the conversation through the load balancer.
    async fn start(balancer: &str) -> Self {
        let anna = Member::sign_up(balancer, "Anna").await;
        let ben = Member::sign_up(balancer, "Ben").await;
        let chat = anna.open_single(&ben).await;
        let followers = vec![Follower::start(&anna).await, Follower::start(&ben).await, Follower::start(&ben).await];
        let stop = Arc::new(AtomicBool::new(false));
        let writers =
            [&anna, &ben, &anna, &ben].map(|member| write(member.clone(), chat.clone(), Arc::clone(&stop))).into();
        let load = Self { chat, anna, followers, stop, writers };
        load.go_on(100).await;
        load
    }

    /// Waits until all followers have received this number of further messages.
    async fn go_on(&self, messages: i64) {
        for follower in &self.followers {
            let now = follower.seen(&self.chat).last().map_or(0, |(seq, _)| *seq);
            follower.wait_for(&self.chat, now + messages).await;
        }
    }

    async fn finish(self) {
        self.stop.store(true, Ordering::SeqCst);
        let mut acknowledged = HashSet::new();
        for writer in self.writers {
            acknowledged.extend(writer.await.unwrap());
        }
        check(&self.anna, &self.chat, &acknowledged, &self.followers).await;
    }
}

#[tokio::test]
async fn killing_an_instance_under_load_loses_nothing() {
    let mut app = two().await;
    let balancer = Balancer::start(&app.instances).await;
    let load = Load::start(&balancer.url()).await;
    for round in 0..4 {
        let victim = round % 2;
        app.instances[victim].kill().await;
        load.go_on(50).await;
        app.instances[victim].start_again().await;
        load.go_on(50).await;
    }
    load.finish().await;
}

#[tokio::test]
async fn restarting_redis_under_load_loses_nothing() {
    let mut app = two().await;
    let balancer = Balancer::start(&app.instances).await;
    let load = Load::start(&balancer.url()).await;
    for _ in 0..2 {
        let redis = app.redis.as_mut().unwrap();
        redis.stop().await;
        // Without Redis, the events are read from the log and delivered.
        load.go_on(50).await;
        redis.start_again().await;
        load.go_on(50).await;
    }
    load.finish().await;
}

#[tokio::test]
async fn restarting_every_instance_in_turn_loses_nothing() {
    let mut app = two().await;
    let balancer = Balancer::start(&app.instances).await;
    let load = Load::start(&balancer.url()).await;
    for turn in 0..2 {
        assert!(app.instances[turn].terminate().await.success());
        app.instances[turn].start_again().await;
        load.go_on(50).await;
    }
    load.finish().await;
}

#[tokio::test]
async fn restarting_every_instance_in_turn_behind_nginx_loses_nothing() {
    let mut app = two().await;
    let nginx = Nginx::shipped(&app.instances).await;
    let load = Load::start(&nginx.url()).await;
    for turn in 0..2 {
        assert!(app.instances[turn].terminate().await.success());
        app.instances[turn].start_again().await;
        load.go_on(50).await;
    }
    load.finish().await;
}

#[tokio::test]
async fn terminating_database_backends_under_load_loses_nothing() {
    let app = two().await;
    let balancer = Balancer::start(&app.instances).await;
    let load = Load::start(&balancer.url()).await;
    for _ in 0..3 {
        app.database.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()").await;
        load.go_on(50).await;
    }
    load.finish().await;
}

#[tokio::test]
async fn answers_503_in_time_without_its_database_and_recovers() {
    let mut postgres = PostgresServer::start();
    let app = Setup::new().database(&postgres.url()).start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    anna.send_message(&chat, "before").await;
    postgres.stop();
    let client_id = new_id();
    let (sent, read, signed_in, health, alive) = tokio::join!(
        anna.send_as(&chat, &client_id, "meanwhile"),
        anna.get("/r1/conversations"),
        anna.post("/r1/auth/signin", json!({ "email": anna.email, "password": support::PASSWORD })),
        anna.get("/health"),
        anna.get("/health/simple"),
    );
    for answer in [&sent, &read, &signed_in] {
        answer.refused(503, "unavailable");
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
    }
    assert_eq!((health.status, &health.body["database"]["status"]), (503, &json!("down")), "{health:?}");
    assert_eq!(alive.status, 200);
    assert_eq!(anna.get("/health").await.body["database"]["circuit"], "open");
    // From here on, no request waits for a connection. Otherwise twenty requests in a row would
    // take a multiple of `PATIENCE`.
    let refusals = async {
        for _ in 0..20 {
            anna.get("/r1/conversations").await.refused(503, "unavailable");
        }
    };
    tokio::time::timeout(PATIENCE, refusals).await.expect("refused at once");
    postgres.start_again();
    wait_until("the database is used again", || async { anna.get("/r1/conversations").await.status == 200 }).await;
    assert_eq!(anna.get("/health").await.body["database"]["circuit"], "closed");
    let said = |word: &str| app.instances[0].log().iter().filter(|line| line.contains(word)).count();
    wait_until("the circuit breaker closes", || async { said("circuit breaker closed") > 0 }).await;
    assert_eq!((said("circuit breaker open"), said("circuit breaker closed")), (1, 1));
    let is_failure = |line: &&String| line.contains("\"level\":\"WARN\"") && line.contains("\"status\":503");
    wait_until("each failed request is logged as a warning", || async {
        app.instances[0].log().iter().filter(is_failure).count() >= 20
    })
    .await;
    // The first attempt may have been committed; after it is resent, the message exists only once.
    let again = anna.send_as(&chat, &client_id, "meanwhile").await;
    assert!(matches!(again.status, 200 | 201), "{again:?}");
    assert_eq!(anna.history(&chat).await.len(), 2);
}

/// The connections stay open, but neither data nor errors arrive.
#[tokio::test]
async fn answers_503_in_time_behind_a_dead_database_connection_and_recovers() {
    let postgres = PostgresServer::start();
    let line = Proxy::start(postgres.port()).await;
    let app = Setup::new().database(&format!("postgres://natter@127.0.0.1:{}/postgres", line.port())).start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let mut socket = ben.connect().await;
    anna.send_message(&chat, "before").await;
    socket.read_until_seq(&chat, 1).await;
    // The database connections fail while requests of each kind are in progress.
    let (is_over, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let asking = (0..24).map(|n| {
        let (anna, chat, is_over, answered) = (&anna, &chat, &is_over, &answered);
        async move {
            while !is_over.load(Ordering::SeqCst) {
                let answer = match n % 3 {
                    0 => anna.get("/r1/conversations").await,
                    1 => anna.send_as(chat, &new_id(), "meanwhile").await,
                    _ => {
                        anna.post("/r1/auth/signin", json!({ "email": anna.email, "password": support::PASSWORD }))
                            .await
                    }
                };
                assert!(matches!(answer.status, 200 | 201 | 503), "{answer:?}");
                answered.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    let breaking = async {
        wait_until("requests are answered", || async { answered.load(Ordering::SeqCst) > 48 }).await;
        line.set(Way::Dead);
        wait_until("a 503", || async { anna.get("/r1/conversations").await.status == 503 }).await;
        line.set(Way::Open);
        // Queries on failed connections time out; everything else is served over new connections.
        wait_until("requests are answered again", || async { anna.get("/r1/conversations").await.status == 200 }).await;
        is_over.store(true, Ordering::SeqCst);
    };
    // Fails if a request takes longer than `PATIENCE`.
    tokio::join!(futures_util::future::join_all(asking), breaking);
    wait_until("messages are accepted again", || async {
        matches!(anna.send_as(&chat, &new_id(), "after").await.status, 200 | 201)
    })
    .await;
    let head = anna.event_log(&chat).await.len() as i64;
    socket.read_until_seq(&chat, head).await;
}

/// Some connections stop responding; the others, and new ones, work.
#[tokio::test]
async fn stalled_database_backends_fail_only_their_own_requests() {
    let postgres = PostgresServer::start();
    let app = Setup::new().database(&postgres.url()).start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    anna.send_message(&chat, "before").await;
    let backends = "SELECT min(pid)::bigint FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
                    AND backend_type = 'client backend'";
    let stopped = app.database.number(backends).await;
    postgres.pause_backend(stopped);
    let asked = (0..24).map(|n| {
        let (anna, chat) = (&anna, &chat);
        async move {
            let answer = match n % 2 {
                0 => anna.get("/r1/conversations").await,
                _ => anna.send_as(chat, &new_id(), "meanwhile").await,
            };
            assert!(matches!(answer.status, 200 | 201 | 503), "{answer:?}");
            usize::from(answer.status == 503)
        }
    });
    let failed: usize = futures_util::future::join_all(asked).await.into_iter().sum();
    assert!(failed <= 1, "{failed} requests failed for one stalled backend");
    assert_eq!(anna.get("/health").await.body["database"]["circuit"], "closed");
    postgres.resume_backend(stopped);
}

/// Clients that use no load balancer: if they can't connect or are disconnected, they switch to the
/// other instance.
#[tokio::test]
async fn clients_that_fail_over_see_no_error_in_a_rolling_restart() {
    const CLIENTS: usize = 16;
    let mut app = two().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let there: Vec<Member> = app.instances.iter().map(|instance| anna.at(&instance.url())).collect();
    let (is_over, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    let asking = (0..CLIENTS).map(|n| {
        let (there, chat, is_over, served) = (&there, &chat, &is_over, &served);
        async move {
            while !is_over.load(Ordering::SeqCst) {
                let client_id = new_id();
                for turn in n.. {
                    let member = &there[turn % 2];
                    let request = match n % 2 {
                        0 => member.request(reqwest::Method::GET, "/r1/conversations"),
                        _ => member
                            .request(reqwest::Method::POST, &format!("/r1/conversations/{chat}/messages"))
                            .json(&json!({ "client_id": client_id, "content": "on and on" })),
                    };
                    match member.try_send(request).await {
                        Ok(answer) => {
                            assert!(matches!(answer.status, 200 | 201), "{answer:?}");
                            break;
                        }
                        Err(_) => tokio::task::yield_now().await,
                    }
                }
                served.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    let restarting = async {
        for turn in 0..4 {
            let before = served.load(Ordering::SeqCst);
            wait_until("more requests are served", || async { served.load(Ordering::SeqCst) > before + 10 * CLIENTS })
                .await;
            assert!(app.instances[turn % 2].terminate().await.success());
            app.instances[turn % 2].start_again().await;
        }
        is_over.store(true, Ordering::SeqCst);
    };
    tokio::join!(futures_util::future::join_all(asking), restarting);
}

#[tokio::test]
async fn the_state_of_a_providers_key_is_shared_between_instances() {
    let upstream = Upstream::start(UpstreamKind::OpenAi).await;
    let app = Setup::new().instances(2).provider(&upstream).start().await;
    let admin = app.admin().await;
    let program = app.sign_up("Anna").await.program(&["gateway"]).await;
    let there = admin.at(&app.instances[1].url());
    let state = async || {
        let providers = there.get("/r1/admin/providers").await.data();
        providers[0]["keys"][0]["state"].as_str().unwrap().to_owned()
    };
    assert_eq!(state().await, "ready");
    let question = json!({ "model": "small", "messages": [{ "role": "user", "content": "Hello?" }] });
    upstream.always(Behaviour::Refuse(429, Some(600)));
    assert_eq!(program.post("/v1/chat/completions", question.clone()).await.status, 429);
    wait_until("the other instance knows that the key backs off", || async { state().await == "resting" }).await;
    let asked = upstream.asked().len();
    let refused = program.at(&app.instances[1].url()).post("/v1/chat/completions", question).await;
    assert_eq!(
        (refused.status, upstream.asked().len()),
        (429, asked),
        "the provider was called although the key backs off"
    );
    assert!(refused.header("retry-after").is_some(), "{refused:?}");

    let providers = admin.get("/r1/admin/providers").await.data();
    let key = providers[0]["keys"][0]["id"].as_str().unwrap().to_owned();
    let name = providers[0]["name"].as_str().unwrap();
    admin.post(&format!("/r1/admin/providers/{name}/keys/{key}/revive"), json!({})).await.data();
    wait_until("the other instance knows that the key is ready", || async { state().await == "ready" }).await;
}

#[tokio::test]
async fn five_instances_share_the_call_limit_of_a_key() {
    let upstream = Upstream::start(UpstreamKind::OpenAi).await;
    let app = Setup::new().instances(5).provider(&upstream).start().await;
    let anna = app.sign_up("Anna").await;
    let rules = json!({ "name": "A program", "scopes": ["gateway"], "rpm": 20 });
    let key = anna.post("/r1/api_keys", rules).await.data_with(201);
    let credentials = Credentials::Bearer(key["key"].as_str().unwrap().to_owned());
    let question = json!({ "model": "small", "messages": [{ "role": "user", "content": "Hello?" }] });
    let calls = (0..60).map(|n| {
        let caller = Caller::new(&app.instances[n % 5].url(), credentials.clone());
        let question = question.clone();
        async move { caller.post("/v1/chat/completions", question).await.status }
    });
    let statuses = futures_util::future::join_all(calls).await;
    let counted = |status: u16| statuses.iter().filter(|one| **one == status).count();
    assert_eq!((counted(200), counted(429)), (20, 40), "{statuses:?}");
}
