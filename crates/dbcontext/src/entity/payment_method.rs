//! What a gateway keeps for later charges, as far as it is shown.

use appcore::{PaymentMethodId, Timestamp, UserId};
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "payment_methods")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: PaymentMethodId,
    /// The person's or the workspace's.
    pub account_id: Uuid,
    pub user_id: UserId,
    pub gateway: String,
    /// By which the gateway knows the payer, and the method.
    pub customer: String,
    pub reference: String,
    pub brand: String,
    pub last4: String,
    pub exp_month: Option<i64>,
    pub exp_year: Option<i64>,
    pub created_at: Timestamp,
    /// Whether it is what comes next is charged to: one of an account's.
    pub is_default: bool,
}

impl ActiveModelBehavior for ActiveModel {}
