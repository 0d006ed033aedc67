//! The doors over real connections: a whole studio on a free port, with a clock that tests move, and requests
//! written byte by byte, so that Host, Origin and cookies can be what no client would send.

mod account;
mod admin;
mod entrance;
mod rights;
mod studio;

use super::initials;

#[test]
fn initials_are_letters_of_the_name() {
    for (name, shown) in [("Zoë", "Z"), ("ada lovelace", "AL"), ("李明", "李"), ("Guest 2", "G"), ("Ana M. Ruiz", "AR")] {
        assert_eq!(initials(name), shown);
    }
}
