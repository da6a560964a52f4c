//! The search for the document that costs a server most for what it pays.
//!
//! Documents grow at random from the schema, with the largest arguments that are allowed, and are then changed step by
//! step, where each change stays that makes them worse. The tests see to it that no answer is longer than it was paid for;
//! the benchmark measures what the answers take.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use apollo_compiler::Schema;
use apollo_compiler::ast::Type;
use apollo_compiler::schema::ExtendedType;
use serde_json::{Value, json};

/// How many bytes of the answer one unit of cost pays for.
pub(crate) const BYTES: u64 = 400;

/// Who has a lot of everything.
pub(crate) const HANDLE: &str = "croesus";
/// How many resources each of this user's study plan instances has.
const PLAN: u32 = 20;

/// Numbers that only look random, the same for the same seed.
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(2).wrapping_add(0x9E37_79B9_7F4A_7C15))
    }

    /// A number below `end`, which is more than 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap_or(0)
    }

    fn pick<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        if all.is_empty() { None } else { all.get(self.below(all.len())) }
    }
}

/// Records for `waymark import` that give one user a lot of everything.
pub(crate) fn riches(instances: u32, lots: u32, notes: u32) -> String {
    let mut lines = String::new();
    let mut line = |record: Value| {
        let _ = writeln!(lines, "{record}");
    };
    let account = json!({ "provider": "jwt", "id": format!("|{HANDLE}") });
    line(
        json!({ "type": "user", "handle": HANDLE, "visibility": "PUBLIC", "createdAt": "2026-01-02T09:00:00Z", "accounts": [account] }),
    );
    let key = |n: u32| format!("worst-{n}");
    for n in 0..notes.max(PLAN) {
        line(json!({ "type": "resource", "key": key(n), "title": format!("Resource number {n}") }));
    }
    let resources: Vec<_> = (0..PLAN).map(key).collect();
    line(json!({ "type": "studyPlan", "key": "worst", "title": "The worst", "resources": resources }));
    for n in 0..notes {
        line(json!({
            "type": "resourceProgress", "user": HANDLE, "resource": key(n), "completed": n % 2 == 0, "progress": 50,
            "notes": "🦀".repeat(10_000), "createdAt": "2026-02-01T12:00:00Z",
        }));
    }
    for n in 1..=instances {
        line(json!({
            "type": "studyPlanInstance", "user": HANDLE, "number": n, "plan": "worst", "title": "🦀".repeat(200),
            "createdAt": "2026-04-01T12:00:00Z",
        }));
    }
    for n in 0..lots {
        line(json!({
            "type": "creditLot", "user": HANDLE, "ref": format!("lot-{n}"), "amountMicros": 1_000_000 + n,
            "grantedAt": "2026-05-01T12:00:00Z", "expiresAt": format!("2099-01-01T00:{:02}:{:02}Z", n / 60 % 60, n % 60),
            "reason": "🦀".repeat(500),
        }));
    }
    lines
}

