//! The settings while the server runs: what CONFIG GET answers and CONFIG SET changes.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::facts::{self, Bound};
use crate::config::{Change, Config, SETTINGS, Secret, Setting, setting};
use crate::dispatch::ports::Settings;

/// The one user there is.
const USER: &[u8] = b"default";

/// The name under which Redis's clients set a password.
const PASSWORD: &str = "requirepass";

/// What CONFIG GET shows in place of a password that is set.
const HIDDEN: &str = "(hidden)";

/// Told of every change.
pub type Follower = Box<dyn Fn(&Config) + Send + Sync>;

/// Asked before a change, with the settings before and after it: whether this process can do what they say.
pub type Check = Box<dyn Fn(&Config, &Config) -> Result<(), String> + Send + Sync>;

/// The settings of a running server.
pub struct LiveSettings {
    config: ArcSwap<Config>,
    /// Held while settings change, so that changes of two clients do not undo each other.
    changing: Mutex<()>,
    check: Check,
    followers: Vec<Follower>,
    bound: OnceLock<Bound>,
    // What every turn asks for, beside the rest.
    password_required: AtomicBool,
    max_key_bytes: AtomicUsize,
    output_buffer_limit_bytes: AtomicUsize,
    maxmemory_bytes: AtomicU64,
}

impl LiveSettings {
    /// Starts with `config`; `followers` are told of it now and of every change that `check` lets through.
    #[must_use]
    pub fn new(config: Config, check: Check, followers: Vec<Follower>) -> Self {
        let settings = Self {
            config: ArcSwap::from_pointee(config),
            changing: Mutex::default(),
            check,
            followers,
            bound: OnceLock::new(),
            password_required: AtomicBool::new(true),
            max_key_bytes: AtomicUsize::new(0),
            output_buffer_limit_bytes: AtomicUsize::new(0),
            maxmemory_bytes: AtomicU64::new(0),
        };
        settings.tell(&settings.config.load());
        settings
    }

    /// Says where the server really listens, for `bind` and `port`.
    pub fn set_bound(&self, bound: Bound) {
        // The first call holds: a server binds once.
        let _ = self.bound.set(bound);
    }

    /// Where the server really listens.
    #[must_use]
    pub fn bound(&self) -> Bound {
        self.bound.get().cloned().unwrap_or_default()
    }

    /// The values now.
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        self.config.load_full()
    }

    fn tell(&self, config: &Config) {
        self.password_required.store(config.password.is_some(), Ordering::Relaxed);
        self.max_key_bytes.store(usize_of(config.max_key_bytes), Ordering::Relaxed);
        let output_buffer_limit_bytes = usize_of(config.output_buffer_limit_bytes);
        self.output_buffer_limit_bytes.store(output_buffer_limit_bytes, Ordering::Relaxed);
        self.maxmemory_bytes.store(config.maxmemory_bytes, Ordering::Relaxed);
        self.followers.iter().for_each(|follower| follower(config));
    }
}

