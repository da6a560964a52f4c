//! The import rule of `src/lib.rs`, read off the sources.

use std::collections::BTreeSet;
use std::path::Path;

use crate::harness::tests;

tests! {
    once: [
        a_room_imports_only_from_rooms_before_it,
        inside_a_feature_each_file_keeps_to_its_place,
        features_reach_each_other_through_services_only,
        foreign_crates_are_used_where_they_belong,
        transactions_begin_in_one_place,
        every_list_of_the_schema_is_counted,
    ],
}

/// The rooms of the house, in the order in which they may import: each from itself and those before it.
const ROOMS: [&[&str]; 5] = [
    &["error", "clock", "limits", "config", "text", "metrics", "trace"],
    &["db", "auth", "graphql", "rest", "write", "verify", "request", "admission"],
    &["features"],
    &["schema"],
    &["server", "app", "demo", "transfer", "telemetry", "cli"],
];

/// What each kind of file in a feature may use of its feature. Names in capitals come from the catalogue by way of
/// `mod.rs`.
const FILES: &[(&str, &[&str])] = &[
    ("entity", &[]),
    ("rules", &[]),
    ("repo", &["entity", "rules", "catalogue"]),
    ("catalogue", &["entity", "rules", "repo"]),
    ("loader", &["repo", "rules"]),
    ("service", &["loader", "repo", "rules", "catalogue"]),
    ("live", &["loader", "repo", "service"]),
    ("write", &["repo", "rules", "catalogue"]),
    ("told", &["repo", "rules", "catalogue", "write"]),
    // What operators write are the rows of the catalogue.
    ("operate", &["repo", "rules", "catalogue", "entity"]),
    ("publish", &["repo", "rules", "catalogue", "entity", "write"]),
    ("check", &["repo", "rules", "catalogue"]),
    ("owner", &["entity", "repo", "rules", "catalogue"]),
    ("keys", &["repo", "rules"]),
    ("merge", &["repo", "rules"]),
    ("erase", &["repo", "rules"]),
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
];

