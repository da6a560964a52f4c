//! People: how users come to be, change, are merged and are erased; keys, and what operators read.

use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::{Value, json};

use crate::harness::{Actor, Stage};

pub(crate) mod accounts;
pub(crate) mod erase;
pub(crate) mod join;
pub(crate) mod keys;
pub(crate) mod merge;
pub(crate) mod reads;

/// Everything that is stored about a user, as one may take it out.
async fn export(admin: &Actor, handle: &str) -> Value {
    let query = "query($h: String!) { exportUser(user: {handle: $h}) }";
    admin.data(query, json!({ "h": handle })).await["exportUser"].clone()
}

async fn id_of(admin: &Actor, handle: &str) -> Value {
    let query = "query($h: String!) { user(by: {handle: $h}) { id } }";
    admin.data(query, json!({ "h": handle })).await["user"]["id"].clone()
}

/// The number that this SQL selects.
async fn number(stage: &Stage, sql: &str) -> i64 {
    let db = stage.db().reads();
    let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), sql)).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

/// Changes the database behind the server's back.
async fn execute(stage: &Stage, sql: &str) {
    stage.db().writes().execute_unprepared(sql).await.unwrap();
}

fn rows<'a>(export: &'a Value, place: &str) -> &'a [Value] {
    export[place].as_array().unwrap_or_else(|| panic!("{place} is exported"))
}

fn sum(export: &Value, place: &str, member: &str) -> i64 {
    rows(export, place).iter().map(|row| row[member].as_i64().unwrap()).sum()
}
