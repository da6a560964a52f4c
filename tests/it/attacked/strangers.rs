//! Wallets, which anybody can make, and people whom somebody may not see.

use axum::body::Body;
use axum::http::Request;
use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use waymark::auth::Scope;

use crate::harness::{Actor, Answer, Stage, tests};
use crate::rest::wallet::{Unsigned, Wallet, now};
use crate::subscriptions::{PROTOCOL, Served, Wire, serve};

tests! {
    demo: [
        signed_requests_are_refused_unless_they_are_chosen,
        a_socket_takes_no_signatures,
        a_request_signed_for_a_scene_is_nobodys,
        new_wallets_get_no_more_than_one_anonymous_address,
    ],
    own: [
        a_wallet_that_becomes_a_user_costs_its_address,
        a_wallet_is_a_member_once_somebody_else_vouches_for_it,
        whoever_may_not_be_seen_is_answered_about_as_nobody,
        a_personal_key_reads_its_owner_and_the_profiles_of_others,
        a_user_who_is_hidden_takes_as_many_statements_as_nobody,
    ],
}

/// Somebody with a wallet, at some address.
pub(crate) struct Stranger<'a> {
    stage: &'a Stage,
    wallet: Wallet,
    address: &'a str,
}

impl<'a> Stranger<'a> {
    pub(crate) fn new(stage: &'a Stage, number: u64) -> Self {
        Self { stage, wallet: Wallet::new(number), address: "192.0.2.1" }
    }

    /// The address of the wallet, in lower case.
    pub(crate) fn address(&self) -> String {
        self.wallet.address()
    }

    fn at(self, address: &'a str) -> Self {
        Self { address, ..self }
    }

