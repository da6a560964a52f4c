//! `waymark` and `waymark serve`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpListener;

use super::{admin, check_clock, check_schema, data, open, open_or_make, open_to_serve_reads, say};
use crate::telemetry;
use waymark_auth::{Scope, api_key};
use waymark_demo as demo;
use waymark_demo::Scale;
use waymark_kernel::clock::Ids;
use waymark_kernel::config::{Config, Secret};
use waymark_kernel::error::{Error, Result};
use waymark_server as server;
use waymark_server::app::App;
use waymark_server::{Credential, Mode, Server};

/// The database of the try-it mode, in the working directory.
const DEMO_DATABASE: &str = "sqlite://waymark-demo.db";

/// How long the credentials of the try-it mode are good at the most, in seconds.
const DEMO_TTL: i64 = 86_400;

/// The API keys of the try-it mode: name, what they are, what they allow.
const DEMO_KEYS: [(&str, &str, Scope); 2] = [
    ("app", "app: an API key that reads and records everybody's progress", Scope::ProgressWrite),
    ("admin", "admin: an operator's API key that may do everything", Scope::Admin),
];

/// Runs the server that `serve` makes of `config`, with a log, and with traces if there is a collector for them.
pub(super) async fn traced<F>(config: Config, json: bool, serve: impl FnOnce(Config) -> F) -> Result<()>
where
    F: Future<Output = Result<()>>,
{
    let traces = telemetry::start(json, config.otlp_endpoint.as_deref())?;
    let outcome = serve(config).await;
    traces.finish().await;
    outcome
}

/// A server with demo data, on this machine only.
pub(super) async fn try_it(mut config: Config) -> Result<()> {
    tell_what_is_ignored(&config);
    config.database_url = Some(DEMO_DATABASE.to_owned());
    config.listen = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), config.listen.port());
    config.signed_fetch = true;
    // The try-it mode has no rate limit.
    (config.rate_per_second, config.app_rate_per_second) = (0, 0);
    let ids = Ids::system();
    // Tokens of the last run need not be good in this one.
    let secret = Secret::new(ids.bytes::<32>().iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    config.jwt_secret = Some(secret);
    let db = open_or_make(&config).await?;
    db.migrate().await?;
    say("Looking after the demo data in waymark-demo.db …");
    data::fill(&db, None, Scale::Demo, config.clock().now()).await?;
    let listener = listen(config.listen).await?;
    let app = App::new(config, db, ids).await?;
    app.keep_maintained();
    let address = listener.local_addr().map_err(Error::internal)?;
    let credentials = demo_credentials(&app, address).await?;
    say("");
    say("Ready. These credentials are good for a day or until this server stops, as \"Authorization: Bearer …\":");
    for credential in &credentials {
        say(&format!("\n  {}\n  {}", credential.title, credential.token));
    }
    say(&format!("\nOpen the playground: http://{address}/"));
    let server = Server::new(Arc::clone(&app), Mode::Try { credentials });
    server::run(listener, Arc::clone(&app), server).await?;
    revoke_demo_keys(&app, address).await
}

/// Says which settings mean something else than what they say while things are tried out.
fn tell_what_is_ignored(config: &Config) {
    let all = [
        ("WAYMARK_DATABASE_URL", config.database_url.is_some(), "the data is in waymark-demo.db"),
        ("WAYMARK_JWT_SECRET", config.jwt_secret.is_some(), "tokens are signed by a secret of this run"),
        ("WAYMARK_LISTEN", !config.listen.ip().is_loopback(), "only this machine is served"),
    ];
    for (name, is_set, instead) in all {
        if is_set {
            say(&format!("{name} is not looked at while things are tried out: {instead}. `waymark serve` goes by it."));
        }
    }
}

/// The name of a key of the server at `address`: several may try things out with one database.
fn demo_key(name: &str, address: SocketAddr) -> String {
    format!("demo-{name} {address}")
}

/// Revokes the keys of the server at `address`, also those of one before that was killed.
async fn revoke_demo_keys(app: &App, address: SocketAddr) -> Result<()> {
    for (name, ..) in DEMO_KEYS {
        api_key::revoke_named(app.db.writes(), &demo_key(name, address), app.clock.now()).await?;
    }
    Ok(())
}

/// A token for each demo person, and keys as apps have them.
async fn demo_credentials(app: &App, address: SocketAddr) -> Result<Vec<Credential>> {
    let mut credentials = Vec::new();
    for person in demo::people() {
        if let Some(token) = admin::token_for(&app.config, &app.db, person.handle, DEMO_TTL).await? {
            credentials.push(Credential {
                name: person.handle.to_owned(),
                title: format!("{}: {}", person.handle, person.about),
                token,
            });
        }
    }
    let now = app.clock.now();
    revoke_demo_keys(app, address).await?;
    for (name, title, scope) in DEMO_KEYS {
        let expires = Some(now.plus_seconds(DEMO_TTL));
        let name_in_list = demo_key(name, address);
        let (secret, _) =
            api_key::create(app.db.writes(), &app.ids, now, &name_in_list, &[scope], None, expires).await?;
        credentials.push(Credential {
            name: name.to_owned(),
            title: title.to_owned(),
            token: secret.expose().to_owned(),
        });
    }
    Ok(credentials)
}

/// The configured server.
pub(super) async fn serve(config: Config, migrate: bool, read_only: bool) -> Result<()> {
    check_clock(&config)?;
    check_authentication(&config)?;
    let db = if migrate {
        let db = open_or_make(&config).await?;
        db.migrate().await?;
        check_schema(&db).await?;
        db
    } else if read_only {
        open_to_serve_reads(&config).await?
    } else {
        open(&config).await?
    };
    let listener = listen(config.listen).await?;
    let address = listener.local_addr().map_err(Error::internal)?;
    let app: Arc<App> = App::new(config, db, Ids::system()).await?;
    app.keep_maintained();
    app.verify_now_and_then();
    let server = Server::new(Arc::clone(&app), Mode::SERVE);
    // Signals are handled before any client can reach the server.
    let told = server::signalled();
    say(&format!("Serving on http://{address}/"));
    if let Some(why) = app.db.only_reads() {
        tracing::warn!("writes are refused: {why}");
    }
    if (app.config.jwt_jwks_file.is_some() || app.config.jwt_jwks_url.is_some()) && app.config.jwt_audience.is_none() {
        tracing::warn!(
            "tokens are taken for every audience: set WAYMARK_JWT_AUDIENCE, or a token of the same issuer for another service can be used here"
        );
    }
    server::serve(listener, app, server, told).await
}

/// Refuses settings under which nobody could show who they are.
pub(super) fn check_authentication(config: &Config) -> Result<()> {
    let tokens = config.jwt_secret.is_some() || config.jwt_jwks_file.is_some() || config.jwt_jwks_url.is_some();
    if tokens || config.signed_fetch {
        return Ok(());
    }
    Err(Error::bad_input(
        "no way to authenticate users is configured; set WAYMARK_JWT_SECRET (openssl rand -hex 32), \
         WAYMARK_JWT_JWKS_FILE or WAYMARK_JWT_JWKS_URL, or take what wallets sign by WAYMARK_SIGNED_FETCH=true",
    ))
}

async fn listen(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        Error::bad_input(format!("cannot listen on {address}: {error}; choose another address by WAYMARK_LISTEN"))
    })
}
