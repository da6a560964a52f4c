//! The command, as its users type it.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};

use crate::harness::{Blank, NOW, tests, through_a_pooler};

tests! {
    once: [
        every_command_explains_itself,
        what_makes_no_sense_exits_with_two,
        the_schema_is_printed,
        the_documented_defaults_are_settings_as_they_are,
        the_effective_configuration_hides_secrets,
        a_setting_that_is_wrong_stops_with_one_clear_line,
        serving_without_a_way_to_authenticate_is_refused,
        a_mistyped_path_is_no_empty_database,
        a_clock_of_ones_own_is_for_demo_data_only,
        every_bad_record_is_reported_and_a_pipe_is_imported,
        without_a_command_a_demo_is_served,
        with_json_all_that_is_told_is_json,
        a_second_demo_leaves_the_first_one_its_keys,
        keys_are_unique_within_their_game_where_that_is_said,
        shells_complete_every_command,
        every_command_has_a_page_in_the_manual,
        a_server_says_whether_it_is_healthy,
    ],
    blank: [
        a_database_is_migrated_filled_and_given_credentials,
        serving_refuses_pending_migrations,
        nothing_works_on_a_database_without_a_schema,
        a_server_answers_and_stops_when_told_to,
        what_differs_is_printed_and_mended,
        a_database_is_looked_at_by_the_doctor,
    ],
}

pub(crate) const SECRET: &str = "a secret of these tests, long enough for HS256";

/// A directory of its own for a command to run in; removed when dropped.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("waymark-cli-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        Self(directory)
    }

    /// The command with these arguments under these settings only.
    fn waymark(&self, arguments: &[&str], settings: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_waymark"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("WAYMARK_")) {
            command.env_remove(name);
        }
        command.args(arguments).env_remove("RUST_LOG").envs(settings.iter().copied()).current_dir(&self.0);
        let direct = settings.iter().find(|(name, _)| *name == "WAYMARK_DATABASE_URL").map(|(_, url)| *url);
        if let Some((direct, pooled)) = direct.and_then(|url| Some((url, through_a_pooler(url)?))) {
            command.env("WAYMARK_DATABASE_URL", pooled).env("WAYMARK_DATABASE_POOLER", "transaction");
            command.env("WAYMARK_DATABASE_LISTEN_URL", direct);
        }
        command
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// How a command ended.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

pub(crate) fn run(arguments: &[&str], settings: &[(&str, &str)]) -> Ended {
    ended(&mut Scratch::new().waymark(arguments, settings))
}

/// The same by another program, which gets the command as its last arguments.
pub(crate) fn run_in(outer: &mut Command, arguments: &[&str], settings: &[(&str, &str)]) -> Ended {
    let scratch = Scratch::new();
    let command = scratch.waymark(arguments, settings);
    outer.arg(command.get_program()).args(command.get_args()).current_dir(&scratch.0);
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    ended(outer)
}

pub(crate) fn ended(command: &mut Command) -> Ended {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: status.code().unwrap_or(-1), out: text(stdout), err: text(stderr) }
}

/// What a command that must succeed writes to stdout.
#[track_caller]
pub(crate) fn output(arguments: &[&str], settings: &[(&str, &str)]) -> String {
    let ended = run(arguments, settings);
    assert_eq!(ended.code, 0, "{arguments:?}: {}", ended.err);
    ended.out
}

/// Asserts that a command fails with this exit code, says nothing on stdout, and on stderr something with `words`.
#[track_caller]
pub(crate) fn fails(code: i32, arguments: &[&str], settings: &[(&str, &str)], words: &str) {
    let ended = run(arguments, settings);
    assert_eq!((ended.code, ended.out.as_str()), (code, ""), "{arguments:?}: {}", ended.err);
    assert!(ended.err.contains(words), "{arguments:?}: {}", ended.err);
}

pub(crate) const COMMANDS: &[&[&str]] = &[
    &["serve"],
    &["migrate"],
    &["demo"],
    &["import"],
    &["export"],
    &["backup"],
    &["restore"],
    &["doctor"],
    &["health"],
    &["verify"],
    &["repair"],
    &["catalogue"],
    &["catalogue", "touch"],
    &["key"],
    &["key", "create"],
    &["key", "list"],
    &["key", "revoke"],
    &["token"],
    &["schema"],
    &["openapi"],
    &["config"],
    &["completions"],
    &["man"],
];

