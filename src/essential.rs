//! What the server must not go on without.
//!
//! A panic ends one task or thread, and everything else would go on: commands would be answered while nothing is written to the truth any
//! more, or no lease renewed. It is better to end as a crash does, which loses what the promise allows, and to be started again.

use std::io;
use std::thread::{Builder, JoinHandle};

/// While it is there, a panic of the running thread ends the process.
pub struct Essential(&'static str);

impl Essential {
    /// `part` is what the log calls it.
    #[must_use]
    pub fn part(part: &'static str) -> Self {
        Self(part)
    }
}

impl Drop for Essential {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(
                part = self.0,
                "a fault in this program, told above, has ended a part that it cannot do without: the process ends, and a start goes on \
                 with what is on disk and in the truth"
            );
            std::process::abort();
        }
    }
}

/// Starts a thread of that name, of 15 letters at most, that does the work; a panic in it ends the process.
///
/// # Errors
/// When the system gives no thread.
pub fn essential_thread<T: Send + 'static>(
    name: &str,
    part: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    Builder::new().name(name.to_owned()).spawn(move || {
        let _part = Essential::part(part);
        work()
    })
}

/// Does the work; a panic in it ends the process.
pub async fn essential<T>(part: &'static str, work: impl Future<Output = T>) -> T {
    let _part = Essential::part(part);
    work.await
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, ExitStatus};

    use super::*;

    /// The child of a test does what is to end it.
    const CHILD: &str = "QUOTAD_TEST_PANICS";

    fn run_child(test: &str) -> ExitStatus {
        let mut child = Command::new(std::env::current_exe().unwrap());
        let name = format!("essential::tests::{test}");
        child.args(["--exact", &name, "--nocapture"]).env(CHILD, "1").env("RUST_BACKTRACE", "0");
        child.output().unwrap().status
    }

    fn is_child() -> bool {
        std::env::var_os(CHILD).is_some()
    }

    #[test]
    fn a_panic_in_a_task_ends_the_process() {
        if is_child() {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let work = async {
                tokio::task::yield_now().await;
                panic!("as a fault would");
            };
            let _caught = runtime.block_on(async { tokio::spawn(essential::<()>("a task", work)).await });
            return;
        }
        assert_eq!(run_child("a_panic_in_a_task_ends_the_process").signal(), Some(6));
    }

    #[test]
    fn a_panic_in_a_thread_ends_the_process() {
        if is_child() {
            let thread = essential_thread("faulty", "a thread", || panic!("as a fault would"));
            let _caught = thread.unwrap().join();
            return;
        }
        assert_eq!(run_child("a_panic_in_a_thread_ends_the_process").signal(), Some(6));
    }

    #[test]
    fn an_end_without_a_panic_ends_nothing() {
        if is_child() {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(essential("a task", async {}));
            let given_up = runtime.spawn(essential("another", std::future::pending::<()>()));
            given_up.abort();
            return;
        }
        assert!(run_child("an_end_without_a_panic_ends_nothing").success());
    }
}
