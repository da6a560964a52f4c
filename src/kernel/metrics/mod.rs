//! Figures about the running server, for Prometheus.
//!
//! An app has figures of its own, so that several apps in one process do not mix. Code that counts holds its handle
//! from the start, or finds it under a name in a `Family`: nothing is formatted while a request is answered. Every
//! metric stands in [`names::ALL`] with its kind, its unit and what it means.

mod family;
pub mod names;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub use metrics::Histogram;
use metrics::{Counter, Gauge, Key, Label, Level, Metadata, Recorder as _};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use family::Family;
use names::Kind;

use crate::error::{Code, Error, Result};

/// How many operations are counted under their own name: of those that anonymous clients name first, that users do,
/// that apps do, and that stand in trusted documents. Names come from clients, and the first clients must not use up
/// the places of clients that are trusted more.
const MOST_OPERATIONS: [usize; 4] = [25, 50, 100, 500];
/// The longest name of an operation that is counted by itself, in bytes.
const LONGEST_NAME: usize = 100;
/// How many routes and kinds of writes are counted by themselves; there are fewer.
const MOST_OF_OURS: usize = 1000;
/// The operations of a document that have no name, and those beyond the most. No operation can be called so.
const UNNAMED: &str = "(unnamed)";
const OTHER: &str = "(other)";
/// How often the values of histograms are put into their buckets when no client reads the figures.
const UPKEEP: Duration = Duration::from_secs(5);

const METADATA: Metadata<'static> = Metadata::new("waymark", Level::INFO, None);

/// The figures of one app.
pub struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    routes: Family<Route>,
    operations: Family<Work, { MOST_OPERATIONS.len() }>,
    writes: Family<Work>,
    /// SQL statements.
    pub sql: Sql,
    /// Requests that were answered 429.
    pub rate_limited: Counter,
    /// Requests that found no place, and were answered 503.
    pub shed: Counter,
    /// Requests that took too long.
    pub timed_out: Counter,
    /// Requests whose handler panicked.
    pub panicked: Counter,
    /// Operations that took longer than the setting allows without a line in the log.
    pub slow_operations: Counter,
    /// Tries of a write after the first one.
    pub write_retries: Counter,
    /// Writes in one commit.
    pub group_commit: Histogram,
    subscriptions: Subscriptions,
}

/// Who names an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedBy {
    /// A client without a credential.
    Anybody,
    /// A user.
    User,
    /// An app.
    App,
    /// The operator of the server, by a trusted document.
    Operator,
}

/// The beginning of a name that a client gives an operation, fit for a log.
pub fn shown(name: &str) -> &str {
    &name[..name.floor_char_boundary(LONGEST_NAME)]
}

/// What is counted about statements; cheap to clone.
#[derive(Clone)]
pub struct Sql {
    seconds: Histogram,
    failed: Counter,
}

impl Sql {
    /// A statement was run.
    pub fn ran(&self, elapsed: Duration, failed: bool) {
        self.seconds.record(elapsed);
        if failed {
            self.failed.increment(1);
        }
    }
}

impl std::fmt::Debug for Sql {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Sql")
    }
}

struct Subscriptions {
    open: Gauge,
    behind: Gauge,
    events: Counter,
}

/// What is counted about the requests of one route.
pub struct Route {
    seconds: Histogram,
    /// One for each class of statuses: 1xx to 5xx.
    classes: [Counter; 5],
}

impl Route {
    /// A request was answered with `status`.
    pub fn answered(&self, status: u16, elapsed: Duration) {
        self.seconds.record(elapsed);
        if let Some(class) = self.classes.get(usize::from(status / 100).wrapping_sub(1)) {
            class.increment(1);
        }
    }
}

/// What is counted about one kind of work: how long it takes, and how it ends.
pub struct Work {
    seconds: Histogram,
    ends: [Counter; 4],
}

/// How work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// As was asked for.
    Done,
    /// It was refused for what was asked, in part or altogether.
    Refused,
    /// It failed for a reason of ours, in part or altogether.
    Failed,
    /// The client had gone.
    GivenUp,
}

