//! One GraphQL operation, over HTTP, server-sent events or a WebSocket.
//!
//! What a client asks is [prepared][prepare]: checked as far as it can be without running it. What is prepared is then
//! [executed][execute] or, when it is a subscription, [followed][follow]. Either way comes an [`Answer`].

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use apollo_compiler::Name;
use apollo_compiler::executable::OperationType;
use apollo_compiler::response::{GraphQLError, JsonMap, ResponseDataPathSegment};
use async_graphql::{ServerError, Value};
use axum::body::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use serde::{Deserialize, Serialize};
use tracing::Instrument as _;

use super::front;
use super::gate::{Compiled, Document, Refusal};
use super::watch::Watch;
use crate::app::App;
use waymark_auth::{Caller, Mark, Session};
use waymark_graphql_kit::meter::TooLong;
use waymark_graphql_kit::plan;
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::{Code, Error};
use waymark_kernel::metrics::End;
use waymark_kinds::history::live::Marks;
use waymark_schema::bounds::Sizes;

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
    #[serde(default)]
    pub(super) extensions: Option<JsonMap>,
}

impl Asked {
    /// Why there is nothing that could be run; `None`: there is.
    pub(super) fn nothing_to_run(&self) -> Option<Refusal> {
        if self.query.is_some() || self.document_id.is_some() {
            return None;
        }
        let names_hash = self.extensions.as_ref().is_some_and(|extensions| extensions.get("persistedQuery").is_some());
        let nothing = || Refusal::new(Code::BadUserInput, "query is missing, or documentId in its place");
        (!names_hash).then(nothing)
    }

    /// The hash of an automatic persisted query, as it is sent.
    fn hash(&self) -> Option<&str> {
        self.extensions.as_ref()?.get("persistedQuery")?.as_object()?.get("sha256Hash")?.as_str()
    }
}

/// The caller, and the address of the client.
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
    document: Arc<Document>,
    compiled: Arc<Compiled>,
    name: Option<Name>,
}

/// An answer. One without `data` was never executed, or not to its end.
#[derive(Debug)]
pub(super) struct Answer {
    errors: Vec<Fault>,
    /// The whole as JSON, where there is more than errors.
    whole: Option<Bytes>,
    /// By what a client can name it that comes back.
    pub(super) mark: Option<String>,
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
    pub(super) fn to_json(&self) -> serde_json::Result<Bytes> {
        match &self.whole {
            Some(json) => Ok(json.clone()),
            None => write(&self.errors, None, None),
        }
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

    /// Whether it is a refusal by the rate limit.
    pub(super) fn is_limited(&self) -> bool {
        self.errors.iter().any(|fault| match fault {
            Fault::Document(fault) => {
                fault.extensions.get("code").is_some_and(|code| code == Code::RateLimited.as_str())
            }
            Fault::Execution(_) => false,
        })
    }

    /// Whether a field failed for what it was given.
    pub(super) fn is_bad_input(&self) -> bool {
        let bad = Code::BadUserInput.as_str();
        self.errors.iter().any(|fault| match fault {
            Fault::Document(fault) => fault.extensions.get("code").is_some_and(|code| code == bad),
            Fault::Execution(error) => {
                error.extensions.as_ref().and_then(|all| all.get("code")) == Some(&Value::from(bad))
            }
        })
    }

    /// Whether something went wrong.
    pub(super) const fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// Gives what the engine answers to `app`'s client the codes of our errors, and writes it.
    ///
    /// # Errors
    /// When it is longer than an answer may be.
    fn executed(
        app: &App,
        now: Timestamp,
        mut response: async_graphql::Response,
        cost: Option<Cost>,
    ) -> Result<Self, TooLong> {
        response.errors.iter_mut().for_each(|error| explain(app, now, error));
        let errors: Vec<_> = response.errors.into_iter().map(Fault::Execution).collect();
        match write(&errors, Some(&response.data), cost) {
            Ok(json) => {
                let most = app.config.limits.max_answer_bytes;
                let fits = json.len() <= most;
                fits.then_some(Self { errors, whole: Some(json), mark: None })
                    .ok_or(TooLong { most: most as u64, root: None })
            }
            Err(error) => {
                tracing::error!(%error, "an answer could not be written");
                Ok(Refusal::new(Code::Internal, "internal error").into())
            }
        }
    }

    /// The answer to a mutation that was carried out and whose answer is too long. It has `data`, as everything has
    /// that was executed.
    fn unsaid(too_long: &TooLong, cost: Cost) -> serde_json::Result<Self> {
        let what = match &too_long.root {
            Some(root) => format!(
                "\"{root}\" was carried out, and so was every field before it, but none behind it; their results are \
                 left out"
            ),
            None => "the mutation was carried out; its result is left out".to_owned(),
        };
        let mut extensions = JsonMap::new();
        extensions.insert("code", Code::LimitExceeded.as_str().into());
        let path = too_long.root.iter().filter_map(|root| Name::new(root).ok()).map(ResponseDataPathSegment::Field);
        let error = GraphQLError {
            message: format!("{what}, because {}", too_long.clone().into_error().message()),
            locations: Vec::new(),
            path: path.collect(),
            extensions,
        };
        let errors = vec![Fault::Document(error)];
        let whole = write(&errors, Some(&Value::Null), Some(cost))?;
        Ok(Self { errors, whole: Some(whole), mark: None })
    }
}

impl From<TooLong> for Refusal {
    fn from(too_long: TooLong) -> Self {
        too_long.into_error().into()
    }
}

/// Writes an answer as JSON.
fn write(errors: &[Fault], data: Option<&Value>, cost: Option<Cost>) -> serde_json::Result<Bytes> {
    let mut json = Vec::with_capacity(1024);
    json.push(b'{');
    if !errors.is_empty() {
        json.extend_from_slice(b"\"errors\":");
        serde_json::to_writer(&mut json, errors)?;
    }
    if let Some(data) = data {
        json.extend_from_slice(if errors.is_empty() { b"\"data\":" } else { b",\"data\":" });
        plan::write_json(&mut json, data)?;
    }
    if let Some(cost) = &cost {
        json.extend_from_slice(b",\"extensions\":{\"cost\":");
        serde_json::to_writer(&mut json, cost)?;
        json.push(b'}');
    }
    json.push(b'}');
    Ok(json.into())
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        let code = refusal.code.as_str();
        let errors = refusal.faults.into_iter().map(|mut fault| {
            fault.extensions.insert("code", code.into());
            Fault::Document(fault)
        });
        Self { errors: errors.collect(), whole: None, mark: None }
    }
}

