//! PINs, passwords, keys and tokens: how they are made, hashed and compared. Text of a secret lives in
//! [`Secret`], which never prints itself. Knows no store and no web.

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::sync::Arc;
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization as _;

/// Memory of one argon2id hash, in KiB: OWASP's least for its number of passes, and small enough that
/// [`AT_ONCE`] of them fit beside everything else.
const MEMORY_KIB: u32 = 19 * 1024;
/// Passes: OWASP's least is 2; so many cost 100 to 500 ms of one core.
const PASSES: u32 = 14;
/// Bytes of a hash.
const OUTPUT: usize = 32;
/// A block larger than this is never kept by glibc: above its largest mmap threshold, 32 MiB.
const UNMAPPED: usize = 33 << 20;
/// Hashes computed at the same time. A third one waits.
const AT_ONCE: usize = 2;
/// Hashes that may wait. What comes after is told to try again, so that a flood of logins ends here.
const WAITING: usize = 64;
/// Dearest hash accepted from `users.toml`: memory in KiB and passes.
const MOST: (u32, u32) = (64 * 1024, 16);
/// Fewest characters of an admin's password.
pub const PASSWORD_MIN: usize = 15;
/// Fewest characters of a PIN.
pub const PIN_MIN: usize = 4;
/// Most characters of either, so that hashing stays cheap.
const SECRET_MAX: usize = 256;

/// The text of a secret. `Debug` shows nothing of it, and there is no `Display`.
#[derive(Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Takes the text as it was typed.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text, for the one place that must have it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Why a PIN or password cannot be taken: a sentence for the person who typed it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SecretError {
    /// Fewer characters than asked for.
    #[error("{0} needs at least {1} characters.")]
    TooShort(&'static str, usize),
    /// More than `SECRET_MAX` characters.
    #[error("{0} can have at most {SECRET_MAX} characters.")]
    TooLong(&'static str),
    /// A hash that is no argon2id PHC string within the limits.
    #[error("{0}")]
    Hash(String),
    /// Too many hashes wait already.
    #[error("Too many logins at once. Try again in a few seconds.")]
    Busy,
}

/// Checks a new PIN: [`PIN_MIN`] characters or more.
pub fn check_pin(typed: &Secret) -> Result<(), SecretError> {
    check(typed, "A PIN", PIN_MIN)
}

/// Checks a new admin password: [`PASSWORD_MIN`] characters or more.
pub fn check_password(typed: &Secret) -> Result<(), SecretError> {
    check(typed, "A password", PASSWORD_MIN)
}

fn check(typed: &Secret, what: &'static str, least: usize) -> Result<(), SecretError> {
    match typed.0.chars().count() {
        n if n < least => Err(SecretError::TooShort(what, least)),
        n if n > SECRET_MAX => Err(SecretError::TooLong(what)),
        _ => Ok(()),
    }
}

/// An argon2id hash as a PHC string that was checked: the algorithm, and costs between OWASP's least and
/// what this program will spend.
#[derive(Clone, PartialEq, Eq)]
pub struct Phc(String);

impl fmt::Debug for Phc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phc(..)")
    }
}

impl Phc {
    /// Reads and checks a PHC string.
    pub fn parse(text: &str) -> Result<Phc, SecretError> {
        let wrong =
            |why: &str| SecretError::Hash(format!("It must be an argon2id PHC string ({why}); `easel user hash` prints one."));
        let hash = PasswordHash::new(text).map_err(|_| wrong("this is none"))?;
        if hash.algorithm.as_str() != "argon2id" || hash.hash.is_none() || hash.salt.is_none() {
            return Err(wrong("another algorithm, or a part is missing"));
        }
        if hash.version != Some(u32::from(Version::V0x13)) {
            return Err(wrong("another version than 19"));
        }
        let params = Params::try_from(&hash).map_err(|_| wrong("its costs cannot be read"))?;
        if params.m_cost() < MEMORY_KIB || params.t_cost() < 2 {
            return Err(wrong("its costs are below 19 MiB and 2 passes"));
        }
        if params.m_cost() > MOST.0 || params.t_cost() > MOST.1 || params.p_cost() > 4 {
            return Err(wrong("its costs are above 64 MiB, 16 passes, 4 lanes"));
        }
        Ok(Phc(text.to_string()))
    }

