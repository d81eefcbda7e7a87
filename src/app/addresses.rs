//! From addresses as settings name them to addresses that can be listened on.

use std::net::{SocketAddr, ToSocketAddrs};

use super::facts::Bound;
use super::start::StartError;
use crate::config;
use crate::server::ListenAddress;

/// Looks host names up. A name with several addresses stands for the first.
///
/// # Errors
/// A name that has no address.
pub fn listen_addresses(named: &[config::ListenAddress]) -> Result<Vec<ListenAddress>, StartError> {
    let address = |named: &config::ListenAddress| match named {
        config::ListenAddress::Unix(path) => Ok(ListenAddress::Unix(path.clone())),
        config::ListenAddress::Tcp { host, port } => socket_address(host, *port).map(ListenAddress::Tcp),
    };
    named.iter().map(address).collect()
}

/// The first address of `host`.
///
/// # Errors
/// A name that has none.
pub fn socket_address(host: &str, port: u16) -> Result<SocketAddr, StartError> {
    let refuse = |reason: &str| StartError(format!("cannot listen on {host}:{port}: {reason}"));
    let mut found = (host, port).to_socket_addrs().map_err(|error| refuse(&error.to_string()))?;
    found.next().ok_or_else(|| refuse("the name has no address"))
}

/// What CONFIG GET and INFO tell of where the server listens.
#[must_use]
pub fn bound(listen: &[ListenAddress]) -> Bound {
    let mut bound = Bound::default();
    for address in listen {
        match address {
            ListenAddress::Tcp(address) => {
                bound.hosts.push(address.ip().to_string());
                if bound.port == 0 {
                    bound.port = address.port();
                }
            }
            ListenAddress::Unix(path) => {
                bound.unix.get_or_insert_with(|| path.display().to_string());
            }
        }
    }
    bound
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_apart() {
        let named: Vec<_> = ["unix:/a", "127.0.0.1:7", "[::1]:8", "unix:/b"]
            .iter()
            .filter_map(|text| config::ListenAddress::parse(text))
            .collect();
        let bound = bound(&listen_addresses(&named).unwrap());
        let hosts = vec!["127.0.0.1".to_owned(), "::1".to_owned()];
        assert_eq!(bound, Bound { hosts, port: 7, unix: Some("/a".to_owned()) });
    }

    #[test]
    fn a_name_without_an_address_is_named() {
        let error = socket_address("no-such-host.invalid", 1).unwrap_err().to_string();
        assert!(error.starts_with("cannot listen on no-such-host.invalid:1: "), "{error}");
    }
}