/// What it costs to have a request looked at.
const LOOK: u64 = 1;
/// What a request costs in addition that is refused for what it says.
const REFUSED: u64 = 10;
/// How many bytes of a document are checked without a price of their own, and how many beyond them cost as much as
/// [`LOOK`]. Only documents are checked that are not known yet.
const CHECKED_FREELY: usize = 4096;
const CHECKED: usize = 128;

/// Checks a request: the document, which of its operations is meant, the variables, and the cost.
///
/// # Errors
/// When the document or its variables are refused, and when the client is over its rate.
pub(super) fn prepare(app: &App, client: &Client, asked: Asked) -> Result<Prepared, Refusal> {
    look(app, client)?;
    check(app, client, asked).inspect_err(|refusal| {
        // The operation is refused already, so the outcome of the charge does not matter.
        let _ = charge(app, client, REFUSED.max(refusal.work));
    })
}

/// Takes what it costs to have a request looked at.
///
/// # Errors
/// When the client is over its rate.
pub(super) fn look(app: &App, client: &Client) -> Result<(), Error> {
    charge(app, client, LOOK).map(drop)
}

fn charge(app: &App, client: &Client, cost: u64) -> Result<Option<u32>, Error> {
    app.rates.charge(&client.caller, client.peer, cost)
}

fn check(app: &App, client: &Client, asked: Asked) -> Result<Prepared, Refusal> {
    if let Some(refusal) = asked.nothing_to_run() {
        return Err(refusal);
    }
    let hash = asked.hash().map(str::to_owned);
    let text = app.documents.text(asked.query, asked.document_id.as_deref(), hash.as_deref())?;
    let long = text.len().saturating_sub(CHECKED_FREELY) / CHECKED;
    if long > 0 && !app.gate.knows(&text) {
        charge(app, client, long as u64)?;
    }
    let name = asked.operation_name.as_deref().filter(|name| !name.is_empty());
    let catalogue = app.catalogue.current();
    let sizes = catalogue.derived(Sizes::of)?;
    let passed = app.gate.pass(&text, name, &asked.variables.unwrap_or_default(), sizes)?;
    if let Some(hash) = hash {
        app.documents.keep(&hash, text);
    }
    let kind = match passed.kind {
        OperationType::Query => Kind::Query,
        OperationType::Mutation => Kind::Mutation,
        OperationType::Subscription => Kind::Subscription,
    };
    let (cost, document, name) = (passed.cost, Arc::clone(&passed.document), passed.name.clone());
    let compiled = Arc::clone(&passed.compiled);
    Ok(Prepared { kind, cost, document, compiled, name, request: passed.into_request() })
}

