//! Backups that are put back, and what stands beside a database's file.

use std::path::Path;
use std::process::Command;

use sea_orm::{ConnectionTrait as _, Database};

use crate::cli::{SECRET, Scratch, Server, fails, output, run, run_in};
use crate::harness::tests;

tests! {
    once: [
        a_backup_is_put_back_and_what_belongs_to_the_old_file_goes,
        what_is_no_whole_copy_is_not_put_back,
        a_copy_is_put_where_a_link_leads_to_and_what_has_a_name_like_its_own_stays,
        a_log_of_another_file_is_refused,
        a_log_of_ones_own_is_kept,
        a_file_that_is_no_database_stays_as_it_is,
        many_programs_open_one_file_at_once_and_none_is_refused,
        a_file_that_may_only_be_read_is_exported_and_verified,
    ],
}

/// An SQLite database in a directory of its own.
struct File {
    scratch: Scratch,
    path: String,
    url: String,
}

impl File {
    /// One with so many users of the demo data.
    fn with_users(users: &str) -> Self {
        let scratch = Scratch::new();
        let path = scratch.0.join("waymark.db").display().to_string();
        let file = Self { url: format!("sqlite://{path}"), path, scratch };
        file.does(&["migrate"]);
        file.does(&["demo", "--users", users]);
        file
    }

    fn settings(&self) -> [(&str, &str); 2] {
        [("WAYMARK_DATABASE_URL", &self.url), ("WAYMARK_JWT_SECRET", SECRET)]
    }

    #[track_caller]
    fn does(&self, arguments: &[&str]) -> String {
        output(arguments, &self.settings())
    }

    fn serve(&self) -> Server {
        Server::start(&["serve"], &self.settings(), "Serving on ")
    }

    fn beside(&self, name: &str) -> String {
        self.scratch.0.join(name).display().to_string()
    }

    fn has(&self, suffix: &str) -> bool {
        Path::new(&format!("{}{suffix}", self.path)).exists()
    }

    /// Whether something is left of a copy that was begun.
    fn has_partial(&self) -> bool {
        let names = std::fs::read_dir(&self.scratch.0).unwrap().map(|found| found.unwrap().file_name());
        names.into_iter().any(|name| name.to_string_lossy().contains("partial"))
    }

    /// Puts a copy in place as `cp` does, beside what was left of the log.
    fn put(&self, copy: &str, log: &[u8]) {
        std::fs::copy(copy, &self.path).unwrap();
        std::fs::write(format!("{}-wal", self.path), log).unwrap();
        let _ = std::fs::remove_file(format!("{}-shm", self.path));
    }

    /// Writes beside a server that is then killed; what is in the log is left.
    fn write_and_kill(&self) -> Vec<u8> {
        let server = self.serve();
        self.does(&["demo", "--users", "12"]);
        server.kill();
        std::fs::read(format!("{}-wal", self.path)).unwrap()
    }
}

fn a_backup_is_put_back_and_what_belongs_to_the_old_file_goes() {
    let file = File::with_users("3");
    let copy = file.beside("copy.db");
    file.does(&["key", "create", "--name", "before", "--scope", "admin"]);
    file.does(&["backup", &copy]);
    let bytes = std::fs::read(&copy).unwrap();
    let server = file.serve();
    file.does(&["key", "create", "--name", "after", "--scope", "admin"]);
    fails(1, &["restore", &copy], &file.settings(), "is in use: stop the server");
    assert!(file.does(&["key", "list"]).contains("after"), "nothing was changed");
    server.kill();
    assert!(file.has("-wal"));

    let restored = run(&["restore", &copy], &file.settings());
    assert_eq!((restored.code, &*restored.out), (0, ""), "{}", restored.err);
    assert!(restored.err.contains("3 users: everything follows from its source"), "{}", restored.err);
    assert!(!file.has("-wal") && !file.has("-shm") && !file.has_partial());
    assert!(std::fs::read(&copy).unwrap() == bytes, "the copy stays as it is");
    let keys = file.does(&["key", "list"]);
    assert!(keys.contains("before") && !keys.contains("after"), "{keys}");
    // Where there is no file any more, too.
    std::fs::remove_file(&file.path).unwrap();
    file.does(&["restore", &copy]);
    assert!(file.does(&["key", "list"]).contains("before"));
}

fn what_is_no_whole_copy_is_not_put_back() {
    let file = File::with_users("3");
    let (copy, half, text) = (file.beside("copy.db"), file.beside("half.db"), file.beside("text.db"));
    file.does(&["backup", &copy]);
    let bytes = std::fs::read(&copy).unwrap();
    std::fs::write(&half, &bytes[..bytes.len() / 2]).unwrap();
    std::fs::write(&text, "a database, it says").unwrap();
    let before = std::fs::read(&file.path).unwrap();
    let logged = file.beside("logged.db");
    std::fs::write(&logged, &bytes).unwrap();
    std::fs::write(format!("{logged}-wal"), "something").unwrap();
    for (from, words) in [
        (half.as_str(), "is no database to restore"),
        (&text, "is no database to restore"),
        (&logged, "-wal beside it"),
        (&file.path, "is the database itself"),
        (&file.beside("missing.db"), "cannot read"),
        ("/", "is no file"),
    ] {
        fails(1, &["restore", from], &file.settings(), words);
        assert!(std::fs::read(&file.path).unwrap() == before, "{from}: nothing is changed");
        assert!(!file.has_partial());
    }
    let postgres = [("WAYMARK_DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing")];
    fails(1, &["restore", &copy], &postgres, "pg_restore");
}

