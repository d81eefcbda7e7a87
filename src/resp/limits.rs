//! Limits on what one request may announce, before and after authentication.

/// Most arguments of one request. Redis 6 has the same; Redis 7 allows 2^31, which no client needs.
const MAX_ARGUMENTS: u32 = 1024 * 1024;

/// Longest argument: the default of Redis's `proto-max-bulk-len`.
const MAX_BULK_BYTES: usize = 512 * 1024 * 1024;

/// Longest inline request, and longest line that announces a count or a length (Redis's `PROTO_INLINE_MAX_SIZE`).
const MAX_INLINE_BYTES: usize = 64 * 1024;

/// Longest request in all: the default of Redis's `client-query-buffer-limit`.
const MAX_REQUEST_BYTES: usize = 1024 * 1024 * 1024;

/// Most arguments before authentication, as Redis 7: enough for `HELLO 3 AUTH user password SETNAME name`.
const UNAUTHENTICATED_MAX_ARGUMENTS: u32 = 10;

/// Longest argument before authentication, as Redis 7.
const UNAUTHENTICATED_MAX_BULK_BYTES: usize = 16 * 1024;

/// What the parser refuses. Passed to every call, so a setting that changes takes effect at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    /// Most arguments of one request, the command's name included.
    pub max_arguments: u32,
    /// Longest argument, in bytes (`proto-max-bulk-len`).
    pub max_bulk_bytes: usize,
    /// Longest inline request without its line ending, in bytes; a line with a count or a length has the same limit.
    pub max_inline_bytes: usize,
    /// Longest request with everything around its arguments, in bytes. More than 4 GiB - 1 counts as that.
    pub max_request_bytes: usize,
    /// Whether the connection is authenticated. Decides which text refuses a length.
    pub authenticated: bool,
}

impl RequestLimits {
    /// For a connection that is authenticated or need not be: Redis's defaults.
    pub const AUTHENTICATED_DEFAULT: Self = Self {
        max_arguments: MAX_ARGUMENTS,
        max_bulk_bytes: MAX_BULK_BYTES,
        max_inline_bytes: MAX_INLINE_BYTES,
        max_request_bytes: MAX_REQUEST_BYTES,
        authenticated: true,
    };

    /// For a connection that still has to authenticate, so that a stranger cannot make the server hold much.
    pub const UNAUTHENTICATED: Self = Self {
        max_arguments: UNAUTHENTICATED_MAX_ARGUMENTS,
        max_bulk_bytes: UNAUTHENTICATED_MAX_BULK_BYTES,
        authenticated: false,
        ..Self::AUTHENTICATED_DEFAULT
    };

    /// Whether a count over `max_arguments` is refused for want of authentication alone.
    pub(super) const fn only_authentication_allows_count(&self, count: i64) -> bool {
        !self.authenticated && count <= MAX_ARGUMENTS as i64
    }

    /// Whether a length over `max_bulk_bytes` is refused for want of authentication alone.
    pub(super) const fn only_authentication_allows_length(&self, length: usize) -> bool {
        !self.authenticated && length <= MAX_BULK_BYTES
    }
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self::AUTHENTICATED_DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_authentication_every_limit_is_at_most_the_one_after() {
        let (before, after) = (RequestLimits::UNAUTHENTICATED, RequestLimits::default());
        assert!(before.max_arguments < after.max_arguments);
        assert!(before.max_bulk_bytes < after.max_bulk_bytes);
        assert!(before.max_inline_bytes <= after.max_inline_bytes);
        assert!(before.max_request_bytes <= after.max_request_bytes);
        assert!(!before.authenticated && after.authenticated);
    }
}