/// A size of memory, cut to what the machine can address.
#[must_use]
pub fn usize_of(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

fn change(config: &mut Config, name: &str, value: &str) -> Result<(), String> {
    let failed =
        |reason: String| format!("CONFIG SET failed (possibly related to argument '{name}') - {reason}");
    let folded = name.to_ascii_lowercase();
    if folded == PASSWORD {
        config.password = (!value.is_empty()).then(|| Secret::new(value.as_bytes()));
        return Ok(());
    }
    let Some(setting) = setting(&folded) else {
        return Err(if facts::is_fact(&folded) {
            failed("can't set immutable config".to_owned())
        } else {
            format!("Unknown option or number of arguments for CONFIG SET - '{name}'")
        });
    };
    if setting.change == Change::AtStart {
        return Err(failed("can't set immutable config".to_owned()));
    }
    let texts = [value.to_owned()];
    setting.kind.set(config, &texts).map_err(|not| {
        failed(format!("{:?} is not allowed, allowed is {}", not.value, setting.kind.allowed()))
    })
}

impl Settings for LiveSettings {
    fn all(&self) -> Vec<(String, String)> {
        let config = self.config.load();
        let known = |setting: &Setting| (setting.name.to_owned(), setting.kind.show(&config));
        let mut all: Vec<_> = SETTINGS.iter().map(known).collect();
        all.extend(facts::facts(&self.bound()));
        let password = if config.password.is_some() { HIDDEN } else { "" };
        all.push((PASSWORD.to_owned(), password.to_owned()));
        all
    }

    fn set(&self, changes: &[(String, String)]) -> Result<(), String> {
        let _changing = self.changing.lock();
        let before = self.config.load_full();
        let mut config = Config::clone(&before);
        for (name, value) in changes {
            change(&mut config, name, value)?;
        }
        (self.check)(&before, &config)?;
        let config = Arc::new(config);
        self.config.store(Arc::clone(&config));
        self.tell(&config);
        Ok(())
    }

    fn password_required(&self) -> bool {
        self.password_required.load(Ordering::Relaxed)
    }

    fn check_password(&self, user: &[u8], password: &[u8]) -> bool {
        let config = self.config.load();
        user == USER && config.password.as_ref().is_none_or(|known| known.is(password))
    }

    fn max_key_bytes(&self) -> usize {
        self.max_key_bytes.load(Ordering::Relaxed)
    }

    fn output_buffer_limit_bytes(&self) -> usize {
        self.output_buffer_limit_bytes.load(Ordering::Relaxed)
    }

    fn maxmemory_bytes(&self) -> u64 {
        self.maxmemory_bytes.load(Ordering::Relaxed)
    }

    fn debug_allowed(&self) -> bool {
        self.config.load().enable_debug_command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(followers: Vec<Follower>) -> LiveSettings {
        LiveSettings::new(Config::default(), Box::new(|_, _| Ok(())), followers)
    }

    fn set(settings: &LiveSettings, pairs: &[(&str, &str)]) -> Result<(), String> {
        let pairs: Vec<_> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        settings.set(&pairs)
    }

    fn shown(settings: &LiveSettings, name: &str) -> Option<String> {
        settings.all().into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    #[test]
    fn changes_are_seen_and_followed() {
        let seen = Arc::new(AtomicU64::new(0));
        let follower = Arc::clone(&seen);
        let follow: Follower = Box::new(move |config| follower.store(config.maxclients, Ordering::Relaxed));
        let settings = live(vec![follow]);
        assert_eq!(seen.load(Ordering::Relaxed), 10_000);
        set(&settings, &[("MaxMemory", "100mb"), ("maxclients", "7"), ("max-key-bytes", "10")]).unwrap();
        assert_eq!(settings.maxmemory_bytes(), 100 << 20);
        assert_eq!(settings.max_key_bytes(), 10);
        assert_eq!(seen.load(Ordering::Relaxed), 7);
        assert_eq!(shown(&settings, "maxmemory").as_deref(), Some("104857600"));
    }

    #[test]
    fn all_changes_are_made_or_none() {
        let settings = live(Vec::new());
        for wrong in [("maxclients", "0"), ("nonsense", "1"), ("threads", "1"), ("databases", "16")] {
            let error = set(&settings, &[("maxmemory", "1gb"), wrong]).unwrap_err();
            assert!(error.contains(wrong.0), "{error}");
            assert_eq!(settings.maxmemory_bytes(), 0);
        }
        assert_eq!(
            set(&settings, &[("nonsense", "1")]).unwrap_err(),
            "Unknown option or number of arguments for CONFIG SET - 'nonsense'"
        );
        assert_eq!(
            set(&settings, &[("maxclients", "no")]).unwrap_err(),
            "CONFIG SET failed (possibly related to argument 'maxclients') - \"no\" is not allowed, allowed is a number \
             from 1 to 1073741816"
        );
    }

    #[test]
    fn what_the_process_cannot_do_changes_nothing() {
        let check: Check = Box::new(|before, after| {
            assert_eq!(before.maxclients, 10_000);
            if after.maxclients > 10 { Err("too many".to_owned()) } else { Ok(()) }
        });
        let settings = LiveSettings::new(Config::default(), check, Vec::new());
        let error = set(&settings, &[("timeout", "5"), ("maxclients", "11")]).unwrap_err();
        assert_eq!(error, "too many");
        assert_eq!(shown(&settings, "timeout").as_deref(), Some("0"));
        set(&settings, &[("maxclients", "10")]).unwrap();
        assert_eq!(shown(&settings, "maxclients").as_deref(), Some("10"));
    }

    #[test]
    fn a_password_is_set_checked_and_never_shown() {
        let settings = live(Vec::new());
        assert!(!settings.password_required());
        assert!(settings.check_password(b"default", b"anything"));
        assert_eq!(shown(&settings, "requirepass").as_deref(), Some(""));
        set(&settings, &[("requirepass", "hunter2")]).unwrap();
        assert!(settings.password_required());
        assert!(settings.check_password(b"default", b"hunter2"));
        assert!(!settings.check_password(b"default", b"hunter3"));
        assert!(!settings.check_password(b"root", b"hunter2"));
        assert!(settings.all().iter().all(|(_, value)| !value.contains("hunter2")));
        set(&settings, &[("requirepass", "")]).unwrap();
        assert!(!settings.password_required());
    }

    #[test]
    fn what_clients_ask_for_is_answered() {
        let settings = live(Vec::new());
        settings.set_bound(Bound { hosts: vec!["127.0.0.1".to_owned()], port: 7_777, unix: None });
        for (name, expected) in [
            ("save", ""),
            ("appendonly", "no"),
            ("timeout", "0"),
            ("databases", "16"),
            ("slave-read-only", "yes"),
            ("replica-read-only", "yes"),
            ("notify-keyspace-events", ""),
            ("bind", "127.0.0.1"),
            ("port", "7777"),
        ] {
            assert_eq!(shown(&settings, name).as_deref(), Some(expected), "{name}");
        }
    }
}
