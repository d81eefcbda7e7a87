//! The table of settings.

use super::Kind::{Addresses, Admin, Bytes, Count, Mode, OptionalPath, Path, Seconds, Signed, Switch, Word};
use super::{Change, Kind, Setting};

/// A day: nothing here waits longer on purpose.
const DAY_SECS: u64 = 86_400;

/// More threads than any machine this is meant for has cores.
const MOST_THREADS: u64 = 1_024;

/// The kernel holds the backlog as a signed 32-bit number.
const MOST_BACKLOG: u64 = 2_147_483_647;

/// Connections a process can have at most: Linux's highest `fs.nr_open`.
const MOST_CLIENTS: u64 = 1_073_741_816;

/// The smallest limit on a request, as in Redis: below it ordinary requests would fail.
const LEAST_REQUEST_BYTES: u64 = 1 << 20;

/// The request parser counts in 32 bits.
const MOST_REQUEST_BYTES: u64 = 4 << 30;

/// Half of the largest request, so that one argument always fits into a request.
const MOST_BULK_BYTES: u64 = 2 << 30;

/// Redis's longest key, and so the longest that any client was ever made for.
const MOST_KEY_BYTES: u64 = 512 << 20;

/// The smallest limit on output: one large reply must fit.
const LEAST_OUTPUT_BYTES: u64 = 1 << 20;

/// Entries of the slow log at most: each may keep 32 words of 128 bytes, so this is some 4 GiB.
const MOST_SLOW_COMMANDS: u64 = 1_000_000;

/// Longer flushes would lose more at a crash than anybody wants.
const MOST_FLUSH_INTERVAL_MS: u64 = 60_000;

/// A lease is renewed three times before it ends, and a renewal may take most of a second.
const LEAST_LEASE_SECS: u64 = 3;

/// As many keys as a batch should have at most: it lies in memory until the truth has it.
const MOST_FLUSH_KEYS: u64 = 10_000_000;

/// A request must outlast a slow disk or a far bucket.
const LEAST_REQUEST_TIMEOUT_MS: u64 = 100;

/// Longer than any object of at most 32 MiB takes on a link that is worth it.
const MOST_REQUEST_TIMEOUT_MS: u64 = 3_600_000;

/// A connection takes no longer, or a request would have no time left.
const MOST_CONNECT_TIMEOUT_MS: u64 = 60_000;

/// Snapshots kept at most, newest ones, days or months: their parts must fit into one list.
const MOST_KEPT: u64 = 1_000;

/// How a bucket is told: by the address, in the path, or in the host's name.
pub const PATH_STYLES: [&str; 3] = ["auto", "yes", "no"];

/// How a store is told to encrypt what it keeps, by Amazon's names.
pub const ENCRYPTIONS: [&str; 3] = ["none", "aes256", "aws:kms"];

/// What happens at `maxmemory`, by Redis's names.
pub const POLICIES: [&str; 3] = ["noeviction", "allkeys-lru", "volatile-ttl"];

