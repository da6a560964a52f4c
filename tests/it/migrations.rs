//! The migrations run both ways on both databases, and what they make is what the entities say.

use std::collections::{BTreeMap, BTreeSet};

use migration::{Migrator, MigratorTrait as _};
use sea_orm::sea_query::ColumnType;
use sea_orm::{
    ActiveEnum, ColumnTrait as _, ConnectionTrait as _, Database, DatabaseConnection, DbBackend, EntityTrait,
    IdenStatic as _, Iterable as _, PrimaryKeyToColumn as _, QueryResult, Statement,
};
use waymark::features::{collections, credits, games, learning, seasons, users};
use waymark::write;
use waymark::{auth, db as database};

use crate::harness::{Blank, tests};

tests! {
    blank: [
        the_migrations_run_up_and_down_and_up_again,
        entities_match_the_migrated_database,
        what_was_private_is_for_members_and_lone_wallets_are_told_apart,
    ],
}

/// What a table looks like, as far as an entity says.
#[derive(Debug, PartialEq, Eq)]
struct Table {
    columns: BTreeMap<String, Column>,
    /// The columns of the primary key, in order.
    key: Vec<String>,
}

#[derive(Debug, PartialEq, Eq)]
struct Column {
    kind: String,
    nullable: bool,
    /// The only values allowed; empty: any.
    values: BTreeSet<String>,
}

type Tables = BTreeMap<String, Table>;

/// Migrates an empty database up, all the way down and up again.
async fn the_migrations_run_up_and_down_and_up_again(blank: Blank) {
    let db = &Database::connect(&blank.url).await.unwrap();
    Migrator::up(db, None).await.expect("the migrations run");
    let first = migrated(db).await;
    assert!(!first.is_empty());

    Migrator::down(db, None).await.expect("the migrations can be undone");
    assert_eq!(migrated(db).await, Tables::new(), "down leaves no table behind");
    assert_eq!(leftovers(db).await, Vec::<String>::new(), "down leaves nothing else behind");

    Migrator::up(db, None).await.expect("the migrations run again");
    assert!(migrated(db).await == first, "up makes the same tables again");
}

/// Every table of a migrated database has an entity with the same columns, and the other way round.
async fn entities_match_the_migrated_database(blank: Blank) {
    let db = &Database::connect(&blank.url).await.unwrap();
    Migrator::up(db, None).await.expect("the migrations run");
    let (entities, tables) = (entities(db.get_database_backend()), migrated(db).await);
    for (name, entity) in &entities {
        let table = tables.get(name).unwrap_or_else(|| panic!("no migration makes the table {name}"));
        for (column, expected) in &entity.columns {
            assert_eq!(table.columns.get(column), Some(expected), "column {name}.{column}: table, then entity");
        }
        assert_eq!(table, entity, "table {name}: table, then entity");
    }
    let nameless: Vec<_> = tables.keys().filter(|name| !entities.contains_key(*name)).collect();
    assert!(nameless.is_empty(), "tables without an entity: {nameless:?}");
}

