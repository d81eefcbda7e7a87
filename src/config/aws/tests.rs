//! Who asks, found in variables and files.

use std::fs;

use tempfile::TempDir;

use super::*;

/// Finds out with a home directory of these files and these variables; answers a line.
fn found(files: &[(&str, &str)], variables: &[(&str, &str)]) -> Result<String, String> {
    let home = TempDir::new().unwrap();
    fs::create_dir(home.path().join(".aws")).unwrap();
    for (name, content) in files {
        fs::write(home.path().join(".aws").join(name), content).unwrap();
    }
    let directory = home.path().display().to_string();
    let mut all: Vec<(OsString, OsString)> = vec![("HOME".into(), directory.clone().into())];
    all.extend(
        variables.iter().map(|(name, value)| ((*name).into(), value.replace("HOME", &directory).into())),
    );
    let access = access(&Variables::pick(&all)).map_err(|error| error.replace(&directory, "HOME"))?;
    assert!(!format!("{access:?}").contains("HUNTER"), "{access:?}");
    let text = |secret: &Secret| String::from_utf8_lossy(secret.expose()).into_owned();
    let credentials = match access.credentials {
        AwsCredentials::Keys { id, secret, token } => {
            let token = token.map_or_else(String::new, |token| format!("+{}", text(&token)));
            format!("keys {id} {}{token}", text(&secret))
        }
        AwsCredentials::WebIdentity { token_file, role, session, endpoint } => {
            format!("web {token_file} {role} {session:?} {endpoint:?}")
        }
        AwsCredentials::ContainerPath(path) => format!("container {path}"),
        AwsCredentials::ContainerAddress { address, token_file } => {
            format!("container {address} {token_file}")
        }
        AwsCredentials::Instance { endpoint } => format!("instance {endpoint:?}"),
    };
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    Ok(format!("{credentials}; {}; {}", or_none(access.region), or_none(access.endpoint)))
}

const CONFIG: &str = "[default]\nregion = eu-1\nendpoint_url = http://h:1\n[profile other]\nregion = eu-2\n\
    [profile role]\nrole_arn = arn:a\nsource_profile = default\n\
    [profile web]\nrole_arn = arn:a\nweb_identity_token_file = /token\nrole_session_name = s\n\
    [profile process]\ncredential_process = /bin/HUNTER\n[profile sso]\nsso_session = mine\n";
const CREDENTIALS: &str = "[default]\naws_access_key_id = ID\naws_secret_access_key = HUNTER\n\
    [other]\naws_access_key_id = ID2\naws_secret_access_key = HUNTER2\naws_session_token = HUNTER3\n\
    [half]\naws_access_key_id = ID\n[role]\naws_access_key_id = ID\naws_secret_access_key = HUNTER\n";
const FILES: [(&str, &str); 2] = [("config", CONFIG), ("credentials", CREDENTIALS)];

#[test]
fn what_is_looked_at_first_wins() {
    let keys = ("AWS_ACCESS_KEY_ID", "A");
    let secret = ("AWS_SECRET_ACCESS_KEY", "HUNTERA");
    for (files, variables, expected) in [
        (&FILES[..], &[keys, secret][..], "keys A HUNTERA; eu-1; http://h:1"),
        (
            &FILES,
            &[keys, secret, ("AWS_SESSION_TOKEN", "T"), ("AWS_REGION", "us-2")],
            "keys A HUNTERA+T; us-2; http://h:1",
        ),
        (&FILES, &[], "keys ID HUNTER; eu-1; http://h:1"),
        (&FILES, &[("AWS_PROFILE", "other")], "keys ID2 HUNTER2+HUNTER3; eu-2; -"),
        (&FILES, &[("AWS_PROFILE", "web")], "web /token arn:a Some(\"s\") None; -; -"),
        (
            &FILES,
            &[
                ("AWS_WEB_IDENTITY_TOKEN_FILE", "/t"),
                ("AWS_ROLE_ARN", "r"),
                ("AWS_ENDPOINT_URL_STS", "https://s"),
            ],
            "web /t r None Some(\"https://s\"); eu-1; http://h:1",
        ),
        (&[], &[("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2")], "container /v2; -; -"),
        (
            &[],
            &[
                ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://a"),
                ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/t"),
            ],
            "container http://a /t; -; -",
        ),
        (&[], &[], "instance None; -; -"),
        (&[], &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://m")], "instance Some(\"http://m\"); -; -"),
        (
            &FILES,
            &[
                ("AWS_DEFAULT_REGION", "r"),
                ("AWS_ENDPOINT_URL", "https://all"),
                ("AWS_ENDPOINT_URL_S3", "https://s3"),
                ("AWS_PROFILE", ""),
            ],
            "keys ID HUNTER; r; https://s3",
        ),
        (
            &[("elsewhere", CREDENTIALS)],
            &[("AWS_SHARED_CREDENTIALS_FILE", "HOME/.aws/elsewhere"), ("AWS_PROFILE", "other")],
            "keys ID2 HUNTER2+HUNTER3; -; -",
        ),
    ] {
        assert_eq!(found(files, variables).unwrap(), expected, "{variables:?}");
    }
}

#[test]
fn what_cannot_be_used_is_named_with_what_can() {
    for (files, variables, expected) in [
        (
            &FILES[..],
            &[("AWS_ACCESS_KEY_ID", "A")][..],
            "AWS_ACCESS_KEY_ID is set without AWS_SECRET_ACCESS_KEY",
        ),
        (
            &FILES,
            &[("AWS_SECRET_ACCESS_KEY", "HUNTER")],
            "AWS_SECRET_ACCESS_KEY is set without AWS_ACCESS_KEY_ID",
        ),
        (
            &FILES,
            &[("AWS_PROFILE", "none")],
            "AWS_PROFILE names \"none\", which is in none of the files HOME/.aws/config and HOME/.aws/credentials",
        ),
        (
            &FILES,
            &[("AWS_PROFILE", "role")],
            "the profile \"role\" gets its credentials by role_arn, which is not supported: supported are aws_access_key_id",
        ),
        (&FILES, &[("AWS_PROFILE", "process")], "by credential_process, which is not supported"),
        (&FILES, &[("AWS_PROFILE", "sso")], "by sso_session, which is not supported"),
        (&FILES, &[("AWS_PROFILE", "half")], "the profile \"half\" has one of aws_access_key_id and"),
        (&[("config", "[default\nHUNTER")], &[], "HOME/.aws/config cannot be read: line 1"),
        (&[], &[("AWS_CONFIG_FILE", "HOME/none")], "HOME/none cannot be read: No such file"),
        (&[], &[("AWS_EC2_METADATA_DISABLED", "true")], "there are no credentials: set AWS_ACCESS_KEY_ID"),
        (
            &[],
            &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://a")],
            "without AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        ),
    ] {
        let error = found(files, variables).unwrap_err();
        assert!(error.contains(expected) && !error.contains("HUNTER"), "{variables:?}: {error}");
    }
}
