//! Report in Markdown, with pictures.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::durable::{Measure, Persistence};
use crate::machine;
use crate::picture::{self, Row, Shape};
use crate::results::{All, Results, Spread};
use crate::subject::Subject;
use crate::targets;
use crate::work::{FanOut, MESSAGE, Outcome, Part};

/// Path of the report below the documentation folder.
pub const REPORT: &str = "benchmark.md";
const PICTURES: &str = "pictures";

pub fn write(results: &Results, docs: &Path, peers: &Path, natter: &Path) -> anyhow::Result<()> {
    let (all, durable) = (results.outcomes()?, results.durable()?);
    let pictures = docs.join(PICTURES);
    fs::create_dir_all(&pictures)?;
    let mut text = introduction(peers, natter);
    text.push_str(&targets::table(&all, &durable));
    text.push_str(&lost_comparisons(&all));
    for part in Part::ALL {
        if all.rounds(part) == 0 {
            continue;
        }
        let rounds = all.rounds(part);
        let _ = write!(text, "\n## {}\n\n{rounds} round{}.\n\n", part.title(), if rounds == 1 { "" } else { "s" });
        if part == Part::Idle {
            memory(&all, &pictures, &mut text)?;
        } else {
            fan_out(&all, part, &pictures, &mut text)?;
        }
    }
    if !durable.is_empty() {
        text.push_str("\n## The durable path alone\n\n");
        text.push_str(
            "Here server, database and load generator share all cores. \"Persisted\" rates are measured with 16 outstanding messages per sender:\n\
             each `ack`, which comes after the commit, triggers the next message. Latencies are measured with messages sent on a schedule, each\n\
             from its scheduled time to its receipt by the other user.\n\n",
        );
        text.push_str(&persistence(&durable));
    }
    fs::write(docs.join(REPORT), text)?;
    Ok(())
}

fn introduction(peers: &Path, natter: &Path) -> String {
    let node = |package: &str| {
        let file = peers.join("node/node_modules").join(package).join("package.json");
        let text = fs::read_to_string(file).unwrap_or_default();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        format!("{package} {}", value["version"].as_str().unwrap_or("?"))
    };
    let lock = include_str!("../peers/socketioxide/Cargo.lock");
    let crate_version = lock
        .split("[[package]]")
        .find(|package| package.contains("name = \"socketioxide\"\n"))
        .and_then(|package| package.split("version = \"").nth(1)?.split('"').next())
        .unwrap_or("?");
    let nginx = machine::version("nginx", &["-v"]).unwrap_or_default();
    let nginx = nginx.rsplit('/').next().unwrap_or_default().to_owned();
    let nchan = machine::version("dpkg-query", &["-W", "-f=${Version}", "libnginx-mod-nchan"]).unwrap_or_default();
    let node_version = machine::version("node", &["--version"]).unwrap_or_default();
    let natter = machine::version(&natter.display().to_string(), &["--version"]).unwrap_or_default();
    format!(
        "# Natter compared with other servers\n\n\
         This page compares the speed and memory of Natter with those of other real-time servers. `bench/run` writes it;\n\
         [performance.md](performance.md) explains the results, the limits and the experiments.\n\n\
         Machine: {}. {natter}; nginx {nginx} with Nchan {nchan}; Node {node_version} with {}, {}, {}; socketioxide {crate_version}.\n\n\
         Every server has one core, and the load generator another one. The same generator drives all servers over WebSocket and loopback\n\
         with messages of {MESSAGE} bytes; each server uses its own frame format. The generator runs on a fixed schedule, so no server pays for\n\
         waking it. The order of the servers changes in each round. Figures are the median of the rounds, with the minimum and the maximum in\n\
         brackets; a ratio is the median of the rounds' ratios. Time is CPU time of all processes of the server, user and system.\n\n\
         - **Natter** is the durable path: each message gets its number in the conversation and is committed to SQLite\n  \
           (`synchronous=FULL`) before it is delivered. The writer's time is included. Natter's readers are signed-in members of a\n  \
           conversation.\n\
         - **Natter, passing** is `typing`, an ephemeral event, which is delivered and not stored, as all messages of the other servers are.\n\
         - **Nchan** keeps the last ten messages in memory, its default; **nothing kept** disables that.\n\
         - **Loop of write(2)** is a C program that only writes each message to each reader's socket: the kernel's minimum for one write\n  \
           per delivery. With long frames its frames are as long as Natter's, which contain IDs, sender and position.\n\
         - The Redis of socket.io's adapter runs on the generator's core and is not counted.\n\
         - **Stalled** is the share of time in which the generator, alone on its core, was woken more than a millisecond late because the\n  \
           host did not schedule it. The server was presumably affected as well. Every server's p99 includes this.\n\n",
        machine::describe(),
        node("socket.io"),
        node("@socket.io/redis-adapter"),
        node("ws"),
    )
}

