//! The import rule of the house, read off the manifests and the sources.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use crate::harness::tests;

tests! {
    once: [
        a_room_depends_only_on_rooms_before_it,
        inside_a_feature_each_file_keeps_to_its_place,
        features_reach_each_other_through_services_only,
        foreign_crates_are_used_where_they_belong,
        transactions_begin_in_one_place,
        every_list_of_the_schema_is_counted,
    ],
}

/// The rooms of the house, in the order in which the workspace names them: each may depend on those before it. Cargo
/// keeps circles out; this keeps the order.
static ROOMS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let manifest = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let members = manifest.lines().skip_while(|line| *line != "members = [").take_while(|line| *line != "]");
    let rooms = members.filter_map(|line| line.trim().strip_prefix("\"src/")?.strip_suffix("\",").map(str::to_owned));
    // The root package is the last one.
    let rooms: Vec<String> = rooms.chain(["waymark".to_owned()]).collect();
    assert!(rooms.len() > 20, "the rooms are found");
    rooms
});

/// What each kind of file in a feature may use of its feature. Names in capitals come from the catalogue by way of
/// `mod.rs`.
const FILES: &[(&str, &[&str])] = &[
    ("entity", &[]),
    // Enumerations are declared once, with the tables.
    ("rules", &["entity"]),
    ("repo", &["entity", "rules", "catalogue"]),
    ("catalogue", &["entity", "rules", "repo"]),
    ("loader", &["repo", "rules"]),
    ("service", &["loader", "repo", "rules", "catalogue"]),
    ("live", &["loader", "repo", "service"]),
    ("write", &["repo", "rules", "catalogue"]),
    // What files tell is merged with whole rows.
    ("told", &["repo", "rules", "catalogue", "entity", "write"]),
    // What operators write are the rows of the catalogue.
    ("operate", &["repo", "rules", "catalogue", "entity"]),
    ("publish", &["repo", "rules", "catalogue", "entity", "write"]),
    ("delete", &["repo", "entity", "catalogue", "operate", "publish"]),
    ("check", &["repo", "rules", "catalogue"]),
    ("owner", &["entity", "repo", "rules", "catalogue"]),
    ("keys", &["repo", "rules"]),
    ("graphql", &["service", "rules", "entity", "catalogue"]),
    ("rest", &["service", "write", "rules", "catalogue"]),
    ("accounts", &["entity"]),
    ("blocks", &["repo", "rules"]),
];

/// Where a feature does otherwise, and why.
const EXCEPTIONS: &[(&str, &str)] = &[
    // The reason of a block is shown as it is stored.
    ("credits/service", "entity"),
    // What is entered into the ledger is what is stored.
    ("credits/write", "entity"),
    // What a season may remove is what may be deleted.
    ("seasons/operate", "delete"),
];

