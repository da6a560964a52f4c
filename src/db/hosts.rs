//! Which servers a URL names, and which of them serves: several hosts and `target_session_attrs`, as libpq has them.
//!
//! The driver's own parser takes one host. So the list is read here, and each host becomes a URL of its own.

use std::path::Path;
use std::str::FromStr as _;
use std::sync::Arc;

use sea_orm::sqlx::postgres::{PgConnectOptions, PgSslMode};
use sea_orm::sqlx::{self, ConnectOptions as _};

use waymark_kernel::error::{Error, Result};

/// What a server has to be (`target_session_attrs`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferStandby,
}

/// What a server says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    /// Whether it only replays what another one writes.
    pub(super) is_standby: bool,
    /// Whether a new session can write nothing.
    pub(super) is_read_only: bool,
}

impl Wanted {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "any" => Self::Any,
            "read-write" => Self::ReadWrite,
            "read-only" => Self::ReadOnly,
            "primary" => Self::Primary,
            "standby" => Self::Standby,
            "prefer-standby" => Self::PreferStandby,
            _ => return None,
        })
    }

    /// Why a server is not the wanted one, if it is not.
    pub(super) const fn misses(self, standing: Standing) -> Option<&'static str> {
        let Standing { is_standby, is_read_only } = standing;
        match self {
            Self::ReadWrite | Self::Primary if is_standby => Some("it is a standby"),
            Self::ReadWrite if is_read_only => Some("it is read-only"),
            Self::ReadOnly if !is_read_only => Some("it can be written"),
            Self::Standby | Self::PreferStandby if !is_standby => Some("it is no standby"),
            _ => None,
        }
    }
}

/// The servers that a URL names, in its order, at least one.
#[derive(Clone)]
pub(super) struct Hosts {
    pub(super) all: Vec<Arc<PgConnectOptions>>,
    pub(super) wanted: Wanted,
}

impl Hosts {
    /// Reads `url`, and lets `set` make every connection what it is to be.
    ///
    /// # Errors
    /// When it cannot be read. The message has nothing of the URL, which holds a password.
    pub(super) fn of(url: &str, set: impl Fn(PgConnectOptions) -> PgConnectOptions) -> Result<Self> {
        let Parts { urls, wanted } = Parts::of(url).ok_or_else(unreadable)?;
        let several = urls.len() > 1;
        let all = urls.iter().map(|url| Ok(Arc::new(set(one(url)?)))).collect::<Result<_>>()?;
        let wanted = match wanted {
            Some(wanted) => Wanted::parse(&wanted).ok_or_else(|| {
                Error::bad_input(
                    "target_session_attrs in the database URL must be any, read-write, read-only, primary, standby or \
                     prefer-standby",
                )
            })?,
            // Of several servers the one that can be written is meant; one by itself may be a standby.
            None if several => Wanted::ReadWrite,
            None => Wanted::Any,
        };
        Ok(Self { all, wanted })
    }

    /// Whether a server that was found may be kept.
    pub(super) fn suits(&self, standing: Standing) -> bool {
        self.wanted == Wanted::PreferStandby || self.wanted.misses(standing).is_none()
    }

    /// Whether another server may take over.
    pub(super) const fn can_change(&self) -> bool {
        self.all.len() > 1
    }
}

fn unreadable() -> Error {
    Error::bad_input(
        "the database URL cannot be read; try postgres://user:password@host/database, or \
         postgres://user:password@one,two/database?target_session_attrs=read-write",
    )
}

/// How to connect to the one server that `url` names, encrypted as libpq would.
fn one(url: &str) -> Result<PgConnectOptions> {
    let mut options = PgConnectOptions::from_str(url).map_err(|_| unreadable())?.disable_statement_logging();
    let has_root = parameters(url).any(|(name, _)| ["sslrootcert", "ssl-root-cert", "ssl-ca"].contains(&name));
    match options.get_ssl_mode() {
        // Whoever names authorities wants them asked.
        PgSslMode::Require if has_root => options = options.ssl_mode(PgSslMode::VerifyCa),
        PgSslMode::VerifyCa | PgSslMode::VerifyFull if !has_root => {
            let home = std::env::var_os("HOME").unwrap_or_default();
            let root = Path::new(&home).join(".postgresql/root.crt");
            if root.is_file() {
                options = options.ssl_root_cert(root);
            }
        }
        _ => {}
    }
    Ok(options)
}

