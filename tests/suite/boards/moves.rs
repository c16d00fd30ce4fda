//! Two users move cards at the same time; in the end both see the same board.

use std::collections::HashMap;

use support::{Application, Frame, Member, Socket, Value, json};

use super::{at, change, column, id, task};

/// Number of moves per user.
const MOVES: usize = 250;
/// Number of cards. It is small, so that both users often move the same card.
const CARDS: usize = 10;

/// Tasks by id.
type Seen = HashMap<String, Value>;

/// Deterministic pseudo-random numbers.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % below
    }
}

/// Moves cards to positions, free or occupied, without receiving the moves of the other user.
async fn move_cards(by: &Member, mut dice: Dice, columns: &[String], mut seen: Seen) {
    let mut cards: Vec<String> = seen.keys().cloned().collect();
    cards.sort();
    for _ in 0..MOVES {
        let card = &cards[dice.roll(CARDS)];
        let beside = seen[&cards[dice.roll(CARDS)]]["position"].as_str().unwrap();
        let position = if dice.roll(2) == 0 { beside.to_owned() } else { format!("{beside}V") };
        let body = json!({ "column_id": columns[dice.roll(columns.len())], "position": position });
        let moved = change(by, &seen[card], body).await;
        seen.insert(card.clone(), moved);
    }
}

/// Returns the events of the board after this version, up to the one that adds a column, without
/// gaps.
async fn hear(socket: &mut Socket, chat: &str, version: i64) -> Vec<Frame> {
    let mut heard = Vec::new();
    let mut last = None;
    loop {
        let is_it = |frame: &Frame| {
            frame.payload["conversation_id"] == chat && frame.payload["board_version"].as_i64() > Some(version)
        };
        let frame = socket.find("a change of the board", is_it).await;
        if frame.kind == "column.created" {
            last = frame.payload["board_version"].as_i64();
        }
        heard.push(frame);
        if last.is_some_and(|last| usize::try_from(last - version).unwrap() == heard.len()) {
            return heard;
        }
    }
}

#[tokio::test]
async fn concurrent_moves_of_two_people_converge() {
    let app = Application::start().await;
    end_in_one_board(&app.sign_up("Anna").await, &app.sign_up("Ben").await).await;
}

mod cluster {
    use support::Setup;

    use super::*;

    #[tokio::test]
    async fn concurrent_moves_on_two_instances_converge() {
        let app = Setup::new().instances(2).start().await;
        let ben = app.sign_up("Ben").await.at(&app.instances[1].url());
        end_in_one_board(&app.sign_up("Anna").await, &ben).await;
    }
}

async fn end_in_one_board(anna: &Member, ben: &Member) {
    let chat = anna.open_single(ben).await;
    let mut columns = Vec::new();
    for name in ["To do", "Doing", "Done"] {
        columns.push(id(&column(anna, &chat, name).await).to_owned());
    }
    let mut begun = Seen::new();
    for n in 0..CARDS {
        let made = task(anna, &chat, &json!({ "id": columns[0] }), &n.to_string()).await;
        begun.insert(id(&made).to_owned(), made);
    }
    let version = anna.get(&at(&chat, "board")).await.data()["version"].as_i64().unwrap();
    let (mut annas, mut bens) = (anna.connect().await, ben.connect().await);
    let moving = async {
        tokio::join!(
            move_cards(anna, Dice(1), &columns, begun.clone()),
            move_cards(ben, Dice(2), &columns, begun.clone())
        );
        column(anna, &chat, "End").await;
    };
    let ((), annas, bens) = tokio::join!(moving, hear(&mut annas, &chat, version), hear(&mut bens, &chat, version));

    let listed = anna.get(&at(&chat, "tasks")).await.data();
    let listed: Seen =
        listed["items"].as_array().unwrap().iter().map(|task| (id(task).to_owned(), task.clone())).collect();
    for heard in [annas, bens] {
        let mut seen = begun.clone();
        for told in heard.iter().filter_map(|frame| frame.payload.get("task")) {
            let have = &seen[id(told)];
            if told["version"].as_i64() > have["version"].as_i64() {
                seen.insert(id(told).to_owned(), told.clone());
            }
        }
        assert_eq!(seen, listed);
    }
    let mut places: Vec<_> =
        listed.values().map(|task| (task["column_id"].to_string(), task["position"].to_string())).collect();
    places.sort();
    places.dedup();
    assert_eq!(places.len(), CARDS, "two cards have the same position");
}
