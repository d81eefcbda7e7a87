//! The locks and atomic words of the engine, or their model-checked doubles with the feature `shuttle`.

#[cfg(not(feature = "shuttle"))]
mod real {
    use portable_atomic::{AtomicU128, Ordering};

    pub(crate) use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
    pub(crate) use std::thread::yield_now;

    pub(crate) use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

    /// One 128-bit word that tells all of a small value, changed by compare-and-swap.
    pub(crate) struct Word(AtomicU128);

    impl Word {
        pub(crate) const fn new(word: u128) -> Self {
            Self(AtomicU128::new(word))
        }

        #[inline]
        pub(crate) fn load(&self) -> u128 {
            self.0.load(Ordering::Acquire)
        }

        /// Exchanges `current` for `new`; on failure answers what the word really is.
        #[inline]
        pub(crate) fn compare_exchange(&self, current: u128, new: u128) -> Result<(), u128> {
            self.0.compare_exchange(current, new, Ordering::AcqRel, Ordering::Acquire).map(|_| ())
        }

        /// The word under an exclusive guard.
        #[inline]
        pub(crate) fn get_mut(&mut self) -> &mut u128 {
            self.0.get_mut()
        }
    }
}

#[cfg(feature = "shuttle")]
mod checked {
    pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
    pub(crate) use shuttle::thread::yield_now;

    /// shuttle's lock with parking_lot's interface: a poisoned lock is a failed schedule already.
    pub(crate) struct RwLock<T>(shuttle::sync::RwLock<T>);
    pub(crate) type RwLockReadGuard<'a, T> = shuttle::sync::RwLockReadGuard<'a, T>;
    pub(crate) type RwLockWriteGuard<'a, T> = shuttle::sync::RwLockWriteGuard<'a, T>;

    impl<T> RwLock<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(shuttle::sync::RwLock::new(value))
        }

        pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
            self.0.read().expect("no schedule panics under a guard")
        }

        pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
            self.0.write().expect("no schedule panics under a guard")
        }
    }

    impl<T: Default> Default for RwLock<T> {
        fn default() -> Self {
            Self::new(T::default())
        }
    }

    /// A word whose every access is a step the scheduler may interleave.
    pub(crate) struct Word {
        word: shuttle::sync::Mutex<u128>,
    }

    impl Word {
        pub(crate) fn new(word: u128) -> Self {
            Self { word: shuttle::sync::Mutex::new(word) }
        }

        pub(crate) fn load(&self) -> u128 {
            *self.word.lock().expect("no schedule panics under a guard")
        }

        pub(crate) fn compare_exchange(&self, current: u128, new: u128) -> Result<(), u128> {
            let mut word = self.word.lock().expect("no schedule panics under a guard");
            if *word == current {
                *word = new;
                return Ok(());
            }
            Err(*word)
        }

        pub(crate) fn get_mut(&mut self) -> &mut u128 {
            self.word.get_mut().expect("no schedule panics under a guard")
        }
    }
}

#[cfg(feature = "shuttle")]
pub(crate) use checked::{
    AtomicBool, AtomicU32, AtomicU64, RwLock, RwLockReadGuard, RwLockWriteGuard, Word, yield_now,
};
#[cfg(not(feature = "shuttle"))]
pub(crate) use real::{
    AtomicBool, AtomicU32, AtomicU64, RwLock, RwLockReadGuard, RwLockWriteGuard, Word, yield_now,
};
pub(crate) use std::sync::atomic::Ordering;
