//! Whether what is in `deploy/` runs what the program is: its settings, its figures, its command line.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use waymark::config::Config;

use crate::cli::{Ended, SECRET, Scratch, Server, ended, fails, output};
use crate::docs::{OPERATIONS, is_of_name, quoted, settings, table, words};
use crate::harness::{free_port, tests};

const UNIT: &str = include_str!("../../deploy/systemd/waymark.service");
const ENVIRONMENT: &str = include_str!("../../deploy/systemd/waymark.env");
const DOCKERFILE: &str = include_str!("../../deploy/Dockerfile");
const COMPOSE: &str = include_str!("../../deploy/compose.yaml");
const KUSTOMIZATION: &str = include_str!("../../deploy/kubernetes/kustomization.yaml");
const DASHBOARD: &str = include_str!("../../deploy/grafana/dashboard.json");
const ALERTS: [&str; 2] =
    [include_str!("../../deploy/prometheus/alerts.yml"), include_str!("../../deploy/prometheus/alerts.test.yml")];

tests! {
    once: [
        every_setting_is_one_and_its_value_fits,
        every_figure_that_is_watched_is_exported,
        every_alert_is_tried,
        panels_of_the_dashboard_stand_side_by_side,
        manifests_name_each_other_and_this_version,
        the_unit_starts_a_server_that_is_healthy,
        the_image_has_all_that_the_program_needs,
    ],
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")
}

/// Every file below a directory, with its text.
fn files(directory: &Path) -> Vec<(PathBuf, String)> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut all = Vec::new();
    for path in entries {
        match path.is_dir() {
            true => all.extend(files(&path)),
            false => all.push((path.clone(), fs::read_to_string(&path).unwrap())),
        }
    }
    all
}

/// Every setting that a line of a file gives a value: of an environment file, of a Dockerfile, of YAML.
fn given(text: &str) -> Vec<(&str, String)> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let settings = lines.filter_map(|line| {
        let at = line.find("WAYMARK_")?;
        let name = line[at..].split(|c| !is_of_name(c)).next()?;
        let rest = line[at + name.len()..].trim_start_matches(", value");
        let value = rest.strip_prefix(['=', ':'])?.trim().trim_end_matches(" }").trim_matches('"');
        Some((name, value))
    });
    settings.map(|(name, value)| (name, filled_in(value))).collect()
}

/// A value with something for what operators fill in.
fn filled_in(value: &str) -> String {
    let mut value = value.to_owned();
    while let Some((before, rest)) = value.split_once("${") {
        let after = rest.split_once('}').unwrap().1;
        value = format!("{before}{SECRET}{after}").replace(' ', "-");
    }
    value
}

fn every_setting_is_one_and_its_value_fits() {
    let known = settings();
    let mut seen = BTreeSet::new();
    for (path, text) in files(&directory()) {
        for name in words(&text, "WAYMARK_", is_of_name) {
            assert!(known.contains_key(name), "{name} in {} is no setting", path.display());
        }
        let given = given(&text);
        seen.extend(given.iter().map(|(name, _)| (*name).to_owned()));
        for one in given {
            let variables = [(one.0.to_owned(), one.1.clone())];
            let read = Config::from_sources(None, variables);
            assert!(read.is_ok(), "{one:?} in {}: {}", path.display(), read.unwrap_err());
        }
    }
    for name in ["DATABASE_URL", "JWT_SECRET", "LISTEN", "PROXIES", "DATABASE_MAX_CONNECTIONS"] {
        assert!(seen.contains(&format!("WAYMARK_{name}")), "{name} is read: {seen:?}");
    }
}

/// Every figure with the labels that the table of the documentation has for it.
fn figures() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let mut all = BTreeMap::new();
    for row in table(OPERATIONS, "| figure | kind, labels | what it says | look when |") {
        let labels = row[1].split_once(": ").map_or("", |(_, labels)| labels);
        let mut outside = String::new();
        let mut depth = 0;
        for c in labels.chars() {
            depth += i32::from(c == '(') - i32::from(c == ')');
            if depth == 0 && c != ')' {
                outside.push(c);
            }
        }
        let labels: BTreeSet<&str> = labels
            .split(|c: char| !c.is_ascii_lowercase())
            .filter(|word| outside.split(", ").any(|label| label.trim() == *word))
            .collect();
        for name in quoted(row[0]) {
            all.insert(name, labels.clone());
        }
    }
    all
}

/// The name of the figure that a series belongs to.
fn figure(series: &str) -> &str {
    let all = figures();
    let of_histogram = ["_bucket", "_sum", "_count"].into_iter().filter_map(|end| series.strip_suffix(end));
    of_histogram.chain([series]).find(|name| all.contains_key(*name)).unwrap_or_else(|| panic!("{series} is no figure"))
}

