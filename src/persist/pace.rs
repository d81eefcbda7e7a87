//! How fast one transaction follows another.
//!
//! Behind each the applier leaves the processors and the truth to others for as long as it has taken: keys that change all the time are
//! coalesced meanwhile and written half as often, which costs takes less of what they share with the truth. A truth that has little to do
//! is as near as before, since a short transaction has a short rest.

use std::time::Duration;

/// The lag that a rest may lead to: the truth is to be less than a second behind.
const MOST_LAG: Duration = Duration::from_millis(900);

/// The rest behind a transaction that `took` so long and left the truth behind by `lag`, if the next one takes as long.
pub(super) fn rest(took: Duration, lag: Duration) -> Duration {
    took.min(MOST_LAG.saturating_sub(lag).saturating_sub(took))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_is_as_long_as_the_work_while_the_lag_stays_low() {
        let check = |took, lag, expected| {
            let [took, lag, expected] = [took, lag, expected].map(Duration::from_millis);
            assert_eq!(rest(took, lag), expected, "{took:?}, {lag:?}");
        };
        check(5, 60, 5);
        check(200, 250, 200);
        check(300, 350, 250);
        check(500, 550, 0);
        check(2_000, 5_000, 0);
    }
}
