//! What a test plays on: an app over a database, and the people who use it.

use std::sync::Arc;

use jsonwebtoken::{EncodingKey, Header};
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ConnectionTrait as _, EntityTrait as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use waymark::app::App;
use waymark::auth::{Scope, entity::api_key};
use waymark::clock::{Ids, Timestamp};
use waymark::config::Config;
use waymark::db::Db;
use waymark::server::{Mode, Server};

use super::{Actor, through_a_pooler};

/// What the clock of every test shows.
pub(crate) const NOW: &str = "2026-06-17T12:00:00Z";

const SECRET: &str = "a secret of the tests, long enough for HS256";

pub(super) fn now() -> Timestamp {
    Timestamp::parse(NOW).expect("it is an instant")
}

/// A token for `subject` with further claims; without `exp` among them it is good for an hour.
pub(crate) fn token(subject: &str, claims: Value) -> String {
    let mut all = json!({ "sub": subject, "exp": now().millis() / 1000 + 3600 });
    for (name, value) in claims.as_object().into_iter().flatten() {
        all[name] = value.clone();
    }
    jsonwebtoken::encode(&Header::default(), &all, &EncodingKey::from_secret(SECRET.as_bytes())).expect("it is signed")
}

/// A running app over a database.
pub(crate) struct Stage {
    pub(crate) app: Arc<App>,
    pub(crate) server: Server,
    pub(crate) url: String,
}

impl Stage {
    pub(super) async fn open(url: String) -> Self {
        Self::with_settings(url, &[]).await
    }

    /// Another database than the one of the test.
    pub(crate) async fn at(url: String) -> Self {
        Self::open(url).await
    }

    /// The same database under other settings, `WAYMARK_…` and its value each.
    pub(crate) async fn with(&self, settings: &[(&str, &str)]) -> Self {
        Self::with_settings(self.url.clone(), settings).await
    }

    /// The same database and the time of today. Tokens of the harness have expired by then; keys are good.
    pub(crate) async fn by_the_system_clock(&self) -> Self {
        let mut config = (*self.app.config).clone();
        config.clock = None;
        Self::of(self.url.clone(), config).await
    }

    async fn with_settings(url: String, settings: &[(&str, &str)]) -> Self {
        let always = [
            ("WAYMARK_DATABASE_URL", &*url),
            ("WAYMARK_JWT_SECRET", SECRET),
            ("WAYMARK_CLOCK", NOW),
            ("WAYMARK_RATE_PER_SECOND", "0"),
            // On a machine that builds something meanwhile, all may take longer than is usual.
            ("WAYMARK_DATABASE_SILENCE_SECONDS", "60"),
            ("WAYMARK_DATABASE_STATEMENT_SECONDS", "60"),
            ("WAYMARK_REQUEST_TIMEOUT_SECONDS", "300"),
            ("WAYMARK_SIGNED_FETCH", "true"),
        ];
        let pooled = through_a_pooler(&url);
        let between = pooled.iter().flat_map(|pooled| {
            [
                ("WAYMARK_DATABASE_URL", &**pooled),
                ("WAYMARK_DATABASE_POOLER", "transaction"),
                ("WAYMARK_DATABASE_LISTEN_URL", &*url),
            ]
        });
        let settings = always.into_iter().chain(between).chain(settings.iter().copied());
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let config = Config::from_sources(None, settings).expect("the settings fit");
        Self::of(url.clone(), config).await
    }

    async fn of(url: String, config: Config) -> Self {
        let app = App::connect(config, Ids::seeded(1)).await.expect("the app starts");
        let server = Server::new(Arc::clone(&app), Mode::SERVE);
        Self { app, server, url }
    }

    /// Somebody without a credential.
    pub(crate) fn anonymous(&self) -> Actor {
        self.with_credential(None)
    }

    /// A user of the demo data with a token of their own.
    pub(crate) fn user(&self, handle: &str) -> Actor {
        self.with_credential(Some(token(&handle.to_ascii_lowercase(), json!({}))))
    }

