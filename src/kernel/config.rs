//! Settings: the documented defaults, then `waymark.toml`, then the `WAYMARK_*` environment.
//!
//! The defaults are an embedded file, [`DEFAULTS`], which is the documentation of every setting. An unknown setting
//! or a value that does not fit is a [`ConfigError`] of one line that names the setting, where it stands, and what
//! would be right. Secrets redact themselves wherever settings are printed.

use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use figment::error::Kind;
use figment::providers::{Format as _, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::clock::{Clock, Timestamp};

/// Every setting with its default and its documentation, as TOML.
pub const DEFAULTS: &str = include_str!("config.default.toml");

/// The file that is read from the working directory when no other is named.
pub const FILE: &str = "waymark.toml";

const PREFIX: &str = "WAYMARK_";
const REDACTED: &str = "[redacted]";
/// What an answer may at least have, so that every refusal fits.
const LEAST_ANSWER_BYTES: usize = 1024;
const SHORTEST_JWT_SECRET: usize = 32;

/// The settings in effect. Each is documented in [`DEFAULTS`].
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The address and port to listen on.
    pub listen: SocketAddr,
    /// `sqlite://…` or `postgres://…`; may hold a password.
    #[serde(default, serialize_with = "without_password")]
    pub database_url: Option<String>,
    /// The way to PostgreSQL for the session that listens; [`Config::database_url`] when not set. May hold a password.
    #[serde(default, serialize_with = "without_password")]
    pub database_listen_url: Option<String>,
    /// Where replicas of PostgreSQL are, which loaders read from; none when not set. May hold a password.
    #[serde(default, serialize_with = "without_password")]
    pub database_read_url: Option<String>,
    /// What is between the server and PostgreSQL.
    pub database_pooler: Pooler,
    /// How many connections of readers there may be (SQLite), or of all kinds together (PostgreSQL), at least 1.
    pub database_max_connections: u32,
    /// Seconds that one statement of a request may take on PostgreSQL, 1 to 2,147,483.
    pub database_statement_seconds: u32,
    /// Seconds without an answer after which PostgreSQL counts as away, 1 to 3,600.
    pub database_silence_seconds: u32,
    /// The secret of HS256 tokens, at least 32 bytes.
    #[serde(default)]
    pub jwt_secret: Option<Secret>,
    /// A file with a JSON Web Key Set. Never together with [`Config::jwt_jwks_url`].
    #[serde(default)]
    pub jwt_jwks_file: Option<PathBuf>,
    /// The `http://` or `https://` address of a JSON Web Key Set; may hold a password.
    #[serde(default, serialize_with = "without_user")]
    pub jwt_jwks_url: Option<String>,
    /// The only accepted `iss` of tokens; any when not set.
    #[serde(default)]
    pub jwt_issuer: Option<String>,
    /// The `aud` that tokens must name; any when not set.
    #[serde(default)]
    pub jwt_audience: Option<String>,
    /// Days for which a token may be good from now on, at least 1; one that is good for longer is refused.
    pub jwt_max_days: u32,
    /// Whether requests that wallets sign are taken.
    pub signed_fetch: bool,
    /// Seconds by which the timestamp of a signed request may differ from the server's time, at least 1.
    pub signed_fetch_window: u32,
    /// What a reverse proxy takes off the front of paths; signed requests have it in the path that they sign.
    #[serde(default)]
    pub path_prefix: Option<String>,
    /// Another clock than the system's, for trying things out.
    #[serde(default, deserialize_with = "clock_from_text", serialize_with = "clock_to_text")]
    pub clock: Option<Clock>,
    /// Origins whose pages may call the API from a browser; `*` stands for all.
    pub cors_origins: Vec<String>,
    /// Further request headers that such pages may send.
    pub cors_headers: Vec<String>,
    /// Further headers of answers that such pages may read.
    pub cors_exposed_headers: Vec<String>,
    /// For how many seconds browsers may remember what such pages may do; 0: they ask before each request.
    pub cors_max_age_seconds: u32,
    /// Origins whose pictures the pages show; `*` stands for all.
    pub image_origins: Vec<String>,
    /// Whether GraphQL introspection is answered.
    pub introspection: bool,
    /// Whether queries are kept under their hashes (automatic persisted queries).
    pub apq: bool,
    /// Whether progress is kept only for resources of the catalogue.
    pub strict_resources: bool,
    /// Minutes from one pass of `verify` in the background to the next; 0: none.
    pub verify_interval_minutes: u32,
    /// Who may read `/metrics`.
    pub metrics: Figures,
    /// Milliseconds after which a GraphQL operation is logged as slow; 0: never.
    pub slow_operation_ms: u64,
    /// The `http://` or `https://` address of a collector of traces (OTLP over HTTP), without its `/v1/traces`; may
    /// hold a password. No traces when not set.
    #[serde(default, serialize_with = "without_user")]
    pub otlp_endpoint: Option<String>,
    /// Seconds in which running requests have to end when the server stops, at least 1.
    pub shutdown_seconds: u64,
    /// A file of the only documents that clients may run; any when not set.
    #[serde(default)]
    pub trusted_documents: Option<PathBuf>,
    /// What a user, or an address without a credential, may ask for per second, in units of cost; 0: any amount.
    pub rate_per_second: u32,
    /// The same for an API key.
    pub app_rate_per_second: u32,
    /// What a wallet's first write costs its address beside the rest, because it makes a user; 0: nothing.
    pub new_wallet_cost: u32,
    /// The seconds of the rate that can be asked for at once, at least 1.
    pub rate_burst_seconds: u32,
    /// Reverse proxies between the clients and the server, each of which adds to `X-Forwarded-For`.
    pub proxies: u32,
    /// What one request may ask.
    pub limits: Limits,
}