/// The parameters of a URL as they stand there.
fn parameters(url: &str) -> impl Iterator<Item = (&str, &str)> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// A URL taken apart: one for each host, and what the server has to be.
struct Parts {
    urls: Vec<String>,
    wanted: Option<String>,
}

impl Parts {
    fn of(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let (front, query) = rest.split_once('?').map_or((rest, None), |(front, query)| (front, Some(query)));
        let (authority, path) = front.find('/').map_or((front, ""), |at| front.split_at(at));
        let (user, listed) = authority.rsplit_once('@').map_or(("", authority), |(user, hosts)| (user, hosts));
        let (mut hosts, mut ports, mut wanted, mut others) = (None, None, None, Vec::new());
        for (name, value) in parameters(query.map_or("", |_| url)) {
            match name {
                "host" | "hostaddr" => hosts = Some(value),
                "port" => ports = Some(value),
                "target_session_attrs" => wanted = Some(value.to_owned()),
                _ => others.push(format!("{name}={value}")),
            }
        }
        let hosts: Vec<&str> = hosts.unwrap_or(listed).split(',').collect();
        let ports: Vec<&str> = ports.map(|ports| ports.split(',').collect()).unwrap_or_default();
        if ports.len() > 1 && ports.len() != hosts.len() {
            return None;
        }
        let user = if user.is_empty() { String::new() } else { format!("{user}@") };
        let others = if others.is_empty() { String::new() } else { format!("?{}", others.join("&")) };
        let urls = hosts.iter().enumerate().map(|(place, host)| {
            let port = ports.get(place).or_else(|| ports.first()).filter(|port| !port.is_empty());
            // A socket's directory stands in a parameter as it is, and in the place of a host escaped.
            let host = host.replace('/', "%2F");
            let port = port.map_or_else(String::new, |port| format!(":{port}"));
            // Without a host there is no place for a port.
            let host =
                if host.is_empty() && !(user.is_empty() && port.is_empty()) { "localhost".to_owned() } else { host };
            format!("{scheme}://{user}{host}{port}{path}{others}")
        });
        Some(Self { urls: urls.collect(), wanted })
    }
}

/// Where a server is, for messages.
pub(super) fn place(options: &PgConnectOptions) -> String {
    match options.get_socket() {
        Some(socket) => format!("{}:{}", socket.display(), options.get_port()),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    }
}

/// Whether both lead to the same server in the same way.
pub(super) fn is_same(one: &PgConnectOptions, other: &PgConnectOptions) -> bool {
    let way = |options: &PgConnectOptions| (place(options), std::mem::discriminant(&options.get_ssl_mode()));
    way(one) == way(other)
}

