//! A latency histogram with one writer: buckets that double, each divided in four.

use super::Counter;

/// Parts of each power of two, as a number of bits: a bucket is at most 25 % wide.
const SUB_BITS: u32 = 2;

/// Durations from 2^37 ns (137 s) on share the last bucket.
const MAX_BITS: u32 = 37;

/// The number of buckets.
const BUCKETS: usize = ((MAX_BITS - SUB_BITS) << SUB_BITS) as usize;

/// Counts durations by bucket.
pub struct Histogram {
    buckets: [Counter; BUCKETS],
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: std::array::from_fn(|_| Counter::default()) }
    }
}

impl Histogram {
    /// Counts `calls` calls of `nanos` nanoseconds each.
    #[inline]
    pub fn record(&self, nanos: u64, calls: u64) {
        self.buckets[bucket_of(nanos)].add(calls);
    }

    /// Sets all to zero.
    pub fn reset(&self) {
        self.buckets.iter().for_each(Counter::reset);
    }

    /// Adds these counts to `sum`.
    pub fn add_to(&self, sum: &mut HistogramSum) {
        for (total, bucket) in sum.buckets.iter_mut().zip(&self.buckets) {
            *total += bucket.value();
        }
    }
}

#[inline]
fn bucket_of(nanos: u64) -> usize {
    let nanos = nanos.clamp(1 << SUB_BITS, (1 << MAX_BITS) - 1);
    let exponent = nanos.ilog2();
    let sub = (nanos >> (exponent - SUB_BITS)) & ((1 << SUB_BITS) - 1);
    let bucket = (u64::from(exponent - SUB_BITS) << SUB_BITS) | sub;
    usize::try_from(bucket).unwrap_or(BUCKETS - 1)
}

/// The first duration that no longer falls into `bucket`, in nanoseconds.
fn upper_nanos(bucket: usize) -> u64 {
    let exponent = bucket >> SUB_BITS;
    let sub = (bucket & ((1 << SUB_BITS) - 1)) + 1;
    (((1 << SUB_BITS) + sub) as u64) << exponent
}

/// Counts of several histograms together.
#[derive(Clone, Debug)]
pub struct HistogramSum {
    buckets: [u64; BUCKETS],
}

impl Default for HistogramSum {
    fn default() -> Self {
        Self { buckets: [0; BUCKETS] }
    }
}

impl HistogramSum {
    /// All calls.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// How many calls took less than `nanos`, where `nanos` is a power of two or a bucket's border; otherwise calls in the
    /// bucket around it are left out.
    #[must_use]
    pub fn calls_below(&self, nanos: u64) -> u64 {
        let below = self.buckets.iter().enumerate().take_while(|(bucket, _)| upper_nanos(*bucket) <= nanos);
        below.map(|(_, calls)| calls).sum()
    }

    /// The duration that `share` of 1,000 calls stay under, in nanoseconds: the upper border of its bucket. 0 without calls.
    #[must_use]
    pub fn percentile_nanos(&self, share: u64) -> u64 {
        let calls = self.calls();
        let rank = (calls * share).div_ceil(1_000).max(1);
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return upper_nanos(bucket);
            }
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_falls_below_its_bucket_border_and_not_far() {
        for nanos in (0..5_000).chain((12..37).flat_map(|bits| [(1 << bits) - 1, 1 << bits, (1 << bits) + 1]))
        {
            let bucket = bucket_of(nanos);
            assert!(nanos < upper_nanos(bucket), "{nanos} in {bucket}");
            if nanos >= 4 {
                assert!(upper_nanos(bucket) <= nanos * 5 / 4 + 1, "{nanos} in {bucket}");
                assert!(bucket == 0 || nanos >= upper_nanos(bucket - 1), "{nanos} in {bucket}");
            }
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles() {
        let histogram = Histogram::default();
        histogram.record(1_000, 990);
        histogram.record(1_000_000, 10);
        let mut sum = HistogramSum::default();
        histogram.add_to(&mut sum);
        assert_eq!(sum.calls(), 1_000);
        assert_eq!(sum.calls_below(1 << 12), 990);
        assert!((1_000..1_300).contains(&sum.percentile_nanos(500)));
        assert!((1_000_000..1_300_000).contains(&sum.percentile_nanos(999)));
        assert_eq!(HistogramSum::default().percentile_nanos(500), 0);
    }
}
