//! Snapshots as operators live with them: a start from one, a truth that is lost and restored, damage, and two servers on one store.

#[expect(dead_code, reason = "other tests use more of it")]
#[path = "../support/client.rs"]
mod client;
#[expect(dead_code, reason = "the program's own tests use more of it")]
#[path = "../support/program.rs"]
mod program;
#[path = "../support/mod.rs"]
mod support;

mod damage;
mod folder;
mod servers;
mod site;
mod state;