fn queries_of_the_dashboard() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let lists = [&dashboard["panels"], &dashboard["annotations"]["list"], &dashboard["templating"]["list"]];
    let places = lists.into_iter().flat_map(|list| list.as_array().unwrap()).flat_map(|place| {
        let targets = place["targets"].as_array().into_iter().flatten().map(|target| &target["expr"]);
        targets.chain([&place["expr"], &place["definition"]])
    });
    places.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn every_figure_that_is_watched_is_exported() {
    let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
    let mut shown = BTreeSet::new();
    for query in queries_of_the_dashboard() {
        for series in words(&query, "waymark_", is_part) {
            shown.insert(figure(series).to_owned());
            let rest = query.split_once(series).unwrap().1;
            let Some(labels) = rest.strip_prefix('{').and_then(|rest| rest.split('}').next()) else { continue };
            for label in labels.split(", ").map(|pair| pair.split(['=', '!']).next().unwrap()) {
                let known = ["job", "instance"].contains(&label) || figures()[figure(series)].contains(label);
                assert!(known, "{label} is no label of {series}: {query}");
            }
        }
        for group in query.split(" by (").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            for label in group.split(", ") {
                let everywhere = ["job", "instance", "le"].contains(&label);
                let known =
                    words(&query, "waymark_", is_part).into_iter().all(|s| figures()[figure(s)].contains(label));
                assert!(everywhere || known, "{label} is no label: {query}");
            }
        }
    }
    let all: BTreeSet<String> = figures().into_keys().map(str::to_owned).collect();
    assert_eq!(shown, all, "the dashboard shows every figure");
    for text in ALERTS {
        for series in words(text, "waymark_", is_part) {
            figure(series);
        }
        for pairs in text.split("waymark_").skip(1).filter_map(|rest| rest.split_once('{')?.1.split('}').next()) {
            for label in pairs.split([',', ' ']).filter_map(|pair| pair.split_once('=')).map(|(label, _)| label) {
                let known = figures().values().any(|labels| labels.contains(label));
                assert!(known || ["job", "instance", "le"].contains(&label), "{label} in {pairs}");
            }
        }
    }
}

/// The words behind this one, one a line.
fn behind<'a>(text: &'a str, word: &str) -> BTreeSet<&'a str> {
    text.lines().filter_map(|line| line.split_once(word)?.1.split([',', ' ', '}']).next()).collect()
}

fn every_alert_is_tried() {
    assert_eq!(behind(ALERTS[0], "alert: "), behind(ALERTS[1], "  alertname: "), "each has a test");
}

fn panels_of_the_dashboard_stand_side_by_side() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let (mut taken, mut ids) = (BTreeSet::new(), BTreeSet::new());
    for panel in dashboard["panels"].as_array().unwrap() {
        let at = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        assert!(ids.insert(panel["id"].as_u64()) && at("x") + at("w") <= 24, "{}", panel["title"]);
        for (x, y) in (at("x")..at("x") + at("w")).flat_map(|x| (at("y")..at("y") + at("h")).map(move |y| (x, y))) {
            assert!(taken.insert((x, y)), "{} is upon another one", panel["title"]);
        }
    }
}

fn manifests_name_each_other_and_this_version() {
    let version = env!("CARGO_PKG_VERSION");
    assert!(KUSTOMIZATION.contains(&format!("newTag: {version}\n")), "the images of Kubernetes");
    assert!(COMPOSE.contains(&format!("image: waymark:{version}\n")), "the image of compose");
    assert!(DOCKERFILE.contains(&format!("-t waymark:{version}")), "the image that is built");
    let rust = include_str!("../../Cargo.toml").split("rust-version = \"").nth(1).unwrap().split('"').next().unwrap();
    assert!(DOCKERFILE.contains(&format!("FROM rust:{rust}-")), "the compiler that builds it");
    let listed: BTreeSet<&str> = KUSTOMIZATION.lines().filter_map(|line| line.strip_prefix("  - ")).collect();
    let listed: BTreeSet<&str> = listed.into_iter().filter(|name| name.ends_with(".yaml")).collect();
    let there: BTreeSet<String> = fs::read_dir(directory().join("kubernetes"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".yaml") && !["kustomization.yaml", "secrets.example.yaml"].contains(&&**name))
        .collect();
    assert_eq!(listed, there.iter().map(String::as_str).collect(), "the kustomization has every manifest");
    let ci = include_str!("../../.ci/run").split("deploy/kubernetes/{").nth(1).unwrap().split('}').next().unwrap();
    let checked: BTreeSet<String> = ci.split(',').map(|name| format!("{name}.yaml")).collect();
    assert!(there.is_subset(&checked), "CI looks at every manifest: {checked:?}");
}

