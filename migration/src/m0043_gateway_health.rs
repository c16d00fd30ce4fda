//! When each payment gateway was heard of last.

use crate::prelude::*;

pub struct Migration;

const INDEXES: &[(&str, &str)] = &[
    ("payment_events_heard", "CREATE INDEX payment_events_heard ON payment_events (gateway, verified_at)"),
    (
        "payments_paid_by_gateway",
        "CREATE INDEX payments_paid_by_gateway ON payments (gateway, paid_at) WHERE paid_at IS NOT NULL",
    ),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (_, sql) in INDEXES {
            manager.get_connection().execute_unprepared(sql).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (name, _) in INDEXES {
            manager.get_connection().execute_unprepared(&format!("DROP INDEX {name}")).await?;
        }
        Ok(())
    }
}
