//! Rows of the kernel's tables of TCP connections. Reads `/proc/net`; knows no process.

use std::fs;

/// The state of a socket that waits for connections, and of one that has one, as the kernel writes them.
const LISTENS: &str = "0A";
const CONNECTED: &str = "01";

/// One socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its own port.
    pub local: u16,
    /// The port at the other end; 0 while it listens.
    pub remote: u16,
    state: String,
    /// Number of the user whose it is.
    pub uid: u32,
    /// What `/proc/PID/fd` calls it.
    pub inode: String,
}

impl Row {
    /// It waits for connections.
    pub fn listens(&self) -> bool {
        self.state == LISTENS
    }

    /// It has one.
    pub fn is_connected(&self) -> bool {
        self.state == CONNECTED
    }
}

/// Every TCP socket of this machine, or of this container.
pub fn tcp() -> Vec<Row> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| fs::read_to_string(path).unwrap_or_default());
    tables.iter().flat_map(|table| rows(table)).collect()
}

fn rows(table: &str) -> impl Iterator<Item = Row> {
    table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let port = |at: usize| u16::from_str_radix(fields.get(at)?.rsplit_once(':')?.1, 16).ok();
        let (state, inode) = ((*fields.get(3)?).to_owned(), (*fields.get(9)?).to_owned());
        Some(Row { local: port(1)?, remote: port(2)?, state, uid: fields.get(7)?.parse().ok()?, inode })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_and_what_is_none_is_passed_over() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
            0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 777 1\n   \
            1: 0100007F:9C40 0100007F:1F90 01 00000000:00000000 00:00000000 00000000 58001        0 778 1\n broken";
        let rows: Vec<Row> = rows(table).collect();
        assert_eq!(rows.len(), 2);
        assert!(rows[0].listens() && rows[1].is_connected());
        assert_eq!((rows[0].local, rows[0].inode.as_str()), (8080, "777"));
        assert_eq!((rows[1].local, rows[1].remote, rows[1].uid), (40_000, 8080, 58_001));
    }
}
