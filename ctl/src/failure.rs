//! How a command ends when it does not end well, and the exit code that scripts see.

use std::io;

use xbt_api::{ApiError, ClientError, codes};

/// The daemon refused, or the transfer did not end well.
const REFUSED: u8 = 1;
/// Wrong usage.
const USAGE: u8 = 2;
/// The daemon cannot be reached.
const UNREACHABLE: u8 = 3;
/// Not connected to the XMPP server.
const NOT_CONNECTED: u8 = 4;
/// Ended by Ctrl-C: 128 + SIGINT.
const INTERRUPTED: u8 = 130;

/// What to tell the person, and the exit code.
#[derive(Debug)]
pub struct Failure {
    /// All are printed; empty after a closed pipe.
    pub errors: Vec<ApiError>,
    /// The exit code of the program.
    pub exit: u8,
}

impl Failure {
    /// The command line is wrong in a way that only the command itself notices.
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { errors: vec![ApiError::new(codes::USAGE, message, hint)], exit: USAGE }
    }

    /// A file or stream on this side cannot be read or written.
    pub fn local(message: impl Into<String>) -> Self {
        Self { errors: vec![ApiError::new(codes::LOCAL_IO, message, "")], exit: REFUSED }
    }

    /// It cannot be done as things are.
    pub fn refused(code: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { errors: vec![ApiError::new(code, message, hint)], exit: REFUSED }
    }

    /// Ctrl-C.
    pub fn interrupted(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { errors: vec![ApiError::new(codes::INTERRUPTED, message, hint)], exit: INTERRUPTED }
    }

    /// Transfers that have ended, but not well.
    pub fn not_done(errors: Vec<ApiError>) -> Self {
        Self { errors, exit: REFUSED }
    }

    /// Whether there is no daemon to talk to.
    pub fn is_unreachable(&self) -> bool {
        self.exit == UNREACHABLE
    }

    /// For the commands that cannot wait for the XMPP server.
    pub fn needs_connection(error: ClientError) -> Self {
        Self::from(error).or_no_connection()
    }

    /// The same for what is a failure already.
    pub fn or_no_connection(mut self) -> Self {
        if self.errors.iter().any(|error| error.code == codes::NOT_CONNECTED) {
            self.exit = NOT_CONNECTED;
        }
        self
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let exit = match &error {
            ClientError::Unreachable { .. } => UNREACHABLE,
            ClientError::Protocol { .. } | ClientError::Api(_) => REFUSED,
        };
        Self { errors: vec![error.into()], exit }
    }
}

/// Errors of standard output.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            // The reader closed the pipe on purpose.
            return Self { errors: Vec::new(), exit: 0 };
        }
        Self::local(format!("cannot write the output: {error}"))
    }
}
