# Recipes of the daily loop. `just` without a name lists them; each line can be typed by hand too.

_default:
    @just --list

# Before a commit: format, lints, and the tests of every room (minutes; `just test` runs all).
check:
    cargo fmt --all
    cargo clippy --workspace --all-targets -- -D warnings
    cargo test --lib --bins --workspace

# The whole test suite, as the README says.
test:
    cargo test

# The tests whose names begin with `name`, on one database: `just it sqlite::games`.
it name:
    cargo test --test it -- {{name}}

# The long suites as a whole (an hour).
whole:
    TEST_WHOLE=1 cargo test --test it

# What is generated: the schema, and with Node the playground, its types, and the documents that are compared with graphql-js.
generate:
    cargo run --quiet -- schema > schema.graphql
    cd playground && npm ci && npm run build
    cd tests/oracle && npm ci && npm run generate

# What production runs.
dist:
    cargo build --profile dist --features jemalloc --locked
