//! What the program does beside serving: it brings a schema up to date, and has a running server compare itself with its truth.

use std::fmt::Write as _;
use std::fs::DirBuilder;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::truth::address;
use crate::config::{Config, ListenAddress, POLICIES, Secret, SnapshotsSetting, TruthSetting};
use crate::persist::outbox_in;
use crate::resp::write_request;
use crate::snapshot::format::{KeyId, SealingKey};

/// How long to wait for a server that does not accept the connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The most bytes of a reply that are read: a thousand differences of the longest keys.
const MOST_REPLY_BYTES: u64 = 256 * 1024 * 1024;

/// How deep a reply is read: differences in a list in the reply.
const MOST_DEPTH: u32 = 4;

/// As a server makes its data directory: for nobody else to read.
const DATA_DIR_MODE: u32 = 0o700;

/// What a tool found.
pub struct Found {
    /// For people.
    pub text: String,
    /// Whether it is as it should be.
    pub is_good: bool,
}

/// Brings the truth's schema up to date, or says what would be done.
///
/// # Errors
/// Why that cannot be.
pub fn migrate(config: &Config, dry_run: bool) -> Result<Found, String> {
    let address = address(config).map_err(|error| error.to_string())?;
    let Some(address) = address else { return Err("there is no truth (--truth none) to migrate".to_owned()) };
    check_owner(config)?;
    if !dry_run && config.truth.sqlite_path(&config.data_dir).is_some() {
        DirBuilder::new()
            .recursive(true)
            .mode(DATA_DIR_MODE)
            .create(&config.data_dir)
            .map_err(|error| format!("{} cannot be made: {error}", config.data_dir.display()))?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("no runtime could be made: {error}"))?;
    let lease = Duration::from_secs(config.lease_secs);
    let migrations = runtime.block_on(address.migrate(lease, dry_run));
    let migrations = migrations.map_err(|error| error.to_string())?;
    let mut text = String::new();
    for migration in &migrations {
        let done = if dry_run { "would apply" } else { "applied" };
        writeln!(text, "{done} {migration}").expect("a string takes all that is written");
    }
    if migrations.is_empty() {
        text.push_str("the schema is up to date\n");
    }
    Ok(Found { text, is_good: true })
}

/// Refuses to make an SQLite file in the data directory of a server on Postgres, which is not where its truth is: only such a one keeps
/// an outbox, and from its first start on.
///
/// # Errors
/// That it is one.
pub fn check_owner(config: &Config) -> Result<(), String> {
    if config.truth != TruthSetting::Sqlite(None) {
        return Ok(());
    }
    match outbox_in(&config.data_dir) {
        None => Ok(()),
        Some(outbox) => Err(format!(
            "the data directory {} belongs to a server on Postgres, whose {outbox} is in it: name that truth with --truth postgres://..., \
             or another directory with --data-dir",
            config.data_dir.display()
        )),
    }
}

/// What a start warns of by itself, since it knows it only then.
#[must_use]
pub fn warnings_of_start(config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    let has_truth = config.truth != TruthSetting::None;
    if has_truth && config.snapshots == SnapshotsSetting::None && !config.ephemeral_databases.is_empty() {
        warnings.push(
            "ephemeral-databases: there are no snapshots, so what is in them is lost when the server ends"
                .to_owned(),
        );
    }
    if !has_truth && config.maxmemory_policy != POLICIES[0] {
        warnings.push(format!(
            "maxmemory-policy {}: there is no truth, so what leaves memory at maxmemory is lost, and its quotas begin afresh",
            config.maxmemory_policy
        ));
    }
    warnings
}

/// The files with the keys of snapshots, and the ids by which manifests name them.
#[must_use]
pub fn key_ids(config: &Config) -> Vec<(&Path, KeyId)> {
    let id = |key: &Secret| key.expose().try_into().ok().map(|bytes| SealingKey::from_bytes(bytes).id());
    let files = config.snapshot_key_files.iter().zip(&config.snapshot_keys);
    files.filter_map(|(path, key)| Some((path.as_path(), id(key)?))).collect()
}

