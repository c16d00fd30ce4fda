//! Payment methods that are being saved without a payment.

use appcore::{PaymentMethodId, PaymentMethodSetupId, Timestamp, UserId, WorkspaceId, view::SetupStatus};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "payment_method_setups")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: PaymentMethodSetupId,
    pub account_id: Uuid,
    pub user_id: UserId,
    pub workspace_id: Option<WorkspaceId>,
    pub gateway: String,
    pub state: SetupStatus,
    pub reference: Option<String>,
    pub redirect_url: Option<String>,
    pub return_path: String,
    pub method_id: Option<PaymentMethodId>,
    pub expires_at: Timestamp,
    /// Time at which the gateway is polled next.
    pub check_at: Option<Timestamp>,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