/// Every setting, in the order in which `--help` lists them.
pub static SETTINGS: &[Setting] = &[
    Setting {
        name: "config",
        kind: OptionalPath(|config| &mut config.config),
        default: &[],
        change: Change::AtStart,
        help: "A TOML file with settings, by these names. Flags and variables win over it.",
    },
    Setting {
        name: "listen",
        kind: Addresses(|config| &mut config.listen),
        default: &["127.0.0.1:6379"],
        change: Change::AtStart,
        help: "Where clients connect: host:port, [IPv6 address]:port or unix:/path; several with commas between them.",
    },
    Setting {
        name: "unixsocketperm",
        kind: Mode(|config| &mut config.unix_socket_mode),
        default: &["0"],
        change: Change::AtStart,
        help: "Permissions of the Unix sockets in octal digits, such as 770; 0: what the umask leaves.",
    },
    Setting {
        name: "admin",
        kind: Admin(|config| &mut config.admin),
        default: &["127.0.0.1:9121"],
        change: Change::AtStart,
        help: "Where metrics and health are served over HTTP; off: nowhere.",
    },
    Setting {
        name: "threads",
        kind: Count { field: |config| &mut config.threads, least: 0, most: MOST_THREADS },
        default: &["0"],
        change: Change::AtStart,
        help: "Threads that serve clients; 0: as many as the machine has cores.",
    },
    Setting {
        name: "data-dir",
        kind: Path(|config| &mut config.data_dir),
        default: &["quotad-data"],
        change: Change::AtStart,
        help: "The directory for the outbox, this server's identity and, unless named elsewhere, the SQLite file. One server at a time.",
    },
    Setting {
        name: "truth",
        kind: Kind::Truth(|config| &mut config.truth),
        default: &["sqlite"],
        change: Change::AtStart,
        help: "What wins on restart: sqlite (a file in data-dir), sqlite:PATH, postgres://user:password@host:port/database?schema=name&sslmode=verify-full, or none: memory only.",
    },
    Setting {
        name: "ephemeral-databases",
        kind: Kind::Databases(|config| &mut config.ephemeral_databases),
        default: &[],
        change: Change::AtStart,
        help: "Databases, 0 to 15, that the truth does not get: cheaper, and after a crash as they were at the last snapshot. None: every change goes to the truth.",
    },
    Setting {
        name: "flush-interval",
        kind: Count { field: |config| &mut config.flush_interval_ms, least: 1, most: MOST_FLUSH_INTERVAL_MS },
        default: &["100"],
        change: Change::AtStart,
        help: "Milliseconds from one flush of changes to the next: what a crash can lose.",
    },
    Setting {
        name: "flush-keys",
        kind: Count { field: |config| &mut config.flush_keys, least: 1, most: MOST_FLUSH_KEYS },
        default: &["100000"],
        change: Change::AtStart,
        help: "Changed keys at which a flush begins before its time.",
    },
    Setting {
        name: "lease",
        kind: Count { field: |config| &mut config.lease_secs, least: LEAST_LEASE_SECS, most: DAY_SECS },
        default: &["30"],
        change: Change::AtStart,
        help: "Seconds after which a server that does not answer counts as gone, so that another may take its truth over.",
    },
    Setting {
        name: "take-over",
        kind: Kind::Flag(|config| &mut config.take_over),
        default: &["no"],
        change: Change::AtStart,
        help: "Take the truth of a server with another data directory whose lease has run out; what that one had not flushed is lost.",
    },
    Setting {
        name: "fetch-timeout",
        kind: Count { field: |config| &mut config.fetch_timeout_ms, least: 1, most: DAY_SECS * 1_000 },
        default: &["2000"],
        change: Change::AtStart,
        help: "Milliseconds that a command waits for keys that only the truth has.",
    },
    Setting {
        name: "durable-timeout",
        kind: Count { field: |config| &mut config.durable_timeout_ms, least: 1, most: DAY_SECS * 1_000 },
        default: &["5000"],
        change: Change::AtStart,
        help: "Milliseconds that a take with DURABLE waits for its commit.",
    },
    Setting {
        name: "snapshots",
        kind: Kind::Snapshots(|config| &mut config.snapshots),
        default: &["data-dir"],
        change: Change::AtStart,
        help: "Where snapshots are kept: data-dir (the folder snapshots in it), file:///path, s3://bucket/prefix with the usual AWS_* variables or profiles, or none.",
    },
    Setting {
        name: "snapshot-interval",
        kind: Seconds { field: |config| &mut config.snapshot_interval_secs, most: 365 * DAY_SECS },
        default: &["15m"],
        change: Change::AtStart,
        help: "Seconds from one snapshot to the next; 0: none is taken by itself.",
    },
    Setting {
        name: "snapshot-key-file",
        kind: Kind::Paths(|config| &mut config.snapshot_key_files),
        default: &[],
        change: Change::AtStart,
        help: "Files with a key each, 64 hexadecimal digits as openssl rand -hex 32 prints, with which snapshots are encrypted: the first writes, all read. None: they are not encrypted.",
    },
    Setting {
        name: "snapshot-accept-unencrypted",
        kind: Switch(|config| &mut config.snapshot_accept_unencrypted),
        default: &["no"],
        change: Change::AtStart,
        help: "Whether snapshots that are not encrypted are read although snapshot-key-file is set, as in the time after the first key is; anybody who can write to the store may have made one.",
    },
    Setting {
        name: "snapshot-endpoint",
        kind: Kind::OptionalAddress(|config| &mut config.snapshot_endpoint),
        default: &[],
        change: Change::AtStart,
        help: "The address of a store other than Amazon's that speaks S3, such as https://minio.example:9000.",
    },
    Setting {
        name: "snapshot-region",
        kind: Kind::OptionalName(|config| &mut config.snapshot_region),
        default: &[],
        change: Change::AtStart,
        help: "The bucket's region; none: AWS_REGION, AWS_DEFAULT_REGION, the profile's, or us-east-1.",
    },
    Setting {
        name: "snapshot-path-style",
        kind: Word { field: |config| &mut config.snapshot_path_style, words: &PATH_STYLES },
        default: &["auto"],
        change: Change::AtStart,
        help: "Whether the bucket stands in the path of requests (yes) or in the host's name (no); auto: in the path where snapshot-endpoint is set, or dots are in the bucket's name.",
    },
    Setting {
        name: "snapshot-sse",
        kind: Word { field: |config| &mut config.snapshot_sse, words: &ENCRYPTIONS },
        default: &["none"],
        change: Change::AtStart,
        help: "How the bucket is asked to encrypt what it keeps: aes256 or aws:kms; none: as it does by itself.",
    },
    Setting {
        name: "snapshot-sse-kms-key",
        kind: Kind::OptionalName(|config| &mut config.snapshot_sse_kms_key),
        default: &[],
        change: Change::AtStart,
        help: "The key for snapshot-sse aws:kms; none: the account's own.",
    },
    Setting {
        name: "snapshot-request-timeout-ms",
        kind: Count {
            field: |config| &mut config.snapshot_request_timeout_ms,
            least: LEAST_REQUEST_TIMEOUT_MS,
            most: MOST_REQUEST_TIMEOUT_MS,
        },
        default: &["60000"],
        change: Change::AtStart,
        help: "Milliseconds that writing or reading one object of a snapshot may take, all tries together; one without an answer is given up at half of it.",
    },
    Setting {
        name: "snapshot-connect-timeout-ms",
        kind: Count {
            field: |config| &mut config.snapshot_connect_timeout_ms,
            least: 1,
            most: MOST_CONNECT_TIMEOUT_MS,
        },
        default: &["5000"],
        change: Change::AtStart,
        help: "Milliseconds that connecting to the bucket may take.",
    },
    Setting {
        name: "snapshot-keep",
        kind: Count { field: |config| &mut config.snapshot_keep, least: 1, most: MOST_KEPT },
        default: &["24"],
        change: Change::AtStart,
        help: "Snapshots that are kept, counted from the newest.",
    },
    Setting {
        name: "snapshot-keep-daily",
        kind: Count { field: |config| &mut config.snapshot_keep_daily, least: 0, most: MOST_KEPT },
        default: &["7"],
        change: Change::AtStart,
        help: "Days of each of which the last snapshot is kept.",
    },
    Setting {
        name: "snapshot-keep-monthly",
        kind: Count { field: |config| &mut config.snapshot_keep_monthly, least: 0, most: MOST_KEPT },
        default: &["12"],
        change: Change::AtStart,
        help: "Months of each of which the last snapshot is kept.",
    },
    Setting {
        name: "requirepass-file",
        kind: OptionalPath(|config| &mut config.requirepass_file),
        default: &[],
        change: Change::AtStart,
        help: "A file with the password that clients must give; none: no password is needed.",
    },
    Setting {
        name: "log-level",
        kind: Kind::LogLevel(|config| &mut config.log_level),
        default: &["info"],
        change: Change::Live,
        help: "How much is logged: error, warn, info, debug or trace.",
    },
    Setting {
        name: "log-format",
        kind: Kind::LogFormat(|config| &mut config.log_format),
        default: &["text"],
        change: Change::AtStart,
        help: "How log lines look: text, or json with one object a line.",
    },
    Setting {
        name: "maxmemory",
        kind: Bytes { field: |config| &mut config.maxmemory_bytes, least: 0, most: u64::MAX },
        default: &["0"],
        change: Change::Live,
        help: "Bytes of data above which keys leave memory by maxmemory-policy, or commands that need memory are refused; 0: no limit.",
    },
    Setting {
        name: "maxmemory-policy",
        kind: Word { field: |config| &mut config.maxmemory_policy, words: &POLICIES },
        default: &["noeviction"],
        change: Change::Live,
        help: "What leaves memory at maxmemory: nothing (noeviction), the keys used least lately (allkeys-lru), or those with an expiry that end first (volatile-ttl). What leaves stays in the truth and comes back when it is used; without a truth it is lost.",
    },
    Setting {
        name: "maxclients",
        kind: Count { field: |config| &mut config.maxclients, least: 1, most: MOST_CLIENTS },
        default: &["10000"],
        change: Change::Live,
        help: "Connections that may be open; further ones are refused. Lowered at the start to what ulimit -n leaves room for.",
    },
    Setting {
        name: "timeout",
        kind: Seconds { field: |config| &mut config.timeout_secs, most: i32::MAX.unsigned_abs() as u64 },
        default: &["0"],
        change: Change::Live,
        help: "Seconds after which an idle connection is closed; 0: never.",
    },
    Setting {
        name: "tcp-keepalive",
        kind: Seconds { field: |config| &mut config.tcp_keepalive_secs, most: DAY_SECS },
        default: &["300"],
        change: Change::AtStart,
        help: "Seconds of silence after which the system asks whether a client still lives; 0: never.",
    },
    Setting {
        name: "tcp-backlog",
        kind: Count { field: |config| &mut config.tcp_backlog, least: 1, most: MOST_BACKLOG },
        default: &["511"],
        change: Change::AtStart,
        help: "Connections that may wait to be accepted; the system may allow fewer.",
    },
    Setting {
        name: "max-key-bytes",
        kind: Bytes { field: |config| &mut config.max_key_bytes, least: 1, most: MOST_KEY_BYTES },
        default: &["64kb"],
        change: Change::Live,
        help: "The longest key or subject.",
    },
    Setting {
        name: "proto-max-bulk-len",
        kind: Bytes {
            field: |config| &mut config.proto_max_bulk_bytes,
            least: LEAST_REQUEST_BYTES,
            most: MOST_BULK_BYTES,
        },
        default: &["512mb"],
        change: Change::Live,
        help: "The longest argument of a command.",
    },
    Setting {
        name: "client-query-buffer-limit",
        kind: Bytes {
            field: |config| &mut config.query_buffer_limit_bytes,
            least: LEAST_REQUEST_BYTES,
            most: MOST_REQUEST_BYTES,
        },
        default: &["1gb"],
        change: Change::Live,
        help: "Bytes of requests held for a connection before they run; a longer request closes it.",
    },
    Setting {
        name: "client-output-buffer-limit",
        kind: Bytes {
            field: |config| &mut config.output_buffer_limit_bytes,
            least: LEAST_OUTPUT_BYTES,
            most: u64::MAX,
        },
        default: &["256mb"],
        change: Change::Live,
        help: "Bytes of replies held for a connection that does not read them; more close it.",
    },
    Setting {
        name: "slowlog-log-slower-than",
        kind: Signed { field: |config| &mut config.slowlog_log_slower_than_micros },
        default: &["10000"],
        change: Change::Live,
        help: "Microseconds from which a command goes into the slow log; 0: every command; -1: none.",
    },
    Setting {
        name: "slowlog-max-len",
        kind: Count { field: |config| &mut config.slowlog_max_len, least: 0, most: MOST_SLOW_COMMANDS },
        default: &["128"],
        change: Change::Live,
        help: "Commands that the slow log keeps.",
    },
    Setting {
        name: "enable-debug-command",
        kind: Switch(|config| &mut config.enable_debug_command),
        default: &["no"],
        change: Change::AtStart,
        help: "Whether DEBUG is allowed.",
    },
    Setting {
        name: "shutdown-timeout",
        kind: Seconds { field: |config| &mut config.shutdown_timeout_secs, most: DAY_SECS },
        default: &["10"],
        change: Change::Live,
        help: "Seconds that an orderly end waits for connections to take their last replies, and then for the last snapshot and the truth together.",
    },
];

