//! What the console shows of the installation: figures by minute and by day, its instances, and what was wrong.

use crate::{
    prelude::*,
    schema::{big_integer, big_integer_null, string, text, uuid},
};

pub struct Migration;

const TABLES: [&str; 3] = ["figures", "instances", "incidents"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(figures()).await?;
        manager.create_table(instances()).await?;
        manager.create_table(incidents()).await?;
        let connection = manager.get_connection();
        connection.execute_unprepared("CREATE INDEX incidents_began ON incidents (began_at)").await?;
        // Who was there lately.
        connection.execute_unprepared("CREATE INDEX user_sessions_last_used ON user_sessions (last_used_at)").await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared("DROP INDEX user_sessions_last_used").await?;
        for table in TABLES {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

fn figures() -> TableCreateStatement {
    Table::create()
        .table("figures")
        // `minute` or `day`.
        .col(string("step"))
        // Its beginning.
        .col(big_integer("at"))
        .col(string("name"))
        .col(big_integer("value"))
        .primary_key(Index::create().col("step").col("at").col("name"))
        .to_owned()
}

fn instances() -> TableCreateStatement {
    Table::create()
        .table("instances")
        .col(uuid("id").primary_key())
        .col(big_integer("started_at"))
        .col(big_integer("seen_at"))
        // What it said of itself, as JSON.
        .col(text("state"))
        .to_owned()
}

fn incidents() -> TableCreateStatement {
    Table::create()
        .table("incidents")
        .col(uuid("id").primary_key())
        .col(string("kind"))
        // Who noticed.
        .col(uuid("instance_id"))
        .col(big_integer("began_at"))
        .col(big_integer_null("ended_at"))
        .to_owned()
}
