//! The settings of snapshots: checked, with what their files and Amazon's variables say.

use super::aws::{self, Variables};
use super::{Config, SettingError, SnapshotsSetting, Source, TruthSetting, snapshot_keys, store_address};

/// Checks the settings of snapshots, and reads the keys and who asks for the bucket.
///
/// # Errors
/// The first setting that cannot be used.
pub(super) fn check(
    config: &mut Config,
    source_of: &dyn Fn(&'static str) -> Source,
    variables: &Variables,
    warnings: &mut Vec<String>,
) -> Result<(), SettingError> {
    let unusable = |setting: &'static str, value: String, reason: String| SettingError::Unusable {
        setting,
        source: source_of(setting),
        value,
        reason,
    };
    let store = config.snapshots.to_string();
    config.snapshots.check().map_err(|reason| unusable("snapshots", store.clone(), reason))?;
    if let Some(address) = &config.snapshot_endpoint {
        let shown = store_address::without_user(address);
        store_address::check(address).map_err(|reason| unusable("snapshot-endpoint", shown, reason))?;
    }
    if let Some(key) = config.snapshot_sse_kms_key.as_ref().filter(|_| config.snapshot_sse != "aws:kms") {
        let reason = format!("snapshot-sse is {}: a key is used with aws:kms only", config.snapshot_sse);
        return Err(unusable("snapshot-sse-kms-key", key.clone(), reason));
    }
    read_keys(config, &unusable)?;
    if let SnapshotsSetting::S3(_) = config.snapshots {
        let access = aws::access(variables).map_err(|reason| unusable("snapshots", store.clone(), reason))?;
        check_endpoint_of(access.endpoint.as_deref(), config)
            .map_err(|reason| unusable("snapshots", store, reason))?;
        config.aws = Some(access);
    }
    if let Some(address) = config.store_endpoint().filter(|address| store_address::is_open(address)) {
        let address = store_address::without_user(address);
        warnings.push(format!(
            "snapshot-endpoint {address}: plain HTTP, so whoever sits on the way can read and change snapshots"
        ));
    }
    warn_of_no_use(config, warnings);
    Ok(())
}

/// Settings that are set and change nothing.
fn warn_of_no_use(config: &Config, warnings: &mut Vec<String>) {
    let mut warn = |setting: &str, reason: String| warnings.push(format!("{setting} is of no use: {reason}"));
    if config.snapshot_endpoint.is_some() && !matches!(config.snapshots, SnapshotsSetting::S3(_)) {
        warn("snapshot-endpoint", format!("snapshots are in no bucket (snapshots {})", config.snapshots));
    }
    if config.snapshot_accept_unencrypted && config.snapshot_key_files.is_empty() {
        let reason = "without snapshot-key-file snapshots that are not encrypted are read anyway";
        warn("snapshot-accept-unencrypted", reason.to_owned());
    }
    if !config.ephemeral_databases.is_empty() && config.truth == TruthSetting::None {
        warn("ephemeral-databases", "with truth none no database has a truth".to_owned());
    }
}

/// An address from a variable or a profile, where the setting does not say another.
fn check_endpoint_of(found: Option<&str>, config: &Config) -> Result<(), String> {
    let Some(address) = found.filter(|_| config.snapshot_endpoint.is_none()) else { return Ok(()) };
    store_address::check(address).map_err(|reason| {
        let shown = store_address::without_user(address);
        format!("the store's address {shown:?} (AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL or endpoint_url in the profile): {reason}")
    })
}

