//! Fake payment gateways that the tests control, and their events. There is one file per gateway.

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

/// Kind of gateway. Each has a different format, and all pass the same tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Stripe,
    Paypal,
    Momo,
    Vnpay,
}

pub const ALL: [Kind; 4] = [Kind::Stripe, Kind::Paypal, Kind::Momo, Kind::Vnpay];

/// State of payments at the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Open,
    Paid,
    Failed,
}

/// How the gateway behaves when it gets a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Well,
    /// Executes the request, but answers with status 500.
    Confused,
    /// Doesn't execute the request, and answers with a refusal in the format of the gateway.
    Refusing,
    /// Doesn't execute the request, because the API key is wrong.
    Unauthorized,
    /// Doesn't execute the request, and closes the connection.
    Away,
}

/// State of a refund at the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    Done,
    Pending,
    Failed,
}

/// Effect of a refund request, and the response to it.
#[derive(Clone, Copy, Debug)]
pub struct Said {
    /// State of the refund that is made; `None` if none is made.
    pub made: Option<Truth>,
    pub answer: Words,
}

/// Response to a refund request.
#[derive(Clone, Copy, Debug)]
pub enum Words {
    /// The response states the true state.
    Truth,
    /// The connection is closed without a response.
    Silence,
    /// The response has this HTTP status and a code in the format of the gateway: Stripe
    /// `type/code`, PayPal `name/issue`, MoMo the result code, VNPay `code/status`.
    Code(u16, &'static str),
    /// The response is correctly signed, and reports success of another payment.
    OfAnother,
    /// The response is correctly signed, and reports success with another amount.
    OtherAmount,
}

/// Refund that the gateway has made.
#[derive(Clone, Debug)]
struct Made {
    id: String,
    /// Idempotency key of the request.
    key: String,
    /// Name that the server has given to the refund.
    name: String,
    /// Charge that was refunded; see [`Kind::charge`].
    charge: String,
    amount: i64,
    truth: Truth,
    /// Time of the request, as sent to VNPay.
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
    /// Amount that is reported as paid, in the smallest unit of the currency.
    amount: i64,
    asked: Vec<String>,
    /// Refunds that were made. There is only one per idempotency key, except at VNPay.
    refunds: Vec<Made>,
    /// Effects of the next refund requests and the responses, by [`Kind::charge`]. If there are
    /// none, refunds succeed.
    refunding: BTreeMap<String, VecDeque<Said>>,
    /// Charges at Stripe that were made without the payer.
    intents: BTreeMap<String, Intent>,
    /// Charges that the gateway lists; `None` if it doesn't permit listing (PayPal).
    listed: Option<Vec<Value>>,
    /// True if a charge of a card requires that the payer confirms it.
    wants_payer: bool,
    /// Kind of requests that are executed but never answered.
    silent_at: Option<&'static str>,
    /// Number of requests that are waiting for an answer.
    unanswered: usize,
    /// Responses that were given, by idempotency key.
    answered: BTreeMap<String, (u16, Value)>,
    /// Events about captures that PayPal has really sent.
    told: BTreeMap<String, Value>,
    /// True if events are forged in the gateway's name.
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
    /// True if the payer is present and can confirm the charge.
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

    /// Sets the charges that the gateway lists for the last days.
    pub fn lists(&self, charges: Vec<Value>) {
        self.shared.state.lock().unwrap().listed = Some(charges);
    }

    /// Sets whether banks require that the payer confirms a charge.
    pub fn wants_payer(&self, wants: bool) {
        self.shared.state.lock().unwrap().wants_payer = wants;
    }

    /// Makes the gateway execute requests of this kind without answering them.
    pub fn silent_at(&self, part: Option<&'static str>) {
        self.shared.state.lock().unwrap().silent_at = part;
    }

    /// Number of requests that are waiting for an answer.
    pub fn unanswered(&self) -> usize {
        self.shared.state.lock().unwrap().unanswered
    }

    /// Sets whether events are correctly signed but untrue.
    pub fn is_forged(&self, is_forged: bool) {
        self.shared.state.lock().unwrap().is_forged = is_forged;
    }

    /// Number of requests of this kind.
    pub fn asked(&self, part: &str) -> usize {
        self.shared.state.lock().unwrap().asked.iter().filter(|path| path.contains(part)).count()
    }

    /// Number of charges that were made without the payer, and number of those that were declined.
    pub fn charges(&self) -> (usize, usize) {
        let state = self.shared.state.lock().unwrap();
        let taken = state.intents.values().map(|intent| intent.succeeded).sum();
        let tried: usize = state.intents.values().map(|intent| intent.confirmed).sum();
        (taken, tried - taken)
    }

    /// Makes the gateway forget idempotency keys, as Stripe does after a day. A repeated request is
    /// then executed again.
    pub fn forgets_keys(&self) {
        let mut state = self.shared.state.lock().unwrap();
        state.answered.clear();
        state.refunds.iter_mut().for_each(|made| made.key = FORGOTTEN.to_owned());
    }