impl End {
    const ALL: [(Self, &'static str); 4] =
        [(Self::Done, "done"), (Self::Refused, "refused"), (Self::Failed, "failed"), (Self::GivenUp, "given_up")];

    /// How work ended that failed with `error`.
    pub fn of(error: &Error) -> Self {
        match error.code() {
            Code::Internal | Code::Unavailable => Self::Failed,
            _ => Self::Refused,
        }
    }
}

/// Work under way. Counts as given up when it is dropped before it has ended.
pub struct Running {
    work: Arc<Work>,
    began: Instant,
    end: End,
}

impl Running {
    /// The work has ended.
    pub fn ended(mut self, end: End) {
        self.end(end);
    }

    /// The same for work that is still held.
    pub const fn end(&mut self, end: End) {
        self.end = end;
    }

    /// How long it has taken so far.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Whether it ends otherwise than it should, and not for what was asked.
    pub fn is_bad(&self) -> bool {
        matches!(self.end, End::Failed | End::GivenUp)
    }

    /// How it ends, in one word.
    pub fn outcome(&self) -> &'static str {
        End::ALL.iter().find(|(end, _)| *end == self.end).map_or("", |(_, name)| name)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.work.seconds.record(self.began.elapsed());
        let ends = End::ALL.iter().zip(&self.work.ends);
        if let Some((_, counter)) = ends.into_iter().find(|((end, _), _)| *end == self.end) {
            counter.increment(1);
        }
    }
}

/// Makes handles.
struct Maker<'a>(&'a PrometheusRecorder);

impl Maker<'_> {
    fn counter(&self, name: &'static str, labels: Vec<Label>) -> Counter {
        self.0.register_counter(&Key::from_parts(name, labels), &METADATA)
    }

    fn gauge(&self, name: &'static str, labels: Vec<Label>) -> Gauge {
        self.0.register_gauge(&Key::from_parts(name, labels), &METADATA)
    }

    fn histogram(&self, name: &'static str, labels: Vec<Label>) -> Histogram {
        self.0.register_histogram(&Key::from_parts(name, labels), &METADATA)
    }

    fn route(&self, name: &str) -> Route {
        let label = || Label::new("route", name.to_owned());
        let class = |class: &'static str| {
            self.counter(names::HTTP_REQUESTS, vec![label(), Label::from_static_parts("status", class)])
        };
        Route {
            seconds: self.histogram(names::HTTP_SECONDS, vec![label()]),
            classes: ["1xx", "2xx", "3xx", "4xx", "5xx"].map(class),
        }
    }

    fn work(&self, count: &'static str, seconds: &'static str, of: &'static str, name: &str) -> Work {
        let label = || Label::new(of, name.to_owned());
        let end = |(_, end): (End, &'static str)| {
            self.counter(count, vec![label(), Label::from_static_parts("outcome", end)])
        };
        Work { seconds: self.histogram(seconds, vec![label()]), ends: End::ALL.map(end) }
    }
}

impl Metrics {
    /// No figures yet.
    ///
    /// # Errors
    /// Never; the buckets of histograms are not empty.
    pub fn new() -> Result<Self> {
        let mut builder = PrometheusBuilder::new();
        for metric in names::ALL {
            if let Kind::Histogram(buckets) = metric.kind {
                let name = Matcher::Full(metric.name.to_owned());
                builder = builder.set_buckets_for_metric(name, buckets).map_err(Error::internal)?;
            }
        }
        let recorder = builder.build_recorder();
        for metric in names::ALL {
            let (name, unit, help) = (metric.name.into(), Some(metric.unit), metric.help.into());
            match metric.kind {
                Kind::Counter => recorder.describe_counter(name, unit, help),
                Kind::Gauge => recorder.describe_gauge(name, unit, help),
                Kind::Histogram(_) => recorder.describe_histogram(name, unit, help),
            }
        }
        let make = Maker(&recorder);
        let counter = |name| make.counter(name, Vec::new());
        Ok(Self {
            handle: recorder.handle(),
            routes: Family::new([MOST_OF_OURS]),
            operations: Family::new(MOST_OPERATIONS),
            writes: Family::new([MOST_OF_OURS]),
            sql: Sql { seconds: make.histogram(names::SQL_SECONDS, Vec::new()), failed: counter(names::SQL_FAILED) },
            rate_limited: counter(names::RATE_LIMITED),
            shed: counter(names::SHED),
            timed_out: counter(names::TIMED_OUT),
            panicked: counter(names::PANICKED),
            slow_operations: counter(names::SLOW_OPERATIONS),
            write_retries: counter(names::WRITE_RETRIES),
            group_commit: make.histogram(names::GROUP_COMMIT, Vec::new()),
            subscriptions: Subscriptions {
                open: make.gauge(names::SUBSCRIPTIONS_OPEN, Vec::new()),
                behind: make.gauge(names::SUBSCRIPTIONS_BEHIND, Vec::new()),
                events: counter(names::SUBSCRIPTION_EVENTS),
            },
            recorder,
        })
    }

