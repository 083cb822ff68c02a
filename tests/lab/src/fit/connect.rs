//! A program as it would be with another connection.
//!
//! How a connection behaves does not depend on what the program executes, nor the
//! other way round: the two are seen by different means and added up. So each program
//! is recorded once and judged with each connection, as the suites find those to behave
//! for real (`evasions`, `shape`): one to a pool, in the clear and encrypted, and an
//! unrelated one.

use unjack_core::{profile::Summary, shape::Shape};

use super::Program;

/// What a program is connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// Nothing.
    None,
    /// A pool, in the clear: Stratum is heard as well.
    Clear,
    /// A pool behind TLS, or a WebSocket on it: only the shape is seen.
    Encrypted,
    /// A web server that it asks for something every few seconds.
    Unrelated,
}

impl Connection {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::None, Self::Clear, Self::Encrypted, Self::Unrelated];

    /// What it is, for a table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "no connection",
            Self::Clear => "a pool in the clear",
            Self::Encrypted => "a pool behind TLS",
            Self::Unrelated => "an unrelated HTTPS connection",
        }
    }

    /// Adds it to a summary. The pool has sent two jobs and got three shares, which is
    /// what 20 to 60 seconds bring.
    fn give(self, summary: &mut Summary) {
        let shape = Shape {
            looks: 10,
            messages_per_second: 0.5,
            age_seconds: 30.0,
            received_per_cpu_second: 100.0,
            sent_per_cpu_second: 100.0,
            peers: 1,
            ..Shape::default()
        };
        (summary.network.stratum, summary.network.shape) = match self {
            Self::None => (
                false,
                Shape {
                    looks: 10,
                    ..Shape::default()
                },
            ),
            Self::Clear | Self::Encrypted => (
                self == Self::Clear,
                Shape {
                    pushes: 2,
                    submissions: 3,
                    ..shape
                },
            ),
            Self::Unrelated => (false, shape),
        };
    }
}

impl Program {
    /// The same program with that connection.
    #[must_use]
    pub fn connected(&self, connection: Connection) -> Self {
        let mut program = self.clone();
        for (_, summary) in program.runs.values_mut().flatten() {
            connection.give(summary);
        }
        program
    }
}
