//! Payment gateways that do what a test tells them to, and the events that they send.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use aws_lc_rs::hmac;
use reqwest::Method;
use support::{Answer, Application, Caller, Setup, Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
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
    Refusing,
    /// It closes each connection without an answer, and does nothing.
    Away,
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
    /// Refunds by their key: each is made once.
    refunds: BTreeMap<String, String>,
    /// Charges of Stripe's without the payer.
    intents: BTreeMap<String, Intent>,
    /// What it lists as taken. None: PayPal doesn't allow that.
    listed: Option<Vec<Value>>,
    /// Charges of cards have to be confirmed by the payer.
    wants_payer: bool,
    /// Requests of this kind it does, and never answers.
    silent_at: Option<&'static str>,
    /// What became of requests, by their idempotency keys.
    answered: BTreeMap<String, (u16, Value)>,
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

const FORGOTTEN: &str = "forgotten ";
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
            refunds: BTreeMap::new(),
            intents: BTreeMap::new(),
            listed: None,
            wants_payer: false,
            silent_at: None,
            answered: BTreeMap::new(),
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
        let settings: &[(&str, &str)] = match self.kind {
            Kind::Stripe => &[("secret_key", "sk_test_x"), ("webhook_secret", "an older secret,a secret of the test")],
            Kind::Paypal => {
                &[("client_id", "client"), ("client_secret", SECRET), ("webhook_id", "WH-1"), ("verify", "api")]
            }
            Kind::Momo => &[("partner_code", "PC"), ("access_key", "AK"), ("secret_key", SECRET)],
            Kind::Vnpay => &[("tmn_code", "TMN"), ("hash_secret", SECRET)],
        };
        let setup = setup.set(&key("enabled"), true).set(&key("base_url"), &self.url);
        settings.iter().fold(setup, |setup, (part, value)| setup.set(&key(part), value))
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
        let refunds = std::mem::take(&mut state.refunds);
        state.refunds = refunds.into_iter().map(|(key, id)| (format!("{FORGOTTEN}{key}"), id)).collect();
    }

    pub fn refunds(&self) -> usize {
        self.shared.state.lock().unwrap().refunds.len()
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

    /// The same with something else in it, and the same signature.
    pub fn forged(mut self, from: &str, to: &str) -> Self {
        assert!(self.body.contains(from) || self.path.contains(from), "{from} is not in {self:?}");
        self.body = self.body.replace(from, to);
        self.path = self.path.replace(from, to);
        // PayPal is asked: the fake knows what it has signed.
        self
    }
}

impl Kind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stripe => "stripe",
            Self::Paypal => "paypal",
            Self::Momo => "momo",
            Self::Vnpay => "vnpay",
        }
    }

    /// What 500 credits cost.
    pub const fn price(self) -> (&'static str, i64) {
        match self {
            Self::Stripe | Self::Paypal => ("USD", 600),
            Self::Momo | Self::Vnpay => ("VND", 149_000),
        }
    }

    /// What it is answered with when an event is applied, and when it was before.
    pub fn is_content(self, answer: &Answer, again: bool) -> bool {
        match self {
            Self::Stripe | Self::Paypal => answer.status == 200,
            Self::Momo => answer.status == 204,
            Self::Vnpay => answer.status == 200 && answer.body["RspCode"] == if again { "02" } else { "00" },
        }
    }

    pub fn is_refused(self, answer: &Answer) -> bool {
        match self {
            Self::Vnpay => answer.status == 200 && answer.body["RspCode"] == "97",
            _ => answer.status == 400,
        }
    }

    /// The event that tells how a payment ended. `number` makes it another one.
    pub fn event(self, payment: &str, outcome: Outcome, amount: i64, number: u32) -> Event {
        match self {
            Self::Stripe => stripe_event(payment, outcome, amount, number),
            Self::Paypal => paypal_event(payment, outcome, amount, number),
            Self::Momo => momo_event(payment, outcome, amount, number),
            Self::Vnpay => vnpay_event(payment, outcome, amount, number),
        }
    }
}

