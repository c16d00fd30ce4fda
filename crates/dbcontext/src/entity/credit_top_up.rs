//! Automatic top-up settings.

use appcore::{PaymentMethodId, PlanId, Timestamp, UserId, WorkspaceId, credits::MicroCredits, view::StoppedTopUp};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "credit_top_ups")]
pub struct Model {
    /// Id of the ledger account.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub workspace_id: Option<WorkspaceId>,
    /// User who pays.
    pub user_id: UserId,
    pub plan_id: PlanId,
    pub method_id: PaymentMethodId,
    pub currency: String,
    /// Balance below which credits are bought.
    pub threshold: MicroCredits,
    /// Maximum amount per month, in the smallest unit of the currency.
    pub monthly_limit: i64,
    pub is_on: bool,
    pub stopped: Option<StoppedTopUp>,
    /// Top-up payment in progress.
    pub payment_id: Option<Uuid>,
    pub check_at: Option<Timestamp>,
    pub updated_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
