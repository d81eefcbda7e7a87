//! Credentials that tell their own failures from the store's.

use std::fmt;
use std::sync::Arc;

use object_store::aws::{AwsCredential, AwsCredentialProvider};
use object_store::{CredentialProvider, Error};

/// What is put around the credentials of a store.
#[derive(Debug)]
pub(super) struct Marked(pub(super) AwsCredentialProvider);

/// A failure to get credentials, by its cause.
#[derive(Debug)]
pub(super) struct CredentialsError(Error);

impl fmt::Display for CredentialsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("no credentials")
    }
}

impl std::error::Error for CredentialsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

// Written out as the macro of the trait writes it, which would be one more dependency for one function.
impl CredentialProvider for Marked {
    type Credential = AwsCredential;

    fn get_credential<'life, 'future>(
        &'life self,
    ) -> futures_util::future::BoxFuture<'future, object_store::Result<Arc<AwsCredential>>>
    where
        'life: 'future,
        Self: 'future,
    {
        Box::pin(async move {
            let found = self.0.get_credential().await;
            found.map_err(|error| Error::Generic { store: "S3", source: Box::new(CredentialsError(error)) })
        })
    }
}
