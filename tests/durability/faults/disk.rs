//! The disk of the outbox is full.

use super::scene::{SOME_FLUSHES, Scene};
use crate::cluster::Cluster;
use crate::load::Load;
use crate::report::Row;
use crate::server::{Server, Setup};
use crate::small_disk::SmallDisk;
use crate::support::Reply;
use crate::surroundings::{outage, pass};

/// The truth is there: it keeps what the disk does not.
pub fn full() -> Row {
    let cluster = Cluster::start();
    let disk = SmallDisk::mount();
    let mut scene = Scene::begin(Setup::postgres(&cluster.url(), disk.path()));
    let row = scene.survive(|server| {
        disk.fill();
        server.line_with("the outbox takes no changes");
        pass(outage() / 4);
        server.wait_for_disk(crate::surroundings::DEADLINE);
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
