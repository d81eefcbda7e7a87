//! What the server remembers of a client between its commands.

use std::sync::Arc;

use super::ClientRecord;
use crate::resp::Protocol;

/// The state of one connection that commands read and change.
pub struct Session {
    /// The selected database, 0 to 15.
    pub database: u8,
    /// RESP2 or RESP3, as HELLO negotiated.
    pub protocol: Protocol,
    /// Whether commands beyond AUTH and HELLO are allowed.
    pub authenticated: bool,
    /// Whether replies are sent.
    pub replies: ReplyMode,
    /// The connection ends when what was written is sent.
    pub close: bool,
    /// Uses of keys are not noted (CLIENT NO-TOUCH).
    pub no_touch: bool,
    /// What other clients can see and do (CLIENT LIST, CLIENT KILL).
    pub client: Arc<ClientRecord>,
}

/// What CLIENT REPLY asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ReplyMode {
    /// Every command is answered.
    #[default]
    On,
    /// None is.
    Off,
    /// CLIENT REPLY SKIP itself was run: the next command is not answered.
    SkipNext,
    /// The command that runs now is not answered.
    SkipThis,
}

impl Session {
    /// A client that just connected.
    #[must_use]
    pub fn new(client: Arc<ClientRecord>, authenticated: bool) -> Self {
        Self {
            database: 0,
            protocol: Protocol::Resp2,
            authenticated,
            replies: ReplyMode::On,
            close: false,
            no_touch: false,
            client,
        }
    }

    /// Selects a database and shows it to other clients.
    pub fn select(&mut self, database: u8) {
        self.database = database;
        self.client.set_database(database);
    }

    /// Speaks another protocol from now on.
    pub fn speak(&mut self, protocol: Protocol) {
        self.protocol = protocol;
        self.client.set_resp3(protocol == Protocol::Resp3);
    }
}
