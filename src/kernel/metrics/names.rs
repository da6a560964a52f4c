//! What is counted: names, kinds, units and meanings.

use metrics::Unit;

/// A metric.
pub struct Metric {
    /// Its name, with the unit.
    pub name: &'static str,
    /// Whether it grows, moves, or is a distribution.
    pub kind: Kind,
    /// In what it is measured.
    pub unit: Unit,
    /// What it means, in one line.
    pub help: &'static str,
}

/// The kinds of metrics; a histogram with the upper bounds of its buckets.
#[derive(Clone, Copy)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How values are distributed.
    Histogram(&'static [f64]),
}

const REQUEST: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
const STATEMENT: &[f64] = &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0];
const BATCH: &[f64] = &[1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0];
const COMMIT: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];

macro_rules! metrics {
    ($($id:ident = $name:literal, $kind:expr, $unit:ident, $help:literal;)*) => {
        $(#[doc = $help] pub const $id: &str = $name;)*

        /// Every metric there is.
        pub const ALL: &[Metric] =
            &[$(Metric { name: $name, kind: $kind, unit: Unit::$unit, help: $help },)*];
    };
}

metrics! {
    BUILD_INFO = "waymark_build_info", Kind::Gauge, Count, "Always 1, with the version and the kind of database.";
    START_TIME = "waymark_start_time_seconds", Kind::Gauge, Seconds,
        "When the server started, in seconds since 1970-01-01T00:00:00Z.";
    STOPPING = "waymark_stopping", Kind::Gauge, Count, "1 once the server was told to stop, else 0.";
    CLOCK_OFFSET = "waymark_clock_offset_seconds", Kind::Gauge, Seconds,
        "How far the clock of this machine is ahead of the database's, which decides; absent where the database has none.";
    HTTP_REQUESTS = "waymark_http_requests_total", Kind::Counter, Count,
        "Requests that were answered, by route and class of status.";
    HTTP_SECONDS = "waymark_http_request_seconds", Kind::Histogram(REQUEST), Seconds,
        "Time from the head of a request to the head of its answer, by route.";
    CONNECTIONS_OPEN = "waymark_connections_open", Kind::Gauge, Count, "Connections of clients.";
    CONNECTIONS_CLOSED = "waymark_connections_closed_total", Kind::Counter, Count,
        "Connections that the server refused or closed because nothing came of them, by reason.";
    STREAMS_OPEN = "waymark_streams_open", Kind::Gauge, Count, "WebSockets and streams of events.";
    RUNNING = "waymark_requests_running", Kind::Gauge, Count, "Requests that have a place and are worked on.";
    WAITING = "waymark_requests_waiting", Kind::Gauge, Count, "Requests that wait for a place.";
    SHED = "waymark_requests_shed_total", Kind::Counter, Count,
        "Requests answered 503 because too many were waiting, or because they waited too long.";
    TIMED_OUT = "waymark_requests_timed_out_total", Kind::Counter, Count,
        "Requests answered 503 because they took too long, or 408 because their body did not come.";
    PANICKED = "waymark_requests_panicked_total", Kind::Counter, Count,
        "Requests answered 500 because of a panic, which is a defect.";
    RATE_LIMITED = "waymark_requests_rate_limited_total", Kind::Counter, Count, "Requests answered 429.";
    OPERATIONS = "waymark_graphql_operations_total", Kind::Counter, Count,
        "GraphQL operations that were executed, by name and outcome.";
    OPERATION_SECONDS = "waymark_graphql_operation_seconds", Kind::Histogram(REQUEST), Seconds,
        "Time to execute a GraphQL operation, by name.";
    SLOW_OPERATIONS = "waymark_graphql_slow_operations_total", Kind::Counter, Count,
        "GraphQL operations that took longer than WAYMARK_SLOW_OPERATION_MS.";
    GATE_HITS = "waymark_gate_hits_total", Kind::Counter, Count, "Documents that had passed the gate before.";
    GATE_MISSES = "waymark_gate_misses_total", Kind::Counter, Count, "Documents that had to be checked.";
    GATE_DOCUMENTS = "waymark_gate_documents", Kind::Gauge, Count, "Checked documents that are kept.";
    BATCH_KEYS = "waymark_loader_batch_keys", Kind::Histogram(BATCH), Count,
        "Keys that one statement of a loader was asked for, by loader.";
    SQL_SECONDS = "waymark_sql_statement_seconds", Kind::Histogram(STATEMENT), Seconds,
        "Time of an SQL statement; transactions' own commands are not counted.";
    SQL_FAILED = "waymark_sql_statements_failed_total", Kind::Counter, Count, "SQL statements that failed.";
    REACHABLE = "waymark_database_reachable", Kind::Gauge, Count,
        "1 while the database can be reached as far as the heartbeat knows, else 0.";
    OUTAGES = "waymark_database_outages_total", Kind::Counter, Count, "How often the database could not be reached.";
    CONNECTIONS = "waymark_database_connections", Kind::Gauge, Count,
        "Open database connections, by pool and state (used, idle).";
    CONNECTIONS_MOST = "waymark_database_connections_most", Kind::Gauge, Count,
        "Connections that a pool may open.";
    CONNECTIONS_WAITING = "waymark_database_connections_waiting", Kind::Gauge, Count,
        "Statements of loaders that wait for a connection.";
    REPLICA_IN_STEP = "waymark_replica_in_step", Kind::Gauge, Count,
        "1 while a replica answers reads, 0 while the primary answers all; absent where none is configured.";
    REPLICA_BEHIND = "waymark_replica_behind_bytes", Kind::Gauge, Bytes,
        "How much of the primary's log the replica had yet to replay when it was last asked.";
    WRITES = "waymark_writes_total", Kind::Counter, Count, "Writes, by name and outcome.";
    WRITE_SECONDS = "waymark_write_seconds", Kind::Histogram(REQUEST), Seconds,
        "Time until a write was on disk, waiting included, by name.";
    WRITE_RETRIES = "waymark_write_retries_total", Kind::Counter, Count,
        "Tries of writes that had lost against another write.";
    GROUP_COMMIT = "waymark_group_commit_writes", Kind::Histogram(COMMIT), Count,
        "Writes in one commit, on SQLite.";
    SUBSCRIPTIONS_OPEN = "waymark_subscriptions_open", Kind::Gauge, Count, "Subscriptions that are open.";
    SUBSCRIPTIONS_CLOSED = "waymark_subscriptions_closed_total", Kind::Counter, Count,
        "Subscriptions that ended, by reason.";
    SUBSCRIPTION_EVENTS = "waymark_subscription_events_total", Kind::Counter, Count,
        "Events that were handed to subscribers.";
    SUBSCRIPTIONS_BEHIND = "waymark_subscription_events_behind", Kind::Gauge, Count,
        "Events that were recorded and not yet handed to the subscribers who wait for them.";
    VERIFY_DIFFERENCES = "waymark_verify_differences", Kind::Gauge, Count,
        "Differences that the last pass of verify found; absent before the first pass.";
    VERIFY_TIME = "waymark_verify_time_seconds", Kind::Gauge, Seconds,
        "When the last pass of verify ended, in seconds since 1970-01-01T00:00:00Z; absent before the first pass.";
}
