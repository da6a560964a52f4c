//! What the server says about its REST.

use std::process::Command;

use serde_json::Value;

use super::{get, header, send};
use crate::harness::{Stage, tests};

tests! {
    demo: [
        the_document_is_served_as_it_is_printed,
        every_operation_exists_and_says_everything_about_itself,
        every_reference_leads_somewhere,
    ],
}

async fn document(stage: &Stage) -> Value {
    let answer = get(&stage.anonymous(), "/openapi.json", &[]).await;
    assert_eq!((answer.status.as_u16(), header(&answer, "content-type")), (200, "application/json"));
    answer.json
}

async fn the_document_is_served_as_it_is_printed(stage: Stage) {
    let printed = Command::new(env!("CARGO_BIN_EXE_waymark")).arg("openapi").output().unwrap();
    assert!(printed.status.success());
    let printed: Value = serde_json::from_slice(&printed.stdout).unwrap();
    assert_eq!(document(&stage).await, printed);
    assert_eq!(printed["openapi"], "3.1.0");
}

async fn every_operation_exists_and_says_everything_about_itself(stage: Stage) {
    let document = document(&stage).await;
    let schemes = document["components"]["securitySchemes"].as_object().unwrap();
    let mut operations = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap().iter().filter(|(name, _)| *name != "servers") {
            operations += 1;
            let place = format!("{method} {path}");
            for prefix in item["servers"].as_array().map_or(vec![""], |servers| {
                servers.iter().map(|server| server["url"].as_str().unwrap().trim_end_matches('/')).collect()
            }) {
                let concrete = format!("{prefix}{}", path.replace(['{', '}'], ""));
                let answer = send(&stage.anonymous(), &method.to_uppercase(), &concrete, &[], "").await;
                assert!(
                    [400, 401].contains(&answer.status.as_u16()),
                    "{prefix}{place}: {} {}",
                    answer.status,
                    answer.text
                );
            }
            for name in ["summary", "operationId", "tags", "security", "responses"] {
                assert!(!operation[name].is_null(), "{place} has no {name}");
            }
            for requirement in operation["security"].as_array().unwrap() {
                assert!(requirement.as_object().unwrap().keys().all(|name| schemes.contains_key(name)), "{place}");
            }
            for name in path.split('{').skip(1).map(|rest| rest.split('}').next().unwrap()) {
                let described = |one: &Value| one["name"] == name && one["in"] == "path" && one["required"] == true;
                assert!(operation["parameters"].as_array().unwrap().iter().any(described), "{place}: {name}");
            }
            let responses = operation["responses"].as_object().unwrap();
            for status in ["200", "401", "403", "429", "500", "503"] {
                assert!(responses.contains_key(status), "{place} says nothing about {status}");
            }
            assert!(method != "post" || responses.contains_key("413"), "{place}");
            for (status, response) in responses {
                assert!(response["description"].as_str().is_some_and(|text| text.len() > 5), "{place} {status}");
                assert!(!response["content"]["application/json"]["schema"].is_null(), "{place} {status}");
            }
        }
    }
    assert!(operations >= 5, "{operations}");
}

async fn every_reference_leads_somewhere(stage: Stage) {
    fn check(value: &Value, document: &Value) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    if name == "$ref" {
                        let pointer = member.as_str().unwrap().trim_start_matches('#');
                        assert!(document.pointer(pointer).is_some(), "{pointer}");
                    }
                    check(member, document);
                }
            }
            Value::Array(elements) => elements.iter().for_each(|element| check(element, document)),
            _ => {}
        }
    }
    let document = document(&stage).await;
    check(&document, &document);
}
