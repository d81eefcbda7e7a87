//! Files that somebody removes under the running server: nothing is told as durable that is in a file without a name.

use super::scene::{PROBE_DATABASE, SOME_FLUSHES, Scene};
use crate::cluster::Cluster;
use crate::load::Load;
use crate::report::Row;
use crate::server::{Server, Setup};
use crate::support::Reply;
use crate::surroundings::pass;

fn take_durably(server: &Server) -> Reply {
    let mut client = server.connect();
    let mut call = |words: &str| client.call(words).expect("the server answers");
    call(&format!("SELECT {PROBE_DATABASE}"));
    call("QUOTA.TAKE removed 1 BUDGET 10 PER TOTAL DURABLE")
}

/// Moved away, and put back.
pub fn sqlite_file() -> Row {
    let folder = tempfile::tempdir().expect("a directory can be made");
    let mut scene = Scene::begin(Setup::sqlite(folder.path()));
    let load = Load::begin(&mut scene.ledger, scene.server.address());
    pass(SOME_FLUSHES);
    let file = folder.path().join("truth.sqlite");
    let aside = file.with_extension("aside");
    std::fs::rename(&file, &aside).expect("it can be moved");
    let told = scene.server.line_with("changes are refused");
    assert!(told.contains("truth.sqlite was removed while this server has it"), "{told}");
    let reply = take_durably(&scene.server);
    assert!(matches!(&reply, Reply::Error(_)), "no file has it, but it is answered {reply:?}");
    std::fs::rename(&aside, &file).expect("it can be moved back");
    scene.server.line_with("changes are taken again");
    pass(SOME_FLUSHES);
    load.end(&mut scene.ledger);
    let row = scene.settle();
    assert!(row.refused > 0, "clients were told");
    scene.restart_and_compare();
    row
}

/// The outbox, for good: the truth alone keeps what comes from then on.
pub fn outbox() -> Row {
    let cluster = Cluster::start();
    let folder = tempfile::tempdir().expect("a directory can be made");
    let mut scene = Scene::begin(Setup::postgres(&cluster.url(), folder.path()));
    let row = scene.survive(|server| {
        let entries = folder.path().read_dir().expect("it can be listed");
        let names = entries.map(|entry| entry.expect("it can be listed").path());
        let outbox = names.filter(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("outbox-"))
        });
        outbox.for_each(|path| std::fs::remove_dir_all(path).expect("it can be removed"));
        let told = server.line_with("the outbox takes no changes");
        assert!(told.contains("was removed or replaced while this server writes to it"), "{told}");
        let reply = take_durably(server);
        assert!(matches!(&reply, Reply::Many(..)), "the truth has it, but it is answered {reply:?}");
    });
    scene.restart_and_compare();
    row
}