    /// As it is stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Hashes and checks PINs and passwords, two at once, off the async threads.
#[derive(Clone, Debug)]
pub struct Hasher {
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// A hash of nothing that anyone knows, for accounts that do not exist.
    decoy: Phc,
}

impl Hasher {
    /// A hasher.
    pub fn new() -> Hasher {
        // Random bits in the right form, the hash of nothing: start-up need not wait for a real one.
        let decoy = phc(&random_bytes(), &random_bytes());
        Hasher { running: Arc::new(Semaphore::new(AT_ONCE)), waiting: Arc::new(Semaphore::new(WAITING)), decoy }
    }

    /// The hash of a new PIN or password.
    pub async fn hash(&self, secret: Secret) -> Result<Phc, SecretError> {
        self.work(move || hash_now(&secret)).await
    }

    /// Whether `typed` is the secret behind `hash`. Without a hash the same work is done and the answer is
    /// no, so that an unknown account takes as long as a wrong guess.
    pub async fn verify(&self, typed: Secret, hash: Option<Phc>) -> Result<bool, SecretError> {
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.decoy.clone());
        self.work(move || verify_now(&typed, &hash) && known).await
    }

    async fn work<T: Send + 'static>(&self, f: impl FnOnce() -> T + Send + 'static) -> Result<T, SecretError> {
        let _place = self.waiting.try_acquire().map_err(|_| SecretError::Busy)?;
        let turn = self.running.clone().acquire_owned().await.expect("the semaphore is never closed");
        // The turn goes with the work: a caller who gives up must not let a third hash start.
        let job = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            f()
        });
        Ok(job.await.expect("hashing does not panic"))
    }
}

impl Default for Hasher {
    fn default() -> Hasher {
        Hasher::new()
    }
}

fn params() -> Params {
    Params::new(MEMORY_KIB, PASSES, 1, None).expect("the costs are within argon2's limits")
}

/// A hash of ours as PHC string.
fn phc(salt: &[u8; 16], output: &[u8; OUTPUT]) -> Phc {
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params()).expect("the costs can be written"),
        salt: Some(Salt::new(salt).expect("16 bytes are a salt")),
        hash: Some(Output::new(output).expect("32 bytes are an output")),
    };
    Phc(hash.to_string())
}

/// Composed and decomposed spellings of a typed letter are the same secret (RFC 8265, section 4.2).
fn bytes(secret: &Secret) -> Vec<u8> {
    secret.0.nfc().collect::<String>().into_bytes()
}

/// Hashes on this thread: for the command line, and inside [`Hasher`].
pub fn hash_now(secret: &Secret) -> Phc {
    let (salt, mut output) = (random_bytes::<16>(), [0u8; OUTPUT]);
    compute(params(), secret, &salt, &mut output).expect("the costs and lengths are within argon2's limits");
    phc(&salt, &output)
}

fn verify_now(typed: &Secret, hash: &Phc) -> bool {
    let Ok(known) = PasswordHash::new(&hash.0) else { return false };
    let (Some(salt), Some(output), Ok(params)) = (&known.salt, &known.hash, Params::try_from(&known)) else { return false };
    let mut found = vec![0u8; output.as_bytes().len()];
    compute(params, typed, salt, &mut found).is_ok() && bool::from(output.as_bytes().ct_eq(&found))
}

/// argon2id in memory that the system has back at once. glibc keeps freed blocks of up to 32 MiB in each
/// thread's arena, which would add up to hundreds of MiB after many logins; a larger one is mapped and
/// unmapped. What is reserved beyond the blocks in use is never touched, so it costs no memory.
fn compute(params: Params, secret: &Secret, salt: &[u8], output: &mut [u8]) -> Result<(), argon2::Error> {
    let blocks = params.block_count();
    let mut memory: Vec<Block> = Vec::with_capacity(blocks.max(UNMAPPED / Block::SIZE));
    memory.resize(blocks, Block::default());
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into_with_memory(&bytes(secret), salt, output, &mut memory)
}

/// What is kept of a random secret: SHA-256 is enough where the secret itself has 100 bits or more.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(..)")
    }
}

impl Fingerprint {
    /// Of the text of a token, ticket or key.
    pub fn of(text: &str) -> Fingerprint {
        Fingerprint(Sha256::digest(text.as_bytes()).into())
    }