fn fan_out(all: &All, part: Part, pictures: &Path, text: &mut String) -> anyhow::Result<()> {
    let get = |subject, figure: fn(&FanOut) -> f64| all.fan_out(part, subject, figure);
    let number = |spread: Option<Spread>, digits| spread.map_or_else(String::new, |s| format!("{:.digits$}", s.median));
    let name = part.name();
    let _ = write!(
        text,
        "![Processor time per delivery]({PICTURES}/{name}-cpu.svg)\n\n![Latency]({PICTURES}/{name}-latency.svg)\n\n\
         | | deliveries per CPU-second | user µs | system µs | p50 ms | p99 ms | p99.9 ms | lost | frame bytes | stalled % |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n"
    );
    let (mut costs, mut delays) = (Vec::new(), Vec::new());
    for subject in all.subjects(part) {
        let Some(rate) = get(subject, FanOut::per_cpu_second) else { continue };
        let (user, system) = (get(subject, FanOut::user_microseconds), get(subject, FanOut::system_microseconds));
        let (p50, p99, p999) = (get(subject, |out| out.p50), get(subject, |out| out.p99), get(subject, |out| out.p999));
        let lost = get(subject, |out| crate::work::count(out.lost + out.disorder)).map_or(0.0, |spread| spread.most);
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {lost:.0} | {} | {} |",
            subject.title(),
            thousands_between(rate),
            number(user, 2),
            number(system, 2),
            number(p50, 2),
            number(p99, 2),
            number(p999, 2),
            number(get(subject, |out| out.frame), 0),
            number(get(subject, |out| out.stalled * 100.0), 1),
        );
        let (label, is_own) = (subject.title().to_owned(), subject.is_natter());
        let values = [user, system].into_iter().flatten().map(|spread| spread.median).collect();
        let said = format!("{} /CPU-s", thousands(rate.median));
        costs.push((rate.median, Row { label: label.clone(), is_own, values, text: said }));
        let values: Vec<f64> = [p50, p99, p999].into_iter().flatten().map(|spread| spread.median).collect();
        let said = values.iter().map(|value| short(*value)).collect::<Vec<_>>().join(" / ");
        delays.push(Row { label, is_own, values, text: format!("{said} ms") });
    }
    costs.sort_by(|one, other| other.0.total_cmp(&one.0));
    let costs: Vec<Row> = costs.into_iter().map(|(_, row)| row).collect();
    let picture = picture::bars(
        "Processor time per delivery",
        &format!("{}; shorter is better", part.title()),
        &["user", "system"],
        Shape::Stacked,
        &costs,
    );
    fs::write(pictures.join(format!("{name}-cpu.svg")), picture)?;
    let picture = picture::bars(
        "From send to receipt: p50 / p99 / p99.9",
        &format!("{}; logarithmic, shorter is better", part.title()),
        &["p50", "p99", "p99.9"],
        Shape::Nested,
        &delays,
    );
    fs::write(pictures.join(format!("{name}-latency.svg")), picture)?;
    ratios(all, part, "Deliveries per CPU-second, as a multiple of", text, |outcome| {
        outcome.fan_out.as_ref().map(FanOut::per_cpu_second)
    });
    Ok(())
}

fn memory(all: &All, pictures: &Path, text: &mut String) -> anyhow::Result<()> {
    let _ = write!(
        text,
        "Growth of the server's resident memory per connection; each connection belongs to a different user.\n\n\
         ![Memory per connection]({PICTURES}/idle-memory.svg)\n\n| | bytes per connection |\n|---|--:|\n"
    );
    let mut rows = Vec::new();
    for subject in all.subjects(Part::Idle) {
        let Some(bytes) = all.memory(subject) else { continue };
        let _ = writeln!(text, "| {} | {} |", subject.title(), thousands_between(bytes));
        rows.push((
            bytes.median,
            Row {
                label: subject.title().to_owned(),
                is_own: subject.is_natter(),
                values: vec![bytes.median],
                text: format!("{} bytes", thousands(bytes.median)),
            },
        ));
    }
    rows.sort_by(|one, other| one.0.total_cmp(&other.0));
    let rows: Vec<Row> = rows.into_iter().map(|(_, row)| row).collect();
    let picture =
        picture::bars("Memory per idle connection", "resident; shorter is better", &[], Shape::Stacked, &rows);
    fs::write(pictures.join("idle-memory.svg"), picture)?;
    ratios(all, Part::Idle, "Memory per connection, as a multiple of", text, |outcome| outcome.memory);
    Ok(())
}