/// Has the running server at the first listen address compare its memory with its truth.
///
/// # Errors
/// Why that cannot be.
pub fn verify(config: &Config) -> Result<Found, String> {
    let server = config.listen.first().ok_or("no listen address is set")?;
    let mut server = connect(server)?;
    let mut ask = |words: &[&[u8]]| -> Result<Reply, String> {
        let mut request = Vec::new();
        write_request(&mut request, words);
        server.write_all(&request).map_err(|error| format!("the server does not read: {error}"))?;
        let mut reader = BufReader::new((&mut server).take(MOST_REPLY_BYTES));
        read(&mut reader, 0)
    };
    if let Some(password) = &config.password {
        ask(&[b"AUTH", password.expose()])?;
    }
    report(&ask(&[b"QUOTA.VERIFY"])?)
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

fn connect(address: &ListenAddress) -> Result<Box<dyn Stream>, String> {
    let failed =
        |error: std::io::Error| format!("no server answers at {address}: {error}; --listen names it");
    match address {
        ListenAddress::Unix(path) => Ok(Box::new(UnixStream::connect(path).map_err(failed)?)),
        ListenAddress::Tcp { host, port } => {
            let socket = super::addresses::socket_address(host, *port).map_err(|error| error.to_string())?;
            Ok(Box::new(TcpStream::connect_timeout(&socket, CONNECT_TIMEOUT).map_err(failed)?))
        }
    }
}

/// A reply of the commands that are asked here.
#[derive(Debug, PartialEq, Eq)]
enum Reply {
    Text(String),
    Number(u64),
    List(Vec<Reply>),
}

/// Reads one reply; an error reply is an error.
fn read(reader: &mut impl BufRead, depth: u32) -> Result<Reply, String> {
    let broken = |what: &str| format!("the server's reply cannot be read: {what}");
    let mut line = String::new();
    reader.read_line(&mut line).map_err(|error| broken(&error.to_string()))?;
    let line = line.trim_end();
    let (kind, rest) = line.split_at_checked(1).ok_or_else(|| broken("the connection has ended"))?;
    let number = || rest.parse::<u64>().map_err(|_| broken(line));
    match kind {
        "-" => Err(format!("the server answers: {rest}")),
        "+" => Ok(Reply::Text(rest.to_owned())),
        ":" => Ok(Reply::Number(number()?)),
        "$" => {
            let mut bytes = Vec::new();
            let length = number()?;
            reader.take(length + 2).read_to_end(&mut bytes).map_err(|error| broken(&error.to_string()))?;
            bytes.truncate(bytes.len().saturating_sub(2));
            Ok(Reply::Text(String::from_utf8_lossy(&bytes).into_owned()))
        }
        "*" if depth < MOST_DEPTH => {
            let items = (0..number()?).map(|_| read(reader, depth + 1));
            Ok(Reply::List(items.collect::<Result<_, _>>()?))
        }
        _ => Err(broken(line)),
    }
}

fn report(reply: &Reply) -> Result<Found, String> {
    let unexpected = || "the server's reply is not that of QUOTA.VERIFY".to_owned();
    let Reply::List(parts) = reply else { return Err(unexpected()) };
    let [Reply::Number(compared), Reply::Number(unsettled), Reply::Number(differing), Reply::List(found)] =
        parts.as_slice()
    else {
        return Err(unexpected());
    };
    let mut text = String::new();
    for difference in found {
        let Reply::List(difference) = difference else { return Err(unexpected()) };
        let [Reply::Number(database), Reply::Text(key), Reply::Text(memory), Reply::Text(truth)] =
            difference.as_slice()
        else {
            return Err(unexpected());
        };
        writeln!(text, "database {database}, key {key:?}: memory has {memory}, the truth has {truth}")
            .expect("a string takes all that is written");
    }
    let told = u64::try_from(found.len()).unwrap_or(u64::MAX);
    if *differing > told {
        writeln!(text, "... and {} more", differing - told).expect("a string takes all that is written");
    }
    writeln!(
        text,
        "{compared} keys compared, {differing} differ, {unsettled} changed whenever they were looked at"
    )
    .expect("a string takes all that is written");
    Ok(Found { text, is_good: *differing == 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(bytes: &str) -> Result<(String, bool), String> {
        let reply = read(&mut bytes.as_bytes(), 0)?;
        report(&reply).map(|found| (found.text, found.is_good))
    }

    #[test]
    fn a_report_tells_differences_and_errors_are_errors() {
        let (text, is_good) = reported("*4\r\n:7\r\n:1\r\n:0\r\n*0\r\n").unwrap();
        assert!(
            is_good && text == "7 keys compared, 0 differ, 1 changed whenever they were looked at\n",
            "{text}"
        );
        let (text, is_good) = reported(
            "*4\r\n:7\r\n:0\r\n:2\r\n*1\r\n*4\r\n:3\r\n$3\r\na\"b\r\n$7\r\nnothing\r\n$9\r\ninteger 5\r\n",
        )
        .unwrap();
        assert!(
            !is_good
                && text.contains(r#"database 3, key "a\"b": memory has nothing, the truth has integer 5"#),
            "{text}"
        );
        assert!(text.contains("... and 1 more"), "{text}");
        for bytes in
            ["-ERR no\r\n", "", "*4\r\n:1\r\n", "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", "$5\r\nab", "+OK\r\n"]
        {
            assert!(reported(bytes).is_err(), "{bytes:?}");
        }
    }
}
