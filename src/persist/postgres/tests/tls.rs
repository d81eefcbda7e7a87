//! Over TLS: the right certificate is accepted, and what is wrong with another is said.

use std::path::Path;

use super::postgres::as_postgres;
use super::*;

/// How often a server that was told to is tried for TLS.
const TRIES: u32 = 1_000;

/// Makes two authorities and a certificate of the first one for the name `localhost`.
const SCRIPT: &str = r#"
set -eu
umask 077
cd "$1"
cat >settings <<'END'
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
[server]
basicConstraints = critical, CA:FALSE
subjectAltName = DNS:localhost
END
new="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -config settings"
for authority in right wrong; do
  openssl req -x509 $new -extensions authority -days 2 -subj "/CN=$authority" -keyout $authority.key -out $authority.crt
done
openssl req -new $new -subj /CN=server -keyout server.key -out server.csr
openssl x509 -req -in server.csr -CA right.crt -CAkey right.key -CAcreateserial -days 2 \
  -extfile settings -extensions server -out server.crt
chmod 644 right.crt wrong.crt
"#;

/// Files of certificates, owned by whom Postgres runs as: it refuses a key that others can read.
fn certificates() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(directory.path(), open).unwrap();
    let mut script = as_postgres(Path::new("sh"));
    let made = script.args(["-c", SCRIPT, "sh"]).arg(directory.path()).output().unwrap();
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(
        made.status.success(),
        "openssl makes no certificates; if it is missing, as root: apt-get install --no-install-recommends openssl\n{said}"
    );
    directory
}

/// A server with TLS.
async fn started(certificates: &Path) -> Server {
    let server = Server::start(false);
    let mut admin = PgConnection::connect(&server.url()).await.unwrap();
    for (name, value) in [("ssl_cert_file", "server.crt"), ("ssl_key_file", "server.key")] {
        let sql = format!("ALTER SYSTEM SET {name} = '{}'", certificates.join(value).display());
        admin.execute(AssertSqlSafe(sql)).await.unwrap();
    }
    admin.execute("ALTER SYSTEM SET ssl = on").await.unwrap();
    admin.execute("SELECT pg_reload_conf()").await.unwrap();
    let with_tls = server.url().replace("sslmode=disable", "sslmode=require");
    for _ in 0..TRIES {
        if PgConnection::connect(&with_tls).await.is_ok() {
            return server;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("Postgres does not take up TLS");
}

fn store(host: &str, port: u16, authority: &Path) -> PostgresStore {
    let authority = authority.display();
    let url =
        format!("postgres://postgres@{host}:{port}/postgres?sslmode=verify-full&sslrootcert={authority}");
    PostgresStore::new(&PostgresOptions::parse(&url).unwrap())
}

fn refusal<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> String {
    match answer {
        Err(StoreError::Denied(reason)) => reason,
        other => panic!("{other:?} is no refusal for good"),
    }
}

#[tokio::test]
async fn only_the_right_certificate_under_the_right_name_is_accepted() {
    let certificates = certificates();
    let server = started(certificates.path()).await;
    let right = certificates.path().join("right.crt");

    let accepted = store("localhost", server.port, &right);
    assert_eq!(
        accepted.migrate(false).await.unwrap(),
        ["0001 truth", "0002 refused_batches", "0003 snapshots", "0004 refused_periods"]
    );
    let mut transaction = accepted.begin().await.unwrap();
    let encrypted: bool = sqlx::query_scalar("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        .persistent(false)
        .fetch_one(&mut *transaction)
        .await
        .unwrap();
    assert!(encrypted);

    let other = store("localhost", server.port, &certificates.path().join("wrong.crt"));
    let reason = refusal(other.owner().await);
    assert!(reason.contains("the server's certificate is not accepted (UnknownIssuer)"), "{reason}");
    assert!(reason.contains("sslrootcert"), "{reason}");

    let reason = refusal(store("127.0.0.1", server.port, &right).owner().await);
    assert!(reason.contains("certificate not valid for name \"127.0.0.1\""), "{reason}");
    assert!(reason.contains("localhost") && reason.contains("the host"), "{reason}");

    let missing = certificates.path().join("none.crt");
    let Err(StoreError::Unavailable(reason)) = store("localhost", server.port, &missing).owner().await else {
        panic!("a file that is not there is no error")
    };
    assert!(reason.contains("a file as sslrootcert, sslcert or sslkey, that is not there"), "{reason}");
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_it_is_asked_for() {
    let certificates = certificates();
    let reason =
        refusal(store("localhost", server().port, &certificates.path().join("right.crt")).owner().await);
    assert!(reason.contains("server does not support TLS"), "{reason}");
}