/// Where crates may be used that a room should keep to itself: files, and folders with a slash at the end.
const CRATES: &[(&str, &[&str])] = &[
    (
        "sea_orm",
        &[
            "kernel/failure.rs",
            "kernel/stored.rs",
            "db/",
            "auth/entity.rs",
            "auth/repo.rs",
            "write/",
            "transfer/sql.rs",
            "features/*/entity.rs",
            "features/*/repo.rs",
            "features/users/accounts.rs",
        ],
    ),
    ("sea_query_sqlx", &["db/"]),
    ("migration", &["db/"]),
    ("axum", &["server/", "pages/", "rest_kit/", "request/admission.rs", "auth/extract.rs", "features/*/rest.rs"]),
    ("tower_http", &["server/", "rest_kit/"]),
    ("utoipa", &["rest_kit/", "features/*/rest.rs"]),
    ("k256", &["auth/signed_fetch.rs"]),
    ("sha3", &["auth/signed_fetch.rs"]),
    (
        "async_graphql",
        &[
            "kernel/shown.rs",
            "vocabulary/",
            "graphql_kit/",
            "request/ask.rs",
            "schema/",
            "server/gate/",
            "server/operation.rs",
            "features/*/graphql.rs",
            "features/*/loader.rs",
            // Enumerations are declared once, with their names in GraphQL.
            "auth/caller.rs",
            "auth/entity.rs",
            "features/*/entity.rs",
            "features/*/rules.rs",
        ],
    ),
    ("apollo_compiler", &["server/gate/", "server/operation.rs", "server/watch.rs"]),
    ("jsonwebtoken", &["auth/jwt.rs"]),
    ("metrics", &["kernel/metrics/"]),
    ("metrics_exporter_prometheus", &["kernel/metrics/"]),
    ("opentelemetry", &["kernel/trace.rs", "waymark/telemetry.rs"]),
    ("opentelemetry_http", &["waymark/telemetry.rs"]),
    ("opentelemetry_otlp", &["waymark/telemetry.rs"]),
    ("opentelemetry_sdk", &["kernel/trace.rs", "waymark/telemetry.rs"]),
    ("tracing_opentelemetry", &["kernel/trace.rs", "waymark/telemetry.rs"]),
    ("tracing_subscriber", &["waymark/telemetry.rs"]),
    ("chrono", &["kernel/clock.rs"]),
    ("hyper", &["server/listener.rs", "server/sending.rs", "server/unread.rs", "server/websocket/"]),
    ("hyper_util", &["server/listener.rs", "server/websocket/"]),
    ("sha1", &["server/websocket/frames.rs"]),
    ("tokio_io_timeout", &["server/listener.rs"]),
    ("rand", &["kernel/clock.rs"]),
    ("rustix", &["db/file.rs"]),
    ("strsim", &["transfer/faults.rs"]),
    ("figment", &["kernel/config.rs"]),
    ("clap", &["waymark/cli.rs", "waymark/cli/help.rs"]),
    ("clap_complete", &["waymark/cli.rs", "waymark/cli/help.rs"]),
    ("clap_mangen", &["waymark/cli/help.rs"]),
];

/// A source file: its path in `src` and its code without comments and unit tests.
struct Source {
    path: String,
    code: String,
}

fn sources() -> Vec<Source> {
    fn read(directory: &Path, root: &Path, all: &mut Vec<Source>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                read(&path, root, all);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("build.rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                // Unit tests stand at the end of a file and may use whatever they like.
                let code = text.split("#[cfg(test)]").next().unwrap_or_default();
                let code =
                    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
                let path = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
                all.push(Source { path, code });
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all = Vec::new();
    read(&root, &root, &mut all);
    assert!(all.len() > 50, "the sources are found");
    all
}

impl Source {
    /// The feature and the name of the file, for a file in a feature's folder.
    fn in_feature(&self) -> Option<(&str, &str)> {
        self.path.strip_prefix("features/")?.trim_end_matches(".rs").split_once('/')
    }

    /// Every path in the code into another room, such as `kernel::clock::Timestamp`.
    fn rooms(&self) -> BTreeSet<String> {
        let crates = ROOMS.iter().map(|room| crate_of(room).replace('-', "_"));
        let paths = crates.flat_map(|name| {
            let room = name.trim_start_matches("waymark_").to_owned();
            self.paths(&name).into_iter().map(move |path| format!("{room}::{path}")).collect::<Vec<_>>()
        });
        paths.collect()
    }

    /// Every path in the code that begins with `root`, without it; the branches of a `use` each by itself.
    fn paths(&self, root: &str) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        let start = format!("{root}::");
        for (at, _) in self.code.match_indices(&start) {
            let before = self.code[..at].chars().next_back();
            if !before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_' || letter == ':') {
                branches(&self.code[at + start.len()..], "", &mut all);
            }
        }
        all
    }
}

