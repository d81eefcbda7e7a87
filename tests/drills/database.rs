//! A Postgres with a database that a drill can lose.

use quotad::clock::Stopwatch;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tokio::runtime::Runtime;

use crate::client::is_early;
use crate::postgres::Server;

/// The name of the database.
const NAME: &str = "truth";

/// A server with one database, and a connection's worth of runtime.
pub struct Database {
    server: Server,
    runtime: Runtime,
}

impl Database {
    /// Starts a server and makes the database.
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let database =
            Self { server: Server::start(false), runtime: runtime.expect("a runtime can be made") };
        database.run(&format!("CREATE DATABASE {NAME}"));
        database
    }

    /// Its address as the setting `truth` takes it.
    pub fn url(&self) -> String {
        self.server.url().replace("/postgres?", &format!("/{NAME}?"))
    }

    /// Loses it with all it holds, and makes an empty one in its place.
    pub fn lose(&self) {
        self.run(&format!("DROP DATABASE {NAME} WITH (FORCE)"));
        self.run(&format!("CREATE DATABASE {NAME}"));
    }

    /// Runs a statement beside the database.
    fn run(&self, statement: &str) {
        self.run_at(&self.server.url(), statement);
    }

    fn run_at(&self, url: &str, statement: &str) {
        self.runtime.block_on(async {
            let mut connection = PgConnection::connect(url).await.expect("Postgres runs");
            connection.execute(AssertSqlSafe(statement.to_owned())).await.expect("it is a statement");
        });
    }

    /// Ends whatever lease somebody has on the truth in it.
    pub fn end_lease(&self) {
        self.run_at(&self.url(), "UPDATE owner SET lease_until = now()");
    }

    /// Waits until a question to it is answered with true.
    pub fn until(&self, question: &str) {
        let begin = Stopwatch::start();
        let ask = async || {
            let mut connection = PgConnection::connect(&self.url()).await.expect("Postgres runs");
            sqlx::query_scalar(AssertSqlSafe(question.to_owned())).fetch_one(&mut connection).await
        };
        while !self.runtime.block_on(ask()).unwrap_or(false) {
            assert!(is_early(&begin), "still not: {question}");
        }
    }
}
