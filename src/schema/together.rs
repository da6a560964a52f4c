//! Users answered side by side.
//!
//! The engine answers user by user, and asks each for each field. Here, what stands in the query is looked at once for
//! all users: arguments are read once, what a field needs is loaded for all users by one question, and lists of plain
//! objects are written by a [`Plan`]. Fields that have no such way are answered by the engine, and so is a selection
//! with anything but fields in it.

use std::borrow::Cow;

use async_graphql::parser::types::{Field, Selection};
use async_graphql::registry::Registry;
use async_graphql::{ContainerType as _, ContextSelectionSet, ID, OutputType, Positioned, ServerResult, Value};
use futures_util::future::{BoxFuture, join_all};

use super::user::User;
use waymark_auth::policy::OwnUser;
use waymark_graphql_kit::context::Nullable;
use waymark_graphql_kit::list;
use waymark_graphql_kit::plan::{self, Plain, Plan, Writer, write_json};
use waymark_kernel::error::Result;
use waymark_kinds::games;
use waymark_kinds::games::graphql::GameSummary;
use waymark_kinds::learning;
use waymark_kinds::learning::graphql::ResourceProgress;
use waymark_request::Request;
use waymark_vocabulary::ids::Kind;

/// A list of users.
#[derive(Debug)]
pub(super) struct Together(pub(super) Vec<Nullable<User>>);

/// One user.
#[derive(Debug)]
pub(super) struct Alone(pub(super) User);

impl OutputType for Together {
    fn type_name() -> Cow<'static, str> {
        Vec::<Nullable<User>>::type_name()
    }

    fn qualified_type_name() -> String {
        Vec::<Nullable<User>>::qualified_type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        Vec::<Nullable<User>>::create_type_info(registry)
    }

    async fn resolve(&self, context: &ContextSelectionSet<'_>, field: &Positioned<Field>) -> ServerResult<Value> {
        let contexts: Vec<_> = (0..self.0.len()).map(|place| context.with_index(place)).collect();
        let places = self.0.iter().zip(&contexts);
        let found = places.clone().filter_map(|(user, context)| match user {
            Some(Ok(user)) => Some(Placed { user, context }),
            _ => None,
        });
        let found: Vec<_> = found.collect();
        let Some((request, columns)) = columns(context, &found) else {
            return list::resolve(context, field, &self.0).await;
        };
        let mut answers = answer(request, columns, &found).await.into_iter();
        let mut list = Vec::with_capacity(self.0.len());
        for (user, context) in places {
            list.push(match user {
                Some(Ok(_)) => answers.next().transpose().unwrap_or_else(|error| {
                    context.add_error(error);
                    None
                }),
                absent => Some(absent.resolve(context, field).await?),
            });
        }
        Ok(Value::List(list.into_iter().map(Option::unwrap_or_default).collect()))
    }
}

impl OutputType for Alone {
    fn type_name() -> Cow<'static, str> {
        User::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        User::create_type_info(registry)
    }

    async fn resolve(&self, context: &ContextSelectionSet<'_>, field: &Positioned<Field>) -> ServerResult<Value> {
        let found = [Placed { user: &self.0, context }];
        match columns(context, &found) {
            Some((request, columns)) => answer(request, columns, &found).await.pop().unwrap_or(Ok(Value::Null)),
            None => self.0.resolve(context, field).await,
        }
    }
}

/// A user in a place of the answer.
pub(super) struct Placed<'a> {
    user: &'a User,
    context: &'a ContextSelectionSet<'a>,
}

/// A field of all users.
enum Column<'a> {
    /// Each user holds what is asked for.
    Ready(Writer<User>),
    /// One answer per user.
    Waiting(Answers<'a>),
}

/// Fields, each with what stands before its value.
type Columns<'a> = Vec<(String, Column<'a>)>;

/// The fields that are asked for, each with what stands before its value; `None` when the engine has to see to it.
fn columns<'a>(context: &ContextSelectionSet<'a>, users: &'a [Placed<'a>]) -> Option<(&'a Request, Columns<'a>)> {
    let request = context.data_opt::<Request>()?;
    let column = |selection: &'a Positioned<Selection>| {
        let Selection::Field(field) = &selection.node else { return None };
        let column = match User::any_writer(&field.node) {
            Some(writer) => Column::Ready(writer),
            None => Column::Waiting(
                side_by_side(request, field, users).unwrap_or_else(|| Box::pin(one_by_one(field, users))),
            ),
        };
        Some((plan::before(&field.node), column))
    };
    Some((request, context.item.node.items.iter().map(column).collect::<Option<_>>()?))
}

