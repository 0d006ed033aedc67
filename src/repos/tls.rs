//! The wire under libgit2's https: streams of our own, whose waiting ends when the watch says so, and whose certificates are checked
//! against the system's authorities and those of one request. A stream leads to the host of the conversation that runs on this
//! thread, and to no other. Knows no git.

use crate::{
    Address, Fault,
    dial::{again, dial},
    watch::Watch,
};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use std::{
    cell::RefCell,
    io::{self, Read, Write},
    net::TcpStream,
    path::Path,
    rc::Rc,
    sync::Arc,
};

thread_local! {
    /// The conversation that runs on this thread.
    static LINE: RefCell<Option<Rc<Line>>> = const { RefCell::new(None) };
}

/// What streams of one conversation need to know.
pub(crate) struct Line {
    address: Address,
    watch: Watch,
    config: Arc<ClientConfig>,
    /// Why a stream could not be made, last.
    failure: RefCell<Option<Fault>>,
}

/// A conversation; over when dropped.
pub(crate) struct Conversation(Rc<Line>);

impl Conversation {
    /// Begins one on this thread. `authority` is trusted beside the system's certificates.
    pub(crate) fn begin(address: &Address, authority: Option<&Path>, watch: &Watch) -> Result<Conversation, Fault> {
        let mut roots = RootCertStore::empty();
        // Some that cannot be read are no matter: what they vouch for is refused.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(file) = authority {
            let mut read = || -> io::Result<()> {
                for certificate in CertificateDer::pem_file_iter(file).map_err(io::Error::other)? {
                    roots.add(certificate.map_err(io::Error::other)?).map_err(io::Error::other)?;
                }
                Ok(())
            };
            read().map_err(|e| Fault::io(format!("reading certificates from {}", file.display()), e))?;
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().map_err(|e| Fault::Git(format!("TLS: {e}")))?;
        let config = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());
        let line = Line { address: address.clone(), watch: watch.clone(), config, failure: RefCell::default() };
        let line = Rc::new(line);
        LINE.set(Some(Rc::clone(&line)));
        Ok(Conversation(line))
    }

    /// Why the host could not be reached, or did not convince, if that is so.
    pub(crate) fn failure(&self) -> Option<Fault> {
        self.0.failure.take()
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        LINE.set(None);
    }
}

type Tls = StreamOwned<ClientConnection, TcpStream>;

/// One connection.
pub(crate) struct Stream {
    line: Rc<Line>,
    tls: Option<Tls>,
}

impl Stream {
    /// A stream to a place that libgit2 names. `None` where that is not the host of this thread's conversation: redirects end here.
    pub(crate) fn to(host: &str, port: &str) -> Option<Stream> {
        let line = LINE.with_borrow(Clone::clone)?;
        let right = line.address.host().eq_ignore_ascii_case(host) && port.parse() == Ok(line.address.port());
        if right {
            return Some(Stream { line, tls: None });
        }
        let detail = "it sends elsewhere, which is not followed: write the address that it sends to".to_owned();
        line.told(Err(line.unreachable(detail)))
    }

    /// Connects, and has the host prove who it is. `None` where that fails; the conversation knows why.
    pub(crate) fn connect(&mut self) -> Option<()> {
        let connected = self.line.connect();
        self.tls = Some(self.line.told(connected)?);
        Some(())
    }

    /// Reads what there is; 0 at the end.
    pub(crate) fn read(&mut self, bytes: &mut [u8]) -> Option<usize> {
        self.carry(|tls| tls.read(bytes))
    }

    /// Writes some of it.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Option<usize> {
        self.carry(|tls| tls.write(bytes))
    }

    fn carry(&mut self, mut one: impl FnMut(&mut Tls) -> io::Result<usize>) -> Option<usize> {
        let tls = self.tls.as_mut()?;
        loop {
            match one(tls) {
                Ok(n) => {
                    self.line.watch.touch();
                    return Some(n);
                }
                Err(e) if again(&e) && !self.line.watch.stopped() => {}
                Err(e) => return self.line.told(Err(self.line.unreachable(format!("the connection broke: {e}")))),
            }
        }
    }

    /// Says goodbye, where that can be done at once.
    pub(crate) fn close(&mut self) {
        if let Some(mut tls) = self.tls.take() {
            tls.conn.send_close_notify();
            let _ = tls.flush();
        }
    }
}

/// What is wrong with a certificate.
fn worded(error: &CertificateError) -> String {
    use CertificateError as E;
    match error {
        E::UnknownIssuer => "nobody whom this system trusts vouches for it".to_owned(),
        E::NotValidForName | E::NotValidForNameContext { .. } => "it was made for another name".to_owned(),
        E::Expired | E::ExpiredContext { .. } => "it has expired, or the clock of this machine is wrong".to_owned(),
        E::NotValidYet | E::NotValidYetContext { .. } => "it is not valid yet, or the clock of this machine is wrong".to_owned(),
        other => other.to_string(),
    }
}

impl Line {
    fn connect(&self) -> Result<Tls, Fault> {
        let host = self.address.host();
        let tls = |e: &dyn std::error::Error| self.unreachable(format!("TLS: {e}"));
        let mut socket = dial(host, self.address.port(), &self.watch).map_err(|e| self.unreachable(e.to_string()))?;
        let name = ServerName::try_from(host.to_owned()).map_err(|e| tls(&e))?;
        let mut shaking = ClientConnection::new(Arc::clone(&self.config), name).map_err(|e| tls(&e))?;
        while shaking.is_handshaking() {
            match shaking.complete_io(&mut socket) {
                Ok(_) => self.watch.touch(),
                Err(e) if again(&e) && !self.watch.stopped() => {}
                Err(e) => {
                    let inner = e.get_ref().and_then(|inner| inner.downcast_ref());
                    return Err(match inner {
                        Some(rustls::Error::InvalidCertificate(why)) => {
                            Fault::Certificate { host: host.to_owned(), detail: worded(why) }
                        }
                        _ => tls(&e),
                    });
                }
            }
        }
        Ok(StreamOwned::new(shaking, socket))
    }

    fn unreachable(&self, detail: String) -> Fault {
        Fault::Unreachable { host: self.address.host().to_owned(), detail }
    }

    /// Remembers a failure, as libgit2 has no place for it.
    fn told<T>(&self, result: Result<T, Fault>) -> Option<T> {
        result.map_err(|fault| *self.failure.borrow_mut() = Some(fault)).ok()
    }
}