fn read_keys(
    config: &mut Config,
    unusable: &dyn Fn(&'static str, String, String) -> SettingError,
) -> Result<(), SettingError> {
    const SETTING: &str = "snapshot-key-file";
    let files = &config.snapshot_key_files;
    snapshot_keys::check_count(files.len())
        .map_err(|reason| unusable(SETTING, files.len().to_string(), reason))?;
    let read = files.iter().map(|path| {
        snapshot_keys::read(path).map_err(|reason| unusable(SETTING, path.display().to_string(), reason))
    });
    config.snapshot_keys = read.collect::<Result<_, _>>()?;
    Ok(())
}

impl Config {
    /// The address of the store that speaks S3, where it is not Amazon's: the setting's, or that of Amazon's variables and files.
    #[must_use]
    pub fn store_endpoint(&self) -> Option<&str> {
        let found = || self.aws.as_ref().and_then(|access| access.endpoint.as_deref());
        self.snapshot_endpoint.as_deref().or_else(found)
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::super::{AwsCredentials, CommandLine, Resolved, print_config, resolve};

    const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "ID"), ("AWS_SECRET_ACCESS_KEY", "HUNTER")];

    fn resolved(line: &str, variables: &[(&str, &str)]) -> Result<Resolved, String> {
        let words = format!("quotad {line}");
        let line = CommandLine::parse(words.split_whitespace().map(OsString::from))
            .map_err(|end| format!("{end:?}"))?;
        let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        resolve(&line, variables).map_err(|error| error.to_string())
    }

    #[test]
    fn a_bucket_is_asked_for_as_the_variables_say() {
        let variables =
            [&KEYS[..], &[("AWS_REGION", "eu-1"), ("AWS_ENDPOINT_URL", "http://h:9000")]].concat();
        let all = resolved("--snapshots s3://bucket/a", &variables).unwrap();
        let access = all.config.aws.as_ref().unwrap();
        assert!(matches!(&access.credentials, AwsCredentials::Keys { id, .. } if id == "ID"));
        assert_eq!(access.region.as_deref(), Some("eu-1"));
        assert_eq!(all.config.store_endpoint(), Some("http://h:9000"));
        assert!(all.warnings.join("").contains("plain HTTP"), "{:?}", all.warnings);
        assert!(!format!("{:?}", all.config).contains("HUNTER"));
        assert!(!print_config(&all.config).contains("HUNTER"));
        let all =
            resolved("--snapshots s3://bucket --snapshot-endpoint http://127.0.0.1:9", &variables).unwrap();
        assert_eq!(all.config.store_endpoint(), Some("http://127.0.0.1:9"));
        assert!(all.warnings.is_empty(), "{:?}", all.warnings);
        assert!(resolved("", &variables).unwrap().config.aws.is_none(), "nobody asks without a bucket");
    }

    #[test]
    fn what_cannot_be_used_is_named_with_what_can() {
        let many = vec!["/dev/null"; 17].join(",");
        for (line, variables, expected) in [
            (
                "--snapshots gs://bucket/a",
                &KEYS[..],
                "snapshots cannot be \"gs://(hidden)\" (flag --snapshots): allowed is data-dir (the folder snapshots in data-dir), \
                 file:///path, s3://bucket/prefix or none; stores behind gs:// and az:// are not built in",
            ),
            (
                "--snapshots s3://Bucket",
                &KEYS[..],
                "snapshots cannot be \"s3://Bucket\" (flag --snapshots): a bucket's name has 3 to 63",
            ),
            (
                "--snapshots s3://ID:HUNTER@bucket",
                &KEYS[..],
                "snapshots cannot be \"s3://(hidden)\" (flag --snapshots): credentials, ports and parameters",
            ),
            (
                "--snapshots s3://bucket",
                &KEYS[..1],
                "snapshots cannot be \"s3://bucket\" (flag --snapshots): AWS_ACCESS_KEY_ID is set without",
            ),
            (
                "--snapshots s3://bucket",
                &[KEYS[0], KEYS[1], ("AWS_ENDPOINT_URL_S3", "http://ID:HUNTER@h")],
                "the store's address \"http://(hidden)\" (AWS_ENDPOINT_URL_S3,",
            ),
            (
                "--snapshot-endpoint https://ID:HUNTER@h",
                &[],
                "snapshot-endpoint cannot be \"https://(hidden)\" (flag --snapshot-endpoint): credentials do not",
            ),
            (
                "--snapshot-sse-kms-key a",
                &[],
                "snapshot-sse-kms-key cannot be \"a\" (flag --snapshot-sse-kms-key): snapshot-sse is none",
            ),
            (
                "--snapshot-sse kms",
                &[],
                "snapshot-sse cannot be \"kms\" (flag --snapshot-sse): allowed is none or aes256 or aws:kms",
            ),
            ("--snapshot-region", &[], "a value is required"),
            (
                "--snapshot-keep 0",
                &[],
                "snapshot-keep cannot be \"0\" (flag --snapshot-keep): allowed is a number from 1 to 1000",
            ),
            (
                "--snapshot-interval 1y",
                &[],
                "snapshot-interval cannot be \"1y\" (flag --snapshot-interval): allowed is seconds from 0 to 31536000",
            ),
            (
                "--snapshot-key-file /dev/null",
                &[],
                "snapshot-key-file cannot be \"/dev/null\" (flag --snapshot-key-file): every user of this machine",
            ),
            (
                &format!("--snapshot-key-file {many}"),
                &[],
                "snapshot-key-file cannot be \"17\" (flag --snapshot-key-file): at most 16 files are allowed",
            ),
        ] {
            let error = resolved(line, variables).unwrap_err();
            assert!(error.contains(expected) && !error.contains("HUNTER"), "{line}: {error}");
        }
    }

    #[test]
    fn what_is_of_no_use_is_warned_of() {
        for (line, expected) in [
            (
                "--snapshot-endpoint http://127.0.0.1:9",
                "snapshot-endpoint is of no use: snapshots are in no bucket (snapshots data-dir)",
            ),
            ("--snapshot-accept-unencrypted yes", "snapshot-accept-unencrypted is of no use"),
            ("--truth none --ephemeral-databases 1", "ephemeral-databases is of no use"),
            ("--ephemeral-databases 1", ""),
        ] {
            let warnings = resolved(line, &[]).unwrap().warnings.join("; ");
            assert!(
                warnings.starts_with(expected) && warnings.is_empty() == expected.is_empty(),
                "{warnings}"
            );
        }
    }

    #[test]
    fn keys_are_read_in_their_order_and_never_printed() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        for (name, digits) in [("new", "0a"), ("old", "0b")] {
            let path = dir.path().join(name);
            std::fs::write(&path, digits.repeat(32)).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        let files = format!("{0}/new,{0}/old", dir.path().display());
        let config = resolved(&format!("--snapshot-key-file {files}"), &[]).unwrap().config;
        let first_bytes: Vec<_> = config.snapshot_keys.iter().map(|key| key.expose()[0]).collect();
        assert_eq!(first_bytes, [10, 11]);
        assert!(!format!("{config:?}").contains("0a0a") && !print_config(&config).contains("0a0a"));
        assert!(print_config(&config).contains("snapshot-key-file = ["));
    }
}
