//! Settings of models that were learned from the refusals of AI providers.

use appcore::Timestamp;
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "learned_model_settings")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub provider: String,
    /// Address of the provider when the setting was learned. At another one it doesn't apply.
    #[sea_orm(primary_key, auto_increment = false)]
    pub base_url: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub model: String,
    /// Setting of the model's profile, such as `images=no`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub setting: String,
    pub learned_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
