//! What is said where there are no connections left, on the server or in the pool, and where a role has no schema to make tables in.

use super::*;

fn reason_of<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> String {
    match answer {
        Err(StoreError::Unavailable(reason)) => reason,
        other => panic!("{other:?} does not say that it is for now"),
    }
}

/// A server of this test's own, since nobody else gets a connection meanwhile.
#[tokio::test]
async fn a_server_without_connections_left_is_named_with_the_remedy() {
    let server = Server::start(false);
    let mut held = Vec::new();
    let full = loop {
        match PgConnection::connect(&server.url()).await {
            Ok(connection) => held.push(connection),
            Err(error) => break error,
        }
    };
    assert!(full.to_string().contains("too many clients"), "{full}");
    let store = PostgresStore::new(&PostgresOptions::parse(&server.url()).unwrap());
    let reason = reason_of(store.owner().await);
    for part in ["too many clients already", "(53300)", "this server takes up to 10", "raise max_connections"]
    {
        assert!(reason.contains(part), "{reason}");
    }
    drop(held);
    // It is over when somebody leaves.
    for _ in 0..10 {
        if store.migrate(false).await.is_ok() {
            return;
        }
    }
    panic!("there are connections again, and the store gets none");
}

#[tokio::test]
async fn a_role_without_connections_left_is_named_with_the_remedy() {
    let fixture = Fixture::migrated().await;
    let admin = PgPool::connect(&server().url()).await.unwrap();
    let sql = format!("ALTER ROLE {} CONNECTION LIMIT 0", fixture.schema);
    admin.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.unwrap();
    let reason = reason_of(Fixture::open(&fixture.schema).owner().await);
    for part in ["too many connections for role", "limit of the role"] {
        assert!(reason.contains(part), "{reason}");
    }
}

/// Where a role has one connection, the one that a fetch keeps is given up for the flush, which is tried again.
#[tokio::test]
async fn fetches_keep_no_connection_from_a_flush() {
    let fixture = Fixture::migrated().await;
    let epoch = claimed(&fixture.store).await;
    fixture.store.close().await;
    let mut admin = PgConnection::connect(&server().url()).await.unwrap();
    let sql = format!("ALTER ROLE {} CONNECTION LIMIT 1", fixture.schema);
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut admin).await.unwrap();
    let store = Fixture::open(&fixture.schema);
    let whole = Ok(Applied::Whole { rejected: Vec::new() });
    let (first, next) = (batch(epoch, 1, vec![put("a", 7)]), batch(epoch, 2, vec![put("a", 8)]));
    let keys = [MissingKey { database: 0, key: b"a"[..].into() }];
    assert_eq!(patiently(async || store.apply(OWNER, &first).await).await, whole);
    assert!(
        patiently(async || store.fetch(&keys, NOON).await).await.unwrap().values[0]
            .as_ref()
            .unwrap()
            .is_some()
    );
    assert_eq!(patiently(async || store.apply(OWNER, &next).await).await, whole);
}

/// A time for fetches that is shorter than making a connection must not mean that none is ever made.
#[tokio::test]
async fn a_connection_is_made_though_the_fetch_that_wanted_it_has_given_up() {
    let fixture = Fixture::migrated().await;
    let keys = [MissingKey { database: 0, key: b"a"[..].into() }];
    let fetch = tokio::time::timeout(Duration::from_micros(1), fixture.store.fetch(&keys, NOON));
    assert!(fetch.await.is_err(), "no connection is made in that time");
    let made = async {
        while fixture.store.held.idle() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), made).await.expect("the connection is kept for the next");
    assert!(fixture.store.fetch(&keys, NOON).await.is_ok());
}

/// Asks as often as whoever uses a store would: the pool may look for a second connection while the only one comes back.
async fn patiently<T>(ask: impl AsyncFn() -> Result<T, StoreError>) -> Result<T, StoreError> {
    for _ in 0..3 {
        match ask().await {
            Err(StoreError::Unavailable(_)) => {}
            answer => return answer,
        }
    }
    ask().await
}

