//! Who asks for a bucket, and where it is, as Amazon's own tools find out: from their variables and files.
//!
//! What is looked at first wins, in the order of Amazon's tools: keys in variables, a web identity in variables, a profile, the
//! container's role, the machine's role. Source: "AWS SDKs and Tools Reference Guide", credential provider chain.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::Secret;
use super::profile::{self, Profile};

/// What variables of Amazon's tools begin with.
const PREFIX: &str = "AWS_";

/// The variable with the directory in which the files are looked for.
const HOME: &str = "HOME";

/// What is not known in a profile, and would be ways to get credentials.
const NOT_KNOWN: [&str; 5] =
    ["role_arn", "credential_process", "sso_session", "sso_start_url", "credential_source"];

/// What may stand in a profile, for error texts.
const KNOWN: &str = "supported are aws_access_key_id with aws_secret_access_key and aws_session_token, role_arn with \
    web_identity_token_file, region and endpoint_url";

/// What Amazon's variables and files say.
#[derive(Clone, Debug)]
pub struct AwsAccess {
    /// Who asks.
    pub credentials: AwsCredentials,
    /// The region, if any is named.
    pub region: Option<String>,
    /// The store's address, if another than Amazon's is named.
    pub endpoint: Option<String>,
}

/// How credentials are had.
#[derive(Clone, Debug)]
pub enum AwsCredentials {
    /// They are here.
    Keys {
        /// The key's name.
        id: String,
        /// The key.
        secret: Secret,
        /// What belongs to keys that were lent for a time.
        token: Option<Secret>,
    },
    /// For the token in a file.
    WebIdentity {
        /// The file.
        token_file: String,
        /// The role that is taken.
        role: String,
        /// The session's name.
        session: Option<String>,
        /// The token service's address, if it is not Amazon's.
        endpoint: Option<String>,
    },
    /// From an agent beside the container, by a path on its fixed address.
    ContainerPath(String),
    /// From an agent beside the container.
    ContainerAddress {
        /// Its address.
        address: String,
        /// The file with the token that it wants.
        token_file: String,
    },
    /// From the machine's metadata service.
    Instance {
        /// Its address, if it is another.
        endpoint: Option<String>,
    },
}

/// Variables of Amazon's tools.
pub(super) struct Variables(BTreeMap<String, String>);

impl Variables {
    /// Picks them out of the environment; those that are empty count as not set.
    pub(super) fn pick(environment: &[(OsString, OsString)]) -> Self {
        let known = environment.iter().filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?)));
        let known =
            known.filter(|(name, value)| (name.starts_with(PREFIX) || *name == HOME) && !value.is_empty());
        Self(known.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }

    /// Where a file is: where its variable says, or else in the home directory.
    fn file(&self, variable: &str, name: &str) -> Option<(PathBuf, bool)> {
        let named = self.text(variable).map(|path| (PathBuf::from(path), true));
        named.or_else(|| Some((Path::new(self.0.get(HOME)?).join(".aws").join(name), false)))
    }
}

/// Finds out who asks, and where.
///
/// # Errors
/// What is said but cannot be used, with what can; no secret is in it.
pub(super) fn access(variables: &Variables) -> Result<AwsAccess, String> {
    let profile = Named::read(variables)?;
    let region = variables.text("AWS_REGION").or_else(|| variables.text("AWS_DEFAULT_REGION"));
    let endpoint = variables.text("AWS_ENDPOINT_URL_S3").or_else(|| variables.text("AWS_ENDPOINT_URL"));
    Ok(AwsAccess {
        region: region.or_else(|| profile.text("region")),
        endpoint: endpoint.or_else(|| profile.text("endpoint_url")),
        credentials: credentials(variables, &profile)?,
    })
}

fn credentials(variables: &Variables, profile: &Named) -> Result<AwsCredentials, String> {
    let keys = (variables.text("AWS_ACCESS_KEY_ID"), variables.text("AWS_SECRET_ACCESS_KEY"));
    match keys {
        (Some(id), Some(secret)) => {
            let token = variables.text("AWS_SESSION_TOKEN").map(|token| Secret::new(token.as_bytes()));
            return Ok(AwsCredentials::Keys { id, secret: Secret::new(secret.as_bytes()), token });
        }
        (Some(_), None) => return Err("AWS_ACCESS_KEY_ID is set without AWS_SECRET_ACCESS_KEY".to_owned()),
        (None, Some(_)) => return Err("AWS_SECRET_ACCESS_KEY is set without AWS_ACCESS_KEY_ID".to_owned()),
        (None, None) => {}
    }
    let web_identity = (variables.text("AWS_WEB_IDENTITY_TOKEN_FILE"), variables.text("AWS_ROLE_ARN"));
    if let (Some(token_file), Some(role)) = web_identity {
        let session = variables.text("AWS_ROLE_SESSION_NAME");
        return Ok(web_identity_of(variables, token_file, role, session));
    }
    match profile.credentials(variables)? {
        Some(credentials) => Ok(credentials),
        None => of_surroundings(variables),
    }
}

