//! The settings' values, typed: what the rest of the program reads.

use std::path::PathBuf;

use super::{
    AdminAddress, AwsAccess, ENCRYPTIONS, ListenAddress, PATH_STYLES, POLICIES, SETTINGS, Secret,
    SnapshotsSetting, TruthSetting,
};

/// A value for each setting. The table of settings says what each means.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each field is the setting of its name, documented in the table")]
pub struct Config {
    pub config: Option<PathBuf>,
    pub listen: Vec<ListenAddress>,
    /// 0: what the umask leaves.
    pub unix_socket_mode: u32,
    pub admin: AdminAddress,
    /// 0: as many as the machine has cores.
    pub threads: u64,
    pub data_dir: PathBuf,
    pub truth: TruthSetting,
    pub ephemeral_databases: Vec<u8>,
    pub flush_interval_ms: u64,
    pub flush_keys: u64,
    pub lease_secs: u64,
    pub take_over: bool,
    pub fetch_timeout_ms: u64,
    pub durable_timeout_ms: u64,
    pub snapshots: SnapshotsSetting,
    /// 0: none are taken by themselves.
    pub snapshot_interval_secs: u64,
    pub snapshot_key_files: Vec<PathBuf>,
    pub snapshot_accept_unencrypted: bool,
    pub snapshot_endpoint: Option<String>,
    pub snapshot_region: Option<String>,
    pub snapshot_path_style: &'static str,
    pub snapshot_sse: &'static str,
    pub snapshot_sse_kms_key: Option<String>,
    pub snapshot_request_timeout_ms: u64,
    pub snapshot_connect_timeout_ms: u64,
    pub snapshot_keep: u64,
    pub snapshot_keep_daily: u64,
    pub snapshot_keep_monthly: u64,
    pub requirepass_file: Option<PathBuf>,
    pub log_level: LogLevel,
    pub log_format: LogFormat,
    pub maxmemory_bytes: u64,
    pub maxmemory_policy: &'static str,
    pub maxclients: u64,
    pub timeout_secs: u64,
    pub tcp_keepalive_secs: u64,
    pub tcp_backlog: u64,
    pub max_key_bytes: u64,
    pub proto_max_bulk_bytes: u64,
    pub query_buffer_limit_bytes: u64,
    pub output_buffer_limit_bytes: u64,
    /// Negative: nothing is logged.
    pub slowlog_log_slower_than_micros: i64,
    pub slowlog_max_len: u64,
    pub enable_debug_command: bool,
    pub shutdown_timeout_secs: u64,
    /// What the password file holds, or what CONFIG SET said; `None`: no password is needed.
    pub password: Option<Secret>,
    /// What the snapshots' key files hold, 32 bytes each: the first writes, all read.
    pub snapshot_keys: Vec<Secret>,
    /// What Amazon's variables and files say, where snapshots are kept in a bucket.
    pub aws: Option<AwsAccess>,
}

/// How much is logged: this level and those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for Config {
    /// Every setting at its default.
    fn default() -> Self {
        let mut config = Self {
            config: None,
            listen: Vec::new(),
            unix_socket_mode: 0,
            admin: AdminAddress::Off,
            threads: 0,
            data_dir: PathBuf::new(),
            truth: TruthSetting::None,
            ephemeral_databases: Vec::new(),
            flush_interval_ms: 0,
            flush_keys: 0,
            lease_secs: 0,
            take_over: false,
            fetch_timeout_ms: 0,
            durable_timeout_ms: 0,
            snapshots: SnapshotsSetting::None,
            snapshot_interval_secs: 0,
            snapshot_key_files: Vec::new(),
            snapshot_accept_unencrypted: false,
            snapshot_endpoint: None,
            snapshot_region: None,
            snapshot_path_style: PATH_STYLES[0],
            snapshot_sse: ENCRYPTIONS[0],
            snapshot_sse_kms_key: None,
            snapshot_request_timeout_ms: 0,
            snapshot_connect_timeout_ms: 0,
            snapshot_keep: 0,
            snapshot_keep_daily: 0,
            snapshot_keep_monthly: 0,
            requirepass_file: None,
            log_level: LogLevel::Info,
            log_format: LogFormat::Text,
            maxmemory_bytes: 0,
            maxmemory_policy: POLICIES[0],
            maxclients: 0,
            timeout_secs: 0,
            tcp_keepalive_secs: 0,
            tcp_backlog: 0,
            max_key_bytes: 0,
            proto_max_bulk_bytes: 0,
            query_buffer_limit_bytes: 0,
            output_buffer_limit_bytes: 0,
            slowlog_log_slower_than_micros: 0,
            slowlog_max_len: 0,
            enable_debug_command: false,
            shutdown_timeout_secs: 0,
            password: None,
            snapshot_keys: Vec::new(),
            aws: None,
        };
        for setting in SETTINGS {
            let texts: Vec<String> = setting.default.iter().map(|text| (*text).to_owned()).collect();
            setting.kind.set(&mut config, &texts).expect("a test parses every default");
        }
        config
    }
}

impl LogLevel {
    /// The names of the levels.
    pub(super) const NAMES: [(&'static str, Self); 5] = [
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
        ("trace", Self::Trace),
    ];
}

impl LogFormat {
    /// The names of the formats.
    pub(super) const NAMES: [(&'static str, Self); 2] = [("text", Self::Text), ("json", Self::Json)];
}
