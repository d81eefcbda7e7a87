//! What must be known to open a store of objects.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Where objects lie, and how long anything with them may take.
#[derive(Clone, Debug)]
pub struct ObjectsSettings {
    /// Where they lie.
    pub place: ObjectsPlace,
    /// How long a request may take with all its tries. One try has half of it.
    pub request_timeout: Duration,
    /// How long connecting may take.
    pub connect_timeout: Duration,
}

/// Where objects lie.
#[derive(Clone, Debug)]
pub enum ObjectsPlace {
    /// In memory, and gone with the last [`Objects`](super::Objects) of it: for tests.
    Memory,
    /// In files below a folder, which is made when it is missing.
    Folder(PathBuf),
    /// In a bucket of S3, or of a store that speaks its protocol.
    S3(Box<S3Settings>),
}

/// A bucket, and how it is reached.
#[derive(Clone, Debug)]
pub struct S3Settings {
    /// The bucket's name.
    pub bucket: String,
    /// What all names in the bucket begin with, without slashes around it; may be empty.
    pub prefix: String,
    /// The region, which is part of each signature.
    pub region: String,
    /// The address of a store other than Amazon's, without the bucket.
    pub endpoint: Option<String>,
    /// Whether the bucket is told in the path, not in the host's name.
    pub is_path_style: bool,
    /// How the store is told to encrypt what it keeps.
    pub encryption: Encryption,
    /// Who asks.
    pub credentials: Credentials,
}

/// How a store is told to encrypt what it keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// As the bucket says.
    Default,
    /// With a key of the store.
    Aes256,
    /// With this key of Amazon's key service, or without one with the account's own.
    Kms(Option<String>),
}

/// How requests are signed. Secrets are not shown.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// With keys that stay the same.
    Keys {
        /// The key's name.
        id: String,
        /// The key.
        secret: String,
        /// What belongs to keys that were lent for a time.
        token: Option<String>,
    },
    /// With keys that Amazon's token service gives for the token in a file, as in Kubernetes.
    WebIdentity {
        /// The file, which is read anew each time.
        token_file: String,
        /// The role that is taken.
        role: String,
        /// The name of the session.
        session: Option<String>,
        /// The service's address, if it is not Amazon's.
        endpoint: Option<String>,
    },
    /// With keys from an agent beside the container, by a path on its fixed address.
    ContainerPath(String),
    /// With keys from an agent beside the container.
    ContainerAddress {
        /// Its address.
        address: String,
        /// The file with the token that it wants.
        token_file: String,
    },
    /// With keys from the machine's metadata service.
    Instance {
        /// Its address, if it is another.
        endpoint: Option<String>,
    },
}

impl fmt::Debug for Credentials {
    /// By what kind of credentials they are; no key, token or name of a key.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Keys { .. } => "Keys(hidden)",
            Self::WebIdentity { .. } => "WebIdentity",
            Self::ContainerPath(_) | Self::ContainerAddress { .. } => "Container",
            Self::Instance { .. } => "Instance",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_not_shown() {
        let keys =
            Credentials::Keys { id: "ID".into(), secret: "SECRET".into(), token: Some("TOKEN".into()) };
        assert_eq!(format!("{keys:?}"), "Keys(hidden)");
    }
}
