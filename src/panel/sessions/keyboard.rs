//! Who looks at a terminal, and the one who types. Knows no terminal.

use crate::users::ProfileId;
use std::sync::Arc;
use tokio::sync::watch;

/// Seats before one terminal; cheap to clone.
#[derive(Clone, Debug)]
pub struct Keyboard(Arc<watch::Sender<Room>>);

/// Everybody before one terminal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Who types.
    pub typist: Option<Typist>,
    /// How many look, the typist included.
    pub viewers: usize,
    next: u64,
}

/// Who types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Typist {
    /// Whose browser.
    pub profile: ProfileId,
    seat: u64,
}

/// One viewer's place; dropped, he has left and types no more.
#[derive(Debug)]
pub struct Seat {
    room: Keyboard,
    number: u64,
    profile: ProfileId,
}

impl Default for Keyboard {
    fn default() -> Keyboard {
        Keyboard(Arc::new(watch::Sender::new(Room::default())))
    }
}

impl Keyboard {
    /// Takes a seat.
    pub fn sit(&self, profile: ProfileId) -> Seat {
        let mut number = 0;
        self.0.send_modify(|room| {
            room.next += 1;
            room.viewers += 1;
            number = room.next;
        });
        Seat { room: self.clone(), number, profile }
    }

    /// Who is there; changes when anybody comes, goes, takes the keyboard or gives it back.
    pub fn watch(&self) -> watch::Receiver<Room> {
        self.0.subscribe()
    }
}

impl Seat {
    /// Types from now on, whoever did before.
    pub fn take(&self) {
        let typist = Typist { profile: self.profile.clone(), seat: self.number };
        self.room.0.send_modify(|room| room.typist = Some(typist));
    }

    /// Types no more.
    pub fn give_back(&self) {
        self.room.0.send_if_modified(|room| {
            let own = room.typist.as_ref().is_some_and(|t| t.seat == self.number);
            if own {
                room.typist = None;
            }
            own
        });
    }

    /// Whether this one types.
    pub fn types(&self) -> bool {
        self.room.0.borrow().typist.as_ref().is_some_and(|t| t.seat == self.number)
    }

    /// Whether this one says how large the terminal is: who types, or who looks alone.
    pub fn sizes(&self) -> bool {
        let room = self.room.0.borrow();
        room.typist.as_ref().map_or(room.viewers == 1, |t| t.seat == self.number)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.give_back();
        self.room.0.send_modify(|room| room.viewers -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_types_and_the_others_look() {
        let keyboard = Keyboard::default();
        let ada = keyboard.sit("ada".parse().unwrap());
        assert!(ada.sizes() && !ada.types());
        let bob = keyboard.sit("bob".parse().unwrap());
        assert!(!ada.sizes() && !bob.sizes(), "of two who look, none changes the other's screen");
        ada.take();
        assert!(ada.types() && ada.sizes() && !bob.types());
        bob.take();
        assert!(bob.types() && !ada.types());
        ada.give_back();
        assert!(bob.types(), "nobody gives back what another has");
        drop(bob);
        let room = keyboard.watch().borrow().clone();
        assert_eq!((room.viewers, room.typist), (1, None));
        assert!(ada.sizes());
    }
}
