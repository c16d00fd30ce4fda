//! Accounts that buy credits by themselves.

use appcore::{PaymentMethodId, PlanId, Timestamp, UserId, WorkspaceId, credits::MicroCredits};
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "credit_top_ups")]
pub struct Model {
    /// The account's.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub workspace_id: Option<WorkspaceId>,
    /// Who has said so, and is written to.
    pub user_id: UserId,
    pub plan_id: PlanId,
    pub method_id: PaymentMethodId,
    pub currency: String,
    pub threshold: MicroCredits,
    /// In the smallest unit of the currency.
    pub monthly_limit: i64,
    pub is_on: bool,
    pub stopped: Option<String>,
    /// The payment that is under way.
    pub payment_id: Option<Uuid>,
    pub check_at: Option<Timestamp>,
    pub updated_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
