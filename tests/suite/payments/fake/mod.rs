//! Payment gateways that do what a test tells them to, and the events that they send: a file for each.

mod momo;
mod paypal;
mod stripe;
mod vnpay;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
};

use aws_lc_rs::hmac;
use reqwest::Method;
use support::{Answer, Application, Caller, Setup, Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

pub use self::{
    paypal::{decimal, paypal_signed},
    stripe::{stripe_signed, stripe_signed_by},
};

/// Each of them speaks its own language, and is tested in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Stripe,
    Paypal,
    Momo,
    Vnpay,
}

pub const ALL: [Kind; 4] = [Kind::Stripe, Kind::Paypal, Kind::Momo, Kind::Vnpay];

/// What became of payments at the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Open,
    Paid,
    Failed,
}

/// What it does with requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Well,
    /// It does what it is asked to, and answers 500.
    Confused,
    /// It does nothing, and says in its own words that it won't.
    Refusing,
    /// It does nothing: our keys are wrong.
    Unauthorized,
    /// It closes each connection without an answer, and does nothing.
    Away,
}

/// What became of a refund at the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    Done,
    Pending,
    Failed,
}

/// What becomes of a refund that is asked for, and what is said of it.
#[derive(Clone, Copy, Debug)]
pub struct Said {
    /// None: it is not made.
    pub made: Option<Truth>,
    pub answer: Words,
}