/// Runs a query or a mutation to its end, for what was [taken][take] for it. What a signed request writes keeps its
/// `mark`.
///
/// # Errors
/// When the client may not run it now.
pub(super) async fn execute(
    app: &App,
    client: &Client,
    prepared: Prepared,
    cost: Cost,
    mark: Option<Arc<Mark>>,
) -> Result<Answer, Refusal> {
    let now = app.clock.now();
    let mut caller = Arc::clone(&client.caller);
    if prepared.kind == Kind::Mutation {
        caller = Box::pin(app.known(caller, now)).await?;
    }
    let context = match prepared.kind {
        Kind::Query => app.request(caller, now),
        Kind::Mutation | Kind::Subscription => app.request_to_write(caller, now),
    };
    let context = context.signed(mark);
    let Prepared { kind, document, compiled, name, request, .. } = prepared;
    let watch = Watch::begin(app, kind, cost.requested, name, document, &client.caller, Arc::clone(&context.load));
    let work = app.schema.execute(request.data(Arc::clone(&context.load)).data(context.clone()));
    let response = context.load.run_within(work).instrument(watch.span()).await;
    let answer = response.and_then(|mut response| {
        compiled.describe(&mut response.data);
        Answer::executed(app, now, response, Some(cost))
    });
    let answer = match answer {
        Ok(answer) => answer,
        Err(too_long) if kind == Kind::Mutation => Answer::unsaid(&too_long, cost).map_err(Error::internal)?,
        Err(too_long) => {
            watch.ended(End::Refused);
            return Err(too_long.into());
        }
    };
    watch.ended(answer.end());
    Ok(answer)
}

/// Takes what an operation costs out of what the client may ask for.
///
/// # Errors
/// When the client is over its rate.
pub(super) fn take(app: &App, client: &Client, prepared: &Prepared) -> Result<Cost, Error> {
    let requested = prepared.cost;
    let remaining = charge(app, client, requested.saturating_add(price_of_user(app, client, prepared.kind)))?;
    Ok(Cost { requested, limit: app.config.limits.max_cost, remaining })
}

/// Returns the additional cost of an operation that creates a user for a wallet, because one person can make any number
/// of wallets.
fn price_of_user(app: &App, client: &Client, kind: Kind) -> u64 {
    match &*client.caller {
        Caller::User(player) if kind == Kind::Mutation && player.user.is_none() && !player.member => {
            app.config.new_wallet_cost.into()
        }
        _ => 0,
    }
}

/// Runs a subscription: one answer for each event, until the stream ends or is dropped. `session` is who the client is
/// as time goes by. Each event is paid for, the first by what is taken now; what the client cannot pay for waits. Where
/// the client keeps account of `marks`, each answer has its own.
///
/// # Errors
/// When the client may not run it now.
pub(super) fn follow(
    app: &Arc<App>,
    client: &Client,
    session: Session,
    prepared: Prepared,
    marks: Option<Marks>,
) -> Result<BoxStream<'static, Answer>, Refusal> {
    take(app, client, &prepared)?;
    let context = app.lasting_request(Arc::clone(&client.caller), app.clock.now());
    let load = Arc::clone(&context.load);
    let mut request = prepared.request.data(Arc::clone(&context.load)).data(context).data(session);
    if let Some(marks) = &marks {
        request = request.data(marks.clone());
    }
    let events = app.schema.execute_stream(request);
    let (app, client, cost) = (Arc::clone(app), client.clone(), prepared.cost);
    let refused = |too_long: TooLong| Answer::from(Refusal::from(too_long));
    let answers = stream::unfold(Some((events, true)), move |state| {
        let (app, load, client, marks) = (Arc::clone(&app), Arc::clone(&load), client.clone(), marks.clone());
        async move {
            let (mut events, is_first) = state?;
            if !is_first {
                pay(&app, &client, cost).await;
            }
            // What an event is answered with is loaded like everything else, and counted by itself.
            load.restart();
            let next = async move { (events.next().await, events) };
            let answer = match load.run_within(next).await {
                Ok((response, events)) => {
                    let answer = Answer::executed(&app, app.clock.now(), response?, None);
                    let mut answer = answer.unwrap_or_else(refused);
                    answer.mark = marks.and_then(|marks| marks.take());
                    return Some((answer, Some((events, false))));
                }
                Err(too_long) => refused(too_long),
            };
            Some((answer, None))
        }
    });
    Ok(answers.boxed())
}

/// Takes what the next event costs, as soon as the client has so much.
async fn pay(app: &App, client: &Client, cost: u64) {
    while let Err(error) = charge(app, client, cost) {
        tokio::time::sleep(Duration::from_secs(error.retry_after().unwrap_or(1).into())).await;
    }
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
            if ours.is_noted() {
                tracing::debug!(id, error = ours.chain(), path = ?error.path, "a field failed");
            } else {
                tracing::error!(id, error = ours.chain(), path = ?error.path, "a field failed");
            }
            extensions.set("code", ours.code().as_str());
            extensions.set("id", id);
        }
        // The engine's own, in words that are not for the clients of ours: what it could refuse was refused before.
        None => {
            tracing::error!(error = error.message, path = ?error.path, "the engine refused what was let pass");
            "an argument of this field has a value that is not of its type".clone_into(&mut error.message);
            extensions.set("code", Code::BadUserInput.as_str());
        }
    }
}
