//! From where a request comes.

use std::net::IpAddr;

use axum::Extension;
use axum::extract::ConnectInfo;
use axum::extract::connect_info::Connected;
use axum::http::HeaderMap;
use axum::serve::IncomingStream;

use super::listener::Patient;

/// The other end of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(IpAddr);

impl Connected<IncomingStream<'_, Patient>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Patient>) -> Self {
        Self(stream.remote_addr().ip())
    }
}

/// What the server knows of the connection, where it has one.
pub(super) type Connection = Option<Extension<ConnectInfo<Peer>>>;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The client's address: the other end of the connection or, behind so many proxies, what the first of them says. `None`
/// where that cannot be known.
pub(super) fn of(connection: &Connection, headers: &HeaderMap, proxies: u32) -> Option<IpAddr> {
    let direct = connection.as_ref().map(|Extension(ConnectInfo(Peer(address)))| *address);
    let Some(before_last) = usize::try_from(proxies).ok()?.checked_sub(1) else { return direct };
    // Each proxy appends; what stands before that, anybody may have written.
    let values = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
    let addresses: Vec<&str> = values.flat_map(|list| list.split(',')).map(str::trim).collect();
    addresses.iter().rev().nth(before_last).and_then(|text| text.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_proxies_of_ours_added_counts() {
        let connection = Some(Extension(ConnectInfo(Peer("192.0.2.9".parse().unwrap()))));
        let mut headers = HeaderMap::new();
        headers.append(FORWARDED_FOR, "10.0.0.1, 10.0.0.2".parse().unwrap());
        headers.append(FORWARDED_FOR, "10.0.0.3".parse().unwrap());
        let seen = |proxies| of(&connection, &headers, proxies).map(|address| address.to_string());
        assert_eq!(seen(0).as_deref(), Some("192.0.2.9"));
        assert_eq!(seen(1).as_deref(), Some("10.0.0.3"));
        assert_eq!(seen(2).as_deref(), Some("10.0.0.2"));
        assert_eq!(seen(4), None);
        assert_eq!(of(&None, &HeaderMap::new(), 0), None);
    }
}
