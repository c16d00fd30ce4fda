//! Promised figures, compared with the measured ones.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::durable::{Measure, Persistence};
use crate::report::figure;
use crate::results::{All, Spread};
use crate::subject::Subject;
use crate::work::{FanOut, Outcome, Part};

pub type Durable = BTreeMap<(Persistence, Measure), Vec<f64>>;

#[derive(Clone, Copy)]
enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

/// Formats a table of all promises with a figure, one line each.
pub fn table(all: &All, durable: &Durable) -> String {
    let mut text = "## Goals and results\n\n| | goal | durable | passing |\n|---|--:|--:|--:|\n".to_owned();
    let mut line = |label: &str, goal: Goal, values: [Option<f64>; 2]| {
        if values.iter().all(Option::is_none) {
            return;
        }
        let (bound, cells) = match goal {
            Goal::AtLeast(bound) => {
                (format!("≥ {}", plain(bound)), values.map(|value| verdict(value, |value| value >= bound)))
            }
            Goal::AtMost(bound) => {
                (format!("≤ {}", plain(bound)), values.map(|value| verdict(value, |value| value <= bound)))
            }
        };
        let _ = writeln!(text, "| {label} | {bound} | {} | {} |", cells[0], cells[1]);
    };
    let rate = |outcome: &Outcome| outcome.fan_out.as_ref().map(FanOut::per_cpu_second);
    let cost = |outcome: &Outcome| outcome.fan_out.as_ref().map(|out| 1.0 / out.per_cpu_second());
    let both = [Subject::NatterJson, Subject::NatterTyping];
    let fan = |other| both.map(|own| all.ratio(Part::Fan1000, own, other, rate));
    line("1,000 readers: deliveries per CPU-second, of the loop of write(2)", Goal::AtLeast(0.9), fan(Subject::Floor));
    line("… of the same with frames as long as Natter's", Goal::AtLeast(0.9), fan(Subject::FloorLong));
    line("… of Nchan", Goal::AtLeast(1.2), fan(Subject::NchanBuffer));
    line("… of Nchan, nothing kept", Goal::AtLeast(1.2), fan(Subject::Nchan));
    line("… of socket.io", Goal::AtLeast(2.0), fan(Subject::SocketIo));
    let half = both.map(|own| all.ratio(Part::Fan1000Half, own, Subject::SocketIo, rate));
    line("… of socket.io, at 50 messages a second, which it can send", Goal::AtLeast(2.0), half);
    let of = |figure: fn(&FanOut) -> f64| {
        both.map(|own| all.fan_out(Part::Fan1000, own, figure).map(|spread| spread.median))
    };
    line("… user-space time per delivery, µs", Goal::AtMost(0.5), of(FanOut::user_microseconds));
    line("… p99 from send to receipt, ms", Goal::AtMost(10.0), of(|out| out.p99));
    let eight = both.map(|own| all.ratio(Part::Eight, own, Subject::NchanBuffer, rate));
    line("eight outstanding: deliveries per CPU-second, of Nchan", Goal::AtLeast(5.0), eight);
    let wires = [
        ("MessagePack", [Subject::NatterMsgpack, Subject::NatterTypingMsgpack]),
        ("Socket.IO", [Subject::NatterSocketIo, Subject::NatterTypingSocketIo]),
    ];
    for (wire, subjects) in wires {
        let [durable, passing] = subjects;
        let ratios = [
            all.ratio(Part::Fan1000, durable, Subject::NatterJson, cost),
            all.ratio(Part::Fan1000, passing, Subject::NatterTyping, cost),
        ];
        line(&format!("cost of a reader over {wire}, of a native JSON one"), Goal::AtMost(1.2), ratios);
    }
    let memory = |subject| all.memory(subject).map(|spread| spread.median);
    line("bytes per idle native connection", Goal::AtMost(6_144.0), [memory(Subject::NatterJson), None]);
    line("bytes per idle connection over Socket.IO", Goal::AtMost(8_192.0), [memory(Subject::NatterSocketIo), None]);
    for persistence in Persistence::ALL {
        let get = |measure| {
            let values = durable.get(&(persistence, measure))?;
            Some(Spread::of(values.iter().copied())?.median)
        };
        let title = persistence.title();
        let many = if persistence == Persistence::Sqlite { 20_000.0 } else { 10_000.0 };
        line(&format!("{title}: persisted per second"), Goal::AtLeast(many), [get(Measure::Persisted), None]);
        line(
            &format!("{title}: persisted per second in one conversation"),
            Goal::AtLeast(5_000.0),
            [get(Measure::PersistedInOne), None],
        );
        line(
            &format!("{title}: p99 at {} per second, ms", plain(persistence.rate().into())),
            Goal::AtMost(10.0),
            [get(Measure::P99), None],
        );
    }
    text
}

fn plain(value: f64) -> String {
    if value >= 1_000.0 { figure(value) } else { value.to_string() }
}

fn verdict(value: Option<f64>, is_kept: impl Fn(f64) -> bool) -> String {
    match value {
        None => String::new(),
        Some(value) if is_kept(value) => figure(value),
        Some(value) => format!("**{}: missed**", figure(value)),
    }
}
