//! `waymark health`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::print;
use waymark_kernel::config::Config;
use waymark_kernel::error::{Code, Error, Result};

/// How long the answer may take. The server itself waits for its database for three seconds.
const PATIENCE: Duration = Duration::from_secs(4);

/// Asks the server with these settings whether it is ready, and prints what it says.
pub(super) fn health(config: &Config) -> Result<()> {
    let address = here(config.listen);
    let unavailable = |why: &dyn std::fmt::Display| Error::new(Code::Unavailable, format!("{address}: {why}"));
    // It is asked directly, whatever proxy the environment names.
    let agent = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).http_status_as_error(false).proxy(None);
    let answer = agent.build().new_agent().get(format!("http://{address}/readyz")).call();
    let mut answer = answer.map_err(|error| unavailable(&error))?;
    let said = answer.body_mut().read_to_string().map_err(|error| unavailable(&error))?;
    match answer.status().as_u16() {
        200 => print(said.trim_end()),
        _ => Err(unavailable(&said.trim_end())),
    }
}

/// Where a server that listens at `address` is reached from the same machine.
const fn here(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_listens_everywhere_is_asked_over_loopback() {
        for (listens, asked) in [
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:80", "[::1]:80"),
            ("127.0.0.1:1", "127.0.0.1:1"),
            ("192.0.2.7:9", "192.0.2.7:9"),
        ] {
            assert_eq!(here(listens.parse().unwrap()), asked.parse().unwrap(), "{listens}");
        }
    }
}
