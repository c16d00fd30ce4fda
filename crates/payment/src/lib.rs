//! Payment gateways: one file each behind the trait [`Gateway`], with the types of amounts, currencies and states.
//!
//! A gateway makes a [checkout](Gateway::create_checkout) to which a payer is sent, and tells later what became of it by a webhook. What it
//! sends is only read after it has been [verified](Gateway::verify), and then says one [thing](News) about one payment. Whatever a browser brings
//! back proves nothing: it only makes us [fetch](Gateway::fetch).
//!
//! This crate knows neither the database nor our requests. Which news changes what stands in [`Stage`] and [`Standing`], as one table; the
//! service applies it.

mod demo;
mod gateway;
mod http;
mod momo;
mod money;
mod paypal;
mod paypal_certificate;
mod paypal_list;
mod receipt;
mod signature;
mod state;
mod stripe;
mod stripe_charges;
mod stripe_setups;
mod subscription;
mod vnpay;

pub use demo::{Demo, Outcome as DemoOutcome, SetupOutcome as DemoSetupOutcome};
pub use gateway::{
    About, Acknowledged, Answer, Attempt, Charge, Charged, Checkout, Delivery, Forged, Gateway, GatewayError,
    GatewayName, Keep, Kept, Known, Listed, Listing, News, Notice, Order, Presence, Recurring, RefundOrder, Refunded,
    Remote, SetupOrder, SetupState, Snapshot, UnknownGateway, Unreadable, Verified,
};
pub use momo::Momo;
pub use money::{Currency, Money, UnknownCurrency};
pub use paypal::{Check as PaypalCheck, Paypal};
pub use paypal_certificate::Roots;
pub use receipt::{Party, Receipt, Tax, Unwritten, write as write_receipt};
pub use state::{DisputeState, RefundState, Stage, Standing, UnknownState};
pub use stripe::Stripe;
pub use subscription::{Change, Course, Cycle, Due, SubscriptionDeed, SubscriptionState, Terms, change};
pub use vnpay::Vnpay;