/// The same server without encryption, when `error` is that its encryption cannot be used and the settings prefer it
/// only. As libpq does: a certificate of a kind that is not known here keeps nobody out who does not check it anyway.
pub(super) fn in_the_clear(options: &PgConnectOptions, error: &sqlx::Error) -> Option<PgConnectOptions> {
    let encrypting = match error {
        sqlx::Error::Tls(_) => true,
        // What the handshake says of a certificate.
        sqlx::Error::Io(error) => error.kind() == std::io::ErrorKind::InvalidData,
        _ => false,
    };
    (encrypting && matches!(options.get_ssl_mode(), PgSslMode::Prefer))
        .then(|| options.clone().ssl_mode(PgSslMode::Disable))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(url: &str) -> (Vec<String>, Wanted) {
        let hosts = Hosts::of(url, |options| options).unwrap();
        (hosts.all.iter().map(|options| place(options)).collect(), hosts.wanted)
    }

    #[test]
    fn hosts_are_listed_as_libpq_lists_them() {
        for (url, all, wanted) in [
            ("postgres://me:pw@one/db", vec!["one:5432"], Wanted::Any),
            ("postgresql://one:1,two:2/db", vec!["one:1", "two:2"], Wanted::ReadWrite),
            (
                "postgres://me@one:1,[::1]:2,three/db?target_session_attrs=any",
                vec!["one:1", "[::1]:2", "three:5432"],
                Wanted::Any,
            ),
            ("postgres://me@/db?host=one,two&port=7", vec!["one:7", "two:7"], Wanted::ReadWrite),
            ("postgres://me@/db?host=one,/run/pg&port=7,8", vec!["one:7", "/run/pg:8"], Wanted::ReadWrite),
            ("postgres://one/db?target_session_attrs=primary&sslmode=disable", vec!["one:5432"], Wanted::Primary),
            ("postgres://a%2Fb:p%40w@one,two", vec!["one:5432", "two:5432"], Wanted::ReadWrite),
        ] {
            let (found, said) = places(url);
            assert_eq!((found, said), (all.into_iter().map(str::to_owned).collect(), wanted), "{url}");
        }
        let two = Hosts::of("postgres://me:p%40w@one,two/db?sslmode=require", |options| options).unwrap();
        for options in &two.all {
            assert_eq!((options.get_username(), options.get_database()), ("me", Some("db")));
            assert!(matches!(options.get_ssl_mode(), PgSslMode::Require));
        }
    }

    #[test]
    fn a_url_that_cannot_be_read_is_refused_without_its_password() {
        for url in [
            "postgres://me:hunter2@one:x,two/db",
            "postgres://me:hunter2@one,two,three/db?port=1,2",
            "postgres://me:hunter2@one/db?target_session_attrs=hunter2",
            "postgres:me:hunter2",
        ] {
            let error = Hosts::of(url, |options| options).map(|_| ()).unwrap_err();
            assert!(!error.chain().contains("hunter2"), "{}", error.chain());
        }
    }

    #[test]
    fn a_server_is_the_wanted_one_or_it_is_said_why_not() {
        let standing = |is_standby, is_read_only| Standing { is_standby, is_read_only };
        let (primary, standby, closed) = (standing(false, false), standing(true, true), standing(false, true));
        for (wanted, fits) in [
            (Wanted::Any, [true, true, true]),
            (Wanted::ReadWrite, [true, false, false]),
            (Wanted::ReadOnly, [false, true, true]),
            (Wanted::Primary, [true, false, true]),
            (Wanted::Standby, [false, true, false]),
        ] {
            assert_eq!([primary, standby, closed].map(|one| wanted.misses(one).is_none()), fits, "{wanted:?}");
        }
    }

    #[test]
    fn what_names_authorities_is_checked_and_what_prefers_encryption_can_do_without() {
        let mode = |url: &str| Hosts::of(url, |options| options).unwrap().all[0].get_ssl_mode();
        assert!(matches!(mode("postgres://one/db"), PgSslMode::Prefer));
        assert!(matches!(mode("postgres://one/db?sslmode=require"), PgSslMode::Require));
        assert!(matches!(mode("postgres://one/db?sslmode=require&sslrootcert=ca.pem"), PgSslMode::VerifyCa));
        assert!(matches!(mode("postgres://one/db?sslmode=verify-full"), PgSslMode::VerifyFull));
        let options = |mode: &str| PgConnectOptions::from_str(&format!("postgres://one/db?sslmode={mode}")).unwrap();
        let handshake = sqlx::Error::Io(std::io::Error::from(std::io::ErrorKind::InvalidData));
        let refused = sqlx::Error::Io(std::io::Error::from(std::io::ErrorKind::ConnectionRefused));
        assert!(in_the_clear(&options("prefer"), &handshake).is_some());
        assert!(in_the_clear(&options("prefer"), &refused).is_none());
        assert!(in_the_clear(&options("require"), &handshake).is_none());
        assert!(in_the_clear(&options("verify-full"), &handshake).is_none());
    }
}
