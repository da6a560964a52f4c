//! Encrypted connections, as libpq makes them.

use super::{of, value};
use crate::cli::{SECRET, fails, run};
use crate::harness::{Cluster, tests};

tests! {
    once: [
        certificates_are_checked_only_when_that_is_asked_for,
    ],
}

fn certificates_are_checked_only_when_that_is_asked_for() {
    let Some(mut cluster) = Cluster::to_be_killed("") else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(super::sql(&cluster.url, "CREATE DATABASE waymark"));
    let url = of(&[cluster.port]).replace("127.0.0.1", "localhost");
    let root = cluster.directory.join("authority.crt").display().to_string();
    let settings = |parameters: &str| format!("{url}?{parameters}");
    let connects = |parameters: &str| {
        let url = settings(parameters);
        let ended = run(&["migrate", "status"], &[("WAYMARK_DATABASE_URL", &*url), ("WAYMARK_JWT_SECRET", SECRET)]);
        assert_eq!(ended.code, 0, "{parameters}: {}", ended.err);
    };
    let refused = |parameters: &str, words: &str| {
        fails(1, &["migrate", "status"], &[("WAYMARK_DATABASE_URL", &*settings(parameters))], words);
    };
    connects("");
    refused("sslmode=require", "does not support TLS");

    cluster.encrypt("third");
    connects("sslmode=prefer");
    let encrypted = "SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let encrypted = async |parameters: &str| value(&settings(parameters), encrypted).await;
    runtime.block_on(async {
        for mode in ["prefer", "require"] {
            assert_eq!(encrypted(&format!("sslmode={mode}")).await, "true", "{mode}");
        }
        assert_eq!(encrypted("sslmode=disable").await, "false");
    });
    connects("sslmode=require");
    connects(&format!("sslmode=verify-full&sslrootcert={root}"));
    refused("sslmode=verify-full", "certificate");
    // Whoever names an authority wants it asked.
    connects(&format!("sslmode=require&sslrootcert={root}"));
    let other = "sslmode=verify-full&sslrootcert=";
    let by_number = settings(&format!("{other}{root}")).replace("localhost", "127.0.0.1");
    fails(1, &["migrate", "status"], &[("WAYMARK_DATABASE_URL", &*by_number)], "certificate");

    // One that this program cannot read keeps nobody out who does not check it.
    cluster.encrypt("first");
    connects("");
    connects("sslmode=prefer");
    refused(&format!("sslmode=verify-full&sslrootcert={root}"), "ertificate");
}
