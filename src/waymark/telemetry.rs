//! What the process tells about itself: its log on stderr, and traces for an OpenTelemetry collector.
//!
//! Without a collector there is the log alone, and nothing listens to the spans of [`trace`]. With one, spans that have
//! ended wait in a bounded queue for a thread of its own, which sends them off every few seconds. When the collector is
//! away or slow, the queue fills, and further spans are lost: no request ever waits for it.

use std::io::IsTerminal as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{Key, KeyValue, global};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{EnvFilter, dynamic_filter_fn};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::{self, FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::{Filter, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use waymark_kernel::config::without_secrets;
use waymark_kernel::error::{Error, Result};
use waymark_kernel::trace;
use waymark_server as server;

/// How long the collector may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a process that ends waits until its last spans are delivered.
const LAST_PATIENCE: Duration = Duration::from_secs(3);
/// How long nothing more is said about a collector that is away.
const SILENCE: Duration = Duration::from_secs(10 * 60);
/// The longest answer of a collector that is read, in bytes.
const LONGEST_ANSWER: u64 = 64 * 1024;

/// Traces on their way to the collector; nothing where there is none.
#[must_use = "spans that still wait are lost when it is not finished"]
pub(crate) struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// Sends off what still waits.
    pub(crate) async fn finish(self) {
        if let Some(provider) = self.0 {
            // It blocks. When it fails, the warning about the collector stands in the log.
            let _ = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(LAST_PATIENCE)).await;
        }
    }
}

/// Writes the log to stderr from now on, as text or as JSON.
pub(crate) fn log(json: bool) {
    // Fails only when a subscriber was set before, as a test may have done.
    let _ = tracing_subscriber::registry().with(writer(json)).with(lines()).try_init();
}

/// What writes lines of the log to stderr.
fn writer<S: Subscriber + for<'s> LookupSpan<'s>>(json: bool) -> Box<dyn Layer<S> + Send + Sync> {
    let colours = std::io::stderr().is_terminal();
    // Both have to know: the one formats lines, the other the fields of spans.
    let format = fmt::format().with_ansi(colours);
    let layer = fmt::layer().with_writer(std::io::stderr).with_ansi(colours);
    if json {
        let format = OfRequests { format: format.json(), before: ",\"request\":\"", after: "\"}\n", end: "}\n" };
        layer.fmt_fields(JsonFields::new()).event_format(format).boxed()
    } else {
        layer.event_format(OfRequests { format, before: " request=", after: "\n", end: "\n" }).boxed()
    }
}

/// Lines that say on behalf of which request they are written. A span would do the same, and cost every request what
/// only lines need.
struct OfRequests<F> {
    format: F,
    /// What stands before and after the id, in the place of the line's end.
    before: &'static str,
    after: &'static str,
    end: &'static str,
}

impl<S, N, F> FormatEvent<S, N> for OfRequests<F>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    N: for<'w> FormatFields<'w> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> std::fmt::Result {
        // Ids have no character that would have to be escaped.
        let Some(id) = server::request_id() else { return self.format.format_event(context, out, event) };
        let mut line = String::new();
        self.format.format_event(context, Writer::new(&mut line), event)?;
        out.write_str(line.strip_suffix(self.end).unwrap_or(&line))?;
        write!(out, "{}{id}{}", self.before, self.after)
    }
}

/// Does the same as [`log`], and sends traces to the collector at `endpoint` from now on, if there is one.
///
/// # Errors
/// When nothing can be sent to such a collector.
pub(crate) fn start(json: bool, endpoint: Option<&str>) -> Result<Traces> {
    let Some(endpoint) = endpoint else {
        log(json);
        return Ok(Traces(None));
    };
    let provider = provider(endpoint)?;
    let spans = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(trace::SCOPE))
        .with_location(false)
        .with_target(false)
        .with_threads(false)
        .with_tracked_inactivity(false);
    // Each with a filter of its own: what is traced says nothing about what is logged.
    let log = writer(json).with_filter(lines());
    let both = tracing_subscriber::registry().with(log).with(spans.with_filter(parts_of_traces()));
    let _ = both.try_init();
    global::set_tracer_provider(provider.clone());
    Ok(Traces(Some(provider)))
}

/// Which lines are logged. Spans of traces are never part of the log, also when `RUST_LOG` names them, and neither is
/// what the driver says of the database's URL: a parameter that it does not know may be a mistyped password.
fn lines() -> EnvFilter {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,waymark=info"));
    [trace::TARGET, "sqlx_postgres::options::parse"].into_iter().fold(filter, |filter, target| {
        match format!("{target}=off").parse() {
            Ok(directive) => filter.add_directive(directive),
            Err(_) => filter,
        }
    })
}

/// Lets the spans of [`trace`] pass that begin a trace or are inside of one.
fn parts_of_traces<S: Subscriber + for<'s> LookupSpan<'s>>() -> impl Filter<S> {
    dynamic_filter_fn(|metadata, context| {
        metadata.target() == trace::TARGET
            && (trace::ROOTS.contains(&metadata.name()) || context.lookup_current().is_some())
    })
    .with_callsite_filter(
        |metadata| {
            if metadata.target() == trace::TARGET { Interest::sometimes() } else { Interest::never() }
        },
    )
    .with_max_level_hint(LevelFilter::DEBUG)
}

