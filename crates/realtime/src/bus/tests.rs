//! Tests of the bus without a server, and with Redis.

use std::{env, time::Duration};

use appcore::{
    InstanceId, Secret, SessionId,
    event::{BusError, BusMessage, EventBus as _, Listener, Signal},
};

use super::NetworkBus;

fn signal() -> BusMessage {
    BusMessage::Signal(Signal::SessionsEnded(vec![SessionId::new()]))
}

fn start(url: &str) -> std::sync::Arc<NetworkBus> {
    NetworkBus::start(&Secret::new(url), InstanceId::new()).unwrap()
}

/// Waits for the expected message. Skips gap signals and messages of other tests.
async fn next(listener: &mut Listener, expected: &BusMessage) {
    let arrives = async { while listener.recv().await.as_ref() != Some(expected) {} };
    tokio::time::timeout(Duration::from_secs(10), arrives).await.expect("the message arrives");
}

#[actix_rt::test]
async fn delivers_locally_and_reports_an_error_without_a_server() {
    for url in [
        "redis://127.0.0.1:1",
        "redis+sentinel://127.0.0.1:1,127.0.0.1:2/main",
        "redis+cluster://127.0.0.1:1,127.0.0.1:2",
        "nats://127.0.0.1:1,127.0.0.1:2",
    ] {
        let bus = start(url);
        let (mut listener, message) = (bus.subscribe(), signal());
        let left = bus.publish(vec![message.clone()]);
        next(&mut listener, &message).await;
        assert!(matches!(left.await, Ok(Err(BusError::Unavailable(_)))), "{url}");
        next(&mut listener, &BusMessage::Signal(Signal::Gap)).await;
        assert!(!bus.is_connected());
    }
}

#[actix_rt::test]
async fn refuses_addresses_that_no_server_can_have() {
    for url in ["redis://one,two", "redis+sentinel://one", "nats://one:port", "redis+cluster://"] {
        assert!(NetworkBus::start(&Secret::new(url), InstanceId::new()).is_err(), "{url}");
    }
}

/// The test runs only if `NATTER_TEST_REDIS` is set. `tests/suite/cluster/buses.rs` tests the other kinds of servers.
#[actix_rt::test]
async fn delivers_once_to_each_instance_through_redis() {
    let Ok(url) = env::var("NATTER_TEST_REDIS") else {
        assert!(env::var_os("NATTER_TEST_REQUIRE_SERVICES").is_none(), "NATTER_TEST_REDIS names no server");
        return;
    };
    let url = url.as_str();
    let (one, two) = (start(url), start(url));
    let (mut own, mut other) = (one.subscribe(), two.subscribe());
    // Each instance reports a gap when its subscription starts.
    next(&mut own, &BusMessage::Signal(Signal::Gap)).await;
    next(&mut other, &BusMessage::Signal(Signal::Gap)).await;
    let (first, second) = (signal(), signal());
    assert!(matches!(one.publish(vec![first.clone()]).await, Ok(Ok(()))), "{url}");
    assert!(matches!(one.publish(vec![second.clone()]).await, Ok(Ok(()))), "{url}");
    next(&mut other, &first).await;
    next(&mut other, &second).await;
    next(&mut own, &first).await;
    next(&mut own, &second).await;
    let third = signal();
    let _ = two.publish(vec![third.clone()]).await;
    loop {
        let message = own.recv().await.unwrap();
        assert!(message != first && message != second, "an instance gets its own messages once");
        if message == third {
            break;
        }
    }
}