/// What is between a server and PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooler {
    /// Nothing.
    None,
    /// A pooler that gives a session away with every transaction.
    Transaction,
}

/// Who may read `/metrics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Figures {
    /// Every client that can reach the server.
    Open,
    /// An API key with the scope `admin`.
    Admin,
    /// No client.
    Off,
}

/// What one request may ask, and all of them together. Each is at least 1 where nothing else is said.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Levels of nesting in a GraphQL document.
    pub max_depth: u32,
    /// Aliases in a GraphQL document.
    pub max_aliases: u32,
    /// What an operation may cost.
    pub max_cost: u32,
    /// Entries in one page of a list.
    pub max_page_size: u32,
    /// Ids in one look-up of many.
    pub max_ids: u32,
    /// Ids in one look-up of many learning resources.
    pub max_resource_ids: u32,
    /// Items in one write of many.
    pub max_bulk_items: u32,
    /// Days that what is recorded may lie back.
    pub max_backdate_days: u32,
    /// Bytes in the body of a request.
    pub max_body_bytes: usize,
    /// Bytes in an answer.
    pub max_answer_bytes: usize,
    /// Seconds after which an unanswered request is given up.
    pub request_timeout_seconds: u64,
    /// Requests that are worked on at a time.
    pub max_concurrent_requests: usize,
    /// Requests that may wait for their turn; may be 0.
    pub max_queued_requests: usize,
    /// Parsed GraphQL documents that are kept.
    pub document_cache: u64,
    /// Connections at a time; 0: as many as the limit of open files leaves room for.
    pub max_connections: usize,
    /// Connections at a time from one address; 0: three quarters of all.
    pub max_connections_per_address: usize,
    /// Seconds in which the head of a request must have come.
    pub header_timeout_seconds: u64,
    /// Seconds after which a connection is closed on which nothing more is asked.
    pub idle_timeout_seconds: u64,
    /// WebSockets and streams of events at a time.
    pub max_streams: u32,
    /// The same of one user, or of one address without a credential.
    pub max_streams_per_caller: u32,
    /// Operations at a time on one WebSocket.
    pub max_socket_operations: u32,
    /// Seconds in which a new WebSocket must introduce itself.
    pub socket_init_seconds: u64,
    /// Seconds from one sign of life to the next on a silent connection.
    pub keep_alive_seconds: u64,
    /// Seconds after which a connection is given up that takes nothing of what is sent.
    pub slow_reader_seconds: u64,
}