/// The setting of this name.
#[must_use]
pub fn setting(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    #[test]
    fn names_are_unique_and_of_one_form() {
        for (position, setting) in SETTINGS.iter().enumerate() {
            let name = setting.name;
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{name}");
            assert!(!SETTINGS[..position].iter().any(|other| other.name == name), "{name} is there twice");
            assert!(setting.help.ends_with('.'), "{name}'s help is no sentence");
        }
    }

    #[test]
    fn every_default_is_allowed_and_is_the_value_at_the_start() {
        for setting in SETTINGS {
            let mut config = Config::default();
            let texts: Vec<String> = setting.default.iter().map(|text| (*text).to_owned()).collect();
            setting.kind.set(&mut config, &texts).unwrap_or_else(|not| panic!("{}: {not:?}", setting.name));
            assert_eq!(setting.kind.show(&config), setting.kind.show(&Config::default()), "{}", setting.name);
        }
    }

    #[test]
    fn the_words_that_are_allowed_are_told() {
        for setting in SETTINGS {
            let Word { words, .. } = setting.kind else { continue };
            for word in words {
                assert!(setting.help.contains(word), "{}: {word}", setting.name);
            }
        }
    }

    #[test]
    fn no_two_settings_share_a_field() {
        let other = |setting: &Setting| match setting.kind {
            Bytes { .. } => "3mb",
            Mode(_) => "77",
            Seconds { .. } | Count { .. } | Signed { .. } => "177",
            Word { words, .. } => words[words.len() - 1],
            Kind::LogLevel(_) => "error",
            Kind::LogFormat(_) => "json",
            Switch(_) | Kind::Flag(_) => "yes",
            Kind::Truth(_) | Kind::Snapshots(_) => "none",
            Kind::OptionalAddress(_) | Kind::OptionalName(_) => "other",
            Kind::Databases(_) => "7",
            Path(_) | OptionalPath(_) | Kind::Paths(_) => "/elsewhere",
            Addresses(_) | Admin(_) => "h:77",
        };
        for setting in SETTINGS {
            let mut config = Config::default();
            setting.kind.set(&mut config, &[other(setting).to_owned()]).unwrap();
            let changed = SETTINGS
                .iter()
                .filter(|known| known.kind.show(&config) != known.kind.show(&Config::default()))
                .map(|known| known.name);
            assert_eq!(changed.collect::<Vec<_>>(), [setting.name]);
        }
    }
}