/// What is answered.
#[derive(Clone, Copy, Debug)]
pub enum Words {
    /// As it is.
    Truth,
    /// The connection is closed.
    Silence,
    /// With this status of HTTP and in the gateway's own words: Stripe `type/code`, PayPal `name/issue`, MoMo its result code, VNPay
    /// `code/status`.
    Code(u16, &'static str),
    /// That it is done, of another payment, and signed.
    OfAnother,
    /// That it is done, with another amount, and signed.
    OtherAmount,
}

/// A refund that was made.
#[derive(Clone, Debug)]
struct Made {
    id: String,
    /// By which it is asked for again.
    key: String,
    /// Ours.
    name: String,
    /// [`Kind::charge`].
    charge: String,
    amount: i64,
    truth: Truth,
    /// When it was asked for, as VNPay is told.
    asked_at: String,
}

pub struct Fake {
    pub kind: Kind,
    url: String,
    shared: Arc<Shared>,
}

struct Shared {
    kind: Kind,
    state: Mutex<State>,
}

struct State {
    outcome: Outcome,
    mood: Mood,
    /// The amount that it says was paid, in the currency's smallest unit.
    amount: i64,
    asked: Vec<String>,
    /// Each is made once for a key, but by VNPay.
    refunds: Vec<Made>,
    /// What is said to those that are asked for next, by [`Kind::charge`]. Without it they are done.
    refunding: BTreeMap<String, VecDeque<Said>>,
    /// Charges of Stripe's without the payer.
    intents: BTreeMap<String, Intent>,
    /// What it lists as taken. None: PayPal doesn't allow that.
    listed: Option<Vec<Value>>,
    /// Charges of cards have to be confirmed by the payer.
    wants_payer: bool,
    /// Requests of this kind it does, and never answers.
    silent_at: Option<&'static str>,
    /// Requests that are not answered, and wait.
    unanswered: usize,
    /// What became of requests, by their idempotency keys.
    answered: BTreeMap<String, (u16, Value)>,
    /// What PayPal has told of captures, which is so.
    told: BTreeMap<String, Value>,
    /// Somebody else tells in its name.
    is_forged: bool,
}

#[derive(Clone, Debug, Default)]
struct Intent {
    payment: String,
    amount: i64,
    currency: String,
    confirmed: usize,
    succeeded: usize,
    declined: bool,
    /// The payer is there, and has to confirm it.
    is_there: bool,
    waits: bool,
}

const FORGOTTEN: &str = "forgotten";
const SECRET: &str = "a secret of the test";

fn sign(algorithm: hmac::Algorithm, message: &str) -> String {
    hex::encode(hmac::sign(&hmac::Key::new(algorithm, SECRET.as_bytes()), message.as_bytes()))
}

impl Fake {
    pub async fn start(kind: Kind) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = State {
            outcome: Outcome::Open,
            mood: Mood::Well,
            amount: kind.price().1,
            asked: Vec::new(),
            refunds: Vec::new(),
            refunding: BTreeMap::new(),
            intents: BTreeMap::new(),
            listed: None,
            wants_payer: false,
            silent_at: None,
            unanswered: 0,
            answered: BTreeMap::new(),
            told: BTreeMap::new(),
            is_forged: false,
        };
        let shared = Arc::new(Shared { kind, state: Mutex::new(state) });
        let serving = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, Arc::clone(&serving)));
            }
        });
        Self { kind, url, shared }
    }

    pub fn configure(&self, setup: Setup) -> Setup {
        let name = self.kind.name();
        let key = |part: &str| format!("payment.{name}.{part}");
        let setup = setup.set(&key("enabled"), true).set(&key("base_url"), &self.url);
        self.kind.speaks().settings().iter().fold(setup, |setup, (part, value)| setup.set(&key(part), value))
    }

    pub fn say(&self, outcome: Outcome) {
        self.shared.state.lock().unwrap().outcome = outcome;
    }

    pub fn mood(&self, mood: Mood) {
        self.shared.state.lock().unwrap().mood = mood;
    }

    /// What it says that was taken in the last days.
    pub fn lists(&self, charges: Vec<Value>) {
        self.shared.state.lock().unwrap().listed = Some(charges);
    }

    /// Has banks ask payers to confirm what is charged.
    pub fn wants_payer(&self, wants: bool) {
        self.shared.state.lock().unwrap().wants_payer = wants;
    }

    /// Has it do requests of a kind without ever answering them.
    pub fn silent_at(&self, part: Option<&'static str>) {
        self.shared.state.lock().unwrap().silent_at = part;
    }

    /// How many wait for an answer that doesn't come.
    pub fn unanswered(&self) -> usize {
        self.shared.state.lock().unwrap().unanswered
    }

    /// What is told from now on is signed as its own, and not so.
    pub fn is_forged(&self, is_forged: bool) {
        self.shared.state.lock().unwrap().is_forged = is_forged;
    }

    /// How often it was asked for something.
    pub fn asked(&self, part: &str) -> usize {
        self.shared.state.lock().unwrap().asked.iter().filter(|path| path.contains(part)).count()
    }

    /// How often money was taken without the payer, and how often that was declined.
    pub fn charges(&self) -> (usize, usize) {
        let state = self.shared.state.lock().unwrap();
        let taken = state.intents.values().map(|intent| intent.succeeded).sum();
        let tried: usize = state.intents.values().map(|intent| intent.confirmed).sum();
        (taken, tried - taken)
    }

    /// As Stripe does after a day: what comes again with a key is done again.
    pub fn forgets_keys(&self) {
        let mut state = self.shared.state.lock().unwrap();
        state.answered.clear();
        state.refunds.iter_mut().for_each(|made| made.key = FORGOTTEN.to_owned());
    }

    /// How many were made.
    pub fn refunds(&self) -> usize {
        self.shared.state.lock().unwrap().refunds.iter().filter(|made| made.truth != Truth::Failed).count()
    }

    /// What it does and says when a refund of this payment is asked for next, one after the other.
    pub fn refunding(&self, payment: &str, said: impl IntoIterator<Item = Said>) {
        let mut state = self.shared.state.lock().unwrap();
        state.refunding.entry(self.kind.charge(payment)).or_default().extend(said);
    }

    /// A part of a payment is given back at the gateway itself, and nobody has asked for it.
    pub fn gives_back(&self, payment: &str, amount: i64, truth: Truth) {
        let charge = self.kind.charge(payment);
        let mut state = self.shared.state.lock().unwrap();
        let (id, key) = (format!("R-{}", state.refunds.len() + 1), FORGOTTEN.to_owned());
        state.refunds.push(Made { id, key, name: String::new(), charge, amount, truth, asked_at: String::new() });
    }

    /// From now on refunds of this payment are done when they are asked for.
    pub fn refunds_well(&self, payment: &str) {
        self.shared.state.lock().unwrap().refunding.remove(&self.kind.charge(payment));
    }

    /// What becomes of the refunds of a payment.
    pub fn refunds_become(&self, payment: &str, truth: Truth) {
        let charge = self.kind.charge(payment);
        let mut state = self.shared.state.lock().unwrap();
        state.refunds.iter_mut().filter(|made| made.charge == charge).for_each(|made| made.truth = truth);
    }

    /// What becomes of those refunds of a payment that are under way.
    pub fn refunds_end(&self, payment: &str, truth: Truth) {
        let charge = self.kind.charge(payment);
        let mut state = self.shared.state.lock().unwrap();
        let is_open = |made: &&mut Made| made.charge == charge && made.truth == Truth::Pending;
        state.refunds.iter_mut().filter(is_open).for_each(|made| made.truth = truth);
    }

    /// What of a payment is back at its payer.
    pub fn given_back(&self, payment: &str) -> i64 {
        let charge = self.kind.charge(payment);
        let state = self.shared.state.lock().unwrap();
        let done = state.refunds.iter().filter(|made| made.charge == charge && made.truth == Truth::Done);
        done.map(|made| made.amount).sum()
    }
}