/// The words of the one line of a unit or an image that begins so, with the program left out.
fn command_line(text: &'static str, start: &str) -> Vec<&'static str> {
    let line = text.lines().find_map(|line| line.strip_prefix(start)).unwrap_or_else(|| panic!("there is {start}"));
    let words = line.trim_start_matches('[').trim_end_matches(']').split([' ', ',']);
    words.map(|word| word.trim_matches('"')).filter(|word| !word.is_empty() && !word.ends_with("/waymark")).collect()
}

fn the_unit_starts_a_server_that_is_healthy() {
    let scratch = Scratch::new();
    let state = scratch.0.display().to_string();
    let variables: Vec<(&str, String)> =
        given(ENVIRONMENT).into_iter().map(|(name, value)| (name, value.replace("/var/lib/waymark", &state))).collect();
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert!(UNIT.contains("\nStateDirectory=waymark\n"), "where its database is");
    let mut server = Server::start(&command_line(UNIT, "ExecStart="), &variables, "Serving on ");
    let listen = server.address.trim_start_matches("http://").to_owned();
    assert_eq!(output(&["health"], &[("WAYMARK_LISTEN", &*listen)]), "ready\n");
    assert!(scratch.0.join("waymark.db").is_file());
    assert_eq!(server.terminate(), Some(0), "as `Restart=on-failure` asks for");
    fails(1, &["health"], &[("WAYMARK_LISTEN", &*listen)], "refused");
}

/// The directory of an image, laid out as its build does.
fn image() -> Scratch {
    let root = Scratch::new();
    let made = Command::new("sh")
        .arg(directory().join("image.sh"))
        .args([Path::new(env!("CARGO_BIN_EXE_waymark")), root.0.as_path()])
        .status();
    assert!(made.unwrap().success());
    // What runs containers puts these there.
    fs::write(root.0.join("etc/hosts"), "127.0.0.1 localhost database\n").unwrap();
    fs::write(root.0.join("etc/resolv.conf"), "").unwrap();
    root
}

/// A command that runs what follows in this directory as its root, and as its user where we may choose.
fn inside(root: &Path) -> Command {
    let is_root = fs::metadata("/proc/self").is_ok_and(|it| std::os::unix::fs::MetadataExt::uid(&it) == 0);
    let mut command = Command::new(if is_root { "chroot" } else { "unshare" });
    match is_root {
        true => command.arg("--userspec=10001:10001"),
        false => command.args(["--map-root-user", "chroot"]),
    };
    command.arg(root);
    command
}

/// How a command of the program ends in there.
fn run_inside(root: &Path, arguments: &[&str], settings: &[(&str, &str)]) -> Ended {
    let mut command = inside(root);
    command.arg("/usr/local/bin/waymark").args(arguments).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command.envs(settings.iter().copied());
    ended(&mut command)
}

fn the_image_has_all_that_the_program_needs() {
    let image = image();
    let root = &image.0;
    let port = free_port().unwrap();
    let listen = format!("127.0.0.1:{port}");
    let settings = [
        ("WAYMARK_LISTEN", &*listen),
        ("WAYMARK_DATABASE_URL", "sqlite:///data/waymark.db"),
        ("WAYMARK_JWT_SECRET", SECRET),
    ];
    let made = run_inside(root, &["migrate"], &settings);
    assert_eq!(made.code, 0, "{}", made.err);
    let mut command = inside(root);
    command.arg("/usr/local/bin/waymark").args(command_line(DOCKERFILE, "CMD ")).envs(settings);
    let mut server = Server::spawn_as_it_is(Scratch::new(), command, "Serving on ");
    assert_eq!(server.address, format!("http://{listen}"));
    let health = DOCKERFILE.split("HEALTHCHECK").nth(1).unwrap().lines().next().unwrap();
    assert!(health.ends_with(r#"CMD ["/usr/local/bin/waymark", "health"]"#), "{health}");
    let asked = run_inside(root, &["health"], &settings[..1]);
    assert_eq!((asked.code, &*asked.out), (0, "ready\n"), "{}", asked.err);
    assert_eq!(server.terminate(), Some(0));
    // Names are looked up there, and encrypted connections need no file of authorities.
    let away = [("WAYMARK_DATABASE_URL", "postgres://me@database:1/waymark?sslmode=verify-full"), settings[2]];
    let told = run_inside(root, &["migrate"], &away);
    assert!(told.code == 1 && told.err.contains("database:1") && told.err.contains("refused"), "{}", told.err);
}
