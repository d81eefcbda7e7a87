//! The variables that Kubernetes sets in every container beside a service called quotad. They begin as settings do.

use super::setting::VARIABLE_PREFIX;

/// The protocols that a service's port may have.
const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];

/// Whether `variable` is one that Kubernetes sets for a service called quotad: `QUOTAD_SERVICE_HOST`, `QUOTAD_SERVICE_PORT`,
/// `QUOTAD_SERVICE_PORT_<NAME>`, `QUOTAD_PORT` with a URL, `QUOTAD_PORT_<n>_<PROTOCOL>` and its `_PROTO`, `_PORT` and `_ADDR`.
/// `QUOTAD_PORT` with a bare number is none: whoever sets it wants another port, and must not be left with the default.
///
/// Source: the Kubernetes documentation, "Service", environment variables.
pub(super) fn is_one(variable: &str, value: &str) -> bool {
    match variable.strip_prefix(VARIABLE_PREFIX) {
        Some("SERVICE_HOST" | "SERVICE_PORT") => true,
        Some("PORT") => value.contains("://"),
        Some(rest) => {
            rest.strip_prefix("SERVICE_PORT_").is_some_and(is_port_name)
                || rest.strip_prefix("PORT_").is_some_and(is_port)
        }
        None => false,
    }
}

/// A port's name as Kubernetes writes it in a variable.
fn is_port_name(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    !name.is_empty() && name.bytes().all(is_letter)
}

/// `6379_TCP`, or one part of it.
fn is_port(text: &str) -> bool {
    let mut words = text.split('_');
    let number = words.next().is_some_and(|number| number.parse::<u16>().is_ok_and(|number| number > 0));
    let protocol = words.next().is_some_and(|protocol| PROTOCOLS.contains(&protocol));
    let part = words.next().is_none_or(|part| ["PROTO", "PORT", "ADDR"].contains(&part));
    number && protocol && part && words.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_kubernetes_sets_is_one() {
        let check = |variable: &str, value: &str, expected: bool| {
            assert_eq!(is_one(variable, value), expected, "{variable}={value}");
        };
        check("QUOTAD_SERVICE_HOST", "10.0.0.11", true);
        check("QUOTAD_SERVICE_PORT", "6379", true);
        check("QUOTAD_SERVICE_PORT_REDIS", "6379", true);
        check("QUOTAD_SERVICE_PORT_ADMIN_HTTP_2", "9121", true);
        check("QUOTAD_PORT", "tcp://10.0.0.11:6379", true);
        check("QUOTAD_PORT", "6379", false);
        check("QUOTAD_PORT_6379_TCP", "tcp://10.0.0.11:6379", true);
        check("QUOTAD_PORT_6379_TCP_PROTO", "tcp", true);
        check("QUOTAD_PORT_6379_UDP_PORT", "6379", true);
        check("QUOTAD_PORT_6379_SCTP_ADDR", "10.0.0.11", true);
        for other in [
            "QUOTAD_SERVICE",
            "QUOTAD_SERVICE_HOSTS",
            "QUOTAD_SERVICE_PORT_",
            "QUOTAD_SERVICE_PORT_redis",
            "QUOTAD_PORT_6379",
            "QUOTAD_PORT_6379_HTTP",
            "QUOTAD_PORT_70000_TCP",
            "QUOTAD_PORT_0_TCP",
            "QUOTAD_PORT_6379_TCP_HOST",
            "QUOTAD_PORT_6379_TCP_PORT_X",
            "QUOTAD_PORTS",
            "QUOTAD_ADMIN_SERVICE_HOST",
            "SERVICE_HOST",
        ] {
            check(other, "tcp://10.0.0.11:6379", false);
        }
    }
}