/// An event on its way.
#[derive(Clone, Debug)]
pub struct Event {
    method: Method,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Event {
    pub async fn send(&self, app: &Application) -> Answer {
        self.send_to(&app.url()).await
    }

    /// To be sent.
    pub fn request(&self, app: &Application) -> reqwest::RequestBuilder {
        self.request_by(&Caller::anonymous(&app.url()))
    }

    /// To be sent to one of several instances.
    pub fn request_to(&self, base: &str) -> reqwest::RequestBuilder {
        self.request_by(&Caller::anonymous(base))
    }

    pub async fn send_to(&self, base: &str) -> Answer {
        let caller = Caller::anonymous(base);
        caller.send(self.request_by(&caller)).await
    }

    fn request_by(&self, caller: &Caller) -> reqwest::RequestBuilder {
        let mut request = caller.request(self.method.clone(), &self.path);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        if self.method == Method::POST {
            request = request.header("content-type", "application/json").body(self.body.clone());
        }
        request
    }

    /// The event with something else in it, and the signature that it had.
    pub fn forged(mut self, from: &str, to: &str) -> Self {
        assert!(self.body.contains(from) || self.path.contains(from), "{from} is not in {self:?}");
        self.body = self.body.replace(from, to);
        self.path = self.path.replace(from, to);
        // PayPal is asked: the fake knows what it has signed.
        self
    }
}

impl Kind {
    fn speaks(self) -> &'static dyn Speaks {
        match self {
            Self::Stripe => &stripe::Stripe,
            Self::Paypal => &paypal::Paypal,
            Self::Momo => &momo::Momo,
            Self::Vnpay => &vnpay::Vnpay,
        }
    }

    pub fn name(self) -> &'static str {
        self.speaks().name()
    }

    /// By which it knows what was paid, where the event is the first one.
    pub fn charge(self, payment: &str) -> String {
        self.speaks().charge(payment)
    }

    /// What 500 credits cost.
    pub fn price(self) -> (&'static str, i64) {
        self.speaks().price()
    }

    /// What it is answered with when an event is applied, and when it was before.
    pub fn is_content(self, answer: &Answer, again: bool) -> bool {
        self.speaks().is_content(answer, again)
    }

    pub fn is_refused(self, answer: &Answer) -> bool {
        self.speaks().is_refused(answer)
    }

    /// The event that tells how a payment ended. `number` makes it another one.
    pub fn event(self, payment: &str, outcome: Outcome, amount: i64, number: u32) -> Event {
        self.speaks().event(payment, outcome, amount, number)
    }
}

