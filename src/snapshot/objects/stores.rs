//! The stores behind the operations, opened.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, Checksum, S3ConditionalPut};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ClientConfigKey, ClientOptions, ObjectStore, RetryConfig};

use super::credentials::Marked;
use super::{Credentials, Encryption, ObjectsError, ObjectsPlace, ObjectsSettings, S3Settings};

/// Snapshots hold all keys, so nobody else reads them.
const FOLDER_MODE: u32 = 0o700;

/// What servers are told of who asks.
const USER_AGENT: &str = concat!("quotad/", env!("CARGO_PKG_VERSION"));

/// The setting's name for a key of the store, by the crate.
const ENCRYPTION_KEY: &str = "aws_server_side_encryption";

/// A store that is open.
pub(super) struct Opened {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) prefix: Path,
    /// The folder, if it is one.
    pub(super) folder: Option<PathBuf>,
    /// For people.
    pub(super) address: String,
}

/// Opens the store that the settings name.
///
/// # Errors
/// Why that cannot be.
pub(super) fn open(settings: &ObjectsSettings) -> Result<Opened, ObjectsError> {
    match &settings.place {
        ObjectsPlace::Memory => Ok(Opened {
            store: Arc::new(InMemory::new()),
            prefix: Path::default(),
            folder: None,
            address: "memory".to_owned(),
        }),
        ObjectsPlace::Folder(folder) => open_folder(folder),
        ObjectsPlace::S3(bucket) => open_bucket(bucket, settings),
    }
}

fn open_folder(folder: &FilePath) -> Result<Opened, ObjectsError> {
    let address = format!("folder {}", folder.display());
    let denied = |error: String| ObjectsError::Denied(format!("{address} cannot be used: {error}"));
    make_folder(folder).map_err(|error| denied(error.to_string()))?;
    let store = LocalFileSystem::new_with_prefix(folder).map_err(|error| denied(error.to_string()))?;
    let store = store.with_fsync(true).with_automatic_cleanup(true);
    let folder = Some(folder.to_owned());
    Ok(Opened { store: Arc::new(store), prefix: Path::default(), folder, address })
}

/// Makes a folder and those above it, durably: what is written into it is worth no more than its name.
fn make_folder(folder: &FilePath) -> io::Result<()> {
    let folder = std::path::absolute(folder)?;
    let missing: Vec<PathBuf> =
        folder.ancestors().take_while(|above| !above.exists()).map(FilePath::to_owned).collect();
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(&folder)?;
    missing.iter().filter_map(|made| made.parent()).try_for_each(|above| File::open(above)?.sync_all())
}

fn open_bucket(bucket: &S3Settings, settings: &ObjectsSettings) -> Result<Opened, ObjectsError> {
    use_ring();
    let at = bucket.endpoint.as_ref().map_or_else(String::new, |endpoint| format!(" at {endpoint}"));
    let slash = if bucket.prefix.is_empty() { "" } else { "/" };
    let address = format!("s3://{}{slash}{}{at}", bucket.bucket, bucket.prefix);
    let wrong =
        |error: &dyn std::fmt::Display| ObjectsError::Denied(format!("{address} cannot be used: {error}"));
    let builder = builder(bucket, settings);
    let plain = builder.clone().build().map_err(|error| wrong(&error))?;
    let credentials = Arc::new(Marked(Arc::clone(plain.credentials())));
    let store: AmazonS3 = builder.with_credentials(credentials).build().map_err(|error| wrong(&error))?;
    let prefix = Path::parse(&bucket.prefix).map_err(|error| wrong(&error))?;
    Ok(Opened { store: Arc::new(store), prefix, folder: None, address })
}

/// The crate's HTTP client takes the process's cryptography, which is ring as everywhere here.
fn use_ring() {
    // It fails where one is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn builder(bucket: &S3Settings, settings: &ObjectsSettings) -> AmazonS3Builder {
    let endpoint = bucket.endpoint.as_deref().map(|endpoint| endpoint.trim_end_matches('/'));
    let is_plain = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
    let options = ClientOptions::new()
        .with_config(ClientConfigKey::UserAgent, USER_AGENT)
        .with_allow_http(is_plain)
        .with_connect_timeout(settings.connect_timeout)
        .with_timeout(settings.request_timeout);
    // Tries are made around whole operations, which know whether an answer was lost.
    let retry =
        RetryConfig { max_retries: 0, retry_timeout: settings.request_timeout, ..RetryConfig::default() };
    let mut builder = AmazonS3Builder::new()
        .with_client_options(options)
        .with_retry(retry)
        .with_bucket_name(&bucket.bucket)
        .with_region(&bucket.region)
        .with_virtual_hosted_style_request(!bucket.is_path_style)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_checksum_algorithm(Checksum::SHA256)
        // Not every store knows deletions of many, and there are never many.
        .with_disable_bulk_delete(true);
    if let Some(endpoint) = endpoint {
        let is_named = !bucket.is_path_style;
        let host = if is_named { with_bucket(endpoint, &bucket.bucket) } else { endpoint.to_owned() };
        builder = builder.with_endpoint(host);
    }
    builder = match &bucket.encryption {
        Encryption::Default => builder,
        Encryption::Aes256 => with(builder, ENCRYPTION_KEY, "AES256"),
        Encryption::Kms(None) => with(builder, ENCRYPTION_KEY, "aws:kms"),
        Encryption::Kms(Some(key)) => builder.with_sse_kms_encryption(key),
    };
    with_credentials(builder, &bucket.credentials)
}

/// `https://host` as `https://bucket.host`.
fn with_bucket(endpoint: &str, bucket: &str) -> String {
    match endpoint.split_once("://") {
        Some((scheme, host)) => format!("{scheme}://{bucket}.{host}"),
        None => format!("{bucket}.{endpoint}"),
    }
}

fn with(builder: AmazonS3Builder, key: &str, value: &str) -> AmazonS3Builder {
    let key: AmazonS3ConfigKey = key.parse().expect("the crate knows the key, as a test of each shows");
    builder.with_config(key, value)
}

fn with_credentials(builder: AmazonS3Builder, credentials: &Credentials) -> AmazonS3Builder {
    match credentials {
        Credentials::Keys { id, secret, token } => {
            let builder = builder.with_access_key_id(id).with_secret_access_key(secret);
            match token {
                Some(token) => builder.with_token(token),
                None => builder,
            }
        }
        Credentials::WebIdentity { token_file, role, session, endpoint } => {
            let mut builder = with(builder, "aws_web_identity_token_file", token_file);
            builder = with(builder, "aws_role_arn", role);
            if let Some(session) = session {
                builder = with(builder, "aws_role_session_name", session);
            }
            match endpoint {
                Some(endpoint) => with(builder, "aws_endpoint_url_sts", endpoint),
                None => builder,
            }
        }
        Credentials::ContainerPath(path) => with(builder, "aws_container_credentials_relative_uri", path),
        Credentials::ContainerAddress { address, token_file } => {
            let builder = with(builder, "aws_container_credentials_full_uri", address);
            with(builder, "aws_container_authorization_token_file", token_file)
        }
        Credentials::Instance { endpoint: Some(endpoint) } => builder.with_metadata_endpoint(endpoint),
        Credentials::Instance { endpoint: None } => builder,
    }
}
