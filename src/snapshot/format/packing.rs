//! Compression of a block's columns into one zstd frame, and back.
//!
//! Each column ends a block of zstd's own, so that each has the statistics of its own bytes: digits of keys are packed worse
//! together with bytes that are random.

use zstd::zstd_safe::zstd_sys::ZSTD_EndDirective as End;
use zstd::zstd_safe::{
    CCtx, CParameter, DCtx, DParameter, ErrorCode, InBuffer, OutBuffer, ResetDirective, compress_bound,
    get_error_name,
};

use super::error::Problem;

/// The level: `cargo bench --bench snapshot_format` with level 3 gains 4% on counters and loses 1% on quotas, at half as much work again.
const LEVEL: i32 = 1;

/// How far back equal bytes are looked for, as a power of two: no reader keeps more than that for a frame.
const WINDOW_LOG: u32 = 20;

/// A column of fewer bytes is packed together with the next one: statistics of its own would cost more than they save.
const LEAST_COLUMN_BYTES: usize = 512;

/// Memory is taken for so many bytes at once, however many are announced.
const STEP_BYTES: usize = 1 << 20;

/// Packs columns.
pub(super) struct Packer {
    context: CCtx<'static>,
}

/// A frame to which columns are added.
pub(super) struct Packing<'a> {
    context: &'a mut CCtx<'static>,
    out: &'a mut Vec<u8>,
    /// Bytes since the last block of zstd's.
    pending: usize,
    result: Result<(), ErrorCode>,
}

impl Packer {
    pub(super) fn new() -> Self {
        Self { context: CCtx::create() }
    }

    /// Appends the frame of the columns that `feed` adds, `raw_bytes` in all.
    pub(super) fn pack(
        &mut self,
        raw_bytes: u32,
        out: &mut Vec<u8>,
        feed: impl FnOnce(&mut Packing<'_>),
    ) -> Result<(), Problem> {
        let context = &mut self.context;
        out.reserve(compress_bound(usize::try_from(raw_bytes).unwrap_or(0).min(STEP_BYTES)));
        let prepared = context
            .reset(ResetDirective::SessionAndParameters)
            .and_then(|_| context.set_parameter(CParameter::CompressionLevel(LEVEL)))
            .and_then(|_| context.set_parameter(CParameter::WindowLog(WINDOW_LOG)))
            .and_then(|_| context.set_pledged_src_size(Some(raw_bytes.into())));
        let mut packing = Packing { context, out, pending: 0, result: prepared.map(drop) };
        feed(&mut packing);
        packing.run(&[], End::ZSTD_e_end);
        packing.result.map_err(|code| refused("packed", code))
    }
}

impl Packing<'_> {
    /// Adds a column.
    pub(super) fn column(&mut self, bytes: &[u8]) {
        self.run(bytes, End::ZSTD_e_continue);
        self.end_column();
    }

    /// Adds a part of a column.
    pub(super) fn part(&mut self, bytes: &[u8]) {
        self.run(bytes, End::ZSTD_e_continue);
    }

    /// Ends a column of parts.
    pub(super) fn end_column(&mut self) {
        if self.pending >= LEAST_COLUMN_BYTES {
            self.run(&[], End::ZSTD_e_flush);
            self.pending = 0;
        }
    }

    fn run(&mut self, bytes: &[u8], end: End) {
        self.pending += bytes.len();
        let mut input = InBuffer::around(bytes);
        let is_continued = matches!(end, End::ZSTD_e_continue);
        while self.result.is_ok() {
            if self.out.len() == self.out.capacity() {
                self.out.reserve(STEP_BYTES / 16);
            }
            let at = self.out.len();
            let mut output = OutBuffer::around_pos(self.out, at);
            match self.context.compress_stream2(&mut output, &mut input, end) {
                Ok(left) if is_continued && input.pos() < bytes.len() => debug_assert!(left > 0 || at > 0),
                Ok(left) if is_continued || left == 0 => break,
                Ok(_) => {}
                Err(code) => self.result = Err(code),
            }
        }
    }
}

/// Unpacks frames.
pub(super) struct Unpacker {
    context: DCtx<'static>,
}

impl Unpacker {
    pub(super) fn new() -> Self {
        Self { context: DCtx::create() }
    }

    /// Puts into `out` what was packed: one frame of exactly `raw_bytes`.
    pub(super) fn unpack(
        &mut self,
        packed: &[u8],
        raw_bytes: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Problem> {
        out.clear();
        let wrong = || Problem::Refused(format!("what is packed in it is no frame of {raw_bytes} bytes"));
        let context = &mut self.context;
        context
            .reset(ResetDirective::SessionOnly)
            .and_then(|_| context.set_parameter(DParameter::WindowLogMax(WINDOW_LOG)))
            .map_err(|code| refused("unpacked", code))?;
        let mut input = InBuffer::around(packed);
        loop {
            let missing = raw_bytes.checked_sub(out.len()).ok_or_else(wrong)?;
            if out.len() == out.capacity() {
                // What is announced is taken only as far as it comes.
                out.reserve_exact(missing.min(out.len().max(STEP_BYTES)).max(1));
            }
            let before = (input.pos(), out.len());
            let at = out.len();
            let hint = {
                let mut output = OutBuffer::around_pos(out, at);
                context
                    .decompress_stream(&mut output, &mut input)
                    .map_err(|code| refused("unpacked", code))?
            };
            if hint == 0 {
                break;
            }
            if before == (input.pos(), out.len()) && out.len() < out.capacity() {
                return Err(wrong());
            }
        }
        if out.len() != raw_bytes || input.pos() != packed.len() {
            return Err(wrong());
        }
        Ok(())
    }
}

fn refused(verb: &str, code: ErrorCode) -> Problem {
    Problem::Refused(format!("it cannot be {verb}: {}", get_error_name(code)))
}