/// A gateway in its own language.
trait Speaks: Sync {
    fn name(&self) -> &'static str;
    /// What has to be set of it, beside where it is.
    fn settings(&self) -> &'static [(&'static str, &'static str)];
    fn price(&self) -> (&'static str, i64);
    fn charge(&self, payment: &str) -> String;
    fn event(&self, payment: &str, outcome: Outcome, amount: i64, number: u32) -> Event;

    fn is_content(&self, answer: &Answer, _again: bool) -> bool {
        answer.status == 200
    }

    fn is_refused(&self, answer: &Answer) -> bool {
        answer.status == 400
    }

    /// Whether a refund that is asked for again is the same one.
    fn repeats_refunds(&self) -> bool {
        true
    }

    /// By which tests know a request.
    fn named(&self, line: &str, _body: &str) -> String {
        line.to_owned()
    }

    /// Status and [words](Words::Code) by which it says that it won't do what it is asked.
    fn refusal(&self) -> (u16, &'static str);

    /// An answer in its own [words](Words::Code).
    fn in_words(&self, state: &State, body: &str, status: u16, words: &str) -> (u16, Value);

    /// What it answers to a request, which it does.
    fn answer(&self, state: &mut State, line: &str, head: &str, body: &str) -> (u16, Value);
}

fn post(gateway: &str, headers: Vec<(&'static str, String)>, body: String) -> Event {
    Event { method: Method::POST, path: format!("/r1/payments/webhooks/{gateway}"), headers, body }
}

/// No two payments have the same at the gateway.
fn transaction(payment: &str, number: u32) -> i64 {
    let random = i64::from_str_radix(&payment[payment.len() - 8..], 16).unwrap();
    random * 100 + i64::from(number)
}

// ---- The gateways' own servers ------------------------------------------------------------------------------------

async fn serve(mut socket: TcpStream, shared: Arc<Shared>) {
    let mut read = Vec::new();
    let mut piece = [0; 16_384];
    loop {
        let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4) else {
            match socket.read(&mut piece).await {
                Ok(0) | Err(_) => return,
                Ok(count) => read.extend_from_slice(&piece[..count]),
            }
            continue;
        };
        let head = String::from_utf8_lossy(&read[..end]).into_owned();
        let length = head
            .lines()
            .find_map(|line| {
                line.to_ascii_lowercase().strip_prefix("content-length:").map(|rest| rest.trim().to_owned())
            })
            .map_or(0, |length| length.parse::<usize>().unwrap());
        while read.len() < end + length {
            match socket.read(&mut piece).await {
                Ok(0) | Err(_) => return,
                Ok(count) => read.extend_from_slice(&piece[..count]),
            }
        }
        let body = String::from_utf8_lossy(&read[end..end + length]).into_owned();
        read.drain(..end + length);
        let line = shared.kind.speaks().named(head.lines().next().unwrap_or_default(), &body);
        if shared.state.lock().unwrap().mood == Mood::Away {
            return;
        }
        let (status, answer) = shared.answer(&line, &head, &body);
        let silent_at = shared.state.lock().unwrap().silent_at;
        if silent_at.is_some_and(|part| line.contains(part)) {
            // Until the other side gives up.
            shared.state.lock().unwrap().unanswered += 1;
            _ = socket.read(&mut piece).await;
            shared.state.lock().unwrap().unanswered -= 1;
            return;
        }
        if status == SILENT {
            return;
        }
        let text = answer.to_string();
        let reply = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{text}",
            text.len()
        );
        if socket.write_all(reply.as_bytes()).await.is_err() {
            return;
        }
    }
}

impl Shared {
    fn answer(&self, line: &str, head: &str, body: &str) -> (u16, Value) {
        let mut state = self.state.lock().unwrap();
        state.asked.push(line.to_owned());
        let gateway = self.kind.speaks();
        match state.mood {
            Mood::Unauthorized => return (401, json!({ "error": { "type": "invalid_request_error" } })),
            Mood::Refusing => {
                let (status, words) = gateway.refusal();
                return gateway.in_words(&state, body, status, words);
            }
            _ => {}
        }
        let answer = gateway.answer(&mut state, line, head, body);
        let is_about_money = !line.contains("oauth2") && !line.contains("verify-webhook");
        if state.mood == Mood::Confused && is_about_money { (500, json!({})) } else { answer }
    }
}

fn field(form: &str, name: &str) -> String {
    let pair = form.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
    pair.unwrap_or_default().to_owned()
}

/// No answer at all.
const SILENT: u16 = 0;

/// A refund that is asked for: the same one for the same key. What was made of it, and what is said.
fn asked_for(state: &mut State, gateway: &dyn Speaks, new: Made) -> (Option<Made>, Words) {
    let said = state.refunding.get_mut(&new.charge).and_then(VecDeque::pop_front);
    let Said { made: truth, answer } = said.unwrap_or(Said { made: Some(Truth::Done), answer: Words::Truth });
    let before = state.refunds.iter().find(|made| made.key == new.key).cloned();
    if let Some(made) = before.filter(|_| gateway.repeats_refunds()) {
        return (Some(made), answer);
    }
    let made = truth.map(|truth| Made { id: format!("R-{}", state.refunds.len() + 1), truth, ..new });
    state.refunds.extend(made.clone());
    (made, answer)
}

fn header(head: &str, name: &str) -> String {
    let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")));
    line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
}
