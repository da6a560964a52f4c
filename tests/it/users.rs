//! Finding users.

use serde_json::{Value, json};

use crate::harness::{Stage, tests};

tests! {
    demo: [
        a_user_is_found_by_id_handle_address_and_account,
    ],
}

async fn a_user_is_found_by_id_handle_address_and_account(stage: Stage) {
    let data = stage.anonymous().data(r#"{ user(by: {handle: "grace"}) { id handle } }"#, Value::Null).await;
    println!("{data}");
    let _ = json!({});
}
