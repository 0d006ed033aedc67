//! What to run and how, as data. Knows no process.

use std::{ffi::OsString, path::PathBuf};

/// A program with its surroundings. The environment is the panel's own, with `env` on top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// The file to execute.
    pub program: PathBuf,
    /// Its arguments, without its own name.
    pub args: Vec<OsString>,
    /// Variables to set.
    pub env: Vec<(OsString, OsString)>,
    /// Added to the niceness: 0 to 19.
    pub nice: u8,
    /// Gives the child one end of a stream socket as file descriptor 3, and us the other.
    pub stream: bool,
}

impl Launch {
    /// A program without arguments, at normal priority.
    pub fn new(program: impl Into<PathBuf>) -> Launch {
        Launch { program: program.into(), args: Vec::new(), env: Vec::new(), nice: 0, stream: false }
    }

    /// One more argument.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Launch {
        self.args.push(arg.into());
        self
    }

    /// One more variable.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Launch {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Runs behind others.
    pub fn nice(self, nice: u8) -> Launch {
        Launch { nice: nice.min(19), ..self }
    }

    /// With a stream socket as file descriptor 3.
    pub fn with_stream(self) -> Launch {
        Launch { stream: true, ..self }
    }
}
