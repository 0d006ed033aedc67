//! A WebSocket from a client's side, blocking: RFC 6455 as far as tests need it. Knows no program that speaks over it.

use std::{
    io::{self, BufReader, Read, Write},
    net::TcpStream,
    time::Duration,
};

/// What a frame is, by its number in RFC 6455.
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
/// Who says nothing for so long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Socket {
    from: BufReader<TcpStream>,
    /// The frame that came last.
    body: Vec<u8>,
}

impl Socket {
    /// Asks for a WebSocket at this path, with these further header lines; the status, and the socket where it is 101.
    pub(crate) fn ask(host: &str, path: &str, headers: &str) -> (u16, Option<Socket>) {
        let mut socket = TcpStream::connect(host).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_nodelay(true).unwrap();
        write!(
            socket,
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
        )
        .unwrap();
        let mut from = BufReader::with_capacity(64 * 1024, socket);
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            from.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let status = std::str::from_utf8(&head[9..12]).unwrap().parse().unwrap();
        (status, (status == 101).then(|| Socket { from, body: Vec::new() }))
    }

    /// The next frame that is no ping, and what it is.
    pub(crate) fn next(&mut self) -> io::Result<(u8, &[u8])> {
        loop {
            let mut head = [0; 2];
            self.from.read_exact(&mut head)?;
            let length = match head[1] & 0x7f {
                126 => {
                    let mut long = [0; 2];
                    self.from.read_exact(&mut long)?;
                    u64::from(u16::from_be_bytes(long))
                }
                127 => {
                    let mut long = [0; 8];
                    self.from.read_exact(&mut long)?;
                    u64::from_be_bytes(long)
                }
                short => u64::from(short),
            };
            self.body.resize(length as usize, 0);
            self.from.read_exact(&mut self.body)?;
            match head[0] & 0x0f {
                PING => {
                    let body = std::mem::take(&mut self.body);
                    self.send(PONG, &body)?;
                }
                PONG => {}
                kind => return Ok((kind, &self.body)),
            }
        }
    }

    /// Sends a frame of less than 64 KiB; a client's are masked, here with zeros.
    pub(crate) fn send(&mut self, kind: u8, body: &[u8]) -> io::Result<()> {
        let mut frame = vec![0x80 | kind];
        match body.len() {
            short @ 0..126 => frame.push(0x80 | short as u8),
            long => {
                frame.push(0x80 | 126);
                frame.extend(u16::try_from(long).unwrap().to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(body);
        self.from.get_mut().write_all(&frame)
    }

    /// From now on nothing is waited for longer than this.
    pub(crate) fn be_patient_for(&mut self, time: Duration) {
        self.from.get_mut().set_read_timeout(Some(time)).unwrap();
    }
}