/// Adds the paths that `text` begins with, each behind `prefix`, and gives back what follows them.
fn branches<'a>(text: &'a str, prefix: &str, all: &mut BTreeSet<String>) -> &'a str {
    let mut text = text.trim_start();
    if let Some(mut inner) = text.strip_prefix('{') {
        while !inner.starts_with('}') {
            inner = branches(inner, prefix, all).trim_start().trim_start_matches(',').trim_start();
        }
        return &inner[1..];
    }
    let end =
        text.find(|letter: char| !(letter.is_alphanumeric() || letter == '_' || letter == '*')).unwrap_or(text.len());
    let path = if prefix.is_empty() { text[..end].to_owned() } else { format!("{prefix}::{}", &text[..end]) };
    text = &text[end..];
    if let Some(rest) = text.strip_prefix("::") {
        return branches(rest, &path, all);
    }
    all.insert(path);
    match text.trim_start().strip_prefix("as ") {
        Some(renamed) => renamed.trim_start_matches(|letter: char| letter.is_alphanumeric() || letter == '_'),
        None if end == 0 && !text.starts_with(['}', ',']) => text.get(1..).unwrap_or_default(),
        None => text,
    }
}

/// The rooms that the manifest of a room names, as crates.
fn dependencies(room: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = if room == "waymark" { root.to_owned() } else { root.join("src").join(room) };
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    let lines = manifest.lines().filter_map(|line| line.strip_suffix(".workspace = true"));
    lines.filter(|name| name.starts_with("waymark-")).map(str::to_owned).collect()
}

/// The name of a room's crate.
fn crate_of(room: &str) -> String {
    format!("waymark-{}", room.trim_start_matches("features/").replace('_', "-"))
}

#[track_caller]
fn none(what: &str, offences: &[String]) {
    assert!(offences.is_empty(), "{what}:\n  {}", offences.join("\n  "));
}

fn a_room_depends_only_on_rooms_before_it() {
    let mut offences = Vec::new();
    for (place, room) in ROOMS.iter().enumerate() {
        let before: Vec<String> = ROOMS[..place].iter().map(|room| crate_of(room)).collect();
        for other in dependencies(room) {
            if !before.contains(&other) {
                offences.push(format!("{room} depends on {other}"));
            }
        }
    }
    let known = |path: &str| ROOMS.iter().any(|room| path.starts_with(&format!("{room}/")));
    offences.extend(sources().iter().filter(|source| !known(&source.path)).map(|source| {
        let path = &source.path;
        format!("say in the members of the workspace where {path} belongs")
    }));
    none("rooms against the order of the house", &offences);
}

fn inside_a_feature_each_file_keeps_to_its_place() {
    let mut offences = Vec::new();
    for source in sources() {
        let Some((feature, file)) = source.in_feature().filter(|(_, file)| *file != "lib") else { continue };
        let known = FILES.iter().find(|(name, _)| *name == file);
        let (_, allowed) = known.unwrap_or_else(|| panic!("say in FILES where {} belongs", source.path));
        for path in source.paths("super") {
            let name = path.split("::").next().unwrap();
            let is_file = FILES.iter().any(|(file, _)| *file == name);
            let from_catalogue = name.starts_with(char::is_uppercase) && name != "UserId" && file != "entity";
            let used = if from_catalogue { "catalogue" } else { name };
            let excepted = EXCEPTIONS.contains(&(&format!("{feature}/{file}"), used));
            if (is_file || from_catalogue) && !allowed.contains(&used) && !excepted {
                offences.push(format!("{} uses super::{path}", source.path));
            }
        }
        // Rules are pure functions, and tables are tables.
        if ["rules", "entity"].contains(&file) {
            let is_within = |path: &String| {
                let mut steps = path.split("::");
                let (room, module) = (steps.next().unwrap_or_default(), steps.next().unwrap_or_default());
                room == "kernel" && ["clock", "limits", "text"].contains(&module)
            };
            // Who may see a user is decided by what stands in the user's row; tables have enumerations.
            let is_excepted = |path: &String| {
                (source.path == "features/users/entity.rs" && path == "auth::Visibility")
                    || (file == "entity" && path == "db::names")
            };
            let beyond = source.rooms().into_iter().filter(|path| !is_within(path) && !is_excepted(path));
            offences.extend(beyond.map(|path| format!("{} uses waymark_{path}", source.path)));
        }
    }
    none("uses inside a feature that are not meant to be", &offences);
}