fn every_command_explains_itself() {
    let overview = output(&["--help"], &[]);
    for command in COMMANDS {
        let help = output(&[*command, &["--help"]].concat(), &[]);
        assert!(help.contains(&format!("Usage: waymark {}", command.join(" "))) && help.lines().count() > 5, "{help}");
    }
    let listed = overview.split("Commands:").nth(1).unwrap().lines().skip(1).take_while(|line| !line.trim().is_empty());
    let listed: Vec<_> =
        listed.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").collect();
    let known: Vec<_> = COMMANDS.iter().filter(|command| command.len() == 1).map(|command| command[0]).collect();
    assert_eq!(listed, known, "the list of these tests is complete");
    assert!(output(&["--version"], &[]).starts_with("waymark "));
}

fn what_makes_no_sense_exits_with_two() {
    for arguments in [
        &["nothing"][..],
        &["--nothing"],
        &["serve", "extra"],
        &["migrate", "sideways"],
        &["catalogue"],
        &["key"],
        &["key", "create"],
        &["key", "create", "--name", "x", "--scope", "everything"],
        &["token"],
        &["token", "--user", "grace", "--ttl", "soon"],
        &["demo", "--users", "many"],
        &["demo", "--users", "0"],
        &["demo", "--scale", "huge"],
        &["--log-format", "xml", "schema"],
        &["export", "--only", "user"],
        &["export", "--user", "grace"],
        &["export", "--only", "catalogue", "--user", "grace"],
        &["completions"],
        &["completions", "cmd"],
        &["man", "nothing"],
        &["man", "key", "burn"],
    ] {
        fails(2, arguments, &[], "--help");
    }
}

fn the_schema_is_printed() {
    assert!(output(&["schema"], &[]) == include_str!("../../schema.graphql"), "it is the schema that is checked in");
}

fn the_documented_defaults_are_settings_as_they_are() {
    let scratch = Scratch::new();
    let defaults = output(&["config", "--default"], &[]);
    std::fs::write(scratch.0.join("waymark.toml"), &defaults).unwrap();
    let from_file = scratch.waymark(&["config"], &[]).output().unwrap();
    assert_eq!(String::from_utf8(from_file.stdout).unwrap(), output(&["config"], &[]));
}

fn the_effective_configuration_hides_secrets() {
    let settings = [
        ("WAYMARK_JWT_SECRET", SECRET),
        ("WAYMARK_DATABASE_URL", "postgres://me:hunter2@localhost/waymark"),
        ("WAYMARK_MAX_DEPTH", "9"),
    ];
    let config = output(&["config"], &settings);
    assert!(!config.contains(SECRET) && !config.contains("hunter2"), "{config}");
    assert!(config.contains("max_depth = 9") && config.contains("jwt_secret"), "{config}");
}

fn a_setting_that_is_wrong_stops_with_one_clear_line() {
    for (name, value) in [
        ("WAYMARK_NOTHING", "1"),
        ("WAYMARK_LISTEN", "nowhere"),
        ("WAYMARK_DATABASE_URL", "mysql://localhost"),
        ("WAYMARK_JWT_SECRET", "short"),
        ("WAYMARK_MAX_DEPTH", "0"),
        ("WAYMARK_MAX_DEPTH", "deep"),
        ("WAYMARK_CLOCK", "noon"),
        ("WAYMARK_INTROSPECTION", "maybe"),
        ("WAYMARK_STRICT_RESOURCES", "yes"),
        ("WAYMARK_OTLP_ENDPOINT", "nowhere"),
    ] {
        let ended = run(&["config"], &[(name, value)]);
        assert_eq!((ended.code, ended.out.as_str(), ended.err.lines().count()), (1, "", 1), "{name}: {}", ended.err);
        assert!(
            ended.err.to_lowercase().contains(&name.to_lowercase().replace("waymark_", "")),
            "{name}: {}",
            ended.err
        );
    }
    fails(1, &["config", "--config", "missing.toml"], &[], "missing.toml");
    fails(1, &["config"], &[("WAYMARK_STRICT_RESOURCES", "yes")], "true or false");
}