/// Documents that took a server once, by name, each with its variables.
pub(crate) fn known() -> Vec<(&'static str, String, Value)> {
    let none = Value::Null;
    let aliases = |count: usize, field: &dyn Fn(usize) -> String| (0..count).map(field).collect::<String>();
    let ids = |count: usize| json!({ "i": vec!["game:1"; count] });
    let user = format!("user(by: {{handle: \"{HANDLE}\"}})");
    let own = |field: &str| format!("{{ {user} {{ {field} }} }}");
    vec![
        ("a cycle of four lists", "{currentSeason{goals{season{goals{season{goals{season{goals{id}}}}}}}}}".to_owned(), none.clone()),
        ("a cycle of two lists", "{currentSeason{goals{season{goals{id title}}}}}".to_owned(), none.clone()),
        (
            "a cycle of two lists with all fields",
            "{currentSeason{goals{season{goals{id key title description thumbnail week totalSteps}}}}}".to_owned(),
            none.clone(),
        ),
        ("one field 7,000 times of 200 nodes", format!("query($i:[ID!]!){{nodes(ids:$i){{{}}}}}", "id ".repeat(7000)), ids(200)),
        ("one field 900 times of 20 nodes", format!("query($i:[ID!]!){{nodes(ids:$i){{{}}}}}", "id ".repeat(900)), ids(20)),
        (
            "200 nodes 90 times",
            format!("query($i:[ID!]!){{{}}}", aliases(90, &|n| format!("a{n}:nodes(ids:$i){{id}}"))),
            ids(200),
        ),
        (
            "all achievements of all games",
            "{games(first:99){nodes{achievements(first:99){nodes{id key title description badge points kind}}}}}".to_owned(),
            none.clone(),
        ),
        ("few fields of all achievements", "{games(first:99){nodes{achievements(first:99){nodes{id title}}}}}".to_owned(), none.clone()),
        (
            "aliases of 600 letters",
            format!("{{games(first:99){{nodes{{achievements(first:99){{nodes{{{}:id}}}}}}}}}}", "a".repeat(600)),
            none.clone(),
        ),
        (
            "aliases of 600 letters of few",
            format!("{{games(first:9){{nodes{{achievements(first:9){{nodes{{{}:id}}}}}}}}}}", "a".repeat(600)),
            none.clone(),
        ),
        (
            "60 lists of instances",
            own(&aliases(60, &|n| format!("a{n}:studyPlanInstances(first:100){{title percent resources{{completed resource{{key title}}}}}}"))),
            none.clone(),
        ),
        ("instances with their resources", own("studyPlanInstances{title percent completedCount resources{completed markedAt resource{key title description}}}"), none.clone()),
        ("instances that have come so far", own("studyPlanInstances(status: IN_PROGRESS, first: 100){title}"), none.clone()),
        ("150 overviews", own(&aliases(150, &|n| format!("a{n}:overview(first:100){{nodes{{title}}}}"))), none.clone()),
        ("12 overviews", own(&aliases(12, &|n| format!("a{n}:overview(first:100){{nodes{{title}}}}"))), none.clone()),
        ("notes", own("resources(first:100){nodes{notes}}"), none.clone()),
        ("lots with their reasons", own(&aliases(20, &|n| format!("a{n}:credits{{lots{{number reason}}}}"))), none.clone()),
        ("a season of who has a thousand lots", own("season(id:\"first-light\"){state goals(all:true){isClaimable}}"), none.clone()),
        ("what a thousand lots come to", own("credits{available{credits} expiresIn}"), none.clone()),
        (
            "50 exports",
            format!("{{{}}}", aliases(50, &|n| format!("a{n}:exportUser(user:{{handle:\"{HANDLE}\"}})"))),
            none.clone(),
        ),
        (
            "three exports",
            format!("{{{}}}", aliases(3, &|n| format!("a{n}:exportUser(user:{{handle:\"grace\"}})"))),
            none.clone(),
        ),
        (
            "a search for a text of 300 KB",
            format!("query($t:String!){{{}}}", aliases(199, &|n| format!("a{n}:games(search:$t){{totalCount}}"))),
            json!({ "t": "x".repeat(300_000) }),
        ),
        (
            "199 searches",
            format!("query($t:String!){{{}}}", aliases(199, &|n| format!("a{n}:games(search:$t){{nodes{{id}}}}"))),
            json!({ "t": "é".repeat(200) }),
        ),
        (
            "the schema",
            "{__schema{types{name description fields{name description args{name type{name ofType{name}}} type{name ofType{name}}}}}}"
                .to_owned(),
            none,
        ),
    ]
}

/// What can be asked for.
#[derive(Debug)]
pub(crate) struct Grammar {
    types: BTreeMap<String, Vec<Field>>,
    /// The types of which an object of an interface may be.
    possible: BTreeMap<String, Vec<String>>,
    names: Names,
}

/// What is there to be named in arguments.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) games: Vec<String>,
    pub(crate) collections: Vec<String>,
    pub(crate) resources: Vec<String>,
    pub(crate) seasons: Vec<String>,
    pub(crate) plans: Vec<String>,
    /// Global ids of all types.
    pub(crate) nodes: Vec<String>,
}

impl Names {
    /// The keys and ids in an answer that has lists of these names.
    pub(crate) fn of(data: &Value) -> Self {
        let keys = |list: &str| -> Vec<String> {
            let nodes = data[list]["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
            nodes.iter().filter_map(|node| node["key"].as_str().map(str::to_owned)).collect()
        };
        let mut nodes = Vec::new();
        collect(data, &mut nodes);
        Self {
            games: keys("games"),
            collections: keys("collections"),
            resources: keys("resources"),
            seasons: keys("seasons"),
            plans: keys("studyPlans"),
            nodes,
        }
    }
}

/// All global ids in an answer, in turns, so that any few of them are of many types.
fn collect(value: &Value, ids: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, ids)),
        Value::Object(members) => {
            if let Some(Value::String(id)) = members.get("id") {
                ids.insert(ids.len() / 2, id.clone());
            }
            members.values().for_each(|member| collect(member, ids));
        }
        _ => {}
    }
}

#[derive(Debug, Clone)]
struct Field {
    name: String,
    of: String,
    leaf: bool,
    /// The name of each argument, its type, and whether it is a list.
    arguments: Vec<(String, String, bool)>,
}

