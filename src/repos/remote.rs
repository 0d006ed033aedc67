//! The conversation with a remote: what its branch stands at, and the objects for that. Each host must convince first: an https one
//! by its certificate, an ssh one by a pinned key. Writes objects and nothing else.

use crate::{
    Fault, Phase, Request,
    fault::of_remote,
    hosts::{HostKey, KnownHosts, Standing},
    preference::Preference,
    relay::Relay,
    ssh::SshFolder,
    tls::Conversation,
    watch::Watch,
};
use git2::{
    AutotagOption, CertificateCheckStatus, Cred, CredentialType, Direction, ErrorClass, ErrorCode, FetchOptions, Oid,
    RemoteCallbacks, RemoteRedirect, Repository, cert::Cert,
};
use std::cell::RefCell;

/// Fetches the branch's newest commit with all that it needs, and says which it is.
pub(crate) fn fetch(repo: &Repository, request: &Request, watch: &Watch) -> Result<Oid, Fault> {
    watch.phase(Phase::Connecting, 0);
    let us = Side::new(request)?;
    let (host, known_as) = (request.address.host(), request.address.known_as());
    let unreachable = |detail| Fault::Unreachable { host: host.to_owned(), detail };
    let (result, failure) = match &us.ssh {
        None => {
            let conversation = Conversation::begin(&request.address, request.access.authority.as_deref(), watch)?;
            (converse(repo, request, watch, &us, &request.address.to_string()), conversation.failure())
        }
        Some(ssh) => {
            let relay = Relay::start(&request.address, watch)?;
            let _preference = Preference::new(relay.port(), &ssh.known.keys(&known_as))?;
            let result = converse(repo, request, watch, &us, &request.address.through(relay.port()));
            (result, relay.failure().map(unreachable))
        }
    };
    result.map_err(|talk| match talk {
        Talk::Ours(fault) => fault,
        // What stopped us comes first: libgit2 sees only that its connection broke.
        Talk::Git(error) => {
            let heard = || of_remote(&error, host, &request.address.to_string());
            watch.why().or_else(|| us.fault.take()).or(failure).unwrap_or_else(heard)
        }
    })
}

/// What can end a conversation.
enum Talk {
    Ours(Fault),
    Git(git2::Error),
}

impl From<git2::Error> for Talk {
    fn from(error: git2::Error) -> Talk {
        Talk::Git(error)
    }
}

fn converse(repo: &Repository, request: &Request, watch: &Watch, us: &Side<'_>, url: &str) -> Result<Oid, Talk> {
    let branch = &request.branch;
    let mut remote = repo.remote_anonymous(url)?;
    let mut connection = remote.connect_auth(Direction::Fetch, Some(us.callbacks(watch)), None)?;
    let head = connection.list()?.iter().find(|head| head.name() == branch.head()).map(|head| head.oid());
    let Some(head) = head else { return Err(Talk::Ours(Fault::NoBranch(branch.as_str().to_owned()))) };
    let known = repo.find_reference(&branch.offered()).ok().and_then(|r| r.target());
    if known == Some(head) && repo.odb()?.exists(head) {
        return Ok(head);
    }
    let mut options = FetchOptions::new();
    options.remote_callbacks(us.callbacks(watch)).download_tags(AutotagOption::None).update_fetchhead(false);
    options.follow_redirects(RemoteRedirect::Initial);
    let wanted = format!("+{}:{}", branch.head(), branch.offered());
    connection.remote().download(&[&wanted], Some(&mut options))?;
    repo.find_commit(head)?;
    repo.reference(&branch.offered(), head, true, "fetch")?;
    Ok(head)
}

/// Our side of the conversation.
struct Side<'a> {
    request: &'a Request,
    ssh: Option<Ssh>,
    /// Why our side broke it off.
    fault: RefCell<Option<Fault>>,
}

struct Ssh {
    folder: SshFolder,
    known: KnownHosts,
    keys: Vec<String>,
}

