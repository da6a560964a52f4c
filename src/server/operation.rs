//! One GraphQL operation, whatever it came by: HTTP, server-sent events or a WebSocket.
//!
//! What a client asks is [prepared][prepare]: checked as far as it can be without running it. What is prepared is then
//! [executed][execute] or, when it is a subscription, [followed][follow]. Either way comes an [`Answer`].

use std::net::IpAddr;
use std::sync::Arc;

use apollo_compiler::Name;
use apollo_compiler::executable::OperationType;
use apollo_compiler::response::{GraphQLError, JsonMap};
use async_graphql::{ServerError, Value};
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use serde::{Deserialize, Serialize};
use tracing::Instrument as _;

use super::front;
use super::gate::{Document, Refusal};
use super::watch::Watch;
use crate::app::App;
use crate::auth::{Caller, Standing};
use crate::clock::Timestamp;
use crate::error::{Code, Error};
use crate::graphql::ready;
use crate::metrics::End;

/// What a client asks.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Asked {
    #[serde(default)]
    pub(super) query: Option<String>,
    #[serde(default)]
    pub(super) document_id: Option<String>,
    #[serde(default)]
    pub(super) operation_name: Option<String>,
    #[serde(default)]
    pub(super) variables: Option<JsonMap>,
    #[serde(default, rename = "extensions")]
    pub(super) _extensions: Option<JsonMap>,
}

/// Who asks, and from where.
#[derive(Debug, Clone)]
pub(super) struct Client {
    pub(super) caller: Arc<Caller>,
    /// The address of the other end of the connection, where it is known.
    pub(super) peer: Option<IpAddr>,
}

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Query,
    Mutation,
    Subscription,
}

impl Kind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Mutation => "mutation",
            Self::Subscription => "subscription",
        }
    }
}

/// What is to be run, with everything checked that can be checked before it runs.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) kind: Kind,
    request: async_graphql::Request,
    cost: u64,
    /// Whether ready answers may be written at once.
    plain: bool,
    document: Arc<Document>,
    name: Option<Name>,
}

/// An answer. One without `data` was never executed.
#[derive(Debug, Default)]
pub(super) struct Answer {
    errors: Vec<Fault>,
    data: Option<Value>,
    cost: Option<Cost>,
}

/// What an operation costs.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Cost {
    requested: u64,
    /// How much one operation may cost.
    limit: u32,
    /// How much the client may ask for at once from now on; left out where that is not limited.
    #[serde(skip_serializing_if = "Option::is_none")]
    remaining: Option<u32>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Fault {
    Document(GraphQLError),
    Execution(ServerError),
}

impl Answer {
    /// The answer as JSON.
    ///
    /// # Errors
    /// When a value cannot be written.
    pub(super) fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        let mut json = Vec::with_capacity(1024);
        json.push(b'{');
        if !self.errors.is_empty() {
            json.extend_from_slice(b"\"errors\":");
            serde_json::to_writer(&mut json, &self.errors)?;
        }
        if let Some(data) = &self.data {
            json.extend_from_slice(if self.errors.is_empty() { b"\"data\":" } else { b",\"data\":" });
            ready::write_json(&mut json, data)?;
        }
        if let Some(cost) = &self.cost {
            json.extend_from_slice(b",\"extensions\":{\"cost\":");
            serde_json::to_writer(&mut json, cost)?;
            json.push(b'}');
        }
        json.push(b'}');
        Ok(json)
    }

    /// The errors alone, as a JSON list: what a WebSocket sends about an operation that is refused.
    ///
    /// # Errors
    /// When a value cannot be written.
    pub(super) fn errors_to_json(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(&self.errors)
    }

    /// How the operation ended.
    fn end(&self) -> End {
        let is_ours = |fault: &Fault| match fault {
            Fault::Document(_) => false,
            Fault::Execution(error) => {
                let code = error.extensions.as_ref().and_then(|extensions| extensions.get("code"));
                [Code::Internal, Code::Unavailable].iter().any(|ours| code == Some(&Value::from(ours.as_str())))
            }
        };
        if self.errors.is_empty() {
            End::Done
        } else if self.errors.iter().any(is_ours) {
            End::Failed
        } else {
            End::Refused
        }
    }

    /// Whether something went wrong.
    pub(super) const fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// Gives what the engine answers to `app`'s client the codes of our errors.
    fn executed(app: &App, now: Timestamp, mut response: async_graphql::Response, cost: Option<Cost>) -> Self {
        response.errors.iter_mut().for_each(|error| explain(app, now, error));
        let errors = response.errors.into_iter().map(Fault::Execution).collect();
        Self { errors, data: Some(response.data), cost }
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        let code = refusal.code.as_str();
        let errors = refusal.faults.into_iter().map(|mut fault| {
            fault.extensions.insert("code", code.into());
            Fault::Document(fault)
        });
        Self { errors: errors.collect(), data: None, cost: None }
    }
}