impl Config {
    /// Reads the settings of this process: the defaults, then `file` (or [`FILE`] in the working directory, where
    /// there is one), then the environment.
    ///
    /// # Errors
    /// When `file` cannot be read, a setting is unknown, or a value does not fit.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let path = file.unwrap_or_else(|| Path::new(FILE));
        let text = match fs::read_to_string(path) {
            Ok(text) => Some(text),
            Err(error) if file.is_none() && error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(ConfigError(format!("cannot read {}: {error}", path.display()))),
        };
        let mut environment = Vec::new();
        for (name, value) in std::env::vars_os() {
            let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
            // Kubernetes tells every container of a service named "waymark" by variables of these names.
            if name.starts_with("WAYMARK_SERVICE_") || name.starts_with("WAYMARK_PORT") {
                continue;
            }
            let value = value.into_string().map_err(|_| ConfigError(format!("{name} is not UTF-8 text")))?;
            environment.push((name.to_owned(), value));
        }
        let path = path.display().to_string();
        Self::from_sources(text.as_deref().map(|text| (path.as_str(), text)), environment)
    }

    /// Puts the settings together from the defaults, the path and text of a TOML file, and the variables of an
    /// environment. Variables that do not begin with `WAYMARK_`, and empty ones, are ignored.
    ///
    /// # Errors
    /// When a setting is unknown or a value does not fit.
    pub fn from_sources(
        file: Option<(&str, &str)>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut sources = Figment::from(Layer::from_toml("the defaults", DEFAULTS)?);
        let variables = Layer::from_environment(&sources, environment)?;
        if let Some((path, text)) = file {
            sources = sources.merge(Layer::from_toml(path, text)?);
        }
        let sources = sources.merge(variables);
        let config: Self = sources.extract().map_err(|error| misfit(&sources, &error))?;
        config.validate(&sources)?;
        Ok(config)
    }

    /// The clock to tell the time by: the system's, unless [`Config::clock`] is set.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.clock.unwrap_or_default()
    }

    /// The settings in effect as TOML: secrets redacted, settings without a value as comments.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        let mut sections = String::new();
        if let Ok(serde_json::Value::Object(settings)) = serde_json::to_value(self) {
            for (key, value) in settings {
                match value {
                    serde_json::Value::Null => text.push_str(&format!("# {key} is not set\n")),
                    serde_json::Value::Object(section) => {
                        sections.push_str(&format!("\n[{key}]\n"));
                        for (key, value) in section {
                            sections.push_str(&format!("{key} = {value}\n"));
                        }
                    }
                    // JSON's numbers, booleans, strings and lists of strings are TOML's too.
                    value => text.push_str(&format!("{key} = {value}\n")),
                }
            }
        }
        text + &sections
    }

    fn validate(&self, sources: &Figment) -> Result<(), ConfigError> {
        let limits = &self.limits;
        let checks = [
            ("database_url", self.database_url.as_deref().is_none_or(is_database_url)),
            ("database_listen_url", self.database_listen_url.as_deref().is_none_or(is_postgres_url)),
            ("database_read_url", self.database_read_url.as_deref().is_none_or(is_postgres_url)),
            ("database_max_connections", self.database_max_connections > 0),
            // PostgreSQL takes as many milliseconds as fit into 31 bits.
            ("database_statement_seconds", (1..=2_147_483).contains(&self.database_statement_seconds)),
            ("database_silence_seconds", (1..=3600).contains(&self.database_silence_seconds)),
            ("jwt_secret", self.jwt_secret.as_ref().is_none_or(|it| it.expose().len() >= SHORTEST_JWT_SECRET)),
            ("jwt_jwks_url", self.jwt_jwks_url.as_deref().is_none_or(is_web_address)),
            ("jwt_max_days", self.jwt_max_days > 0),
            ("signed_fetch_window", self.signed_fetch_window > 0),
            ("path_prefix", self.path_prefix.as_deref().is_none_or(is_path_prefix)),
            ("otlp_endpoint", self.otlp_endpoint.as_deref().is_none_or(is_collector)),
            ("shutdown_seconds", self.shutdown_seconds > 0),
            ("cors_origins", self.cors_origins.iter().all(|origin| is_origin(origin))),
            ("image_origins", self.image_origins.iter().all(|origin| is_origin(origin))),
            ("cors_headers", self.cors_headers.iter().all(|name| is_header(name))),
            ("cors_exposed_headers", self.cors_exposed_headers.iter().all(|name| is_header(name))),
            ("cors_max_age_seconds", self.cors_max_age_seconds <= 86_400),
            ("rate_burst_seconds", self.rate_burst_seconds > 0),
            ("limits.max_cost", limits.max_cost > 0),
            ("limits.max_depth", limits.max_depth > 0),
            ("limits.max_aliases", limits.max_aliases > 0),
            ("limits.max_page_size", limits.max_page_size > 0),
            ("limits.max_bulk_items", limits.max_bulk_items > 0),
            ("limits.max_backdate_days", limits.max_backdate_days > 0),
            ("limits.max_ids", limits.max_ids > 0),
            ("limits.max_resource_ids", limits.max_resource_ids > 0),
            ("limits.max_body_bytes", limits.max_body_bytes > 0),
            ("limits.max_answer_bytes", limits.max_answer_bytes >= LEAST_ANSWER_BYTES),
            ("limits.request_timeout_seconds", limits.request_timeout_seconds > 0),
            ("limits.max_concurrent_requests", limits.max_concurrent_requests > 0),
            ("limits.document_cache", limits.document_cache > 0),
            ("limits.header_timeout_seconds", limits.header_timeout_seconds > 0),
            ("limits.idle_timeout_seconds", limits.idle_timeout_seconds > 0),
            ("limits.max_streams", limits.max_streams > 0),
            ("limits.max_streams_per_caller", limits.max_streams_per_caller > 0),
            ("limits.max_socket_operations", limits.max_socket_operations > 0),
            ("limits.socket_init_seconds", limits.socket_init_seconds > 0),
            ("limits.keep_alive_seconds", limits.keep_alive_seconds > 0),
            ("limits.slow_reader_seconds", limits.slow_reader_seconds > 0),
        ];
        if let Some((path, _)) = checks.into_iter().find(|(_, fits)| !fits) {
            return Err(wrong_value(sources, path));
        }
        if self.jwt_jwks_file.is_some() && self.jwt_jwks_url.is_some() {
            return Err(ConfigError("set either jwt_jwks_file or jwt_jwks_url, not both".to_owned()));
        }
        Ok(())
    }
}

/// As [`Config::to_toml`]: no secret, no password.
impl fmt::Debug for Config {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.to_toml())
    }
}

