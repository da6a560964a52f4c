//! Whether Waymark and the floor answer alike.

use std::rc::Rc;

use serde_json::Value;
use tokio::task::LocalSet;

use crate::Result;
use crate::load::{Connection, Target};
use crate::queries::{People, Query};
use crate::rng::Rng;

/// Fields that count down, in seconds: the two answers are not given at the same instant.
const COUNTING_DOWN: [&str; 2] = ["timeLeft", "expiresIn"];
const TOLERANCE: i64 = 2;

/// How many requests of each query are compared before anything is measured.
const COMPARED: u32 = 200;

/// Fails unless random requests of every query get the same answers from both.
pub(crate) async fn equality(waymark: &Target, floor: &Target, people: &People) -> Result<()> {
    let mut rng = Rng::new(42);
    let (mut left, mut right) = (Connection::open(waymark).await?, Connection::open(floor).await?);
    for query in Query::ALL {
        for _ in 0..COMPARED {
            let mut variables = String::new();
            query.variables(people, &mut rng, &mut variables);
            let ours = ask(&mut left, waymark, query, &variables).await?;
            let theirs = ask(&mut right, floor, query, &variables).await?;
            if !same(&ours, &theirs) {
                return Err(told(query, &variables, &ours, &theirs).into());
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
                    let answer = ask(&mut connection, &waymark, query, &variables).await?;
                    answers.push((query, variables, answer));
                }
                // Only now, so that Waymark has all of its requests at once.
                let mut connection = Connection::open(&floor).await?;
                let mut differences = Vec::new();
                for (query, variables, ours) in answers {
                    let theirs = ask(&mut connection, &floor, query, &variables).await?;
                    if !same(&ours, &theirs) {
                        differences.push(told(query, &variables, &ours, &theirs));
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

fn told(query: Query, variables: &str, ours: &[u8], theirs: &[u8]) -> String {
    let text = String::from_utf8_lossy;
    format!("{} answers differ for {variables}\nWaymark: {}\nfloor:   {}", query.name(), text(ours), text(theirs))
}

/// Byte for byte the same, but for what counts down.
fn same(ours: &[u8], theirs: &[u8]) -> bool {
    if ours == theirs {
        return true;
    }
    match (serde_json::from_slice(ours), serde_json::from_slice(theirs)) {
        (Ok(ours), Ok(theirs)) => alike(&ours, &theirs),
        _ => false,
    }
}

fn alike(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().zip(theirs).all(|((name, ours), (other, theirs))| {
                    name == other
                        && match (ours.as_i64(), theirs.as_i64()) {
                            (Some(ours), Some(theirs)) if COUNTING_DOWN.contains(&name.as_str()) => {
                                (ours - theirs).abs() <= TOLERANCE
                            }
                            _ => alike(ours, theirs),
                        }
                })
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| alike(ours, theirs))
        }
        _ => ours == theirs,
    }
}