/// What it costs to have a request looked at.
const LOOK: u64 = 1;
/// What a request costs in addition that is refused for what it says.
const REFUSED: u64 = 10;

/// Checks what is asked: the document, which of its operations is meant, the variables, and what it costs.
///
/// # Errors
/// When the document or its variables are refused, and when the client has asked for too much of late.
pub(super) fn prepare(app: &App, client: &Client, asked: Asked) -> Result<Prepared, Refusal> {
    charge(app, client, LOOK)?;
    check(app, asked).inspect_err(|_| {
        // There is nothing left to refuse, whatever is left in the bucket.
        let _ = charge(app, client, REFUSED);
    })
}

fn charge(app: &App, client: &Client, cost: u64) -> Result<Option<u32>, Error> {
    app.rates.charge(&client.caller, client.peer, cost)
}

fn check(app: &App, asked: Asked) -> Result<Prepared, Refusal> {
    let text = app.documents.text(asked.query, asked.document_id.as_deref())?;
    let name = asked.operation_name.as_deref().filter(|name| !name.is_empty());
    let passed = app.gate.pass(&text, name, &asked.variables.unwrap_or_default())?;
    let kind = match passed.kind {
        OperationType::Query => Kind::Query,
        OperationType::Mutation => Kind::Mutation,
        OperationType::Subscription => Kind::Subscription,
    };
    let (cost, plain) = (passed.cost, passed.plain);
    let (document, called) = (Arc::clone(&passed.document), passed.name.clone());
    Ok(Prepared { kind, cost, plain, document, name: called, request: passed.into_request(text, name) })
}

/// Runs a query or a mutation to its end, for what was [taken][take] for it.
///
/// # Errors
/// When the client may not run it now.
pub(super) async fn execute(app: &App, client: &Client, prepared: Prepared, cost: Cost) -> Result<Answer, Refusal> {
    let now = app.clock.now();
    let mut caller = Arc::clone(&client.caller);
    if prepared.kind == Kind::Mutation {
        caller = Box::pin(app.known(caller, now)).await?;
    }
    let context = app.request(caller, now).writing(prepared.plain);
    let Prepared { kind, document, name, request, .. } = prepared;
    let watch = Watch::begin(app, kind, cost.requested, name, document, &client.caller, Arc::clone(&context.load));
    let work = app.schema.execute(request.data(context.clone()));
    let response = context.load.run(work).instrument(watch.span()).await;
    let answer = Answer::executed(app, now, response, Some(cost));
    watch.ended(answer.end());
    Ok(answer)
}

/// Takes what an operation costs out of what the client may ask for.
///
/// # Errors
/// When the client has asked for too much of late.
pub(super) fn take(app: &App, client: &Client, prepared: &Prepared) -> Result<Cost, Error> {
    let requested = prepared.cost;
    let remaining = charge(app, client, requested)?;
    Ok(Cost { requested, limit: app.config.limits.max_cost, remaining })
}

/// Runs a subscription: one answer for each event, until the stream ends or is dropped. `standing` is who the client is
/// as time goes by.
///
/// # Errors
/// When the client may not run it now.
pub(super) fn follow(
    app: &Arc<App>,
    client: &Client,
    standing: Standing,
    prepared: Prepared,
) -> Result<BoxStream<'static, Answer>, Refusal> {
    take(app, client, &prepared)?;
    let context = app.lasting_request(Arc::clone(&client.caller), app.clock.now()).writing(prepared.plain);
    let load = Arc::clone(&context.load);
    let events = app.schema.execute_stream(prepared.request.data(context).data(standing));
    let app = Arc::clone(app);
    let answers = stream::unfold(events, move |mut events| {
        let (app, load) = (Arc::clone(&app), Arc::clone(&load));
        async move {
            // What an event is answered with is loaded like everything else.
            let next = async move { (events.next().await, events) };
            let (response, events) = load.run(next).await;
            response.map(|response| (Answer::executed(&app, app.clock.now(), response, None), events))
        }
    });
    Ok(answers.boxed())
}

/// Gives an error of the execution its code. What is a fault of ours goes to the log, and the client gets its id.
fn explain(app: &App, now: Timestamp, error: &mut ServerError) {
    let extensions = error.extensions.get_or_insert_default();
    match error.source.as_deref().and_then(|source| source.downcast_ref::<Error>()) {
        Some(ours) if ours.code() != Code::Internal && ours.code() != Code::Unavailable => {
            extensions.set("code", ours.code().as_str());
        }
        Some(ours) => {
            let id = front::request_id().unwrap_or_else(|| app.ids.ulid(now));
            tracing::error!(id, error = ours.chain(), path = ?error.path, "a field failed");
            extensions.set("code", ours.code().as_str());
            extensions.set("id", id);
        }
        // The engine's own: an argument that no type could take.
        None => extensions.set("code", Code::BadUserInput.as_str()),
    }
}
