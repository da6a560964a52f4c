//! A number that rises with every change of the catalogue, whoever makes it.
//!
//! Each process keeps the catalogue in memory and looks at this number to learn that its copy is old. Triggers raise it,
//! so that a change by another process or by hand is seen like any other. It is raised once or more per transaction.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DatabaseBackend;

use crate::columns::*;

/// The tables of the catalogue, and which of their changes do not count.
const CATALOGUE: [(&str, Changes); 12] = [
    ("seasons", Changes::All),
    ("season_pauses", Changes::All),
    ("season_weeks", Changes::All),
    ("goals", Changes::All),
    ("resources", Changes::While("catalogued")),
    ("study_plans", Changes::All),
    ("study_plan_resources", Changes::All),
    ("games", Changes::All),
    ("achievements", Changes::All),
    ("collections", Changes::All),
    ("cards", Changes::All),
    ("collection_rewards", Changes::Of("collection_id, key, name, image, description, value, view_type, stock")),
];

/// Which changes of a table are changes of the catalogue.
enum Changes {
    All,
    /// Only of rows where this boolean column is true, before or after. Progress on a resource that nobody described
    /// creates such a row, which is no news to anybody.
    While(&'static str),
    /// Only updates that set one of these columns: all but a counter of claims, which rises with every claim.
    Of(&'static str),
}

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let catalogue_version = table("catalogue_version")
            .col(small_integer("id").primary_key().check(Expr::col("id").eq(1)))
            .col(big_integer("version"))
            .take();
        manager.create_table(catalogue_version).await?;

        let first = "INSERT INTO catalogue_version (id, version) VALUES (1, 1)";
        manager.get_connection().execute_unprepared(first).await?;
        watch(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        unwatch(manager).await?;
        drop_tables(manager, &["catalogue_version"]).await
    }
}

/// Makes the triggers.
pub(crate) async fn watch(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let db = manager.get_connection();
    let action = match manager.get_database_backend() {
        DatabaseBackend::Postgres => {
            db.execute_unprepared(RAISE_ON_POSTGRES).await?;
            "EXECUTE FUNCTION raise_catalogue_version()"
        }
        _ => "BEGIN UPDATE catalogue_version SET version = version + 1; END",
    };
    for trigger in triggers() {
        let Trigger { name, table, event, condition } = trigger;
        let create = format!("CREATE TRIGGER {name} AFTER {event} ON {table} FOR EACH ROW {condition} {action}");
        db.execute_unprepared(&create).await?;
    }
    Ok(())
}

/// Drops the triggers.
pub(crate) async fn unwatch(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let db = manager.get_connection();
    if manager.get_database_backend() == DatabaseBackend::Postgres {
        // CASCADE takes the triggers along.
        return db.execute_unprepared("DROP FUNCTION raise_catalogue_version() CASCADE").await.map(drop);
    }
    for Trigger { name, .. } in triggers() {
        db.execute_unprepared(&format!("DROP TRIGGER {name}")).await?;
    }
    Ok(())
}

/// Raises the version once per transaction (the row then carries its number): every update leaves a dead row behind
/// until the commit, and an import of thousands of rows would wade through all of them.
const RAISE_ON_POSTGRES: &str = "
    CREATE FUNCTION raise_catalogue_version() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE catalogue_version SET version = version + 1 WHERE xmin <> pg_current_xact_id()::xid;
        RETURN NULL;
    END $$";

struct Trigger {
    name: String,
    table: &'static str,
    event: String,
    condition: String,
}

/// Three triggers per table of the catalogue: a condition may not name `old` on insert, nor `new` on delete.
fn triggers() -> impl Iterator<Item = Trigger> {
    CATALOGUE.iter().flat_map(|(table, changes)| {
        ["insert", "update", "delete"].map(|event| Trigger {
            name: format!("{table}_{event}_raises_catalogue_version"),
            table,
            event: match changes {
                Changes::Of(columns) if event == "update" => format!("UPDATE OF {columns}"),
                _ => event.to_uppercase(),
            },
            condition: match changes {
                Changes::While(column) => match event {
                    "insert" => format!("WHEN (new.{column})"),
                    "delete" => format!("WHEN (old.{column})"),
                    _ => format!("WHEN (old.{column} OR new.{column})"),
                },
                _ => String::new(),
            },
        })
    })
}
