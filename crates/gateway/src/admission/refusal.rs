//! Refusals of calls.

use std::{borrow::Cow, time::Duration};

use ::ai::{ErrorKind, GatewayError};
use appcore::{
    AppError, Code,
    view::{BudgetScope, QuotaUse},
};
use billing::reservations::{Shortage, SpendingLimit};
use dbcontext::query::budgets::CounterId;
use platform::rate_limits::{Exceeded, KeyLimitStates, KeyMeasure};
use serde_json::json;

use super::truncate;
use crate::budgets::ExhaustedBudget;

/// Reason for refusing a call.
#[derive(Debug)]
pub enum Refusal {
    ScopeMissing,
    EndpointNotAllowed,
    /// The model doesn't exist, or the key may not use it; the caller doesn't learn which.
    UnknownModel(String),
    /// The model's price is unknown, and the configuration refuses such models.
    NoPrice(String),
    RateLimited(Exceeded),
    OutOfBudget(ExhaustedBudget),
    OutOfCredits,
    QuotaReached(QuotaUse),
    Failed(AppError),
}

impl Refusal {
    /// Returns the message for users, as a sentence.
    #[must_use]
    pub fn sentence(&self) -> Cow<'static, str> {
        match self {
            Self::ScopeMissing => Code::ScopeMissing.sentence().into(),
            Self::EndpointNotAllowed => "This API key may not call this endpoint.".into(),
            Self::UnknownModel(model) => {
                format!("The model `{}` doesn't exist, or this key may not use it.", truncate(model)).into()
            }
            Self::NoPrice(model) => {
                format!("The model `{}` has no price yet. Ask your admin to set one.", truncate(model)).into()
            }
            Self::RateLimited(exceeded) => match exceeded.measure {
                KeyMeasure::Requests => {
                    "This API key has reached its requests per minute. Wait, then try again.".into()
                }
                KeyMeasure::Tokens => "This API key has reached its tokens per minute. Wait, then try again.".into(),
                KeyMeasure::Parallel => {
                    "This API key has too many requests at the same time. Wait, then try again.".into()
                }
            },
            Self::OutOfBudget(used_up) => {
                let whose = match used_up.scope {
                    BudgetScope::Key => "The budget of this API key",
                    BudgetScope::User => "The budget of this API key's owner",
                    BudgetScope::Workspace => "The budget of this API key's workspace",
                    BudgetScope::EndUser => "This end user's budget with this API key",
                    BudgetScope::Model => "The budget of this API key for this model",
                    BudgetScope::Tag => "The budget of this API key for a tag of this request",
                };
                match used_up.resets_at {
                    Some(at) => format!("{whose} is used up until {at}.").into(),
                    None => format!("{whose} is used up.").into(),
                }
            }
            Self::QuotaReached(QuotaUse { resets_at: Some(at), .. }) => {
                format!("The plan's limit for today is reached. It renews at {at}.").into()
            }
            Self::QuotaReached(_) => Code::QuotaReached.sentence().into(),
            Self::OutOfCredits => Code::OutOfCredits.sentence().into(),
            Self::Failed(error) => error.sentence(),
        }
    }

    /// Returns the time to wait before a retry.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited(exceeded) => Some(exceeded.retry_after),
            Self::Failed(error) => error.retry_after(),
            _ => None,
        }
    }

    /// Returns the remaining limits of the key, if known.
    #[must_use]
    pub fn figures(&self) -> KeyLimitStates {
        match self {
            Self::RateLimited(exceeded) => exceeded.figures,
            _ => KeyLimitStates::default(),
        }
    }
}

impl From<Shortage> for Refusal {
    fn from(Shortage { spending_limit: purse, used, limit, resets_at }: Shortage) -> Self {
        match purse {
            SpendingLimit::Credits(_) => Self::OutOfCredits,
            SpendingLimit::Counter(CounterId::Budget(budget)) => {
                Self::OutOfBudget(ExhaustedBudget { scope: budget.scope, resets_at })
            }
            SpendingLimit::Counter(CounterId::Quota(metric, _)) => {
                Self::QuotaReached(QuotaUse { metric, used, limit, resets_at })
            }
        }
    }
}

impl Refusal {
    /// Returns advice for the reader of the error message, if credits, a quota or a budget are used
    /// up.
    const fn advice(&self) -> Option<&'static str> {
        match self {
            Self::OutOfCredits => Some("Buy some at /plans."),
            Self::QuotaReached(_) => Some("Larger plans are at /plans."),
            Self::OutOfBudget(ExhaustedBudget { scope: BudgetScope::Key, .. }) => Some("Its owner can raise it."),
            Self::OutOfBudget(ExhaustedBudget {
                scope: BudgetScope::EndUser | BudgetScope::Model | BudgetScope::Tag,
                ..
            }) => Some("The key's owner can raise it."),
            Self::OutOfBudget(_) => Some("Ask your admin to raise it."),
            _ => None,
        }
    }

    /// Returns machine-readable advice, if credits, a quota or a budget are used up.
    fn next_step(&self) -> Option<serde_json::Value> {
        match self {
            Self::OutOfCredits => Some(json!({ "next": "buy_credits" })),
            Self::QuotaReached(quota) => Some(json!({
                "next": "change_plan", "metric": quota.metric, "limit": quota.limit, "resets_at": quota.resets_at,
            })),
            Self::OutOfBudget(ExhaustedBudget { scope, resets_at }) => {
                Some(json!({ "next": "ask_admin", "scope": scope, "resets_at": resets_at }))
            }
            _ => None,
        }
    }
}

impl From<Refusal> for AppError {
    fn from(refusal: Refusal) -> Self {
        let (message, retry_after, next) = (Some(refusal.sentence()), refusal.retry_after(), refusal.next_step());
        let code = match refusal {
            Refusal::Failed(error) => return error,
            Refusal::ScopeMissing | Refusal::EndpointNotAllowed => Code::ScopeMissing,
            Refusal::UnknownModel(_) => Code::NotFound,
            Refusal::NoPrice(_) => Code::WrongState,
            Refusal::RateLimited(_) => Code::RateLimited,
            Refusal::OutOfBudget(_) => Code::BudgetExceeded,
            Refusal::QuotaReached(_) => Code::QuotaReached,
            Refusal::OutOfCredits => Code::OutOfCredits,
        };
        match next {
            Some(details) => Self::Detailed { code, message, details: Box::new(details) },
            None => Self::Refused { code, message, retry_after },
        }
    }
}

impl From<Refusal> for GatewayError {
    fn from(refusal: Refusal) -> Self {
        let kind = match &refusal {
            Refusal::UnknownModel(model) => return Self::unknown_model(model),
            Refusal::ScopeMissing | Refusal::EndpointNotAllowed | Refusal::NoPrice(_) => ErrorKind::Forbidden,
            Refusal::RateLimited(_) => ErrorKind::RateLimited,
            Refusal::OutOfBudget(_) | Refusal::OutOfCredits | Refusal::QuotaReached(_) => ErrorKind::OutOfBudget,
            Refusal::Failed(error) => match error.code().status() {
                503 => ErrorKind::Unavailable,
                _ => ErrorKind::Internal,
            },
        };
        let sentence = match refusal.advice() {
            Some(help) => format!("{} {help}", refusal.sentence()).into(),
            None => refusal.sentence(),
        };
        let error = Self::new(kind, sentence);
        match refusal.retry_after() {
            Some(wait) => error.with_retry_after(wait),
            None => error,
        }
    }
}