/// A text that must not be printed: `Debug`, `Display` and `Serialize` give `[redacted]`.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Guards `text`.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text itself. The caller is responsible for where it goes.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(REDACTED)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(REDACTED)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}

/// The settings cannot be used. Displays as one line that says which, where it stands, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(String);

impl fmt::Display for ConfigError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

/// One source of settings, with the name that messages call it by.
struct Layer {
    name: String,
    settings: Map<Profile, Dict>,
}

impl Layer {
    fn from_toml(name: &str, text: &str) -> Result<Self, ConfigError> {
        let settings =
            Toml::string(text).data().map_err(|error| ConfigError(format!("{name}: {}", syntax_error(&error))))?;
        Ok(Self { name: name.to_owned(), settings })
    }

    /// Types each variable as its default: numbers and booleans are parsed, lists split at commas, and a variable
    /// without a default is text, so that a secret of digits is not mistaken for a number.
    fn from_environment(
        defaults: &Figment,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut settings = Dict::new();
        let mut limits = Dict::new();
        for (name, text) in environment {
            let Some(key) = name.strip_prefix(PREFIX) else { continue };
            if text.is_empty() {
                continue;
            }
            let key = key.to_ascii_lowercase();
            let limit = defaults.find_value(&format!("limits.{key}")).ok();
            let target = if limit.is_some() { &mut limits } else { &mut settings };
            let value = match limit.or_else(|| defaults.find_value(&key).ok()) {
                Some(Value::Num(..) | Value::Bool(..)) => number_or_boolean(text),
                Some(Value::Array(..)) => Value::from(text.split(',').map(str::trim).collect::<Vec<_>>()),
                Some(Value::Dict(..)) => return Err(unknown(&name, "the environment")),
                _ => Value::from(text),
            };
            target.insert(key, value);
        }
        if !limits.is_empty() {
            settings.insert("limits".to_owned(), Value::from(limits));
        }
        Ok(Self { name: "the environment".to_owned(), settings: Profile::Default.collect(settings) })
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(self.settings.clone())
    }
}

fn number_or_boolean(text: String) -> Value {
    let trimmed = text.trim();
    match (trimmed.parse::<i64>(), trimmed.parse::<bool>()) {
        (Ok(number), _) => Value::from(number),
        (_, Ok(boolean)) => Value::from(boolean),
        _ => Value::from(text),
    }
}

/// The place and the reason of a TOML syntax error in one line, without the offending line: it may hold a secret.
fn syntax_error(error: &figment::Error) -> String {
    let text = error.kind.to_string();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.contains('|'));
    lines.collect::<Vec<_>>().join(", ")
}

fn misfit(sources: &Figment, error: &figment::Error) -> ConfigError {
    match &error.kind {
        Kind::UnknownField(key, _) => {
            let source = error.metadata.as_ref().map_or("the settings", |metadata| &metadata.name);
            unknown(&spelling(key, source), source)
        }
        _ => {
            // The position within a list is no part of the setting's name.
            let names = error.path.iter().take_while(|step| step.parse::<usize>().is_err());
            wrong_value(sources, &names.map(String::as_str).collect::<Vec<_>>().join("."))
        }
    }
}

fn unknown(name: &str, source: &str) -> ConfigError {
    ConfigError(format!("{name} in {source}: there is no such setting (`waymark config --default` lists them all)"))
}

/// Says which value at `path` does not fit, without echoing what may be secret.
fn wrong_value(sources: &Figment, path: &str) -> ConfigError {
    let source = sources.find_metadata(path).map_or("the settings", |metadata| &metadata.name);
    let key = path.rsplit('.').next().unwrap_or(path);
    let mut text = format!("{} in {source}: must be {}", spelling(key, source), expected(key));
    if !matches!(key, "jwt_secret" | "database_url" | "database_listen_url" | "database_read_url")
        && let Ok(value) = sources.find_value(path)
    {
        let value = match value {
            Value::String(tag, text) if matches!(key, "jwt_jwks_url" | "otlp_endpoint") => {
                Value::String(tag, without_secrets(&text))
            }
            value => value,
        };
        if let Ok(found) = serde_json::to_string(&value) {
            text.push_str(&format!(", not {found}"));
        }
    }
    ConfigError(text)
}

/// How `key` is spelled in `source`.
fn spelling(key: &str, source: &str) -> String {
    if source == "the environment" { format!("{PREFIX}{}", key.to_ascii_uppercase()) } else { key.to_owned() }
}