#[tokio::test]
async fn connections_that_are_all_in_use_are_told_from_a_server_that_has_none() {
    let fixture = Fixture::migrated().await;
    let mut held = Vec::new();
    for _ in 0..POOLED_CONNECTIONS {
        held.push(fixture.store.begin().await.unwrap());
    }
    let reason = reason_of(fixture.store.owner().await);
    assert_eq!(
        reason,
        "all 6 connections to Postgres that are not for fetches were in use for 3 s: it answers, but too slowly"
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_so() {
    let closed = PostgresOptions::parse("postgres://nobody@127.0.0.1:1/none?sslmode=disable").unwrap();
    let reason = reason_of(PostgresStore::new(&closed).owner().await);
    assert!(reason.contains("Connection refused"), "{reason}");
}

#[tokio::test]
async fn a_role_without_a_schema_is_told_how_to_make_one() {
    let fixture = Fixture::empty().await;
    let url = server().url().replace("postgres@", &format!("{}@", fixture.schema));
    for (schema, expected) in [
        ("public", "permission denied for schema public (42501)"),
        ("none", "no schema has been selected to create in (3F000)"),
    ] {
        let options = PostgresOptions::parse(&format!("{url}&schema={schema}")).unwrap();
        let refused = PostgresStore::new(&options).migrate(false).await;
        let Err(StoreError::Denied(reason)) = refused else { panic!("{refused:?} is no refusal") };
        for part in [expected, "CREATE SCHEMA quotad AUTHORIZATION <role>", "?schema=quotad"] {
            assert!(reason.contains(part), "{reason}");
        }
        assert!(!reason.contains("at line"), "{reason}");
    }
}

/// Behind a failover a server that only reads may keep its connections, while the address leads to the one that is in charge now.
#[tokio::test]
async fn a_connection_to_a_server_that_only_reads_is_not_used_again() {
    let fixture = Fixture::migrated().await;
    let epoch = claimed(&fixture.store).await;
    fixture.store.close().await;
    let mut admin = PgConnection::connect(&server().url()).await.unwrap();
    let mut only_reads = async |is_on: bool| {
        let state = if is_on { "on" } else { "off" };
        let sql = format!("ALTER ROLE {} SET default_transaction_read_only = {state}", fixture.schema);
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut admin).await.unwrap();
    };
    only_reads(true).await;
    let store = Fixture::open(&fixture.schema);
    let first = batch(epoch, 1, vec![put("a", 7)]);
    let reason = reason_of(store.apply(OWNER, &first).await);
    assert!(reason.contains("(25006)"), "{reason}");
    // Connections that are made now may write.
    only_reads(false).await;
    let whole = Ok(Applied::Whole { rejected: Vec::new() });
    assert_eq!(patiently(async || store.apply(OWNER, &first).await).await, whole);
}

/// As one does whose call was given up between BEGIN and its answer: whoever came next would commit nothing of its own.
#[tokio::test]
async fn a_connection_in_a_transaction_that_nobody_knows_of_is_not_used_again() {
    let fixture = Fixture::migrated().await;
    let epoch = claimed(&fixture.store).await;
    let mut connections = Vec::new();
    for _ in 0..POOLED_CONNECTIONS {
        let mut connection = fixture.store.pool.acquire().await.unwrap();
        sqlx::raw_sql("BEGIN").execute(&mut *connection).await.unwrap();
        connections.push(connection);
    }
    drop(connections);
    let whole = Ok(Applied::Whole { rejected: Vec::new() });
    let first = batch(epoch, 1, vec![put("a", 7)]);
    assert_eq!(patiently(async || fixture.store.apply(OWNER, &first).await).await, whole);
    let other = Fixture::open(&fixture.schema);
    assert_eq!(other.owner().await.unwrap().applied, 1);
}

#[tokio::test]
async fn a_fetch_that_was_told_less_than_is_known_is_the_last_one_on_its_connection() {
    let fixture = Fixture::migrated().await;
    let (store, epoch) = (&fixture.store, claimed(&fixture.store).await);
    let keys = [MissingKey { database: 0, key: b"a"[..].into() }];
    let whole = Ok(Applied::Whole { rejected: Vec::new() });
    assert_eq!(store.apply(OWNER, &batch(epoch, 1, vec![put("a", 7)])).await, whole);
    store.fetch(&keys, NOON).await.unwrap();
    assert_eq!(store.held.idle(), 1);
    fixture.run("UPDATE owner SET applied = 0".to_owned()).await;
    assert_eq!(store.fetch(&keys, NOON).await.unwrap().applied, 0);
    assert_eq!(store.held.idle(), 0);
    // It has what it had: the next one stays.
    fixture.run("UPDATE owner SET applied = 1".to_owned()).await;
    store.fetch(&keys, NOON).await.unwrap();
    assert_eq!(store.held.idle(), 1);
}