    /// Number of refunds that were made.
    pub fn refunds(&self) -> usize {
        self.shared.state.lock().unwrap().refunds.iter().filter(|made| made.truth != Truth::Failed).count()
    }

    /// Sets the effects of the next refund requests for this payment and the responses, in order.
    pub fn refunding(&self, payment: &str, said: impl IntoIterator<Item = Said>) {
        let mut state = self.shared.state.lock().unwrap();
        state.refunding.entry(self.kind.charge(payment)).or_default().extend(said);
    }

    /// Makes a refund of a part of a payment at the gateway, which the server hasn't requested.
    pub fn gives_back(&self, payment: &str, amount: i64, truth: Truth) {
        let charge = self.kind.charge(payment);
        let mut state = self.shared.state.lock().unwrap();
        let (id, key) = (format!("R-{}", state.refunds.len() + 1), FORGOTTEN.to_owned());
        state.refunds.push(Made { id, key, name: String::new(), charge, amount, truth, asked_at: String::new() });
    }

    /// Makes further refunds of this payment succeed.
    pub fn refunds_well(&self, payment: &str) {
        self.shared.state.lock().unwrap().refunding.remove(&self.kind.charge(payment));
    }

    /// Sets the state of all refunds of a payment.
    pub fn refunds_become(&self, payment: &str, truth: Truth) {
        let charge = self.kind.charge(payment);
        let mut state = self.shared.state.lock().unwrap();
        state.refunds.iter_mut().filter(|made| made.charge == charge).for_each(|made| made.truth = truth);
    }

    /// Sets the state of those refunds of a payment that are pending.
    pub fn refunds_end(&self, payment: &str, truth: Truth) {
        let charge = self.kind.charge(payment);
        let mut state = self.shared.state.lock().unwrap();
        let is_open = |made: &&mut Made| made.charge == charge && made.truth == Truth::Pending;
        state.refunds.iter_mut().filter(is_open).for_each(|made| made.truth = truth);
    }

    /// Returns the amount of a payment that was refunded.
    pub fn given_back(&self, payment: &str) -> i64 {
        let charge = self.kind.charge(payment);
        let state = self.shared.state.lock().unwrap();
        let done = state.refunds.iter().filter(|made| made.charge == charge && made.truth == Truth::Done);
        done.map(|made| made.amount).sum()
    }
}

/// Event that is to be delivered to the server.
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

    /// Builds the request that delivers the event.
    pub fn request(&self, app: &Application) -> reqwest::RequestBuilder {
        self.request_by(&Caller::anonymous(&app.url()))
    }

    /// Builds the request that delivers the event to one of several instances.
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

    /// Returns the event with changed content but the original signature.
    pub fn forged(mut self, from: &str, to: &str) -> Self {
        assert!(self.body.contains(from) || self.path.contains(from), "{from} is not in {self:?}");
        self.body = self.body.replace(from, to);
        self.path = self.path.replace(from, to);
        // PayPal's events are verified by a call to PayPal. The fake gateway knows which events it
        // has signed.
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

    /// Returns the id that the charge has at the gateway, if the event is the first one about it.
    pub fn charge(self, payment: &str) -> String {
        self.speaks().charge(payment)
    }

    /// Returns the price of 500 credits.
    pub fn price(self) -> (&'static str, i64) {
        self.speaks().price()
    }

    /// True if the answer acknowledges a new or repeated event in the way that the gateway expects.
    pub fn is_content(self, answer: &Answer, again: bool) -> bool {
        self.speaks().is_content(answer, again)
    }

    pub fn is_refused(self, answer: &Answer) -> bool {
        self.speaks().is_refused(answer)
    }

    /// Event about the outcome of a payment. `number` makes events distinct.
    pub fn event(self, payment: &str, outcome: Outcome, amount: i64, number: u32) -> Event {
        self.speaks().event(payment, outcome, amount, number)
    }
}

/// Format of a gateway.
trait Speaks: Sync {
    fn name(&self) -> &'static str;
    /// Settings of the gateway, other than its address.
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

    /// True if the gateway returns the same refund for a repeated request.
    fn repeats_refunds(&self) -> bool {
        true
    }

    /// Returns the kind of a request, by which tests refer to it.
    fn named(&self, line: &str, _body: &str) -> String {
        line.to_owned()
    }

    /// Returns the status and the [code](Words::Code) of a refusal.
    fn refusal(&self) -> (u16, &'static str);

    /// Returns a response that contains a [code](Words::Code) of the gateway.
    fn in_words(&self, state: &State, body: &str, status: u16, words: &str) -> (u16, Value);

    /// Executes a request and returns the response.
    fn answer(&self, state: &mut State, line: &str, head: &str, body: &str) -> (u16, Value);
}

fn post(gateway: &str, headers: Vec<(&'static str, String)>, body: String) -> Event {
    Event { method: Method::POST, path: format!("/r1/payments/webhooks/{gateway}"), headers, body }
}

/// Returns the transaction number of a payment, which is unique.
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
            // Waits until the client gives up.
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

/// Status that stands for a request without an answer.
const SILENT: u16 = 0;

/// Handles a refund request. For the same key, the same refund is used. Returns the refund and the
/// response.
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