/// A part of a document.
#[derive(Debug, Clone)]
pub(crate) enum Piece {
    Field { alias: String, field: String, arguments: String, of: String, inside: Vec<Self> },
    On { of: String, inside: Vec<Self> },
}

impl Grammar {
    pub(crate) fn new(sdl: &str, names: Names) -> Self {
        let schema = Schema::parse_and_validate(sdl, "schema.graphql").map_err(|faults| faults.to_string());
        let (mut types, mut possible) = (BTreeMap::new(), BTreeMap::<String, Vec<String>>::new());
        for (name, ty) in schema.iter().flat_map(|schema| &schema.types).filter(|(name, _)| !name.starts_with("__")) {
            let fields = match ty {
                ExtendedType::Object(object) => {
                    for interface in &object.implements_interfaces {
                        possible.entry(interface.name.to_string()).or_default().push(name.to_string());
                    }
                    &object.fields
                }
                ExtendedType::Interface(interface) => &interface.fields,
                _ => continue,
            };
            let fields = fields.values().map(|field| {
                let of = field.ty.inner_named_type();
                let ty = schema.as_ref().ok().and_then(|schema| schema.types.get(of));
                let argument = |argument: &apollo_compiler::ast::InputValueDefinition| {
                    let ty: &Type = &argument.ty;
                    (argument.name.to_string(), ty.inner_named_type().to_string(), ty.is_list())
                };
                Field {
                    name: field.name.to_string(),
                    of: of.to_string(),
                    leaf: !matches!(ty, Some(ExtendedType::Object(_) | ExtendedType::Interface(_))),
                    arguments: field.arguments.iter().map(|one| argument(one)).collect(),
                }
            });
            types.insert(name.to_string(), fields.collect());
        }
        Self { types, possible, names }
    }

    /// A document grown at random.
    pub(crate) fn grow(&self, rng: &mut Rng) -> Vec<Piece> {
        self.selection("Query", 0, rng)
    }

    fn selection(&self, of: &str, depth: usize, rng: &mut Rng) -> Vec<Piece> {
        let count = 1 + rng.below(4);
        let mut pieces: Vec<_> = (0..count).filter_map(|_| self.piece(of, depth, rng)).collect();
        if pieces.is_empty() {
            pieces.push(Piece::Field {
                alias: String::new(),
                field: "__typename".to_owned(),
                arguments: String::new(),
                of: "String".to_owned(),
                inside: Vec::new(),
            });
        }
        pieces
    }

    fn piece(&self, of: &str, depth: usize, rng: &mut Rng) -> Option<Piece> {
        if let Some(one) = self.possible.get(of).filter(|_| rng.below(2) == 0).and_then(|all| rng.pick(all)) {
            return Some(Piece::On { of: one.clone(), inside: self.selection(one, depth + 1, rng) });
        }
        let fields: Vec<&Field> = self.types.get(of)?.iter().filter(|field| field.leaf || depth < 12).collect();
        let field = *rng.pick(&fields)?;
        let arguments = self.arguments(of, field, rng);
        let inside = if field.leaf { Vec::new() } else { self.selection(&field.of, depth + 1, rng) };
        // Two of one name would have to be merged, and differ in their arguments.
        let alias = format!("x{}", rng.below(1_000_000));
        Some(Piece::Field { alias, field: field.name.clone(), arguments, of: field.of.clone(), inside })
    }

    fn arguments(&self, parent: &str, field: &Field, rng: &mut Rng) -> String {
        let given = field.arguments.iter().filter_map(|(name, ty, is_list)| {
            let value = match (name.as_str(), ty.as_str()) {
                ("first", _) => rng.pick(&["1", "5", "20", "100", "100"])?.to_string(),
                ("search", _) => format!("{:?}", rng.pick(&["a", "", "zzzzzzzzzzzzzzzzzzzz"])?),
                ("text", _) => "\"\"".to_owned(),
                ("all", _) => "true".to_owned(),
                (_, "UserBy") if *is_list => {
                    let count = *rng.pick(&[1, 20, 200])?;
                    format!("[{}]", format!("{{handle: \"{HANDLE}\"}} ").repeat(count))
                }
                (_, "UserBy") => format!("{{handle: \"{HANDLE}\"}}"),
                ("ids" | "gameIds" | "resourceIds", _) => {
                    let all = self.ids(parent, name);
                    let count = *rng.pick(&[1, 20, 200])?;
                    let ids = all.iter().cycle().take(if all.is_empty() { 0 } else { count });
                    format!("[{}]", ids.map(|id| format!("{id:?} ")).collect::<String>())
                }
                ("id", "ID") => format!("{:?}", rng.pick(self.ids(parent, &field.name))?),
                _ => return None,
            };
            Some(format!("{name}: {value}"))
        });
        let given: Vec<_> = given.collect();
        if given.is_empty() { String::new() } else { format!("({})", given.join(", ")) }
    }

