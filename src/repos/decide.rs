//! What a sync is to do, from four commits alone. Pure: it is told which commit contains which.

/// The commits that count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heads<I> {
    /// The last commit of the remote that was taken.
    pub(crate) taken: Option<I>,
    /// What the remote has now.
    pub(crate) offered: I,
    /// Where the work tree stands.
    pub(crate) head: I,
    /// What somebody went back from.
    pub(crate) refused: Option<I>,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step<I> {
    /// The head has all that the remote has.
    Stay,
    /// Go on to what is offered.
    Forward,
    /// What was taken is not in what is offered.
    Rewritten,
    /// The remote has nothing beyond what was gone back from.
    WentBack(I),
}

/// See the file's first line. `contains(a, b)`: all of b's history is in that of a, or they are the same.
pub(crate) fn decide<I: Copy + PartialEq, E>(heads: Heads<I>, contains: impl Fn(I, I) -> Result<bool, E>) -> Result<Step<I>, E> {
    let Heads { taken, offered, head, refused } = heads;
    // Also after a rewritten history was accepted, and the note of that was cut off.
    if head == offered {
        return Ok(Step::Stay);
    }
    if let Some(taken) = taken
        && !contains(offered, taken)?
    {
        return Ok(Step::Rewritten);
    }
    if contains(head, offered)? {
        return Ok(Step::Stay);
    }
    match refused {
        Some(refused) if contains(refused, offered)? => Ok(Step::WentBack(refused)),
        _ => Ok(Step::Forward),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Commits of a line are numbers; those from 100 on are another line that left it at 5.
    fn contains(a: u32, b: u32) -> Result<bool, ()> {
        let same_line = (a >= 100) == (b >= 100);
        Ok(if same_line { a >= b } else { a >= 100 && b <= 5 })
    }

    fn step(taken: u32, offered: u32, head: u32, refused: Option<u32>) -> Step<u32> {
        decide(Heads { taken: Some(taken), offered, head, refused }, contains).unwrap()
    }

    #[test]
    fn the_remote_goes_on() {
        assert_eq!(step(7, 7, 7, None), Step::Stay);
        assert_eq!(step(7, 9, 7, None), Step::Forward);
        // Local commits: alone they stay, together with new ones of the remote they are put aside.
        assert_eq!(step(5, 5, 101, None), Step::Stay);
        assert_eq!(step(5, 6, 101, None), Step::Forward);
    }

    #[test]
    fn a_rewritten_remote_is_not_followed() {
        assert_eq!(step(9, 101, 9, None), Step::Rewritten);
        assert_eq!(step(9, 7, 9, None), Step::Rewritten);
        // Also where the head has been moved back by hand before.
        assert_eq!(step(9, 101, 3, None), Step::Rewritten);
        // It was accepted.
        assert_eq!(step(9, 101, 101, None), Step::Stay);
        // It came to its senses.
        assert_eq!(step(9, 10, 9, None), Step::Forward);
    }

    #[test]
    fn what_was_gone_back_from_is_not_taken_again() {
        assert_eq!(step(9, 9, 7, Some(9)), Step::WentBack(9));
        assert_eq!(step(9, 10, 7, Some(9)), Step::Forward);
        // Noted, and killed before the work tree went back.
        assert_eq!(step(9, 9, 9, Some(9)), Step::Stay);
    }
}