fn serving_without_a_way_to_authenticate_is_refused() {
    fails(1, &["serve"], &[("WAYMARK_DATABASE_URL", "sqlite://x.db")], "WAYMARK_JWT_SECRET");
    fails(1, &["serve"], &[("WAYMARK_DATABASE_URL", "sqlite://x.db")], "WAYMARK_SIGNED_FETCH");
    // Wallets are a way, where they are chosen: then only the database is missing.
    let wallets = [("WAYMARK_DATABASE_URL", "sqlite://x.db"), ("WAYMARK_SIGNED_FETCH", "true")];
    fails(1, &["serve"], &wallets, "there is no database x.db");
    fails(1, &["serve"], &[("WAYMARK_JWT_SECRET", SECRET)], "WAYMARK_DATABASE_URL");
    let clock = [("WAYMARK_DATABASE_URL", "sqlite://x.db"), ("WAYMARK_JWT_SECRET", SECRET), ("WAYMARK_CLOCK", "+1h")];
    fails(1, &["serve"], &clock, "WAYMARK_CLOCK");
    for arguments in
        [&["migrate"][..], &["demo"], &["verify"], &["repair"], &["key", "list"], &["token", "--user", "grace"]]
    {
        fails(1, arguments, &[], "WAYMARK_DATABASE_URL");
    }
}

/// What needs a database that is there.
const NEEDY: [&[&str]; 9] = [
    &["serve"],
    &["demo"],
    &["backup", "copy.db"],
    &["export", "--output", "out.ndjson"],
    &["import", "-"],
    &["verify"],
    &["repair"],
    &["key", "list"],
    &["token", "--user", "grace"],
];

fn a_mistyped_path_is_no_empty_database() {
    let scratch = Scratch::new();
    let mistyped = [("WAYMARK_DATABASE_URL", "sqlite://typo.db"), ("WAYMARK_JWT_SECRET", SECRET)];
    for arguments in NEEDY.iter().chain(&[&["migrate", "status"][..], &["migrate", "down"]]) {
        let ended = scratch.waymark(arguments, &mistyped).output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains("there is no database typo.db") && said.contains("waymark migrate"), "{said}");
        assert_eq!(std::fs::read_dir(&scratch.0).unwrap().count(), 0, "{arguments:?} makes nothing");
    }
    assert!(scratch.waymark(&["migrate"], &mistyped).status().unwrap().success());
    assert!(scratch.0.join("typo.db").is_file());
}

fn a_clock_of_ones_own_is_for_demo_data_only() {
    for arguments in [&["import", "-"][..], &["verify"], &["repair"], &["key", "list"], &["token", "--user", "grace"]] {
        let settings = [
            ("WAYMARK_DATABASE_URL", "sqlite://x.db"),
            ("WAYMARK_JWT_SECRET", SECRET),
            ("WAYMARK_CLOCK", "2026-03-15T14:30:00Z"),
        ];
        fails(1, arguments, &settings, "WAYMARK_CLOCK");
    }
}

fn every_bad_record_is_reported_and_a_pipe_is_imported() {
    let scratch = Scratch::new();
    let settings = [("WAYMARK_DATABASE_URL", "sqlite://x.db")];
    assert!(scratch.waymark(&["migrate"], &settings).status().unwrap().success());
    std::fs::write(scratch.0.join("bad.ndjson"), "{}\n".repeat(2500)).unwrap();
    let ended = scratch.waymark(&["import", "bad.ndjson"], &settings).output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!((ended.status.code(), said.matches("bad.ndjson:").count()), (Some(1), 2500));

    let lines = "{\"type\":\"user\",\"handle\":\"hopper\"}\n{\"type\":\"collection\",\"key\":\"c\",\"name\":\"C\"}\n\
        {\"type\":\"card\",\"key\":\"c1\",\"collection\":\"c\",\"name\":\"One\"}\n\
        {\"type\":\"ownedCard\",\"user\":\"hopper\",\"card\":\"c1\"}\n";
    std::fs::write(scratch.0.join("good.ndjson"), lines).unwrap();
    let mut command = Command::new("bash");
    command.args(["-c", "\"$0\" import <(cat good.ndjson)", env!("CARGO_BIN_EXE_waymark")]);
    command.current_dir(&scratch.0).envs(settings);
    let ended = command.output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(ended.status.success() && said.contains("4 records, 4 new"), "{said}");
}

/// A server in a process of its own; killed when dropped.
pub(crate) struct Server {
    process: Child,
    /// What it said until it was ready.
    said: String,
    pub(crate) address: String,
    /// What it has said since.
    log: Arc<Mutex<String>>,
    reader: Option<std::thread::JoinHandle<()>>,
    _scratch: Scratch,
}