fn expected(key: &str) -> &'static str {
    match key {
        "listen" => "an IP address and a port such as 127.0.0.1:8080",
        "database_url" => "a URL that begins with sqlite:// or postgres://",
        "database_listen_url" | "database_read_url" => "a URL that begins with postgres://",
        "database_pooler" => "none or transaction",
        "jwt_secret" => "a text of at least 32 bytes (make one with `openssl rand -hex 32`)",
        "jwt_jwks_file" | "trusted_documents" => "the path of a file",
        "jwt_jwks_url" => "a URL that begins with https:// or http://",
        "otlp_endpoint" => {
            "a URL that begins with https:// or http:// and has no parameters, such as http://localhost:4318"
        }
        "jwt_issuer" | "jwt_audience" => "a text",
        "clock" => "an instant such as 2026-03-15T14:30:00Z or an offset such as +36h or -10m",
        "cors_origins" | "image_origins" => "a list of origins such as https://example.org (without a path), or *",
        "cors_headers" | "cors_exposed_headers" => "a list of names of headers, such as X-Team",
        "path_prefix" => "a path that begins and does not end with a slash, such as /waymark",
        "introspection" | "apq" | "strict_resources" => "true or false",
        "metrics" => "open, admin or off",
        "verify_interval_minutes"
        | "rate_per_second"
        | "app_rate_per_second"
        | "proxies"
        | "slow_operation_ms"
        | "max_queued_requests"
        | "max_connections"
        | "max_connections_per_address" => "a whole number of at least 0",
        "max_answer_bytes" => "a whole number of at least 1024",
        "database_statement_seconds" => "a whole number from 1 to 2147483",
        "cors_max_age_seconds" => "a whole number from 0 to 86400",
        "database_silence_seconds" => "a whole number from 1 to 3600",
        "limits" => "a section of limits",
        _ => "a whole number of at least 1",
    }
}

fn is_postgres_url(url: &str) -> bool {
    ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme))
}

fn is_database_url(url: &str) -> bool {
    ["sqlite://", "postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme))
}

fn web_host(url: &str) -> Option<&str> {
    url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))
}

fn is_web_address(url: &str) -> bool {
    web_host(url).is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
}

/// Whether a path can be put behind `url`.
fn is_collector(url: &str) -> bool {
    is_web_address(url) && url.chars().all(|it| it.is_ascii_graphic() && !"?#".contains(it))
}

fn is_path_prefix(path: &str) -> bool {
    path.starts_with('/') && !path.ends_with('/') && path.chars().all(|it| it.is_ascii_graphic() && !"?#:".contains(it))
}

/// Whether this is the name of a header: a token, as HTTP calls it.
fn is_header(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(fits)
}

/// Whether this is an origin, or `*`. It can stand in a header as it is: its host has no sign that ends a value there.
fn is_origin(text: &str) -> bool {
    let fits = |it: char| it.is_ascii_alphanumeric() || "-._:[]".contains(it);
    let is_host = |host: &str| !host.is_empty() && host.chars().all(fits);
    text == "*" || web_host(text).is_some_and(is_host)
}

fn clock_from_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Clock>, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_clock(&text).map(Some).ok_or_else(|| serde::de::Error::custom(expected("clock")))
}

fn clock_to_text<S: Serializer>(clock: &Option<Clock>, serializer: S) -> Result<S::Ok, S::Error> {
    match clock {
        None | Some(Clock::System) => serializer.serialize_none(),
        Some(Clock::Offset(millis)) => serializer.serialize_str(&format!("{:+}s", millis / 1000)),
        Some(Clock::Fixed(instant)) => serializer.collect_str(instant),
    }
}

/// An RFC 3339 instant, or a sign, a whole number and one of `s m h d`.
fn parse_clock(text: &str) -> Option<Clock> {
    if !text.starts_with(['+', '-']) {
        return Timestamp::parse(text).ok().map(Clock::Fixed);
    }
    let (number, unit) = text.split_at_checked(text.len() - 1)?;
    let unit_millis = match unit {
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.parse::<i64>().ok()?.checked_mul(unit_millis).map(Clock::Offset)
}

fn without_password<S: Serializer>(url: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    url.as_deref().map(redact_password).serialize(serializer)
}

fn without_user<S: Serializer>(url: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    url.as_deref().map(without_secrets).serialize(serializer)
}

/// A web address as it may be shown: `[redacted]` for all that stands before the host, which may be a token, and for
/// the parameters, since there is no telling which of them is a key.
pub fn without_secrets(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return REDACTED.to_owned() };
    // Up to the last `@`, so that a password with unescaped signs in it does not show in part.
    let (user, rest) = rest.rsplit_once('@').map_or((String::new(), rest), |(_, rest)| (format!("{REDACTED}@"), rest));
    let (place, has_parameters) = rest.split_once('?').map_or((rest, false), |(place, _)| (place, true));
    let parameters = if has_parameters { format!("?{REDACTED}") } else { String::new() };
    format!("{scheme}://{user}{place}{parameters}")
}