    /// The figures in Prometheus' text format.
    pub fn render(&self) -> String {
        self.handle.render()
    }

    /// Puts what histograms took in into its buckets every few seconds, for as long as `self` lives. Must be called
    /// inside a Tokio runtime.
    pub fn keep(self: &Arc<Self>) {
        let metrics = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(UPKEEP).await;
                let Some(metrics) = metrics.upgrade() else { break };
                metrics.handle.run_upkeep();
            }
        });
    }

    /// Sets a figure that is only known when it is asked for.
    pub fn set(&self, name: &'static str, labels: &[(&'static str, &str)], value: u64) {
        let labels = labels.iter().map(|(name, value)| Label::new(*name, (*value).to_owned())).collect();
        Maker(&self.recorder).gauge(name, labels).set(value as f64);
    }

    /// Sets a number of seconds, which may be less than 0.
    pub fn set_seconds(&self, name: &'static str, seconds: Duration, negative: bool) {
        let seconds = seconds.as_secs_f64();
        Maker(&self.recorder).gauge(name, Vec::new()).set(if negative { -seconds } else { seconds });
    }

    /// Sets a count that is kept elsewhere.
    pub fn count(&self, name: &'static str, value: u64) {
        Maker(&self.recorder).counter(name, Vec::new()).absolute(value);
    }

    /// The requests of a route of ours, such as `/api/user-progress/check`.
    pub fn route(&self, name: &str) -> Arc<Route> {
        self.routes.get(name, 0, |name| Maker(&self.recorder).route(name))
    }

    /// Begins an operation of a document that passed the gate, under the name that the client or the operator gave it.
    pub fn operation(&self, name: Option<&str>, by: NamedBy) -> Running {
        let name = name.map(|name| if name.len() > LONGEST_NAME { OTHER } else { name });
        let make =
            |name: &str| Maker(&self.recorder).work(names::OPERATIONS, names::OPERATION_SECONDS, "operation", name);
        let (name, by) = name.map_or((UNNAMED, NamedBy::Operator), |name| (name, by));
        Running { work: self.operations.get(name, by as usize, make), began: Instant::now(), end: End::GivenUp }
    }

    /// Begins a write of this name.
    pub fn write(&self, name: &'static str) -> Running {
        let make = |name: &str| Maker(&self.recorder).work(names::WRITES, names::WRITE_SECONDS, "write", name);
        Running { work: self.writes.get(name, 0, make), began: Instant::now(), end: End::GivenUp }
    }

    /// A connection was refused or closed, for a reason in a fixed word.
    pub fn connection_closed(&self, reason: &'static str) {
        let labels = vec![Label::from_static_parts("reason", reason)];
        Maker(&self.recorder).counter(names::CONNECTIONS_CLOSED, labels).increment(1);
    }

    /// The sizes of the batches of a loader.
    pub fn batches(&self, loader: &'static str) -> Histogram {
        Maker(&self.recorder).histogram(names::BATCH_KEYS, vec![Label::from_static_parts("loader", loader)])
    }

    /// A subscription is opened; it is open as long as what this gives is kept.
    pub fn subscription(self: &Arc<Self>) -> Subscription {
        self.subscriptions.open.increment(1.0);
        Subscription { metrics: Arc::clone(self), reason: "left", behind: 0 }
    }
}

/// An open subscription, as the figures count it.
pub struct Subscription {
    metrics: Arc<Metrics>,
    reason: &'static str,
    behind: u32,
}

impl Subscription {
    /// Sets how many stored events have not been sent yet.
    pub fn is_behind(&mut self, events: i64) {
        let events = u32::try_from(events.max(0)).unwrap_or(u32::MAX);
        self.metrics.subscriptions.behind.increment(f64::from(events) - f64::from(self.behind));
        self.behind = events;
    }

    /// An event was handed over.
    pub fn has_told(&self) {
        self.metrics.subscriptions.events.increment(1);
    }

