//! `upstream openai|gemini|anthropic`: the fake provider as a program, for tests in other languages.
//!
//! It prints its address. Each line of its input says what it does with the next request, and is answered by a line: `answer TEXT`,
//! `tool NAME JSON`, `stall TEXT`, `cut TEXT`, `fail TEXT`, `refuse STATUS [SECONDS]`; `asked` prints what it was asked so far, as JSON.

use std::io::{BufRead as _, Write as _};

use support::{Behaviour, Upstream, UpstreamKind, Value, json};

#[tokio::main]
async fn main() {
    let kind = std::env::args().nth(1).unwrap_or_default();
    let kind = UpstreamKind::ALL.into_iter().find(|known| known.as_str() == kind).expect("one of the kinds");
    let upstream = Upstream::start(kind).await;
    say(&upstream.url());
    let (lines, mut read) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if lines.send(line).is_err() {
                return;
            }
        }
    });
    while let Some(line) = read.recv().await {
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        if word == "asked" {
            let asked: Vec<Value> =
                upstream.asked().iter().map(|one| json!({ "path": one.path, "body": one.body })).collect();
            say(&Value::from(asked).to_string());
            continue;
        }
        upstream.then(behaviour(word, rest));
        say("ok");
    }
}

fn behaviour(word: &str, rest: &str) -> Behaviour {
    match word {
        "answer" => Behaviour::answer(rest),
        "stall" => Behaviour::stall(rest),
        "cut" => Behaviour::cut(rest),
        "fail" => Behaviour::fail(rest),
        "tool" => {
            let (name, arguments) = rest.split_once(' ').expect("a name and its arguments");
            Behaviour::call_tool(name, serde_json::from_str(arguments).expect("JSON"))
        }
        "refuse" => {
            let mut numbers = rest.split(' ').map(|number| number.parse().expect("a number"));
            Behaviour::Refuse(numbers.next().expect("a status") as u16, numbers.next())
        }
        _ => panic!("{word} is unknown"),
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).expect("somebody reads it");
}
