//! File descriptors: how many the process may hold open, and how many clients that leaves room for.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::start::StartError;
use crate::config::{AdminAddress, Config};

/// Descriptors that are neither a client's nor a listener's: standard input, output and error, the background runtime, signals, files
/// that are read in passing. Redis keeps as many.
const RESERVED: u64 = 32;

/// What the runtime of a thread that serves clients holds: its event queue with a copy, its waker, its end of the signals.
const PER_THREAD: u64 = 4;

/// The listener of the admin pages and the connections that it allows at a time.
const ADMIN: u64 = 1 + 64;

/// The descriptors that a server needs besides those of its clients.
#[derive(Clone, Copy, Debug)]
pub struct Descriptors {
    besides_clients: u64,
}

impl Descriptors {
    /// Counts what a server with these settings needs.
    #[must_use]
    pub fn new(config: &Config, threads: usize) -> Self {
        let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        let admin = if config.admin == AdminAddress::Off { 0 } else { ADMIN };
        let threads = count(threads).saturating_mul(PER_THREAD);
        Self { besides_clients: RESERVED + admin + threads + count(config.listen.len()) }
    }

    /// Raises the process's limit to what `maxclients` needs. Where it cannot be as high, lowers `maxclients` and warns, as Redis does.
    ///
    /// # Errors
    /// When not a single client would have room.
    pub fn fit(self, config: &mut Config) -> Result<(), StartError> {
        let wanted = self.with(config.maxclients);
        let allowed = raise(wanted);
        if allowed >= wanted {
            return Ok(());
        }
        let room = self.room(allowed);
        if room == 0 {
            return Err(StartError(format!(
                "the process may hold {allowed} files open (ulimit -n), at least {} are needed",
                self.with(1)
            )));
        }
        tracing::warn!(
            "maxclients is {room} instead of {}: the process may hold {allowed} files open, {wanted} are needed; raise ulimit -n \
             (LimitNOFILE in systemd) or lower maxclients",
            config.maxclients
        );
        config.maxclients = room;
        Ok(())
    }

    /// Raises the process's limit to what `maxclients` needs.
    ///
    /// # Errors
    /// Where it cannot be as high: a text for CONFIG SET with what is allowed.
    pub fn check(self, maxclients: u64) -> Result<(), String> {
        let wanted = self.with(maxclients);
        let allowed = raise(wanted);
        if allowed >= wanted {
            return Ok(());
        }
        Err(format!(
            "CONFIG SET failed (possibly related to argument 'maxclients') - the process may hold {allowed} files open \
             (ulimit -n), {wanted} are needed for {maxclients} clients; at most {} are allowed",
            self.room(allowed)
        ))
    }

    const fn with(self, clients: u64) -> u64 {
        self.besides_clients.saturating_add(clients)
    }

    const fn room(self, allowed: u64) -> u64 {
        allowed.saturating_sub(self.besides_clients)
    }
}

/// Raises how many descriptors the process may hold to `wanted`, or as near to it as it may; answers how many it may hold now.
fn raise(wanted: u64) -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let allowed = current.unwrap_or(u64::MAX);
    let reachable = wanted.min(maximum.unwrap_or(u64::MAX));
    if reachable <= allowed {
        return allowed;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: Some(reachable), maximum }) {
        Ok(()) => reachable,
        Err(_) => allowed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ListenAddress;

    #[test]
    fn what_a_server_needs_besides_its_clients() {
        let listen = ListenAddress::Unix("/x".into());
        let config = Config { admin: AdminAddress::Off, listen: vec![listen; 2], ..Config::default() };
        assert_eq!(Descriptors::new(&config, 3).besides_clients, 32 + 12 + 2);
        let config = Config { admin: Config::default().admin, ..config };
        let descriptors = Descriptors::new(&config, 3);
        assert_eq!(descriptors.besides_clients, 32 + 12 + 2 + 65);
        assert_eq!((descriptors.room(200), descriptors.room(111), descriptors.room(5)), (89, 0, 0));
    }

    #[test]
    fn more_than_the_system_allows_is_refused_with_what_is_allowed() {
        let descriptors = Descriptors { besides_clients: 32 };
        descriptors.check(1).unwrap();
        // Above the highest limit a Linux process can have.
        let error = descriptors.check(u64::MAX / 2).unwrap_err();
        assert!(error.contains("'maxclients'") && error.contains("at most "), "{error}");
    }
}
