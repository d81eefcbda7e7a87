//! Snapshots as operators live with them: a start from one, a truth that is lost and restored, damage, and two servers on one store.

#[expect(dead_code, reason = "other tests use more of it")]
#[path = "../support/client.rs"]
mod client;
#[path = "../support/http_proxy.rs"]
mod http_proxy;
#[path = "../support/postgres.rs"]
mod postgres;
#[expect(dead_code, reason = "the program's own tests use more of it")]
#[path = "../support/program.rs"]
mod program;
#[expect(dead_code, reason = "the tests of durability use more of it")]
#[path = "../support/random.rs"]
mod random;
#[expect(dead_code, reason = "the tests of objects use more of it")]
#[path = "../support/s3_server.rs"]
mod s3_server;
#[path = "../support/mod.rs"]
mod support;

mod answers;
mod bucket;
mod damage;
mod database;
mod disaster;
mod ephemeral;
mod flips;
mod folder;
mod histories;
mod kills;
mod network;
mod pasts;
mod reading;
mod retention;
mod round_trip;
mod safety;
mod servers;
mod site;
mod state;
mod tools;
