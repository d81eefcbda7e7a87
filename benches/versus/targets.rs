//! What quotad's speed and memory must reach, as ratios of figures taken in one run.

/// Which side of the number is good.
#[derive(Clone, Copy)]
pub enum Bound {
    AtMost(f64),
    AtLeast(f64),
    /// No bound: it tells what part of another figure lies outside of quotad.
    Told,
}

/// One figure with its bound.
pub struct Target {
    /// What is compared, for the table.
    pub text: &'static str,
    /// Measure and server.
    pub figure: (&'static str, &'static str),
    /// What it is divided by; `None`: the figure itself counts.
    pub against: Option<(&'static str, &'static str)>,
    /// What it must reach.
    pub bound: Bound,
}

const fn ratio(
    text: &'static str,
    figure: (&'static str, &'static str),
    against: (&'static str, &'static str),
    bound: Bound,
) -> Target {
    Target { text, figure, against: Some(against), bound }
}

const fn figure(text: &'static str, figure: (&'static str, &'static str), bound: Bound) -> Target {
    Target { text, figure, against: None, bound }
}

use Bound::{AtLeast, AtMost, Told};

/// The targets, in the order of the table.
#[rustfmt::skip]
pub const TARGETS: &[Target] = &[
    ratio("INCR at 1, CPU: quotad / redis", ("incr.1.cpu", "quotad"), ("incr.1.cpu", "redis"), AtMost(1.0)),
    ratio("INCR at 1, CPU: quotad / floor", ("incr.1.cpu", "quotad"), ("incr.1.cpu", "floor"), AtMost(1.4)),
    ratio("INCR at 16, CPU: quotad / redis", ("incr.16.cpu", "quotad"), ("incr.16.cpu", "redis"), AtMost(0.75)),
    ratio("INCR at 128, CPU: quotad / redis", ("incr.128.cpu", "quotad"), ("incr.128.cpu", "redis"), AtMost(0.45)),
    ratio("INCR at 128, rate: quotad / redis", ("incr.128.ops", "quotad"), ("incr.128.ops", "redis"), AtLeast(1.2)),
    ratio("INCR at 16, CPU: quotad / floor", ("incr.16.cpu", "quotad"), ("incr.16.cpu", "floor"), Told),
    ratio("at 16, CPU: answering as to CL.THROTTLE / as to INCR: floor", ("throttle.16.cpu", "floor"), ("incr.16.cpu", "floor"), Told),
    ratio("at 16, CPU: answering as to QUOTA.TAKE / as to INCR: floor", ("take.16.cpu", "floor"), ("incr.16.cpu", "floor"), Told),
    ratio("at 16, CPU: CL.THROTTLE / INCR", ("throttle.16.cpu", "quotad"), ("incr.16.cpu", "quotad"), AtMost(1.3)),
    ratio("at 16, CPU: CL.THROTTLE that always allows / INCR", ("throttle_allowed.16.cpu", "quotad"), ("incr.16.cpu", "quotad"), AtMost(1.3)),
    ratio("at 16, CPU: QUOTA.TAKE with one RATE / INCR", ("take.16.cpu", "quotad"), ("incr.16.cpu", "quotad"), AtMost(1.3)),
    ratio("at 16, CPU: QUOTA.TAKE that always allows / INCR", ("take_allowed.16.cpu", "quotad"), ("incr.16.cpu", "quotad"), AtMost(1.3)),
    ratio("at 128, CPU: CL.THROTTLE / INCR", ("throttle.128.cpu", "quotad"), ("incr.128.cpu", "quotad"), AtMost(1.9)),
    ratio("at 128, CPU: CL.THROTTLE that always allows / INCR", ("throttle_allowed.128.cpu", "quotad"), ("incr.128.cpu", "quotad"), AtMost(1.9)),
    ratio("at 128, CPU: QUOTA.TAKE with one RATE / INCR", ("take.128.cpu", "quotad"), ("incr.128.cpu", "quotad"), AtMost(1.9)),
    ratio("at 128, CPU: QUOTA.TAKE that always allows / INCR", ("take_allowed.128.cpu", "quotad"), ("incr.128.cpu", "quotad"), AtMost(1.9)),
    ratio("at 64, rate: CL.THROTTLE / Lua token bucket in redis", ("throttle.64.ops", "quotad"), ("lua.64.ops", "redis"), AtLeast(10.0)),
    ratio("at 64, rate: QUOTA.TAKE with one RATE / Lua token bucket in redis", ("take.64.ops", "quotad"), ("lua.64.ops", "redis"), AtLeast(10.0)),
    ratio("at 64, CPU: QUOTA.TAKE with four limits / with one, all allowed", ("take_four.64.cpu", "quotad"), ("take_allowed.64.cpu", "quotad"), AtMost(2.5)),
    ratio("INCR at 1, CPU: two threads / one", ("incr.1.cpu", "two_threads"), ("incr.1.cpu", "one_thread"), AtMost(1.2)),
    ratio("INCR at 16, CPU: two threads / one", ("incr.16.cpu", "two_threads"), ("incr.16.cpu", "one_thread"), AtMost(1.2)),
    ratio("INCR at 128, CPU: two threads / one", ("incr.128.cpu", "two_threads"), ("incr.128.cpu", "one_thread"), AtMost(1.2)),
    ratio("round trip, median: quotad / floor", ("round_trip.p50", "quotad"), ("round_trip.p50", "floor"), AtMost(1.15)),
    figure("bytes of a RATE entry with a 16-byte key", ("memory.rate", "quotad"), AtMost(80.0)),
    figure("bytes of an idle connection", ("idle.connection", "quotad"), AtMost(4_096.0)),
];