    fn ids(&self, parent: &str, of: &str) -> &[String] {
        match (parent, of) {
            (_, "gameIds" | "game") => &self.names.games,
            (_, "resourceIds" | "resource") => &self.names.resources,
            (_, "collection") => &self.names.collections,
            (_, "season") => &self.names.seasons,
            (_, "studyPlan") => &self.names.plans,
            _ => &self.names.nodes,
        }
    }

    /// The same document with one change. Says whether the change only adds to it.
    pub(crate) fn change(&self, document: &[Piece], rng: &mut Rng) -> (Vec<Piece>, bool) {
        let mut changed = document.to_vec();
        let kind = rng.below(6);
        let place = rng.below(count(&changed).max(1));
        let mut left = place;
        self.change_at(&mut changed, "Query", 0, &mut left, kind, rng);
        (changed, kind < 3)
    }

    /// Changes the selection that has the piece of this number.
    fn change_at(
        &self,
        pieces: &mut Vec<Piece>,
        of: &str,
        depth: usize,
        left: &mut usize,
        kind: usize,
        rng: &mut Rng,
    ) -> bool {
        for place in 0..pieces.len() {
            if *left == 0 {
                self.change_here(pieces, place, of, depth, kind, rng);
                return true;
            }
            *left -= 1;
            let done = match pieces.get_mut(place) {
                Some(Piece::Field { of, inside, .. } | Piece::On { of, inside }) => {
                    let of = of.clone();
                    self.change_at(inside, &of, depth + 1, left, kind, rng)
                }
                None => false,
            };
            if done {
                return true;
            }
        }
        false
    }

    fn change_here(&self, pieces: &mut Vec<Piece>, place: usize, of: &str, depth: usize, kind: usize, rng: &mut Rng) {
        let Some(piece) = pieces.get(place).cloned() else { return };
        match (kind, piece) {
            // One more of something.
            (0, _) => pieces.extend(self.piece(of, depth, rng)),
            // The same under other names.
            (1, Piece::Field { field, arguments, of, inside, .. }) => {
                for _ in 0..=rng.below(9) {
                    let alias = format!("x{}", rng.below(1_000_000));
                    let (field, arguments, of) = (field.clone(), arguments.clone(), of.clone());
                    pieces.push(Piece::Field { alias, field, arguments, of, inside: inside.clone() });
                }
            }
            (1, piece @ Piece::On { .. }) => pieces.push(piece),
            // The same again and again.
            (2, piece) => {
                let times = *rng.pick(&[1, 5, 50]).unwrap_or(&1);
                pieces.extend(std::iter::repeat_n(piece, times));
            }
            // Another name, and other arguments.
            (3, Piece::Field { field, of: inner, inside, .. }) => {
                let known = self.types.get(of).and_then(|fields| fields.iter().find(|one| one.name == field));
                let arguments = known.map(|known| self.arguments(of, known, rng)).unwrap_or_default();
                let alias = format!("x{}{}", rng.below(1_000_000), "y".repeat(rng.below(300)));
                if let Some(here) = pieces.get_mut(place) {
                    *here = Piece::Field { alias, field, arguments, of: inner, inside };
                }
            }
            // Nothing of it, where something is left.
            _ if pieces.len() > 1 => {
                pieces.remove(place);
            }
            _ => {}
        }
    }
}

fn count(pieces: &[Piece]) -> usize {
    let inside = |piece: &Piece| match piece {
        Piece::Field { inside, .. } | Piece::On { inside, .. } => 1 + count(inside),
    };
    pieces.iter().map(inside).sum()
}

/// The text of a document.
pub(crate) fn text(pieces: &[Piece]) -> String {
    let mut text = String::new();
    write(pieces, &mut text);
    text
}

fn write(pieces: &[Piece], text: &mut String) {
    text.push('{');
    for piece in pieces {
        let inside = match piece {
            Piece::Field { alias, field, arguments, inside, .. } => {
                if !alias.is_empty() {
                    let _ = write!(text, "{alias}: ");
                }
                let _ = write!(text, "{field}{arguments}");
                inside
            }
            Piece::On { of, inside } => {
                let _ = write!(text, "... on {of}");
                inside
            }
        };
        if !inside.is_empty() {
            write(inside, text);
        }
        text.push(' ');
    }
    text.push('}');
}
