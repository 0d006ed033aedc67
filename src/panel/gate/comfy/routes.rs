//! Every route of ComfyUI and what the gate does with it: the table `routes.txt`, and who is meant by a request. Pure; what
//! is not in the table is nobody's but an admin's.

use hyper::Method;
use std::sync::LazyLock;

/// What is done with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Treatment {
    /// Says the same to everybody and nothing of anybody.
    Pass,
    /// ComfyUI keeps it for each user; it is told which.
    User,
    /// The gate says who there is: the profile alone.
    Users,
    /// A prompt on its way in.
    Prompt,
    /// How many of the profile's own wait.
    Count,
    /// The profile's own of the queue.
    Queue,
    /// Takes the profile's own out of it.
    QueueEdit,
    /// The profile's own of what has run.
    History,
    /// One of them.
    HistoryOf,
    /// Forgets the profile's own.
    HistoryEdit,
    /// Ends the profile's own that runs.
    Interrupt,
    /// Two switches and no more.
    Free,
    /// A file of the profile's own.
    View,
    /// An upload into the profile's own folder.
    Upload,
    /// The same, with the picture that it is a mask of.
    UploadMask,
    /// The stream of what happens.
    Socket,
    /// Nodes, with the profile's own files to choose from.
    Nodes,
    /// Lists, without what names another profile's folder.
    Lists,
    /// Kinds of models, without where they lie.
    Folders,
    /// Names of the profile's own files.
    Files,
    /// The machine, without the command line.
    Stats,
    /// The profile's own jobs.
    Jobs,
    /// One of them.
    Job,
    /// An admin's in admin mode; for everybody else there is nothing in it: `{}`, `[]`, or no word.
    NoThings,
    NoList,
    NoWord,
    /// An admin's in admin mode.
    Admin,
}

impl Treatment {
    fn parse(word: &str) -> Option<Treatment> {
        Some(match word {
            "pass" => Treatment::Pass,
            "user" => Treatment::User,
            "users" => Treatment::Users,
            "prompt" => Treatment::Prompt,
            "count" => Treatment::Count,
            "queue" => Treatment::Queue,
            "queue-edit" => Treatment::QueueEdit,
            "history" => Treatment::History,
            "history-of" => Treatment::HistoryOf,
            "history-edit" => Treatment::HistoryEdit,
            "interrupt" => Treatment::Interrupt,
            "free" => Treatment::Free,
            "view" => Treatment::View,
            "upload" => Treatment::Upload,
            "upload-mask" => Treatment::UploadMask,
            "socket" => Treatment::Socket,
            "nodes" => Treatment::Nodes,
            "lists" => Treatment::Lists,
            "folders" => Treatment::Folders,
            "files" => Treatment::Files,
            "stats" => Treatment::Stats,
            "jobs" => Treatment::Jobs,
            "job" => Treatment::Job,
            "no-things" => Treatment::NoThings,
            "no-list" => Treatment::NoList,
            "no-word" => Treatment::NoWord,
            "admin" => Treatment::Admin,
            _ => return None,
        })
    }

    /// Whether ComfyUI itself answers an admin alone.
    pub(super) fn is_admins(self) -> bool {
        matches!(self, Treatment::Admin | Treatment::NoThings | Treatment::NoList | Treatment::NoWord)
    }

    /// Whether a HEAD is as good as a GET: where the tool itself answers.
    fn takes_head(self) -> bool {
        matches!(self, Treatment::Pass | Treatment::User | Treatment::View)
    }
}

/// A piece of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// This word.
    Word(&'static str),
    /// Any segment without a slash in it.
    One,
    /// Any segment.
    Path,
    /// All that is left, of one segment or more.
    Rest,
}

/// A row of the table.
#[derive(Clone, Debug)]
pub(super) struct Route {
    /// Its method.
    pub(super) method: Method,
    /// Its path, piece by piece.
    pub(super) pieces: Vec<Piece>,
    /// What is done with it.
    pub(super) treatment: Treatment,
}

/// The table, in its order.
pub(super) static ROUTES: LazyLock<Vec<Route>> = LazyLock::new(|| lines().filter_map(read).collect());

/// The lines of the table that are rows.
pub(super) fn lines() -> impl Iterator<Item = &'static str> {
    include_str!("routes.txt").lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// A row; none where it says nothing that is known, and then its route is an admin's.
pub(super) fn read(line: &'static str) -> Option<Route> {
    let mut words = line.split_whitespace();
    let (method, path, treatment) = (words.next()?, words.next()?, words.next()?);
    let piece = |word: &'static str| match word {
        _ if word.starts_with('{') && word.ends_with("*}") => Piece::Rest,
        _ if word.starts_with('{') && word.ends_with(":path}") => Piece::Path,
        _ if word.starts_with('{') => Piece::One,
        _ => Piece::Word(word),
    };
    let pieces = path.strip_prefix('/')?.split('/').filter(|word| !word.is_empty()).map(piece).collect();
    Some(Route { method: method.parse().ok()?, pieces, treatment: Treatment::parse(treatment)? })
}

impl Route {
    fn is(&self, method: &Method, segments: &[String]) -> bool {
        let head = *method == Method::HEAD && self.method == Method::GET && self.treatment.takes_head();
        let same = |(piece, segment): (&Piece, &String)| match piece {
            Piece::Word(word) => word == segment,
            Piece::One => !segment.contains('/'),
            Piece::Path | Piece::Rest => true,
        };
        let long = match self.pieces.last() {
            Some(Piece::Rest) => segments.len() >= self.pieces.len(),
            _ => segments.len() == self.pieces.len(),
        };
        (self.method == *method || head) && long && self.pieces.iter().zip(segments).all(same)
    }

    fn words(&self) -> usize {
        self.pieces.iter().filter(|piece| matches!(piece, Piece::Word(_))).count()
    }
}

/// What is done with a request, and its path without the `/api` that most routes answer under as well.
pub(super) fn find<'a>(method: &Method, segments: &'a [String]) -> (Treatment, &'a [String]) {
    let of = |segments: &[String]| {
        let found = ROUTES.iter().filter(|route| route.is(method, segments));
        // The row that says the most in words is meant, as `/api/jobs/x` beside `/api/jobs/{id}`.
        found.max_by_key(|route| route.words()).map(|route| route.treatment)
    };
    let inner = segments.split_first().filter(|(first, rest)| *first == "api" && !rest.is_empty()).map(|(_, rest)| rest);
    match (of(segments), inner.and_then(|inner| Some((of(inner)?, inner)))) {
        (Some(treatment), _) => (treatment, segments),
        (None, Some(found)) => found,
        (None, None) => (Treatment::Admin, segments),
    }
}

#[cfg(test)]
#[path = "tests/table.rs"]
mod tests;