impl Server {
    /// Starts a server and waits until it names its address behind `words`.
    pub(crate) fn start(arguments: &[&str], settings: &[(&str, &str)], words: &str) -> Self {
        let scratch = Scratch::new();
        let command = scratch.waymark(arguments, settings);
        Self::spawn(scratch, command, words)
    }

    /// The same for a process that may open so many files.
    pub(crate) fn start_with_files(files: u32, arguments: &[&str], settings: &[(&str, &str)], words: &str) -> Self {
        let scratch = Scratch::new();
        let command = scratch.waymark(arguments, settings);
        let mut limited = Command::new("sh");
        limited.args(["-c", &format!("ulimit -n {files} && exec \"$0\" \"$@\"")]);
        limited.arg(command.get_program()).args(command.get_args()).current_dir(&scratch.0);
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => limited.env(name, value),
                None => limited.env_remove(name),
            };
        }
        Self::spawn(scratch, limited, words)
    }

    fn spawn(scratch: Scratch, mut command: Command, words: &str) -> Self {
        command.env("WAYMARK_LISTEN", "127.0.0.1:0");
        Self::spawn_as_it_is(scratch, command, words)
    }

    /// Starts a command that says where to listen, and waits until it names that behind `words`.
    pub(crate) fn spawn_as_it_is(scratch: Scratch, mut command: Command, words: &str) -> Self {
        let mut process = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let mut said = String::new();
        let address = loop {
            let Some(Ok(line)) = lines.next() else { panic!("the server stopped: {said}") };
            said.push_str(&line);
            said.push('\n');
            // As JSON it is a message, whole.
            let told = match serde_json::from_str::<Value>(&line) {
                Ok(json) => {
                    json["fields"]["message"].as_str().unwrap_or_else(|| panic!("no message: {line}")).to_owned()
                }
                Err(_) => line,
            };
            if let Some((_, address)) = told.split_once(words) {
                let address = address.trim().trim_end_matches('/');
                assert!(
                    address.strip_prefix("http://127.0.0.1:").is_some_and(|port| port.parse::<u16>().is_ok()),
                    "{told}"
                );
                break address.to_owned();
            }
        };
        // Somebody has to go on reading, or the server would write into a closed pipe.
        let log = Arc::<Mutex<String>>::default();
        let kept = Arc::clone(&log);
        let reader = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                kept.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        Self { process, said, address, log, reader: Some(reader), _scratch: scratch }
    }

    fn query(&self, credential: &str, query: &str) -> Value {
        let request = ureq::post(format!("{}/graphql", self.address)).header("content-type", "application/json");
        let request = request.header("authorization", format!("Bearer {credential}"));
        let mut response = request.send(json!({ "query": query }).to_string()).unwrap();
        serde_json::from_str(&response.body_mut().read_to_string().unwrap()).unwrap()
    }

    /// The status of the answer to somebody who shows this credential.
    fn query_status(&self, credential: &str) -> u16 {
        let request = ureq::post(format!("{}/graphql", self.address)).header("content-type", "application/json");
        let request = request.header("authorization", format!("Bearer {credential}"));
        let request = request.config().http_status_as_error(false).build();
        request.send(json!({ "query": WHO }).to_string()).unwrap().status().as_u16()
    }

    /// The memory of the process that is resident, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Kills it at once, as a crash does.
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Tells it to stop, as a service manager does.
    pub(crate) fn terminate(&mut self) -> Option<i32> {
        self.tell_to_stop();
        self.wait()
    }

    /// The same without waiting for its end.
    pub(crate) fn tell_to_stop(&self) {
        let told = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status().unwrap();
        assert!(told.success());
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        let code = self.process.wait().unwrap().code();
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        code
    }

    /// Of its process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    /// What it has said since it was ready.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const WHO: &str = "{ viewer { kind scopes user { handle } } }";

/// The credential that a server on its own tells of somebody.
fn told(server: &Server, name: &str) -> String {
    let line = server.said.lines().skip_while(|line| !line.starts_with(&format!("  {name}: "))).nth(1);
    line.unwrap_or_else(|| panic!("no credential of {name}: {}", server.said)).trim().to_owned()
}