    /// Signs what is sent, with further metadata; each with an instant of its own, so that none counts as sent before.
    async fn send(&self, path: &str, body: &str, metadata: Value) -> Answer {
        static COUNT: std::sync::atomic::AtomicI64 = std::sync::atomic::AtomicI64::new(0);
        let mut all = json!({ "body": format!("sha256:{}", hex(&Sha256::digest(body))) });
        all.as_object_mut().unwrap().extend(metadata.as_object().unwrap().clone());
        let metadata = all.to_string();
        let timestamp = now() + COUNT.fetch_add(1, std::sync::atomic::Ordering::SeqCst) % 50_000;
        let unsigned = Unsigned { metadata: &metadata, timestamp, ..Unsigned::new("POST", path) };
        let mut request = Request::post(path)
            .header("content-type", "application/json")
            .header("accept", "application/graphql-response+json")
            .header("x-forwarded-for", self.address);
        for (name, value) in unsigned.headers(&[&self.wallet]) {
            request = request.header(name, value);
        }
        self.stage.anonymous().send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    pub(crate) async fn query(&self, text: &str, variables: Value) -> Answer {
        self.send("/graphql", &json!({ "query": text, "variables": variables }).to_string(), json!({})).await
    }

    /// Becomes a user by a write of their own, if they are none yet, and gives the id.
    pub(crate) async fn join(&self) -> String {
        let write = "mutation { updateProfile(input: {}) { user { id } userErrors { code } } }";
        let data = self.query(write, Value::Null).await.data();
        data["updateProfile"]["user"]["id"].as_str().unwrap().to_owned()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn anonymously_from(stage: &Stage, address: &str, text: &str, variables: &Value) -> Answer {
    let request = Request::post("/graphql")
        .header("content-type", "application/json")
        .header("accept", "application/graphql-response+json")
        .header("x-forwarded-for", address);
    let body = json!({ "query": text, "variables": variables }).to_string();
    stage.anonymous().send(request.body(Body::from(body)).unwrap()).await
}

async fn number(stage: &Stage, sql: &str) -> i64 {
    let connection = stage.db().reads();
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    connection.query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap()
}

async fn signed_requests_are_refused_unless_they_are_chosen(stage: Stage) {
    let off = stage.with(&[("WAYMARK_SIGNED_FETCH", "false")]).await;
    let stranger = Stranger::new(&off, 9_000_001);
    for text in ["{ viewer { kind } }", "mutation { updateProfile(input: {}) { user { id } } }"] {
        let answer = stranger.query(text, Value::Null).await;
        answer.refused(401, "INVALID_CREDENTIAL");
        assert!(answer.message().contains("WAYMARK_SIGNED_FETCH"), "{}", answer.text);
    }
    let wallet = &stranger.wallet;
    let path = "/graphql?query=%7Bviewer%7Bkind%7D%7D";
    let by_get = off.anonymous().send(Unsigned::new("GET", path).signed(&[wallet])).await;
    by_get.refused(401, "INVALID_CREDENTIAL");
    // In the dialect also to whoever has not signed: signing would not help.
    let path = format!("/users/{}/progress", wallet.address());
    let bare = Request::get(&*path).body(Body::empty()).unwrap();
    for request in [Unsigned::new("GET", &path).signed(&[wallet]), bare] {
        let answer = off.anonymous().send(request).await;
        assert_eq!((answer.status.as_u16(), &answer.json["code"]), (401, &json!("unauthorized")), "{}", answer.text);
        assert!(answer.json["error"].as_str().unwrap().contains("WAYMARK_SIGNED_FETCH"), "{}", answer.text);
    }
    // Chosen, the same requests are answered; and others are in any case.
    let on = Stranger::new(&stage, 9_000_001).query("{ viewer { kind } }", Value::Null).await;
    assert_eq!(on.data()["viewer"]["kind"], "USER");
    assert_eq!(off.anonymous().data("{ viewer { kind } }", Value::Null).await["viewer"]["kind"], "ANONYMOUS");
}

async fn a_socket_takes_no_signatures(stage: Stage) {
    let off = stage.with(&[("WAYMARK_SIGNED_FETCH", "false")]).await;
    for (stage, status, told) in [(&stage, 400, "one request"), (&off, 401, "WAYMARK_SIGNED_FETCH")] {
        let served: Served = serve(stage).await;
        let signed = [("sec-websocket-protocol", PROTOCOL), ("x-identity-timestamp", "1")];
        match Wire::dial(&served.at, &signed).await {
            Err(tokio_tungstenite::tungstenite::Error::Http(response)) => {
                assert_eq!(response.status().as_u16(), status)
            }
            other => panic!("{:?}", other.map(|_| "a socket")),
        }
        let mut wire = Wire::silent(&served.at).await;
        let payload = json!({ "x-identity-auth-chain-0": "{}", "x-identity-timestamp": "1" });
        wire.say(json!({ "type": "connection_init", "payload": payload })).await;
        let (code, reason) = wire.closed().await;
        assert!(code == 4403 && reason.contains(told), "{code} {reason}");
        served.stop().await;
    }
}

async fn a_request_signed_for_a_scene_is_nobodys(stage: Stage) {
    let stranger = Stranger::new(&stage, 9_000_002);
    let ask = async |metadata: Value| {
        let body = json!({ "query": "{ viewer { kind } }" }).to_string();
        stranger.send("/graphql", &body, metadata).await
    };
    for signer in ["decentraland-kernel-scene", "Decentraland-Kernel-Scene", " decentraland-kernel-scene "] {
        ask(json!({ "signer": signer, "sceneId": "bafk" })).await.refused(403, "FORBIDDEN");
        let mutation = json!({ "query": "mutation { updateProfile(input: {}) { user { id } } }" }).to_string();
        stranger.send("/graphql", &mutation, json!({ "signer": signer })).await.refused(403, "FORBIDDEN");
    }
    // The player's own client and sites, and whoever says nothing.
    for metadata in
        [json!({ "signer": "dcl:explorer" }), json!({ "signer": "dcl:marketplace" }), json!({ "signer": 1 }), json!({})]
    {
        assert_eq!(ask(metadata).await.data()["viewer"]["kind"], "USER");
    }
    let path = format!("/users/{}/progress", stranger.wallet.address());
    let metadata = r#"{"signer":"decentraland-kernel-scene"}"#;
    let unsigned = Unsigned { metadata, ..Unsigned::new("GET", &path) };
    let answer = stage.anonymous().send(unsigned.signed(&[&stranger.wallet])).await;
    assert_eq!((answer.status.as_u16(), &answer.json["code"]), (403, &json!("forbidden")), "{}", answer.text);
    assert!(answer.json["error"].as_str().unwrap().starts_with("invalid metadata"), "{}", answer.text);
    let known = format!("SELECT count(*) FROM accounts WHERE external_id = '{}'", stranger.address());
    assert_eq!(number(&stage, &known).await, 0);
}

/// One operation takes nearly half of a bucket, which takes hours to fill again.
const SLOW: [(&str, &str); 3] =
    [("WAYMARK_PROXIES", "1"), ("WAYMARK_RATE_PER_SECOND", "1"), ("WAYMARK_RATE_BURST_SECONDS", "9000")];
const DEAR: &str = "query($i: [ID!]!) { a: nodes(ids: $i) { id } b: nodes(ids: $i) { id } c: nodes(ids: $i) { id }
    d: nodes(ids: $i) { id } e: nodes(ids: $i) { id } f: nodes(ids: $i) { id } g: nodes(ids: $i) { id }
    h: nodes(ids: $i) { id } i: nodes(ids: $i) { id } j: nodes(ids: $i) { id } k: nodes(ids: $i) { id }
    l: nodes(ids: $i) { id } m: nodes(ids: $i) { id } n: nodes(ids: $i) { id } o: nodes(ids: $i) { id }
    p: nodes(ids: $i) { id } q: nodes(ids: $i) { id } }";

fn dear() -> Value {
    json!({ "i": vec!["game:1"; 140] })
}

async fn new_wallets_get_no_more_than_one_anonymous_address(stage: Stage) {
    let strict = stage.with(&SLOW).await;
    let mut anonymous = 0;
    for _ in 0..6 {
        anonymous += i32::from(anonymously_from(&strict, "192.0.2.7", DEAR, &dear()).await.status.is_success());
    }
    assert_eq!(anonymous, 2, "each costs more than 3,000 and less than 4,500 of 9,000");
    let mut wallets = 0;
    for number in 0..20 {
        let answer = Stranger::new(&strict, 9_100_000 + number).query(DEAR, dear()).await;
        assert!([200, 429].contains(&answer.status.as_u16()), "{}", answer.text);
        wallets += i32::from(answer.status.is_success());
    }
    assert_eq!(wallets, anonymous, "twenty wallets at one address");
    // They have used up what the address has, and the dialect draws on the same.
    let spent = anonymously_from(&strict, "192.0.2.1", DEAR, &dear()).await;
    spent.refused(429, "RATE_LIMITED");
    let elsewhere = Stranger::new(&strict, 9_100_000).at("192.0.2.2").query(DEAR, dear()).await;
    assert!(elsewhere.status.is_success(), "{}", elsewhere.text);
    let wallet = Wallet::new(9_100_099);
    let path = format!("/users/{}/progress", wallet.address());
    let tight = stage
        .with(&[("WAYMARK_PROXIES", "1"), ("WAYMARK_RATE_PER_SECOND", "1"), ("WAYMARK_RATE_BURST_SECONDS", "25")])
        .await;
    let mut answers = Vec::new();
    for address in ["192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2"] {
        let mut request = Unsigned::new("GET", &path).signed(&[&wallet]);
        request.headers_mut().insert("x-forwarded-for", address.parse().unwrap());
        answers.push(tight.anonymous().send(request).await.status.as_u16());
    }
    assert!(matches!(answers[..], [200, 200, _, 200]), "{answers:?}");
}

async fn a_wallet_that_becomes_a_user_costs_its_address(stage: Stage) {
    let strict = stage.with(&SLOW).await;
    let before = number(&stage, "SELECT count(*) FROM users").await;
    let write = "mutation { updateProfile(input: {}) { user { id } } }";
    let mut made = Vec::new();
    for number in 0..12 {
        let stranger = Stranger::new(&strict, 9_200_000 + number);
        let answer = stranger.query(write, Value::Null).await;
        if answer.status.is_success() {
            made.push(number);
        } else {
            answer.refused(429, "RATE_LIMITED");
        }
    }
    assert_eq!(made, [0, 1, 2, 3], "each costs 2,000 of 9,000, and a little more");
    assert_eq!(number(&stage, "SELECT count(*) FROM users").await - before, 4);
    // Further writes of theirs cost what they cost; from elsewhere there is room for new ones.
    assert!(Stranger::new(&strict, 9_200_000).query(write, Value::Null).await.status.is_success());
    let elsewhere = Stranger::new(&strict, 9_200_011).at("192.0.2.2");
    assert!(elsewhere.query(write, Value::Null).await.status.is_success());
    // Whom an app knows has a bucket of their own, whatever others have done at the address.
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let address = Stranger::new(&strict, 9_200_000).wallet.address();
    grant(&app, json!({ "address": address })).await;
    for number in [9_200_000, 9_200_001] {
        let answer = Stranger::new(&strict, number).query(DEAR, dear()).await;
        assert_eq!(answer.status.is_success(), number == 9_200_000, "{}", answer.text);
    }
}

/// An app's write for somebody.
async fn grant(app: &Actor, user: Value) {
    let write = "mutation($u: UserBy!) { grantCredits(input: {user: $u, amount: {credits: \"1\"}}) { status userErrors { message } } }";
    let data = app.data(write, json!({ "u": user })).await;
    assert_eq!(data["grantCredits"]["status"], "APPLIED", "{data}");
}

async fn a_wallet_is_a_member_once_somebody_else_vouches_for_it(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let app = stage.app(&[Scope::ProgressWrite]).await;
    // Ada's profile is for members.
    let sees = async |stranger: &Stranger<'_>| {
        let data =
            stranger.query("{ user(by: {handle: \"ada\"}) { handle profileVisibility } }", Value::Null).await.data();
        data["user"] == json!({ "handle": "ada", "profileVisibility": "MEMBERS" })
    };
    let account = |stranger: &Stranger<'_>| json!({ "platform": "ethereum", "id": stranger.wallet.address() });
    let named = |stranger: &Stranger<'_>| json!({ "address": stranger.wallet.address() });

    // What a wallet does for itself does not count, however much that is.
    let alone = Stranger::new(&stage, 9_300_001);
    assert!(!sees(&alone).await, "who is no user yet");
    let id = alone.join().await;
    let own = "mutation { setProfileVisibility(input: {visibility: PUBLIC}) { userErrors { code } }
        setResourcesCompletion(input: {completed: true, resourceIds: [\"507f1f77bcf86cd799439011\"]}) { userErrors { code } }
        enrollInSeason(input: {}) { userErrors { code } } }";
    alone.query(own, Value::Null).await.data();
    assert!(!sees(&alone).await, "who wrote for themselves only");
    let me = alone
        .query("{ viewer { user { id profileVisibility credits { available { micros } } } } }", Value::Null)
        .await
        .data();
    assert_eq!(me["viewer"]["user"]["id"], json!(id), "and sees themselves");
    // Nor does the sweep of what has expired, which nobody asked for.
    stage.app.maintain().await.unwrap();
    assert!(!sees(&alone).await);

    // An app's write does, for as long as the user is there.
    grant(&app, named(&alone)).await;
    assert!(sees(&alone).await, "whom an app wrote for");

    // So does an operator who links the wallet, be it to the user who has it already.
    let linked = Stranger::new(&stage, 9_300_002);
    linked.join().await;
    assert!(!sees(&linked).await);
    let link = "mutation($u: UserBy!, $a: AccountBy!) { linkAccount(input: {user: $u, account: $a}) { userErrors { code } changes { events { kind } } } }";
    let data = admin.data(link, json!({ "u": named(&linked), "a": account(&linked) })).await;
    assert_eq!(data["linkAccount"]["changes"]["events"], json!([]), "nothing changed for the history");
    assert!(sees(&linked).await);

    // Or who has the wallet in their books.
    let known = Stranger::new(&stage, 9_300_003);
    known.join().await;
    let upsert = "mutation($a: [AccountBy!]!) { upsertUser(input: {accounts: $a}) { created userErrors { code } } }";
    assert_eq!(admin.data(upsert, json!({ "a": [account(&known)] })).await["upsertUser"]["created"], false);
    assert!(sees(&known).await);
    let new = Stranger::new(&stage, 9_300_004);
    assert_eq!(admin.data(upsert, json!({ "a": [account(&new)] })).await["upsertUser"]["created"], true);
    assert!(sees(&new).await);

    // Or merges the user into another one.
    let merged = Stranger::new(&stage, 9_300_005);
    merged.join().await;
    let merge =
        "mutation($f: UserBy!) { mergeUsers(input: {from: $f, into: {handle: \"newton\"}}) { userErrors { code } } }";
    admin.data(merge, json!({ "f": named(&merged) })).await;
    assert!(sees(&merged).await);

    // Reads of apps, and writes that are refused, leave a stranger one.
    let other = Stranger::new(&stage, 9_300_006);
    other.join().await;
    admin.data("query($u: UserBy!) { user(by: $u) { id } }", json!({ "u": named(&other) })).await;
    let spend = "mutation($u: UserBy!) { spendCredits(input: {user: $u, amount: {credits: \"1\"}}) { status } }";
    assert_eq!(app.data(spend, json!({ "u": named(&other) })).await["spendCredits"]["status"], "REFUSED");
    assert!(!sees(&other).await);
}

/// Hides ada from everybody, and gives the id.
async fn hide_ada(stage: &Stage) -> String {
    let hide = "mutation { setProfileVisibility(input: {visibility: PRIVATE}) { user { id profileVisibility } } }";
    let data = stage.user("ada").data(hide, Value::Null).await;
    assert_eq!(data["setProfileVisibility"]["user"]["profileVisibility"], "PRIVATE");
    data["setProfileVisibility"]["user"]["id"].as_str().unwrap().to_owned()
}

const NOBODY: &str = "user:01J9ZK3V7Q8W6X5Y4T3S2R1P0N";

/// The ways to name somebody: the hidden user, and somebody who does not exist.
fn names(ada: &str) -> [(Value, Value); 3] {
    let account = |id: &str| json!({ "account": { "platform": "discord", "id": id } });
    [
        (json!({ "handle": "ada" }), json!({ "handle": "nobody" })),
        (json!({ "id": ada }), json!({ "id": NOBODY })),
        (account("800000000000000002"), account("1")),
    ]
}

/// What names a user in a variable `$u`.
const NAMING: [&str; 13] = [
    "query($u: UserBy!) { user(by: $u) { id handle } }",
    "query($u: UserBy!) { user(by: $u, as: PUBLIC) { id handle } }",
    "query($u: UserBy!) { user(by: $u, as: SELF) { id handle } }",
    "query($u: UserBy!) { user(by: $u) { credits { available { micros } } accounts { id } } }",
    "query($u: UserBy!) { users(by: [$u, {handle: \"grace\"}]) { handle credits { available { micros } } } }",
    "query($u: UserBy!) { exportUser(user: $u) }",
    "mutation($u: UserBy!) { enrollInSeason(input: {user: $u}) { status } }",
    "mutation($u: UserBy!) { setProfileVisibility(input: {user: $u, visibility: PUBLIC}) { user { id } } }",
    "mutation($u: UserBy!) { updateProfile(input: {user: $u, displayName: \"x\"}) { user { id } } }",
    "mutation($u: UserBy!) { grantCredits(input: {user: $u, amount: {credits: \"1\"}}) { status } }",
    "mutation($u: UserBy!) { eraseUser(input: {user: $u}) { erasedId } }",
    "mutation($u: UserBy!) { linkAccount(input: {user: $u, account: {platform: \"x\", id: \"1\"}}) { user { id } } }",
    "mutation($u: UserBy!) { recordProgress(input: {events: [{enrollment: {user: $u}}]}) { results { userId status error { code message } } userErrors { message } } }",
];

async fn whoever_may_not_be_seen_is_answered_about_as_nobody(stage: Stage) {
    let ada = hide_ada(&stage).await;
    let stranger = Stranger::new(&stage, 9_400_001);
    stranger.join().await;
    let actors = [
        ("anonymous", Some(stage.anonymous())),
        ("member", Some(stage.user("grace"))),
        ("key without a scope", Some(stage.app(&[]).await)),
        ("key for profiles", Some(stage.app(&[Scope::ProfilesRead]).await)),
        ("wallet", None),
    ];
    for (who, actor) in &actors {
        let ask = async |text: &str, variables: Value| match actor {
            Some(actor) => actor.query(text, variables).await,
            None => stranger.query(text, variables).await,
        };
        for text in NAMING {
            for (hidden, nobody) in names(&ada) {
                let (hidden, nobody) =
                    (ask(text, json!({ "u": hidden })).await, ask(text, json!({ "u": nobody })).await);
                let told =
                    |answer: &Answer| (answer.status, answer.json["data"].clone(), answer.json["errors"].clone());
                assert_eq!(told(&hidden), told(&nobody), "{who}: {text}");
                assert!(!hidden.text.contains("ada") && !hidden.text.contains(&ada), "{who}: {}", hidden.text);
            }
        }
        let nodes =
            "query($i: ID!, $g: ID!, $c: ID!, $p: ID!) { a: node(id: $i) { id } b: nodes(ids: [$i, $g, $c, $p]) { id }
            c: node(id: $g) { id } d: node(id: $p) { id } }";
        let ids = |user: &str| {
            let ulid = user.trim_start_matches("user:");
            json!({ "i": user, "g": format!("game_summary:{ulid}:105"), "c": format!("collection_progress:{ulid}:founders"),
                "p": format!("resource_progress:{ulid}:507f1f77bcf86cd799439011") })
        };
        let (hidden, nobody) = (ask(nodes, ids(&ada)).await, ask(nodes, ids(NOBODY)).await);
        assert_eq!((&hidden.json["data"], hidden.codes()), (&nobody.json["data"], nobody.codes()), "{who}");
        assert_eq!(hidden.codes(), Vec::<&str>::new(), "{who}");
        if let Some(actor) = actor {
            assert_eq!(follow(actor, "ada").await, follow(actor, "nobody").await, "{who}");
        }
    }
    // The dialects, by a key that may ask for people, and the card, which is for everybody.
    let key = stage.app(&[Scope::ProfilesRead]).await;
    let get = async |path: String| {
        let answer = key.send(Request::get(path).body(Body::empty()).unwrap()).await;
        (answer.status, answer.text)
    };
    for (hidden, nobody) in [("ada", "nobody"), (ada.trim_start_matches("user:"), NOBODY.trim_start_matches("user:"))] {
        let path = |name: &str| format!("/API/API_GetUserProgress.php?u={name}&i=105");
        assert_eq!(get(path(hidden)).await, get(path(nobody)).await);
    }
    let path = |id: &str| format!("/users/discord/{id}/progress/collection-challenges/founders");
    assert_eq!(get(path("800000000000000002")).await, get(path("1")).await);
    let card = |name: &str| format!("/u/{name}/card.svg");
    assert_eq!(get(card("ada")).await, get(card("nobody")).await);
    // Ada herself and apps see her as before.
    let asked = "{ user(by: {handle: \"ada\"}) { handle credits { available { micros } } } }";
    for actor in [stage.user("ada"), stage.app(&[Scope::ProgressRead]).await] {
        assert_eq!(actor.data(asked, Value::Null).await["user"]["handle"], "ada");
    }
}

/// What a subscription to somebody's progress is answered.
async fn follow(actor: &Actor, handle: &str) -> (u16, String) {
    let text = format!("subscription {{ userProgress(user: {{handle: \"{handle}\"}}) {{ kind }} }}");
    let request =
        Request::post("/graphql").header("content-type", "application/json").header("accept", "text/event-stream");
    let body = json!({ "query": text }).to_string();
    let answer = actor.send(request.body(Body::from(body)).unwrap()).await;
    (answer.status.as_u16(), answer.text)
}

async fn a_personal_key_reads_its_owner_and_the_profiles_of_others(stage: Stage) {
    let owner = number(&stage, "SELECT id FROM users WHERE handle = 'ada'").await;
    hide_ada(&stage).await;
    let key = stage.key("profiles:read", Some(owner), None).await;
    let all = "query($h: String!) { user(by: {handle: $h}) { handle games { totalCount } collections { totalCount }
        credits { available { micros } } resources { totalCount } history { totalCount } } }";
    // Everything of ada, who owns the key and hides from others.
    let own = key.data(all, json!({ "h": "ada" })).await["user"].clone();
    assert!(own["credits"].is_object() && own["resources"].is_object() && own["history"].is_object(), "{own}");
    let me = key.data("{ viewer { kind scopes user { handle } } }", Value::Null).await["viewer"].clone();
    assert_eq!(me, json!({ "kind": "APP", "scopes": ["PROFILES_READ"], "user": { "handle": "ada" } }));
    // Of others what members see, whether the profile is public or for members, and never credits or notes.
    for handle in ["grace", "newton"] {
        let answer = key.query(all, json!({ "h": handle })).await;
        let user = &answer.json["data"]["user"];
        assert!(user["games"].is_object() && user["collections"].is_object(), "{}", answer.text);
        assert!(
            user["credits"].is_null() && user["resources"].is_null() && user["history"].is_null(),
            "{}",
            answer.text
        );
        assert_eq!(answer.codes(), ["FORBIDDEN"; 3], "{}", answer.text);
    }
    // It writes nothing, for the owner neither.
    for text in [
        "mutation { setProfileVisibility(input: {visibility: PUBLIC}) { user { id } } }",
        "mutation { updateResourceProgress(input: {resourceId: \"507f1f77bcf86cd799439011\", completed: true}) { user { id } } }",
        "{ exportUser(user: {handle: \"ada\"}) }",
        "{ searchUsers(text: \"a\") { nodes { id } } }",
    ] {
        assert_eq!(key.query(text, Value::Null).await.codes(), ["FORBIDDEN"], "{text}");
    }
    // In the achievements dialect it is the key in `y`.
    let secret = key.credential().to_owned();
    for (handle, empty) in [("ada", false), ("grace", false), ("nobody", true)] {
        let path = format!("/API/API_GetUserProgress.php?z=x&y={secret}&u={handle}&i=105");
        let answer = stage.anonymous().send(Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!((answer.status.as_u16(), answer.text == "[]"), (200, empty), "{}", answer.text);
    }
    // In the learning dialect it stands for its owner, and reads only.
    let answer = key.send(Request::get("/api/user-progress").body(Body::empty()).unwrap()).await;
    assert!(answer.status.is_success() && !answer.json["progress"].as_array().unwrap().is_empty(), "{}", answer.text);
}

async fn a_user_who_is_hidden_takes_as_many_statements_as_nobody(stage: Stage) {
    let ada = hide_ada(&stage).await;
    let grace = stage.user("grace");
    for (hidden, nobody) in names(&ada) {
        let count = async |name: &Value, text: &str| {
            stage.statements(async || drop(grace.query(text, json!({ "u": name })).await)).await
        };
        for text in &NAMING[..6] {
            assert_eq!(count(&hidden, text).await, count(&nobody, text).await, "{text}");
        }
    }
    let followed = async |name: &str| stage.statements(async || drop(follow(&grace, name).await)).await;
    assert_eq!(followed("ada").await, followed("nobody").await);
}
