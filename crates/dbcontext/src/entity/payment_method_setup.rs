//! Payment methods that are being saved, without buying anything.

use appcore::{PaymentMethodId, PaymentMethodSetupId, Timestamp, UserId, WorkspaceId};
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "payment_method_setups")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: PaymentMethodSetupId,
    /// The person's or the workspace's.
    pub account_id: Uuid,
    pub user_id: UserId,
    pub workspace_id: Option<WorkspaceId>,
    pub gateway: String,
    pub state: String,
    pub reference: Option<String>,
    pub redirect_url: Option<String>,
    pub return_path: String,
    pub method_id: Option<PaymentMethodId>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub check_at: Option<Timestamp>,
}

impl ActiveModelBehavior for ActiveModel {}