impl<'a> Side<'a> {
    fn new(request: &'a Request) -> Result<Side<'a>, Fault> {
        let ssh = match (request.address.user(), &request.access.ssh) {
            (None, _) => None,
            (Some(_), Some(path)) => {
                let folder = SshFolder::open(path)?;
                Some(Ssh { known: folder.known()?, keys: folder.keys()?, folder })
            }
            (Some(_), None) => {
                let problem = "an ssh address needs a .ssh folder with a key in it".to_owned();
                return Err(Fault::Keys { path: ".ssh".into(), problem });
            }
        };
        Ok(Side { request, ssh, fault: RefCell::default() })
    }

    fn callbacks<'s>(&'s self, watch: &'s Watch) -> RemoteCallbacks<'s> {
        let mut callbacks = RemoteCallbacks::new();
        let mut asked = 0;
        callbacks.credentials(move |_, user, allowed| {
            if allowed.contains(CredentialType::USERNAME) {
                return Cred::username(self.request.address.user().unwrap_or_default());
            }
            asked += 1;
            self.credential(user, allowed, asked - 1)
        });
        // An https host has convinced before anything is asked of it (`tls.rs`).
        if let Some(ssh) = &self.ssh {
            callbacks.certificate_check(move |cert, _| self.check(ssh, cert));
        }
        callbacks.transfer_progress(move |p| {
            let (received, total) = (p.received_objects(), p.total_objects());
            // Deltas are unfolded after all has arrived, and count like objects.
            watch.received(received + p.indexed_deltas(), total + p.total_deltas(), p.received_bytes() as u64)
        });
        callbacks.sideband_progress(move |_| {
            watch.touch();
            !watch.stopped()
        });
        callbacks
    }

    /// The answer to the `n`th question of who we are.
    fn credential(&self, user: Option<&str>, allowed: CredentialType, n: usize) -> Result<Cred, git2::Error> {
        let host = self.request.address.host().to_owned();
        let refuse = |detail: String| Err(self.end(Fault::Denied { host: host.clone(), detail }, ErrorCode::Auth));
        match &self.ssh {
            Some(ssh) if allowed.contains(CredentialType::SSH_MEMORY) => match ssh.keys.get(n) {
                Some(key) => Cred::ssh_key_from_memory(user.unwrap_or("git"), None, key, None),
                None => refuse(format!("it takes none of the {} keys in .ssh", ssh.keys.len())),
            },
            Some(_) => refuse("it takes no keys, and passwords are not sent".to_owned()),
            None if !allowed.contains(CredentialType::USER_PASS_PLAINTEXT) => {
                refuse("it wants something else than a token".to_owned())
            }
            None => match &self.request.access.token {
                Some(token) if n == 0 => {
                    let (user, secret) = token.parts();
                    Cred::userpass_plaintext(user, secret)
                }
                Some(_) => refuse("it does not take the token".to_owned()),
                None => refuse("it wants a token, and none is set".to_owned()),
            },
        }
    }

    /// An ssh host convinces by a pinned key and by nothing else: whatever libgit2 thinks of it does not count.
    fn check(&self, ssh: &Ssh, cert: &Cert<'_>) -> Result<CertificateCheckStatus, git2::Error> {
        let known_as = self.request.address.known_as();
        let shown = cert.as_hostkey().and_then(|key| key.hostkey()).and_then(|wire| HostKey::of(&known_as, wire));
        let Some(shown) = shown else {
            return Err(self.end(Fault::Git(format!("{known_as} shows no key that can be read")), ErrorCode::Certificate));
        };
        let fault = match ssh.known.standing(&shown) {
            Standing::Pinned => return Ok(CertificateCheckStatus::CertificateOk),
            Standing::Unknown => Fault::UnknownHost(shown.clone()),
            Standing::Changed { pinned } => Fault::ChangedHost { shown: shown.clone(), pinned },
        };
        // Where it cannot be remembered it is refused all the same, and cannot be pinned by a click.
        let _ = ssh.folder.remember(&shown);
        Err(self.end(fault, ErrorCode::Certificate))
    }

    /// Remembers the fault and makes the error that libgit2 hands through.
    fn end(&self, fault: Fault, code: ErrorCode) -> git2::Error {
        let error = git2::Error::new(code, ErrorClass::Callback, fault.to_string());
        *self.fault.borrow_mut() = Some(fault);
        error
    }
}
