//! Addresses as settings name them: what to listen on, and where the admin pages are.

use std::fmt;
use std::path::PathBuf;

/// What a Unix socket's path follows.
const UNIX_PREFIX: &str = "unix:";

/// Where clients connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// A host name or address, and a port; port 0 lets the system choose one.
    Tcp {
        /// Without brackets around an IPv6 address.
        host: String,
        /// 0 to 65,535.
        port: u16,
    },
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl ListenAddress {
    /// What [`parse`](Self::parse) takes, for error texts.
    pub const ALLOWED: &'static str = "host:port, [IPv6 address]:port or unix:/path";

    /// Reads `host:port`, `[v6]:port` or `unix:/path`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(path) = text.strip_prefix(UNIX_PREFIX) {
            return (!path.is_empty()).then(|| Self::Unix(PathBuf::from(path)));
        }
        let (host, port) = text.rsplit_once(':')?;
        let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let host = match bracketed {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok().then_some(address)?,
            None => Some(host).filter(|host| is_host(host))?,
        };
        // `u16::from_str` takes a plus sign, which no address has.
        let port = port.bytes().all(|byte| byte.is_ascii_digit()).then(|| port.parse().ok())??;
        Some(Self::Tcp { host: host.to_owned(), port })
    }

    /// Whether only this machine can connect.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp { host, .. } => {
                host == "localhost"
                    || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
            }
        }
    }
}

/// An IPv4 address or a host name; nothing is looked up here.
fn is_host(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(formatter, "{UNIX_PREFIX}{}", path.display()),
            Self::Tcp { host, port } if host.contains(':') => write!(formatter, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(formatter, "{host}:{port}"),
        }
    }
}

/// Where the admin pages are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminAddress {
    /// Nowhere.
    Off,
    /// A host name or address, and a port.
    At {
        /// Without brackets around an IPv6 address.
        host: String,
        /// 0 lets the system choose one.
        port: u16,
    },
}

impl AdminAddress {
    /// What [`parse`](Self::parse) takes, for error texts.
    pub const ALLOWED: &'static str = "host:port, [IPv6 address]:port or off";

    /// Reads `off`, `host:port` or `[v6]:port`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == "off" {
            return Some(Self::Off);
        }
        match ListenAddress::parse(text)? {
            ListenAddress::Tcp { host, port } => Some(Self::At { host, port }),
            ListenAddress::Unix(_) => None,
        }
    }
}

impl fmt::Display for AdminAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => formatter.write_str("off"),
            Self::At { host, port } => ListenAddress::Tcp { host: host.clone(), port: *port }.fmt(formatter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_shown_alike() {
        for text in ["127.0.0.1:6379", "localhost:0", "[::1]:65535", "unix:/run/quotad.sock", "a-b.example:1"]
        {
            let address = ListenAddress::parse(text).unwrap_or_else(|| panic!("{text} is an address"));
            assert_eq!(address.to_string(), text);
        }
        for text in ["off", "127.0.0.1:9121", "[::]:0"] {
            assert_eq!(AdminAddress::parse(text).map(|address| address.to_string()).as_deref(), Some(text));
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "6379",
            ":6379",
            "host",
            "host:",
            "host:65536",
            "host:+1",
            "::1:6379",
            "[1.2.3.4]:1",
            "unix:",
            "a b:1",
        ] {
            assert_eq!(ListenAddress::parse(text), None, "{text}");
        }
        assert_eq!(AdminAddress::parse("unix:/x"), None);
        assert_eq!(AdminAddress::parse("OFF"), None);
    }

    #[test]
    fn local_addresses() {
        let local = |text| ListenAddress::parse(text).is_some_and(|address| address.is_local());
        assert!(local("127.0.0.1:1") && local("localhost:1") && local("[::1]:1") && local("unix:/x"));
        assert!(!local("0.0.0.0:1") && !local("[::]:1") && !local("example.org:1"));
    }
}