    /// An app with an API key of these scopes.
    pub(crate) async fn app(&self, scopes: &[Scope]) -> Actor {
        let scopes: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
        self.key(&scopes.join(" "), None, None).await
    }

    /// An app with an API key of these scopes that belongs to the user of this number and ends at some instant.
    pub(crate) async fn key(&self, scopes: &str, owner: Option<i64>, expires_at: Option<Timestamp>) -> Actor {
        let hex = |text: &str| Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let secret = format!("wmk_{}", hex(&format!("{scopes} {owner:?} {expires_at:?}")));
        let row = api_key::ActiveModel {
            id: NotSet,
            name: Set("test app".to_owned()),
            prefix: Set(secret[..12].to_owned()),
            hash: Set(hex(&secret)),
            scopes: Set(scopes.to_owned()),
            owner_id: Set(owner),
            created_at: Set(now().plus_seconds(-3600)),
            expires_at: Set(expires_at),
            revoked_at: Set(None),
        };
        let once = OnConflict::column(api_key::Column::Hash).do_nothing().to_owned();
        let stored = api_key::Entity::insert(row).on_conflict(once).exec_without_returning(self.db().writes()).await;
        stored.expect("the key is stored");
        self.with_credential(Some(secret))
    }

    /// Somebody who shows this credential.
    pub(crate) fn with_credential(&self, credential: Option<String>) -> Actor {
        Actor::new(self.server.clone(), credential)
    }

    pub(crate) fn db(&self) -> &Db {
        &self.app.db
    }

    /// How many SQL statements one round of `work`, which writes nothing, takes after a first one.
    pub(crate) async fn statements_once(&self, work: impl AsyncFn()) -> u64 {
        work().await;
        let before = self.db().statements(waymark::db::Asker::Request);
        work().await;
        self.db().statements(waymark::db::Asker::Request) - before
    }

    /// How many SQL statements `work` takes once credentials and documents are known.
    ///
    /// What background tasks and the look-up of credentials ask for is counted apart. A write that lost against another one
    /// is run again, which only adds to the count, so `work` is done until the smallest one has been seen three times.
    pub(crate) async fn statements(&self, work: impl AsyncFn()) -> u64 {
        work().await;
        let mut counts = Vec::new();
        for _ in 0..50 {
            let before = self.db().statements(waymark::db::Asker::Request);
            work().await;
            counts.push(self.db().statements(waymark::db::Asker::Request) - before);
            counts.sort_unstable();
            if counts.len() >= 5 && counts[0] == counts[2] {
                return counts[0];
            }
        }
        panic!("the count does not settle: {counts:?}");
    }
}

/// Changes the catalogue by hand: what `waymark catalogue touch` does comes behind it.
pub(crate) async fn by_hand(db: &Db, sql: &str) {
    for sql in [sql, "UPDATE catalogue_version SET version = version + 1"] {
        db.writes().execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

/// Makes good what a write sees to, for users who were stored, merged or erased by hand: they have counters, which say
/// who is gone.
pub(crate) async fn count_anew(db: &Db) {
    for sql in [
        "INSERT INTO user_counters (user_id) \
         SELECT u.id FROM users u WHERE NOT EXISTS (SELECT 1 FROM user_counters c WHERE c.user_id = u.id)",
        "UPDATE user_counters SET gone = TRUE WHERE NOT gone AND user_id IN \
         (SELECT id FROM users WHERE merged_into IS NOT NULL OR erased_at IS NOT NULL)",
    ] {
        db.writes().execute_unprepared(sql).await.expect("they are counted");
    }
}

/// A database without a schema.
pub(crate) struct Blank {
    pub(crate) url: String,
    pub(crate) db: Db,
}

impl Blank {
    pub(super) async fn open(url: String) -> Self {
        let db = Db::connect(&url, 4).await.expect("the database is opened");
        Self { url, db }
    }

    /// An app over the database, which has its schema by now.
    pub(crate) async fn stage(&self) -> Stage {
        Stage::open(self.url.clone()).await
    }
}