fn a_second_demo_leaves_the_first_one_its_keys() {
    let first = Server::start(&[], &[], "Open the playground: ");
    let database = first._scratch.0.clone();
    assert!(!first.said.contains("is not looked at"), "{}", first.said);
    let ignored = [("WAYMARK_DATABASE_URL", "postgres://elsewhere/waymark"), ("WAYMARK_JWT_SECRET", SECRET)];
    let scratch = Scratch::new();
    let mut command = scratch.waymark(&[], &ignored);
    command.current_dir(&database);
    let second = Server::spawn(scratch, command, "Open the playground: ");
    for (name, _) in ignored {
        assert!(
            second.said.contains(&format!("{name} is not looked at while things are tried out")),
            "{}",
            second.said
        );
    }
    for server in [&first, &second, &first] {
        assert_eq!(server.query(&told(server, "admin"), WHO)["data"]["viewer"]["scopes"], json!(["ADMIN"]));
    }
    let key = told(&second, "admin");
    let mut second = second;
    assert_eq!(second.terminate(), Some(0));
    // Outcomes of authentication are kept for a second.
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert_ne!(first.query_status(&key), 200, "those of one that has ended are good no more");
    assert_eq!(first.query(&told(&first, "admin"), WHO)["data"]["viewer"]["scopes"], json!(["ADMIN"]));
}

fn with_json_all_that_is_told_is_json() {
    let is_json = |text: &str| {
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            assert!(
                line["level"].is_string() && line["timestamp"].is_string() && line["fields"]["message"].is_string()
            );
        }
    };
    let scratch = Scratch::new();
    let url = format!("sqlite://{}", scratch.0.join("waymark.db").display());
    let settings = [("WAYMARK_DATABASE_URL", &*url), ("WAYMARK_JWT_SECRET", SECRET)];
    let mut server = Server::start(&["serve", "--migrate", "--log-format", "json"], &settings, "Serving on ");
    assert_eq!(server.terminate(), Some(0));
    is_json(&server.said);
    is_json(&server.log());
    for (arguments, code) in
        [(&["verify"][..], 0), (&["repair"], 0), (&["import", "missing.ndjson"], 1), (&["key", "revoke", "x"], 1)]
    {
        let ended = run(&[arguments, &["--log-format", "json"]].concat(), &settings);
        assert_eq!(ended.code, code, "{}", ended.err);
        assert!(ended.err.lines().count() > 0);
        is_json(&ended.err);
        assert_eq!(ended.err.contains("ERROR"), code == 1, "{}", ended.err);
    }
    let ended = run(&["config", "--log-format", "json"], &[("WAYMARK_LISTEN", "nowhere")]);
    is_json(&ended.err);
}