fn a_log_of_another_file_is_refused() {
    let file = File::with_users("3");
    let stopped = file.beside("stopped.db");
    std::fs::copy(&file.path, &stopped).unwrap();
    let (backup, vacuumed) = (file.beside("backup.db"), file.beside("vacuumed.db"));
    file.does(&["backup", &backup]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let connection = Database::connect(&file.url).await.unwrap();
        connection.execute_unprepared(&format!("VACUUM INTO '{vacuumed}'")).await.unwrap();
        connection.close().await.unwrap();
    });
    let log = file.write_and_kill();
    for copy in [&backup, &vacuumed, &stopped] {
        for arguments in [&["serve"][..], &["verify"], &["export"], &["migrate"], &["backup", "x.db"]] {
            file.put(copy, &log);
            let ended = run(arguments, &file.settings());
            assert_eq!((ended.code, ended.err.lines().count()), (1, 1), "{copy} {arguments:?}: {}", ended.err);
            assert!(ended.err.contains("-wal does not belong to") && ended.err.contains("waymark restore"));
        }
        // What the line says helps, on one way as on the other.
        file.does(&["restore", &backup]);
        assert!(!file.has("-wal"));
        file.put(copy, b"");
        file.does(&["verify"]);
    }
}

fn a_log_of_ones_own_is_kept() {
    let file = File::with_users("3");
    for name in ["one", "two", "three"] {
        let server = file.serve();
        file.does(&["key", "create", "--name", name, "--scope", "admin"]);
        server.kill();
    }
    let keys = file.does(&["key", "list"]);
    assert!(["one", "two", "three"].iter().all(|name| keys.contains(name)), "{keys}");
    let log = file.write_and_kill();
    assert!(!log.is_empty());
    assert!(run(&["verify"], &file.settings()).err.contains("12 users: everything follows"));
}

fn a_file_that_is_no_database_stays_as_it_is() {
    let scratch = Scratch::new();
    let path = scratch.0.join("notes.txt");
    let text = "what is in a file that was named by mistake".repeat(40);
    std::fs::write(&path, &text).unwrap();
    let url = format!("sqlite://{}", path.display());
    let settings = [("WAYMARK_DATABASE_URL", &*url), ("WAYMARK_JWT_SECRET", SECRET)];
    for command in [&["migrate"][..], &["verify"], &["export"]] {
        assert_ne!(run(command, &settings).code, 0, "{command:?}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "{command:?}");
    }
}

fn many_programs_open_one_file_at_once_and_none_is_refused() {
    let file = File::with_users("3");
    // Each round begins with a file that nobody has open.
    for round in 0..6 {
        std::thread::scope(|scope| {
            for program in 0..6 {
                let name = format!("{round}-{program}");
                let file = &file;
                scope.spawn(move || file.does(&["key", "create", "--name", &name, "--scope", "admin"]));
            }
        });
    }
    let keys = file.does(&["key", "list"]);
    for name in (0..6).flat_map(|round| (0..6).map(move |program| format!("{round}-{program}"))) {
        assert!(keys.contains(&name), "{name}: {keys}");
    }
}

fn a_file_that_may_only_be_read_is_exported_and_verified() {
    use std::os::unix::fs::PermissionsExt as _;
    let file = File::with_users("3");
    let may = |path: &str, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    let folder = file.scratch.0.display().to_string();
    // Root may do everything as long as it has that capability.
    let plainly = |arguments: &[&str]| {
        let id = Command::new("id").arg("-u").output().unwrap().stdout;
        if id.trim_ascii() != b"0" {
            return run(arguments, &file.settings());
        }
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"]);
        run_in(command.arg("--"), arguments, &file.settings())
    };
    may(&file.path, 0o444);
    may(&folder, 0o555);
    let (verified, exported) = (plainly(&["verify"]), plainly(&["export"]));
    let (served, asked) = (plainly(&["serve"]), plainly(&["doctor"]));
    may(&folder, 0o755);
    assert!(verified.code == 0 && verified.err.contains("3 users: everything follows"), "{}", verified.err);
    assert!(exported.code == 0 && exported.out.lines().count() > 100, "{}", exported.err);
    assert!(served.code == 1 && served.err.contains("may not be written by this program"), "{}", served.err);
    assert!(asked.code == 1 && asked.out.contains("wrong  rights: "), "{}", asked.out);
    assert!(!file.has("-wal") && !file.has("-shm"));
}

#[cfg(unix)]
fn a_copy_is_put_where_a_link_leads_to_and_what_has_a_name_like_its_own_stays() {
    let file = File::with_users("3");
    let copy = format!("{}.partial", file.path);
    file.does(&["backup", &copy]);
    let bytes = std::fs::read(&copy).unwrap();
    let link = file.beside("link.db");
    std::os::unix::fs::symlink(&file.path, &link).unwrap();
    let url = format!("sqlite://{link}");
    let settings = [("WAYMARK_DATABASE_URL", &*url), ("WAYMARK_JWT_SECRET", SECRET)];
    // What is written last stands in the log, beside the file and not beside the link.
    let server = Server::start(&["serve"], &settings, "Serving on ");
    output(&["key", "create", "--name", "after", "--scope", "admin"], &settings);
    fails(1, &["restore", &copy], &settings, "is in use: stop the server");
    server.kill();
    assert!(file.has("-wal"));
    output(&["restore", &copy], &settings);
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink() && !file.has("-wal"));
    assert!(!output(&["key", "list"], &settings).contains("after"));
    assert!(std::fs::read(&copy).unwrap() == bytes, "the copy stays as it is");
}