fn ratios(all: &All, part: Part, title: &str, text: &mut String, figure: impl Fn(&Outcome) -> Option<f64> + Copy) {
    let (own, others): (Vec<Subject>, Vec<Subject>) = all.subjects(part).partition(|subject| subject.is_natter());
    if own.is_empty() || others.is_empty() {
        return;
    }
    let _ = write!(text, "\n{title}:\n\n| |");
    for other in &others {
        let _ = write!(text, " {} |", other.title());
    }
    let _ = write!(text, "\n|---|{}\n", "--:|".repeat(others.len()));
    for mine in own {
        let _ = write!(text, "| {} |", mine.title());
        for other in &others {
            let ratio = all.ratio(part, mine, *other, figure);
            let _ = write!(text, " {} |", ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}")));
        }
        text.push('\n');
    }
}

/// Lists the comparisons in which another server is better than the durable path. The report states
/// them before the tables.
fn lost_comparisons(all: &All) -> String {
    type Figure = fn(&FanOut) -> f64;
    let figures: [(&str, bool, Figure); 3] = [
        ("deliveries per CPU-second", true, FanOut::per_cpu_second),
        ("p50", false, |out| out.p50),
        ("p99", false, |out| out.p99),
    ];
    let mut lines = Vec::new();
    for part in Part::ALL {
        let mut compare = |what: &str, more_is_better: bool, of: &dyn Fn(Subject) -> Option<Spread>| {
            let Some(mine) = of(Subject::NatterJson) else { return };
            for peer in Subject::ALL.into_iter().filter(|subject| subject.is_peer()) {
                let Some(theirs) = of(peer) else { continue };
                let (ours, theirs) = (mine.median, theirs.median);
                if (theirs > ours) == more_is_better && (theirs - ours).abs() > ours.abs() * 0.02 {
                    let (theirs, ours) = (figure(theirs), figure(ours));
                    lines.push(format!("- {}: **{}** has {theirs} {what}, Natter {ours}.", part.title(), peer.title()));
                }
            }
        };
        for (what, more_is_better, take) in &figures {
            compare(what, *more_is_better, &|subject| all.fan_out(part, subject, take));
        }
        if part == Part::Idle {
            compare("bytes per connection", false, &|subject| all.memory(subject));
        }
    }
    let said = if lines.is_empty() { "In no measurement by more than 2 %.".to_owned() } else { lines.join("\n") };
    format!(
        "\n## Where another server wins\n\nCompared with Natter's durable path, which no other server has:\n\n{said}\n"
    )
}

fn persistence(durable: &targets::Durable) -> String {
    let known: Vec<Persistence> = Persistence::ALL
        .into_iter()
        .filter(|persistence| durable.keys().any(|(other, _)| other == persistence))
        .collect();
    let mut text = format!(
        "| | {} |\n|---|{}\n",
        known.iter().map(|persistence| persistence.title()).collect::<Vec<_>>().join(" | "),
        "--:|".repeat(known.len())
    );
    let rows = [
        (Measure::Persisted, "persisted per second over 100 conversations"),
        (Measure::Delivered, "delivered to the other side per second"),
        (Measure::PersistedInOne, "persisted per second in one conversation of 17"),
        (Measure::P50, "p50 at a fifth of the goal, ms"),
        (Measure::P99, "p99 at a fifth of the goal, ms"),
        (Measure::P999, "p99.9 at a fifth of the goal, ms"),
        (Measure::NatterCpu, "Natter's processor time per message, µs"),
        (Measure::PostgresCpu, "PostgreSQL's processor time per message, µs"),
        (Measure::RedisCpu, "Redis's processor time per message, µs"),
        (Measure::Written, "write-ahead log per message, bytes"),
        (Measure::Stored, "growth of the database per message, bytes"),
    ];
    for (measure, label) in rows {
        let cells = known.iter().map(|persistence| {
            let spread = durable.get(&(*persistence, measure)).and_then(|values| Spread::of(values.iter().copied()));
            spread.map_or_else(String::new, |spread| figure(spread.median))
        });
        let _ = writeln!(text, "| {label} | {} |", cells.collect::<Vec<_>>().join(" | "));
    }
    text
}

/// Formats a figure with its significant digits only.
pub fn figure(value: f64) -> String {
    if value >= 1_000.0 { thousands(value) } else { short(value) }
}

fn short(value: f64) -> String {
    let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.digits$}")
}

fn thousands_between(spread: Spread) -> String {
    let Spread { median, least, most } = spread;
    if least.total_cmp(&most).is_eq() {
        return thousands(median);
    }
    format!("{} ({}–{})", thousands(median), thousands(least), thousands(most))
}

fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_figures_readably() {
        assert_eq!(thousands(1_234_567.4), "1,234,567");
        assert_eq!(thousands(999.0), "999");
        assert_eq!(figure(0.234), "0.23");
        assert_eq!(figure(61.25), "61.2");
    }
}
