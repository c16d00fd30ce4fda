//! Tests of writing to many sockets.

use super::*;

/// Connects a reader with a real socket. Returns both ends.
async fn connect(subscriptions: &mut Subscriptions, id: ConversationId) -> (Rc<ConnectionHandle>, TcpStream) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (socket, _) = listener.accept().await.unwrap();
    socket.writable().await.unwrap();
    let user = UserId::new();
    let out = stream_on(user, socket, 1 << 24);
    subscriptions.start_joining(user);
    subscriptions.merge_memberships(user, &following(&[(id, 0)]), Some(&out));
    (out, client)
}

/// Reads the sequence numbers of events up to `last`.
async fn read_until(out: &ConnectionHandle, client: &mut TcpStream, last: i64) -> Vec<i64> {
    let mut text = Vec::new();
    loop {
        let seen: Vec<i64> = String::from_utf8_lossy(&text)
            .split("event: event.")
            .skip(1)
            .filter_map(|event| event.split_once("\n\n")?.0.lines().next()?.parse().ok())
            .collect();
        if seen.last() == Some(&last) {
            return seen;
        }
        tokio::select! {
            read = client.read_buf(&mut text) => assert!(read.unwrap() > 0),
            writable = out.socket().unwrap().writable(), if out.is_blocked() => {
                writable.unwrap();
                out.unblock();
            }
        }
    }
}

#[tokio::test]
async fn delivers_everything_in_order_with_and_without_io_uring() {
    const EVENTS: i64 = 60;
    for ring in [SendRing::for_test(), SendRing::closed()] {
        let (mut subscriptions, id) =
            (Subscriptions::new(Clock::stopped_at(Timestamp(0)), ring, SMALL), conversation(1));
        let mut readers = Vec::new();
        for place in 0..5 {
            let (out, client) = connect(&mut subscriptions, id).await;
            if place == 2 {
                // With these small buffers, only a part of the frames fits into the socket. The
                // rest stays in the queue.
                socket2::SockRef::from(out.socket().unwrap()).set_send_buffer_size(4_096).unwrap();
                socket2::SockRef::from(&client).set_recv_buffer_size(4_096).unwrap();
            }
            readers.push((out, client));
        }
        let mut seq = 0;
        let mut next = || {
            seq += 1;
            let mut envelope = Envelope::clone(&durable(id, seq, FollowChange::None));
            envelope.payload = format!("{{\"text\":\"{}\"}}", "a".repeat(1_000)).into();
            SharedEnvelope::from(envelope)
        };
        // Events are sent directly, several together, and alone through the queue.
        for _ in 0..EVENTS / 4 {
            subscriptions.receive_single(&next(), Instant::now());
            subscriptions.receive(&next(), Instant::now());
            subscriptions.receive(&next(), Instant::now());
            subscriptions.flush();
            subscriptions.receive(&next(), Instant::now());
            subscriptions.flush();
        }
        assert!(readers[2].0.is_blocked() && readers[2].0.queued_bytes() > 0);
        for (out, client) in &mut readers {
            assert_eq!(read_until(out, client, EVENTS).await, (1..=EVENTS).collect::<Vec<_>>());
        }
    }
}

#[tokio::test]
async fn delivers_frames_that_no_other_connection_waits_for() {
    const LENGTH: usize = 30_000;
    for ring in [SendRing::for_test(), SendRing::closed()] {
        let mut subscriptions = Subscriptions::new(Clock::stopped_at(Timestamp(0)), ring, SMALL);
        let mut readers = Vec::new();
        // Has more bytes in total than are copied at a time.
        for number in 0..=MAX_COPIED_BYTES / LENGTH {
            let id = conversation(number as u128);
            readers.push(connect(&mut subscriptions, id).await);
            for seq in 1..=2 {
                let mut envelope = Envelope::clone(&durable(id, seq, FollowChange::None));
                envelope.payload = format!("{{\"text\":\"{}\"}}", "a".repeat(LENGTH)).into();
                subscriptions.receive(&envelope.into(), Instant::now());
            }
        }
        subscriptions.flush();
        for (out, client) in &mut readers {
            assert_eq!(read_until(out, client, 2).await, [1, 2]);
        }
    }
}
