//! What to run and how, as data. Knows no process.

use std::{ffi::OsString, path::PathBuf};

/// A program with its surroundings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// The file to execute.
    pub program: PathBuf,
    /// Its arguments, without its own name.
    pub args: Vec<OsString>,
    /// Variables to set.
    pub env: Vec<(OsString, OsString)>,
    /// The environment is `env` and nothing else; otherwise the panel's own, with `env` on top.
    pub bare: bool,
    /// Where it starts; none: where the panel did.
    pub folder: Option<PathBuf>,
    /// Added to the niceness: 0 to 19.
    pub nice: u8,
    /// Gives the child one end of a stream socket as file descriptor 3, and us the other.
    pub stream: bool,
    /// Stands between the panel and the program, so that nothing that comes of it outlives it.
    pub guarded: Option<Guarded>,
}

/// A program under a guardian.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guarded {
    /// The program that can be a guardian: this very file, but in tests.
    pub guardian: PathBuf,
    /// User and group that the program becomes; the guardian stays who the panel is.
    pub user: Option<(u32, u32)>,
    /// Gives it a terminal of this size as standard input, output and error.
    pub terminal: Option<Size>,
}

/// Cells of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Columns, 1 to 1000.
    pub cols: u16,
    /// Rows, 1 to 1000.
    pub rows: u16,
}

impl Size {
    /// Most columns and rows: more is a mistake or an attack on whoever keeps a screen.
    pub const MOST: u16 = 1000;

    /// A size within the limits.
    pub fn clamped(cols: u16, rows: u16) -> Size {
        Size { cols: cols.clamp(1, Size::MOST), rows: rows.clamp(1, Size::MOST) }
    }
}

impl Default for Size {
    fn default() -> Size {
        Size { cols: 120, rows: 32 }
    }
}

impl Launch {
    /// A program without arguments, at normal priority.
    pub fn new(program: impl Into<PathBuf>) -> Launch {
        Launch {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            bare: false,
            folder: None,
            nice: 0,
            stream: false,
            guarded: None,
        }
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

    /// With these variables and no others.
    pub fn only_env(self, env: Vec<(OsString, OsString)>) -> Launch {
        Launch { env, bare: true, ..self }
    }

    /// Starts in this folder.
    pub fn in_folder(self, folder: impl Into<PathBuf>) -> Launch {
        Launch { folder: Some(folder.into()), ..self }
    }

    /// Runs behind others.
    pub fn nice(self, nice: u8) -> Launch {
        Launch { nice: nice.min(19), ..self }
    }

    /// With a stream socket as file descriptor 3.
    pub fn with_stream(self) -> Launch {
        Launch { stream: true, ..self }
    }

    /// Under a guardian.
    pub fn guarded(self, guarded: Guarded) -> Launch {
        Launch { guarded: Some(guarded), ..self }
    }
}