/// The answer of each user.
async fn answer(request: &Request, columns: Columns<'_>, users: &[Placed<'_>]) -> Vec<ServerResult<Value>> {
    let (mut fields, mut waiting) = (Vec::with_capacity(columns.len()), Vec::new());
    for (before, column) in columns {
        let ready = match column {
            Column::Ready(writer) => Some(writer),
            Column::Waiting(answers) => {
                waiting.push(answers);
                None
            }
        };
        fields.push((before, ready));
    }
    let mut waiting: Vec<_> = join_all(waiting).await.into_iter().map(Vec::into_iter).collect();
    let meter = request.load.meter();
    let mut write = |placed: &Placed<'_>| {
        let mut answers: Vec<_> = waiting.iter_mut().map(Iterator::next).collect();
        let mut answers = answers.drain(..);
        let (mut json, mut inner) = (Vec::with_capacity(1024), 0);
        for (place, (before, ready)) in fields.iter().enumerate() {
            json.push(if place == 0 { b'{' } else { b',' });
            json.extend_from_slice(before.as_bytes());
            match ready {
                Some(writer) => writer(placed.user, &mut json),
                None => {
                    let answer = answers.next().flatten().unwrap_or(Ok(Value::Null))?;
                    let start = json.len();
                    let own = write_json(&mut json, &answer).map_err(list::unwritten)?;
                    inner += json.len() - start - own;
                }
            }
        }
        json.push(b'}');
        meter.add(json.len() - inner);
        Ok(Value::Binary(json.into()))
    };
    let mut all = Vec::with_capacity(users.len());
    for placed in users {
        all.push(write(placed));
        meter.pause().await;
    }
    all
}

/// A field as the engine answers it.
async fn one_by_one(field: &Positioned<Field>, users: &[Placed<'_>]) -> Vec<ServerResult<Value>> {
    join_all(users.iter().map(|placed| async {
        let context = placed.context.with_field(field);
        placed.user.resolve_field(&context).await.map(Option::unwrap_or_default)
    }))
    .await
}

/// What loads and writes a field for all users at once, given the ids in its argument. `None` when the ids are not in
/// order, or not to be seen: what is wrong, the engine tells each user.
pub(super) type SideBySide =
    for<'a> fn(&'a Request, &'a Positioned<Field>, &'a [Placed<'a>], Vec<ID>) -> Option<Answers<'a>>;

/// One answer per user.
pub(super) type Answers<'a> = BoxFuture<'a, Vec<ServerResult<Value>>>;

/// What `User` names for this field, with the ids in its argument.
fn side_by_side<'a>(
    request: &'a Request,
    field: &'a Positioned<Field>,
    users: &'a [Placed<'a>],
) -> Option<Answers<'a>> {
    let (answers, argument) = User::together(&field.node.name.node)?;
    let (_, ids) = users.first()?.context.with_field(field).param_value(argument, None).ok()?;
    answers(request, field, users, ids)
}

/// `User.gameSummaries`.
pub(super) fn game_summaries<'a>(
    request: &'a Request,
    field: &'a Positioned<Field>,
    users: &'a [Placed<'a>],
    ids: Vec<ID>,
) -> Option<Answers<'a>> {
    let plan = Plan::of(&field.node.selection_set.node)?;
    request.check_ids("games", ids.len(), request.config.limits.max_ids).ok()?;
    if !Kind::Game.keys(&ids).are_well_formed() {
        return None;
    }
    let visible: Vec<_> = users.iter().map(|placed| placed.user.visible()).collect();
    Some(Box::pin(async move {
        let keys = Kind::Game.keys(&ids);
        let lists = games::service::summaries(request, &visible, keys.well_formed(), plan.extent).await;
        write(request, field, users, &plan, lists, GameSummary).await
    }))
}

/// `User.resourceProgress`.
pub(super) fn resource_progress<'a>(
    request: &'a Request,
    field: &'a Positioned<Field>,
    users: &'a [Placed<'a>],
    ids: Vec<ID>,
) -> Option<Answers<'a>> {
    let plan = Plan::of(&field.node.selection_set.node)?;
    request.check_ids("resources", ids.len(), request.config.limits.max_resource_ids).ok()?;
    if !Kind::Resource.keys(&ids).are_well_formed() {
        return None;
    }
    let own: Vec<&OwnUser> = users.iter().map(|placed| placed.user.own()).collect::<Result<_>>().ok()?;
    Some(Box::pin(async move {
        let keys = Kind::Resource.keys(&ids);
        let lists = learning::service::progress(request, &own, keys.well_formed(), plan.extent).await;
        write(request, field, users, &plan, lists, ResourceProgress).await
    }))
}

/// Writes a list for each user; where they could not be loaded, `null` with the error beside it.
async fn write<T: Send, U: Plain>(
    request: &Request,
    field: &Positioned<Field>,
    users: &[Placed<'_>],
    plan: &Plan<U>,
    lists: Result<Vec<Vec<Option<T>>>>,
    show: impl Fn(T) -> U + Copy + Send,
) -> Vec<ServerResult<Value>> {
    let failed = |error: &waymark_kernel::error::Error, placed: &Placed<'_>| {
        let context = placed.context.with_field(field);
        let error = async_graphql::Error::from(error.clone()).into_server_error(field.pos);
        context.add_error(context.set_error_path(error));
        Ok(Value::Null)
    };
    let lists = match lists {
        Ok(lists) => lists,
        Err(error) => return users.iter().map(|placed| failed(&error, placed)).collect(),
    };
    let meter = request.load.meter();
    let mut all = Vec::with_capacity(lists.len());
    for list in lists {
        let mut json = Vec::with_capacity(128 * list.len());
        plan::write_list(list, &mut json, |one, json| plan.write(&show(one), json));
        meter.add(json.len());
        all.push(Ok(Value::Binary(json.into())));
        meter.pause().await;
    }
    all
}
