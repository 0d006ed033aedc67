//! One pseudo terminal: its keyboard, its screen's bytes, its size. The only file that names `portable_pty`. Knows no
//! process and no viewer.
#![allow(unsafe_code)]

use crate::Size;
use portable_pty::{MasterPty, PtySize, native_pty_system};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::BorrowedFd,
    io::Errno,
};
use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::{
        fd::OwnedFd,
        unix::{fs::OpenOptionsExt as _, net::UnixStream},
    },
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// The panel's side of a terminal. Dropped, the terminal hangs up.
pub struct Terminal {
    resizer: Resizer,
    /// What the programs in it write. Ends, with an error or not, when the last of them has closed it.
    pub screen: Screen,
    /// What they read.
    pub keyboard: Box<dyn Write + Send>,
}

impl std::fmt::Debug for Terminal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Terminal").finish_non_exhaustive()
    }
}

/// What a terminal shows.
#[derive(Debug)]
pub struct Screen(File);

impl Screen {
    /// Of the panel's side of a terminal.
    fn of(master: &(dyn MasterPty + Send)) -> io::Result<Screen> {
        let number = master.as_raw_fd().ok_or_else(|| io::Error::other("the system's terminals have no descriptor"))?;
        // SAFETY: the master has it open for as long as it is borrowed, which is longer than this call.
        let fd = unsafe { BorrowedFd::borrow_raw(number) };
        Ok(Screen(fd.try_clone_to_owned()?.into()))
    }

    /// Waits until there is something to read or an end, at most so long. False: there is neither.
    pub(crate) fn comes_within(&self, time: Duration) -> bool {
        let time = Timespec::try_from(time).ok();
        // What went wrong is told by the next read.
        poll(&mut [PollFd::new(&self.0, PollFlags::IN)], time.as_ref()).map_or_else(|e| e != Errno::INTR, |ready| ready > 0)
    }
}

impl Read for Screen {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

/// Changes a terminal's size.
#[derive(Clone)]
pub struct Resizer(Arc<dyn Fn(Size) -> io::Result<()> + Send + Sync>);

impl std::fmt::Debug for Resizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resizer").finish_non_exhaustive()
    }
}

impl Resizer {
    /// Sets the size; programs in it are told by SIGWINCH.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn resize(&self, size: Size) -> io::Result<()> {
        (self.0)(size)
    }
}

impl Terminal {
    /// A terminal, and its programs' side as standard input, output and error of one.
    ///
    /// # Errors
    /// When the system has none left.
    pub(crate) fn open(size: Size) -> io::Result<(Terminal, [File; 3])> {
        let pair = native_pty_system().openpty(cells(size)).map_err(io::Error::other)?;
        let name = pair.master.tty_name().ok_or_else(|| io::Error::other("the system does not name its terminal"))?;
        // Opened by name, since the library keeps its own descriptor to itself. Not as our controlling terminal.
        let open = || OpenOptions::new().read(true).write(true).custom_flags(NOCTTY).open(&name);
        let ends = [open()?, open()?, open()?];
        let screen = Screen::of(&*pair.master)?;
        let keyboard = pair.master.take_writer().map_err(io::Error::other)?;
        // The library's own end of the programs' side closes here, so that the screen ends with the last program.
        drop(pair.slave);
        // The panel's side lives as long as whoever may resize it, and a `dyn MasterPty` may not be shared as it is.
        let master = Mutex::new(pair.master);
        let resize = move |size| {
            let master = master.lock().unwrap_or_else(PoisonError::into_inner);
            master.resize(cells(size)).map_err(io::Error::other)
        };
        Ok((Terminal { resizer: Resizer(Arc::new(resize)), screen, keyboard }, ends))
    }

    /// A terminal that somebody else keeps, such as the engine of a container: `line` carries its bytes both ways, `resize`
    /// passes another size on. The screen ends with the line.
    ///
    /// # Errors
    /// When the system gives no second descriptor for the line.
    pub fn elsewhere(line: UnixStream, resize: impl Fn(Size) -> io::Result<()> + Send + Sync + 'static) -> io::Result<Terminal> {
        // Both sides are read and written by threads that wait.
        line.set_nonblocking(false)?;
        let screen = Screen(OwnedFd::from(line.try_clone()?).into());
        Ok(Terminal { resizer: Resizer(Arc::new(resize)), screen, keyboard: Box::new(line) })
    }

    /// What changes its size, apart from its bytes.
    pub fn resizer(&self) -> Resizer {
        self.resizer.clone()
    }
}

/// `O_NOCTTY`.
const NOCTTY: i32 = rustix::fs::OFlags::NOCTTY.bits().cast_signed();

fn cells(size: Size) -> PtySize {
    PtySize { rows: size.rows, cols: size.cols, pixel_width: 0, pixel_height: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_elsewhere_carries_bytes_and_sizes_and_ends_with_its_line() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let (told, sizes) = std::sync::mpsc::channel();
        let resize = move |size| told.send(size).map_err(io::Error::other);
        let mut terminal = Terminal::elsewhere(ours, resize).unwrap();
        assert!(!terminal.screen.comes_within(Duration::ZERO));
        theirs.write_all(b"\x1b[1m").unwrap();
        let mut bytes = [0; 8];
        assert!(terminal.screen.comes_within(Duration::from_secs(5)));
        assert_eq!(terminal.screen.read(&mut bytes).unwrap(), 4);
        terminal.keyboard.write_all(b"ls\r").unwrap();
        assert_eq!(theirs.read(&mut bytes).unwrap(), 3);
        let resizer = terminal.resizer();
        resizer.resize(Size::default()).unwrap();
        assert_eq!(sizes.recv().unwrap(), Size::default());
        drop(sizes);
        assert!(resizer.resize(Size::default()).is_err(), "whoever kept it is gone");
        drop(theirs);
        assert_eq!(terminal.screen.read(&mut bytes).unwrap(), 0);
    }
}