/// Puts `[redacted]` for a password before the host and for a `password=` parameter. Everything up to the last `@`
/// counts as user information, so that a password with unescaped signs in it does not show in part.
fn redact_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return REDACTED.to_owned() };
    let (user, rest) = rest.rsplit_once('@').map_or((None, rest), |(user, rest)| (Some(user), rest));
    let mut text = format!("{scheme}://");
    if let Some(user) = user {
        match user.split_once(':') {
            Some((name, _)) => text.push_str(&format!("{name}:{REDACTED}@")),
            None => text.push_str(&format!("{user}@")),
        }
    }
    let (place, parameters) = rest.split_once('?').map_or((rest, None), |(place, after)| (place, Some(after)));
    text.push_str(place);
    for (index, parameter) in parameters.into_iter().flat_map(|it| it.split('&')).enumerate() {
        text.push(if index == 0 { '?' } else { '&' });
        match parameter.split_once('=') {
            Some((name, _)) if name.to_ascii_lowercase().contains("pass") => {
                text.push_str(&format!("{name}={REDACTED}"));
            }
            _ => text.push_str(parameter),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "1234567890123456789012345678901234567890";

    fn from_environment(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        from_file_and_environment(None, variables)
    }

    fn from_file(text: &str) -> Result<Config, ConfigError> {
        from_file_and_environment(Some(text), &[])
    }

    fn from_file_and_environment(file: Option<&str>, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::from_sources(file.map(|text| (FILE, text)), variables)
    }

    #[track_caller]
    fn assert_refused(result: Result<Config, ConfigError>, message: &str) {
        assert_eq!(result.map(|_| ()).unwrap_err().to_string(), message);
    }

    #[test]
    fn the_embedded_defaults_are_complete_and_valid() {
        let config = from_environment(&[]).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(config.database_url, None);
        assert_eq!((config.database_max_connections, config.database_statement_seconds), (10, 10));
        assert!(config.introspection);
        assert_eq!(config.limits.max_body_bytes, 1 << 20);
        assert_eq!(config.limits.max_answer_bytes, 1 << 23);
        assert_eq!(config.clock(), Clock::System);
    }

    #[test]
    fn every_setting_is_documented_with_its_variable() {
        let Ok(serde_json::Value::Object(mut settings)) = serde_json::to_value(from_environment(&[]).unwrap()) else {
            panic!("settings are an object");
        };
        let Some(serde_json::Value::Object(limits)) = settings.remove("limits") else { panic!("limits are an object") };
        for key in settings.keys().chain(limits.keys()) {
            assert!(DEFAULTS.contains(&format!("\n{key} = ")) || DEFAULTS.contains(&format!("\n# {key} = ")), "{key}");
            assert!(DEFAULTS.contains(&format!("{PREFIX}{}\n", key.to_ascii_uppercase())), "{key}");
        }
    }

    #[test]
    fn the_file_overrides_the_defaults_and_the_environment_overrides_the_file() {
        let file =
            "listen = \"0.0.0.0:80\"\ncors_origins = [\"https://a.example\"]\n[limits]\nmax_depth = 7\nmax_ids = 8";
        let config =
            from_file_and_environment(Some(file), &[("WAYMARK_MAX_DEPTH", "9"), ("WAYMARK_INTROSPECTION", "false")])
                .unwrap();
        assert_eq!(config.listen.to_string(), "0.0.0.0:80");
        assert_eq!(config.cors_origins, ["https://a.example"]);
        assert_eq!((config.limits.max_depth, config.limits.max_ids, config.limits.max_page_size), (9, 8, 100));
        assert!(!config.introspection);
    }

    #[test]
    fn a_list_in_the_environment_is_separated_by_commas() {
        let config = from_environment(&[("WAYMARK_CORS_ORIGINS", "https://a.example, http://localhost:3000")]).unwrap();
        assert_eq!(config.cors_origins, ["https://a.example", "http://localhost:3000"]);
    }

    #[test]
    fn text_in_the_environment_stays_text_even_when_it_looks_like_a_number() {
        let config = from_environment(&[("WAYMARK_JWT_SECRET", SECRET), ("WAYMARK_JWT_ISSUER", "true")]).unwrap();
        assert_eq!(config.jwt_secret.unwrap().expose(), SECRET);
        assert_eq!(config.jwt_issuer.as_deref(), Some("true"));
    }

    #[test]
    fn an_empty_variable_counts_as_not_set() {
        let config =
            from_environment(&[("WAYMARK_JWT_SECRET", ""), ("WAYMARK_NO_SUCH", ""), ("PATH", "/bin")]).unwrap();
        assert!(config.jwt_secret.is_none());
    }

    #[test]
    fn an_unknown_setting_is_refused_wherever_it_stands() {
        let hint = "there is no such setting (`waymark config --default` lists them all)";
        assert_refused(from_file("listn = 1"), &format!("listn in waymark.toml: {hint}"));
        assert_refused(from_file("[limits]\nmax_deph = 1"), &format!("max_deph in waymark.toml: {hint}"));
        for name in ["WAYMARK_LISTN", "WAYMARK_LIMITS", "WAYMARK_LIMITS.MAX_DEPTH"] {
            assert_refused(from_environment(&[(name, "1")]), &format!("{name} in the environment: {hint}"));
        }
    }

    #[test]
    fn a_value_of_the_wrong_type_is_refused_with_what_would_be_right() {
        assert_refused(
            from_environment(&[("WAYMARK_MAX_DEPTH", "deep")]),
            "WAYMARK_MAX_DEPTH in the environment: must be a whole number of at least 1, not \"deep\"",
        );
        assert_refused(
            from_file("[limits]\nmax_ids = -3"),
            "max_ids in waymark.toml: must be a whole number of at least 1, not -3",
        );
        assert_refused(
            from_file("listen = \"localhost\""),
            "listen in waymark.toml: must be an IP address and a port such as 127.0.0.1:8080, not \"localhost\"",
        );
        assert_refused(
            from_environment(&[("WAYMARK_INTROSPECTION", "no")]),
            "WAYMARK_INTROSPECTION in the environment: must be true or false, not \"no\"",
        );
        assert_refused(from_file("limits = 3"), "limits in waymark.toml: must be a section of limits, not 3");
        assert_refused(
            from_file("cors_origins = [\"https://a.example\", 3]"),
            "cors_origins in waymark.toml: must be a list of origins such as https://example.org (without a path), \
             or *, not [\"https://a.example\",3]",
        );
    }

    #[test]
    fn a_value_out_of_range_is_refused_with_what_would_be_right() {
        for (name, most) in [("STATEMENT", "2147483"), ("SILENCE", "3600")] {
            let name = format!("WAYMARK_DATABASE_{name}_SECONDS");
            assert!(from_environment(&[(&name, most)]).is_ok(), "{name}");
            for value in ["0", "2147484", "4294967295"] {
                assert_refused(
                    from_environment(&[(&name, value)]),
                    &format!("{name} in the environment: must be a whole number from 1 to {most}, not {value}"),
                );
            }
        }
        assert_refused(
            from_environment(&[("WAYMARK_MAX_ANSWER_BYTES", "1023")]),
            "WAYMARK_MAX_ANSWER_BYTES in the environment: must be a whole number of at least 1024, not 1023",
        );
        assert_refused(
            from_environment(&[("WAYMARK_DATABASE_MAX_CONNECTIONS", "0")]),
            "WAYMARK_DATABASE_MAX_CONNECTIONS in the environment: must be a whole number of at least 1, not 0",
        );
        assert_refused(
            from_environment(&[("WAYMARK_JWT_JWKS_URL", "ftp://x")]),
            "WAYMARK_JWT_JWKS_URL in the environment: must be a URL that begins with https:// or http://, not \"ftp://x\"",
        );
        for name in ["WAYMARK_CORS_ORIGINS", "WAYMARK_IMAGE_ORIGINS"] {
            for origin in
                ["https://a.example/", "ftp://a.example", "https://a.example;x", "https://a b", "https://'self'"]
            {
                assert!(from_environment(&[(name, origin)]).is_err(), "{name} {origin}");
            }
            for origin in ["*", "https://a.example", "http://[::1]:8080", "http://localhost:3000, https://b_c.example"]
            {
                assert!(from_environment(&[(name, origin)]).is_ok(), "{name} {origin}");
            }
        }
        assert_refused(
            from_environment(&[("WAYMARK_JWT_JWKS_URL", "https://x"), ("WAYMARK_JWT_JWKS_FILE", "x")]),
            "set either jwt_jwks_file or jwt_jwks_url, not both",
        );
    }

    #[test]
    fn places_are_numbers_and_0_leaves_connections_to_the_server() {
        for name in ["MAX_CONNECTIONS", "MAX_CONNECTIONS_PER_ADDRESS"] {
            let name = format!("{PREFIX}{name}");
            assert!(from_environment(&[(&name, "0")]).is_ok() && from_environment(&[(&name, "500")]).is_ok());
            assert_refused(
                from_environment(&[(&name, "-1")]),
                &format!("{name} in the environment: must be a whole number of at least 0, not -1"),
            );
        }
        for name in ["MAX_STREAMS_PER_CALLER", "HEADER_TIMEOUT_SECONDS", "IDLE_TIMEOUT_SECONDS", "JWT_MAX_DAYS"] {
            let name = format!("{PREFIX}{name}");
            assert!(from_environment(&[(&name, "1")]).is_ok());
            assert_refused(
                from_environment(&[(&name, "0")]),
                &format!("{name} in the environment: must be a whole number of at least 1, not 0"),
            );
        }
    }

    #[test]
    fn a_collector_is_a_web_address_without_parameters() {
        let collector = |url| from_environment(&[("WAYMARK_OTLP_ENDPOINT", url)]);
        assert_eq!(from_environment(&[]).unwrap().otlp_endpoint, None);
        for url in ["http://localhost:4318", "https://otel.example/waymark/"] {
            assert_eq!(collector(url).unwrap().otlp_endpoint.as_deref(), Some(url));
        }
        let right = "a URL that begins with https:// or http:// and has no parameters, such as http://localhost:4318";
        for url in ["localhost:4318", "grpc://localhost:4317", "http://", "http://a b", "http://h/#x"] {
            let message = format!("WAYMARK_OTLP_ENDPOINT in the environment: must be {right}, not ");
            let refused = collector(url).map(|_| ()).unwrap_err().to_string();
            assert!(refused.starts_with(&message), "{refused}");
        }
        let refused = collector("http://me:hunter2@h/?key=hunter2").map(|_| ()).unwrap_err().to_string();
        assert!(!refused.contains("hunter2"), "{refused}");
        let printed = collector("https://me:hunter2@otel.example").unwrap().to_toml();
        assert!(printed.contains("otlp_endpoint = \"https://[redacted]@otel.example\""), "{printed}");
    }

    #[test]
    fn a_refused_secret_or_database_url_is_not_echoed() {
        assert_refused(
            from_environment(&[("WAYMARK_JWT_SECRET", "hunter2")]),
            "WAYMARK_JWT_SECRET in the environment: must be a text of at least 32 bytes \
             (make one with `openssl rand -hex 32`)",
        );
        assert_refused(
            from_file("jwt_secret = 12345"),
            "jwt_secret in waymark.toml: must be a text of at least 32 bytes (make one with `openssl rand -hex 32`)",
        );
        assert_refused(
            from_environment(&[("WAYMARK_DATABASE_URL", "mysql://root:hunter2@db")]),
            "WAYMARK_DATABASE_URL in the environment: must be a URL that begins with sqlite:// or postgres://",
        );
    }

    #[test]
    fn a_syntax_error_names_the_line_without_quoting_it() {
        let message = from_file("listen = \"127.0.0.1:1\"\njwt_secret = hunter2\n").unwrap_err().to_string();
        assert!(message.starts_with("waymark.toml: TOML parse error at line 2, column 14, "), "{message}");
        assert!(!message.contains("hunter2") && !message.contains('\n'), "{message}");
    }

    #[test]
    fn the_printed_settings_hold_no_secret() {
        let url = "postgres://me:hunter2@db.example/waymark?sslmode=require&password=hunter2";
        let config = from_environment(&[("WAYMARK_JWT_SECRET", SECRET), ("WAYMARK_DATABASE_URL", url)]).unwrap();
        for text in [config.to_toml(), format!("{config:?}"), format!("{:?}", config.jwt_secret)] {
            assert!(!text.contains("hunter2") && !text.contains(SECRET) && text.contains(REDACTED), "{text}");
        }
        let line = "database_url = \"postgres://me:[redacted]@db.example/waymark?sslmode=require&password=[redacted]\"";
        assert!(config.to_toml().contains(line));

        let config =
            from_environment(&[("WAYMARK_JWT_JWKS_URL", "https://me:hunter2@keys.example/jwks.json?key=hunter2")]);
        let printed = config.unwrap().to_toml();
        assert!(!printed.contains("hunter2"), "{printed}");
        assert!(
            printed.contains("jwt_jwks_url = \"https://[redacted]@keys.example/jwks.json?[redacted]\""),
            "{printed}"
        );
        assert_refused(
            from_environment(&[("WAYMARK_JWT_JWKS_URL", "htp://hunter2@keys.example")]),
            "WAYMARK_JWT_JWKS_URL in the environment: must be a URL that begins with https:// or http://, \
             not \"htp://[redacted]@keys.example\"",
        );
        for url in ["https://a/b:hunter2@x@h/", "https://h/?hunter2", "hunter2"] {
            assert!(!without_secrets(url).contains("hunter2"), "{url}");
        }
    }

    #[test]
    fn a_password_with_unescaped_signs_does_not_show_in_part() {
        for url in ["postgres://me:hunter2/a@b?c#d@db/waymark", "postgresql://me:hunter2@:hunter2@db/waymark"] {
            assert!(!redact_password(url).contains("hunter2"), "{}", redact_password(url));
        }
        assert_eq!(redact_password("sqlite://data/waymark.db?mode=rwc"), "sqlite://data/waymark.db?mode=rwc");
    }

    #[test]
    fn the_printed_settings_can_be_read_back() {
        let printed = from_file("clock = \"-10m\"\njwt_issuer = \"a \\\"quoted\\\" one\"\n").unwrap().to_toml();
        assert_eq!(from_file(&printed).unwrap().to_toml(), printed);
    }

    #[test]
    fn a_clock_is_an_instant_or_an_offset() {
        let clock = |text| from_environment(&[("WAYMARK_CLOCK", text)]).map(|config| config.clock());
        let instant = Timestamp::parse("2026-03-15T14:30:00Z").unwrap();
        assert_eq!(clock("2026-03-15T14:30:00Z"), Ok(Clock::Fixed(instant)));
        assert_eq!(clock("+36h"), Ok(Clock::Offset(36 * 3_600_000)));
        assert_eq!(clock("-10m"), Ok(Clock::Offset(-600_000)));
        for text in ["36h", "+h", "+", "-", "+1.5h", "+9223372036854775807d", "++1h", "+1é", "tomorrow"] {
            let message = clock(text).unwrap_err().to_string();
            assert!(message.starts_with("WAYMARK_CLOCK in the environment: must be an instant such as"), "{message}");
        }
    }
}
