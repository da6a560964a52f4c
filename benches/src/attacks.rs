//! Documents that are made to cost a server much. The tests see to it that each is refused or harmless, the benchmark
//! measures what that takes.

/// What becomes of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is too large in some way.
    TooMuch,
    /// It is no GraphQL, or does not fit the schema.
    Wrong,
    /// It is harmless and answered.
    Answered,
}

/// The attacks by name.
pub(crate) fn documents() -> Vec<(&'static str, Fate, String)> {
    use Fate::{Answered, TooMuch, Wrong};
    let times = |count: usize, text: &dyn Fn(usize) -> String| (0..count).map(text).collect::<String>();
    vec![
        ("fragments that double, 40 levels", TooMuch, {
            let fragments = times(40, &|n| format!(" fragment F{n} on Query {{ ...F{0} ...F{0} }}", n + 1));
            format!("query {{ ...F0 }}{fragments} fragment F40 on Query {{ viewer {{ kind }} }}")
        }),
        ("circular fragments", Wrong, {
            let fragments = times(80, &|n| format!(" fragment F{n} on Query {{ ...F{} }}", (n + 1) % 80));
            format!("query {{ ...F0 }}{fragments}")
        }),
        ("a fragment that spreads itself 1,000 times", Wrong, {
            format!("query {{ ...F }} fragment F on Query {{ viewer {{ kind }} {} }}", "...F ".repeat(1000))
        }),
        ("1,400 fragments in a chain", TooMuch, {
            let fragments = times(1400, &|n| format!(" fragment F{n} on Query {{ ...F{} }}", n + 1));
            format!("query {{ ...F0 }}{fragments} fragment F1400 on Query {{ viewer {{ kind }} }}")
        }),
        ("10,000 aliases", TooMuch, format!("{{ {} }}", times(10_000, &|n| format!("a{n}:__typename ")))),
        ("200 aliases of 100 games with 20 achievements each", TooMuch, {
            let list = "games(first: 100) { nodes { achievements { nodes { id } } } }";
            format!("{{ {} }}", times(200, &|n| format!("a{n}: {list} ")))
        }),
        ("10,000 directives", TooMuch, format!("{{ viewer {{ kind {} }} }}", "@skip(if: false) ".repeat(10_000))),
        ("10,000 directives that nobody knows", TooMuch, format!("{{ viewer {{ kind {} }} }}", "@a".repeat(10_000))),
        ("depth 10,000", TooMuch, format!("{{ viewer {} kind {} }}", "{ user ".repeat(10_000), "}".repeat(10_001))),
        ("depth 10,000 by inline fragments", TooMuch, {
            format!("{{ {} __typename {} }}", "... { ".repeat(10_000), "}".repeat(10_000))
        }),
        (
            "depth 10,000 of a list",
            TooMuch,
            format!("{{ nodes(ids: {}{}) {{ id }} }}", "[".repeat(10_000), "]".repeat(10_000)),
        ),
        ("depth 10,000 of an object", TooMuch, {
            format!("{{ user(by: {}1{}) {{ id }} }}", "{a:".repeat(10_000), "}".repeat(10_000))
        }),
        (
            "depth 10,000 of a type",
            TooMuch,
            format!("query($x: {}ID{}) {{ viewer {{ kind }} }}", "[".repeat(10_000), "]".repeat(10_000)),
        ),
        ("one field 7,000 times", Answered, format!("{{ viewer {{ {} }} }}", "kind ".repeat(7000))),
        ("one object 1,400 times", Answered, format!("{{ {} }}", "viewer { kind now } ".repeat(1400))),
        ("one object 900 times in 900 fragments", TooMuch, {
            let fragment = format!("fragment F on Query {{ {} }}", "viewer { kind } ".repeat(900));
            format!("{{ {} }} {fragment}", "...F ".repeat(900))
        }),
        ("introspection nested through types", Answered, {
            let inner = "fields { type { ".repeat(6);
            format!("{{ __schema {{ types {{ {inner} name {} }} }} }}", "} }".repeat(6))
        }),
        ("introspection four levels deep", Answered, {
            "{ __schema { types { fields { type { fields { type { fields { type { name } } } } } } } } }".to_owned()
        }),
        ("200 questions for the schema", TooMuch, {
            let one = |n| format!("a{n}: __schema {{ types {{ name fields {{ name args {{ name }} }} }} }} ");
            format!("{{ {} }}", times(200, &one))
        }),
        ("nested pages", TooMuch, {
            "{ games(first: 100) { nodes { achievements(first: 100) { nodes { game { achievements(first: 100) { nodes { id } } } } } } } }"
                .to_owned()
        }),
        ("100 users, 100 games each, 100 achievements each", TooMuch, {
            let names = times(100, &|_| "{handle: \"grace\"}".to_owned());
            format!(
                "{{ users(by: [{names}]) {{ games(first: 100) {{ nodes {{ achievements(first: 100) {{ nodes {{ unlockedAt }} }} }} }} }} }}"
            )
        }),
        (
            "a number of 100,000 digits",
            Wrong,
            format!("{{ games(first: {}) {{ nodes {{ id }} }} }}", "9".repeat(100_000)),
        ),
        (
            "a number with an exponent of nine digits",
            Wrong,
            "{ games(first: 1e999999999) { nodes { id } } }".to_owned(),
        ),
        ("a negative page", Answered, "{ games(first: -2147483648) { nodes { id } } }".to_owned()),
        ("a text of 900,000 signs", TooMuch, format!("{{ game(id: \"{}\") {{ id }} }}", "x".repeat(900_000))),
        ("a comment of 900,000 signs", TooMuch, format!("#{}\n{{ viewer {{ kind }} }}", "x".repeat(900_000))),
        ("900,000 commas", TooMuch, format!("{{ viewer {{ kind {} }} }}", ",".repeat(900_000))),
        ("900,000 brackets", TooMuch, "{".repeat(900_000)),
        ("900,000 signs that are no tokens", TooMuch, "?".repeat(900_000)),
        ("a text of 100,000 signs", Answered, format!("{{ game(id: \"{}\") {{ id }} }}", "x".repeat(100_000))),
        ("a comment of 100,000 signs", Answered, format!("#{}\n{{ viewer {{ kind }} }}", "x".repeat(100_000))),
        ("100,000 commas", TooMuch, format!("{{ viewer {{ kind {} }} }}", ",".repeat(100_000))),
        ("100,000 signs that are no tokens", TooMuch, "?".repeat(100_000)),
        (
            "7,000 variables",
            TooMuch,
            format!("query({}) {{ viewer {{ kind }} }}", times(7000, &|n| format!("$v{n}: Int "))),
        ),
        (
            "2,000 unused variables",
            Wrong,
            format!("query({}) {{ viewer {{ kind }} }}", times(2000, &|n| format!("$v{n}: Int "))),
        ),
        ("1,400 operations", Answered, times(1400, &|n| format!("query Q{n} {{ __typename }} "))),
        ("2,000 names of users", TooMuch, {
            format!("{{ users(by: [{}]) {{ games {{ nodes {{ id }} }} }} }}", "{handle: \"grace\"} ".repeat(2000))
        }),
        ("2,000 fields that nobody knows", Wrong, format!("{{ {} }}", times(2000, &|n| format!("f{n} ")))),
        ("conflicting fields in 190 places", Wrong, {
            format!(
                "{{ {} }}",
                times(190, &|n| format!("viewer {{ kind: {} }} ", if n % 2 == 0 { "now" } else { "kind" }))
            )
        }),
        ("overlapping fragments on one object", Answered, {
            let fragments =
                times(300, &|n| format!(" fragment F{n} on Viewer {{ kind now scopes appName user {{ id handle }} }}"));
            let spreads = times(300, &|n| format!("...F{n} "));
            format!("{{ viewer {{ {spreads} }} }}{fragments}")
        }),
    ]
}