/// Where crates may be used that a room should keep to itself: files, and folders with a slash at the end.
const CRATES: &[(&str, &[&str])] = &[
    (
        "sea_orm",
        &[
            "db/",
            "auth/entity.rs",
            "auth/repo.rs",
            "write/",
            "demo/insert.rs",
            "transfer/sql.rs",
            "features/*/entity.rs",
            "features/*/repo.rs",
            "features/users/accounts.rs",
        ],
    ),
    ("sea_query_sqlx", &["db/"]),
    ("migration", &["db/"]),
    ("axum", &["server/", "rest/", "admission.rs", "auth/extract.rs", "features/*/rest.rs"]),
    ("tower_http", &["server/", "rest/"]),
    ("utoipa", &["rest/", "features/*/rest.rs"]),
    ("k256", &["auth/signed_fetch.rs"]),
    ("sha3", &["auth/signed_fetch.rs"]),
    (
        "async_graphql",
        &[
            "graphql/",
            "schema/",
            "server/gate/",
            "server/operation.rs",
            "features/*/graphql.rs",
            "features/*/loader.rs",
        ],
    ),
    ("apollo_compiler", &["server/gate/", "server/operation.rs", "server/watch.rs"]),
    ("jsonwebtoken", &["auth/jwt.rs"]),
    ("metrics", &["metrics/"]),
    ("metrics_exporter_prometheus", &["metrics/"]),
    ("opentelemetry", &["trace.rs", "telemetry.rs"]),
    ("opentelemetry_http", &["telemetry.rs"]),
    ("opentelemetry_otlp", &["telemetry.rs"]),
    ("opentelemetry_sdk", &["trace.rs", "telemetry.rs"]),
    ("tracing_opentelemetry", &["trace.rs", "telemetry.rs"]),
    ("tracing_subscriber", &["telemetry.rs"]),
    ("chrono", &["clock.rs"]),
    ("hyper", &["server/listener.rs", "server/websocket/"]),
    ("hyper_util", &["server/listener.rs", "server/websocket/"]),
    ("sha1", &["server/websocket/frames.rs"]),
    ("tokio_io_timeout", &["server/listener.rs"]),
    ("rand", &["clock.rs"]),
    ("figment", &["config.rs"]),
    ("clap", &["cli.rs"]),
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
            } else if path.extension().is_some_and(|extension| extension == "rs") {
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
    /// The room or, in a feature, the file: the path's first part without its ending.
    fn room(&self) -> &str {
        self.path.split('/').next().unwrap().trim_end_matches(".rs")
    }

    /// The feature and the name of the file, for a file in a feature's folder.
    fn in_feature(&self) -> Option<(&str, &str)> {
        self.path.strip_prefix("features/")?.trim_end_matches(".rs").split_once('/')
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

fn rank(room: &str) -> Option<usize> {
    ROOMS.iter().position(|rooms| rooms.contains(&room))
}

#[track_caller]
fn none(what: &str, offences: &[String]) {
    assert!(offences.is_empty(), "{what}:\n  {}", offences.join("\n  "));
}

fn a_room_imports_only_from_rooms_before_it() {
    let mut offences = Vec::new();
    for source in sources().iter().filter(|source| !["lib.rs", "main.rs"].contains(&&*source.path)) {
        let own = rank(source.room()).unwrap_or_else(|| panic!("say in ROOMS where {} belongs", source.path));
        for path in source.paths("crate") {
            let room = path.split("::").next().unwrap();
            // A macro or the like of the crate's root.
            let Some(other) = rank(room) else { continue };
            if other > own {
                offences.push(format!("{} uses crate::{path}", source.path));
            }
        }
        if !source.paths("super::super").is_empty() {
            offences.push(format!("{} reaches beyond its parent by super::super", source.path));
        }
    }
    none("imports against the import rule", &offences);
}

fn inside_a_feature_each_file_keeps_to_its_place() {
    let mut offences = Vec::new();
    for source in sources() {
        let Some((feature, file)) = source.in_feature().filter(|(_, file)| *file != "mod") else { continue };
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
            let is_beyond =
                |path: &String| !["clock", "limits", "text"].contains(&path.split("::").next().unwrap_or_default());
            // Who may see a user is decided by what stands in the user's row.
            let is_excepted = |path: &String| source.path == "features/users/entity.rs" && path == "auth::Visibility";
            let beyond = source.paths("crate").into_iter().filter(is_beyond).filter(|path| !is_excepted(path));
            offences.extend(beyond.map(|path| format!("{} uses crate::{path}", source.path)));
        }
    }
    none("uses inside a feature that are not meant to be", &offences);
}

fn features_reach_each_other_through_services_only() {
    let mut offences = Vec::new();
    for source in sources() {
        let Some((feature, file)) = source.in_feature() else { continue };
        for path in source.paths("crate::features") {
            let mut steps = path.split("::");
            let (other, part) = (steps.next().unwrap(), steps.next());
            let fits = match part {
                None | Some("service") => {
                    ["service", "live", "accounts", "graphql", "rest", "merge", "erase"].contains(&file)
                }
                Some("write") => ["write", "rest"].contains(&file),
                Some("blocks") => file == "write",
                Some("owner") => ["merge", "erase"].contains(&file),
                Some("graphql") => file == "graphql",
                Some(_) => false,
            };
            if other != feature && !fits {
                offences.push(format!("{} uses crate::features::{path}", source.path));
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
            || ["graphql/pagination.rs", "graphql/refusal.rs"].contains(&&*source.path);
        if !shows {
            continue;
        }
        let mut is_shown = false;
        for line in source.code.lines() {
            let text = line.trim();
            if text.starts_with("#[derive(") {
                is_shown = text.contains("SimpleObject");
            } else if line == "}" {
                is_shown = false;
            }
            let is_field = is_shown && text.contains(": ") && text.contains("Vec<");
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