fn keys_are_unique_within_their_game_where_that_is_said() {
    let scratch = Scratch::new();
    let url = format!("sqlite://{}", scratch.0.join("waymark.db").display());
    let settings = [("WAYMARK_DATABASE_URL", &*url)];
    output(&["migrate"], &settings);
    let lines = [
        r#"{"type":"unlock","user":"ada","game":"b","achievement":"1","at":"2026-03-15T14:30:00Z"}"#,
        r#"{"type":"ownedCard","user":"ada","collection":"x","card":"1"}"#,
        r#"{"type":"user","handle":"ada"}"#,
        r#"{"type":"game","key":"a","title":"A"}"#,
        r#"{"type":"game","key":"b","title":"B"}"#,
        r#"{"type":"achievement","key":"1","game":"a","title":"One","points":1}"#,
        r#"{"type":"achievement","key":"b/1","game":"b","title":"One","points":1}"#,
        r#"{"type":"collection","key":"x","name":"X"}"#,
        r#"{"type":"card","key":"1","collection":"x","name":"One"}"#,
        r#"{"type":"unlock","user":"ada","achievement":"a/1","at":"2026-03-15T14:30:00Z"}"#,
    ];
    let (file, bad) = (scratch.0.join("in.ndjson"), scratch.0.join("bad.ndjson"));
    std::fs::write(&file, lines.join("\n")).unwrap();
    std::fs::write(&bad, r#"{"type":"unlock","user":"ada","achievement":"1"}"#).unwrap();
    let (file, bad) = (file.to_str().unwrap(), bad.to_str().unwrap());
    fails(1, &["import", file], &settings, "`game` is for `waymark import --scope-keys` only");
    for new in ["3 new", "0 new"] {
        let done = run(&["import", "--scope-keys", file], &settings);
        assert!(done.code == 0 && done.err.contains("10 records"), "{}", done.err);
        assert!(new == "3 new" || done.err.contains(new), "{}", done.err);
    }
    fails(1, &["import", "--scope-keys", bad], &settings, "bad.ndjson:1: with --scope-keys this needs `game`");
    let all = output(&["export"], &settings);
    for key in [r#""achievement":"a/1""#, r#""achievement":"b/1""#, r#""card":"x/1""#] {
        assert!(all.contains(key), "{key}: {all}");
    }
}

async fn a_database_is_looked_at_by_the_doctor(blank: Blank) {
    let settings = [("WAYMARK_DATABASE_URL", &*blank.url), ("WAYMARK_JWT_SECRET", SECRET)];
    let doctor = |settings: &[(&str, &str)]| {
        let ended = run(&["doctor"], settings);
        let lines = ended.out.lines().map(|line| line.split(": ").next().unwrap().to_owned()).collect::<Vec<_>>();
        (ended.code, lines, ended.out)
    };
    let (code, lines, out) = doctor(&settings);
    assert_eq!((code, lines[2].as_str()), (1, "wrong  migrations"), "{out}");
    output(&["migrate"], &settings);
    let (code, lines, out) = doctor(&settings);
    let all = ["settings", "connection", "migrations", "rights", "clock", "disk"].map(|name| format!("ok     {name}"));
    assert_eq!((code, lines), (0, all.to_vec()), "{out}");
    assert!(!out.contains("password"), "{out}");
    let (code, lines, out) = doctor(&settings[..1]);
    assert_eq!((code, lines[0].as_str(), lines.len()), (1, "wrong  settings", 6), "{out}");
    let nowhere = [("WAYMARK_DATABASE_URL", "postgres://me:hunter2@127.0.0.1:1/x"), settings[1]];
    let (code, lines, out) = doctor(&nowhere);
    assert_eq!((code, lines[1].as_str(), lines.len()), (1, "wrong  connection", 2), "{out}");
    assert!(out.contains("127.0.0.1:1") && !out.contains("hunter2"), "{out}");
    let (code, lines, out) = doctor(&[("WAYMARK_NOTHING", "1")]);
    assert_eq!((code, lines), (1, vec!["wrong  settings".to_owned()]), "{out}");
}

/// The options of a command that its help names.
pub(crate) fn options_of(command: &[&str]) -> Vec<String> {
    let help = output(&[command, &["--help"]].concat(), &[]);
    let own = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    own.filter_map(|line| line.split([' ', ',']).find(|word| word.starts_with("--"))).map(str::to_owned).collect()
}

fn shells_complete_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = output(&["completions", shell], &[]);
        for command in COMMANDS {
            assert!(script.contains(command.last().unwrap()), "{shell}: {command:?}");
            for option in options_of(command) {
                // fish names options without their dashes.
                assert!(script.contains(option.trim_start_matches('-')), "{shell}: {command:?} {option}");
            }
        }
    }
    // What bash makes of it: the words behind these, of which the last is to be completed.
    let completed = |words: &[&str]| {
        let ask = "source <(\"$0\" completions bash); COMP_WORDS=(waymark \"$@\"); COMP_CWORD=$#; \
                   _waymark waymark \"${@: -1}\" \"${COMP_WORDS[-2]}\"; echo \"${COMPREPLY[@]}\"";
        let mut bash = Command::new("bash");
        let told = ended(bash.args(["-c", ask, env!("CARGO_BIN_EXE_waymark")]).args(words));
        assert_eq!((told.code, &*told.err), (0, ""), "{words:?}");
        told.out.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(completed(&["mi"]), ["migrate"]);
    assert_eq!(completed(&["key", "c"]), ["create"]);
    assert_eq!(completed(&["serve", "--read"]), ["--read-only"]);
    assert_eq!(completed(&["migrate", "s"]), ["status"]);
    assert_eq!(completed(&["demo", "--scale", ""]), ["demo", "team", "load"]);
}

fn every_command_has_a_page_in_the_manual() {
    let overview = output(&["man"], &[]);
    assert!(overview.contains(".TH waymark 1 ") && overview.contains(".SH EXTRA"), "{overview}");
    for command in COMMANDS {
        let name = format!("waymark\\-{}", command.join("\\-"));
        assert!(command.len() > 1 || overview.contains(&format!("{name}(1)")), "{name}: {overview}");
        let page = output(&[&["man"][..], command].concat(), &[]);
        let title = format!(".TH waymark-{} 1 ", command.join("-"));
        assert!(page.contains(&title) && page.contains(".SH SYNOPSIS"), "{title}: {page}");
        for option in options_of(command) {
            assert!(page.contains(&option.replace('-', "\\-")), "{option}: {page}");
        }
    }
}

