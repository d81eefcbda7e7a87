//! The same through PgBouncer in transaction mode, where the next transaction may meet another server process.

use sqlx::Row;

use super::*;

/// Server processes behind PgBouncer: fewer than the store has connections, and enough for what a case does at once.
const SERVERS: u32 = 3;

impl Fixture {
    /// Migrated, with a PgBouncer of its own between.
    async fn pooled() -> Self {
        let fixture = Self::empty().await;
        let pooler = Pooler::start(server().port, &fixture.schema, SERVERS);
        let url = format!(
            "postgres://{schema}@127.0.0.1:{}/postgres?sslmode=disable&schema={schema}",
            pooler.port(),
            schema = fixture.schema
        );
        let store = PostgresStore::new(&PostgresOptions::parse(&url).unwrap());
        assert_eq!(
            store.migrate(false).await.unwrap(),
            ["0001 truth", "0002 refused_batches", "0003 snapshots", "0004 refused_periods"]
        );
        Self { store, pooler: Some(pooler), ..fixture }
    }

    /// Another client of the PgBouncer.
    async fn client(&self) -> PgConnection {
        let port = self.pooler.as_ref().unwrap().port();
        let url = format!("postgres://postgres@127.0.0.1:{port}/postgres?sslmode=disable");
        let options = PostgresOptions::parse(&url).unwrap();
        PgConnection::connect_with(&options.connection()).await.unwrap()
    }
}

/// The server process of a transaction of one statement, and what it takes for the search path.
async fn process_and_path(client: &mut PgConnection) -> (i32, String) {
    let row = client.fetch_one(sqlx::raw_sql("SELECT pg_backend_pid(), current_setting('search_path')"));
    let row = row.await.unwrap();
    (row.get(0), row.get(1))
}

contract::suite!(Fixture::pooled());

/// Else the cases above would prove nothing.
#[tokio::test]
async fn the_next_transaction_meets_another_server_process() {
    let fixture = Fixture::pooled().await;
    let mut client = fixture.client().await;
    let (before, _) = process_and_path(&mut client).await;
    // Somebody else has that process for a transaction.
    let mut held = Vec::new();
    loop {
        let mut transaction = fixture.store.begin().await.unwrap();
        let is_it = process_and_path(&mut transaction).await.0 == before;
        held.push(transaction);
        if is_it {
            break;
        }
    }
    // The last one is it; the others give theirs back, so that one is free.
    held.drain(..held.len() - 1);
    let (now, _) = process_and_path(&mut client).await;
    assert_ne!(now, before);
}

#[tokio::test]
async fn nothing_of_one_transaction_is_seen_in_the_next() {
    let fixture = Fixture::pooled().await;
    let mut client = fixture.client().await;
    for _ in 0..8 {
        fixture.store.owner().await.unwrap();
        let (_, path) = process_and_path(&mut client).await;
        assert!(!path.contains(&fixture.schema), "{path}");
    }
}
