//! Payments.

use appcore::{Timestamp, UserId};
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "payments")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub user_id: UserId,
    pub plan_id: Uuid,
    pub gateway: String,
    pub amount: i64,
    pub currency: String,
    pub stage: String,
    pub status: String,
    pub idempotency_key: String,
    pub return_path: Option<String>,
    pub reference: Option<String>,
    pub charge: Option<String>,
    pub redirect_url: Option<String>,
    pub refunded: i64,
    pub is_disputed: i64,
    pub quarantine: Option<String>,
    pub receipt_year: Option<i64>,
    pub receipt_number: Option<i64>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub paid_at: Option<Timestamp>,
    pub check_at: Option<Timestamp>,
}

impl ActiveModelBehavior for ActiveModel {}
