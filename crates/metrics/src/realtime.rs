//! Metrics of connections and their traffic.

use std::{cell::RefCell, collections::HashMap, time::Duration};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::{
    BoundedNames, durations,
    quantiles::{DurationHistogram, HistogramSnapshot},
};

/// Kinds of channels of the bus.
const BUS_CHANNELS: [&str; 3] = ["conversation", "control", "heartbeat"];
/// Transports of connections that are counted.
const TRANSPORTS: [&str; 4] = ["websocket", "websocket_msgpack", "socket_io", "sse"];

/// Metrics of connections and of the events delivered to them.
pub struct Realtime {
    connections: Family<TransportLabel, Gauge>,
    received: Family<Type, Counter>,
    delivered: Family<Type, Counter>,
    kinds: BoundedNames,
    fan_out: Histogram,
    lags: DurationHistogram,
    closed: Family<Close, Counter>,
    bus_channels: Gauge,
    bus_messages: Family<BusChannel, Counter>,
    bus_bytes: Family<BusChannel, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TransportLabel {
    transport: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Type {
    r#type: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Close {
    code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BusChannel {
    channel: &'static str,
}

/// Guard that counts an open connection until it is dropped.
#[derive(Debug)]
pub struct ConnectionGuard(Gauge);

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Realtime {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let realtime = Self {
            connections: Family::default(),
            received: Family::default(),
            delivered: Family::default(),
            kinds: BoundedNames::default(),
            fan_out: durations(),
            lags: DurationHistogram::default(),
            closed: Family::default(),
            bus_channels: Gauge::default(),
            bus_messages: Family::default(),
            bus_bytes: Family::default(),
        };
        // The series exist from the start, so that a dashboard shows 0 instead of nothing.
        for transport in TRANSPORTS {
            drop(realtime.connections.get_or_create(&TransportLabel { transport }));
        }
        for channel in BUS_CHANNELS {
            drop(realtime.bus_messages.get_or_create(&BusChannel { channel }));
            drop(realtime.bus_bytes.get_or_create(&BusChannel { channel }));
        }
        registry.register("connections", "Connections to the event stream", realtime.connections.clone());
        registry.register("frames_received", "Frames received from clients", realtime.received.clone());
        registry.register("frames_delivered", "Events delivered to connections", realtime.delivered.clone());
        registry.register(
            "fan_out_seconds",
            "Time from the commit of a change to the delivery of its event on this instance, per delivering thread",
            realtime.fan_out.clone(),
        );
        registry.register("connections_closed", "Connections closed by the server", realtime.closed.clone());
        registry.register(
            "bus_channels",
            "Conversation channels of the bus, of 64, that this instance is subscribed to",
            realtime.bus_channels.clone(),
        );
        registry.register(
            "bus_messages_received",
            "Messages received from the server of the bus, including those of the instance itself",
            realtime.bus_messages.clone(),
        );
        registry.register(
            "bus_bytes_received",
            "Bytes of the messages received from the server of the bus",
            realtime.bus_bytes.clone(),
        );
        realtime
    }

    /// Counts a new connection until the returned guard is dropped.
    #[must_use]
    pub fn connect(&self, transport: &'static str) -> ConnectionGuard {
        debug_assert!(TRANSPORTS.contains(&transport), "{transport} is not counted");
        let gauge = self.connections.get_or_create_owned(&TransportLabel { transport });
        gauge.inc();
        ConnectionGuard(gauge)
    }

    /// Number of open connections.
    pub fn open_connections(&self) -> u64 {
        let open = TRANSPORTS
            .map(|transport| self.connections.get(&TransportLabel { transport }).map_or(0, |gauge| gauge.get()));
        open.iter().sum::<i64>().unsigned_abs()
    }

    /// Returns the counter of received frames of this type. Callers look it up once and keep it.
    pub fn received_counter(&self, kind: &'static str) -> Counter {
        self.received.get_or_create_owned(&Type { r#type: kind })
    }

    /// Records the delivery of an event to `connections` connections.
    pub fn record_delivery(&self, kind: &str, connections: usize) {
        thread_local! {
            static HANDLES: RefCell<HashMap<&'static str, Counter>> = RefCell::default();
        }
        HANDLES.with_borrow_mut(|handles| {
            let count = connections as u64;
            if let Some(counter) = handles.get(kind) {
                counter.inc_by(count);
                return;
            }
            let known = self.kinds.label_for(kind);
            let counter = self.delivered.get_or_create_owned(&Type { r#type: known });
            counter.inc_by(count);
            handles.insert(known, counter);
        });
    }

    /// Records the time from the commit of an event to its delivery to the connections.
    pub fn record_fan_out(&self, lag: Duration) {
        let seconds = lag.as_secs_f64();
        self.fan_out.observe(seconds);
        self.lags.record(seconds);
    }

    /// Returns the distribution of the delivery delays up to now. A delay is recorded once per
    /// thread that has readers of the event.
    pub fn delivery_delays(&self) -> HistogramSnapshot {
        self.lags.read()
    }

    /// Sets the number of subscribed conversation channels of the bus.
    pub fn set_bus_channels(&self, count: u32) {
        self.bus_channels.set(count.into());
    }

    /// Records a message of this many bytes on a channel of the bus of this kind.
    pub fn record_bus_message(&self, channel: &'static str, bytes: usize) {
        debug_assert!(BUS_CHANNELS.contains(&channel), "{channel} is not counted");
        self.bus_messages.get_or_create(&BusChannel { channel }).inc();
        self.bus_bytes.get_or_create(&BusChannel { channel }).inc_by(bytes as u64);
    }

    /// Records that the server has closed a connection with this close code.
    pub fn record_close(&self, code: u16) {
        self.closed.get_or_create(&Close { code }).inc();
    }
}
