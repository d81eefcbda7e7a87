//! What snapshots need of the closed periods of a truth: all that belong to a state, page by page.

use super::*;
use crate::persist::closed::ClosedUntil;
use crate::persist::told_epochs::RefusedBatches;

const HOUR_MICROS: u64 = 3_600_000_000;

/// The period of a budget that ended so many hours before noon.
pub(super) fn closed(subject: impl AsRef<[u8]>, words: &str, hours: u64, used: u64) -> ClosedPeriod {
    let end = Timestamp::from_micros(NOON.as_micros() - hours * HOUR_MICROS);
    let start = Timestamp::from_micros(end.as_micros() - HOUR_MICROS);
    ClosedPeriod { database: 0, subject: subject.as_ref().into(), limit: limit(words), start, end, used }
}

/// All of a state in an order that every store has, read in pages of `rows`.
async fn told(store: &dyn Store, until: ClosedUntil, rows: u32) -> Vec<ClosedPeriod> {
    let (mut periods, mut after) = (Vec::new(), None);
    loop {
        let page = store.scan_closed(until, after.as_ref(), rows).await.unwrap();
        assert!(page.periods.len() <= usize::try_from(rows).unwrap() && page.damaged == 0);
        periods.extend(page.periods);
        after = page.next;
        if after.is_none() {
            periods.sort_by_key(|period| (period.database, period.subject.clone(), period.start));
            return periods;
        }
    }
}

/// On a store that refuses closed periods of the subject `bad`.
pub(in crate::persist) async fn refused_closed_periods_block_nobody(store: &dyn Store) {
    const HOURLY: &str = "BUDGET 9 PER HOUR UNIT tokens";
    let epoch = claimed(store).await;
    let closed_periods = [("a", 3), ("bad", 3), ("bad", 4), ("c", 3)]
        .map(|(subject, hours)| closed(subject, HOURLY, hours, 5))
        .to_vec();
    let first = Batch { closed_periods, ..batch(epoch, 1, vec![put("a", 1), put("bad", 1)]) };
    for _ in 0..2 {
        let rejected = match store.apply(OWNER, &first).await {
            Ok(Applied::Whole { rejected } | Applied::Before { rejected }) => rejected,
            other => panic!("{other:?}"),
        };
        assert_eq!(rejected.iter().map(|record| &*record.key).collect::<Vec<_>>(), [b"bad", b"bad"]);
        assert!(rejected.iter().all(|record| record.reason.contains("with 5 of 9 used")), "{rejected:?}");
        let mut periods: Vec<_> = rejected.iter().map(|record| record.period.clone()).collect();
        periods.sort();
        let started =
            |hours| format!("{} from {} us", limit(HOURLY).name(), NOON.as_micros() - hours * HOUR_MICROS);
        assert_eq!(periods, [5, 4].map(|hours| Some(started(hours))));
    }
    let found = told(store, ClosedUntil { seq: 1, at: NOON }, 9).await;
    assert_eq!(found.iter().map(|period| &*period.subject).collect::<Vec<_>>(), [b"a", b"c"]);
    assert_eq!(integers(store, &["a", "bad"]).await, [Some(1), Some(1)]);
    // What the key brings later does not bring them.
    apply(store, &batch(epoch, 2, vec![put("bad", 2)])).await;
    claimed(store).await;
    let refused = store.epochs().await.unwrap().refused;
    assert_eq!(refused, [RefusedBatches { epoch, first_seq: 1, last_seq: 1 }]);
}

pub(in crate::persist) async fn closed_periods_are_told_as_of_a_batch(harness: &impl Harness) {
    let store = harness.store();
    let epoch = claimed(store).await;
    let everything = ClosedUntil { seq: u64::MAX, at: NOON };
    assert_eq!(told(store, everything, 3).await, []);
    const HOURLY: &str = "BUDGET 9 PER HOUR UNIT tokens";
    let long = |last: u8| [&[b'k'; 2_000][..], &[last]].concat();
    let berlin =
        closed("b", "BUDGET 7 PER MONTH TZ Europe/Berlin ANCHOR 15 UNIT usd_micro", 3, u64::MAX >> 1);
    let mut first = vec![
        closed("a", HOURLY, 5, 1),
        closed("a", HOURLY, 4, 2),
        ClosedPeriod { database: 15, ..closed("a", HOURLY, 4, 3) },
        berlin,
        closed([0xff, 0], HOURLY, 4, 5),
        closed(long(b'x'), HOURLY, 4, 6),
        closed(long(b'y'), HOURLY, 4, 7),
        closed(long(0xff), HOURLY, 4, 8),
        closed("", HOURLY, 4, 9),
    ];
    // What is no text is told whole where its entry is there.
    let entries = vec![put(long(0xff), 1)];
    let at = |hours: u64| Timestamp::from_micros(NOON.as_micros() - hours * HOUR_MICROS);
    apply(store, &Batch { closed_periods: first.clone(), ..batch(epoch, 1, entries) }).await;
    // Late, a merged batch that covers the cut too, and after it.
    let late = closed("late", HOURLY, 2, 10);
    let next = closed("a", HOURLY, 1, 11);
    apply(store, &Batch { closed_periods: vec![next.clone(), late.clone()], ..batch(epoch, 2, Vec::new()) })
        .await;
    // A clock that was set back: the truth has the later figure alone.
    let again = closed("a", HOURLY, 4, 12);
    apply(store, &Batch { closed_periods: vec![again.clone()], ..batch(epoch, 3, Vec::new()) }).await;
    first[1] = again;
    let sorted = |mut periods: Vec<ClosedPeriod>| {
        periods.sort_by_key(|period| (period.database, period.subject.clone(), period.start));
        periods
    };
    first.push(late);
    for rows in [1, 2, 3, 100] {
        let behind_first = ClosedUntil { seq: 1, at: at(2) };
        assert_eq!(told(store, behind_first, rows).await, sorted(first.clone()), "pages of {rows}");
    }
    first.push(next);
    for until in [everything, ClosedUntil { seq: 0, at: NOON }, ClosedUntil { seq: 3, at: Timestamp::EPOCH }]
    {
        assert_eq!(told(store, until, 4).await, sorted(first.clone()), "{until:?}");
    }
    assert_eq!(told(store, ClosedUntil { seq: 0, at: at(6) }, 4).await, []);
}