fn provider(endpoint: &str) -> Result<SdkTracerProvider> {
    let collector = Collector::new(endpoint);
    if Request::post(&collector.url).body(()).is_err() {
        return Err(Error::bad_input("nothing can be sent to the address in WAYMARK_OTLP_ENDPOINT; correct it"));
    }
    let exporter = SpanExporter::builder()
        .with_http()
        .with_endpoint(&collector.url)
        .with_protocol(Protocol::HttpBinary)
        .with_timeout(PATIENCE)
        .with_http_client(collector)
        .build()
        .map_err(|error| Error::bad_input(format!("traces cannot be sent: {error}")))?;
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource()).build())
}

/// What all spans have in common. The environment (`OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`) may say otherwise
/// and more.
fn resource() -> Resource {
    let detected = Resource::builder().build();
    let is_said = |key: &'static str| {
        let value = detected.get(&Key::new(key));
        value.is_some_and(|value| !value.as_str().starts_with("unknown_service"))
    };
    let ours = [("service.name", trace::SCOPE), ("service.version", env!("CARGO_PKG_VERSION"))];
    let missing = ours.into_iter().filter(|(key, _)| !is_said(key));
    let missing: Vec<_> = missing.map(|(key, value)| KeyValue::new(key, value)).collect();
    Resource::builder().with_attributes(missing).build()
}

/// The way to a collector. It blocks, and is used by the thread that sends spans off alone.
struct Collector {
    agent: ureq::Agent,
    url: String,
    /// When it was last said that the collector is away.
    complained: Mutex<Option<Instant>>,
}

impl Collector {
    fn new(endpoint: &str) -> Self {
        let https_only = endpoint.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"));
        // A redirect would take the headers along, which may hold a key.
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .https_only(https_only)
            .max_redirects(0)
            .user_agent(concat!("waymark/", env!("CARGO_PKG_VERSION")))
            .http_status_as_error(false)
            .build();
        let url = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
        Self { agent: agent.into(), url, complained: Mutex::default() }
    }

    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ureq::Error> {
        let (head, body) = request.into_parts();
        let (head, mut body) = self.agent.run(Request::from_parts(head, &body[..]))?.into_parts();
        let body = body.with_config().limit(LONGEST_ANSWER).read_to_vec()?;
        Ok(Response::from_parts(head, body.into()))
    }

    /// Says once in a while that spans are lost.
    fn complain(&self, reason: &str) {
        if self.is_due(Instant::now()) {
            let (collector, reason) = (without_secrets(&self.url), reason.replace(&self.url, ""));
            tracing::warn!(collector, reason, "traces cannot be delivered and are lost; this is said once in a while");
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        let mut complained = self.complained.lock().unwrap_or_else(PoisonError::into_inner);
        let due = complained.is_none_or(|last| now.duration_since(last) >= SILENCE);
        if due {
            *complained = Some(now);
        }
        due
    }
}

impl std::fmt::Debug for Collector {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Collector({})", without_secrets(&self.url))
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.send(request);
        match &answer {
            Ok(answer) if answer.status().is_success() => {}
            Ok(answer) => self.complain(&format!("it answered {}", answer.status())),
            Err(error) => self.complain(&error.to_string()),
        }
        Ok(answer?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_go_to_their_path_below_the_endpoint() {
        for (endpoint, url) in [
            ("http://localhost:4318", "http://localhost:4318/v1/traces"),
            ("http://localhost:4318/", "http://localhost:4318/v1/traces"),
            ("https://otel.example/waymark", "https://otel.example/waymark/v1/traces"),
        ] {
            assert_eq!(Collector::new(endpoint).url, url);
        }
    }

    #[test]
    fn a_collector_that_is_away_is_mentioned_once_in_a_while() {
        let collector = Collector::new("http://localhost:4318");
        let now = Instant::now();
        assert!(collector.is_due(now));
        assert!(!collector.is_due(now + Duration::from_secs(1)));
        assert!(!collector.is_due(now + SILENCE - Duration::from_secs(1)));
        assert!(collector.is_due(now + SILENCE));
        assert!(!collector.is_due(now + SILENCE + Duration::from_secs(1)));
    }

    #[test]
    fn a_collector_does_not_show_its_credential() {
        let shown = format!("{:?}", Collector::new("https://me:hunter2@otel.example"));
        assert!(shown.contains("otel.example") && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn an_address_that_nothing_can_be_sent_to_is_refused_without_its_credential() {
        let error = provider("http://me:hunter2@[/").map(|_| ()).unwrap_err().chain();
        assert!(error.contains("WAYMARK_OTLP_ENDPOINT") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn spans_name_the_service_and_its_version() {
        let resource = resource();
        let value = |key| resource.get(&Key::new(key)).map(|value| value.to_string());
        assert_eq!(value("service.name").as_deref(), Some("waymark"));
        assert_eq!(value("service.version").as_deref(), Some(env!("CARGO_PKG_VERSION")));
    }
}