    /// Equality that takes the same time whatever differs.
    pub fn matches(&self, other: &Fingerprint) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// 256 random bits as 64 hexadecimal digits.
pub fn random_token() -> Secret {
    Secret(random_bytes::<32>().iter().map(|b| format!("{b:02x}")).collect())
}

/// Crockford's base 32: no i, l, o and u.
const KEY_DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Groups of a studio key, and characters of each: 100 bits.
const KEY_GROUPS: (usize, usize) = (5, 4);

/// A new studio key: five groups of four, `k3v9-x1q8-…`.
pub fn studio_key() -> Secret {
    let bytes = random_bytes::<{ KEY_GROUPS.0 * KEY_GROUPS.1 }>();
    let digits: Vec<char> = bytes.iter().map(|b| char::from(KEY_DIGITS[usize::from(b & 31)])).collect();
    Secret(digits.chunks(KEY_GROUPS.1).map(|g| g.iter().collect::<String>()).collect::<Vec<_>>().join("-"))
}

/// A key as somebody typed or pasted it: case, spaces and dashes do not matter, and letters that are no
/// digits of it stand for those they look like.
pub fn normalise_key(typed: &str) -> Secret {
    let digit = |c: char| match c.to_ascii_lowercase() {
        'o' => '0',
        'i' | 'l' => '1',
        c => c,
    };
    let digits: Vec<char> = typed.chars().filter(char::is_ascii_alphanumeric).map(digit).take(SECRET_MAX).collect();
    Secret(digits.chunks(KEY_GROUPS.1).map(|g| g.iter().collect::<String>()).collect::<Vec<_>>().join("-"))
}

fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0u8; N];
    getrandom::fill(&mut bytes).expect("the system's randomness works");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_prints_itself() {
        let shown = format!("{:?} {:?} {:?}", Secret::new("canary"), hash_now(&Secret::new("canary")), Fingerprint::of("canary"));
        assert_eq!(shown, "Secret(..) Phc(..) Fingerprint(..)");
    }

    #[test]
    fn keys_have_five_groups_of_four_and_survive_typing() {
        let key = studio_key();
        assert_eq!(key.expose().split('-').map(str::len).collect::<Vec<_>>(), [4; 5]);
        assert_ne!(key, studio_key());
        let typed = format!("  {} ", key.expose().to_uppercase().replace('-', " "));
        assert_eq!(normalise_key(&typed), key);
    }

    #[test]
    fn hashes_below_the_floor_or_above_the_ceiling_are_refused() {
        let good = hash_now(&Secret::new("1234"));
        assert!(Phc::parse(good.as_str()).is_ok());
        for (from, to) in [("m=19456", "m=9000"), ("m=19456", "m=4000000"), ("t=14", "t=1"), ("argon2id", "argon2i")] {
            let text = good.as_str().replace(from, to);
            assert_ne!(text, good.as_str());
            assert!(Phc::parse(&text).is_err(), "{to}");
        }
        assert!(Phc::parse("1234").is_err());
        assert!(Phc::parse("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ").is_err(), "no hash in it");
    }

    #[tokio::test]
    async fn the_right_secret_in_any_spelling_and_nothing_else() {
        let hasher = Hasher::new();
        let hash = hasher.hash(Secret::new("Zo\u{eb} paints")).await.unwrap();
        let verify = |typed: &str| hasher.verify(Secret::new(typed), Some(hash.clone()));
        assert!(verify("Zoe\u{308} paints").await.unwrap());
        assert!(!verify("zo\u{eb} paints").await.unwrap());
        assert!(!hasher.verify(Secret::new(""), None).await.unwrap());
        // An unknown account costs what a wrong guess costs: memory, passes, lanes, and the lengths of salt and hash.
        let costs = |phc: &Phc| {
            let hash = PasswordHash::new(phc.as_str()).unwrap();
            let params = Params::try_from(&hash).unwrap();
            let lengths = (hash.salt.unwrap().as_ref().len(), hash.hash.unwrap().as_bytes().len());
            (params.m_cost(), params.t_cost(), params.p_cost(), lengths)
        };
        assert_eq!(costs(&hasher.decoy), costs(&hash));
        assert!(Phc::parse(hasher.decoy.as_str()).is_ok());
    }

    #[test]
    fn lengths_are_checked_in_characters() {
        assert!(check_pin(&Secret::new("李明李明")).is_ok());
        assert_eq!(check_pin(&Secret::new("123")), Err(SecretError::TooShort("A PIN", PIN_MIN)));
        assert!(check_password(&Secret::new("a".repeat(257))).is_err());
    }
}
