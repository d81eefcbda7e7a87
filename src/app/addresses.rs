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

/// Sees that clients and the admin pages do not ask for the same port: the system would only say that it is taken.
///
/// # Errors
/// The address of both.
pub fn keep_apart(listen: &[ListenAddress], admin: SocketAddr) -> Result<(), StartError> {
    let is_same = |address: &&SocketAddr| {
        let is_all = address.ip().is_unspecified() || admin.ip().is_unspecified();
        // Port 0 is another one each time.
        address.port() == admin.port() && admin.port() != 0 && (is_all || address.ip() == admin.ip())
    };
    let tcp = listen.iter().filter_map(|address| match address {
        ListenAddress::Tcp(address) => Some(address),
        ListenAddress::Unix(_) => None,
    });
    match tcp.into_iter().find(is_same) {
        None => Ok(()),
        Some(address) => Err(StartError(format!(
            "listen {address} and admin {admin} are the same port: give one of them another, or --admin off"
        ))),
    }
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
    fn clients_and_admin_pages_need_a_port_each() {
        let check = |listen: &str, admin: &str, fits: bool| {
            let listen = [ListenAddress::Unix("/a".into()), ListenAddress::Tcp(listen.parse().unwrap())];
            assert_eq!(keep_apart(&listen, admin.parse().unwrap()).is_ok(), fits);
        };
        check("127.0.0.1:7", "127.0.0.1:7", false);
        check("0.0.0.0:7", "127.0.0.1:7", false);
        check("127.0.0.1:7", "0.0.0.0:7", false);
        check("127.0.0.1:7", "127.0.0.2:7", true);
        check("127.0.0.1:7", "127.0.0.1:8", true);
        check("127.0.0.1:0", "127.0.0.1:0", true);
    }

    #[test]
    fn a_name_without_an_address_is_named() {
        let error = socket_address("no-such-host.invalid", 1).unwrap_err().to_string();
        assert!(error.starts_with("cannot listen on no-such-host.invalid:1: "), "{error}");
    }
}
