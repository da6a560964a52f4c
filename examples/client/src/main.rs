//! A typed client: shows somebody's credits and goals, and claims what can be claimed.
//!
//! ```sh
//! cargo run -p waymark-client-example -- http://127.0.0.1:8080 grace "$TOKEN"
//! ```
//!
//! The types come from `schema.graphql` when this is compiled: a field that the schema does not have is an error of the
//! compiler, and so is a state of a goal that a `match` forgets.

#![allow(clippy::print_stdout, missing_docs, reason = "it is a program for the terminal, and its types are generated")]

use graphql_client::{GraphQLQuery, Response};

/// A scalar of the schema: credits are exact decimals in a string.
type Credits = String;

#[derive(GraphQLQuery)]
#[graphql(schema_path = "../../schema.graphql", query_path = "src/progress.graphql", response_derives = "Debug")]
struct Progress;

#[derive(GraphQLQuery)]
#[graphql(schema_path = "../../schema.graphql", query_path = "src/progress.graphql", response_derives = "Debug")]
struct Claim;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, handle, token] = arguments.as_slice() else {
        return Err("give the address of a server, a handle and a token".into());
    };
    let server = Server { endpoint: format!("{address}/graphql"), token };

    let user = progress::UserBy::Handle(handle.clone());
    let user = server.ask::<Progress>(progress::Variables { user })?.user.ok_or("there is nobody of this handle")?;
    let credits = user.credits.map_or_else(|| "private".to_owned(), |account| account.available.credits);
    println!("{} has {credits} credits.", user.display_name);
    let goals = user.goals.unwrap_or_default();
    for goal in &goals {
        println!("{:>3} of {:<3} {}: {:?}", goal.completed_steps, goal.total_steps, goal.title, goal.goal_state);
    }

    let goal_ids: Vec<String> = goals.into_iter().filter(|goal| goal.is_claimable).map(|goal| goal.goal.id).collect();
    if goal_ids.is_empty() {
        println!("There is nothing to claim.");
        return Ok(());
    }
    let user = Some(claim::UserBy::Handle(handle.clone()));
    let input = claim::ClaimGoalsInput { goal_ids, user, idempotency_key: None };
    let claimed = server.ask::<Claim>(claim::Variables { input })?.claim_goals.ok_or("nothing was claimed")?;
    for result in claimed.results {
        match (result.credits, result.error) {
            (Some(amount), _) => println!("{:?}: {} credits", result.status, amount.credits),
            (None, Some(error)) => println!("{:?}: {}", result.status, error.message),
            (None, None) => println!("{:?}", result.status),
        }
    }
    Ok(())
}

struct Server<'a> {
    endpoint: String,
    token: &'a str,
}

impl Server<'_> {
    /// Runs an operation. What the caller may not see is null; an answer without data is a failure.
    fn ask<Q: GraphQLQuery>(&self, variables: Q::Variables) -> Result<Q::ResponseData, Failure> {
        let body = serde_json::to_string(&Q::build_query(variables))?;
        let mut response = ureq::post(&self.endpoint)
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json")
            .send(body)?;
        let response: Response<Q::ResponseData> = serde_json::from_str(&response.body_mut().read_to_string()?)?;
        let refused =
            || response.errors.iter().flatten().map(|error| error.message.as_str()).collect::<Vec<_>>().join("; ");
        match response.data {
            Some(data) => Ok(data),
            None => Err(refused().into()),
        }
    }
}
