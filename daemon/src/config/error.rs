//! What is wrong with the configuration, as a person is told.

/// One thing that is wrong with the configuration, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConfigError {
    /// Stable and kebab-case: `config-missing`, `config-unreadable`, `config-syntax`, `config-unknown-section`,
    /// `config-unknown-key`, `config-missing-key`, `config-wrong-type`, `config-bad-value`, `config-conflict`,
    /// `password-missing`, `password-file`, `password-permissions`, `password-command`, `password-bad`, `no-home`,
    /// `bad-directory`, `socket-path-too-long`, `bad-log-filter`, `log-started`.
    pub code: &'static str,
    /// What happened: one sentence, with file and line where there is one. Never holds a password.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl ConfigError {
    /// Puts the three parts together.
    pub fn new(code: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: hint.into() }
    }
}

impl From<ConfigError> for xbt_core::fault::Fault {
    fn from(error: ConfigError) -> Self {
        Self::new(error.code, error.message, error.hint)
    }
}
