//! What whoever runs a server sees of it and sets.

pub(crate) mod figures;
pub(crate) mod files;
pub(crate) mod load;
pub(crate) mod requests;
pub(crate) mod stopping;
pub(crate) mod traces;

use axum::body::Body;
use axum::http::Request;
use sea_orm::ConnectionTrait as _;
use waymark::db::{Db, Kind, Transaction};

use crate::harness::{Actor, Answer, Stage};

/// A write that needs the whole of what [`lock`] takes.
const WRITE: &str = "mutation RecordOne($input: RecordGoalStepsInput!) { recordGoalSteps(input: $input) {
    results { status } } }";

async fn get(actor: &Actor, path: &str) -> Answer {
    actor.send(Request::get(path).body(Body::empty()).unwrap()).await
}

/// Keeps everybody else from writing until the transaction ends.
async fn lock(db: &Db) -> Transaction {
    let transaction = db.begin().await.unwrap();
    if db.kind() == Kind::Postgres {
        transaction.execute_unprepared("LOCK TABLE user_counters IN EXCLUSIVE MODE").await.unwrap();
    }
    transaction
}

/// Another way to the database of the stage, as another process has it.
async fn neighbour(stage: &Stage) -> Db {
    Db::connect(&stage.url, 2).await.unwrap()
}
