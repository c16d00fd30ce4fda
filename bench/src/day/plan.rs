//! Plan of the day: the members of each conversation, and the actions of each person with their
//! times. The plan is the same in each run.

use std::ops::Range;
use std::time::Duration;

use support::Dice;

pub const PEOPLE: usize = 300;
const MESSAGES: usize = 15_000;
pub const PEAK_HOUR: usize = 10;
/// Number of messages per hour, relative to each other. The peak hour has twelve times the average.
const WEIGHTS: [usize; 24] = [1, 1, 1, 1, 1, 1, 1, 3, 8, 14, 120, 13, 8, 12, 13, 12, 10, 6, 4, 3, 3, 2, 1, 1];
/// Share of the people who are online at the end of each hour, in percent.
const ONLINE: [usize; 24] = [5, 5, 5, 5, 5, 5, 5, 20, 60, 95, 95, 95, 95, 95, 95, 95, 95, 80, 40, 20, 20, 20, 10, 5];
/// Hours in which each person who is online reconnects once.
const RECONNECTS: [usize; 5] = [10, 11, 13, 15, 16];
pub const HOUR: Duration = Duration::from_secs(3_600);

/// Time between the start of typing and the message.
const TYPING: Duration = Duration::from_secs(3);
/// Time between opening a conversation and a message.
const READING: Duration = Duration::from_secs(10);
/// Time between a message and a reaction to it.
const REACTING: Duration = Duration::from_secs(20);
/// Number of messages per opened conversation, reaction, file and question to the assistant.
const PER_OPENING: usize = 2;
const PER_REACTION: usize = 10;
const PER_FILE: usize = 50;
const PER_QUESTION: usize = 75;

/// Ranges of the conversations by size: everyone, fifty people, ten people, two people.
pub const CHANNELS: usize = 30;
const LARGE: Range<usize> = 1..6;
const SMALL: Range<usize> = 6..CHANNELS;
const DIRECT: Range<usize> = CHANNELS..CHANNELS + PEOPLE;

/// Action of a person. Conversations are given by index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Arrive,
    Leave,
    Reconnect,
    StartTyping(usize),
    Send(usize),
    SendFile(usize),
    /// Displays the conversation and reads the newest messages.
    Open(usize),
    /// Adds a reaction to the newest message.
    React(usize),
    Search,
    AskAssistant,
}

pub struct Step {
    /// Time of the day.
    pub at: Duration,
    pub person: usize,
    pub action: Action,
}

pub struct Plan {
    /// Members of each conversation.
    pub conversations: Vec<Vec<usize>>,
    /// Steps in order of their times.
    pub steps: Vec<Step>,
}

impl Plan {
    pub fn new() -> Self {
        let mut dice = Dice::new(300);
        let conversations = conversations(&mut dice);
        let mut planner = Planner { dice, conversations, steps: Vec::new() };
        for hour in 0..24 {
            planner.plan_hour(hour);
        }
        let Planner { conversations, mut steps, .. } = planner;
        steps.sort_by_key(|step| step.at);
        Self { conversations, steps }
    }

    /// Number of messages that are sent by frame.
    pub fn frames(&self) -> usize {
        self.steps.iter().filter(|step| matches!(step.action, Action::Send(_))).count()
    }
}

/// Number of people who are online at the end of an hour. They are those with the lowest indices.
pub const fn online(hour: usize) -> usize {
    ONLINE[hour] * PEOPLE / 100
}

fn conversations(dice: &mut Dice) -> Vec<Vec<usize>> {
    let mut everyone: Vec<usize> = (0..PEOPLE).collect();
    let mut conversations = vec![everyone.clone()];
    for _ in LARGE {
        shuffle(&mut everyone, dice);
        conversations.push(everyone[..50].to_vec());
    }
    shuffle(&mut everyone, dice);
    conversations.extend(everyone.chunks(10).take(SMALL.len()).map(<[usize]>::to_vec));
    // With steps of less than half of the people, no pair occurs twice.
    conversations.extend((0..PEOPLE).map(|person| vec![person, (person + 1 + dice.roll(PEOPLE / 2 - 1)) % PEOPLE]));
    conversations
}

fn shuffle(people: &mut [usize], dice: &mut Dice) {
    for place in (1..people.len()).rev() {
        people.swap(place, dice.roll(place + 1));
    }
}

struct Planner {
    dice: Dice,
    conversations: Vec<Vec<usize>>,
    steps: Vec<Step>,
}

