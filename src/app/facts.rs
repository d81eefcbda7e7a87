//! Facts that clients ask for as if they were settings: names that Redis has and this server does not let anyone choose.

use crate::engine::DATABASES;

/// Where the server listens, once it does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bound {
    /// The hosts of its TCP addresses.
    pub hosts: Vec<String>,
    /// The port of its first TCP address; 0: it has none.
    pub port: u16,
    /// The path of its first Unix socket.
    pub unix: Option<String>,
}

/// Facts that always hold.
const CONSTANT: [(&str, &str); 8] = [
    ("save", ""),
    ("appendonly", "no"),
    ("notify-keyspace-events", ""),
    ("replica-read-only", "yes"),
    ("slave-read-only", "yes"),
    ("cluster-enabled", "no"),
    ("activedefrag", "no"),
    ("lazyfree-lazy-user-flush", "yes"),
];

/// Facts that depend on where the server runs.
const VARIABLE: [&str; 4] = ["databases", "bind", "port", "unixsocket"];

/// All facts.
pub(super) fn facts(bound: &Bound) -> impl Iterator<Item = (String, String)> {
    let variable = VARIABLE.map(|name| {
        let value = match name {
            "databases" => DATABASES.to_string(),
            "bind" => bound.hosts.join(" "),
            "port" => bound.port.to_string(),
            _ => bound.unix.clone().unwrap_or_default(),
        };
        (name.to_owned(), value)
    });
    CONSTANT.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).chain(variable)
}

/// Whether `name` is a fact.
pub(super) fn is_fact(name: &str) -> bool {
    VARIABLE.contains(&name) || CONSTANT.iter().any(|(known, _)| *known == name)
}