fn web_identity_of(
    variables: &Variables,
    token_file: String,
    role: String,
    session: Option<String>,
) -> AwsCredentials {
    AwsCredentials::WebIdentity {
        token_file,
        role,
        session,
        endpoint: variables.text("AWS_ENDPOINT_URL_STS"),
    }
}

fn of_surroundings(variables: &Variables) -> Result<AwsCredentials, String> {
    if let Some(path) = variables.text("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
        return Ok(AwsCredentials::ContainerPath(path));
    }
    if let Some(address) = variables.text("AWS_CONTAINER_CREDENTIALS_FULL_URI") {
        let token_file = variables.text("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
        let token_file = token_file.ok_or(
            "AWS_CONTAINER_CREDENTIALS_FULL_URI is set without AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE, and no other way to \
             tell the agent's token is supported",
        )?;
        return Ok(AwsCredentials::ContainerAddress { address, token_file });
    }
    if variables.text("AWS_EC2_METADATA_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true")) {
        return Err("there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile with \
             AWS_PROFILE (AWS_EC2_METADATA_DISABLED keeps from asking the machine for its role)"
            .to_owned());
    }
    Ok(AwsCredentials::Instance { endpoint: variables.text("AWS_EC2_METADATA_SERVICE_ENDPOINT") })
}

/// A profile, with where it stands for error texts.
struct Named {
    name: String,
    values: Profile,
}

impl Named {
    /// Reads the profile from both files; what stands in `credentials` wins.
    fn read(variables: &Variables) -> Result<Self, String> {
        let asked = variables.text("AWS_PROFILE").or_else(|| variables.text("AWS_DEFAULT_PROFILE"));
        let name = asked.clone().unwrap_or_else(|| "default".to_owned());
        let files =
            [("AWS_CONFIG_FILE", "config", "profile"), ("AWS_SHARED_CREDENTIALS_FILE", "credentials", "")];
        let mut values = Profile::new();
        let mut is_found = false;
        let mut looked_at = Vec::new();
        for (variable, file, prefix) in files {
            let Some((path, is_named)) = variables.file(variable, file) else { continue };
            looked_at.push(path.display().to_string());
            if !is_named && !path.exists() {
                continue;
            }
            let read = profile::read(&path, prefix, &name);
            let profile = read.map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
            is_found |= profile.is_some();
            values.extend(profile.unwrap_or_default());
        }
        if asked.is_some() && !is_found {
            let files = looked_at.join(" and ");
            return Err(format!("AWS_PROFILE names {name:?}, which is in none of the files {files}"));
        }
        Ok(Self { name, values })
    }

    fn text(&self, key: &str) -> Option<String> {
        self.values.get(key).filter(|value| !value.is_empty()).cloned()
    }

    fn credentials(&self, variables: &Variables) -> Result<Option<AwsCredentials>, String> {
        if let (Some(token_file), Some(role)) = (self.text("web_identity_token_file"), self.text("role_arn"))
        {
            let session = self.text("role_session_name");
            return Ok(Some(web_identity_of(variables, token_file, role, session)));
        }
        let name = &self.name;
        // A role is taken with the keys beside it, which are not meant to be used themselves.
        let not_known = |key: &&&str| self.text(key).is_some();
        let keys = (self.text("aws_access_key_id"), self.text("aws_secret_access_key"));
        let has_keys = keys.0.is_some() && keys.1.is_some();
        let unknown = NOT_KNOWN.iter().find(not_known).filter(|key| !has_keys || **key == "role_arn");
        if let Some(key) = unknown {
            return Err(format!(
                "the profile {name:?} gets its credentials by {key}, which is not supported: {KNOWN}"
            ));
        }
        match keys {
            (Some(id), Some(secret)) => {
                let token = self.text("aws_session_token").map(|token| Secret::new(token.as_bytes()));
                Ok(Some(AwsCredentials::Keys { id, secret: Secret::new(secret.as_bytes()), token }))
            }
            (None, None) => Ok(None),
            _ => Err(format!(
                "the profile {name:?} has one of aws_access_key_id and aws_secret_access_key without the other"
            )),
        }
    }
}

#[cfg(test)]
mod tests;