fn a_server_says_whether_it_is_healthy() {
    let scratch = Scratch::new();
    let url = format!("sqlite://{}", scratch.0.join("waymark.db").display());
    let settings = [("WAYMARK_DATABASE_URL", &*url), ("WAYMARK_JWT_SECRET", SECRET)];
    let server = Server::start(&["serve", "--migrate"], &settings, "Serving on ");
    let port = server.address.rsplit(':').next().unwrap().to_owned();
    // Where it listens everywhere, and whatever proxy there is.
    let listen = format!("0.0.0.0:{port}");
    let asked =
        [("WAYMARK_LISTEN", &*listen), ("http_proxy", "http://127.0.0.1:1"), ("ALL_PROXY", "http://127.0.0.1:1")];
    assert_eq!(output(&["health"], &asked), "ready\n");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let connection = sea_orm::Database::connect(&url).await.unwrap();
        connection.execute_unprepared("DELETE FROM seaql_migrations").await.unwrap();
        connection.close().await.unwrap();
    });
    fails(1, &["health"], &asked, "migrations are pending");
    drop(server);
    fails(1, &["health"], &asked, &format!("127.0.0.1:{port}"));
}

fn without_a_command_a_demo_is_served() {
    let server = Server::start(&[], &[], "Open the playground: ");
    let credential = |name: &str| told(&server, name);
    for person in ["grace", "ada", "MaxMilyin"] {
        let viewer = server.query(&credential(person), WHO)["data"]["viewer"].clone();
        assert_eq!(viewer, json!({ "kind": "USER", "scopes": [], "user": { "handle": person } }));
    }
    assert_eq!(server.query(&credential("admin"), WHO)["data"]["viewer"]["scopes"], json!(["ADMIN"]));
    let page = ureq::get(format!("{}/", server.address)).call().unwrap().body_mut().read_to_string().unwrap();
    assert!(page.contains("<html"), "{page:.200}");
}