    /// Why it ends, in a short fixed word, when it is not the client who leaves.
    pub const fn ends(&mut self, reason: &'static str) {
        self.reason = reason;
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.is_behind(0);
        self.metrics.subscriptions.open.decrement(1.0);
        let reason = vec![Label::from_static_parts("reason", self.reason)];
        Maker(&self.metrics.recorder).counter(names::SUBSCRIPTIONS_CLOSED, reason).increment(1);
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Metrics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_told_under_its_name() {
        let metrics = Metrics::new().unwrap();
        metrics.route("/graphql").answered(200, Duration::from_millis(3));
        metrics.operation(Some("Overview"), NamedBy::User).ended(End::Done);
        drop(metrics.operation(None, NamedBy::Anybody));
        metrics.write("recordSteps").ended(End::Refused);
        metrics.set(names::VERIFY_DIFFERENCES, &[], 7);
        let text = metrics.render();
        for line in [
            "waymark_http_requests_total{route=\"/graphql\",status=\"2xx\"} 1",
            "waymark_http_request_seconds_bucket{route=\"/graphql\",le=\"0.005\"} 1",
            "waymark_http_request_seconds_bucket{route=\"/graphql\",le=\"0.0025\"} 0",
            "waymark_graphql_operations_total{operation=\"Overview\",outcome=\"done\"} 1",
            "waymark_graphql_operations_total{operation=\"(unnamed)\",outcome=\"given_up\"} 1",
            "waymark_writes_total{write=\"recordSteps\",outcome=\"refused\"} 1",
            "waymark_verify_differences 7",
            "# TYPE waymark_http_request_seconds histogram",
        ] {
            assert!(text.lines().any(|known| known == line), "{line}\n{text}");
        }
    }

    #[test]
    fn names_from_clients_do_not_grow_without_bound_and_the_trusted_keep_theirs() {
        let metrics = Metrics::new().unwrap();
        let end = |name: &str, by| metrics.operation(Some(name), by).ended(End::Done);
        for n in 0..1000 {
            end(&format!("{}{n}", "a".repeat(LONGEST_NAME - 4)), NamedBy::Anybody);
            end(&format!("{}{n}", "b".repeat(100_000)), NamedBy::App);
            end(&format!("User{n}"), NamedBy::User);
        }
        let all: usize = MOST_OPERATIONS.iter().sum();
        for n in 0..150 {
            end(&format!("App{n}"), NamedBy::App);
            end(&format!("Trusted{n}"), NamedBy::Operator);
        }
        metrics.operation(None, NamedBy::Anybody).ended(End::Done);
        end("App0", NamedBy::Anybody);
        let text = metrics.render();
        let count = |start: &str| {
            let start = format!("waymark_graphql_operation_seconds_count{{operation=\"{start}");
            text.lines().filter(|line| line.starts_with(&start)).count()
        };
        assert_eq!(["aa", "bb", "User", "App", "Trusted", "("].map(count), [25, 0, 50, 100, 150, 2]);
        assert!(count("") <= all + 1 && text.len() < 1_500_000, "{}", text.len());
        let other = 1000 - 25 + 1000 + 1000 - 50 + 50;
        for line in [
            format!("waymark_graphql_operation_seconds_count{{operation=\"(other)\"}} {other}\n"),
            "waymark_graphql_operation_seconds_count{operation=\"App0\"} 2\n".to_owned(),
            "waymark_graphql_operation_seconds_count{operation=\"(unnamed)\"} 1\n".to_owned(),
        ] {
            assert!(text.contains(&line), "{line}");
        }
    }

    #[test]
    fn two_apps_in_one_process_do_not_mix() {
        let (one, two) = (Metrics::new().unwrap(), Metrics::new().unwrap());
        one.shed.increment(1);
        assert!(one.render().contains("waymark_requests_shed_total 1"));
        assert!(two.render().contains("waymark_requests_shed_total 0"));
    }

    #[test]
    fn every_metric_is_described_in_the_manual() {
        let manual = include_str!("../../../docs/operations.md");
        for metric in names::ALL {
            assert!(manual.contains(&format!("`{}`", metric.name)), "{}", metric.name);
            assert!(metric.name.starts_with("waymark_") && !metric.help.is_empty(), "{}", metric.name);
        }
    }
}