impl Planner {
    fn plan_hour(&mut self, hour: usize) {
        let (before, after) = (online(hour.saturating_sub(1)), online(hour));
        // These are online during the whole hour.
        let active = before.min(after);
        for person in active..before.max(after) {
            self.add(hour, person, if after > before { Action::Arrive } else { Action::Leave });
        }
        for person in 0..active {
            self.add(hour, person, Action::Search);
            if RECONNECTS.contains(&hour) {
                self.add(hour, person, Action::Reconnect);
            }
        }
        let total: usize = WEIGHTS.iter().sum();
        let until = |hour: usize| MESSAGES * WEIGHTS[..hour].iter().sum::<usize>() / total;
        for number in until(hour)..until(hour + 1) {
            self.plan_message(hour, number, active);
        }
    }

    fn plan_message(&mut self, hour: usize, number: usize, active: usize) {
        let at = self.time(hour);
        let (conversation, person) = self.conversation(active);
        let mut add = |at, person, action| self.steps.push(Step { at, person, action });
        if number.is_multiple_of(PER_OPENING) {
            add(at.saturating_sub(READING), person, Action::Open(conversation));
        }
        add(at.saturating_sub(TYPING), person, Action::StartTyping(conversation));
        let is_file = number.is_multiple_of(PER_FILE);
        add(at, person, if is_file { Action::SendFile(conversation) } else { Action::Send(conversation) });
        if number.is_multiple_of(PER_REACTION) {
            let reader = self.conversations[conversation].iter().copied().find(|reader| *reader != person);
            add(at + REACTING, reader.unwrap_or(person), Action::React(conversation));
        }
        if number.is_multiple_of(PER_QUESTION) {
            add(at, person, Action::AskAssistant);
        }
    }

    /// Chooses a conversation and one of its members who are online. Half of the messages are
    /// direct; on average a message has ten readers.
    fn conversation(&mut self, active: usize) -> (usize, usize) {
        loop {
            let range = match self.dice.roll(100) {
                0..50 => DIRECT,
                50..93 => SMALL,
                93..99 => LARGE,
                _ => 0..1,
            };
            let conversation = range.start + self.dice.roll(range.len());
            let members = self.conversations[conversation].iter().copied();
            let members: Vec<usize> = members.filter(|person| *person < active).collect();
            if !members.is_empty() {
                return (conversation, self.dice.pick(&members));
            }
        }
    }

    fn add(&mut self, hour: usize, person: usize, action: Action) {
        let at = self.time(hour);
        self.steps.push(Step { at, person, action });
    }

    /// Returns a random time within an hour.
    fn time(&mut self, hour: usize) -> Duration {
        let within = u32::try_from(self.dice.roll(1_000_000)).unwrap_or_default();
        HOUR * u32::try_from(hour).unwrap_or_default() + HOUR * within / 1_000_000
    }
}

/// Start and end of the peak hour.
pub fn peak() -> [Duration; 2] {
    let hour = u32::try_from(PEAK_HOUR).unwrap_or_default();
    [HOUR * hour, HOUR * (hour + 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_messages_are_in_the_peak_hour_and_all_senders_are_online() {
        let plan = Plan::new();
        let mut is_online: Vec<bool> = (0..PEOPLE).map(|person| person < online(0)).collect();
        let (mut sent, mut in_peak, mut files) = (0, 0, 0);
        for Step { at, person, action } in &plan.steps {
            match action {
                Action::Arrive => is_online[*person] = true,
                Action::Leave => is_online[*person] = false,
                Action::Send(conversation) | Action::SendFile(conversation) => {
                    assert!(is_online[*person] && plan.conversations[*conversation].contains(person));
                    sent += 1;
                    in_peak += usize::from((peak()[0]..peak()[1]).contains(at));
                    files += usize::from(matches!(action, Action::SendFile(_)));
                }
                _ => {}
            }
        }
        assert_eq!((sent, in_peak, files), (MESSAGES, MESSAGES / 2, MESSAGES / PER_FILE));
        assert!(plan.steps.is_sorted_by_key(|step| step.at));
    }

    #[test]
    fn a_message_has_ten_readers_on_average() {
        let plan = Plan::new();
        let readers = plan.steps.iter().filter_map(|step| match step.action {
            Action::Send(conversation) => Some(plan.conversations[conversation].len() - 1),
            _ => None,
        });
        let readers: usize = readers.sum();
        assert!((9..=11).contains(&(readers / plan.frames())), "{readers} readers of {} messages", plan.frames());
    }
}