/// Data from before members had a name, and back.
async fn what_was_private_is_for_members_and_lone_wallets_are_told_apart(blank: Blank) {
    let db = &Database::connect(&blank.url).await.unwrap();
    let all = Migrator::migrations();
    let before = all.iter().position(|one| one.name().ends_with("_visibility")).expect("it is there");
    let steps = |count: usize| Some(u32::try_from(count).expect("there are few"));
    Migrator::up(db, steps(before)).await.expect("the migrations run");
    let user = |id: i64, visibility: &str, name: &str, url: &str| {
        format!(
            "INSERT INTO users (id, ulid, external_id, handle, handle_lower, display_name, avatar_url, visibility, created_at) \
             VALUES ({id}, 'u{id}', 'x{id}', 'h{id}', 'h{id}', '{name}', '{url}', '{visibility}', 0)"
        )
    };
    let account = |id: i64, provider: &str| format!("INSERT INTO accounts VALUES ({id}, '{provider}', 'a{id}', 0)");
    let event = |id: i64, seq: i64, actor: &str| {
        format!(
            "INSERT INTO history_events VALUES ({id}, {seq}, 'USER_CREATED', '{actor}', 'user', 'u{id}', '{{}}', 0, 0)"
        )
    };
    for sql in [
        user(1, "PUBLIC", "Ada \u{202e}L\u{2028}", "https://me:secret@example.org/a@b"),
        user(2, "PRIVATE", "Bob", "https://example.org/a.png"),
        user(3, "PRIVATE", "\u{fffe}", "http://x"),
        user(4, "PUBLIC", "Dan", "http://x"),
        user(5, "PUBLIC", "Eve", "http://x"),
        // Somebody with a wallet alone, one whom an app wrote for, one with a token too, one whom the operator made.
        account(2, "ethereum"),
        event(2, 1, "user:u2"),
        event(2, 2, "system"),
        account(3, "ethereum"),
        event(3, 1, "user:u3"),
        event(3, 2, "app:game"),
        account(4, "ethereum"),
        account(4, "jwt"),
        event(4, 1, "user:u4"),
        account(5, "ethereum"),
        event(5, 1, "operator"),
    ] {
        db.execute_unprepared(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    let profiles = async |columns: &str| {
        let sql = format!("SELECT {columns} AS told FROM users ORDER BY id");
        rows(db, &sql).await.iter().map(|row| value::<String>(row, "told")).collect::<Vec<_>>()
    };
    let told = "visibility || ' ' || coalesce(display_name, '-') || ' ' || avatar_url || \
                CASE WHEN self_made THEN ' self-made' ELSE '' END";
    Migrator::up(db, None).await.expect("the migrations run");
    assert_eq!(
        profiles(told).await,
        [
            "PUBLIC Ada L https://example.org/a@b",
            "MEMBERS Bob https://example.org/a.png self-made",
            "MEMBERS - http://x",
            "PUBLIC Dan http://x",
            "PUBLIC Eve http://x",
        ]
    );
    db.execute_unprepared("UPDATE users SET visibility = 'PRIVATE' WHERE id = 5").await.expect("it may be hidden");
    assert!(db.execute_unprepared("UPDATE users SET visibility = 'NOBODY' WHERE id = 5").await.is_err());
    Migrator::down(db, steps(all.len() - before)).await.expect("it can be undone");
    assert_eq!(profiles("visibility").await, ["PUBLIC", "PRIVATE", "PRIVATE", "PUBLIC", "PRIVATE"]);
    assert!(db.execute_unprepared("UPDATE users SET visibility = 'MEMBERS' WHERE id = 5").await.is_err());
    Migrator::up(db, None).await.expect("and done again");
    assert_eq!(profiles("visibility").await, ["PUBLIC", "MEMBERS", "MEMBERS", "PUBLIC", "MEMBERS"]);
}

/// Every entity of the application.
fn entities(backend: DbBackend) -> Tables {
    let mut tables: Tables = [
        described::<database::entity::catalogue_version::Entity>(backend),
        described::<auth::entity::api_key::Entity>(backend),
        described::<users::entity::user::Entity>(backend),
        described::<users::entity::account::Entity>(backend),
        described::<seasons::entity::season::Entity>(backend),
        described::<seasons::entity::pause::Entity>(backend),
        described::<seasons::entity::week::Entity>(backend),
        described::<seasons::entity::budget::Entity>(backend),
        described::<seasons::entity::goal::Entity>(backend),
        described::<seasons::entity::enrolment::Entity>(backend),
        described::<seasons::entity::goal_progress::Entity>(backend),
        described::<seasons::entity::goal_claim::Entity>(backend),
        described::<credits::entity::lot::Entity>(backend),
        described::<credits::entity::entry::Entity>(backend),
        described::<credits::entity::block::Entity>(backend),
        described::<learning::entity::resource::Entity>(backend),
        described::<learning::entity::plan::Entity>(backend),
        described::<learning::entity::plan_resource::Entity>(backend),
        described::<learning::entity::instance::Entity>(backend),
        described::<learning::entity::instance_resource::Entity>(backend),
        described::<learning::entity::instance_owner::Entity>(backend),
        described::<learning::entity::progress::Entity>(backend),
        described::<games::entity::game::Entity>(backend),
        described::<games::entity::achievement::Entity>(backend),
        described::<games::entity::unlock::Entity>(backend),
        described::<games::entity::summary::Entity>(backend),
        described::<games::entity::award_set::Entity>(backend),
        described::<games::entity::award_ground::Entity>(backend),
        described::<collections::entity::collection::Entity>(backend),
        described::<collections::entity::card::Entity>(backend),
        described::<collections::entity::reward::Entity>(backend),
        described::<collections::entity::owned_card::Entity>(backend),
        described::<collections::entity::progress::Entity>(backend),
        described::<write::entity::counters::Entity>(backend),
        described::<write::entity::event::Entity>(backend),
        described::<write::entity::audit_entry::Entity>(backend),
        described::<write::entity::idempotency_key::Entity>(backend),
        described::<write::entity::write_ref::Entity>(backend),
    ]
    .into();
    for (table, column, values) in [
        ("users", "visibility", values::<users::entity::Visibility>()),
        ("seasons", "pause_mode", values::<seasons::entity::PauseMode>()),
        ("credit_lots", "source", values::<credits::entity::LotSource>()),
        ("credit_entries", "kind", values::<credits::entity::EntryKind>()),
        ("user_blocks", "scope", values::<credits::entity::BlockScope>()),
        ("achievements", "kind", values::<games::entity::AchievementKind>()),
        ("award_grounds", "award", values::<games::entity::Award>()),
    ] {
        let column = tables.get_mut(table).and_then(|table| table.columns.get_mut(column));
        column.expect("the enumeration's column exists").values = values;
    }
    tables
}

fn values<E: ActiveEnum<Value = String>>() -> BTreeSet<String> {
    E::values().into_iter().collect()
}

fn described<E: EntityTrait>(backend: DbBackend) -> (String, Table) {
    let columns = E::Column::iter().map(|column| {
        let name = column.as_str().to_owned();
        let kind = match column.def().get_column_type() {
            // SQLite has one type of integer, of 64 bits, whatever a column's type is called.
            ColumnType::BigInteger | ColumnType::Integer | ColumnType::SmallInteger if backend == DbBackend::Sqlite => {
                "integer"
            }
            ColumnType::BigInteger => "bigint",
            ColumnType::Integer => "integer",
            ColumnType::SmallInteger => "smallint",
            ColumnType::Boolean => "boolean",
            ColumnType::String(_) | ColumnType::Text => "text",
            other => panic!("column {name} has a type that no table uses: {other:?}"),
        };
        (name, Column { kind: kind.to_owned(), nullable: column.def().is_null(), values: BTreeSet::new() })
    });
    let key = E::PrimaryKey::iter().map(|column| column.into_column().as_str().to_owned());
    (E::default().table_name().to_owned(), Table { columns: columns.collect(), key: key.collect() })
}

/// The tables of the database, without the one in which the migrations are recorded.
async fn migrated(db: &DatabaseConnection) -> Tables {
    // Each row: table, column, declared type, nullable, place in the primary key or 0, and a text with the CHECK.
    let sql = match db.get_database_backend() {
        DbBackend::Postgres => {
            r"SELECT c.table_name::text AS tab, c.column_name::text AS col, c.data_type::text AS kind,
                c.is_nullable = 'YES' AS nullable, COALESCE(k.ordinal_position, 0)::bigint AS place,
                COALESCE((SELECT string_agg(pg_get_constraintdef(oid), ' ') FROM pg_constraint
                    WHERE contype = 'c' AND conrelid = format('%I.%I', c.table_schema, c.table_name)::regclass), '') AS checks
            FROM information_schema.columns c
            LEFT JOIN information_schema.table_constraints t ON t.constraint_type = 'PRIMARY KEY'
                AND t.table_schema = c.table_schema AND t.table_name = c.table_name
            LEFT JOIN information_schema.key_column_usage k ON k.constraint_schema = t.constraint_schema
                AND k.constraint_name = t.constraint_name AND k.table_name = c.table_name AND k.column_name = c.column_name
            WHERE c.table_schema = current_schema() ORDER BY tab, place"
        }
        _ => {
            r#"SELECT m.name AS tab, c.name AS col, iif(c.type LIKE '%int%', 'integer', lower(c.type)) AS kind,
                c."notnull" = 0 AS nullable, c.pk AS place, m.sql AS checks
            FROM sqlite_schema m JOIN pragma_table_info(m.name) c
            WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY tab, place"#
        }
    };
    let mut tables = Tables::new();
    for row in rows(db, sql).await {
        let (name, column): (String, String) = (value(&row, "tab"), value(&row, "col"));
        if name == "seaql_migrations" {
            continue;
        }
        let table = tables.entry(name).or_insert_with(|| Table { columns: BTreeMap::new(), key: Vec::new() });
        if value::<i64>(&row, "place") > 0 {
            table.key.push(column.clone());
        }
        let values = listed_values(&value::<String>(&row, "checks"), &column);
        let described = Column { kind: value(&row, "kind"), nullable: value(&row, "nullable"), values };
        table.columns.insert(column, described);
    }
    tables
}

/// The values that a CHECK constraint allows for `column`, as either database writes such a constraint down.
fn listed_values(checks: &str, column: &str) -> BTreeSet<String> {
    let sqlite = checks.split_once(&format!("\"{column}\" IN (")).and_then(|(_, rest)| rest.split_once(')'));
    let postgres = checks.split_once(&format!("({column} = ANY (ARRAY[")).and_then(|(_, rest)| rest.split_once(']'));
    let list = sqlite.or(postgres).map_or("", |(list, _)| list);
    list.split('\'').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Whatever the migrations may make beside tables: indexes, triggers, sequences and functions.
async fn leftovers(db: &DatabaseConnection) -> Vec<String> {
    let sql = match db.get_database_backend() {
        DbBackend::Postgres => {
            "SELECT relname::text AS name FROM pg_class
                WHERE relnamespace = current_schema()::regnamespace AND relname NOT LIKE 'seaql%'
            UNION ALL
            SELECT proname::text FROM pg_proc WHERE pronamespace = current_schema()::regnamespace"
        }
        _ => "SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite!_%' ESCAPE '!' AND name NOT LIKE 'seaql%'",
    };
    rows(db, sql).await.iter().map(|row| value(row, "name")).collect()
}

async fn rows(db: &DatabaseConnection, sql: &str) -> Vec<QueryResult> {
    db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await.expect("the schema is read")
}

fn value<T: sea_orm::TryGetable>(row: &QueryResult, column: &str) -> T {
    row.try_get("", column).expect("the column is read")
}
