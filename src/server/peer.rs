//! From where a request comes.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Extension;
use axum::http::HeaderMap;

use super::lines::Line;

/// The connection by which a request comes.
#[derive(Clone)]
pub(super) struct Peer(pub(super) Arc<Line>);

/// What the server knows of the connection, where it has one.
pub(super) type Connection = Option<Extension<Peer>>;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// Returns the client's address: the other end of the connection or, behind `proxies` proxies, the address that the
/// first of them names. `None` where it cannot be known.
pub(super) fn of(connection: &Connection, headers: &HeaderMap, proxies: u32) -> Option<IpAddr> {
    address(connection.as_ref().map(|Extension(Peer(line))| line.address()), headers, proxies)
}

/// The same for a connection from `direct`.
pub(super) fn address(direct: Option<IpAddr>, headers: &HeaderMap, proxies: u32) -> Option<IpAddr> {
    let Some(before_last) = usize::try_from(proxies).ok()?.checked_sub(1) else { return direct };
    // Each proxy appends; the entries before that may be forged by the client.
    let values = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
    let addresses: Vec<&str> = values.flat_map(|list| list.split(',')).map(str::trim).collect();
    addresses.iter().rev().nth(before_last).and_then(|text| text.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_proxies_of_ours_added_counts() {
        let direct = Some("192.0.2.9".parse().unwrap());
        let mut headers = HeaderMap::new();
        headers.append(FORWARDED_FOR, "10.0.0.1, 10.0.0.2".parse().unwrap());
        headers.append(FORWARDED_FOR, "10.0.0.3".parse().unwrap());
        let seen = |proxies| address(direct, &headers, proxies).map(|address| address.to_string());
        assert_eq!(seen(0).as_deref(), Some("192.0.2.9"));
        assert_eq!(seen(1).as_deref(), Some("10.0.0.3"));
        assert_eq!(seen(2).as_deref(), Some("10.0.0.2"));
        assert_eq!(seen(4), None);
        assert_eq!(of(&None, &HeaderMap::new(), 0), None);
    }
}
