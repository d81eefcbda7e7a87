//! Where a snapshot comes from: memory in front of a truth, or memory that is all there is.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::format::TruthKind;
use crate::clock::Clock;
use crate::engine::{Engine, Gate};
use crate::persist::{DataSetId, Moment, Truth};

/// How often closing the gate is tried while threads are in long turns, and the pause between: three seconds in all.
const GATE_TRIES: u32 = 3_000;
const GATE_PAUSE: Duration = Duration::from_millis(1);

/// What snapshots are taken of.
pub enum Source {
    /// Memory in front of a truth.
    Truth {
        /// The truth's service, which has begun.
        truth: Arc<Truth>,
        /// What kind of truth it is.
        kind: TruthKind,
    },
    /// Memory is all there is.
    Memory(MemorySource),
}

/// Memory without a truth: epoch and numbers are the snapshots' own.
pub struct MemorySource {
    /// All keys.
    pub engine: Arc<Engine>,
    /// Holds the threads that execute.
    pub gate: Arc<Gate>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Which data it is.
    pub data_set: DataSetId,
    /// The epoch of this start.
    pub epoch: u64,
    /// The number of the last snapshot of this start.
    pub seq: Mutex<u64>,
}

impl Source {
    /// Cuts between turns and answers everything as it is behind the cut.
    ///
    /// # Errors
    /// When turns take too long, or the server is ending.
    pub async fn moment(&self) -> Result<Moment, String> {
        match self {
            Self::Truth { truth, .. } => truth.moment().await,
            Self::Memory(memory) => memory.moment().await,
        }
    }

    /// Which data it is.
    #[must_use]
    pub fn data_set(&self) -> Option<DataSetId> {
        match self {
            Self::Truth { truth, .. } => truth.data_set(),
            Self::Memory(memory) => Some(memory.data_set),
        }
    }

    /// The epoch of this start.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        match self {
            Self::Truth { truth, .. } => truth.progress.epoch(),
            Self::Memory(memory) => memory.epoch,
        }
    }

    /// What kind of truth there is.
    #[must_use]
    pub const fn kind(&self) -> TruthKind {
        match self {
            Self::Truth { kind, .. } => *kind,
            Self::Memory(_) => TruthKind::None,
        }
    }

    /// The truth, where there is one.
    #[must_use]
    pub const fn truth(&self) -> Option<&Arc<Truth>> {
        match self {
            Self::Truth { truth, .. } => Some(truth),
            Self::Memory(_) => None,
        }
    }

    /// The last batch with anything that was changed before now: behind it, what was read meanwhile is whole.
    #[must_use]
    pub fn changed_before(&self) -> u64 {
        match self {
            Self::Truth { truth, .. } => truth.changed_before(),
            Self::Memory(memory) => *memory.seq.lock(),
        }
    }
}

impl MemorySource {
    async fn moment(&self) -> Result<Moment, String> {
        for _ in 0..GATE_TRIES {
            // One that was cut short may still be read for a moment.
            if let Ok(Some(cut)) = self.gate.close(|| self.engine.begin_snapshot()) {
                let mut seq = self.seq.lock();
                *seq += 1;
                return Ok(Moment { cut, epoch: self.epoch, seq: *seq, at: self.clock.now() });
            }
            tokio::time::sleep(GATE_PAUSE).await;
        }
        Err("no cut could be taken between commands: one ran for too long, or another snapshot is being read"
            .to_owned())
    }
}