async fn a_database_is_migrated_filled_and_given_credentials(blank: Blank) {
    let settings = [("WAYMARK_DATABASE_URL", &*blank.url), ("WAYMARK_JWT_SECRET", SECRET)];
    let dated = [settings[0], settings[1], ("WAYMARK_CLOCK", NOW)];
    let states = || {
        let status = output(&["migrate", "status"], &settings);
        status.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let count = states().len();
    assert!(count > 0 && states() == vec!["pending"; count]);
    assert_eq!(output(&["migrate"], &settings), "");
    assert_eq!(states(), vec!["applied"; count]);
    assert_eq!(output(&["migrate", "down"], &settings), "");
    assert_eq!(states(), [vec!["applied"; count - 1], vec!["pending"]].concat());
    assert_eq!(output(&["migrate", "up"], &settings), "");

    let filled = run(&["demo", "--users", "10"], &dated);
    assert_eq!((filled.code, &*filled.out), (0, ""), "{}", filled.err);
    assert!(filled.err.contains("10 users are there now, 10 of them new"), "{}", filled.err);
    let again = run(&["demo", "--users", "10"], &dated);
    assert!(again.code == 0 && again.err.contains("nothing was changed"), "{}", again.err);

    let token = output(&["token", "--user", "Grace"], &settings);
    assert!(token.lines().count() == 1 && token.matches('.').count() == 2, "{token}");
    fails(1, &["token", "--user", "nobody"], &settings, "nobody");
    // Before anything of it is written.
    fails(1, &["export", "--only", "user", "--user", "nobody"], &settings, "there is no user with the handle");

    let create = [
        "key",
        "create",
        "--name",
        "game server",
        "--scope",
        "progress:write",
        "--scope",
        "progress:read",
        "--user",
        "ada",
    ];
    let key = output(&create, &settings);
    let key = key.trim_end();
    assert!(key.starts_with("wmk_") && key.len() == 68, "the key alone: {key}");
    let list = output(&["key", "list"], &settings);
    assert!(list.contains(&key[..12]) && !list.contains(key) && list.contains("game server"), "{list}");
    assert_eq!(output(&["key", "revoke", &key[..12]], &settings), "");
    assert!(output(&["key", "list"], &settings).contains("revoked"));
    fails(1, &["key", "revoke", "wmk_unknown"], &settings, "names no key");
    fails(1, &["key", "create", "--name", "x", "--scope", "admin", "--user", "nobody"], &settings, "nobody");
}

async fn serving_refuses_pending_migrations(blank: Blank) {
    let settings = [("WAYMARK_DATABASE_URL", &*blank.url), ("WAYMARK_JWT_SECRET", SECRET)];
    fails(1, &["serve"], &settings, "migrations are pending");
}

async fn nothing_works_on_a_database_without_a_schema(blank: Blank) {
    let settings = [("WAYMARK_DATABASE_URL", &*blank.url), ("WAYMARK_JWT_SECRET", SECRET)];
    for arguments in NEEDY.iter().filter(|arguments| arguments[0] != "backup") {
        fails(1, arguments, &settings, "run `waymark migrate`");
    }
    let words = if blank.url.starts_with("sqlite") { "has no schema" } else { "pg_dump" };
    fails(1, &["backup", "copy.db"], &settings, words);
}

async fn a_server_answers_and_stops_when_told_to(blank: Blank) {
    let settings = [("WAYMARK_DATABASE_URL", &*blank.url), ("WAYMARK_JWT_SECRET", SECRET)];
    let mut server = Server::start(&["serve", "--migrate"], &settings, "Serving on ");
    output(&["demo", "--users", "3"], &settings);
    let token = output(&["token", "--user", "grace"], &settings);
    let viewer = server.query(token.trim_end(), WHO)["data"]["viewer"].clone();
    assert_eq!(viewer, json!({ "kind": "USER", "scopes": [], "user": { "handle": "grace" } }));
    let key = output(&["key", "create", "--name", "reader", "--scope", "progress:read"], &settings);
    assert_eq!(server.query(key.trim_end(), WHO)["data"]["viewer"]["scopes"], json!(["PROGRESS_READ"]));
    assert_eq!(server.terminate(), Some(0));
}

async fn what_differs_is_printed_and_mended(blank: Blank) {
    let settings = [("WAYMARK_DATABASE_URL", &*blank.url), ("WAYMARK_JWT_SECRET", SECRET)];
    fails(1, &["verify"], &settings, "migrations are pending");
    assert_eq!(output(&["migrate"], &settings), "");
    output(&["demo", "--users", "10"], &settings);
    let clean = run(&["verify"], &settings);
    assert_eq!((clean.code, &*clean.out), (0, ""), "{}", clean.err);
    assert!(clean.err.contains("10 users: everything follows from its source"), "{}", clean.err);
    assert!(run(&["repair"], &settings).err.contains("nothing to mend"));

    let spoil = "UPDATE credit_lots SET remaining_micros = remaining_micros - 1 WHERE remaining_micros > 0";
    let spoiled = blank.db.writes().execute_unprepared(spoil).await.unwrap().rows_affected();
    let grant = "UPDATE credit_entries SET amount_micros = amount_micros + 1 WHERE user_id = 1 AND seq = 1";
    assert_eq!(blank.db.writes().execute_unprepared(grant).await.unwrap().rows_affected(), 1);
    let found = run(&["verify"], &settings);
    assert_eq!((found.code, found.out.lines().count() as u64), (1, spoiled + 1), "{}", found.err);
    let line = found.out.lines().find(|line| line.contains(" credits.remaining: ")).unwrap();
    let (ulid, rest) = line.split_once(' ').unwrap();
    assert!(ulid.len() == 26 && rest.contains("what is left of lot ") && rest.contains(", should be "), "{line}");
    assert!(found.err.contains(&format!("{} differences were found", spoiled + 1)), "{}", found.err);

    let repaired = run(&["repair"], &settings);
    assert_eq!((repaired.code, repaired.out.lines().count()), (1, 1), "{}", repaired.err);
    assert!(repaired.out.contains(" credits.granted: ") && repaired.err.contains("1 difference cannot be mended"));
    assert!(repaired.err.contains(&format!("credits.remaining: {spoiled} mended")), "{}", repaired.err);
    let undo = "UPDATE credit_entries SET amount_micros = amount_micros - 1 WHERE user_id = 1 AND seq = 1";
    blank.db.writes().execute_unprepared(undo).await.unwrap();
    assert_eq!(output(&["verify"], &settings), "");
}