fn features_reach_each_other_through_services_only() {
    let mut offences = Vec::new();
    for source in sources() {
        let Some((feature, file)) = source.in_feature() else { continue };
        for path in source.rooms() {
            let mut steps = path.split("::");
            let (other, part) = (steps.next().unwrap(), steps.next());
            if !ROOMS.contains(&format!("features/{other}")) {
                continue;
            }
            let fits = match part {
                None | Some("service") => ["service", "live", "accounts", "graphql", "rest"].contains(&file),
                Some("write") => ["write", "rest"].contains(&file),
                Some("blocks") => file == "write",
                Some("told") => file == "told",
                Some("delete") => file == "delete",
                Some("graphql") => file == "graphql",
                Some(_) => false,
            };
            if other != feature && !fits {
                offences.push(format!("{} uses waymark_{path}", source.path));
            }
        }
    }
    none("features that reach into each other", &offences);
}

fn foreign_crates_are_used_where_they_belong() {
    let mut offences = Vec::new();
    for source in sources() {
        for (name, places) in CRATES {
            let fits = |place: &&str| match place.split_once('*') {
                Some((start, end)) => source.path.starts_with(start) && source.path.ends_with(end),
                None if place.ends_with('/') => source.path.starts_with(*place),
                None => source.path == **place,
            };
            if !source.paths(name).is_empty() && !places.iter().any(fits) {
                offences.push(format!("{} uses {name}", source.path));
            }
        }
    }
    none("crates used outside the rooms they belong to", &offences);
}

/// Every other way would give connections back to their pools without asking what state they are in.
fn transactions_begin_in_one_place() {
    let ways = ["TransactionTrait", "begin_with", "\"BEGIN"];
    let offences: Vec<String> = sources()
        .iter()
        .filter(|source| source.path != "db/transaction.rs")
        .flat_map(|source| ways.iter().filter(|way| source.code.contains(**way)).map(move |way| (source, way)))
        .map(|(source, way)| format!("{} has {way}", source.path))
        .collect();
    none("transactions that are begun beside db/transaction.rs", &offences);
}

/// Types of fields that are lists of the engine's kind, which nobody counts: short ones.
const SHORT_LISTS: &[&str] = &["path: Vec<String>"];

/// Where fields of the schema stand: their methods are indented, and helpers are not.
fn every_list_of_the_schema_is_counted() {
    let mut offences = Vec::new();
    for source in sources() {
        let shows = source.path.starts_with("schema/")
            || source.path.ends_with("/graphql.rs")
            || ["graphql_kit/pagination.rs", "vocabulary/refusal.rs"].contains(&&*source.path);
        if !shows {
            continue;
        }
        let (mut is_shown, mut is_skipped) = (false, false);
        for line in source.code.lines() {
            let text = line.trim();
            if text.starts_with("#[derive(") {
                is_shown = text.contains("SimpleObject");
            } else if line == "}" {
                is_shown = false;
            }
            let is_field = is_shown && !is_skipped && text.contains(": ") && text.contains("Vec<");
            is_skipped = text == "#[graphql(skip)]";
            let is_method = line.starts_with("    ")
                && (text.starts_with("async fn ") || text.starts_with(") -> "))
                && text.split_once("-> ").is_some_and(|(_, answer)| answer.contains("Vec<") || answer.contains("&["));
            if (is_field || is_method) && !SHORT_LISTS.iter().any(|short| text.contains(short)) {
                offences.push(format!("{}: {text}", source.path));
            }
        }
    }
    none("lists that are no `List`, whose answers nobody counts", &offences);
}
