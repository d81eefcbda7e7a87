//! The disk of the outbox is full, or that of the SQLite file.

use std::time::Duration;

use rustix::process::Signal;

use super::scene::{PROBE_DATABASE, SOME_FLUSHES, Scene};
use crate::cluster::Cluster;
use crate::load::Load;
use crate::report::Row;
use crate::server::{Server, Setup};
use crate::small_disk::SmallDisk;
use crate::support::Reply;
use crate::surroundings::{DEADLINE, outage, pass};

/// Values of a megabyte: more than wait in memory come before the truth is tried again.
const LARGE_VALUES: usize = 40;
const BETWEEN_VALUES: Duration = Duration::from_millis(20);

/// The truth is there: it keeps what the disk does not.
pub fn full() -> Row {
    let cluster = Cluster::start();
    let disk = SmallDisk::mount();
    let mut scene = Scene::begin(Setup::postgres(&cluster.url(), disk.path()));
    let row = scene.survive(|server| {
        disk.fill();
        server.line_with("the outbox takes no changes");
        pass(outage() / 4);
        server.wait_for_disk(DEADLINE);
        disk.free();
    });
    scene.restart_and_compare();
    row
}

/// The truth is away too: what nothing can keep is refused until something can.
pub fn full_without_truth() -> Row {
    let cluster = Cluster::start();
    let disk = SmallDisk::mount();
    let mut scene = Scene::begin(Setup::postgres(&cluster.url(), disk.path()));
    let mut row = Row::default();
    // First the disk gets room again, then the truth comes back.
    for with_room in [true, false] {
        let load = Load::begin(&mut scene.ledger, scene.server.address());
        pass(SOME_FLUSHES);
        cluster.stop();
        disk.fill();
        scene.server.line_with("changes are refused");
        refuses(&scene.server);
        if with_room {
            disk.free();
        } else {
            cluster.start_again();
        }
        scene.server.line_with("changes are taken again");
        assert_eq!(scene.server.figure("changes_refused"), 0);
        pass(SOME_FLUSHES);
        if with_room {
            cluster.start_again();
        } else {
            disk.free();
        }
        load.end(&mut scene.ledger);
        let more = scene.settle();
        assert!(more.refused > 0, "clients were told");
        row.add(&more);
    }
    scene.restart_and_compare();
    row
}

/// While the truth was away more was changed than waits in memory, so that a part lies on the disk alone; then the disk took no more.
pub fn full_behind_large_values() -> Row {
    let cluster = Cluster::start();
    let disk = SmallDisk::mount_larger();
    let mut scene = Scene::begin(Setup::postgres(&cluster.url(), disk.path()));
    let load = Load::begin(&mut scene.ledger, scene.server.address());
    cluster.stop();
    let mut client = scene.server.connect();
    let ok = Reply::Status("OK".to_owned());
    assert_eq!(client.call(&format!("SELECT {PROBE_DATABASE}")).expect("the server answers"), ok);
    for at in 0..LARGE_VALUES {
        let reply = client.call(&format!("SET large:{at} {}", "x".repeat(1 << 20)));
        assert_eq!(reply.expect("the server answers"), ok);
        pass(BETWEEN_VALUES);
    }
    disk.fill();
    scene.server.line_with("the outbox takes no changes");
    scene.server.line_with("changes are refused");
    cluster.start_again();
    scene.server.line_with("changes are taken again");
    load.end(&mut scene.ledger);
    scene.server.wait_for_truth(DEADLINE);
    let stored = cluster
        .text("SELECT count(*)::text FROM entries WHERE subject LIKE 'large:%' AND length(state) > 1000000");
    assert_eq!(stored, LARGE_VALUES.to_string());
    disk.free();
    // The ledger has only numbers.
    for at in 0..LARGE_VALUES {
        client.call(&format!("DEL large:{at}")).expect("the server answers");
    }
    let row = scene.settle();
    scene.restart_and_compare();
    row
}

/// Nothing takes the last changes: the end comes all the same, and says so.
pub fn full_at_the_end() -> Row {
    let cluster = Cluster::start();
    let disk = SmallDisk::mount();
    let server = Setup::postgres(&cluster.url(), disk.path()).start();
    server.wait_until_loaded();
    cluster.stop();
    disk.fill();
    let reply = server.call("QUOTA.TAKE unkept 1 BUDGET 10 PER TOTAL");
    assert!(matches!(reply, Reply::Many(..)), "it is granted before it is known: {reply:?}");
    server.line_with("changes are refused");
    server.signal(Signal::TERM);
    server.line_with("the last changes are lost");
    assert_eq!(server.ended().code(), Some(1), "what was acknowledged is lost");
    Row::default()
}

/// There is no other place for its changes, and the file takes them again when there is room.
pub fn full_under_sqlite() -> Row {
    let disk = SmallDisk::mount_larger();
    let mut scene = Scene::begin(Setup::sqlite(disk.path()));
    let load = Load::begin(&mut scene.ledger, scene.server.address());
    pass(SOME_FLUSHES);
    disk.fill();
    scene.server.line_with("changes are refused");
    disk.free();
    scene.server.line_with("changes are taken again");
    pass(SOME_FLUSHES);
    load.end(&mut scene.ledger);
    let row = scene.settle();
    assert!(row.refused > 0, "clients were told");
    scene.restart_and_compare();
    row
}

fn refuses(server: &Server) {
    let reply = server.call("QUOTA.TAKE refused 1 BUDGET 10 PER TOTAL");
    let Reply::Error(text) = &reply else { panic!("nothing can keep it, but it is granted: {reply:?}") };
    assert!(text.starts_with("MISCONF changes are refused, since they cannot be kept"), "{text}");
    assert_eq!(server.figure("changes_refused"), 1);
    assert!(
        matches!(server.call("QUOTA.PEEK shared/0"), Reply::Many(..)),
        "what changes nothing is answered"
    );
}
