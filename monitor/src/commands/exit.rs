//! How `unjack` ends: the exit codes, and which failure has which.

use std::{fmt, process::ExitCode};

use crate::{
    commands::{
        daemon::DaemonError, doctor::Check, explain::ExplainError, record::RecordError,
        release::ReleaseError, replay::ReplayError, top::TopError,
    },
    detect::reputation::ListError,
    kernel::probe::ProbeError,
    policy::config::ConfigError,
    respond::action::ban::list::BansError,
};
use unjack_core::text;

/// Why `unjack` did not do what it was told.
#[derive(Debug)]
pub enum Failure {
    /// Something went wrong: exit code 1.
    Failed(String),
    /// A flag's value is not accepted: exit code 2, as clap's own.
    Usage(ConfigError),
    /// The host lacks something: exit code 3.
    Host(String),
    /// There is no such process, or it vanished, or it is not held: exit code 4.
    NoProcess(String),
}

impl Failure {
    /// The exit code.
    #[must_use]
    pub fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::Host(_) => 3,
            Self::NoProcess(_) => 4,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(text) | Self::Host(text) | Self::NoProcess(text) => f.write_str(text),
            Self::Usage(error) => error.fmt(f),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Usage(error)
    }
}

impl From<ListError> for Failure {
    fn from(error: ListError) -> Self {
        Self::Usage(ConfigError {
            flag: error.list.flag(),
            value: text::clean(error.file.as_os_str().as_encoded_bytes(), 4096),
            problem: error.to_string(),
        })
    }
}

impl From<Vec<Check>> for Failure {
    fn from(failed: Vec<Check>) -> Self {
        let mut text = "this host lacks what the probes need".to_owned();
        for Check {
            name,
            status: _,
            found,
            remedy,
        } in failed
        {
            text.extend([
                "
  ", name, ": ", &found,
            ]);
            if let Some(remedy) = remedy {
                text.extend([
                    "
    ", &remedy,
                ]);
            }
        }
        Self::Host(text)
    }
}

impl From<ProbeError> for Failure {
    fn from(error: ProbeError) -> Self {
        Self::Host(error.to_string())
    }
}

impl From<DaemonError> for Failure {
    fn from(error: DaemonError) -> Self {
        match error {
            DaemonError::Probe(error) => error.into(),
            DaemonError::Arch => Self::Host(error.to_string()),
            DaemonError::WebFile(error) => Self::Usage(ConfigError {
                flag: "--web.config.file",
                value: text::clean(error.file().as_os_str().as_encoded_bytes(), 4096),
                problem: error.to_string(),
            }),
            other => Self::Failed(other.to_string()),
        }
    }
}

impl From<BansError> for Failure {
    fn from(error: BansError) -> Self {
        match error {
            BansError::Probe(error) => error.into(),
            other => Self::Failed(other.to_string()),
        }
    }
}

impl From<ExplainError> for Failure {
    fn from(error: ExplainError) -> Self {
        match error {
            ExplainError::NoProcess(_) | ExplainError::Vanished { .. } => {
                Self::NoProcess(error.to_string())
            }
            ExplainError::Probe(error) => error.into(),
            ExplainError::Arch => Self::Host(error.to_string()),
            other => Self::Failed(other.to_string()),
        }
    }
}

impl From<RecordError> for Failure {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Probe(error) => error.into(),
            RecordError::Arch => Self::Host(error.to_string()),
            other => Self::Failed(other.to_string()),
        }
    }
}

impl From<TopError> for Failure {
    fn from(error: TopError) -> Self {
        match error {
            TopError::Probe(error) => error.into(),
            TopError::Arch => Self::Host(error.to_string()),
            other => Self::Failed(other.to_string()),
        }
    }
}

impl From<ReplayError> for Failure {
    fn from(error: ReplayError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<ReleaseError> for Failure {
    fn from(error: ReleaseError) -> Self {
        match error {
            ReleaseError::NotHeld(_) => Self::NoProcess(error.to_string()),
            ReleaseError::Store(_) | ReleaseError::Left(..) => Self::Failed(error.to_string()),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}
