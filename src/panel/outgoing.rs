//! Clients of HTTP: where all of them begin, so that each has TLS. Knows not what is asked, nor of whom.

use reqwest::{Client, ClientBuilder};
use std::sync::Once;

/// A client that speaks TLS, by the cryptography of ring. It is asked for here and nowhere else: one that begins without is a panic.
pub fn client() -> ClientBuilder {
    tls();
    Client::builder()
}

/// Has what this process asks by reqwest speak TLS, also where a library makes the client.
pub fn tls() {
    static ONCE: Once = Once::new();
    // An error says that there is one already, which is as well.
    ONCE.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
}
