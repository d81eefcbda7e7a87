//! The address of a store that speaks HTTP: whether it is one, and what of it may be shown.

use super::postgres_address::{HIDDEN, is_host, without_rest};

/// What such addresses begin with: encrypted, and plain.
const SCHEMES: [&str; 2] = ["https://", "http://"];

/// What an address of a store is, for error texts.
const ALLOWED: &str = "https://host:port";

/// Whether an address has the form of one; nothing is looked up.
///
/// # Errors
/// What is wrong, and what is allowed.
pub(super) fn check(address: &str) -> Result<(), String> {
    let Some(host) = host(address) else { return Err(format!("allowed is {ALLOWED}")) };
    if host.contains('@') {
        return Err("credentials do not stand in the address: they are in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or in a \
             profile"
            .to_owned());
    }
    if host.contains(['/', '?', '#']) {
        return Err(format!(
            "behind host and port stands something: allowed is {ALLOWED}, the bucket is named by snapshots"
        ));
    }
    if host.is_empty() || host.contains('%') || !is_host(host) {
        return Err(format!("{host:?} is no host with a port: allowed is {ALLOWED}"));
    }
    Ok(())
}

/// Whether what is sent there can be read on the way: over plain HTTP to another machine.
pub(super) fn is_open(address: &str) -> bool {
    let Some(host) = address.strip_prefix(SCHEMES[1]) else { return false };
    let host = host.trim_end_matches('/');
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => name,
        _ => host,
    };
    let name = name.trim_matches(['[', ']']);
    let is_loopback = name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    !is_loopback && name != "localhost"
}

/// An address for people; what may be a key is hidden.
pub(super) fn without_user(address: &str) -> String {
    match host(address) {
        Some(host) if !host.contains(['@', '?', '#']) => address.to_owned(),
        Some(_) => format!("{}://{HIDDEN}", address.split(':').next().unwrap_or_default()),
        None => without_rest(address),
    }
}

fn host(address: &str) -> Option<&str> {
    let rest = SCHEMES.iter().find_map(|scheme| address.strip_prefix(scheme))?;
    Some(rest.strip_suffix('/').unwrap_or(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_and_keys_hidden() {
        for address in ["https://h", "http://h:9000/", "https://s3.eu.example.com:443", "http://[::1]:9000"] {
            assert_eq!(check(address), Ok(()), "{address}");
            assert_eq!(without_user(address), address);
        }
        for (address, expected, shown) in [
            ("h:9000", "allowed is https://host:port", "(hidden)"),
            ("ftp://ID:HUNTER@h", "allowed is https://host:port", "ftp://(hidden)"),
            ("https://", "is no host", "https://"),
            ("https://ID:HUNTER@h", "AWS_ACCESS_KEY_ID", "https://(hidden)"),
            ("https://h/bucket", "the bucket is named by snapshots", "https://h/bucket"),
            ("https://h?a=HUNTER", "behind host and port", "https://(hidden)"),
            ("https://h:port", "is no host with a port", "https://h:port"),
        ] {
            let error = check(address).unwrap_err();
            assert!(error.contains(expected) && !error.contains("HUNTER"), "{address}: {error}");
            assert_eq!(without_user(address), shown);
        }
    }

    #[test]
    fn plain_http_is_open_unless_it_stays_on_the_machine() {
        for (address, expected) in [
            ("https://h", false),
            ("http://h", true),
            ("http://10.0.0.1:9000", true),
            ("http://127.0.0.1:9000", false),
            ("http://[::1]:9000/", false),
            ("http://localhost:9000", false),
        ] {
            assert_eq!(is_open(address), expected, "{address}");
        }
    }
}
