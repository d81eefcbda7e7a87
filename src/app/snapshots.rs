//! Where snapshots are kept, as the settings say.

use std::time::Duration;

use super::start::StartError;
use crate::config::{AwsAccess, AwsCredentials, Config, Secret};
use crate::snapshot::format::{SealingKey, SealingKeys};
use crate::snapshot::objects::{Credentials, Encryption, Objects, ObjectsPlace, ObjectsSettings, S3Settings};
use crate::snapshot::{Catalog, Retention};

/// The region where none is named: what stores other than Amazon's take, and Amazon's first.
const DEFAULT_REGION: &str = "us-east-1";

/// Where snapshots are kept; `None`: there are none.
#[must_use]
pub fn objects_settings(config: &Config) -> Option<ObjectsSettings> {
    let place = match (config.snapshots.folder(&config.data_dir), config.snapshots.bucket(), &config.aws) {
        (Some(folder), _, _) => ObjectsPlace::Folder(folder),
        (None, Some((bucket, prefix)), Some(access)) => {
            ObjectsPlace::S3(Box::new(bucket_settings(config, access, bucket, prefix)))
        }
        _ => return None,
    };
    Some(ObjectsSettings {
        place,
        request_timeout: Duration::from_millis(config.snapshot_request_timeout_ms),
        connect_timeout: Duration::from_millis(config.snapshot_connect_timeout_ms),
    })
}

fn bucket_settings(config: &Config, access: &AwsAccess, bucket: &str, prefix: &str) -> S3Settings {
    let region = config.snapshot_region.as_ref().or(access.region.as_ref());
    let endpoint = config.store_endpoint();
    let is_path_style = match config.snapshot_path_style {
        "yes" => true,
        "no" => false,
        // A certificate for hosts of one name does not hold for names with dots in them.
        _ => endpoint.is_some() || bucket.contains('.'),
    };
    S3Settings {
        bucket: bucket.to_owned(),
        prefix: prefix.to_owned(),
        region: region.cloned().unwrap_or_else(|| DEFAULT_REGION.to_owned()),
        endpoint: endpoint.map(ToOwned::to_owned),
        is_path_style,
        encryption: match config.snapshot_sse {
            "aes256" => Encryption::Aes256,
            "aws:kms" => Encryption::Kms(config.snapshot_sse_kms_key.clone()),
            _ => Encryption::Default,
        },
        credentials: credentials(&access.credentials),
    }
}

fn credentials(found: &AwsCredentials) -> Credentials {
    // They come out of text, and go into headers as text.
    let text = |secret: &Secret| String::from_utf8_lossy(secret.expose()).into_owned();
    match found.clone() {
        AwsCredentials::Keys { id, secret, token } => {
            Credentials::Keys { id, secret: text(&secret), token: token.as_ref().map(text) }
        }
        AwsCredentials::WebIdentity { token_file, role, session, endpoint } => {
            Credentials::WebIdentity { token_file, role, session, endpoint }
        }
        AwsCredentials::ContainerPath(path) => Credentials::ContainerPath(path),
        AwsCredentials::ContainerAddress { address, token_file } => {
            Credentials::ContainerAddress { address, token_file }
        }
        AwsCredentials::Instance { endpoint } => Credentials::Instance { endpoint },
    }
}

/// The snapshots that the settings name, to be read or written; `None`: there are none.
///
/// # Errors
/// A key that is none, or a place that cannot be used.
pub fn catalog(config: &Config) -> Result<Option<Catalog>, StartError> {
    let Some(settings) = objects_settings(config) else { return Ok(None) };
    let objects = Objects::open(&settings).map_err(|error| StartError(error.to_string()))?;
    let key = |secret: &Secret| {
        let bytes =
            secret.expose().try_into().map_err(|_| StartError("a snapshot's key has 32 bytes".to_owned()))?;
        Ok(SealingKey::from_bytes(bytes))
    };
    let keys = config.snapshot_keys.iter().map(key).collect::<Result<_, StartError>>()?;
    let accepts_unsealed = config.snapshot_accept_unencrypted;
    Ok(Some(Catalog { objects, keys: SealingKeys::new(keys), accepts_unsealed }))
}

/// What is kept of them.
#[must_use]
pub fn retention(config: &Config) -> Retention {
    Retention {
        newest: config.snapshot_keep,
        days: config.snapshot_keep_daily,
        months: config.snapshot_keep_monthly,
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::path::PathBuf;

    use super::*;
    use crate::config::{CommandLine, resolve};

    fn settings(line: &str) -> Option<ObjectsSettings> {
        let words = format!("quotad {line}");
        let line = CommandLine::parse(words.split_whitespace().map(OsString::from)).unwrap();
        let variables = [("AWS_ACCESS_KEY_ID", "ID"), ("AWS_SECRET_ACCESS_KEY", "SECRET")];
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
        objects_settings(&resolve(&line, variables).unwrap().config)
    }

    fn bucket(line: &str) -> S3Settings {
        match settings(line).unwrap().place {
            ObjectsPlace::S3(bucket) => *bucket,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_folder_is_in_the_data_directory_unless_named() {
        let folder = |line| match settings(line).unwrap().place {
            ObjectsPlace::Folder(folder) => folder,
            other => panic!("{other:?}"),
        };
        assert_eq!(folder("--data-dir /d"), PathBuf::from("/d/snapshots"));
        assert_eq!(folder("--snapshots file:///e"), PathBuf::from("/e"));
        assert!(settings("--snapshots none").is_none());
        let settings = settings("--snapshot-request-timeout-ms 200 --snapshot-connect-timeout-ms 7").unwrap();
        assert_eq!((settings.request_timeout.as_millis(), settings.connect_timeout.as_millis()), (200, 7));
    }

    #[test]
    fn a_bucket_is_reached_as_the_settings_say() {
        let found = bucket("--snapshots s3://bucket/a/b/");
        assert_eq!((found.bucket.as_str(), found.prefix.as_str()), ("bucket", "a/b"));
        assert_eq!((found.region.as_str(), found.endpoint, found.is_path_style), ("us-east-1", None, false));
        assert_eq!(found.encryption, Encryption::Default);
        for (more, expected) in [
            ("", false),
            ("--snapshot-path-style yes", true),
            ("--snapshot-endpoint https://h", true),
            ("--snapshot-endpoint https://h --snapshot-path-style no", false),
        ] {
            assert_eq!(bucket(&format!("--snapshots s3://bucket {more}")).is_path_style, expected, "{more}");
        }
        assert!(bucket("--snapshots s3://my.bucket").is_path_style);
        let found = bucket("--snapshots s3://bucket --snapshot-region eu-1 --snapshot-sse aes256");
        assert_eq!((found.region.as_str(), found.encryption), ("eu-1", Encryption::Aes256));
        let found = bucket("--snapshots s3://bucket --snapshot-sse aws:kms --snapshot-sse-kms-key arn:a");
        assert_eq!(found.encryption, Encryption::Kms(Some("arn:a".to_owned())));
    }
}