fn post(kind: Kind, headers: Vec<(&'static str, String)>, body: String) -> Event {
    Event { method: Method::POST, path: format!("/r1/payments/webhooks/{}", kind.name()), headers, body }
}

/// As Stripe signs, at this moment.
pub fn stripe_signed(body: Value) -> Event {
    stripe_signed_by(body, SECRET, 0)
}

/// The same with another secret, by a clock that is off by so many seconds.
pub fn stripe_signed_by(body: Value, secret: &str, off: i64) -> Event {
    let body = body.to_string();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let now = i64::try_from(now).unwrap() + off;
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signature = hex::encode(hmac::sign(&key, format!("{now}.{body}").as_bytes()));
    post(Kind::Stripe, vec![("stripe-signature", format!("t={now},v1={},v1={signature}", "00".repeat(32)))], body)
}

fn stripe_event(payment: &str, outcome: Outcome, amount: i64, number: u32) -> Event {
    let (kind, status) = match outcome {
        Outcome::Open => ("checkout.session.completed", "unpaid"),
        Outcome::Paid => ("checkout.session.completed", "paid"),
        Outcome::Failed => ("checkout.session.async_payment_failed", "unpaid"),
    };
    stripe_signed(json!({
        "id": format!("evt_{payment}_{number}"), "type": kind, "livemode": false, "api_version": "2026-10-28.endive",
        "data": { "object": {
            "id": format!("cs_{payment}"), "object": "checkout.session", "status": "complete", "payment_status": status,
            "amount_total": amount, "currency": "usd", "client_reference_id": payment, "payment_intent": format!("pi_{payment}"),
        } },
    }))
}

pub fn paypal_signed(body: Value) -> Event {
    let body = body.to_string();
    let now = time::OffsetDateTime::now_utc().format(&time::format_description::well_known::Rfc3339).unwrap();
    let headers = vec![
        ("paypal-transmission-id", "t-1".to_owned()),
        ("paypal-transmission-time", now),
        ("paypal-auth-algo", "SHA256withRSA".to_owned()),
        ("paypal-cert-url", "https://api.paypal.com/v1/notifications/certs/CERT-1".to_owned()),
        ("paypal-transmission-sig", sign(hmac::HMAC_SHA256, &body)),
    ];
    post(Kind::Paypal, headers, body)
}

pub fn decimal(amount: i64) -> String {
    format!("{}.{:02}", amount / 100, amount % 100)
}

fn paypal_event(payment: &str, outcome: Outcome, amount: i64, number: u32) -> Event {
    let kind = match outcome {
        Outcome::Open => "PAYMENT.CAPTURE.PENDING",
        Outcome::Paid => "PAYMENT.CAPTURE.COMPLETED",
        Outcome::Failed => "PAYMENT.CAPTURE.DENIED",
    };
    paypal_signed(json!({
        "id": format!("WH-{payment}-{number}"), "event_type": kind,
        "resource": {
            "id": format!("C-{payment}"), "custom_id": payment, "status": "COMPLETED",
            "amount": { "currency_code": "USD", "value": decimal(amount) },
        },
    }))
}

/// No two payments have the same at the gateway.
fn transaction(payment: &str, number: u32) -> i64 {
    let random = i64::from_str_radix(&payment[payment.len() - 8..], 16).unwrap();
    random * 100 + i64::from(number)
}

fn momo_event(payment: &str, outcome: Outcome, amount: i64, number: u32) -> Event {
    let code = match outcome {
        Outcome::Open => 7000,
        Outcome::Paid => 0,
        Outcome::Failed => 1006,
    };
    let (transaction, time) = (transaction(payment, number), 1_700_000_000_000_i64);
    let signed = format!(
        "accessKey=AK&amount={amount}&extraData=&message=Thành công.&orderId={payment}&orderInfo=500 credits&orderType=momo_wallet\
         &partnerCode=PC&payType=qr&requestId={payment}&responseTime={time}&resultCode={code}&transId={transaction}"
    );
    let body = json!({
        "partnerCode": "PC", "orderId": payment, "requestId": payment, "amount": amount, "orderInfo": "500 credits",
        "orderType": "momo_wallet", "transId": transaction, "resultCode": code, "message": "Thành công.", "payType": "qr",
        "responseTime": time, "extraData": "", "signature": sign(hmac::HMAC_SHA256, &signed),
    });
    post(Kind::Momo, Vec::new(), body.to_string())
}

fn vnpay_event(payment: &str, outcome: Outcome, amount: i64, number: u32) -> Event {
    let (code, status) = match outcome {
        Outcome::Open => ("07", "07"),
        Outcome::Paid => ("00", "00"),
        Outcome::Failed => ("24", "02"),
    };
    let reference = payment.replace('-', "");
    let query = format!(
        "vnp_Amount={}&vnp_BankCode=NCB&vnp_OrderInfo=500+credits&vnp_ResponseCode={code}&vnp_TmnCode=TMN\
         &vnp_TransactionNo={}&vnp_TransactionStatus={status}&vnp_TxnRef={reference}",
        amount * 100,
        transaction(payment, number)
    );
    let signature = sign(hmac::HMAC_SHA512, &query);
    let path = format!("/r1/payments/webhooks/vnpay?{query}&vnp_SecureHash={signature}");
    Event { method: Method::GET, path, headers: Vec::new(), body: String::new() }
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
        let line = head.lines().next().unwrap_or_default().to_owned();
        if shared.state.lock().unwrap().mood == Mood::Away {
            return;
        }
        let (status, answer) = shared.answer(&line, &head, &body);
        let silent_at = shared.state.lock().unwrap().silent_at;
        if silent_at.is_some_and(|part| line.contains(part)) {
            // Until the other side gives up.
            _ = socket.read(&mut piece).await;
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
        if state.mood == Mood::Refusing {
            return (400, json!({ "error": "no", "resultCode": 21, "vnp_ResponseCode": "02" }));
        }
        let answer = match self.kind {
            Kind::Stripe => stripe(&mut state, line, head, body),
            Kind::Paypal => paypal(&mut state, line, head, body),
            Kind::Momo => momo(&mut state, line, body),
            Kind::Vnpay => vnpay(&mut state, body),
        };
        let is_about_money = !line.contains("oauth2") && !line.contains("verify-webhook");
        if state.mood == Mood::Confused && is_about_money { (500, json!({})) } else { answer }
    }
}

fn field(form: &str, name: &str) -> String {
    let pair = form.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
    pair.unwrap_or_default().to_owned()
}

/// A refund is the same one for the same key.
fn refund_of(state: &mut State, key: &str) -> String {
    let next = format!("R-{}", state.refunds.len() + 1);
    state.refunds.entry(key.to_owned()).or_insert(next).clone()
}

fn header(head: &str, name: &str) -> String {
    let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")));
    line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
}

fn stripe(state: &mut State, line: &str, head: &str, body: &str) -> (u16, Value) {
    assert_eq!(header(head, "stripe-version"), "2026-10-28.endive");
    if line.starts_with("POST /v1/checkout/sessions") {
        let id = field(body, "client_reference_id");
        if field(body, "mode") == "setup" {
            assert_eq!(header(head, "idempotency-key"), format!("setup-{id}"));
            return (
                200,
                json!({ "id": format!("cs_setup_{id}"), "url": format!("https://checkout.test/setup/{id}") }),
            );
        }
        assert_eq!(header(head, "idempotency-key"), format!("checkout-{id}"));
        return (200, json!({ "id": format!("cs_{id}"), "url": format!("https://checkout.test/{id}") }));
    }
    if line.contains("/v1/payment_intents") {
        let key = header(head, "idempotency-key");
        if let Some(before) = state.answered.get(&key).filter(|_| !key.is_empty()) {
            return before.clone();
        }
        let answer = stripe_intent(state, line, body);
        if !key.is_empty() {
            state.answered.insert(key, answer.clone());
        }
        return answer;
    }
    if line.starts_with("GET /v1/charges?") {
        return (200, json!({ "data": state.listed.clone().unwrap_or_default(), "has_more": false }));
    }
    if let Some((_, id)) = line.split_once("/v1/checkout/sessions/cs_setup_") {
        let id = id.split(['?', ' ']).next().unwrap();
        return (200, stripe_setup(id, state.outcome));
    }
    if line.contains("/v1/payment_methods/") {
        return (200, json!({ "id": "pm_1" }));
    }
    if line.contains("/v1/billing_portal/sessions") {
        return (200, json!({ "url": format!("https://portal.test/{}", field(body, "customer")) }));
    }
    if line.starts_with("GET /v1/refunds?") {
        let made = |(key, id): (&String, &String)| {
            let ours = key.trim_start_matches(FORGOTTEN).trim_start_matches("refund-");
            json!({ "id": id, "amount": state.amount, "currency": "usd", "status": "succeeded", "metadata": { "refund_id": ours } })
        };
        return (200, json!({ "data": state.refunds.iter().map(made).collect::<Vec<_>>(), "has_more": false }));
    }
    if line.starts_with("POST /v1/refunds") {
        let (key, amount) = (header(head, "idempotency-key"), field(body, "amount").parse::<i64>().unwrap());
        let id = refund_of(state, &key);
        return (200, json!({ "id": id, "amount": amount, "currency": "usd", "status": "succeeded" }));
    }
    let id = line.split_whitespace().nth(1).unwrap().rsplit('/').next().unwrap().trim_start_matches("cs_").to_owned();
    let status = if state.outcome == Outcome::Paid { "paid" } else { "unpaid" };
    let session = if state.outcome == Outcome::Failed { "expired" } else { "open" };
    let object = json!({
        "id": format!("cs_{id}"), "status": session, "payment_status": status, "amount_total": state.amount,
        "currency": "usd", "payment_intent": format!("pi_{id}"),
    });
    (200, object)
}

/// What became of saving a card.
fn stripe_setup(id: &str, outcome: Outcome) -> Value {
    let card = json!({ "id": "pm_2", "type": "card", "card": { "brand": "mastercard", "last4": "4444", "exp_month": 1, "exp_year": 2032 } });
    let (status, intent) = match outcome {
        Outcome::Open => ("open", json!(null)),
        Outcome::Paid => {
            ("complete", json!({ "id": "seti_1", "status": "succeeded", "customer": "cus_1", "payment_method": card }))
        }
        Outcome::Failed => ("expired", json!(null)),
    };
    json!({ "id": format!("cs_setup_{id}"), "status": status, "setup_intent": intent })
}

/// Charges of what was saved. What a checkout was paid with is known by its intent.
fn stripe_intent(state: &mut State, line: &str, body: &str) -> (u16, Value) {
    if line.starts_with("POST /v1/payment_intents ") {
        let payment = field(body, "metadata%5Bpayment_id%5D");
        assert_eq!(field(body, "customer"), "cus_1");
        let is_there = field(body, "metadata%5Boff_session%5D") == "false";
        let id = format!("pi_{}", state.intents.len() + 1);
        let (amount, currency) = (field(body, "amount").parse().unwrap(), field(body, "currency"));
        state.intents.insert(id.clone(), Intent { payment, amount, currency, is_there, ..Intent::default() });
    }
    let path = line.split_whitespace().nth(1).unwrap();
    let named = path.trim_start_matches("/v1/payment_intents/").split(['/', '?']).next().unwrap().to_owned();
    let newest = format!("pi_{}", state.intents.len());
    let id = if path == "/v1/payment_intents" { newest } else { named };
    let (outcome, wants_payer) = (state.outcome, state.wants_payer);
    let Some(intent) = state.intents.get_mut(&id) else {
        let card = json!({ "id": "pm_1", "type": "card", "card": { "brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2031 } });
        let object = json!({
            "id": id, "status": "succeeded", "amount": 2_400, "currency": "usd", "customer": "cus_1", "payment_method": card,
        });
        return (200, object);
    };
    if line.contains("/confirm") {
        assert_eq!(field(body, "off_session") == "true", !intent.is_there);
        assert!(!field(body, "return_url").is_empty());
        if intent.succeeded > 0 {
            return (400, json!({ "error": { "code": "payment_intent_unexpected_state" } }));
        }
        intent.confirmed += 1;
        intent.declined = outcome == Outcome::Failed;
        if intent.declined {
            return (402, json!({ "error": { "code": "card_declined" } }));
        }
        if wants_payer && !intent.is_there {
            intent.declined = true;
            return (402, json!({ "error": { "code": "authentication_required" } }));
        }
        intent.waits = wants_payer;
        intent.succeeded += usize::from(!intent.waits);
    } else if intent.waits && outcome != Outcome::Open {
        intent.waits = false;
        intent.declined = outcome == Outcome::Failed;
        intent.succeeded += usize::from(!intent.declined);
    }
    let status = match (intent.succeeded, intent.declined) {
        (0, false) if intent.waits => "requires_action",
        (0, false) => "requires_confirmation",
        (0, true) => "requires_payment_method",
        _ => "succeeded",
    };
    let mut object = json!({
        "id": id, "status": status, "amount": intent.amount, "currency": intent.currency, "customer": "cus_1",
        "payment_method": { "id": "pm_1", "type": "card" }, "metadata": { "payment_id": intent.payment, "off_session": (!intent.is_there).to_string() },
    });
    if intent.waits {
        object["next_action"] =
            json!({ "type": "redirect_to_url", "redirect_to_url": { "url": format!("https://bank.test/{id}") } });
    }
    if intent.declined && intent.succeeded == 0 {
        object["last_payment_error"] = json!({ "code": "card_declined" });
    }
    (200, object)
}

fn paypal(state: &mut State, line: &str, head: &str, body: &str) -> (u16, Value) {
    if line.contains("/v1/oauth2/token") {
        return (200, json!({ "access_token": "token", "expires_in": 3600 }));
    }
    if line.contains("verify-webhook-signature") {
        // What it has signed is the event as it was sent, to the byte.
        let event = body.split_once("\"webhook_event\":").unwrap().1.strip_suffix('}').unwrap();
        let parsed: Value = serde_json::from_str(body).unwrap();
        let good = parsed["transmission_sig"] == sign(hmac::HMAC_SHA256, event) && parsed["webhook_id"] == "WH-1";
        return (200, json!({ "verification_status": if good { "SUCCESS" } else { "FAILURE" } }));
    }
    if line.starts_with("GET /v1/reporting/transactions?") {
        let Some(listed) = &state.listed else { return (403, json!({ "name": "NOT_AUTHORIZED" })) };
        // Two pages, of which the second is empty.
        let first = if line.contains("&page=1 ") { listed.clone() } else { Vec::new() };
        return (200, json!({ "transaction_details": first, "total_pages": 2 }));
    }
    if line.contains("/refund") {
        let id = refund_of(state, &header(head, "paypal-request-id"));
        let parsed: Value = serde_json::from_str(body).unwrap();
        return (201, json!({ "id": id, "status": "COMPLETED", "amount": parsed["amount"] }));
    }
    let order = |id: &str, state: &State| {
        let (status, captures) = match state.outcome {
            Outcome::Open => ("CREATED", json!([])),
            Outcome::Paid | Outcome::Failed => {
                let status = if state.outcome == Outcome::Paid { "COMPLETED" } else { "DECLINED" };
                let amount = json!({ "currency_code": "USD", "value": decimal(state.amount) });
                ("COMPLETED", json!([{ "id": format!("C-{id}"), "status": status, "amount": amount }]))
            }
        };
        json!({ "id": format!("O-{id}"), "status": status, "purchase_units": [{ "payments": { "captures": captures } }] })
    };
    if line.starts_with("POST /v2/checkout/orders ") {
        let parsed: Value = serde_json::from_str(body).unwrap();
        let id = parsed["purchase_units"][0]["custom_id"].as_str().unwrap();
        let link = json!([{ "rel": "payer-action", "href": format!("https://paypal.test/{id}") }]);
        return (201, json!({ "id": format!("O-{id}"), "status": "PAYER_ACTION_REQUIRED", "links": link }));
    }
    let id = line.split_once("/O-").unwrap().1.split(['/', ' ']).next().unwrap().to_owned();
    if line.contains("/capture") && state.outcome == Outcome::Open {
        state.outcome = Outcome::Paid;
    }
    (200, order(&id, state))
}

fn momo(state: &mut State, line: &str, body: &str) -> (u16, Value) {
    let parsed: Value = serde_json::from_str(body).unwrap();
    if line.contains("/create") {
        let text = |name: &str| parsed[name].as_str().unwrap().to_owned();
        let signed = format!(
            "accessKey=AK&amount={}&extraData=&ipnUrl={}&orderId={}&orderInfo={}&partnerCode=PC&redirectUrl={}&requestId={}\
             &requestType=captureWallet",
            parsed["amount"],
            text("ipnUrl"),
            text("orderId"),
            text("orderInfo"),
            text("redirectUrl"),
            text("requestId")
        );
        assert_eq!(text("signature"), sign(hmac::HMAC_SHA256, &signed));
        return (
            200,
            json!({ "resultCode": 0, "message": "ok", "payUrl": format!("https://momo.test/{}", text("orderId")) }),
        );
    }
    if line.contains("/refund") {
        refund_of(state, parsed["orderId"].as_str().unwrap());
        return (200, json!({ "resultCode": 0, "message": "ok", "transId": 77 }));
    }
    let code = match state.outcome {
        Outcome::Open => 1000,
        Outcome::Paid => 0,
        Outcome::Failed => 1006,
    };
    (
        200,
        json!({ "resultCode": code, "message": "ok", "amount": state.amount, "transId": transaction(parsed["orderId"].as_str().unwrap(), 1) }),
    )
}

fn vnpay(state: &mut State, body: &str) -> (u16, Value) {
    let parsed: Value = serde_json::from_str(body).unwrap();
    let text = |name: &str| parsed[name].as_str().unwrap_or_default().to_owned();
    let command = text("vnp_Command");
    if command == "refund" {
        refund_of(state, &text("vnp_RequestId"));
    }
    let status = match state.outcome {
        Outcome::Open => "01",
        Outcome::Paid => "00",
        Outcome::Failed => "02",
    };
    let amount = (state.amount * 100).to_string();
    let mut fields = vec![
        ("vnp_ResponseId", "r".to_owned()),
        ("vnp_Command", command.clone()),
        ("vnp_ResponseCode", "00".to_owned()),
        ("vnp_Message", "ok".to_owned()),
        ("vnp_TmnCode", "TMN".to_owned()),
        ("vnp_TxnRef", text("vnp_TxnRef")),
        ("vnp_Amount", amount),
        ("vnp_BankCode", "NCB".to_owned()),
        ("vnp_PayDate", "20260101000000".to_owned()),
        ("vnp_TransactionNo", transaction(&text("vnp_TxnRef"), 1).to_string()),
        ("vnp_TransactionType", "01".to_owned()),
        ("vnp_TransactionStatus", status.to_owned()),
        ("vnp_OrderInfo", text("vnp_OrderInfo")),
    ];
    if command == "querydr" {
        fields.extend([("vnp_PromotionCode", String::new()), ("vnp_PromotionAmount", String::new())]);
    }
    let signed: Vec<&str> = fields.iter().map(|(_, value)| value.as_str()).collect();
    let signature = sign(hmac::HMAC_SHA512, &signed.join("|"));
    let mut answer: serde_json::Map<String, Value> =
        fields.iter().map(|(name, value)| ((*name).to_owned(), Value::from(value.clone()))).collect();
    answer.insert("vnp_SecureHash".to_owned(), signature.into());
    (200, Value::Object(answer))
}
