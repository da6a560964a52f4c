//! Whether Waymark and the floor answer alike.

use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::task::LocalSet;

use crate::Result;
use crate::load::{Connection, Dialect, Target};
use crate::queries::{People, Query};
use crate::rng::Rng;

/// Fields that count down, in seconds. The floor is asked later and has to have counted further, by no more than the time
/// between the two answers and a second for rounding.
const COUNTING_DOWN: [&str; 2] = ["timeLeft", "expiresIn"];

/// How many requests of each query are compared before anything is measured.
const COMPARED: u32 = 200;

/// Fails unless random requests of every query get the same answers from both: the same values in the same order, where
/// the other answers in shapes of its own.
pub(crate) async fn equality(waymark: &Target, other: &Target, people: &People) -> Result<()> {
    let mut rng = Rng::new(42);
    let (mut left, mut right) = (Connection::open(waymark).await?, Connection::open(other).await?);
    let difference = if matches!(other.dialect, Dialect::PostGraphile) { difference_of_values } else { difference };
    for query in Query::ALL {
        for _ in 0..COMPARED {
            let mut variables = String::new();
            query.variables(people, &mut rng, &mut variables);
            let asked = Instant::now();
            let ours = ask(&mut left, waymark, query, &variables).await?;
            let theirs = ask(&mut right, other, query, &variables).await?;
            if let Some(difference) = difference(&ours, &theirs, asked.elapsed()) {
                return Err(told(query, &variables, &difference).into());
            }
        }
    }
    eprintln!("{COMPARED} answers of each query are the same");
    Ok(())
}

/// Sends 1,000 random requests, 250 at a time, and counts the answers that differ from the floor's.
pub(crate) async fn correctness(waymark: &Target, floor: &Target, people: &Rc<People>) -> Result<usize> {
    const AT_A_TIME: u64 = 250;
    const EACH: usize = 4;
    let local = LocalSet::new();
    let tasks: Vec<_> = (0..AT_A_TIME)
        .map(|seed| {
            let (waymark, floor, people) = (waymark.clone(), floor.clone(), Rc::clone(people));
            local.spawn_local(async move {
                let mut rng = Rng::new(seed);
                let mut connection = Connection::open(&waymark).await?;
                let mut answers = Vec::new();
                for place in 0..EACH {
                    let query = Query::ALL[(place + rng.up_to(4) as usize) % 4];
                    let mut variables = String::new();
                    query.variables(&people, &mut rng, &mut variables);
                    let asked = Instant::now();
                    let answer = ask(&mut connection, &waymark, query, &variables).await?;
                    answers.push((query, variables, asked, answer));
                }
                // Only now, so that Waymark has all of its requests at once.
                let mut connection = Connection::open(&floor).await?;
                let mut differences = Vec::new();
                for (query, variables, asked, ours) in answers {
                    let theirs = ask(&mut connection, &floor, query, &variables).await?;
                    if let Some(difference) = difference(&ours, &theirs, asked.elapsed()) {
                        differences.push(told(query, &variables, &difference));
                    }
                }
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(differences)
            })
        })
        .collect();
    let all = async {
        let mut differences = Vec::new();
        for task in tasks {
            differences.append(&mut task.await??);
        }
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(differences)
    };
    let differences = local.run_until(all).await?;
    for difference in differences.iter().take(3) {
        eprintln!("{difference}");
    }
    println!("{} answers were compared, {} differ", AT_A_TIME as usize * EACH, differences.len());
    Ok(differences.len())
}

async fn ask(connection: &mut Connection, target: &Target, query: Query, variables: &str) -> Result<Vec<u8>> {
    let mut request = String::new();
    target.write(query, variables, &mut request);
    Ok(connection.ask(&request).await?.to_vec())
}

fn told(query: Query, variables: &str, difference: &str) -> String {
    format!("{} answers differ for {variables}\n{difference}", query.name())
}

/// Where the answers are not byte for byte the same, but for what counts down.
fn difference(ours: &[u8], theirs: &[u8], between: Duration) -> Option<String> {
    if ours == theirs {
        return None;
    }
    match (serde_json::from_slice::<Value>(ours), serde_json::from_slice::<Value>(theirs)) {
        (Ok(mut ours), Ok(theirs)) => {
            // What the answer cost is Waymark's to say.
            ours.as_object_mut().and_then(|answer| answer.remove("extensions"));
            unlike("answer", &ours, &theirs, between)
        }
        _ => Some("an answer is no JSON".to_owned()),
    }
}

/// The path of the first difference between two values at `path`, with what is there.
fn unlike(path: &str, ours: &Value, theirs: &Value, between: Duration) -> Option<String> {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) if ours.keys().eq(theirs.keys()) => {
            let mut members = ours.iter().zip(theirs.values());
            members.find_map(|((name, ours), theirs)| unlike(&format!("{path}.{name}"), ours, theirs, between))
        }
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
            let mut elements = ours.iter().zip(theirs).enumerate();
            elements.find_map(|(place, (ours, theirs))| unlike(&format!("{path}[{place}]"), ours, theirs, between))
        }
        _ if ours == theirs || counted_down(path, ours, theirs, between) => None,
        _ => Some(format!("{path}: Waymark {ours}, the other {theirs}")),
    }
}

/// Where two answers of different shapes do not hold the same values in the same order.
fn difference_of_values(ours: &[u8], theirs: &[u8], between: Duration) -> Option<String> {
    let values = |answer: &[u8]| {
        let mut values = Vec::new();
        add_values("data", serde_json::from_slice::<Value>(answer).ok()?.get("data")?, &mut values);
        Some(values)
    };
    let (Some(ours), Some(theirs)) = (values(ours), values(theirs)) else {
        return Some("an answer has no data".to_owned());
    };
    if ours.len() != theirs.len() {
        return Some(format!("Waymark answers {} values, the other {}", ours.len(), theirs.len()));
    }
    let mut pairs = ours.iter().zip(&theirs);
    pairs.find_map(|((path, ours), (_, theirs))| unlike(path, ours, theirs, between))
}

/// Adds the path and value of each leaf in `value`, ids without the type that Waymark puts before the key.
fn add_values(path: &str, value: &Value, values: &mut Vec<(String, Value)>) {
    const TYPES: [&str; 4] = ["user:", "game:", "resource:", "collection:"];
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, member)| add_values(&format!("{path}.{name}"), member, values));
        }
        Value::Array(elements) => elements.iter().for_each(|element| add_values(path, element, values)),
        Value::String(text) => {
            let key = TYPES.iter().find_map(|name| text.strip_prefix(name)).unwrap_or(text);
            values.push((path.to_owned(), key.into()));
        }
        other => values.push((path.to_owned(), other.clone())),
    }
}

fn counted_down(path: &str, ours: &Value, theirs: &Value, between: Duration) -> bool {
    let (Some(ours), Some(theirs)) = (ours.as_u64(), theirs.as_u64()) else { return false };
    COUNTING_DOWN.iter().any(|name| path.ends_with(&format!(".{name}")))
        && ours.checked_sub(theirs).is_some_and(|counted| counted <= between.as_secs() + 1)
}
